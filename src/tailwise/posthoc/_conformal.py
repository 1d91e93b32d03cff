"""Prediction sets that hold the true class as often as promised, for every class where there are examples enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.posthoc._steps import held_out

_ALL = 1.0  # threshold that lets every class in, where none is strict enough; JSON can hold it, unlike infinity
_CELLS = 1 << 18  # probabilities that are compared at once


@dataclass(frozen=True)
class ConformalSets:
    """Split-conformal prediction sets from probabilities.

    A class is in the set if one minus its probability is at most a threshold, the ``(n + 1) * coverage``-th smallest of
    what held-out examples scored for their true class. With one threshold for all classes the promise holds on average,
    and rare classes usually pay for it; with one per class (the default) it holds for each class. A class with fewer
    held-out examples than such a threshold needs (9 for 90 %) shares one with all classes of which that is so; if they
    have too few together, theirs is the threshold of all classes. The likeliest class is always in the set.

    Attributes
    ----------
    coverage : share of examples whose true class the set shall hold
    marginal : threshold for all classes alike
    thresholds : (n_classes,)
    pooled : codes of the classes that share a threshold for want of held-out examples

    Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, for label-conditional conformal
    prediction; Sadinle, Lei and Wasserman, JASA 2019, for this score and its smallest sets; the pooling of rare classes
    is the null cluster of Ding et al., Class-Conditional Conformal Prediction with Many Classes, NeurIPS 2023, section
    2.3, here without further clusters.
    """

    coverage: float
    marginal: float
    thresholds: tuple[float, ...]
    pooled: tuple[int, ...]

    @classmethod
    def fit(
        cls, proba: ArrayLike, labels: ArrayLike, coverage: float = 0.9, sample_weight: ArrayLike | None = None
    ) -> ConformalSets:
        """Set the thresholds on examples that were not trained on.

        Parameters
        ----------
        proba : (n, n_classes)
        labels : (n,) class codes
        coverage : between 0 and 1
        sample_weight : (n,) how many examples each one stands for, the same inside a class, where they are a sample
            that favours some classes; only the threshold of all classes depends on it

        Raises
        ------
        TailwiseError
            If the coverage is not between 0 and 1, or probabilities, labels or weights do not fit together.
        """
        if not 0 < coverage < 1:
            raise TailwiseError(f"coverage must lie between 0 and 1; got {coverage}.")
        p, y, weights = held_out(proba, labels, sample_weight)
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
        """Return (n, n_classes): which classes are in the set of each row of probabilities.

        Raises
        ------
        TailwiseError
            If the probabilities are not of as many classes as the thresholds, or one is NaN.
        """
        p, threshold = np.asarray(proba), np.asarray(self.thresholds) if class_conditional else self.marginal
        if p.ndim != 2 or p.shape[1] != len(self.thresholds):
            raise TailwiseError(f"the sets are for {len(self.thresholds)} classes; the probabilities are {p.shape}.")
        if np.isnan(p.max(initial=0)):
            raise TailwiseError("prediction sets need probabilities; none may be NaN.")
        inside = np.empty(p.shape, dtype=bool)
        step = max(1, _CELLS // p.shape[1])
        for start in range(0, len(p), step):  # in float64, as the thresholds were set: ties would fall the other way
            part = slice(start, start + step)
            inside[part] = 1 - p[part].astype(np.float64) <= threshold
        inside[np.arange(len(p)), p.argmax(axis=1)] = True
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Return the sets' thresholds as plain data for JSON."""
        return {
            "coverage": self.coverage,
            "marginal": self.marginal,
            "thresholds": list(self.thresholds),
            "pooled": list(self.pooled),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ConformalSets:
        """Return what :meth:`to_dict` described."""
        return cls(data["coverage"], data["marginal"], tuple(data["thresholds"]), tuple(data["pooled"]))


def _rank(n: Any, coverage: float) -> Any:
    """Return which of n sorted scores is the threshold, counted from 1; n + 1 or more where there are too few."""
    return np.maximum(np.ceil((n + 1) * coverage - 1e-9), 1).astype(np.int64)


def _quantile(scores: NDArray[np.float64], coverage: float, weights: ArrayLike | None = None) -> float:
    if weights is not None:
        order = np.argsort(scores, kind="stable")
        total = np.cumsum(np.asarray(weights)[order])
        rank = int(np.searchsorted(total, _rank(total[-1], coverage))) + 1
    else:
        rank = int(_rank(len(scores), coverage))
    return float(np.inf) if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])
