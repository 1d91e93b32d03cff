"""Stratified splits that never take a class's only example away from training."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import class_counts
from tailwise.errors import TailwiseError

RandomState = int | np.random.Generator | None


def place_in_class(labels: ArrayLike, random_state: RandomState | bool = False) -> NDArray[np.int64]:
    """Return each example's place, from 0, among the examples of its class.

    Parameters
    ----------
    labels : (n,) class codes; those without a label (-1) count as one class of their own
    random_state : ``False`` for places in file order, otherwise the seed or generator of a random order

    Returns
    -------
    (n,) int64
    """
    codes = _narrow(np.asarray(labels))
    n = codes.size
    if random_state is False:
        order = np.argsort(codes, kind="stable")
    else:
        shuffled = np.random.default_rng(random_state).permutation(n)
        order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    ordered = codes[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if n else np.zeros(0, dtype=np.int64)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n) - np.repeat(first, np.diff(np.r_[first, n]))
    return place


def single_example_classes(labels: ArrayLike) -> NDArray[np.int64]:
    """Return the codes of the classes with one example, which the splits of this module keep in training."""
    return np.flatnonzero(class_counts(labels) == 1).astype(np.int64)


def stratified_split(
    labels: ArrayLike, test_size: float = 0.2, random_state: RandomState = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split into training and test examples, each class in the same proportion.

    A class with one example stays in training (:func:`single_example_classes` names them), and every other class
    keeps at least one there. Within that limit a class of n examples gives ``n * test_size`` to the test set, rounded
    down or up so that the classes together give ``test_size`` (the method of largest remainders).

    Parameters
    ----------
    labels : (n,) class codes; examples without a label (-1) are in neither part
    test_size : share of the test set, more than 0 and less than 1
    random_state : seed or generator; the same seed gives the same split

    Returns
    -------
    training and test indices, int64, each in ascending order

    Raises
    ------
    TailwiseError
        If ``test_size`` is out of range, or no class has two examples.
    """
    if not 0 < test_size < 1:
        raise TailwiseError(f"test_size must be more than 0 and less than 1; got {test_size}.")
    codes = np.asarray(labels)
    counts = class_counts(codes)
    if not (counts > 1).any():
        raise TailwiseError("no class has two examples, so none can be set aside for testing.")
    in_test = place_in_class(codes, random_state) < _shares(counts, test_size)[codes]
    labelled = codes >= 0
    return np.flatnonzero(labelled & ~in_test), np.flatnonzero(labelled & in_test)


def stratified_folds(
    labels: ArrayLike, n_splits: int = 5, random_state: RandomState = None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split into folds for cross-validation, each class spread as evenly as it can be.

    Every example of a class with at least two is tested once; a class with one example is in every fold's training
    set and never tested (:func:`single_example_classes` names them). The folds' test sets differ by at most one
    example, in total and in each class, and every class is in every training set.

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
        If there are more folds than examples that can be tested.
    """
    codes = np.asarray(labels)
    counts = class_counts(codes)
    spread = np.where(counts > 1, counts, 0)
    if not 2 <= n_splits <= spread.sum():
        raise TailwiseError(
            f"n_splits must be from 2 to {spread.sum()}, the examples in classes with at least two; got {n_splits}."
        )
    # Deal the classes out one after the other, each going on where the last stopped.
    start = np.cumsum(spread) - spread
    fold = (start[codes] + place_in_class(codes, random_state)) % n_splits
    labelled = codes >= 0
    fold[~labelled | (spread[codes] == 0)] = -1
    return [(np.flatnonzero(labelled & (fold != i)), np.flatnonzero(fold == i)) for i in range(n_splits)]


def _shares(counts: NDArray[np.int64], test_size: float) -> NDArray[np.int64]:
    """Return how many examples of each class are tested."""
    most = np.maximum(counts - 1, 0)
    wanted = np.where(counts > 1, counts * test_size, 0.0)
    tested = np.minimum(np.floor(wanted + 1e-9).astype(np.int64), most)
    left = max(round(float(wanted.sum())), 1) - int(tested.sum())
    by_remainder = np.argsort(tested - wanted, kind="stable")
    room = by_remainder[(tested < most)[by_remainder]]
    tested[room[: max(left, 0)]] += 1
    return tested


def _narrow(codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return codes in 16 bits where they fit: NumPy then sorts by radix, many times faster."""
    small = codes.size and codes.max() <= np.iinfo(np.int16).max
    return codes.astype(np.int16) if small and codes.min() >= np.iinfo(np.int16).min else codes
