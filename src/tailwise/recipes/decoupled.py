"""Decoupled training: learn the representation with plain training, then only the classifier, in four ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise import losses, samplers
from tailwise.engine.stage import Stage, Task
from tailwise.recipes._base import Recipe, register, uniform_prior, unknown_prior
from tailwise.settings import divisor

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from tailwise.nn import Network

_PAPER = "Kang et al., ICLR 2020, arXiv:1910.09217"


def _representation(share: float = 1.0, optimizer: Callable[..., Optimizer] | None = None) -> Stage:
    """Return the first stage of all four: cross-entropy on shuffled epochs."""
    return Stage("representation", share=share, loss=losses.CrossEntropyLoss(), optimizer=optimizer)


def balanced_classifier(
    share: float,
    prepare: Callable[..., None] | None = None,
    loss: Callable[..., Any] | None = None,
    optimizer: Callable[..., Optimizer] | None = None,
) -> Stage:
    """Return a stage that trains the head alone on class-balanced batches, after ``prepare`` has changed it."""
    return Stage(
        "classifier",
        share=share,
        loss=loss or losses.CrossEntropyLoss(),
        sampler=samplers.ClassBalancedSampler,
        prepare=prepare,
        parameters=lambda network: network.head.parameters(),
        optimizer=optimizer,
    )


def _sgd(task: Task, learning_rate: float) -> Callable[..., Optimizer]:
    """Return the paper's SGD, with its learning rate for a batch of 512, or the task's optimiser if that is SGD."""

    def build(parameters: Iterable[Any]) -> Optimizer:
        from torch.optim import SGD

        parameters = list(parameters)
        given = task.optimizer(parameters) if task.optimizer else None
        if isinstance(given, SGD):
            return given
        rate = divisor("learning_rate", learning_rate) * task.batch_size / 512
        return SGD(parameters, lr=rate, momentum=0.9, weight_decay=5e-4)

    return build


@register("crt", paper=_PAPER)
@dataclass(frozen=True)
class ClassifierRetraining(Recipe):
    """cRT: retrain the classifier from scratch on class-balanced batches, with the representation frozen.

    Verified: the last tenth starts from new weights, changes nothing else, and shows all classes equally often.
    Deviates: the statistics of batch normalisation are frozen too; the authors' code updates them.
    Measured: +0.019 on digits, +0.089 on CIFAR-10-LT, +0.063 on package sizes.
    """

    retrain: float = 0.1  # share of the epochs for the second stage (10 after 90 in the paper)

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything plainly, then a new classifier on class-balanced batches."""

        def new_classifier(network: Network, features: object) -> None:
            network.head.reset_parameters()

        yield _representation(1 - self.retrain)
        yield balanced_classifier(self.retrain, new_classifier if self.retrain else None)

    def learned_prior(self, task: Task) -> NDArray[np.float64]:
        """Return the uniform prior of class-balanced batches, or the natural one if there are none."""
        return task.uniform_prior if self.retrain else task.class_prior


@register("lws", paper=_PAPER)
@dataclass(frozen=True)
class LearnableWeightScaling(Recipe):
    """LWS: learn one factor per class for the frozen classifier, on class-balanced batches.

    Verified: training starts from the plain classifier and changes nothing but the factors. Deviates: the factors leave
    the bias alone, which the paper's equation 4 omits and the authors' code scales too, and take a tenth of the epochs,
    where the authors add 5 to 90; batch normalisation is as in crt.
    SGD is the paper's optimiser; in a stage this short, AdamW hardly moves the factors.
    Measured: -0.001 on digits, +0.080 on CIFAR-10-LT, +0.030 on package sizes.
    """

    learned_prior = unknown_prior  # a factor per class does not shift the prior

    retrain: float = 0.1
    learning_rate: float = 0.2  # of the scales, for a batch of 512 as in the paper, unless the task's optimiser is SGD

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything plainly, then the scales on class-balanced batches."""

        def learnable_scales(network: Network, features: object) -> None:
            from tailwise.nn import ScaledLinear

            network.head = ScaledLinear(network.head)

        yield _representation(1 - self.retrain)
        yield balanced_classifier(self.retrain, learnable_scales, optimizer=_sgd(task, self.learning_rate))


@register("tau-norm", paper=_PAPER)
@dataclass(frozen=True)
class TauNormalisation(Recipe):
    """Divide each class's weights by their norm to the power tau, after plain training with SGD.

    Verified: rescales the weights and drops the bias, as the authors' tau_norm.py does. Deviates: they select tau on
    held-out data.
    SGD is the paper's optimiser; under AdamW norms do not follow the counts (rank correlation -0.5 on CIFAR-10-LT, not
    0.96).
    Measured: +0.010 on digits, +0.038 on CIFAR-10-LT, +0.018 on package sizes.
    """

    learned_prior = unknown_prior  # no formula gives the share of the prior that was in the norms

    tau: float = 1.0
    learning_rate: float = 0.2  # for a batch of 512 as in the paper, where the task's optimiser is not SGD already

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything plainly, then rescale the classifier."""

        def normalise(network: Network, features: object) -> None:
            from tailwise.nn import tau_normalise

            network.head = tau_normalise(network.head, self.tau)

        yield _representation(optimizer=_sgd(task, self.learning_rate))
        yield Stage("normalise", share=0, prepare=normalise)


@register("ncm", paper=_PAPER)
@dataclass(frozen=True)
class NearestClassMean(Recipe):
    """Classify by the nearest class mean of the features, after plain training.

    Verified: the representation is that of plain training, and a search for the nearest mean gives the same classes.
    Deviates: the paper scales features to unit length; here distances give calibrated scores as they are.
    Measured: +0.019 on digits, +0.101 on CIFAR-10-LT, +0.065 on package sizes.
    """

    learned_prior = uniform_prior  # distances do not depend on class counts

    def stages(self, task: Task) -> Iterable[Stage]:
        """Train everything plainly, then set the classifier from the class means."""

        def class_means(network: Network, features: Callable[[], tuple[Any, Any]]) -> None:
            from tailwise.nn import nearest_mean

            vectors, labels = features()
            network.head = nearest_mean(vectors, labels, task.n_classes)

        yield _representation()
        yield Stage("means", share=0, prepare=class_means)
