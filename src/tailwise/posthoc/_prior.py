"""Class priors: moving scores from one to another, and finding out which one new data has."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import class_prior, log_prior
from tailwise.errors import TailwiseError
from tailwise.posthoc._steps import Step


def logit_adjustment(class_counts: ArrayLike, tau: float = 1.0) -> Step:
    """Return the step that subtracts ``tau * log(prior)`` from scores.

    With tau 1 and scores that are log-probabilities under the training prior, the largest adjusted score is the Bayes
    decision for balanced accuracy. With tau 0, or equal counts, decisions do not change.

    Parameters
    ----------
    class_counts : (n_classes,); a class without examples counts as one with a single example, so that it stays finite
    tau : strength, 0 or more

    Source: Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021, equation 9.

    Raises
    ------
    TailwiseError
        If the counts cannot be used, or tau is negative.
    """
    if not (np.isfinite(tau) and tau >= 0):
        raise TailwiseError(f"tau must be 0 or more; got {tau}.")
    return Step.of(f"logit adjustment, tau {tau:g}", -tau * log_prior(class_counts))


def prior_shift(source: ArrayLike, target: ArrayLike) -> Step:
    """Return the step that moves scores from the class prior they assume to another: ``+ log(target / source)``.

    Softmax of the result are the probabilities under the target prior if the scores' were right under the source and
    only the class shares differ (label shift).

    Parameters
    ----------
    source, target : (n_classes,) priors or counts. A zero in the source is raised to the smallest share that is not
        zero; a class with none in the target keeps 1e-300 of its probability, so that scores stay finite

    Source: Saerens, Latinne and Decaestecker, Neural Computation 2002, equation 2.4; Elkan, IJCAI 2001, theorem 2.

    Raises
    ------
    TailwiseError
        If a prior cannot be used, or they are of different lengths.
    """
    after, before = log_prior(target, floor=1e-300), log_prior(source)
    if after.shape != before.shape:
        raise TailwiseError(
            f"the priors must be of as many classes; the source has {before.size}, the target {after.size}."
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
    """Return the class prior of unlabelled data by expectation maximisation.

    Parameters
    ----------
    proba : (n, n_classes) probabilities under the source prior; they must be calibrated there
    source_prior : (n_classes,)
    strength : how many further examples that follow the source prior are added, which hold the estimate there where
        data is scarce or says little (a Dirichlet prior); 0 is the paper's maximum likelihood
    tolerance : stop when no share moves by more
    max_iterations : bound on the steps

    Returns
    -------
    (n_classes,) prior that makes the data likeliest. A class with no share in the source keeps none, and a row with
    probability of no other says nothing.

    Source: Saerens, Latinne and Decaestecker, Adjusting the Outputs of a Classifier to New a Priori Probabilities,
    Neural Computation 2002, equations 2.9 and 2.10.

    Raises
    ------
    TailwiseError
        If there is no row, the shapes do not fit, the rows are no probabilities, or none says anything.
    """
    if not 0 <= strength < np.inf:
        raise TailwiseError(f"strength must be 0 or more examples; got {strength}.")
    source = class_prior(source_prior)
    p = _probabilities(proba, source.size)
    ratio = np.divide(p, source, out=np.zeros_like(p), where=source > 0)
    if not ratio.any():
        raise TailwiseError("no row has probability of a class that the source has: give the prior it was trained on.")
    least = np.finfo(np.float64).tiny
    ratio /= np.maximum(ratio.max(axis=1, keepdims=True), least)  # a factor of a row's own changes no posterior
    prior = source.copy()
    for _ in range(max_iterations):
        # the sum over rows of ratio * prior / (ratio @ prior), without the posteriors themselves
        updated = prior * (ratio.T @ (1 / np.maximum(ratio @ prior, least))) + strength * source
        updated /= updated.sum()
        moved, prior = np.abs(updated - prior).max(), updated
        if moved <= tolerance:
            break
    return prior


def shift_p_value(proba: ArrayLike, source_prior: ArrayLike, prior: ArrayLike) -> float:
    """Return how likely unlabelled data is to favour a prior over the source's so much where nothing has shifted.

    The likelihood-ratio test: twice the gain in log-likelihood follows chi-squared with ``n_classes - 1`` degrees of
    freedom (Wilks, Annals of Mathematical Statistics 1938) if the probabilities are right.

    Parameters
    ----------
    proba : (n, n_classes) probabilities under the source prior
    source_prior, prior : (n_classes,); the prior is usually :func:`estimate_prior_em`'s of the same probabilities

    Raises
    ------
    TailwiseError
        If there is no row, the shapes do not fit, or the rows are no probabilities.
    """
    from scipy.stats import chi2

    source, target = class_prior(source_prior), class_prior(prior)
    p = _probabilities(proba, source.size)
    if source.size != target.size:
        raise TailwiseError(f"the priors must be of as many classes; got {source.size} and {target.size}.")
    ratio = np.divide(target, source, out=np.zeros_like(source), where=source > 0)
    gain = np.log(np.maximum(p @ ratio, np.finfo(np.float64).tiny)).sum()
    return float(chi2.sf(max(2 * gain, 0.0), max(np.count_nonzero(source) - 1, 1)))


def estimate_prior_bbse(
    held_out_labels: ArrayLike, held_out_predicted: ArrayLike, predicted: ArrayLike, n_classes: int
) -> NDArray[np.float64]:
    """Return the class prior of unlabelled data from how often each class is predicted there.

    Black-box shift estimation: the held-out confusion says how labels turn into predictions; the prior is the one,
    among all priors, whose predictions come nearest to those seen. It needs no probabilities, calibrated or not.

    Parameters
    ----------
    held_out_labels, held_out_predicted : (m,) codes on labelled data that was not trained on
    predicted : (n,) codes on the unlabelled data
    n_classes : number of classes

    Source: Lipton, Wang and Smola, Detecting and Correcting for Label Shift with Black Box Predictors, ICML 2018,
    equation 3.
    Deviates: least squares over the simplex instead of inverting the confusion matrix, which is singular as soon as a
    class is never predicted. Classes without a held-out example keep share zero.

    Raises
    ------
    TailwiseError
        If an array is empty, or lengths or codes do not fit.
    """
    y, h, p = (np.asarray(codes) for codes in (held_out_labels, held_out_predicted, predicted))
    if y.shape != h.shape or not y.size or not p.size:
        raise TailwiseError(
            f"held-out labels and predictions must pair up, and no array be empty; got {y.size}, {h.size}, {p.size}."
        )
    if any(codes.dtype.kind not in "iub" or codes.min() < 0 or codes.max() >= n_classes for codes in (y, h, p)):
        raise TailwiseError(f"class codes must be whole numbers between 0 and {n_classes - 1}.")
    y, h, p = (codes.astype(np.int64, copy=False) for codes in (y, h, p))
    joint = np.bincount(h * n_classes + y, minlength=n_classes**2).reshape(n_classes, n_classes).astype(float)
    support = joint.sum(axis=0)
    present = support > 0
    given_label = joint[:, present] / support[present]
    seen = np.bincount(p, minlength=n_classes) / p.size
    prior = np.zeros(n_classes)
    prior[present] = _simplex_least_squares(given_label, seen)
    return prior


def _probabilities(proba: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    p = np.asarray(proba, dtype=np.float64)
    if p.ndim != 2 or not len(p) or p.shape[1] != n_classes:
        raise TailwiseError(f"probabilities must be (n, {n_classes}) with at least a row; got {p.shape}.")
    if not (np.isfinite(p).all() and p.min() >= 0 and np.allclose(p.sum(axis=1), 1, atol=1e-2)):
        raise TailwiseError("the rows must be probabilities, which sum to 1; softmax turns scores into them.")
    return p


def _simplex_least_squares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the x with x >= 0 and sum 1 that minimises |a x - b|: non-negative least squares with a heavy sum row."""
    from scipy.optimize import nnls

    heavy = 1e4
    x, _ = nnls(np.vstack([a, np.full(a.shape[1], heavy)]), np.append(b, heavy))
    return x / x.sum()
