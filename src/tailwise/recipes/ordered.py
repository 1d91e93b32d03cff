"""For ordered labels, such as ages or grades: the sorted order of the labels is the order of the classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tailwise import losses
from tailwise.counts import Weighting
from tailwise.engine.stage import Stage, Task
from tailwise.recipes._base import Recipe, register


@register("label-distribution-smoothing", paper="Yang et al., ICML 2021, arXiv:2102.09554")
@dataclass(frozen=True)
class LabelDistributionSmoothing(Recipe):
    """For ordered labels: weight every class by one over its count smoothed with its neighbours'.

    Deviates: the paper regresses; here each label is a class, and the classes are in the sorted order of the labels.
    """

    sigma: float = 2.0  # of the smoothing, in classes
    scheme: Weighting = "inverse"

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything with weighted cross-entropy."""
        yield Stage("learn", loss=losses.SmoothedDensityLoss(task.class_counts, self.sigma, self.scheme))

    def learned_prior(self, task: Task) -> None:
        """Return None: what the weights leave depends on the order of the classes, and is calibrated class by class."""
