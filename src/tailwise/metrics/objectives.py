"""Objectives for choosing a model: scores of a confusion matrix, fast enough for tuning thresholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import check_counts, shot_groups, shot_thresholds
from tailwise.errors import TailwiseError, nearest
from tailwise.metrics import confusion as measures

Score = Callable[[NDArray[Any], NDArray[np.int64]], float]


def _of_margins(measure: Callable[[measures.Margins], NDArray[np.float64]]) -> Score:
    def score(confusion: ArrayLike, class_counts: ArrayLike | None = None) -> float:
        return _finite(measure(measures.margins(confusion)))

    score.__name__, score.__doc__ = measure.__name__, measure.__doc__
    return score


def few_shot_accuracy(confusion: ArrayLike, class_counts: ArrayLike) -> float:
    """Return the mean recall of the few-shot classes or, if none of them has an example here, of the next group.

    Groups are defined by :func:`tailwise.counts.shot_thresholds`.
    """
    counts = check_counts(class_counts)
    m = measures.margins(confusion)
    groups = shot_groups(counts, *shot_thresholds(counts))
    present = [classes for classes in groups.values() if m.support[classes].any()]
    return _finite(measures.balanced_accuracy(m.take(present[-1]) if present else m))


#: Scores by name: each takes a confusion matrix (true × predicted) and the training class counts; greater is better.
OBJECTIVES: dict[str, Score] = {
    "balanced_accuracy": _of_margins(measures.balanced_accuracy),
    "macro_f1": _of_margins(measures.macro_f1),
    "few_shot_accuracy": few_shot_accuracy,
    "worst_class": _of_margins(measures.worst_class),
    "g_mean": _of_margins(measures.g_mean),
    "accuracy": _of_margins(measures.accuracy),
}


def objective(name: str) -> Score:
    """Return the objective of this name.

    Returns
    -------
    ``score(confusion, class_counts) -> float``, with an (n_classes, n_classes) matrix, true × predicted, and
    (n_classes,) training counts; greater is better

    Raises
    ------
    TailwiseError
        If there is no such objective; the message suggests the nearest name.
    """
    if name not in OBJECTIVES:
        raise TailwiseError(f"there is no objective {name!r}.{nearest(name, OBJECTIVES)} Use {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]


def _finite(value: NDArray[np.float64]) -> float:
    if np.isnan(value):
        raise TailwiseError("the confusion matrix is empty: there is nothing to score.")
    return float(value)
