"""Multi-label calibration: log odds that are calibrated label by label, and thresholds tuned for F1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from tailwise.errors import TailwiseError
from tailwise.posthoc._calibrate import LOG_RANGE
from tailwise.posthoc._steps import Step
from tailwise.settings import number
from tailwise.tensors import to_dense

#: Weight, in examples, of the F1 that the probabilities predict. On tags of packages, with an MLP, macro F1 was 0.185
#: at weight 0.5, 0.190 at 2, 0.194 at 5 and 0.198 at 20, and micro F1 rose by 0.21.
_BORROWED = 20


def fit_label_wise(scores: ArrayLike, rows: ArrayLike, *, strength: float = 1.0) -> Step:
    """Return the step with one scale and a bias per label that turns held-out scores into log odds.

    A Gaussian prior pulls biases towards their mean with the weight of ``strength`` examples. A label with a few
    held-out examples therefore keeps the common calibration, and one with thousands gets its own.

    Parameters
    ----------
    scores : (n, n_labels) of examples that were not trained on; larger means more likely
    rows : (n, n_labels) indicator, 1 if an example has a label, else 0
    strength : strength of the prior; ``strength / 2 * (bias - mean bias)**2`` is added to the total loss

    Source: Platt, Probabilistic Outputs for Support Vector Machines, Advances in Large Margin Classifiers 1999, applied
    to each label, with a common scale and biases that share a prior.

    Raises
    ------
    TailwiseError
        If the shapes of scores and rows differ, a score is not finite, rows hold other numbers than 0 and 1, or
        ``strength`` is negative.

    Examples
    --------
    The same score is worth more for a label that is more common:

    >>> import numpy as np
    >>> scores = np.array([[2.0, 2.0], [2.0, 2.0], [-2.0, -2.0], [-2.0, -2.0]] * 100)
    >>> rows = np.array([[1, 1], [1, 0], [1, 0], [0, 0]] * 100)
    >>> step = fit_label_wise(scores, rows)
    >>> (1 / (1 + np.exp(-step([[2.0, 2.0], [-2.0, -2.0]])))).round(1).tolist()
    [[1.0, 0.5], [0.5, 0.0]]
    """
    strength = number("strength", strength, 0, np.inf)
    z, y = _held_out(scores, rows)
    n, k = z.shape
    deviation = float(z.std()) or 1.0
    z = z / deviation
    counts = y.sum(axis=0)
    unit = np.sqrt(n * k / (counts + max(strength, 1)))  # so that the loss has similar curvature along all biases
    unit_of_mean = np.sqrt(n * k / max(counts.sum(), 1))
    hits = float(z[y].sum())

    def loss(parameters: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        scale, mean, own = np.exp(parameters[0]), parameters[1] * unit_of_mean, parameters[2:] * unit
        log_odds = z * scale + (mean + own)
        value = np.logaddexp(0, log_odds).sum() - scale * hits - counts @ (mean + own) + strength / 2 * (own @ own)
        p = expit(log_odds)
        by_label = p.sum(axis=0) - counts
        by_scale = scale * (float(np.vdot(p, z)) - hits)
        moves = np.concatenate([[by_scale, by_label.sum() * unit_of_mean], (by_label + strength * own) * unit])
        return value / (n * k), moves / (n * k)

    bounds = [(-LOG_RANGE, LOG_RANGE)] + [(None, None)] * (k + 1)
    fitted = minimize(loss, np.zeros(k + 2), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200}).x
    return Step.of(
        "label-wise calibration", fitted[1] * unit_of_mean + fitted[2:] * unit, float(np.exp(fitted[0])) / deviation
    )


def tune_f1(log_odds: ArrayLike, rows: ArrayLike, *, pooled: bool = False) -> Step:
    """Return the step that moves each label's decision threshold from probability one half to the best F1.

    A threshold is half-way, in log odds, between the examples that it parts, or one half if that parts them too.

    With only a few held-out examples, the best threshold would fit them by chance. The F1 of a label is therefore a
    weighted mean of two: that of its own examples, and that which the probabilities predict, with the weight of twenty
    examples. A label without held-out examples keeps the threshold of one half.

    Parameters
    ----------
    log_odds : (n, n_labels) of calibrated probabilities, for examples that were not trained on
    rows : (n, n_labels) indicator, 1 if an example has a label, else 0
    pooled : use one threshold for all labels, which maximises micro F1 instead of the F1 of each label

    Source: Lipton, Elkan and Naryanaswamy, Optimal Thresholding of Classifiers to Maximize F1 Measure, ECML PKDD 2014:
    thresholds on probabilities, and why those of rare labels must not be tuned on their own examples alone.

    Raises
    ------
    TailwiseError
        If the shapes of log odds and rows differ, log odds are not finite, or rows hold other numbers than 0 and 1.

    Examples
    --------
    A rare label that is never likely, but likelier where it is true:

    >>> import numpy as np
    >>> log_odds, rows = np.repeat([[-4.0], [-1.0]], [950, 50], axis=0), np.repeat([[0], [1]], [950, 50], axis=0)
    >>> (log_odds > 0).sum(), (tune_f1(log_odds, rows)(log_odds) > 0).sum()
    (np.int64(0), np.int64(50))
    """
    z, y = _held_out(log_odds, rows)
    if pooled:
        threshold = _best_threshold(z.ravel(), y.ravel().astype(np.float64)) if y.any() else 0.0
        return Step.of("tuned threshold", np.full(z.shape[1], -threshold))
    bias = np.zeros(z.shape[1])
    for label in np.flatnonzero(y.any(axis=0)):
        leaning = _BORROWED / (_BORROWED + np.count_nonzero(y[:, label]))
        expected = (1 - leaning) * y[:, label] + leaning * expit(z[:, label])
        bias[label] = -_best_threshold(z[:, label], expected)
    return Step.of("tuned thresholds", bias)


def _best_threshold(z: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Return the threshold with the best F1, given the expected label (0 to 1) of each example; 0 if none is better."""
    order = np.argsort(-z, kind="stable")
    ranked = z[order]
    f1 = 2 * np.cumsum(expected[order]) / (expected.sum() + np.arange(1, len(z) + 1))
    f1[:-1][ranked[1:] == ranked[:-1]] = -1  # no threshold separates equal scores
    last = int(f1.argmax())
    lowest = float(ranked[last])  # of those that get the label
    next_lower = float(ranked[last + 1]) if last + 1 < len(z) else min(lowest, 0) - 2
    return 0.0 if next_lower <= 0 < lowest else (lowest + next_lower) / 2


def _held_out(scores: ArrayLike, rows: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    z, y = to_dense(scores).astype(np.float64, copy=False), to_dense(rows)
    if z.ndim != 2 or y.shape != z.shape or not len(z):
        raise TailwiseError(f"scores and rows must both be (n, n_labels), n at least 1; got {z.shape}, {y.shape}.")
    if not np.isfinite(z).all():
        raise TailwiseError("scores must be finite; some are NaN or infinite.")
    has = y == 1
    if not (has | (y == 0)).all():
        raise TailwiseError("rows must be an indicator of 0 and 1.")
    return z, has
