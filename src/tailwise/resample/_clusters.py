"""Resampling with k-means: SMOTE inside clusters, and cluster centres in place of examples."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import pairwise_distances_argmin

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, seeds
from tailwise.resample._base import Change, Resampler
from tailwise.resample._blocks import spans
from tailwise.resample._containers import rows_by_class
from tailwise.resample._goals import Kind, Strategy
from tailwise.resample._smote import SMOTE, Lines, Rows, Table
from tailwise.resample._tables import complete, numbers
from tailwise.settings import whole

_MEASURED = 1 << 13  # examples used to estimate a mean distance


class KMeansSMOTE(SMOTE):
    """SMOTE inside the clusters in which a class is frequent, with more new examples where the class is sparse.

    A cluster's share of a class's new examples is proportional to ``d^m / n``: it holds n examples of the class, with
    mean distance d between them (measured on at most 8,192), in m features. A class that is frequent in no cluster is
    over-sampled as by :class:`SMOTE`. Missing values are not allowed.

    Parameters
    ----------
    sampling_strategy, random_state : see :class:`SMOTE`
    k_neighbors : neighbours of each example, within its cluster and class
    n_clusters : number of k-means clusters
    threshold : a class counts as frequent in a cluster if it has at least this share of it; ``"auto"`` is the class's
        share of the table

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: two-sample tests against imbalanced-learn's distribution of new examples, with the same clusters,
    threshold and exponent.
    Source: Douzas, Bacao and Last, Improving Imbalanced Learning through a Heuristic Oversampling Method Based on
    k-means and SMOTE, Information Sciences 2018, algorithm 1, and the authors' code (kmeans_smote.py) for a class that
    is frequent in no cluster. Deviates: the paper, for two classes, asks for a majority of the cluster, which is a
    threshold of 0.5 here.
    """

    _takes = frozenset({"sparse"})

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        *,
        k_neighbors: int = 2,
        n_clusters: int = 8,
        threshold: float | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        super().__init__(sampling_strategy, k_neighbors=k_neighbors, random_state=random_state)
        self.n_clusters = n_clusters
        self.threshold = threshold

    def _around(self, table: Table, asked: Rows) -> NDArray[np.int32]:
        """Return the (n, 1) cluster of each example."""
        if self.threshold != "auto" and (isinstance(self.threshold, str) or not 0 <= self.threshold <= 1):
            raise TailwiseError(f"threshold must be a share from 0 to 1, or 'auto'; got {self.threshold!r}.")
        whole("n_clusters", self.n_clusters, 1)
        complete(table.points, type(self).__name__)
        n_clusters, seed = min(self.n_clusters, len(table.codes)), int(table.rng.integers(2**31 - 1))
        return _k_means(table.points, n_clusters, seed).labels_[:, None]

    def _lines(self, table: Table, rows: Rows, count: int) -> Lines:
        sizes = np.bincount(table.around[:, 0])
        inside = [rows[own] for own in rows_by_class(table.around[rows, 0], len(sizes))]
        share = len(rows) / len(table.codes) if isinstance(self.threshold, str) else self.threshold
        least = sizes * share * (1 - 1e-12)  # a cluster that has just the share is dense, however it is rounded
        dense = [own for own, enough in zip(inside, least, strict=True) if len(own) >= max(2, enough)]
        if not dense:
            return super()._lines(table, rows, count)
        # in logarithms: with many features the power overflows
        width, distance = table.points.shape[1], [_mean_distance(table.points[own]) for own in dense]
        sparsity = [width * np.log(d) - np.log(len(own)) for own, d in zip(dense, distance, strict=True)]
        parts = np.exp(sparsity - np.max(sparsity))
        ends_at = np.rint(np.cumsum(parts) / parts.sum() * count).astype(np.intp)
        start = [table.rng.choice(own, n) for own, n in zip(dense, np.diff(ends_at, prepend=0), strict=True)]
        end = [self._own_neighbour(table, own, some) for own, some in zip(dense, start, strict=True)]
        return np.concatenate(start), np.concatenate(end), table.rng.random(count)


class ClusterCentroids(Resampler):
    """Replaces the examples of the larger classes with the centres of k-means clusters.

    For a sparse table it keeps the examples nearest to the centres instead, so that the table stays sparse. Missing
    values are not allowed. In ``sample_indices_``, a centre has the row of the nearest example of its class.

    Parameters
    ----------
    sampling_strategy : see :class:`NearMiss`
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: the same centres as imbalanced-learn, with the same k-means and seed. Deviates: k-means in small batches,
    which is faster; imbalanced-learn's default takes all examples in each step.
    Source: Yen and Lee, Cluster-based Under-sampling Approaches for Imbalanced Data Distributions, Expert Systems with
    Applications 2009, as implemented in imbalanced-learn.
    """

    _takes = frozenset({"sparse"})

    _kind: ClassVar[Kind] = "under"

    def __init__(self, sampling_strategy: Strategy = "auto", *, random_state: RandomState = None) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        points, seed = complete(numbers(X, type(self).__name__), type(self).__name__), seeds(self.random_state, 1)[0]
        kept, parents, centres = [], [], []
        for rows, count in zip(rows_by_class(codes, len(wanted)), wanted, strict=True):
            if count == len(rows):
                kept.append(rows)
            elif count:
                centres.append(_k_means(points[rows], int(count), seed).cluster_centers_)
                parents.append(rows[pairwise_distances_argmin(centres[-1], points[rows])])
        if sparse.issparse(points):
            return Change(np.sort(np.concatenate([*kept, *parents])))
        made = np.concatenate([np.empty((0, points.shape[1]), points.dtype), *centres])
        none = np.empty(0, np.intp)
        return Change(np.sort(np.concatenate([none, *kept])), np.concatenate([none, *parents]), lambda at: made[at])


def _k_means(points: Any, n_clusters: int, seed: int) -> Any:
    """Return scikit-learn's k-means, fitted to the points."""
    from sklearn.cluster import MiniBatchKMeans

    if sparse.issparse(points) and not points.data.flags.writeable:  # mapped from a file, which scikit-learn refuses
        points = points.copy()
    return MiniBatchKMeans(n_clusters, n_init=1, random_state=seed).fit(points)


def _mean_distance(points: Any) -> float:
    """Return the mean Euclidean distance between pairs of points, or of a subset if there are many; always above 0."""
    points = points[:: -(-points.shape[0] // _MEASURED)]
    n, total = points.shape[0], 0.0
    if not sparse.issparse(points):
        points = points - points.mean(axis=0)
    norms = np.asarray((points.multiply(points) if sparse.issparse(points) else points**2).sum(axis=1)).ravel()
    for at in spans(n, n):
        product = points[at] @ points[at.start :].T
        squared = product.toarray() if sparse.issparse(product) else product
        squared *= -2
        squared += norms[at, None]
        squared += norms[at.start :]
        own = squared[:, : len(squared)]  # pairs inside the block, which occur twice
        np.fill_diagonal(own, 0)
        np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
        total += 2 * squared.sum(dtype=np.float64) - own.sum(dtype=np.float64)
    return max(total / (n * (n - 1)), np.finfo(np.float64).tiny)
