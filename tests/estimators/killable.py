"""A fit that keeps its work, run as a script by the test that kills it."""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from tailwise.data import make_long_tailed
from tailwise.estimators import TailClassifier


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Digits, ever fewer of the later ones, and some to predict."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    rows = np.sort(make_long_tailed(y, np.geomspace(100, 5, 10).astype(int)))
    return x[rows], y[rows], x[::9]


def classifier(folder: str | None) -> TailClassifier:
    """Two trainings, on three folds and on everything."""
    return TailClassifier(
        ["cross-entropy", "logit-adjustment", "crt"],
        backbone="mlp",
        epochs=12,
        batch_size=32,
        devices=1,
        work_dir=folder,
        random_state=0,
    )


if __name__ == "__main__":
    folder, out = sys.argv[1:]
    torch.set_num_threads(1)
    x, y, new = data()
    model = classifier(folder if folder != "none" else None).fit(x, y)
    np.save(Path(out), model.predict_proba(new))
