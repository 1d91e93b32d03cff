"""Small long-tailed problems that the tests of this room share."""

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from tailwise.estimators import TailClassifier

COUNTS = (90, 30, 12)


def table(counts: tuple[int, ...] = COUNTS, seed: int = 0, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes around the corners of a simplex."""
    labels = np.repeat(np.arange(len(counts)), counts)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    return (2.5 * np.eye(len(counts))[labels] + spread * rng.normal(size=(len(labels), len(counts))))[order], labels[
        order
    ]


def quick(recipe: Any = "logit-adjustment", **settings: Any) -> TailClassifier:
    """A classifier that fits in milliseconds."""
    settings.setdefault("random_state", 0)
    if "backbone" not in settings:
        settings.setdefault("estimator", LogisticRegression(max_iter=1000))
    return TailClassifier(recipe, **settings)


def digits(imbalance: float = 50, n_max: int = 120, seed: int = 0) -> tuple[np.ndarray, ...]:
    """The digits with exponentially fewer of the later ones, and the rest of them for testing, as x, y, x, y."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    train = []
    for c in range(10):
        n = round(n_max * imbalance ** (-c / 9))
        train.append(rng.permutation(np.flatnonzero(y == c))[:n])
    rows = np.concatenate(train)
    rest = np.setdiff1d(np.arange(len(y)), rows)
    return (x[rows] / 16).astype(np.float32), y[rows], (x[rest] / 16).astype(np.float32), y[rest]
