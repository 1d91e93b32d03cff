"""Profiles that make any data set long-tailed, reproducibly, and the test distributions that go with them.

A profile is an array of class counts. :func:`make_long_tailed` picks examples to match one, and
:func:`indices_hash` names the choice, so that two results can be known to rest on the same examples.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import check_counts, class_counts
from tailwise.data.splits import RandomState, place_in_class
from tailwise.errors import TailwiseError, nearest

Direction = Literal["forward", "uniform", "backward"]


def exponential(n_max: int, imbalance_factor: float, n_classes: int) -> NDArray[np.int64]:
    """Return counts that fall exponentially from class 0: class c has ``n_max * imbalance_factor^(-c / (C - 1))``.

    The profile of CIFAR-LT, rounded down as there.

    Parameters
    ----------
    n_max : examples of the largest class
    imbalance_factor : largest over smallest count, at least 1
    n_classes : number of classes C, at least 2

    Raises
    ------
    TailwiseError
        If an argument is out of range, or the smallest class would be left without an example.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 4
    (after Cui et al., CVPR 2019). Verified: CIFAR-10-LT has 12,406 and CIFAR-100-LT 10,847 images at factor 100.
    """
    _check(n_max, imbalance_factor, n_classes)
    return _round_down(n_max * (1 / imbalance_factor) ** (np.arange(n_classes) / (n_classes - 1)))


def pareto(n_max: int, imbalance_factor: float, n_classes: int, alpha: float = 6.0) -> NDArray[np.int64]:
    """Return counts that fall as the quantiles of a Pareto distribution, from ``n_max`` to ``n_max/imbalance_factor``.

    With ``x_c = ((c + 1) / C)^(-1/alpha) - 1``, the quantile of the distribution that NumPy draws from (Pareto II, or
    Lomax), class c has ``n_min + (n_max - n_min) * x_c / x_0``.

    Parameters
    ----------
    n_max, imbalance_factor, n_classes : as for :func:`exponential`
    alpha : shape, more than 0; smaller is a heavier head and a flatter tail

    Raises
    ------
    TailwiseError
        As :func:`exponential`, or if ``alpha`` is not more than 0.

    Source: Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019, section 5.1 (ImageNet-LT:
    alpha 6, 1,000 classes of 1,280 to 5 images).
    Deviates: that set was drawn at random; quantiles give the same shape without chance. For ImageNet-LT's
    arguments they give 121,449 images in 404 many-, 456 medium- and 140 few-shot classes, where the drawn set has
    115,846 in 385, 479 and 136.
    """
    _check(n_max, imbalance_factor, n_classes)
    if not alpha > 0:
        raise TailwiseError(f"alpha must be more than 0; got {alpha}.")
    quantile = (np.arange(1, n_classes + 1) / n_classes) ** (-1 / alpha) - 1
    n_min = n_max / imbalance_factor
    return _round_down(n_min + (n_max - n_min) * quantile / quantile[0])


def step(n_max: int, imbalance_factor: float, n_classes: int, minority: float = 0.5) -> NDArray[np.int64]:
    """Return two levels: ``n_max`` for the first classes, ``n_max / imbalance_factor`` for the minority after them.

    Parameters
    ----------
    n_max, imbalance_factor, n_classes : as for :func:`exponential`
    minority : share of the classes that are small; at least one is, and at least one is not

    Raises
    ------
    TailwiseError
        As :func:`exponential`, or if ``minority`` is not between 0 and 1.

    Source: Buda, Maki and Mazurowski, A systematic study of the class imbalance problem in convolutional neural
    networks, Neural Networks 2018, section 2.1 (step imbalance; minority is their mu, imbalance_factor their rho).
    """
    _check(n_max, imbalance_factor, n_classes)
    if not 0 < minority < 1:
        raise TailwiseError(f"minority must be more than 0 and less than 1; got {minority}.")
    small = min(max(round(minority * n_classes), 1), n_classes - 1)
    return _round_down(np.repeat([n_max, n_max / imbalance_factor], [n_classes - small, small]))


PROFILES = {"exponential": exponential, "pareto": pareto, "step": step}


def profile(name: str, n_max: int, imbalance_factor: float, n_classes: int, **shape: float) -> NDArray[np.int64]:
    """Return the counts of the profile of this name: ``"exponential"``, ``"pareto"`` or ``"step"``.

    ``shape`` is passed on (``alpha`` for Pareto, ``minority`` for step).

    Raises
    ------
    TailwiseError
        If there is no such profile, or as the profile does.
    """
    if name not in PROFILES:
        raise TailwiseError(f"unknown profile {name!r}: use {', '.join(PROFILES)}.{nearest(name, PROFILES)}")
    return PROFILES[name](n_max, imbalance_factor, n_classes, **shape)


def shifted(counts: ArrayLike, train_counts: ArrayLike, direction: Direction) -> NDArray[np.int64]:
    """Give a profile to the classes of a test set, along or against the training set's long tail.

    Parameters
    ----------
    counts : (n_classes,) a profile, in any order
    train_counts : (n_classes,) of the training set
    direction : ``"forward"``: the class largest in training gets the largest count; ``"backward"``: the class
        smallest in training does; ``"uniform"``: every class gets the profile's largest count

    Returns
    -------
    (n_classes,) int64

    Raises
    ------
    TailwiseError
        If the lengths differ or there is no such direction.

    Source: Hong et al., Disentangling Label Distribution for Long-tailed Visual Recognition (LADE), CVPR 2021, section
    4.3; Zhang et al., Self-Supervised Aggregation of Diverse Experts (SADE), NeurIPS 2022, section 5.
    """
    wanted = np.sort(check_counts(counts).astype(np.int64))[::-1]
    order = np.argsort(-check_counts(train_counts), kind="stable")
    if wanted.size != order.size:
        raise TailwiseError(f"the profile has {wanted.size} classes but the training set {order.size}.")
    if direction not in ("forward", "uniform", "backward"):
        raise TailwiseError(f"unknown direction {direction!r}: use forward, uniform or backward.")
    if direction == "uniform":
        return np.full(wanted.size, wanted[0])
    result = np.empty_like(wanted)
    result[order if direction == "forward" else order[::-1]] = wanted
    return result


def make_long_tailed(
    labels: ArrayLike,
    counts: ArrayLike,
    order: Literal["file", "random"] = "file",
    random_state: RandomState = None,
) -> NDArray[np.int64]:
    """Return the indices of ``counts[c]`` examples of each class c, in ascending order.

    Parameters
    ----------
    labels : (n,) class codes; examples without a label (-1) are never picked
    counts : (n_classes,) examples to keep of each class
    order : ``"file"`` keeps the first of each class, as the field does for CIFAR; ``"random"`` keeps random ones
    random_state : seed or generator for ``"random"``

    Raises
    ------
    TailwiseError
        If a class has fewer examples than asked for, or the counts and labels do not fit together.
    """
    if order not in ("file", "random"):
        raise TailwiseError(f"unknown order {order!r}: use file or random.")
    codes = np.asarray(labels)
    wanted = check_counts(counts).astype(np.int64)
    short = np.flatnonzero(class_counts(codes, wanted.size) < wanted)
    if short.size:
        c = short[0]
        raise TailwiseError(
            f"class {c} has {class_counts(codes, wanted.size)[c]} examples but the profile asks for {wanted[c]}; "
            "use a smaller n_max."
        )
    place = place_in_class(codes, False if order == "file" else random_state)
    return np.flatnonzero((codes >= 0) & (place < wanted[codes]))


def indices_hash(indices: ArrayLike) -> str:
    """Return 16 hexadecimal digits that name a set of examples: SHA-256 of its sorted indices, little-endian int64."""
    data = np.sort(np.asarray(indices).astype("<i8")).tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


def _check(n_max: int, imbalance_factor: float, n_classes: int) -> None:
    if n_classes < 2:
        raise TailwiseError(f"a long tail needs at least 2 classes; got {n_classes}.")
    if n_max < 1:
        raise TailwiseError(f"n_max must be at least 1; got {n_max}.")
    if not 1 <= imbalance_factor <= n_max:
        raise TailwiseError(
            f"imbalance_factor must be from 1 to n_max ({n_max}), so that every class keeps an example; "
            f"got {imbalance_factor}."
        )


def _round_down(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    # 49 * (1 / 49) is 0.99...9: a whole number that floating point just missed is meant to be whole.
    return np.floor(counts * (1 + 1e-12)).astype(np.int64)
