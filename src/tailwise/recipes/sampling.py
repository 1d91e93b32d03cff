"""Plain cross-entropy on epochs that change the shares of the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise import losses, samplers
from tailwise.counts import class_prior
from tailwise.engine.stage import Stage, Task
from tailwise.errors import TailwiseError
from tailwise.recipes._base import Recipe, register, uniform_prior, unknown_prior
from tailwise.recipes.cross_entropy import plain_loss
from tailwise.settings import divisor, number

if TYPE_CHECKING:
    from tailwise.nn import Network


@register("class-balanced-sampling", paper="Shen et al., ECCV 2016, arXiv:1512.05830")
@dataclass(frozen=True)
class ClassBalancedSampling(Recipe):
    """Show every class equally often.

    Verified: every epoch has equal shares, and the examples of a class are shown equally often in it, to within one.
    Deviates: the paper shows the examples of a class in turn.
    Measured: +0.015 on digits, +0.035 on CIFAR-10-LT, +0.053 on package sizes.
    """

    learned_prior = uniform_prior

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on class-balanced epochs."""
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=samplers.ClassBalancedSampler)


@register("square-root-sampling", paper="Mahajan et al., ECCV 2018, arXiv:1805.00932")
@dataclass(frozen=True)
class SquareRootSampling(Recipe):
    """Show classes in proportion to the square root of their counts.

    Verified: every epoch has the shares of the formula. Deviates: the paper, whose images have several labels, repeats
    each by its rarest.
    Measured: +0.009 on digits, +0.023 on CIFAR-10-LT, +0.044 on package sizes.
    """

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on epochs between the natural and the balanced ones."""
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=samplers.SquareRootSampler)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the roots of the counts over their sum."""
        return class_prior(np.sqrt(task.class_counts))


@register("power-sampling", paper="Conneau et al., ACL 2020, arXiv:1911.02116")
@dataclass(frozen=True)
class PowerSampling(Recipe):
    """Show classes in proportion to a power of their counts, flatter than the square root.

    Verified: every epoch has the shares of the formula, with the power of the paper. Deviates: the paper samples
    languages. One over the power is also called a temperature.
    Measured: +0.009 on digits, +0.030 on CIFAR-10-LT, +0.048 on package sizes.
    """

    power: float = 0.3

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on flatter epochs."""
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=partial(samplers.PowerSampler, power=self.power))

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the powers of the counts over their sum."""
        return class_prior(np.where(task.class_counts > 0, np.maximum(task.class_counts, 1.0) ** self.power, 0))


@register("reversed-sampling", paper="Zhou et al., CVPR 2020, arXiv:1912.02413")
@dataclass(frozen=True)
class ReversedSampling(PowerSampling):
    """Show classes in proportion to the inverse of their counts, the rarest most.

    Verified: every epoch has the shares of the formula. Deviates: the paper samples one of two branches this way, and
    the other learns the features, which re-sampling harms.
    Measured: +0.031 on digits, +0.050 on CIFAR-10-LT, -0.024 on package sizes, of an MLP on given features.
    """

    power: float = -1.0


@register("progressive-sampling", paper="Kang et al., ICLR 2020, arXiv:1910.09217")
@dataclass(frozen=True)
class ProgressivelyBalancedSampling(Recipe):
    """Move from natural epochs to class-balanced ones.

    Verified: shares move linearly from the first epoch to the last, as in the authors' code.
    Measured: +0.014 on digits, +0.048 on CIFAR-10-LT, +0.056 on package sizes.
    """

    learned_prior = uniform_prior  # of the last epochs

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on epochs that become more balanced, one after another."""
        sampler = partial(samplers.ProgressivelyBalancedSampler, epochs=task.epochs)
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=sampler)


@register("cooldown", paper="Li et al., NAACL 2025, arXiv:2410.04579")
@dataclass(frozen=True)
class Cooldown(Recipe):
    """Start with epochs that favour rare classes, and end with natural ones before rare examples are memorised.

    Verified: the first half has the shares of temperature 5, the second the natural ones. Deviates: the paper samples
    languages, and counts iterations.
    Measured: +0.004 on digits, -0.003 on CIFAR-10-LT, +0.012 on package sizes.
    """

    temperature: float = 5.0
    share: float = 0.5  # of the epochs before the temperature is lowered

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on epochs of high temperature, then on natural ones."""
        if not self.share < 1:
            raise TailwiseError(f"share must be below 1, as the last epochs are natural; got {self.share}.")
        sampler = partial(samplers.CooldownSampler, epochs=task.epochs, temperature=self.temperature, share=self.share)
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=sampler)


