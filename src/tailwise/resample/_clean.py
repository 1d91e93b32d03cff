"""Under-sampling by choice: examples that neighbours or a classifier contradict, or far from the smallest class."""

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
from tailwise.resample._base import Change, Resampler
from tailwise.resample._containers import RandomState, at_least_one, rows_by_class, seeds
from tailwise.resample._goals import Kind, Strategy
from tailwise.resample._neighbours import distances_to, nearest, one_thread, spans
from tailwise.resample._tables import numbers


class TomekLinks(Resampler):
    """Leaves out the larger classes' examples in Tomek links: pairs of different classes, each the other's nearest.

    Missing values are allowed.

    Parameters
    ----------
    sampling_strategy : classes to clean, by name (``"auto"``: all but the smallest) or a list of labels
    recall : share of the true nearest neighbours that is enough; 1 is exact. With 0.99 a table of 500,000 × 20 took 2.4
        times less (Tomek links) and 3.1 times less (ENN), one of 100,000 × 200 as long (benchmarks/results)

    Attributes
    ----------
    recall_ : share of the true neighbours found, 1 or an estimate

    Verified: chooses what imbalanced-learn chooses where no two distances are equal; where some are, the first row
    counts as nearer, while imbalanced-learn's choice depends on the order of the rows.
    Source: Tomek, Two Modifications of CNN, IEEE Transactions on Systems, Man, and Cybernetics 1976.
    """

    _kind: ClassVar[Kind] = "clean"

    def __init__(self, sampling_strategy: Strategy = "auto", recall: float = 1.0) -> None:
        self.sampling_strategy = sampling_strategy
        self.recall = recall

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        found = nearest(numbers(X, type(self).__name__), 1, recall=check_recall(self.recall))
        self.recall_ = found.recall
        other = found.rows[:, 0]
        linked = (codes[other] != codes) & (other[other] == np.arange(len(codes)))
        return Change(np.flatnonzero(~(linked & (wanted[codes] == 1))))


