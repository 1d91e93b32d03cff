"""Over-sampling of the rare classes of a table, for any scikit-learn classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tailwise import resample
from tailwise.counts import class_prior
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.recipes._base import Recipe, register, unknown_prior

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def _raised(task: Task) -> NDArray[np.int64]:
    """Return the class counts with the smaller ones raised to their mean, which at most doubles the rows."""
    counts = task.class_counts
    mean = int(counts.sum() // np.count_nonzero(counts))
    return np.where(counts > 0, np.maximum(counts, mean), 0)


def changed(task: Task, wanted: NDArray[np.int64]) -> dict[int, int]:
    """Return the wanted counts of those classes whose count changes."""
    return {int(c): int(wanted[c]) for c in np.flatnonzero(wanted != task.class_counts)}


def check_numbers(recipe: Recipe, task: Task, instead: str) -> None:
    """Raise TailwiseError if the table has categories."""
    if task.nominal:
        raise TailwiseError(f"recipe {recipe.name!r} is for numbers only, and the table has categories: use {instead}.")


_FOR_CATEGORIES = resample.RandomOverSampler, resample.SMOTENC


@dataclass(frozen=True)
class _Raised(Recipe):
    """Smaller classes are raised, and the result may be cleaned."""

    @property
    def relative_cost(self) -> float:
        """At most twice the rows."""
        return 2.0

    def _raise(self, base: BaseEstimator, task: Task, resampler: resample.Resampler) -> BaseEstimator:
        if not isinstance(resampler, _FOR_CATEGORIES):
            check_numbers(self, task, "smote")
        resampler.set_params(sampling_strategy=changed(task, _raised(task)))
        return resample.ResampledClassifier(base, resampler)


@dataclass(frozen=True)
class _OverSampled(_Raised):
    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the raised class counts over their sum."""
        return class_prior(_raised(task))


@register("random-over-sampling", paper="Batista, Prati and Monard, SIGKDD Explorations 2004")
@dataclass(frozen=True)
class RandomOverSampling(_OverSampled):
    """Repeat rows of the smaller classes, up to the mean class count.

    Verified: the table has the raised counts and all its rows. Deviates: the paper repeats until classes are equal,
    which multiplies a long-tailed table.
    Measured: +0.052 on digits (forest), +0.036 on CIFAR-10-LT (forest), +0.062 on packages (forest).
    """

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        return self._raise(base, task, resample.RandomOverSampler())


@register("smote", paper="Chawla et al., JAIR 2002, arXiv:1106.1813")
@dataclass(frozen=True)
class SMOTE(_OverSampled):
    """Add rows to the smaller classes between neighbours of one class, up to the mean class count.

    Verified: new rows have the distribution of imbalanced-learn's, and classes the raised counts. Deviates: the paper
    adds a percentage of each small class's own size. In columns of categories the neighbours vote (SMOTE-NC, section
    6.1 of the paper; SMOTE-N, 6.2, if there are no other columns).
    Measured: +0.051 on digits (forest), +0.071 on CIFAR-10-LT (forest), +0.054 on packages (forest).
    """

    k_neighbors: int = 5

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        if not task.nominal:
            return self._raise(base, task, resample.SMOTE(k_neighbors=self.k_neighbors))
        mixed = resample.SMOTENC(task.nominal, k_neighbors=self.k_neighbors)
        return self._raise(base, task, mixed)


@register("gaussian-over-sampling", paper="Menardi and Torelli, Data Mining and Knowledge Discovery 2014")
@dataclass(frozen=True)
class GaussianOverSampling(_OverSampled):
    """ROSE: add rows to the smaller classes from their kernel densities, up to the mean class count.

    Verified: the noise has the width of the equation. Deviates: existing rows stay; the paper draws all of them anew.
    Measured: +0.084 on digits (forest), +0.016 on CIFAR-10-LT (forest).
    """

    shrinkage: float = 1.0

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        return self._raise(base, task, resample.GaussianOverSampler(shrinkage=self.shrinkage))


@register("mixup-over-sampling", paper="Chou et al., ECCV Workshops 2020, arXiv:2007.03943")
@dataclass(frozen=True)
class MixupOverSampling(_OverSampled):
    """Add rows to the smaller classes between one of theirs and any other, in the nearer half, up to the mean count.

    Verified: new rows keep more of the row that they start from. Deviates: the paper mixes batches during training, and
    gives even farther points to the rarer class.
    Measured: +0.069 on digits (forest), +0.060 on CIFAR-10-LT (forest).
    """

    alpha: float = 0.2

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        return self._raise(base, task, resample.MixupOverSampler(alpha=self.alpha))


