"""Class counts and what follows from them alone: prior, imbalance, weights, head/medium/tail groups.

Everything here takes *class counts*, a 1-D array of length ``n_classes`` with the number of training examples
of each class (zero is allowed), and returns NumPy.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError

Weighting = Literal["inverse", "sqrt", "effective", "none"]


def check_counts(class_counts: ArrayLike) -> NDArray[np.float64]:
    """Return class counts as a 1-D float64 array.

    Raises
    ------
    TailwiseError
        If they are not 1-D, are empty, hold a negative or non-finite number, or are all zero.
    """
    if hasattr(class_counts, "detach"):  # a tensor, of any type and on any device
        class_counts = class_counts.detach().cpu().tolist()
    try:
        counts = np.asarray(class_counts, dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(class_counts).__name__
        raise TailwiseError(f"class counts must be numbers in the order of the classes; got {kind}.") from None
    if counts.ndim != 1 or counts.size == 0:
        raise TailwiseError(f"class counts must be one row of numbers, one per class; got shape {counts.shape}.")
    bad = np.flatnonzero(~np.isfinite(counts) | (counts < 0))
    if bad.size:
        raise TailwiseError(f"class counts must be finite and not negative; class {bad[0]} has {counts[bad[0]]}.")
    if not counts.any():
        raise TailwiseError("class counts are all zero: there is no example to learn from.")
    return counts


def class_counts(labels: ArrayLike, n_classes: int | None = None) -> NDArray[np.int64]:
    """Count the examples of each class.

    Parameters
    ----------
    labels : (n,) integer class codes; negative codes mean "no label" and are left out
    n_classes : number of classes; by default the largest code plus one

    Returns
    -------
    (n_classes,) int64

    Raises
    ------
    TailwiseError
        If a label is not an integer or is ``n_classes`` or more.
    """
    codes = np.asarray(labels)
    if codes.ndim != 1 or (codes.size and codes.dtype.kind not in "iub"):
        raise TailwiseError(f"labels must be one row of integer class codes; got {codes.dtype} {codes.shape}.")
    codes = codes[codes >= 0] if codes.dtype.kind == "i" else codes
    if n_classes is not None and codes.size and int(codes.max()) >= n_classes:
        raise TailwiseError(f"label {int(codes.max())} is out of range for {n_classes} classes.")
    return np.bincount(codes.astype(np.intp, copy=False), minlength=n_classes or 0).astype(np.int64, copy=False)


def class_prior(class_counts: ArrayLike) -> NDArray[np.float64]:
    """Return class counts over their sum."""
    counts = check_counts(class_counts)
    return counts / counts.sum()


def floored_counts(class_counts: ArrayLike, floor: float = 1.0) -> NDArray[np.float64]:
    """Return class counts with zeros raised to ``floor`` of an example, or of the smallest share if they are shares."""
    counts = check_counts(class_counts)
    least = max(floor * min(1.0, counts[counts > 0].min()), np.finfo(np.float64).tiny)
    return np.where(counts > 0, counts, least)


def log_prior(class_counts: ArrayLike, floor: float = 1.0) -> NDArray[np.float64]:
    """Return the logarithm of the class prior, finite for a class without examples; see :func:`floored_counts`."""
    return np.log(class_prior(floored_counts(class_counts, floor)))


def imbalance_factor(class_counts: ArrayLike) -> float:
    """Return the largest class count over the smallest that is not zero."""
    counts = check_counts(class_counts)
    return float(counts.max() / counts[counts > 0].min())


def gini(class_counts: ArrayLike) -> float:
    """Return the Gini coefficient of the class counts: 0 when all are equal, towards 1 when one class has all."""
    counts = np.sort(check_counts(class_counts))
    rank = np.arange(1, counts.size + 1)
    return float(((2 * rank - counts.size - 1) * counts).sum() / (counts.size * counts.sum()))


def effective_classes(class_counts: ArrayLike) -> float:
    """Return the effective number of classes: the exponential of the entropy of the class prior."""
    prior = class_prior(class_counts)
    prior = prior[prior > 0]
    return float(np.exp(-(prior * np.log(prior)).sum()))


def effective_number(class_counts: ArrayLike, beta: float = 0.9999) -> NDArray[np.float64]:
    """Return the effective number of examples of each class, ``(1 - beta^n) / (1 - beta)``.

    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, equation 2.

    Raises
    ------
    TailwiseError
        If ``beta`` is not in [0, 1).
    """
    counts = check_counts(class_counts)
    if not 0 <= beta < 1:
        raise TailwiseError(f"beta must be at least 0 and less than 1; got {beta}.")
    if beta == 0:
        return (counts > 0).astype(np.float64)
    return -np.expm1(counts * np.log(beta)) / (1 - beta)


def smoothed_counts(class_counts: ArrayLike, sigma: float = 2.0) -> NDArray[np.float64]:
    """Return the effective label density of ordered classes: their counts under a Gaussian kernel.

    Parameters
    ----------
    class_counts : (n_classes,) in the order of the classes
    sigma : deviation of the kernel, in classes; 0 returns the counts

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021 (LDS).
    Deviates: the authors' code (imbalanced-regression, agedb-dir/datasets.py) cuts the kernel at two classes to
    either side, finds nothing beyond the ends, so that end classes look rarer, and clips counts to [5, 1000] first.
    Here the kernel is whole and the ends are reflected, so that the counts keep their sum.

    Raises
    ------
    TailwiseError
        If ``sigma`` is negative or not finite.
    """
    counts = check_counts(class_counts)
    if not 0 <= sigma < np.inf:
        raise TailwiseError(f"sigma must be 0 or more, and finite; got {sigma}.")
    if sigma == 0:
        return counts
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(counts, sigma, mode="reflect")


def class_weights(
    class_counts: ArrayLike, scheme: Weighting = "inverse", beta: float = 0.9999, sigma: float = 0.0
) -> NDArray[np.float64]:
    """Return one weight per class, scaled so that the average weight of a training example is 1.

    Parameters
    ----------
    class_counts : (n_classes,)
    scheme : ``"inverse"`` (one over the count), ``"sqrt"`` (one over its root), ``"effective"`` (one over the
        effective number, Cui et al. 2019, equation 4) or ``"none"``
    beta : for ``"effective"``
    sigma : for classes in order, whose weights are of :func:`smoothed_counts`; by default, of the counts themselves

    A class whose count is 0, smoothed, gets weight 0: it has nothing to be weighted, and changes no other class.
    """
    counts, density = check_counts(class_counts), smoothed_counts(class_counts, sigma)
    try:
        scale = {
            "inverse": lambda: density,
            "sqrt": lambda: np.sqrt(density),
            "effective": lambda: effective_number(density, beta),
            "none": lambda: np.ones_like(density),
        }[scheme]()
    except KeyError:
        raise TailwiseError(f"unknown weighting {scheme!r}: use inverse, sqrt, effective or none.") from None
    weights = np.divide(1.0, scale, out=np.zeros_like(counts), where=density > 0)
    return weights * counts.sum() / (weights * counts).sum()


def capped_counts(class_counts: ArrayLike, total: int) -> NDArray[np.int64]:
    """Return how many examples of each class to keep so that there are ``total`` at most and the tail stays whole.

    Every class keeps all its examples up to a common cap, the largest that fits.

    Raises
    ------
    TailwiseError
        If the counts cannot be used, or ``total`` is less than one example per class.
    """
    counts = check_counts(class_counts).astype(np.int64)
    if total < np.count_nonzero(counts):
        raise TailwiseError(f"{total} rows are fewer than the {np.count_nonzero(counts)} classes.")
    if counts.sum() <= total:
        return counts
    ascending = np.sort(counts)
    below = np.cumsum(ascending) - ascending  # kept by the smaller classes if the cap is this class's count
    caps = (total - below) // np.arange(len(counts), 0, -1)
    cap = caps[caps <= ascending].max()
    return np.minimum(counts, cap)


def shot_groups(class_counts: ArrayLike, many: float = 100, few: float = 20) -> dict[str, NDArray[np.intp]]:
    """Split the classes into ``many``, ``medium`` and ``few`` shot by their training counts.

    Parameters
    ----------
    class_counts : (n_classes,) counts of the *training* set
    many, few : more than ``many`` examples is many-shot, fewer than ``few`` is few-shot
        (Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019)

    Returns
    -------
    group name -> class codes, in that order; a group without classes is absent.
    """
    counts = check_counts(class_counts)
    masks = {"many": counts > many, "medium": (counts <= many) & (counts >= few), "few": counts < few}
    return {name: np.flatnonzero(mask) for name, mask in masks.items() if mask.any()}


def shot_thresholds(class_counts: ArrayLike) -> tuple[float, float]:
    """Return the ``many`` and ``few`` thresholds that suit these counts.

    The field's 100 and 20 where they put classes in at least two groups; otherwise (a small set, say) thresholds that
    put the upper and the lower third of the distinct counts outside. Of two classes the larger is many-shot and the
    smaller few-shot; classes that are all equal are all medium-shot.
    """
    counts = check_counts(class_counts)
    groups = shot_groups(counts)
    if len(groups) > 1 and (counts.size > 2 or "medium" not in groups):
        return 100.0, 20.0
    distinct = np.unique(counts[counts > 0])
    third = round(distinct.size / 3)
    many, few = distinct[distinct.size - 1 - third], distinct[third]
    if many < few:  # two counts, with nothing between them
        many = (many + few) // 2
        few = many + 1
    return float(many), float(few)