class EditedNearestNeighbours(Resampler):
    """Leaves out the larger classes' examples whose nearest neighbours are of other classes.

    Missing values are allowed.

    Parameters
    ----------
    sampling_strategy, recall : see :class:`TomekLinks`
    n_neighbors : neighbours that are asked
    kind : ``"all"`` keeps an example if all of them agree with it, ``"mode"`` if their most frequent class does (of
        equally frequent ones, the first)

    Attributes
    ----------
    recall_ : share of the true neighbours found, 1 or an estimate

    Verified: chooses what imbalanced-learn chooses where no two distances are equal; where some are, the first row
    counts as nearer, while imbalanced-learn's choice depends on the order of the rows.
    Source: Wilson, Asymptotic Properties of Nearest Neighbor Rules Using Edited Data, IEEE Transactions on Systems,
    Man, and Cybernetics 1972.
    """

    _kind: ClassVar[Kind] = "clean"

    def __init__(
        self, sampling_strategy: Strategy = "auto", n_neighbors: int = 3, kind: str = "all", recall: float = 1.0
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.n_neighbors = n_neighbors
        self.kind = kind
        self.recall = recall

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        if self.kind not in ("all", "mode"):
            raise TailwiseError(f"kind must be 'all' or 'mode'; got {self.kind!r}.")
        at_least_one(n_neighbors=self.n_neighbors)
        asked = np.flatnonzero(wanted[codes] == 1)
        points = numbers(X, type(self).__name__)
        found = nearest(points, self.n_neighbors, of=asked, recall=check_recall(self.recall))
        self.recall_ = found.recall
        neighbours = codes[found.rows]
        agree = neighbours == codes[asked][:, None]
        if self.kind == "all":
            keeps = agree.all(axis=1)
        else:
            votes = (neighbours[:, :, None] == neighbours[:, None]).sum(axis=2)
            first = np.where(votes == votes.max(axis=1, keepdims=True), neighbours, len(wanted)).min(axis=1)
            keeps = first == codes[asked]
        return Change(np.setdiff1d(np.arange(len(codes)), asked[~keeps], assume_unique=True))


class NearMiss(Resampler):
    """Keeps those examples of the larger classes that are nearest to the smallest class.

    Missing values are allowed. Where the smallest class has fewer examples than neighbours are asked for, all of them
    are.

    Parameters
    ----------
    sampling_strategy : see :class:`SMOTE`; classes are brought to the count of the smallest
    version : 1 keeps those with the least mean distance to the ``n_neighbors`` nearest examples of the smallest class,
        2 to the farthest, and 3, of the ``n_candidates`` nearest to each example of the smallest class, which can be
        fewer than asked for, those with the largest mean distance to their own ``n_neighbors`` nearest
    n_neighbors, n_candidates : as above

    Verified: chooses what imbalanced-learn chooses where no two distances are equal; where some are, the first row
    counts as nearer, while imbalanced-learn's choice depends on the order of the rows.
    Source: Mani and Zhang, kNN Approach to Unbalanced Data Distributions, ICML Workshop on Learning from Imbalanced
    Datasets 2003.
    """

    _kind: ClassVar[Kind] = "under"

    def __init__(
        self, sampling_strategy: Strategy = "auto", version: int = 1, n_neighbors: int = 3, n_candidates: int = 3
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.version = version
        self.n_neighbors = n_neighbors
        self.n_candidates = n_candidates

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        if self.version not in (1, 2, 3):
            raise TailwiseError(f"version must be 1, 2 or 3; got {self.version!r}.")
        at_least_one(n_neighbors=self.n_neighbors, n_candidates=self.n_candidates)
        points = numbers(X, type(self).__name__)
        by_class = rows_by_class(codes, len(wanted))
        rare = min(by_class, key=len)
        larger = [(rows, int(count)) for rows, count in zip(by_class, wanted, strict=True) if count < len(rows)]
        if not larger:
            return Change(np.arange(len(codes)))
        return _least(*self._scored(points, larger, rare), codes, wanted)

    def _scored(
        self, points: Any, larger: list[tuple[NDArray[np.intp], int]], rare: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return candidates among the rows of the larger classes, sorted, and by what the least are kept."""
        k = min(self.n_neighbors, len(rare))
        if self.version == 1:
            near = [_near_enough(points, rows, rare, k, count) for rows, count in larger]
        elif self.version == 2:
            near = [rows for rows, _ in larger]
        else:
            near = [nearest(points, min(self.n_candidates, len(rows)), of=rare, among=rows).rows for rows, _ in larger]
        rows = np.unique(np.concatenate(near, axis=None))
        if self.version == 2:
            return rows, _farthest(points, rows, rare, k)
        distances = nearest(points, k, of=rows, among=rare).distances.sum(axis=1)
        return rows, distances if self.version == 1 else -distances


class InstanceHardnessThreshold(Resampler):
    """Leaves out the larger classes' examples to which a classifier gives the least probability, cross-validated.

    Missing values are allowed where the classifier takes them.

    Parameters
    ----------
    sampling_strategy, random_state : see :class:`SMOTE`; classes are brought to the count of the smallest
    estimator : a scikit-learn classifier with probabilities; by default a random forest
    cv : folds

    Verified: chooses what imbalanced-learn chooses where no two probabilities are equal; where some are, it keeps as
    many as were asked for.
    Source: Smith, Martinez and Giraud-Carrier, An Instance Level Analysis of Data Complexity, Machine Learning 2014.
    """

    _kind: ClassVar[Kind] = "under"

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
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
        with warnings.catch_warnings():  # only the larger classes' probabilities are asked for
            warnings.filterwarnings("ignore", "The least populated class|Number of classes in training fold")
            folds = StratifiedKFold(self.cv, shuffle=True, random_state=seed)
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
    """Keep, of each class that is to shrink, the candidates with the least score; of the others everything."""
    best = candidates[np.lexsort((candidates, score))]
    by_score = rows_by_class(codes[best], len(wanted))
    every = enumerate(rows_by_class(codes, len(wanted)))
    kept = [best[by_score[c]][: wanted[c]] if wanted[c] < len(rows) else rows for c, rows in every]
    return Change(np.sort(np.concatenate(kept)))


def _near_enough(points: Any, rows: NDArray[np.intp], rare: NDArray[np.intp], k: int, count: int) -> NDArray[np.intp]:
    """Return those rows that can be among the ``count`` with the least sum of distances to their k nearest rare ones.

    The sum is at least k times the distance to the nearest, so for most rows that one, from a product in float32, is
    enough to leave them out.
    """
    if count == 0:
        return rows[:0]
    if sparse.issparse(points) or np.isnan(points.min()):
        return rows
    centre = points[rare].mean(axis=0, dtype=np.float64)
    others = (points[rare] - centre).astype(np.float32)
    right = np.vstack([others.T, np.einsum("ij,ij->i", others, others)])
    far = np.sqrt(right[-1].max())
    at_least = np.full(len(rows), np.inf)
    best, lock = np.full(count, np.inf), threading.Lock()  # of the sums that are known, at most

    def look(at: slice) -> None:
        nonlocal best
        ones = (points[rows[at]] - centre).astype(np.float32)
        own = np.einsum("ij,ij->i", ones, ones)
        squared = np.column_stack([-2 * ones, np.ones_like(own)]) @ right
        wrong = (points.shape[1] + 16) * 2.0**-24 * (np.sqrt(own, dtype=np.float64) + far) ** 2  # by rounding, at most
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
    """Return the sum of the distances from each row to its k farthest."""
    between, total = distances_to(points, among), np.empty(len(of))
    for at in spans(len(of), len(among)):
        total[at] = np.sqrt(-np.partition(-between(of[at])[0], k - 1, axis=1)[:, :k]).sum(axis=1)
    return total


def check_recall(recall: float) -> float:
    """Return it if it is a share."""
    if not 0 < recall <= 1:
        raise TailwiseError(f"recall must be more than 0 and at most 1; got {recall}.")
    return recall
