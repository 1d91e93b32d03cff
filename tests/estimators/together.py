"""A fit that two processes share, whose clocks go at different speeds, run as a script by a test."""

import json
import os
import sys
import time
from pathlib import Path

import torch

from estimators.killable import data
from tailwise.estimators import TailClassifier

if __name__ == "__main__":
    rank, clock = int(os.environ["RANK"]), time.monotonic
    time.monotonic = lambda: (1 + 9 * rank) * clock()
    torch.set_num_threads(1)
    x, y, new = data()
    recipes = ["cross-entropy", "balanced-softmax", "crt", "ldam-drw"]
    budget = sys.argv[2] if len(sys.argv) > 2 else None
    fitted = TailClassifier(
        recipes, backbone="mlp", epochs=200 if budget else 4, batch_size=32, time_budget=budget
    ).fit(x, y)
    rows = [(row.recipe, row.score, row.status) for row in fitted.comparison_]
    Path(sys.argv[1], f"{rank}.json").write_text(json.dumps([rows, fitted.predict_proba(new).tolist()]))
