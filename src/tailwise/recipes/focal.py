"""Focal loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tailwise import losses
from tailwise.engine.stage import Stage, Task
from tailwise.recipes._base import Recipe, register


@register("focal", paper="Lin et al., ICCV 2017, arXiv:1708.02002")
@dataclass(frozen=True)
class Focal(Recipe):
    """Reduce the loss of examples that are already classified well.

    Verified: the loss equals a float64 reading of the equation. Deviates: a softmax in place of sigmoids, and no class
    weights.
    Measured: +0.004 on digits, -0.001 on CIFAR-10-LT, +0.005 on package sizes.
    """

    gamma: float = 2.0

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything with focal loss."""
        yield Stage("learn", loss=losses.FocalLoss(gamma=self.gamma))
