"""Stratified splits that always keep the only example of a class, or of a label, in training."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from tailwise.counts import capped_counts, class_counts
from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.tensors import to_codes


def place_in_class(labels: ArrayLike, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
    """Return the rank of each example, from 0, among the examples of its class.

    Parameters
    ----------
    labels : (n,) class codes; examples without a label (-1) form a class of their own
    rng : source of a random order; None is the order of the file

    Returns
    -------
    (n,) int64
    """
    codes = _narrow(np.asarray(labels))
    n = codes.size
    if rng is None:
        order = np.argsort(codes, kind="stable")
    else:
        shuffled = rng.permutation(n)
        order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    ordered = codes[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if n else np.zeros(0, dtype=np.int64)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n) - np.repeat(first, np.diff(np.r_[first, n]))
    return place


def keep_tail(labels: NDArray[np.int64], n_classes: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the (n_kept,) examples that remain, about ``most``, after random ones of the larger classes are left out.

    Parameters
    ----------
    labels : (n,) class codes
    n_classes : every class keeps an example, however few are to remain
    most : how many examples to keep
    rng : source of the choice
    """
    counts = class_counts(labels, n_classes)
    kept = capped_counts(counts, max(most, int(np.count_nonzero(counts))))
    return np.flatnonzero(place_in_class(labels, rng) < kept[labels])


def single_example_classes(labels: ArrayLike) -> NDArray[np.int64]:
    """Return the codes of the classes with a single example, which the splits here keep in training."""
    return np.flatnonzero(class_counts(labels) == 1).astype(np.int64)