@register("late-upsampling", paper="Blakeney et al., COLM 2024, arXiv:2406.03476")
@dataclass(frozen=True)
class LateUpsampling(Recipe):
    """Train on natural epochs, and show every class equally often in the last fifth.

    Verified: the first four fifths of the epochs are natural, the last is balanced. Deviates: classes replace the
    domains of the paper, and their late shares, which it chooses, are equal. The learning rate falls along one cosine,
    of which the last fifth has little, so that a short training keeps much of the natural prior in its scores: of its
    logarithm three quarters after 20 epochs of 10 batches, a tenth after 15 of 100. Calibration finds how much. With a
    learning rate of its own the last fifth gives 0.004 more on digits, 0.017 less on CIFAR-10-LT and 0.005 less on
    package sizes (three seeds).
    Measured: +0.007 on digits, +0.091 on CIFAR-10-LT, +0.059 on package sizes.
    """

    last: float = 0.2  # share of the epochs

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on natural epochs, then on balanced ones."""
        late = np.trim_zeros(task.class_counts, "b") > 0
        sampler = partial(samplers.LateUpsamplingSampler, late=late, epochs=task.epochs, last=self.last)
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=sampler)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the uniform prior of the last epochs, or the natural one if there are none."""
        return task.uniform_prior if self.last else task.class_prior


