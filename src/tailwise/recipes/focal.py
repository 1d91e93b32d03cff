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
    """Turn the loss down on examples that are already classified well."""

    gamma: float = 2.0

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything with focal loss."""
        yield Stage("learn", loss=losses.FocalLoss(gamma=self.gamma))
