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


@register("cross-entropy", paper="the plain learner: no correction of any kind")
@dataclass(frozen=True)
class CrossEntropy(Recipe):
    """Plain cross-entropy, or the plain scikit-learn estimator; the baseline."""

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything with cross-entropy."""
        yield Stage("learn", loss=losses.CrossEntropyLoss())

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Take the estimator as it is."""
        return base
