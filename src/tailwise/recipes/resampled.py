"""Tables whose rare classes get more rows, or whose frequent ones fewer, for any scikit-learn classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tailwise import resample
from tailwise.counts import class_prior
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.recipes._base import Recipe, register

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def _raised(task: Task) -> NDArray[np.int64]:
    """Return the class counts with the smaller ones raised to their mean: at most twice the rows in all."""
    counts = task.class_counts
    mean = int(counts.sum() // np.count_nonzero(counts))
    return np.where(counts > 0, np.maximum(counts, mean), 0)


@dataclass(frozen=True)
class _OverSampled(Recipe):
    def _raise(self, base: BaseEstimator, task: Task, resampler: resample.Resampler) -> BaseEstimator:
        wanted = _raised(task)
        more = {int(c): int(wanted[c]) for c in np.flatnonzero(wanted > task.class_counts)}
        return resample.ResampledClassifier(base, resampler.set_params(sampling_strategy=more))

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the raised class counts over their sum."""
        return class_prior(_raised(task))


@register("random-over-sampling", paper="Batista, Prati and Monard, SIGKDD Explorations 2004")
@dataclass(frozen=True)
class RandomOverSampling(_OverSampled):
    """Repeat rows of the smaller classes, up to the mean class count."""

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        return self._raise(base, task, resample.RandomOverSampler())


@register("smote", paper="Chawla et al., JAIR 2002, arXiv:1106.1813")
@dataclass(frozen=True)
class SMOTE(_OverSampled):
    """Add rows to the smaller classes between neighbours of one class, up to the mean class count.

    Deviates: the paper gives each small class so many per cent of its own size more. Columns of categories are
    voted on among the neighbours (SMOTE-NC, section 6.1 of the paper; SMOTE-N, 6.2, where there are no others).
    """

    k_neighbors: int = 5

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        if not task.nominal:
            return self._raise(base, task, resample.SMOTE(k_neighbors=self.k_neighbors))
        mixed = resample.SMOTENC(task.nominal, k_neighbors=self.k_neighbors)
        return self._raise(base, task, mixed)


@dataclass(frozen=True)
class _Numeric(_OverSampled):
    def _raise(self, base: BaseEstimator, task: Task, resampler: resample.Resampler) -> BaseEstimator:
        if task.nominal:
            raise TailwiseError(f"recipe {self.name!r} is for numbers only, and the table has categories: use smote.")
        return super()._raise(base, task, resampler)

    def learned_prior(self, task: Task) -> None:  # type: ignore[override]
        """Return None: which rows are added and left out follows the other classes, so that densities change too."""


@register("borderline-smote", paper="Han, Wang and Mao, ICIC 2005")
@dataclass(frozen=True)
class BorderlineSMOTE(_Numeric):
    """SMOTE from those examples of a class that have most neighbours in others, up to the mean class count."""

    k_neighbors: int = 5
    m_neighbors: int = 10

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        resampler = resample.BorderlineSMOTE(k_neighbors=self.k_neighbors, m_neighbors=self.m_neighbors)
        return self._raise(base, task, resampler)


@register("adasyn", paper="He et al., IJCNN 2008")
@dataclass(frozen=True)
class ADASYN(_Numeric):
    """SMOTE with more rows from the examples that are harder to learn, up to about the mean class count."""

    k_neighbors: int = 5

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the larger table."""
        return self._raise(base, task, resample.ADASYN(k_neighbors=self.k_neighbors))


@register("random-under-sampling", paper="Drummond and Holte, ICML Workshop on Imbalanced Data Sets 2003")
@dataclass(frozen=True)
class RandomUnderSampling(Recipe):
    """Leave out rows of the larger classes, down to the median class count."""

    def _kept(self, task: Task) -> NDArray[np.int64]:
        counts = task.class_counts
        return np.minimum(counts, int(np.median(counts[counts > 0])))

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the smaller table."""
        kept = self._kept(task)
        fewer = {int(c): int(kept[c]) for c in np.flatnonzero(kept < task.class_counts)}
        return resample.ResampledClassifier(base, resample.RandomUnderSampler(sampling_strategy=fewer))

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the lowered class counts over their sum."""
        return class_prior(self._kept(task))


@register("smote-tomek", paper="Batista, Bazzan and Monard, WOB 2003")
@dataclass(frozen=True)
class SMOTETomek(_Numeric):
    """SMOTE up to the mean class count, then leave out pairs of nearest neighbours from different classes."""

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the changed table."""
        return self._raise(base, task, resample.SMOTETomek())


@register("smote-enn", paper="Batista, Prati and Monard, SIGKDD Explorations 2004")
@dataclass(frozen=True)
class SMOTEENN(_Numeric):
    """SMOTE up to the mean class count, then leave out rows that their neighbours contradict."""

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the changed table."""
        return self._raise(base, task, resample.SMOTEENN())
