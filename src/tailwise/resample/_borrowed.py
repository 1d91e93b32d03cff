"""What imbalanced-learn does well, in the containers and with the checks of the others here."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise._optional import require
from tailwise.errors import TailwiseError
from tailwise.resample._base import Change, Resampler
from tailwise.resample._containers import RandomState, at_least_one, rows_by_class, seeds
from tailwise.resample._goals import Kind, Strategy
from tailwise.resample._neighbours import nearest
from tailwise.resample._tables import numbers


class Borrowed(Resampler):
    """Lets imbalanced-learn, an extra, compute. Missing values are not allowed.

    A new row's ``sample_indices_`` is the nearest example of its class.
    """

    random_state: RandomState

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        points, name = numbers(X, type(self).__name__), type(self).__name__
        if np.isnan(points.data if sparse.issparse(points) else points).any():
            raise TailwiseError(f"{name} takes no missing values: fill them in, or use another method.")
        by_class = rows_by_class(codes, len(wanted))
        strategy = {c: int(n) for c, n in enumerate(wanted) if n != len(by_class[c])}
        every = np.arange(len(codes))
        if not strategy:
            return Change(every)
        sampler = self._theirs(strategy, seeds(self.random_state, 1)[0])
        try:
            made, classes = sampler.fit_resample(points, codes)
        except (ValueError, RuntimeError) as error:
            said = " ".join(str(error).replace("cluster_balance_threshold", "threshold").split())
            raise TailwiseError(f"{name} cannot resample this: {said}") from error
        if self._kind == "over":
            kept, new = every, np.arange(len(codes), len(classes))
        else:  # classes with too many examples are all new
            kept = np.flatnonzero(~np.isin(codes, list(strategy)))
            new = np.flatnonzero(np.isin(classes, list(strategy)))
        parents = np.empty(len(new), np.intp)
        for c in strategy:
            of = np.flatnonzero(classes[new] == c)
            if len(of):
                parts: list[Any] = [made[new[of]], points[by_class[c]]]
                both = sparse.vstack(parts, format="csr") if sparse.issparse(points) else np.concatenate(parts)
                near = nearest(both, 1, np.arange(len(of)), np.arange(len(of), both.shape[0])).rows[:, 0]
                parents[of] = by_class[c][near - len(of)]
        return Change(kept, parents, lambda at: made[new[at]])

    def _theirs(self, strategy: dict[int, int], seed: int) -> Any:
        """Return imbalanced-learn's resampler."""
        raise NotImplementedError


class SVMSMOTE(Borrowed):
    """SMOTE from the support vectors of a class, inwards where others are near and outwards where not.

    Parameters
    ----------
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`
    m_neighbors : neighbours among all classes that say whether others are near

    Source: Nguyen, Cooper and Kamei, Borderline Over-sampling for Imbalanced Data Classification, International Journal
    of Knowledge Engineering and Soft Data Paradigms 2011.
    """

    _kind: ClassVar[Kind] = "over"

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        k_neighbors: int = 5,
        m_neighbors: int = 10,
        random_state: RandomState = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.k_neighbors = k_neighbors
        self.m_neighbors = m_neighbors
        self.random_state = random_state

    def _theirs(self, strategy: dict[int, int], seed: int) -> Any:
        at_least_one(k_neighbors=self.k_neighbors, m_neighbors=self.m_neighbors)
        return require("imblearn.over_sampling", "resample").SVMSMOTE(
            sampling_strategy=strategy, random_state=seed, k_neighbors=self.k_neighbors, m_neighbors=self.m_neighbors
        )


class KMeansSMOTE(Borrowed):
    """SMOTE inside the clusters of the table in which a class is frequent, more where it is sparse.

    Parameters
    ----------
    sampling_strategy, random_state : see :class:`SMOTE`
    k_neighbors : neighbours of each example, inside its cluster
    n_clusters : of k-means
    threshold : share of a class in a cluster from which on it counts as frequent; ``"auto"`` is the class's share in
        the table

    Source: Douzas, Bacao and Last, Improving Imbalanced Learning through a Heuristic Oversampling Method Based on
    k-means and SMOTE, Information Sciences 2018.
    """

    _kind: ClassVar[Kind] = "over"

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        k_neighbors: int = 2,
        n_clusters: int = 8,
        threshold: float | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.k_neighbors = k_neighbors
        self.n_clusters = n_clusters
        self.threshold = threshold
        self.random_state = random_state

    def _theirs(self, strategy: dict[int, int], seed: int) -> Any:
        from sklearn.cluster import MiniBatchKMeans

        at_least_one(k_neighbors=self.k_neighbors, n_clusters=self.n_clusters)
        return require("imblearn.over_sampling", "resample").KMeansSMOTE(
            sampling_strategy=strategy,
            random_state=seed,
            k_neighbors=self.k_neighbors,
            kmeans_estimator=MiniBatchKMeans(self.n_clusters, n_init=1, random_state=seed),
            cluster_balance_threshold=self.threshold,
        )


class ClusterCentroids(Borrowed):
    """Puts the centres of k-means clusters in the place of the larger classes' examples.

    Parameters
    ----------
    sampling_strategy, random_state : see :class:`NearMiss`

    Source: Yen and Lee, Cluster-based Under-sampling Approaches for Imbalanced Data Distributions, Expert Systems with
    Applications 2009, as imbalanced-learn has it.
    """

    _kind: ClassVar[Kind] = "under"

    def __init__(self, sampling_strategy: Strategy = "auto", random_state: RandomState = None) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state

    def _theirs(self, strategy: dict[int, int], seed: int) -> Any:
        from sklearn.cluster import MiniBatchKMeans

        return require("imblearn.under_sampling", "resample").ClusterCentroids(
            sampling_strategy=strategy, random_state=seed, estimator=MiniBatchKMeans(n_init=1, random_state=seed)
        )
