"""What "best" means: a tail-aware score by name, a cost matrix, or any scikit-learn scorer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, get_scorer_names

from tailwise.errors import TailwiseError, nearest
from tailwise.metrics import OBJECTIVES

ConfusionScore = Callable[[NDArray[Any], NDArray[np.int64]], float]


@dataclass(frozen=True)
class Objective:
    """A score of decisions, greater is better.

    Attributes
    ----------
    name : for tables
    confusion : the score from a confusion matrix and the training class counts. Thresholds are tuned for it; where a
        scikit-learn scorer is the objective they are tuned for balanced accuracy, since a scorer cannot be
    cost : (n_classes, n_classes) cost of predicting column j when row i is true, or None
    scorer : a scikit-learn scorer, or None
    coverage : share of examples whose true class a prediction set shall hold
    class_weight : (n_classes,) how many held-out examples of each class one that is scored stands for; None is one
    """

    name: str
    confusion: ConfusionScore
    cost: NDArray[np.float64] | None = None
    scorer: Callable[..., float] | None = None
    coverage: float = 0.9
    class_weight: NDArray[np.float64] | None = None

    def on_sample(self, class_weight: NDArray[np.float64]) -> Objective:
        """Return the objective for a sample of the held-out examples that favours some classes."""

        def confusion(sampled: NDArray[Any], class_counts: NDArray[np.int64]) -> float:
            return self.confusion(sampled * class_weight[:, None], class_counts)

        return replace(self, confusion=confusion, class_weight=class_weight)

    def weights(self, labels: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return how many held-out examples each one stands for, (n,), or None for one each."""
        return None if self.class_weight is None else self.class_weight[labels]

    def score(
        self,
        labels: NDArray[np.int64],
        predicted: NDArray[np.int64],
        proba: NDArray[Any] | None,
        class_counts: NDArray[np.int64],
    ) -> float:
        """Return the score of decisions; labels and predictions are class codes.

        A scikit-learn scorer also needs the probabilities, (n, n_classes).
        """
        if self.scorer is not None and proba is not None:
            rows = np.arange(len(labels)).reshape(-1, 1)
            return float(self.scorer(_Predicted(predicted, proba), rows, labels))
        k = len(class_counts)
        confusion = np.bincount(labels * k + predicted, minlength=k * k).reshape(k, k)
        return float(self.confusion(confusion, class_counts))


class _Predicted(ClassifierMixin, BaseEstimator):
    """Predictions that are already there, as the fitted classifier that a scikit-learn scorer asks for."""

    def __init__(self, predicted: NDArray[np.int64], proba: NDArray[Any]) -> None:
        self.predicted = predicted
        self.proba = proba
        self.classes_ = np.arange(proba.shape[1])

    def predict(self, X: NDArray[np.intp]) -> NDArray[np.int64]:
        return self.predicted[X[:, 0]]

    def predict_proba(self, X: NDArray[np.intp]) -> NDArray[Any]:
        return self.proba[X[:, 0]]


def as_objective(objective: Any, n_classes: int, coverage: float = 0.9) -> Objective:
    """Return the objective that a name, a cost matrix or a scikit-learn scorer stands for.

    Raises
    ------
    TailwiseError
        If the name is unknown (the nearest is suggested), or the cost matrix has the wrong shape or bad numbers.
    """
    if callable(objective):
        name = getattr(getattr(objective, "_score_func", objective), "__name__", "scorer")
        return Objective(name, OBJECTIVES["balanced_accuracy"], scorer=objective, coverage=coverage)
    if isinstance(objective, str):
        if objective in OBJECTIVES:
            return Objective(objective, OBJECTIVES[objective], coverage=coverage)
        known = get_scorer_names()
        if objective in known:
            return Objective(
                objective, OBJECTIVES["balanced_accuracy"], scorer=get_scorer(objective), coverage=coverage
            )
        raise TailwiseError(
            f"there is no objective {objective!r}.{nearest(objective, [*OBJECTIVES, *known])} "
            f"Use {', '.join(OBJECTIVES)}, a cost matrix or a scikit-learn scorer."
        )
    cost = np.asarray(objective, dtype=np.float64)
    if cost.shape != (n_classes, n_classes):
        raise TailwiseError(f"a cost matrix for {n_classes} classes has shape {(n_classes,) * 2}; got {cost.shape}.")
    if not np.isfinite(cost).all():
        raise TailwiseError("the cost matrix holds NaN or infinity.")

    def mean_cost(confusion: NDArray[Any], class_counts: NDArray[np.int64]) -> float:
        return -float((confusion * cost).sum() / confusion.sum())

    return Objective("expected cost (negative)", mean_cost, cost=cost, coverage=coverage)
