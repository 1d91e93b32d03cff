"""Calibration: probabilities that match how often predictions are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar

from tailwise.errors import TailwiseError
from tailwise.posthoc._steps import Step, held_out
from tailwise.settings import number

LOG_RANGE = float(np.log(100.0))  # scales between 1/100 and 100


def fit_temperature(scores: ArrayLike, labels: ArrayLike, sample_weight: ArrayLike | None = None) -> Step:
    """Return the step that divides scores by the temperature that maximises the likelihood of held-out labels.

    Parameters
    ----------
    scores : (n, n_classes) of examples that were not trained on
    labels : (n,) class codes
    sample_weight : (n,) number of examples that each one represents, if the sample favours some classes

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 9.
    Deviates: the logarithm of the temperature has a Gaussian prior of mean 0 and deviation 1, so that a temperature of
    1/e costs half a nat of the total log-likelihood, one of 1/e^3 four and a half. Where a few held-out examples happen
    to be told apart perfectly, any sharper temperature would be likelier, and every prediction certain. It is also
    limited to between 1/100 and 100. Margins of an arbitrary unit are best scaled to unit deviation before.

    Raises
    ------
    TailwiseError
        If scores, labels and weights do not have matching shapes, or one of them has invalid values.

    Examples
    --------
    Scores that promise 98 % where 75 % are right are divided by about 3.6:

    >>> from tailwise.posthoc import softmax
    >>> scores = [[4.0, 0.0]] * 400
    >>> step = fit_temperature(scores, [0] * 300 + [1] * 100)
    >>> softmax(scores[:1]).round(2).tolist(), softmax(step(scores[:1])).round(2).tolist()
    ([[0.98, 0.02]], [[0.75, 0.25]])
    """
    z, y, weights = held_out(scores, labels, sample_weight)
    below_top = z - z.max(axis=1, keepdims=True)
    own, scaled = below_top[np.arange(len(y)), y], np.empty_like(z)  # made once: large arrays are slow to come by

    def loss(log_scale: float) -> float:
        scale = np.exp(log_scale)
        total = np.exp(np.multiply(below_top, scale, out=scaled), out=scaled).sum(axis=1)
        return log_scale**2 / (2 * weights.sum()) + float(np.average(np.log(total) - scale * own, weights=weights))

    tried = np.linspace(-LOG_RANGE, LOG_RANGE, 9)  # the likelihood and its prior may have a maximum each
    near = int(np.argmin([loss(log_scale) for log_scale in tried]))
    bounds = tried[max(near - 1, 0)], tried[min(near + 1, len(tried) - 1)]
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    scale = float(np.exp(best.x)) if loss(best.x) < loss(0.0) else 1.0  # no gain, as for equal scores: keep them
    return Step.of(f"temperature {1 / scale:.3g}", np.zeros(z.shape[1]), scale)


def fit_class_wise(
    scores: ArrayLike,
    labels: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    strength: float = 10.0,
    shift: Step | None = None,
) -> Step:
    """Return the step with one temperature and a bias per class that maximises the likelihood of held-out labels.

    The temperature has the prior of :func:`fit_temperature`; another pulls biases towards zero with the weight of
    ``strength`` examples. A class with a few held-out examples therefore keeps the common calibration, and one with
    thousands gets its own. The weaker the prior, the closer the mean probability of a class is to its share of the
    held-out examples.

    Parameters
    ----------
    scores, labels, sample_weight : as for :func:`fit_temperature`
    strength : strength of the prior; ``strength / 2 * bias**2`` is added to the total loss
    shift : a step of :func:`prior_shift` to make beside; its biases get a common factor of their own, free of the
        prior, as the temperature of the scores is not that of the classes

    Source: vector scaling, Guo et al., ICML 2017, section 4.2, with one common scale, and biases regularised as in
    off-diagonal and intercept regularisation (ODIR), Kull et al., Beyond Temperature Scaling, NeurIPS 2019.
    Verified: the likelihood is that of a general minimiser, and the factor is the true one where the shift is.

    Raises
    ------
    TailwiseError
        If ``strength`` is negative, or as for :func:`fit_temperature`.

    Examples
    --------
    >>> from tailwise.posthoc import softmax
    >>> scores, labels = [[0.0, 0.0]] * 1000, [0] * 900 + [1] * 100
    >>> softmax(fit_temperature(scores, labels)(scores[:1])).round(1).tolist()
    [[0.5, 0.5]]
    >>> softmax(fit_class_wise(scores, labels)(scores[:1])).round(1).tolist()
    [[0.9, 0.1]]
    """
    strength = number("strength", strength, 0, np.inf)
    z, y, w = held_out(scores, labels, sample_weight)
    n, k = z.shape
    if shift is not None and np.size(shift.bias) not in (1, k):
        raise TailwiseError(f"the shift is for {np.size(shift.bias)} classes, but the scores are of {k}.")
    rows = np.arange(n)
    counts, total = np.bincount(y, w, minlength=k), w.sum()
    known = np.zeros(k) if shift is None else np.asarray(shift.bias)
    p = np.empty_like(z)  # made once, as above
    # of the biases: the loss then has similar curvature along all of them
    unit = np.sqrt(total / (counts + max(strength, 1)))

    def loss(parameters: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        scale, factor, bias = np.exp(parameters[0]), parameters[1], parameters[2:] * unit
        np.add(np.multiply(z, scale, out=p), factor * known + bias, out=p)
        np.subtract(p, p.max(axis=1, keepdims=True), out=p)
        own = p[rows, y]
        each = np.exp(p, out=p).sum(axis=1)
        np.multiply(p, (w / each)[:, None], out=p)
        by_class = p.sum(axis=0) - counts
        by_scale = scale * (np.einsum("ij,ij", p, z) - w @ z[rows, y])
        value = w @ (np.log(each) - own) + strength / 2 * (bias**2).sum() + parameters[0] ** 2 / 2
        return value / total, np.concatenate(
            [[by_scale + parameters[0], by_class @ known], (by_class + strength * bias) * unit]
        ) / total

    start = np.zeros(k + 2)
    start[0], start[1] = np.log(fit_temperature(z + known, y, w).scale), 1.0
    bounds = [(-LOG_RANGE, LOG_RANGE), *[(None, None)] * (k + 1)]
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    bias = fitted.x[1] * known + fitted.x[2:] * unit
    return Step.of("class-wise calibration", bias, float(np.exp(fitted.x[0])))
