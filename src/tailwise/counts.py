"""Quantities derived from class counts: prior, imbalance, weights, many-, medium- and few-shot groups.

*Class counts* are a 1-D array of length ``n_classes`` with the number of training examples of each class; zeros are
allowed. All functions return NumPy arrays or plain numbers.

Examples
--------
>>> from tailwise.counts import class_counts, class_weights, imbalance_factor
>>> counts = class_counts([0, 0, 0, 0, 0, 0, 1, 1, 2])
>>> counts.tolist(), imbalance_factor(counts)
([6, 2, 1], 6.0)
>>> class_weights(counts).tolist()
[0.5, 1.5, 3.0]
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.settings import number
from tailwise.tensors import to_codes

Weighting = Literal["inverse", "sqrt", "effective", "none"]


_CODES = 1 << 24  # class codes that are taken for such however few the labels are


def check_counts(class_counts: ArrayLike) -> NDArray[np.float64]:
    """Return class counts as an (n_classes,) float64 array.

    Raises
    ------
    TailwiseError
        If they are not 1-D, are empty, hold a negative or non-finite number, or are all zero, or if they are a pandas
        series whose index is not sorted, as that of ``value_counts``: their order is not that of the classes.
    """
    if not getattr(getattr(class_counts, "index", None), "is_monotonic_increasing", True):
        raise TailwiseError("class counts must be in the order of the classes, as by value_counts().sort_index().")
    given = to_codes(class_counts)
    try:
        counts = given.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        kind = type(class_counts).__name__
        raise TailwiseError(f"class counts must be numbers in the order of the classes; got {kind}.") from None
    if counts.ndim != 1 or counts.size == 0:
        raise TailwiseError(f"class counts must be 1-D, one number per class; got shape {counts.shape}.")
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
    labels : (n,) integer class codes; negative codes mean "no label" and are not counted
    n_classes : number of classes; by default the largest code plus one

    Returns
    -------
    (n_classes,) int64

    Raises
    ------
    TailwiseError
        If a label is not an integer or is ``n_classes`` or more.
    """
    codes = to_codes(labels)
    if codes.ndim != 1 or (codes.size and codes.dtype.kind not in "iu"):
        raise TailwiseError(f"labels must be (n,) integer class codes; got {codes.dtype} of shape {codes.shape}.")
    codes = codes[codes >= 0] if codes.dtype.kind == "i" else codes
    largest = int(codes.max(initial=0))
    if n_classes is not None and codes.size and largest >= n_classes:
        raise TailwiseError(f"label {largest} is out of range for {n_classes} classes.")
    check_codes(largest, codes.size)
    return np.bincount(codes.astype(np.intp, copy=False), minlength=n_classes or 0).astype(np.int64, copy=False)


def check_codes(largest: int, n: int) -> None:
    """Raise TailwiseError if the largest of n labels shows that they are no codes of classes but numbers of things."""
    if largest > _CODES and largest > n:
        raise TailwiseError(
            f"label {largest} of {n} labels is no class code: codes count from 0, as by np.unique(return_inverse=True)."
        )


def class_prior(class_counts: ArrayLike) -> NDArray[np.float64]:
    """Return the (n_classes,) class prior: class counts divided by their sum."""
    counts = check_counts(class_counts)
    return counts / counts.sum()


def floored_counts(class_counts: ArrayLike, floor: float = 1.0) -> NDArray[np.float64]:
    """Return class counts with each zero replaced by ``floor``, or by ``floor`` times the smallest count if below 1."""
    counts = check_counts(class_counts)
    least = max(floor * min(1.0, counts[counts > 0].min()), np.finfo(np.float64).tiny)
    return np.where(counts > 0, counts, least)


def log_prior(class_counts: ArrayLike, floor: float = 1.0) -> NDArray[np.float64]:
    """Return the logarithm of the class prior, finite even for classes without examples (:func:`floored_counts`)."""
    return np.log(class_prior(floored_counts(class_counts, floor)))


def imbalance_factor(class_counts: ArrayLike) -> float:
    """Return the largest class count divided by the smallest positive one.

    Examples
    --------
    Classes without examples do not count:

    >>> imbalance_factor([500, 40, 5, 0])
    100.0
    """
    counts = check_counts(class_counts)
    return float(counts.max() / counts[counts > 0].min())


