"""Informed under-sampling: by the classes of neighbours, by distance to the smallest class, or by a classifier."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, clone

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, seeds
from tailwise.resample._base import Change, Resampler
from tailwise.resample._blocks import one_thread, spans
from tailwise.resample._containers import rows_by_class
from tailwise.resample._goals import Kind, Strategy
from tailwise.resample._neighbours import SHALLOW, nearest
from tailwise.resample._pairs import distances_to
from tailwise.resample._tables import numbers
from tailwise.settings import whole

_MANY = 1 << 12  # rare rows from which a tree, in a few dimensions, beats a product with all of them


class TomekLinks(Resampler):
    """Removes examples of the larger classes in Tomek links: pairs of mutual nearest neighbours of different classes.

    Missing values are allowed in dense tables.

    Parameters
    ----------
    sampling_strategy : classes to clean, by name (``"auto"``: all but the smallest) or as a list of labels
    recall : share of the true nearest neighbours to find; 1 is exact. With 0.99, a table of 500,000 × 20 took 2.4 times
        less time (Tomek links) and 3.1 times less (ENN), a table of 100,000 × 200 the same time (benchmarks/results)

    Attributes
    ----------
    recall_ : share of the true neighbours found: 1, or an estimate

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: removes the same examples as imbalanced-learn if no two distances are equal. With ties, the first row
    counts as the nearer one, while imbalanced-learn's choice depends on the order of the rows.
    Source: Tomek, Two Modifications of CNN, IEEE Transactions on Systems, Man, and Cybernetics 1976.

    Examples
    --------
    The third row is nearer to a rare one than to those of its own class:

    >>> import numpy as np
    >>> X, y = np.array([[0.0], [1.0], [4.0], [4.5], [6.0]]), np.array([0, 0, 0, 1, 1])
    >>> TomekLinks().fit_resample(X, y)[0].ravel().tolist()
    [0.0, 1.0, 4.5, 6.0]
    """

    _kind: ClassVar[Kind] = "clean"

    def __init__(self, sampling_strategy: Strategy = "auto", *, recall: float = 1.0) -> None:
        self.sampling_strategy = sampling_strategy
        self.recall = recall

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        found = nearest(numbers(X, type(self).__name__), 1, recall=check_recall(self.recall))
        self.recall_ = found.recall
        other = found.rows[:, 0]
        linked = (codes[other] != codes) & (other[other] == np.arange(len(codes)))
        return Change(np.flatnonzero(~(linked & (wanted[codes] == 1))))


class EditedNearestNeighbours(Resampler):
    """Removes examples of the larger classes whose nearest neighbours belong to other classes.

    Missing values are allowed in dense tables. Only the smallest class is spared: another one loses all of its examples
    if it has no more than ``n_neighbors``, and a warning says so.

    Parameters
    ----------
    sampling_strategy, recall : see :class:`TomekLinks`
    n_neighbors : number of neighbours
    kind : ``"all"`` keeps an example if all of its neighbours have its class, ``"mode"`` if their most frequent class
        is its class (in a tie, the first class counts)

    Attributes
    ----------
    recall_ : share of the true neighbours found: 1, or an estimate

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: removes the same examples as imbalanced-learn if no two distances are equal. With ties, the first row
    counts as the nearer one, while imbalanced-learn's choice depends on the order of the rows.
    Deviates: Wilson's rule is ``"mode"``; the default removes more, as imbalanced-learn's does.
    Source: Wilson, Asymptotic Properties of Nearest Neighbor Rules Using Edited Data, IEEE Transactions on Systems,
    Man, and Cybernetics 1972.
    """

    _kind: ClassVar[Kind] = "clean"

    def __init__(
        self, sampling_strategy: Strategy = "auto", *, n_neighbors: int = 3, kind: str = "all", recall: float = 1.0
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.n_neighbors = n_neighbors
        self.kind = kind
        self.recall = recall

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        if self.kind not in ("all", "mode"):
            raise TailwiseError(f"kind must be 'all' or 'mode'; got {self.kind!r}.")
        whole("n_neighbors", self.n_neighbors, 1)
        asked = np.flatnonzero(wanted[codes] == 1)
        points = numbers(X, type(self).__name__)
        found = nearest(points, self.n_neighbors, of=asked, recall=check_recall(self.recall))
        self.recall_ = found.recall
        neighbours = codes[found.rows]
        agree = neighbours == codes[asked][:, None]
        if self.kind == "all":
            keeps = agree.all(axis=1)
        else:
            votes = np.stack([(neighbours == one[:, None]).sum(axis=1) for one in neighbours.T], axis=1)
            first = np.where(votes == votes.max(axis=1, keepdims=True), neighbours, len(wanted)).min(axis=1)
            keeps = first == codes[asked]
        return Change(np.setdiff1d(np.arange(len(codes)), asked[~keeps], assume_unique=True))


class NearMiss(Resampler):
    """Keeps the examples of the larger classes that are nearest to the smallest class.

    Missing values are allowed in dense tables. If the smallest class has fewer than ``n_neighbors`` examples, all of
    them are used; if it shrinks too, all but one.

    Parameters
    ----------
    sampling_strategy : ``"auto"``, ``"majority"``, ``"not minority"``, ``"not majority"`` or ``"all"`` selects the
        classes to bring to the count of the smallest; a mapping gives the count for each label; a number, for two
        classes, is the ratio of the smaller to the larger class after resampling
    version : 1 keeps the examples with the smallest mean distance to their ``n_neighbors`` nearest examples of the
        smallest class; 2 those with the smallest mean distance to their ``n_neighbors`` farthest; 3 considers only the
        ``n_candidates`` nearest to each example of the smallest class, and keeps those with the largest mean distance
        to their ``n_neighbors`` nearest (if there are too few candidates, fewer examples are kept)
    n_neighbors, n_candidates : see ``version``

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: keeps the same examples as imbalanced-learn if no two distances are equal. With ties, the first row
    counts as the nearer one, while imbalanced-learn's choice depends on the order of the rows.
    Deviates: where the smallest class shrinks too, none of its examples counts as its own neighbour.
    Source: Mani and Zhang, kNN Approach to Unbalanced Data Distributions, ICML Workshop on Learning from Imbalanced
    Datasets 2003.
    """

    _kind: ClassVar[Kind] = "under"

    def __init__(
        self, sampling_strategy: Strategy = "auto", *, version: int = 1, n_neighbors: int = 3, n_candidates: int = 3
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.version = version
        self.n_neighbors = n_neighbors
        self.n_candidates = n_candidates

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        if self.version not in (1, 2, 3):
            raise TailwiseError(f"version must be 1, 2 or 3; got {self.version!r}.")
        whole("n_neighbors", self.n_neighbors, 1)
        whole("n_candidates", self.n_candidates, 1)
        points = numbers(X, type(self).__name__)
        by_class = rows_by_class(codes, len(wanted))
        rare = min(by_class, key=lambda rows: (len(rows), rows[0]))  # of several, the one that comes first
        larger = [(rows, int(count)) for rows, count in zip(by_class, wanted, strict=True) if 0 < count < len(rows)]
        scored = self._scored(points, larger, rare) if larger else (rare[:0], np.empty(0))
        return _least(*scored, codes, wanted)

    def _scored(
        self, points: Any, larger: list[tuple[NDArray[np.intp], int]], rare: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return candidate rows of the classes that shrink, sorted, and their scores; the lowest are kept."""
        k = min(self.n_neighbors, len(rare) - any(rows is rare for rows, _ in larger))
        near = [rows for rows, _ in larger]
        if self.version == 1:
            near = [rows if rows is rare else _near_enough(points, rows, rare, k, count) for rows, count in larger]
        elif self.version == 3:
            most = [min(self.n_candidates, len(rows) - (rows is rare)) for rows in near]
            near = [nearest(points, n, of=rare, among=rows).rows for rows, n in zip(near, most, strict=True)]
        rows = np.unique(np.concatenate(near, axis=None))
        if self.version == 2:
            return rows, _farthest(points, rows, rare, k)
        distances = nearest(points, k, of=rows, among=rare).distances.sum(axis=1)
        return rows, distances if self.version == 1 else -distances


