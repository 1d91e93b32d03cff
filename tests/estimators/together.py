"""A fit that two processes share, whose clocks go at different speeds."""

import json
import os
import time
from pathlib import Path

import torch

from estimators.killable import data
from tailwise.estimators import TailClassifier


def fit(folder: Path, budget: str | None) -> None:
    """Fit with a clock that goes ten times as fast in the second process, and write what comes of it.

    Each process works in a folder of its own, as on machines that share none.
    """
    rank, clock = int(os.environ["RANK"]), time.monotonic
    time.monotonic = lambda: (1 + 9 * rank) * clock()
    torch.set_num_threads(1)
    x, y, new = data()
    recipes = ["cross-entropy", "balanced-softmax", "crt", "ldam-drw"]
    fitted = TailClassifier(
        recipes,
        backbone="mlp",
        epochs=100 if budget else 4,
        batch_size=32,
        time_budget=budget,
        work_dir=folder / f"machine-{rank}",
    ).fit(x, y)
    rows = [(row.recipe, row.score, row.outcome) for row in fitted.comparison_]
    (folder / f"{rank}.json").write_text(json.dumps([rows, fitted.predict_proba(new).tolist()]))