def gini(class_counts: ArrayLike) -> float:
    """Return the Gini coefficient of the class counts: 0 if all are equal, close to 1 if one of many has everything."""
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

    Parameters
    ----------
    class_counts : (n_classes,)
    beta : from 0 (every class counts once) to below 1 (close to it, the counts themselves)

    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, equation 2.

    Raises
    ------
    TailwiseError
        If ``beta`` is not in [0, 1).

    Examples
    --------
    Near-duplicates in a large class add little, so its effective number grows more slowly than its count:

    >>> effective_number([10, 1_000, 100_000]).round().tolist()
    [10.0, 952.0, 10000.0]
    >>> effective_number([10, 1_000, 100_000], beta=0.99).round().tolist()
    [10.0, 100.0, 100.0]
    """
    counts = check_counts(class_counts)
    if not 0 <= number("beta", beta) < 1:
        raise TailwiseError(f"beta must be at least 0 and less than 1; got {beta}.")
    if beta == 0:
        return (counts > 0).astype(np.float64)
    return -np.expm1(counts * np.log(beta)) / (1 - beta)


def smoothed_counts(class_counts: ArrayLike, sigma: float = 2.0) -> NDArray[np.float64]:
    """Return the effective label density of ordered classes: their counts under a Gaussian kernel.

    Parameters
    ----------
    class_counts : (n_classes,) in the order of the classes
    sigma : standard deviation of the kernel, in classes; 0 returns the counts unchanged

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021 (LDS).
    Deviates: the authors' code (imbalanced-regression, agedb-dir/datasets.py) truncates the kernel at two classes on
    either side, pads with zeros at the ends, which makes end classes look rarer, and clips counts to [5, 1000] first.
    Here the kernel ends at four sigma, and counts are reflected at the ends, so that they keep their sum.

    Raises
    ------
    TailwiseError
        If ``sigma`` is negative or not finite.
    """
    counts = check_counts(class_counts)
    if number("sigma", sigma, 0) == 0:
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
    scheme : ``"inverse"`` (one over the count), ``"sqrt"`` (one over its square root), ``"effective"`` (one over the
        effective number, Cui et al. 2019, equation 4) or ``"none"`` (all equal)
    beta : for ``"effective"``, see :func:`effective_number`
    sigma : for ordered classes, width of the kernel of :func:`smoothed_counts`; by default counts are not smoothed

    Returns
    -------
    (n_classes,) weights. A class without examples, even after smoothing, gets weight 0 and does not affect the others

    Raises
    ------
    TailwiseError
        If the counts are invalid, the scheme is unknown, or ``beta`` or ``sigma`` is out of range.

    Examples
    --------
    By the inverse of its count, each class weighs the same in total; by the square root, a rare one weighs less:

    >>> class_weights([81, 9]).round(2).tolist()
    [0.56, 5.0]
    >>> class_weights([81, 9], "sqrt").round(2).tolist()
    [0.83, 2.5]
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
    """Return how many examples of each class to keep for at most ``total`` in all, without cutting the tail.

    Every class keeps its examples up to a common cap: the largest cap for which the total fits.

    Parameters
    ----------
    class_counts : (n_classes,) whole numbers
    total : maximum number of examples to keep

    Returns
    -------
    (n_classes,) int64

    Raises
    ------
    TailwiseError
        If the counts are invalid, or ``total`` is less than one example per class.
    """
    counts = check_counts(class_counts).astype(np.int64)
    if total < np.count_nonzero(counts):
        raise TailwiseError(f"{total} rows are fewer than the {np.count_nonzero(counts)} classes.")
    if counts.sum() <= total:
        return counts
    ascending = np.sort(counts)
    below = np.cumsum(ascending) - ascending  # total of the smaller classes, which a cap at this count keeps whole
    caps = (total - below) // np.arange(len(counts), 0, -1)
    cap = caps[caps <= ascending].max()
    return np.minimum(counts, cap)


def shot_groups(class_counts: ArrayLike, many: float = 100, few: float = 20) -> dict[str, NDArray[np.intp]]:
    """Split the classes into many-, medium- and few-shot groups by their training counts.

    Parameters
    ----------
    class_counts : (n_classes,) counts of the *training* set
    many, few : classes with more than ``many`` examples are many-shot, classes with fewer than ``few`` are few-shot

    Returns
    -------
    ``"many"``, ``"medium"``, ``"few"`` -> class codes, in that order; groups without classes are absent

    Source: Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019.

    Examples
    --------
    >>> {name: classes.tolist() for name, classes in shot_groups([500, 60, 30, 5]).items()}
    {'many': [0], 'medium': [1, 2], 'few': [3]}
    """
    counts = check_counts(class_counts)
    masks = {"many": counts > many, "medium": (counts <= many) & (counts >= few), "few": counts < few}
    return {name: np.flatnonzero(mask) for name, mask in masks.items() if mask.any()}


def shot_thresholds(class_counts: ArrayLike) -> tuple[float, float]:
    """Return thresholds ``many`` and ``few`` for :func:`shot_groups` that suit these counts.

    They are the usual 100 and 20 if these put classes into at least two groups. Otherwise, for example in a small data
    set, they separate the upper and the lower third of the distinct counts. Of two classes, the larger is many-shot and
    the smaller few-shot. If all counts are equal, all classes are medium-shot.

    Examples
    --------
    Where the usual thresholds would make all classes medium-shot, others are found:

    >>> from tailwise.counts import shot_groups
    >>> shot_thresholds([5000, 300, 30, 5])
    (100.0, 20.0)
    >>> many, few = shot_thresholds([80, 50, 40, 30, 25])
    >>> {name: classes.tolist() for name, classes in shot_groups([80, 50, 40, 30, 25], many, few).items()}
    {'many': [0, 1], 'medium': [2], 'few': [3, 4]}
    """
    counts = check_counts(class_counts)
    groups = shot_groups(counts)
    if len(groups) > 1 and (counts.size > 2 or "medium" not in groups):
        return 100.0, 20.0
    distinct = np.unique(counts[counts > 0])
    third = round(distinct.size / 3)
    many, few = distinct[distinct.size - 1 - third], distinct[third]
    if many < few:  # two counts, with nothing between them
        many = few = (many + few) / 2
        if (distinct == np.trunc(distinct)).all():
            many, few = np.floor(many), np.floor(many) + 1
    return float(many), float(few)
