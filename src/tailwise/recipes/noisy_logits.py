"""Random noise on the logits, more for rarer classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tailwise import losses
from tailwise.engine.stage import Stage, Task
from tailwise.recipes._base import CosineRecipe, Recipe, register, unknown_prior
from tailwise.recipes.decoupled import balanced_classifier


@register("gcl", paper="Li et al., CVPR 2022, arXiv:2305.11733")
@dataclass(frozen=True)
class GaussianClouds(CosineRecipe):
    """Lower the cosines of rarer classes by more noise during training, then balance the classifier.

    Verified: the loss equals a reading of the equation, and the last tenth trains the classifier alone, on balanced
    batches. Deviates: that stage continues from the current classifier with plain cosines; the paper trains a new one,
    with its loss again, on batches drawn by effective numbers, for which a tenth of a short training is too little. The
    margin is that of the equation; the authors' scripts have none in the first stage, but mixup in both. Their second
    one goes on from the current classifier too, on balanced batches, with noise, focus, margin 0.1 and a lower scale.
    Measured: +0.029 on digits, +0.080 on CIFAR-10-LT, +0.041 on package sizes.
    """

    learned_prior = unknown_prior  # no formula says how margins and noise change the prior

    scale: float = 30.0
    retrain: float = 0.1

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train with noisy cosines, then the classifier with plain ones on class-balanced batches."""
        yield Stage("learn", share=1 - self.retrain, loss=losses.GCLLoss(task.class_counts, scale=self.scale))
        yield balanced_classifier(self.retrain, loss=losses.NormalisedSoftmaxLoss(1 / self.scale))


@register("blv", paper="Wang et al., CVPR 2023, arXiv:2306.02061")
@dataclass(frozen=True)
class BalancingLogitVariation(Recipe):
    """Add random noise to every logit during training, more for rarer classes.

    Verified: the loss equals a reading of the equation, and without noise it is cross-entropy. Deviates: one label per
    example, where the paper has one per pixel.
    Measured: -0.008 on digits, -0.019 on CIFAR-10-LT, -0.012 on package sizes.
    """

    learned_prior = unknown_prior  # no formula says how noise changes the prior

    sigma: float = 4.0

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything with the noisy loss."""
        yield Stage("learn", loss=losses.BLVLoss(task.class_counts, self.sigma))