class InstanceHardnessThreshold(Resampler):
    """Removes the examples of the larger classes whose class gets the lowest cross-validated probability.

    Missing values are allowed in dense tables if the classifier accepts them. Classes with fewer examples than there
    are folds are in all training parts.

    Parameters
    ----------
    sampling_strategy : see :class:`NearMiss`
    estimator : a scikit-learn classifier with ``predict_proba``; by default a random forest
    cv : number of folds
    random_state : seed or generator for the folds and the default classifier

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: given the same probabilities, keeps the same examples as imbalanced-learn if no two of them are equal;
    folds and forest are drawn otherwise. With ties, it still keeps exactly the target count.
    Source: Smith, Martinez and Giraud-Carrier, An Instance Level Analysis of Data Complexity, Machine Learning 2014.
    """

    _kind: ClassVar[Kind] = "under"

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        *,
        estimator: BaseEstimator | None = None,
        cv: int = 5,
        random_state: RandomState = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.estimator = estimator
        self.cv = cv
        self.random_state = random_state

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        points, largest = numbers(X, type(self).__name__), int(np.bincount(codes).max())
        seed = seeds(self.random_state, 1)[0]
        learner = RandomForestClassifier(random_state=seed) if self.estimator is None else clone(self.estimator)
        if not hasattr(learner, "predict_proba"):
            raise TailwiseError(f"{type(learner).__name__} gives no probabilities: choose an estimator that does.")
        if not 2 <= self.cv <= largest:
            raise TailwiseError(f"cv must be 2 or more, and at most the largest class's {largest}; got {self.cv}.")
        with warnings.catch_warnings():  # only probabilities of the larger classes are used
            warnings.filterwarnings("ignore", "The least populated class|Number of classes in training fold")
            split = StratifiedKFold(self.cv, shuffle=True, random_state=seed).split(points, codes)
            scarce = np.flatnonzero(np.bincount(codes)[codes] < self.cv)
            folds = [(np.union1d(train, scarce), held_out) for train, held_out in split]
            try:
                proba = cross_val_predict(learner, points, codes, cv=folds, method="predict_proba")
            except (TypeError, ValueError) as error:
                said = str(error).strip().splitlines()[-1]
                raise TailwiseError(f"{type(learner).__name__} cannot be fitted to this table: {said}") from error
        every = np.arange(len(codes))
        return _least(every, -proba[every, codes], codes, wanted)