@register("borderline-smote", paper="Han, Wang and Mao, ICIC 2005")
@dataclass(frozen=True)
class BorderlineSMOTE(_OverSampled):
    """SMOTE from rows with at least half of their neighbours in other classes, up to the mean class count.

    Verified: new rows have the distribution of imbalanced-learn's. Deviates: classes are raised to the mean count.
    Measured: +0.057 on digits (forest), +0.068 on CIFAR-10-LT (forest).
    """

    k_neighbors: int = 5
    m_neighbors: int = 10

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        resampler = resample.BorderlineSMOTE(k_neighbors=self.k_neighbors, m_neighbors=self.m_neighbors)
        return self._raise(base, task, resampler)


@register("adasyn", paper="He et al., IJCNN 2008")
@dataclass(frozen=True)
class ADASYN(_OverSampled):
    """SMOTE with more new rows from rows that are harder to learn, up to about the mean class count.

    Verified: new rows have the distribution of imbalanced-learn's. Deviates: classes are raised to about the mean
    count, not until they are equal.
    Measured: +0.059 on digits (forest), +0.074 on CIFAR-10-LT (forest).
    """

    k_neighbors: int = 5

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        return self._raise(base, task, resample.ADASYN(k_neighbors=self.k_neighbors))


@register("svm-smote", paper="Nguyen, Cooper and Kamei, IJKESDP 2011")
@dataclass(frozen=True)
class SVMSMOTE(_OverSampled):
    """SMOTE from the support vectors of a class, up to the mean class count.

    Verified: new rows start from support vectors and have, in either direction, the distribution of imbalanced-learn's.
    Deviates: classes are raised to the mean count.
    Measured: +0.057 on digits (forest), +0.067 on CIFAR-10-LT (forest).
    """

    k_neighbors: int = 5
    m_neighbors: int = 10

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        resampler = resample.SVMSMOTE(k_neighbors=self.k_neighbors, m_neighbors=self.m_neighbors)
        return self._raise(base, task, resampler)


@register("kmeans-smote", paper="Douzas, Bacao and Last, Information Sciences 2018, arXiv:1711.00837")
@dataclass(frozen=True)
class KMeansSMOTE(_OverSampled):
    """SMOTE inside the clusters where a class is frequent, up to the mean class count.

    Verified: new rows have the distribution of imbalanced-learn's, given the same clusters. Deviates: a class is
    frequent in a cluster if its share there is at least that in the table; the paper, for two classes, requires half of
    the cluster.
    Measured: +0.056 on digits (forest), +0.009 on CIFAR-10-LT (forest).
    """

    k_neighbors: int = 2
    n_clusters: int = 8

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        resampler = resample.KMeansSMOTE(k_neighbors=self.k_neighbors, n_clusters=self.n_clusters)
        return self._raise(base, task, resampler)


@register("smote-tomek", paper="Batista, Bazzan and Monard, WOB 2003")
@dataclass(frozen=True)
class SMOTETomek(_Raised):
    """SMOTE up to the mean class count, then remove pairs of nearest neighbours from different classes.

    Verified: removes the pairs that a search of all neighbours finds. Deviates: classes are raised to the mean count.
    Measured: +0.051 on digits (forest), +0.073 on CIFAR-10-LT (forest).
    """

    learned_prior = unknown_prior  # how many rows of a class are removed depends on where they lie

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the changed table."""
        return self._raise(base, task, resample.SMOTETomek())


@register("smote-enn", paper="Batista, Prati and Monard, SIGKDD Explorations 2004")
@dataclass(frozen=True)
class SMOTEENN(_Raised):
    """SMOTE up to the mean class count, then remove rows with a neighbour of another class.

    Verified: removes the rows that a search of all neighbours finds. Deviates: one of three neighbours is enough, as in
    imbalanced-learn, where the paper takes their majority; classes are raised to the mean count.
    Measured: +0.054 on digits (forest), +0.095 on CIFAR-10-LT (forest).
    """

    learned_prior = unknown_prior  # as above

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the changed table."""
        return self._raise(base, task, resample.SMOTEENN())
