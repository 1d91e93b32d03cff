"""Calibration: probabilities that say how often one is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar

from tailwise.errors import TailwiseError
from tailwise.posthoc._steps import Step, held_out, log_softmax

_LOG_RANGE = float(np.log(100.0))  # temperatures between 1/100 and 100


def fit_temperature(scores: ArrayLike, labels: ArrayLike, sample_weight: ArrayLike | None = None) -> Step:
    """Return the step that divides scores by the temperature under which held-out labels are likeliest.

    Parameters
    ----------
    scores : (n, n_classes) of examples that were not trained on
    labels : (n,) class codes
    sample_weight : (n,) how many examples each one stands for, where they are a sample that favours some classes

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 9.
    Deviates: the temperature stays within 1/100 and 100, which matters only where held-out data is separated perfectly.

    Raises
    ------
    TailwiseError
        If scores, labels or weights do not fit together, as for all that is fitted on held-out examples.
    """
    z, y, weights = held_out(scores, labels, sample_weight)
    rows = np.arange(len(y))

    def loss(log_scale: float) -> float:
        return -float(np.average(log_softmax(z * np.exp(log_scale))[rows, y], weights=weights))

    best = minimize_scalar(loss, bounds=(-_LOG_RANGE, _LOG_RANGE), method="bounded", options={"xatol": 1e-6})
    scale = float(np.exp(best.x)) if loss(best.x) < loss(0.0) else 1.0  # equal scores are as likely at any
    return Step.of(f"temperature {1 / scale:.3g}", np.zeros(z.shape[1]), scale)


def fit_class_wise(
    scores: ArrayLike, labels: ArrayLike, sample_weight: ArrayLike | None = None, *, strength: float = 10.0
) -> Step:
    """Return the step of a temperature and one bias per class under which held-out labels are likeliest.

    A bias is held to zero as firmly as ``strength`` further examples would, so that a class with a handful of held-out
    examples keeps the common calibration and one with thousands gets its own. The less it is held, the nearer a class
    is on average as probable as it is frequent among the held-out examples.

    Parameters
    ----------
    scores, labels, sample_weight : as for :func:`fit_temperature`
    strength : of the Gaussian prior on the biases: ``strength / 2 * bias**2`` is added to the total loss

    Source: vector scaling, Guo et al., ICML 2017, section 4.2, with one common scale and the off-diagonal and intercept
    regularisation (ODIR) idea of Kull et al., Beyond Temperature Scaling, NeurIPS 2019, for the biases.
    """
    if not strength >= 0:
        raise TailwiseError(f"strength must be 0 or more; got {strength}.")
    z, y, w = held_out(scores, labels, sample_weight)
    n, k = z.shape
    rows = np.arange(n)
    counts, total = np.bincount(y, w, minlength=k), w.sum()
    unit = np.sqrt(total / (counts + max(strength, 1)))  # of the biases, so that the loss bends alike along all of them

    def loss(parameters: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        scale, bias = np.exp(parameters[0]), parameters[1:] * unit
        log_p = log_softmax(z * scale + bias)
        p = w[:, None] * np.exp(log_p)
        by_class = p.sum(axis=0) - counts
        by_scale = scale * ((p * z).sum() - w @ z[rows, y])
        value = -(w @ log_p[rows, y]) + strength / 2 * (bias**2).sum()
        return value / total, np.concatenate([[by_scale], (by_class + strength * bias) * unit]) / total

    start = np.zeros(k + 1)
    start[0] = np.log(fit_temperature(z, y, w).scale)
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-_LOG_RANGE, _LOG_RANGE)] + [(None, None)] * k)
    return Step.of("class-wise calibration", fitted.x[1:] * unit, float(np.exp(fitted.x[0])))