def _least(
    candidates: NDArray[np.intp], score: NDArray[np.float64], codes: NDArray[np.intp], wanted: NDArray[np.int64]
) -> Change:
    """Keep the candidates with the lowest scores of each class that is to shrink, and all of the other classes."""
    best = candidates[np.lexsort((candidates, score))]
    by_score = rows_by_class(codes[best], len(wanted))
    every = enumerate(rows_by_class(codes, len(wanted)))
    kept = [best[by_score[c]][: wanted[c]] if wanted[c] < len(rows) else rows for c, rows in every]
    return Change(np.sort(np.concatenate(kept)))


def _near_enough(points: Any, rows: NDArray[np.intp], rare: NDArray[np.intp], k: int, count: int) -> NDArray[np.intp]:
    """Return the rows that can be among the ``count`` with the smallest sum of distances to their k nearest rare rows.

    That sum is at least k times the distance to the nearest rare row. For most rows this bound, from a matrix product
    in float32, suffices to exclude them. All rows are returned where no product can tell, or a tree of the many rare
    rows will be faster.
    """
    if sparse.issparse(points) or np.isnan(points.min()) or (points.shape[1] <= SHALLOW and len(rare) > _MANY):
        return rows
    centre = points[rare].mean(axis=0, dtype=np.float64)
    others = (points[rare] - centre).astype(np.float32)
    right = np.vstack([others.T, np.einsum("ij,ij->i", others, others)])
    far = np.sqrt(right[-1].max())
    at_least = np.full(len(rows), np.inf)
    best, lock = np.full(count, np.inf), threading.Lock()  # upper bounds of the smallest sums so far

    def look(at: slice) -> None:
        nonlocal best
        ones = (points[rows[at]] - centre).astype(np.float32)
        own = np.einsum("ij,ij->i", ones, ones)
        squared = np.column_stack([-2 * ones, np.ones_like(own)]) @ right
        # maximum rounding error
        wrong = (points.shape[1] + 16) * 2.0**-24 * (np.sqrt(own, dtype=np.float64) + far) ** 2
        some = np.flatnonzero(k * np.sqrt(np.maximum(squared.min(axis=1) + own - wrong, 0)) <= best.max())
        near = np.partition(squared[some], k - 1, axis=1)[:, :k] + own[some, None].astype(np.float64)
        wrong = wrong[some, None]
        at_least[at][some] = np.sqrt(np.maximum(near - wrong, 0)).sum(axis=1)
        with lock:
            known = np.concatenate([best, np.sqrt(np.maximum(near, 0) + wrong).sum(axis=1)])
            best = np.partition(known, count - 1)[:count]

    with one_thread(), ThreadPoolExecutor(joblib.cpu_count()) as pool:
        for _ in pool.map(look, spans(len(rows), len(rare) // 4 + points.shape[1])):
            pass
    return rows[at_least <= best.max()]


def _farthest(points: Any, of: NDArray[np.intp], among: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """Return, for each row, the sum of the distances to its k farthest."""
    between, total = distances_to(points, among), np.empty(len(of))
    for at in spans(len(of), len(among)):
        total[at] = np.sqrt(-np.partition(-between(of[at])[0], k - 1, axis=1)[:, :k]).sum(axis=1)
    return total


def check_recall(recall: float) -> float:
    """Return the recall, or raise TailwiseError if it is not in (0, 1]."""
    if not 0 < recall <= 1:
        raise TailwiseError(f"recall must be more than 0 and at most 1; got {recall}.")
    return recall
