"""A fit that keeps its work, for the test that kills it."""

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


def classifier(folder: Path | None) -> TailClassifier:
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


def fit(folder: Path | None, out: Path) -> None:
    """Fit in a folder, and write what is predicted."""
    torch.set_num_threads(1)
    x, y, new = data()
    np.save(out, classifier(folder).fit(x, y).predict_proba(new))