def stratified_split(
    labels: ArrayLike, test_size: float = 0.2, random_state: RandomState = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split into training and test examples, each class in the same proportion.

    Every class keeps at least one example in training, so a class with a single example is not tested
    (:func:`single_example_classes` lists them). Within that limit, a class of n examples gives ``n * test_size`` to the
    test set, rounded down or up so that the total matches ``test_size`` (the method of largest remainders).

    Parameters
    ----------
    labels : (n,) class codes; examples without a label (-1) are in neither part
    test_size : share of examples in the test set, between 0 and 1
    random_state : seed or generator; the same seed gives the same split

    Returns
    -------
    training and test indices, int64, each in ascending order

    Raises
    ------
    TailwiseError
        If ``test_size`` is out of range, or no class has two examples.

    Examples
    --------
    A class with a single example stays in training:

    >>> import numpy as np
    >>> labels = np.repeat([0, 1, 2], [40, 10, 1])
    >>> train, test = stratified_split(labels, test_size=0.2, random_state=0)
    >>> np.bincount(labels[train]).tolist(), np.bincount(labels[test]).tolist()
    ([32, 8, 1], [8, 2])
    """
    _check_share(test_size)
    codes = to_codes(labels)
    counts = class_counts(codes)
    if not (counts > 1).any():
        raise TailwiseError("no class has two examples, so none can be set aside for testing.")
    rng = generator(random_state)
    in_test = place_in_class(codes, rng) < _shares(counts, test_size, rng)[codes]
    labelled = codes >= 0
    return np.flatnonzero(labelled & ~in_test), np.flatnonzero(labelled & in_test)


def stratified_folds(
    labels: ArrayLike, n_splits: int = 5, random_state: RandomState = None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split into folds for cross-validation, each class spread as evenly as possible.

    Every example of a class with at least two is tested exactly once. The single example of a class is in every
    training set and never tested (:func:`single_example_classes` lists these classes). Test sets differ by at most one
    example, in total and in each class, and every training set has every class.

    Parameters
    ----------
    labels : (n,) class codes; examples without a label (-1) are in no fold
    n_splits : number of folds, at least 2
    random_state : seed or generator; the same seed gives the same folds

    Returns
    -------
    ``n_splits`` pairs of training and test indices, int64, each in ascending order

    Raises
    ------
    TailwiseError
        If ``n_splits`` is not a whole number, less than 2, or more than the examples that can be tested.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.repeat([0, 1, 2], [9, 3, 1])
    >>> for train, test in stratified_folds(labels, 3, random_state=0):
    ...     print(np.bincount(labels[train]).tolist(), np.bincount(labels[test]).tolist())
    [6, 2, 1] [3, 1]
    [6, 2, 1] [3, 1]
    [6, 2, 1] [3, 1]
    """
    codes = to_codes(labels)
    counts = class_counts(codes)
    spread = np.where(counts > 1, counts, 0)
    if not isinstance(n_splits, int | np.integer) or not 2 <= n_splits <= spread.sum():
        raise TailwiseError(
            f"n_splits must be a whole number from 2 to {spread.sum()}, the examples in classes with at least two; "
            f"got {n_splits}."
        )
    # Deal out one class after another, each starting where the last one stopped.
    start = np.cumsum(spread) - spread
    fold = (start[codes] + place_in_class(codes, generator(random_state))) % n_splits
    labelled = codes >= 0
    fold[~labelled | (spread[codes] == 0)] = -1
    return [(np.flatnonzero(labelled & (fold != i)), np.flatnonzero(fold == i)) for i in range(n_splits)]


def label_set_split(
    rows: ArrayLike, test_size: float = 0.2, random_state: RandomState = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split multi-label examples into training and test examples, every label in the same proportion.

    Parameters
    ----------
    rows : (n, n_labels) indicator, 1 if an example has a label, else 0; rows of unknown labels are negative, and in
        neither part
    test_size : share of examples in the test set, between 0 and 1
    random_state : seed or generator; the same seed gives the same split

    Returns
    -------
    training and test indices, int64, each in ascending order; every label that occurs has an example in training

    Raises
    ------
    TailwiseError
        If ``test_size`` is out of range, or training needs every example.

    Source: as for :func:`label_set_folds`.
    """
    _check_share(test_size)
    part = _dealt(rows, [test_size, 1 - test_size], random_state)
    part[~_spared(rows, part == 0)] = 1
    part[np.asarray(rows)[:, :1].ravel() < 0] = -1
    if not (part == 0).any():
        raise TailwiseError("every example has a label that no other has, so none can be set aside for testing.")
    return np.flatnonzero(part == 1), np.flatnonzero(part == 0)


def label_set_folds(
    rows: ArrayLike, n_splits: int = 5, random_state: RandomState = None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split multi-label examples into folds for cross-validation, every label spread as evenly as possible.

    Iterative stratification: the label with the fewest remaining examples deals them to the folds that need it most,
    until all are dealt. Every label that occurs has an example in every training set; examples that this requires, such
    as the only one with a label, are tested in no fold.

    Parameters
    ----------
    rows : as for :func:`label_set_split`
    n_splits : number of folds, at least 2
    random_state : seed or generator; the same seed gives the same folds

    Returns
    -------
    ``n_splits`` pairs of training and test indices, int64, each in ascending order

    Raises
    ------
    TailwiseError
        If there are too few examples for so many folds.

    Source: Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011, algorithm 1.
    Deviates: every label keeps an example in training, which the paper does not require.
    """
    if not isinstance(n_splits, int | np.integer) or n_splits < 2:
        raise TailwiseError(f"n_splits must be a whole number of at least 2; got {n_splits}.")
    fold = _dealt(rows, [1 / n_splits] * n_splits, random_state)
    for number in range(n_splits):
        tested = fold == number
        fold[tested & ~_spared(rows, tested)] = n_splits
    known = np.asarray(rows)[:, :1].ravel() >= 0
    folds = [(np.flatnonzero(known & (fold != i)), np.flatnonzero(known & (fold == i))) for i in range(n_splits)]
    if not all(len(tested) for _, tested in folds):
        raise TailwiseError(
            f"there are too few examples, or too few with labels that others have, for {n_splits} folds."
        )
    return folds


def rarest_label(rows: NDArray[Any]) -> NDArray[np.intp]:
    """Return the code of the rarest label that each of (n, n_labels) rows has; n_labels if it has none."""
    counts = np.append((rows > 0).sum(axis=0), len(rows) + 1)
    order = np.argsort(counts, kind="stable")
    has = np.column_stack([rows > 0, np.ones(len(rows), dtype=bool)])
    return order[has[:, order].argmax(axis=1)]


def label_set_halves(rows: ArrayLike) -> NDArray[np.int64]:
    """Return the half, 0 or 1, of each example, so that every label is split as evenly as possible."""
    return _dealt(rows, [0.5, 0.5], 0)


def _dealt(rows: ArrayLike, shares: Sequence[float], random_state: RandomState) -> NDArray[np.int64]:
    """Return the part, from 0, of each example."""
    has = sparse.csr_array(np.asarray(rows) > 0)
    by_label = has.tocsc()
    n, n_labels = has.shape
    rng = generator(random_state)
    part = np.full(n, -1, dtype=np.int64)
    wanted = np.outer(shares, np.bincount(has.indices, minlength=n_labels))
    wanted_in_all = np.asarray(shares) * n
    left = np.bincount(has.indices, minlength=n_labels).astype(np.float64)

    def deal(examples: NDArray[Any], lack: NDArray[np.float64]) -> None:
        for example in rng.permutation(examples):
            chance = rng.random(len(shares))
            chosen = np.lexsort((chance, wanted_in_all, lack))[-1]
            part[example] = chosen
            own = has.indices[has.indptr[example] : has.indptr[example + 1]]
            wanted[chosen, own] -= 1
            wanted_in_all[chosen] -= 1
            left[own] -= 1

    while (left > 0).any():
        label = int(np.where(left > 0, left, np.inf).argmin())
        examples = by_label.indices[by_label.indptr[label] : by_label.indptr[label + 1]]
        deal(examples[part[examples] < 0], wanted[:, label])
    deal(np.flatnonzero(part < 0), wanted_in_all)
    return part


def _spared(rows: ArrayLike, tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the tested examples that training can spare: without them, it still has an example of every label."""
    has = np.asarray(rows) > 0
    spared = tested.copy()
    for label in np.flatnonzero(has.any(axis=0) & ~has[~tested].any(axis=0)):
        if not (has[:, label] & ~spared).any():  # unless an example kept for another label has it
            spared[np.flatnonzero(has[:, label])[0]] = False
    return spared


def _check_share(test_size: float) -> None:
    if not isinstance(test_size, Real) or not 0 < test_size < 1:
        raise TailwiseError(f"test_size must be a number above 0 and below 1; got {test_size!r}.")


def _shares(counts: NDArray[np.int64], test_size: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the number of test examples of each class; which of equal remainders are rounded up is random."""
    most = np.maximum(counts - 1, 0)
    wanted = np.where(counts > 1, counts * test_size, 0.0)
    tested = np.minimum(np.floor(wanted + 1e-9).astype(np.int64), most)
    left = max(round(float(wanted.sum())), 1) - int(tested.sum())
    by_remainder = np.lexsort((rng.random(counts.size), np.round(tested - wanted, 9)))
    room = by_remainder[(tested < most)[by_remainder]]
    tested[room[: max(left, 0)]] += 1
    return tested


def _narrow(codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return codes as int16 if they fit: NumPy then uses radix sort, which is many times faster."""
    small = codes.size and codes.max() <= np.iinfo(np.int16).max
    return codes.astype(np.int16) if small and codes.min() >= np.iinfo(np.int16).min else codes
