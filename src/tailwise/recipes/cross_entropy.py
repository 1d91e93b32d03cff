"""The baseline that every other recipe is measured against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailwise import losses
from tailwise.engine.stage import Stage, Task
from tailwise.recipes._base import Recipe, register

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from torch import nn


def plain_loss(task: Task) -> nn.Module:
    """Return cross-entropy: of one softmax, or of one sigmoid per class if an example has a set of classes."""
    return losses.AsymmetricLoss(gamma_negative=0, clip=0) if task.has_sets else losses.CrossEntropyLoss()


@register("cross-entropy", paper="the plain learner: no correction of any kind")
@dataclass(frozen=True)
class CrossEntropy(Recipe):
    """Plain cross-entropy, or the plain scikit-learn estimator: the baseline.

    Verified: the loss equals torch's cross-entropy and, for sets of labels, its sigmoid cross-entropy.
    """

    targets = ("class", "labels")
    decides_plainly = True

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything with cross-entropy."""
        yield Stage("learn", loss=plain_loss(task))

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Take the estimator as it is."""
        return base


#: Plain training, which corrections start from and all others are compared with.
PLAIN = CrossEntropy()


@dataclass(frozen=True)
class AfterTraining(Recipe):
    """A recipe that trains plainly and corrects the scores afterwards."""

    @property
    def training(self) -> Recipe:
        """Cross-entropy: this recipe starts after training."""
        return PLAIN

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train as cross-entropy does."""
        return self.training.stages(task)

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Take the estimator as it is."""
        return base
