"""Long-tailed profiles for any data set, reproducible subsets that follow them, and shifted test distributions.

A profile is an array of class counts. :func:`make_long_tailed` selects examples to match one, and :func:`indices_hash`
identifies the selection, so that results can be shown to rest on the same examples.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import check_counts, class_counts
from tailwise.data.splits import place_in_class
from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.tensors import to_codes

_MOST = 2**53  # examples of a class: as many as float64 counts exactly

Direction = Literal["forward", "uniform", "backward"]


def exponential(n_max: int, imbalance_factor: float, n_classes: int) -> NDArray[np.int64]:
    """Return counts that decay exponentially: class c has ``n_max * imbalance_factor^(-c / (C - 1))`` examples.

    This is the profile of CIFAR-LT, rounded down as there.

    Parameters
    ----------
    n_max : number of examples of the largest class, class 0
    imbalance_factor : ratio of the largest to the smallest count, at least 1
    n_classes : number of classes C, at least 2

    Returns
    -------
    (n_classes,) int64

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
    """Return counts that follow the quantiles of a Pareto distribution, from ``n_max`` to ``n_max/imbalance_factor``.

    Class c has ``n_min + (n_max - n_min) * x_c / x_0`` examples, where ``x_c = ((c + 1) / C)^(-1/alpha) - 1`` is a
    quantile of the distribution that NumPy draws from (Pareto II, or Lomax).

    Parameters
    ----------
    n_max, imbalance_factor, n_classes : as for :func:`exponential`
    alpha : shape parameter, greater than 0; smaller values give a heavier head and a flatter tail

    Returns
    -------
    (n_classes,) int64

    Raises
    ------
    TailwiseError
        As for :func:`exponential`, or if ``alpha`` is not greater than 0.

    Source: Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019, section 5.1 (ImageNet-LT:
    alpha 6, 1,000 classes of 1,280 to 5 images).
    Deviates: ImageNet-LT was drawn at random; quantiles give the same shape deterministically. For its arguments they
    give 121,449 images in 404 many-, 456 medium- and 140 few-shot classes; ImageNet-LT has 115,846 images in 385, 479
    and 136.
    """
    _check(n_max, imbalance_factor, n_classes)
    if not alpha > 0:
        raise TailwiseError(f"alpha must be more than 0; got {alpha}.")
    quantile = (np.arange(1, n_classes + 1) / n_classes) ** (-1 / alpha) - 1
    n_min = n_max / imbalance_factor
    return _round_down(n_min + (n_max - n_min) * quantile / quantile[0])


def step(n_max: int, imbalance_factor: float, n_classes: int, minority: float = 0.5) -> NDArray[np.int64]:
    """Return counts of two levels: ``n_max`` for the first classes, ``n_max / imbalance_factor`` for the others.

    Parameters
    ----------
    n_max, imbalance_factor, n_classes : as for :func:`exponential`
    minority : share of small classes, between 0 and 1; there is at least one small and one large class

    Returns
    -------
    (n_classes,) int64

    Raises
    ------
    TailwiseError
        As for :func:`exponential`, or if ``minority`` is not between 0 and 1.

    Source: Buda, Maki and Mazurowski, A systematic study of the class imbalance problem in convolutional neural
    networks, Neural Networks 2018, section 2.1 (step imbalance; minority is their mu, imbalance_factor their rho).
    """
    _check(n_max, imbalance_factor, n_classes)
    if not 0 < minority < 1:
        raise TailwiseError(f"minority must be more than 0 and less than 1; got {minority}.")
    small = min(max(round(minority * n_classes), 1), n_classes - 1)
    return _round_down(np.repeat([n_max, n_max / imbalance_factor], [n_classes - small, small]))


def shifted(counts: ArrayLike, train_counts: ArrayLike, direction: Direction) -> NDArray[np.int64]:
    """Return class counts for a test set whose long tail follows or reverses that of the training set.

    Parameters
    ----------
    counts : (n_classes,) a profile, in any order
    train_counts : (n_classes,) counts of the training set
    direction : ``"forward"`` gives the largest count to the class that is largest in training, ``"backward"`` to the
        class that is smallest there; ``"uniform"`` gives every class the largest count of the profile

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
    """Select ``counts[c]`` examples of each class c.

    Parameters
    ----------
    labels : (n,) class codes; examples without a label (-1) are never selected
    counts : (n_classes,) number of examples of each class to select
    order : ``"file"`` selects the first examples of each class, as is usual for CIFAR; ``"random"`` selects random ones
    random_state : seed or generator for ``"random"``

    Returns
    -------
    (n_selected,) int64 indices in ascending order

    Raises
    ------
    TailwiseError
        If a class has too few examples, or a label is outside the classes of ``counts``.

    Examples
    --------
    >>> import numpy as np
    >>> from tailwise.data import longtail
    >>> labels = np.array([0, 1, 2] * 40)
    >>> kept = make_long_tailed(labels, longtail.exponential(40, 10, 3), order="random", random_state=0)
    >>> np.bincount(labels[kept]).tolist()
    [40, 12, 4]
    """
    if order not in ("file", "random"):
        raise TailwiseError(f"unknown order {order!r}: use file or random.")
    codes = to_codes(labels)
    wanted = check_counts(counts).astype(np.int64)
    short = np.flatnonzero(class_counts(codes, wanted.size) < wanted)
    if short.size:
        c = short[0]
        raise TailwiseError(
            f"class {c} has {class_counts(codes, wanted.size)[c]} examples but the profile asks for {wanted[c]}; "
            "use a smaller n_max."
        )
    place = place_in_class(codes, generator(random_state) if order == "random" else None)
    return np.flatnonzero((codes >= 0) & (place < wanted[codes]))


def indices_hash(indices: ArrayLike) -> str:
    """Identify a set of examples by 16 hex digits of the SHA-256 of its sorted indices as little-endian int64.

    Parameters
    ----------
    indices : (n,) integers, in any order

    Raises
    ------
    TailwiseError
        If they are not integers.
    """
    array = np.asarray(indices)
    if array.size and array.dtype.kind not in "iu":
        raise TailwiseError(f"indices must be integers; got {array.dtype}.")
    return hashlib.sha256(np.sort(array.astype("<i8")).tobytes()).hexdigest()[:16]


def _check(n_max: int, imbalance_factor: float, n_classes: int) -> None:
    if n_classes < 2:
        raise TailwiseError(f"a long tail needs at least 2 classes; got {n_classes}.")
    if n_classes != int(n_classes):
        raise TailwiseError(f"the number of classes must be a whole number; got {n_classes}.")
    if n_max > _MOST:
        raise TailwiseError(f"n_max must be at most {_MOST:,}; got {n_max:,}.")
    if n_max < 1:
        raise TailwiseError(f"n_max must be at least 1; got {n_max}.")
    if not 1 <= imbalance_factor <= n_max:
        raise TailwiseError(
            f"imbalance_factor must be from 1 to n_max ({n_max}), so that every class keeps an example; "
            f"got {imbalance_factor}."
        )


def _round_down(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    # 49 * (1 / 49) is 0.99...9: numbers that miss a whole number by rounding error are meant to be whole.
    return np.floor(counts * (1 + 1e-12)).astype(np.int64)
