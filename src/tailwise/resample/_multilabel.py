"""Resampling of multi-label data: repeated, removed and synthetic rows, in favour of rare labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.resample._base import Change, TargetResampler
from tailwise.resample._neighbours import nearest
from tailwise.resample._smote import between
from tailwise.resample._tables import numbers
from tailwise.settings import whole
from tailwise.tensors import to_indicator


class MultiLabelResampler(TargetResampler):
    """Resamples a table whose target is an (n, n_labels) indicator: 1 if a row has a label, 0 if not.

    The imbalance ratio of a label, IRLbl, is the count of the most frequent label divided by its own count. A minority
    label has an IRLbl above the mean over labels, MeanIR; a majority label is below. Labels without rows are ignored.
    """

    def _target(self, y: Any) -> sparse.csr_array:
        if np.ndim(y) != 2:
            raise TailwiseError(
                f"{type(self).__name__} needs an (n, n_labels) indicator of 0 and 1; got shape {tuple(np.shape(y))}. "
                "Encode sets of labels with scikit-learn's MultiLabelBinarizer."
            )
        labels = to_indicator(y).astype(np.int32)
        counts = _counts(labels)
        if not labels.nnz:
            raise TailwiseError("the indicator is 0 everywhere: no row has a label.")
        if counts.max() == counts[counts > 0].min():
            raise TailwiseError("all labels have equally many rows: there is no minority label to balance.")
        return labels


def _counts(labels: sparse.csr_array) -> NDArray[np.int64]:
    return np.bincount(labels.indices, minlength=labels.shape[1]).astype(np.int64, copy=False)


def _ratios(labels: sparse.csr_array) -> tuple[NDArray[np.float64], float]:
    """Return the IRLbl of each label, NaN if no row has it, and MeanIR."""
    counts = _counts(labels)
    ratios = counts.max() / np.where(counts > 0, counts, np.nan)
    return ratios, float(np.nanmean(ratios))


def _bags(labels: sparse.csr_array, chosen: NDArray[np.bool_]) -> dict[int, NDArray[np.intp]]:
    """Return the rows, ascending, of each of the chosen labels."""
    columns = labels.tocsc()
    start = columns.indptr
    return {int(c): columns.indices[start[c] : start[c + 1]].astype(np.intp) for c in np.flatnonzero(chosen)}


class MLSMOTE(MultiLabelResampler):
    """Adds a synthetic row between each row of a minority label and one of its nearest neighbours with that label.

    A new row gets the labels that at least half of the group have, where the group is the row it starts from and that
    row's neighbours ("ranking"). A label that is too rare for ``k_neighbors`` neighbours uses all of its rows, and a
    single row is repeated. Missing values and sparse matrices are handled as by :class:`SMOTE`; columns must be
    numeric.

    Parameters
    ----------
    k_neighbors : neighbours of each row
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Charte, Rivera, del Jesus and Herrera, MLSMOTE: Approaching Imbalanced Multilabel Learning through Synthetic
    Instance Generation, Knowledge-Based Systems 2015.
    Verified: neighbours, lines and label sets against a plain-Python implementation of the method.
    Deviates: neighbours and counts come from the input table, so that the order of labels does not matter; Mulan's loop
    also uses the rows made for earlier labels. A new row lies on the line between two rows, as in :class:`SMOTE`, while
    Mulan draws a step for each feature. As in Mulan, half of the group is enough for a label; the R package
    mldr.resampling asks for more. Distances are Euclidean, without Mulan's scaling of features to their range.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.arange(10.0)[:, None], np.array([[1, 0]] * 7 + [[1, 1]] * 3)
    >>> X_new, Y_new = MLSMOTE(random_state=0).fit_resample(X, Y)
    >>> Y.sum(axis=0).tolist(), Y_new.sum(axis=0).tolist()
    ([10, 3], [13, 6])
    """

    def __init__(self, k_neighbors: int = 5, *, random_state: RandomState = None) -> None:
        self.k_neighbors = k_neighbors
        self.random_state = random_state

    def _resample(self, X: Any, target: sparse.csr_array) -> Change:
        whole("k_neighbors", self.k_neighbors, 1)
        points = numbers(X, "MLSMOTE")
        rng = generator(self.random_state)
        ratios, mean = _ratios(target)
        starts, ends, sets = [], [], []
        for rows in _bags(target, ratios > mean).values():
            n, k = len(rows), min(self.k_neighbors, len(rows) - 1)
            group = np.arange(n)[:, None]  # each row, then its neighbours
            if k:
                group = np.hstack([group, nearest(points[rows], k).rows])
            starts.append(rows)
            ends.append(rows[group[np.arange(n), rng.integers(min(1, k), k + 1, size=n)]])
            member = (np.ones(group.size, np.int32), group.ravel(), np.arange(0, group.size + 1, k + 1))
            votes = sparse.csr_array(member, shape=(n, n)) @ target[rows]
            votes.data = (2 * votes.data >= k + 1).astype(np.int32)
            votes.eliminate_zeros()
            sets.append(votes)
        parents = np.concatenate(starts)
        values = between(points, parents, np.concatenate(ends), rng.random(len(parents)))
        return Change(np.arange(points.shape[0]), parents, values, targets=sparse.vstack(sets, format="csr"))


class MLRandomOverSampler(MultiLabelResampler):
    """Repeats random rows of the minority labels, one of each label in turn, until its IRLbl falls to MeanIR.

    Accepts any table. The other labels of a repeated row become more frequent too.

    Parameters
    ----------
    ratio : maximum number of rows to add, as a share of all rows; the paper's P / 100
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Charte, Rivera, del Jesus and Herrera, Addressing Imbalance in Multilabel Classification: Measures and
    Random Resampling Algorithms, Neurocomputing 2015 (ML-ROS).
    Verified: the same rows as a plain-Python walk with the same draws.
    """

    _takes = frozenset({"sparse", "allow_nan", "string", "categorical"})

    def __init__(self, ratio: float = 0.25, *, random_state: RandomState = None) -> None:
        self.ratio = ratio
        self.random_state = random_state

    def _resample(self, X: Any, target: sparse.csr_array) -> Change:
        if not self.ratio > 0:
            raise TailwiseError(f"ratio must be positive; got {self.ratio}.")
        rng = generator(self.random_state)
        ratios, mean = _ratios(target)
        counts, bags = _counts(target).tolist(), _bags(target, ratios > mean)
        most = max(counts)
        clones: list[int] = []
        budget = int(self.ratio * target.shape[0])
        while bags and len(clones) < budget:
            for label in list(bags)[: budget - len(clones)]:
                row = int(bags[label][rng.integers(len(bags[label]))])
                clones.append(row)
                for own in _labels_of(target, row):
                    counts[own] += 1
                    most = max(most, counts[own])
                if most <= mean * counts[label]:
                    del bags[label]
        return Change(np.concatenate([np.arange(target.shape[0]), np.array(clones, np.intp)]))


class MLRandomUnderSampler(MultiLabelResampler):
    """Removes random rows of the majority labels, one of each label in turn, until its IRLbl rises to MeanIR.

    Accepts any table. Rows with a minority label, rows without labels and the last row of each label are kept.

    Parameters
    ----------
    ratio : maximum number of rows to remove, as a share of all rows; the paper's P / 100
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: as for :class:`MLRandomOverSampler` (ML-RUS).
    Verified: the same rows as a plain-Python loop with the same draws.
    Deviates: implementations differ in whether a row with both a majority and a minority label may be removed (Mulan)
    or not (mldr.resampling); here it is kept. Only this implementation keeps the last row of each label.
    """

    _takes = frozenset({"sparse", "allow_nan", "string", "categorical"})

    def __init__(self, ratio: float = 0.25, *, random_state: RandomState = None) -> None:
        self.ratio = ratio
        self.random_state = random_state

    def _resample(self, X: Any, target: sparse.csr_array) -> Change:
        if not 0 < self.ratio < 1:
            raise TailwiseError(f"ratio must be between 0 and 1; got {self.ratio}.")
        rng = generator(self.random_state)
        ratios, mean = _ratios(target)
        counts, budget = _counts(target).tolist(), int(self.ratio * target.shape[0])
        most = max(counts)
        kept = np.ones(target.shape[0], bool)
        safe = target @ (ratios > mean) > 0
        bags = {
            label: iter(rng.permutation(rows[~safe[rows]]).tolist())
            for label, rows in _bags(target, ratios < mean).items()
        }
        while bags and budget:
            for label in list(bags)[:budget]:
                free = (
                    row for row in bags[label] if kept[row] and min(counts[own] for own in _labels_of(target, row)) > 1
                )
                row = next(free, None)
                if row is not None:
                    kept[row] = False
                    budget -= 1
                    for own in _labels_of(target, row):
                        counts[own] -= 1
                        if counts[own] + 1 == most:
                            most = max(counts)
                if row is None or most >= mean * counts[label]:
                    del bags[label]
        return Change(np.flatnonzero(kept))


def _labels_of(labels: sparse.csr_array, row: int) -> list[int]:
    return labels.indices[labels.indptr[row] : labels.indptr[row + 1]].tolist()
