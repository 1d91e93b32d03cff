"""Class priors: convert scores from one prior to another, and estimate the prior of new data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import class_prior, log_prior
from tailwise.errors import TailwiseError
from tailwise.metrics.confusion import counted
from tailwise.posthoc._steps import Step
from tailwise.settings import number, whole
from tailwise.tensors import to_array, to_codes


def logit_adjustment(class_counts: ArrayLike, tau: float = 1.0) -> Step:
    """Return the step that subtracts ``tau * log(prior)`` from scores.

    With tau 1 and scores that are log-probabilities under the training prior, the largest adjusted score is the Bayes
    decision for balanced accuracy. With tau 0 or equal counts, decisions do not change.

    Parameters
    ----------
    class_counts : (n_classes,) training counts; a class without examples is treated as having one, so that its bias is
        finite
    tau : strength, 0 or more

    Source: Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021, equation 9.

    Raises
    ------
    TailwiseError
        If the counts cannot be used, or tau is negative.

    Examples
    --------
    A probability of 0.3 is more than usual for a class that makes up a tenth:

    >>> import numpy as np
    >>> log_proba = np.log([[0.7, 0.3], [0.95, 0.05]])
    >>> logit_adjustment([900, 100])(log_proba).argmax(axis=1).tolist()
    [1, 0]
    """
    tau = number("tau", tau, 0)
    return Step.of(f"logit adjustment, tau {tau:g}", -tau * log_prior(class_counts))


def prior_shift(source: ArrayLike, target: ArrayLike) -> Step:
    """Return the step that converts scores from one class prior to another: ``+ log(target / source)``.

    The softmax of the result gives the probabilities under the target prior, if those of the scores were correct under
    the source prior and only the class prior differs (label shift).

    Parameters
    ----------
    source, target : (n_classes,) priors or counts. A zero in the source is raised to one example, or to the smallest
        positive share; a class with zero in the target keeps 1e-300 of its probability, so that scores stay finite

    Source: Saerens, Latinne and Decaestecker, Neural Computation 2002, equation 2.4; Elkan, IJCAI 2001, theorem 2.

    Raises
    ------
    TailwiseError
        If a prior is invalid, or their lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> from tailwise.posthoc import softmax
    >>> to_uniform = prior_shift([900, 100], [1, 1])
    >>> softmax(to_uniform(np.log([[0.9, 0.1], [0.5, 0.5]]))).round(2).tolist()
    [[0.5, 0.5], [0.1, 0.9]]
    """
    after, before = log_prior(target, floor=1e-300), log_prior(source)
    if after.shape != before.shape:
        raise TailwiseError(
            f"both priors must have the same number of classes; the source has {before.size}, the target {after.size}."
        )
    shift = after - before
    return Step.of("prior shift", shift)


def estimate_prior_em(
    proba: ArrayLike,
    source_prior: ArrayLike,
    *,
    strength: float = 0.0,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
) -> NDArray[np.float64]:
    """Estimate the class prior of unlabelled data by expectation maximisation.

    Parameters
    ----------
    proba : (n, n_classes) calibrated probabilities under the source prior
    source_prior : (n_classes,) prior or counts
    strength : number of pseudo-examples that follow the source prior (a Dirichlet prior), which keep the estimate close
        to it if data is scarce or uninformative; 0 is the paper's maximum likelihood
    tolerance : stop when no share changes by more than this
    max_iterations : maximum number of steps of expectation maximisation, at least three

    Returns
    -------
    (n_classes,) prior that maximises the likelihood of the data. A class that is zero in the source stays zero, and a
    row that gives all its probability to such classes is ignored.

    Source: Saerens, Latinne and Decaestecker, Adjusting the Outputs of a Classifier to New a Priori Probabilities,
    Neural Computation 2002, equations 2.9 and 2.10; accelerated by Varadhan and Roland, Simple and Globally Convergent
    Methods for Accelerating the Convergence of Any EM Algorithm, Scandinavian Journal of Statistics 2008 (SQUAREM).

    Raises
    ------
    TailwiseError
        If there is no row, shapes do not match, rows are not probabilities, or all rows would be ignored.

    Examples
    --------
    A classifier that learned from balanced data sees data that is not. The mean of its probabilities misjudges the new
    prior:

    >>> import numpy as np
    >>> proba = np.array([[0.9, 0.1]] * 74 + [[0.1, 0.9]] * 26)
    >>> proba.mean(axis=0).round(2).tolist()
    [0.69, 0.31]
    >>> estimate_prior_em(proba, [0.5, 0.5]).round(2).tolist()
    [0.8, 0.2]
    """
    strength = number("strength", strength, 0)
    source = class_prior(source_prior)
    p = _probabilities(proba, source.size)
    ratio = np.divide(p, source, out=np.zeros_like(p), where=source > 0)
    if not ratio.any():
        raise TailwiseError("no row has probability on a class of the source prior: pass the training prior.")
    least = np.finfo(np.float64).tiny
    ratio /= np.maximum(ratio.max(axis=1, keepdims=True), least)  # scaling a row changes no posterior

    def step(prior: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Return the next prior, and the log-likelihood of the given one."""
        mixed = np.maximum(ratio @ prior, least)
        # the sum over rows of ratio * prior / mixed, without storing the posteriors
        updated = prior * (ratio.T @ (1 / mixed)) + strength * source
        likelihood = np.log(mixed).sum() + strength * (source @ np.log(np.maximum(prior, least)))
        return updated / updated.sum(), float(likelihood)

    prior = source.copy()
    for _ in range(max(1, max_iterations // 3)):
        first, _ = step(prior)
        second, reached = step(first)
        moved, bent = first - prior, second - 2 * first + prior
        if np.abs(moved).max() <= tolerance:
            return second
        stride = max(float(np.linalg.norm(moved)) / max(float(np.linalg.norm(bent)), float(least)), 1.0)
        leap = prior + 2 * stride * moved + stride**2 * bent
        leap = np.where(leap > 0, leap, second)
        landed, likelihood = step(leap / leap.sum())
        prior = landed if likelihood >= reached else second
    return prior


def shift_p_value(proba: ArrayLike, source_prior: ArrayLike, prior: ArrayLike) -> float:
    """Return the p-value of the likelihood-ratio test that unlabelled data still has the source prior.

    If it has, and the probabilities are correct, twice the gain in log-likelihood follows a chi-squared distribution
    with ``n_classes - 1`` degrees of freedom (Wilks, Annals of Mathematical Statistics 1938).

    Parameters
    ----------
    proba : (n, n_classes) probabilities under the source prior
    source_prior : (n_classes,) prior or counts
    prior : (n_classes,) estimated prior, usually from :func:`estimate_prior_em` on the same probabilities

    Raises
    ------
    TailwiseError
        If there is no row, shapes do not match, or rows are not probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from tailwise.posthoc import estimate_prior_em
    >>> proba = np.array([[0.9, 0.1]] * 74 + [[0.1, 0.9]] * 26)
    >>> prior = estimate_prior_em(proba, [0.5, 0.5])
    >>> shift_p_value(proba, [0.5, 0.5], prior) < 0.001
    True
    """
    from scipy.stats import chi2

    source, target = class_prior(source_prior), class_prior(prior)
    p = _probabilities(proba, source.size)
    if source.size != target.size:
        raise TailwiseError(f"both priors must have the same number of classes; got {source.size} and {target.size}.")
    ratio = np.divide(target, source, out=np.zeros_like(source), where=source > 0)
    gain = np.log(np.maximum(p @ ratio, np.finfo(np.float64).tiny)).sum()
    return float(chi2.sf(max(2 * gain, 0.0), max(np.count_nonzero(source) - 1, 1)))


def estimate_prior_bbse(
    held_out_labels: ArrayLike, held_out_predicted: ArrayLike, predicted: ArrayLike, n_classes: int
) -> NDArray[np.float64]:
    """Estimate the class prior of unlabelled data from how often each class is predicted there.

    Black-box shift estimation: the held-out confusion matrix tells how labels turn into predictions. The estimate is
    the prior whose expected predictions are closest to the observed ones. It needs no probabilities.

    Parameters
    ----------
    held_out_labels, held_out_predicted : (m,) codes on labelled data that was not trained on
    predicted : (n,) codes on the unlabelled data
    n_classes : number of classes

    Source: Lipton, Wang and Smola, Detecting and Correcting for Label Shift with Black Box Predictors, ICML 2018,
    equation 3.
    Deviates: least squares over the simplex instead of the inverse of the confusion matrix, which is singular as soon
    as a class is never predicted. Classes without a held-out example get share zero.

    Raises
    ------
    TailwiseError
        If an array is empty, lengths differ, or a code is out of range.

    Examples
    --------
    A fifth of each class was predicted as the other where labels are known, which is made up for:

    >>> labels, predicted = [0] * 10 + [1] * 10, [0] * 8 + [1] * 2 + [0] * 2 + [1] * 8
    >>> estimate_prior_bbse(labels, predicted, [0] * 62 + [1] * 38, n_classes=2).round(2).tolist()
    [0.7, 0.3]
    """
    whole("n_classes", n_classes, 1)
    y, h, p = (to_codes(codes) for codes in (held_out_labels, held_out_predicted, predicted))
    if y.shape != h.shape or not y.size or not p.size:
        raise TailwiseError(
            f"held-out labels and predictions must pair up and not be empty; got {y.size}, {h.size}, {p.size}."
        )
    if any(codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= n_classes for codes in (y, h, p)):
        raise TailwiseError(f"class codes must be whole numbers between 0 and {n_classes - 1}.")
    y, h, p = (codes.astype(np.int64, copy=False) for codes in (y, h, p))
    joint = counted(h, y, n_classes, n_classes).astype(float)
    support = joint.sum(axis=0)
    present = support > 0
    given_label = joint[:, present] / support[present]
    seen = np.bincount(p, minlength=n_classes) / p.size
    prior = np.zeros(n_classes)
    prior[present] = _simplex_least_squares(given_label, seen)
    return prior


def _probabilities(proba: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    p = np.asarray(to_array(proba), dtype=np.float64)
    if p.ndim != 2 or not len(p) or p.shape[1] != n_classes:
        raise TailwiseError(f"probabilities must be (n, {n_classes}) with at least one row; got shape {p.shape}.")
    if not (np.isfinite(p).all() and p.min() >= 0 and np.allclose(p.sum(axis=1), 1, atol=1e-2)):
        raise TailwiseError("rows must be probabilities that sum to 1: apply softmax to scores first.")
    return p


def _simplex_least_squares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the x >= 0 with sum 1 that minimises |a x - b|: non-negative least squares with a heavy sum row."""
    from scipy.optimize import nnls

    heavy = 1e4
    x, _ = nnls(np.vstack([a, np.full(a.shape[1], heavy)]), np.append(b, heavy))
    return x / x.sum()
