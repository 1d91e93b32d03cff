"""Prediction sets with a coverage guarantee, for each class that has enough held-out examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.posthoc._steps import held_out
from tailwise.settings import number
from tailwise.tensors import to_array

_ALL = 1.0  # threshold that admits every class; unlike infinity, it can be written as JSON
_CELLS = 1 << 18  # probabilities to compare at once


@dataclass(frozen=True)
class ConformalSets:
    """Split-conformal prediction sets from probabilities.

    The score of a class is one minus its probability. A class is in the set if its score is at most a threshold: the
    ``(n + 1) * coverage``-th smallest score of the true class among n held-out examples. A single threshold for all
    classes guarantees coverage on average, usually at the expense of rare classes; one threshold per class (the
    default) guarantees it for each class. Classes with too few held-out examples for a threshold of their own (fewer
    than 9 for 90 %) share one. If they have too few even together, they use the threshold of all classes. The most
    probable class is always in the set.

    Attributes
    ----------
    coverage : target share of examples whose true class is in the set
    marginal : threshold for all classes together
    thresholds : (n_classes,) threshold of each class
    pooled : codes of the classes that share a threshold because they have too few held-out examples

    Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, for label-conditional conformal
    prediction; Sadinle, Lei and Wasserman, JASA 2019, for this score and its smallest sets.
    Deviates: classes too rare for a threshold share the one of their own examples. Ding et al., Class-Conditional
    Conformal Prediction with Many Classes, NeurIPS 2023, pool them too (the null cluster), but their code gives them
    the threshold of all classes together, under which rare classes are covered less.

    Examples
    --------
    A rare class that gets 0.2 to 0.6 where it is true needs a lower threshold than the common one:

    >>> import numpy as np
    >>> p = np.r_[np.full(90, 0.05), np.linspace(0.2, 0.6, 10)]  # of the rare class, held out
    >>> sets = ConformalSets.fit(np.c_[1 - p, p], [0] * 90 + [1] * 10)
    >>> sets([[0.95, 0.05], [0.7, 0.3]]).tolist()
    [[True, False], [True, True]]
    >>> sets([[0.95, 0.05], [0.7, 0.3]], class_conditional=False).tolist()
    [[True, False], [True, False]]
    """

    coverage: float
    marginal: float
    thresholds: tuple[float, ...]
    pooled: tuple[int, ...]

    @classmethod
    def fit(
        cls, proba: ArrayLike, labels: ArrayLike, coverage: float = 0.9, sample_weight: ArrayLike | None = None
    ) -> ConformalSets:
        """Compute the thresholds on examples that were not trained on.

        Parameters
        ----------
        proba : (n, n_classes) probabilities
        labels : (n,) class codes
        coverage : target coverage, between 0 and 1
        sample_weight : (n,) number of examples that each one represents, equal within each class, if the sample favours
            some classes; it affects only the threshold for all classes together

        Raises
        ------
        TailwiseError
            If the coverage is not between 0 and 1, or as for :func:`fit_temperature`.
        """
        if not 0 < number("coverage", coverage) < 1:
            raise TailwiseError(f"coverage must lie between 0 and 1; got {coverage}.")
        p, y, weights = held_out(proba, labels, sample_weight)
        _check_range(p)
        scores = 1 - p[np.arange(len(y)), y]
        counts = np.bincount(y, minlength=p.shape[1])
        rank = _rank(counts, coverage)
        rare = rank > counts
        marginal = _quantile(scores, coverage, None if sample_weight is None else weights)
        shared = _quantile(scores[rare[y]], coverage)
        shared = marginal if np.isinf(shared) else shared
        sorted_by_class = scores[np.lexsort((scores, y))]
        own = sorted_by_class[np.where(rare, 0, np.cumsum(counts) - counts + rank - 1)]
        thresholds = np.minimum(np.where(rare, shared, own), _ALL)
        return cls(
            float(coverage), min(marginal, _ALL), tuple(thresholds.tolist()), tuple(np.flatnonzero(rare).tolist())
        )

    def __call__(self, proba: ArrayLike, *, class_conditional: bool = True) -> NDArray[np.bool_]:
        """Return an (n, n_classes) mask of the classes in each row's set.

        Parameters
        ----------
        proba : (n, n_classes) probabilities
        class_conditional : use one threshold per class, or the one for all classes together

        Raises
        ------
        TailwiseError
            If the probabilities have another number of classes than the thresholds, or one is NaN.
        """
        p, threshold = np.asarray(to_array(proba)), np.asarray(self.thresholds) if class_conditional else self.marginal
        if p.ndim != 2 or p.shape[1] != len(self.thresholds):
            raise TailwiseError(
                f"the sets are for {len(self.thresholds)} classes; got probabilities of shape {p.shape}."
            )
        _check_range(p)
        inside = np.empty(p.shape, dtype=bool)
        step = max(1, _CELLS // p.shape[1])
        for start in range(0, len(p), step):  # in float64 like the thresholds, or ties would be decided differently
            part = slice(start, start + step)
            inside[part] = 1 - p[part].astype(np.float64) <= threshold
        inside[np.arange(len(p)), p.argmax(axis=1)] = True
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Return the thresholds as plain data for JSON."""
        return {
            "coverage": self.coverage,
            "marginal": self.marginal,
            "thresholds": list(self.thresholds),
            "pooled": list(self.pooled),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ConformalSets:
        """Return the sets that :meth:`to_dict` described.

        Raises
        ------
        TailwiseError
            If a number is out of range.
        """
        coverage = number("coverage", data["coverage"], 0, 1)
        marginal, *thresholds = (number("threshold", value, 0) for value in (data["marginal"], *data["thresholds"]))
        return cls(coverage, marginal, tuple(thresholds), tuple(data["pooled"]))


def _check_range(proba: NDArray[Any]) -> None:
    """Raise TailwiseError unless all numbers lie between 0 and 1; NaN does not."""
    if proba.size and not (proba.min() >= 0 and proba.max() <= 1 + 1e-6):
        raise TailwiseError("prediction sets need probabilities, from 0 to 1: apply softmax to scores first.")


def _rank(n: Any, coverage: float) -> Any:
    """Return the rank of the threshold among n sorted scores, from 1; it is above n if there are too few."""
    return np.maximum(np.ceil((n + 1) * coverage - 1e-9), 1).astype(np.int64)


def _quantile(scores: NDArray[np.float64], coverage: float, weights: ArrayLike | None = None) -> float:
    rank = int(_rank(len(scores), coverage))
    if weights is not None:
        order = np.argsort(scores, kind="stable")
        sorted_weights = np.asarray(weights, dtype=np.float64)[order]
        total = np.cumsum(sorted_weights / sorted_weights.mean())  # as many as there are examples, but for rounding
        rank = int(np.searchsorted(total, rank * (1 - 1e-9))) + 1
    return float(np.inf) if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])
