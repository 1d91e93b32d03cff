"""Macro AUROC and AUPRC from the scores themselves, with intervals from resampled examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.metrics import bins
from tailwise.metrics.estimates import Estimate, estimate

_WORK = 200_000_000  # maximum number of scores to count for the intervals


def exact_ranking(
    labels: NDArray[Any], proba: NDArray[Any], n_bootstrap: int, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return macro AUROC and AUPRC over the classes with examples, if there are at least two.

    Values are scikit-learn's. Examples are resampled within each class, and their binned scores are counted again,
    which preserves the dependence between classes. There are at least 100 resamples.

    Parameters
    ----------
    labels : (n,) class codes; negative codes are ignored
    proba : (n, n_classes) probabilities
    n_bootstrap : number of resamples
    rng : source of the draws
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    known = labels >= 0
    labels, proba = labels[known], proba[known]
    present, counts = np.unique(labels, return_counts=True)
    ranked = present[counts < len(labels)]
    if not ranked.size:
        return {}
    measures = {"auroc": roc_auc_score, "auprc": average_precision_score}
    values = {name: np.mean([of(labels == c, proba[:, c]) for c in ranked]) for name, of in measures.items()}
    n = min(n_bootstrap, max(_WORK // proba.size, 100))
    resampled = _resampled(np.searchsorted(ranked, labels), bins.score_bins(proba[:, ranked]), counts, n, rng)
    return {name: estimate(value, draws) for (name, value), draws in zip(values.items(), resampled.T, strict=True)}


def _resampled(
    labels: NDArray[np.intp], scores: NDArray[np.int32], counts: NDArray[np.intp], n: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the (n, 2) macro AUROC and AUPRC of n resamples."""
    occupied, compact = np.unique(scores, return_inverse=True)
    k, m = scores.shape[1], occupied.size
    cells = compact.reshape(scores.shape) + np.arange(k) * m
    own = cells[np.arange(len(labels)), labels]
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    drawn = np.empty((n, 2))
    for row in drawn:
        weights = np.zeros(len(labels))
        for rows in members:
            weights[rows] = rng.multinomial(rows.size, np.full(rows.size, 1 / rows.size))
        every = np.bincount(cells.ravel(), weights=np.repeat(weights, k), minlength=k * m).reshape(k, m)
        positive = np.bincount(own, weights=weights, minlength=k * m).reshape(k, m)
        negative = every - positive
        row[:] = (
            bins.binned_roc_auc(positive, negative)[0].mean(),
            bins.binned_average_precision(positive, negative).mean(),
        )
    return drawn