@register("pk-sampling", paper="Hermans et al., 2017, arXiv:1703.07737")
@dataclass(frozen=True)
class PKSampling(Recipe):
    """Fill every batch with P classes and K examples of each, as losses that compare examples need.

    Verified: batches hold as many classes and examples as they have room for. Deviates: the paper uses the triplet
    loss; here it is cross-entropy. A batch has all classes if there is room for ``examples`` of each, and as many
    examples of each as there is room for.
    Measured: +0.014 on digits, +0.035 on CIFAR-10-LT, +0.050 on package sizes.
    """

    learned_prior = uniform_prior

    examples: int = 4  # of each class, at least

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on batches in which all classes are equally large."""
        if self.examples < 1:
            raise TailwiseError(f"examples of a class in a batch must be at least 1; got {self.examples}.")

        def batches(labels: NDArray[Any], *, num_replicas: int, **options: Any) -> samplers.ClassBatchSampler:
            room = max(1, task.batch_size // num_replicas)  # of a batch, each process has its share
            classes = int(np.clip(room // self.examples, 1, np.count_nonzero(task.class_counts)))
            sizes = {"classes": classes, "examples": max(self.examples, room // classes)}
            return samplers.ClassBatchSampler(labels, **sizes, num_replicas=num_replicas, **options)

        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=batches)


@register("repeat-factor-sampling", paper="Gupta, Dollár and Girshick, CVPR 2019, arXiv:1908.03195")
@dataclass(frozen=True)
class RepeatFactorSampling(Recipe):
    """Repeat the examples of classes below a threshold, by the square root of how far below it they are.

    Verified: examples are shown as often as a reading of the formula says. Deviates: the threshold is relative to the
    mean share of a class, so that it suits any number of classes; LVIS takes 0.001, a third of that share.
    Measured: +0.007 on digits, +0.020 on CIFAR-10-LT, +0.027 on package sizes; +0.024 macro average precision on tags
    of packages.
    """

    targets = ("class", "labels")

    threshold: float = 1.0  # in units of a class's mean share, 1 / n_classes where each example has one

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on epochs with repeated examples."""
        threshold = number("threshold", self.threshold, 0) * task.mean_share
        sampler = partial(samplers.RepeatFactorSampler, threshold=threshold)
        yield Stage("learn", loss=plain_loss(task), sampler=sampler)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the repeated class counts over their sum."""
        return class_prior(np.sqrt(np.maximum(1, _lack(task, self.threshold))) * task.class_counts)


@register("frequency-subsampling", paper="Mikolov et al., NeurIPS 2013, arXiv:1310.4546")
@dataclass(frozen=True)
class FrequencySubsampling(Recipe):
    """Leave out examples of classes above a threshold, different ones in every epoch.

    Verified: classes keep the share that the formula says. Deviates: the threshold is relative to the mean share of a
    class, so that it suits any number of classes; the paper has 692,000 words and takes 0.00001, 7 times that share.
    Measured: +0.000 on digits, +0.008 on CIFAR-10-LT, +0.025 on package sizes; -0.010 macro average precision on tags
    of packages.
    """

    targets = ("class", "labels")

    threshold: float = 1.0  # in units of a class's mean share, 1 / n_classes where each example has one
    power: float = 0.5  # 1 levels all classes above the threshold at it

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on shorter epochs."""
        threshold = divisor("threshold", self.threshold) * task.mean_share
        sampler = partial(samplers.FrequencySubsampler, threshold=threshold, power=self.power)
        yield Stage("learn", loss=plain_loss(task), sampler=sampler)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the lowered class counts over their sum."""
        return class_prior(np.minimum(1, _lack(task, self.threshold)) ** self.power * task.class_counts)


@register("adr", paper="Song et al., CVPR 2025, arXiv:2503.12821")
@dataclass(frozen=True)
class ADR(Recipe):
    """Thin out the examples that have only frequent labels, and train on the rest.

    Verified: examples are kept as often as by the authors' code. Deviates: labels are the only entities; the paper also
    has words, objects, pairs of them and kinds of question, and generates rare examples with a diffusion model, which
    is left out.
    Measured: -0.033 macro average precision on tags of packages.
    """

    targets = ("labels",)

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on the examples that are kept."""
        yield Stage("learn", loss=plain_loss(task), sampler=samplers.EntityRebalancingSampler)


@register("hard-aware-sampling", paper="Ma et al., NeurIPS 2024, arXiv:2410.06535")
@dataclass(frozen=True)
class HardAwareSampling(Recipe):
    """Show a class more often, the more of its examples the network gets wrong.

    Verified: shares follow the formula for the difficulty that is set. Deviates: the paper samples stored class means,
    and takes a class as harder the closer its mean is to the others. That difficulty, and the paper's temperature of
    0.1, did worse here; one minus a class's accuracy is from Sinha et al., ACCV 2020, here on the training examples.
    Measured: +0.021 on digits, +0.038 on CIFAR-10-LT, +0.036 on package sizes.
    """

    learned_prior = unknown_prior  # the shares change from epoch to epoch

    temperature: float = 0.3

    @property
    def relative_cost(self) -> float:
        """Before every epoch the network classifies all examples."""
        return 1.5

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything on epochs whose shares follow the errors after the previous epoch."""
        sampler = partial(samplers.HardAwareSampler, temperature=self.temperature)
        yield Stage("learn", loss=losses.CrossEntropyLoss(), sampler=sampler, before_epoch=_tell_errors)


def _tell_errors(sampler: samplers.HardAwareSampler, network: Network, features: Callable[[], Any]) -> None:
    """Set each class's difficulty to the share of its training examples that the network gets wrong."""
    inputs, targets = features()
    wrong = targets[network.head(inputs).argmax(1) != targets]
    size = sampler.class_counts.size
    sampler.set_difficulty((wrong.bincount(minlength=size) / targets.bincount(minlength=size).clamp_min(1)).cpu())


def _lack(task: Task, threshold: float) -> NDArray[np.float64]:
    """Return the threshold over the share of each class."""
    return threshold / task.n_classes / np.maximum(task.class_prior, np.finfo(float).tiny)
