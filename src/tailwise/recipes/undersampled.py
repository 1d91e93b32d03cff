"""Under-sampling of the frequent classes of a table, for any scikit-learn classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tailwise import resample
from tailwise.counts import class_prior
from tailwise.engine.stage import Task
from tailwise.recipes._base import Recipe, register, unknown_prior
from tailwise.recipes.resampled import changed, check_numbers

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def _lowered(task: Task) -> NDArray[np.int64]:
    """Return the class counts with the larger ones lowered to their median."""
    counts = task.class_counts
    return np.minimum(counts, int(np.median(counts[counts > 0])))


@register("random-under-sampling", paper="Drummond and Holte, ICML Workshop on Imbalanced Data Sets 2003")
@dataclass(frozen=True)
class RandomUnderSampling(Recipe):
    """Remove rows of the larger classes at random, down to the median class count.

    Verified: the table has the lowered counts and no new rows. Deviates: classes are lowered to the median count; the
    smallest, as for the two classes of the paper, would leave little of a long tail.
    Measured: +0.040 on digits (forest), +0.066 on CIFAR-10-LT (forest), +0.064 on packages (forest).
    """

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the smaller table."""
        return resample.ResampledClassifier(base, resample.RandomUnderSampler(changed(task, _lowered(task))))

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the lowered class counts over their sum."""
        return class_prior(_lowered(task))


@dataclass(frozen=True)
class _Chosen(Recipe):
    learned_prior = unknown_prior  # which rows are removed depends on where they lie, which changes densities too

    def _fewer(self, task: Task) -> dict[int, int]:
        check_numbers(self, task, "random-under-sampling")
        return changed(task, _lowered(task))


@register("tomek-links", paper="Tomek, IEEE Transactions on Systems, Man, and Cybernetics 1976")
@dataclass(frozen=True)
class TomekLinks(_Chosen):
    """Remove rows that are mutual nearest neighbours with a row of another class, from classes above the median count.

    Verified: removes the same rows as imbalanced-learn. Deviates: only the larger classes lose rows, so that the rare
    ones stay whole.
    Measured: -0.001 on digits (forest), +0.001 on CIFAR-10-LT (forest).
    """

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the smaller table."""
        return resample.ResampledClassifier(base, resample.TomekLinks(list(self._fewer(task))))


@register("edited-nearest-neighbours", paper="Wilson, IEEE Transactions on Systems, Man, and Cybernetics 1972")
@dataclass(frozen=True)
class EditedNearestNeighbours(_Chosen):
    """Remove rows that most of their neighbours contradict, from classes above the median count.

    Verified: removes the same rows as imbalanced-learn. Deviates: the paper edits all classes, which would leave
    nothing of the smallest.
    Measured: -0.010 on digits (forest), -0.004 on CIFAR-10-LT (forest).
    """

    n_neighbors: int = 3

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the smaller table."""
        classes = list(self._fewer(task))
        resampler = resample.EditedNearestNeighbours(classes, n_neighbors=self.n_neighbors, kind="mode")
        return resample.ResampledClassifier(base, resampler)


@register("instance-hardness", paper="Smith, Martinez and Giraud-Carrier, Machine Learning 2014")
@dataclass(frozen=True)
class InstanceHardness(Recipe):
    """Remove rows that the learner itself, cross-validated, finds least probable, from classes above the median count.

    The remaining classes are easy to separate, so that scores grow with the table; use five folds or more for reliable
    probabilities.
    Verified: keeps the same rows as imbalanced-learn, given the same probabilities. Deviates: the paper uses nine
    learners.
    Measured: +0.023 on digits (forest), +0.052 on CIFAR-10-LT (forest), +0.030 on packages (forest).
    """

    learned_prior = unknown_prior  # which rows are removed depends on where they lie, which changes densities too

    @property
    def relative_cost(self) -> float:
        """Five fits on four fifths of the rows, and one on the remaining rows."""
        return 5.0

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the smaller table."""
        fewer = changed(task, _lowered(task))
        return resample.ResampledClassifier(base, resample.InstanceHardnessThreshold(fewer, estimator=base))


@register("near-miss", paper="Mani and Zhang, ICML Workshop on Learning from Imbalanced Data Sets 2003")
@dataclass(frozen=True)
class NearMiss(_Chosen):
    """Keep the rows of the larger classes that are nearest to the smallest class, down to the median class count.

    Verified: keeps the same rows as imbalanced-learn. Deviates: classes are lowered to the median count; the smallest,
    as for the two classes of the paper, would leave little of a long tail.
    Measured: -0.013 on digits (forest), +0.032 on CIFAR-10-LT (forest).
    """

    version: int = 2
    n_neighbors: int = 3

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the smaller table."""
        resampler = resample.NearMiss(self._fewer(task), version=self.version, n_neighbors=self.n_neighbors)
        return resample.ResampledClassifier(base, resampler)


@register("cluster-centroids", paper="Yen and Lee, Expert Systems with Applications 2009")
@dataclass(frozen=True)
class ClusterCentroids(_Chosen):
    """Replace the rows of larger classes by the centres of as many clusters as the median class count.

    Verified: the centres are imbalanced-learn's, given k-means with the same seed. Deviates: clusters each of these
    classes by itself; the paper clusters the whole table, and keeps rows.
    Measured: +0.038 on digits (forest), +0.075 on CIFAR-10-LT (forest).
    """

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Fit on the smaller table."""
        return resample.ResampledClassifier(base, resample.ClusterCentroids(self._fewer(task)))
