"""Plain cross-entropy on epochs in which the classes have other shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tailwise import losses, samplers
from tailwise.counts import class_prior
from tailwise.engine.stage import Stage, Task
from tailwise.recipes._base import Recipe, register


@register("class-balanced-sampling", paper="Shen et al., ECCV 2016, arXiv:1512.05830")
@dataclass(frozen=True)
class ClassBalancedSampling(Recipe):
    """Show every class equally often."""

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on class-balanced epochs."""
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=samplers.ClassBalancedSampler)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the uniform prior."""
        return np.full(task.n_classes, 1 / task.n_classes)


@register("square-root-sampling", paper="Mahajan et al., ECCV 2018, arXiv:1805.00932")
@dataclass(frozen=True)
class SquareRootSampling(Recipe):
    """Show classes in proportion to the square root of their counts."""

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on epochs between the natural and the balanced ones."""
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=samplers.SquareRootSampler)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the roots of the counts over their sum."""
        return class_prior(np.sqrt(task.class_counts))


@register("progressively-balanced-sampling", paper="Kang et al., ICLR 2020, arXiv:1910.09217")
@dataclass(frozen=True)
class ProgressivelyBalancedSampling(Recipe):
    """Move from natural epochs to class-balanced ones."""

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on epochs that become more balanced one by one."""
        sampler = partial(samplers.ProgressivelyBalancedSampler, epochs=task.epochs)
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=sampler)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the uniform prior of the last epochs."""
        return np.full(task.n_classes, 1 / task.n_classes)
