"""A stage, the only unit of training, and a task, all that a recipe may know about the problem. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise.counts import class_prior
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer
    from torch.utils.data import Sampler

#: Those of Lightning Fabric's in which networks are trained.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")


@dataclass(frozen=True)
class Task:
    """What a recipe may know: the class counts of the training set, and how networks are built and trained.

    Attributes
    ----------
    class_counts : (n_classes,) training examples of each class
    backbone : builds a fresh ``nn.Module`` that maps a batch of inputs to (batch, out_features) and has the
        attribute ``out_features``; None where the learner is a scikit-learn estimator
    epochs, batch_size : of the whole training; stages take shares of the epochs
    optimizer : builds the optimiser from parameters, at its peak learning rate; None is SGD at 0.1 with Nesterov
        momentum 0.9 and weight decay 5e-4
    augment : ``augment(inputs, targets, generator) -> (inputs, targets)`` on a batch, or None
    objective : what decisions are tuned for: a function of a confusion matrix (true × predicted) and the class counts
    nominal : columns of the inputs whose numbers are codes of categories
    n_sets : number of training examples, where each has a set of the classes; None where each has one class
    margins : whether the learner's scores are margins rather than log-probabilities
    """

    class_counts: NDArray[np.int64]
    backbone: Callable[[], nn.Module] | None = None
    epochs: int = 60
    batch_size: int = 128
    optimizer: Callable[[Iterable[Any]], Optimizer] | None = None
    augment: Callable[..., tuple[Any, Any]] | None = None
    objective: Callable[[NDArray[Any], NDArray[np.int64]], float] | None = None
    nominal: tuple[int, ...] = ()
    n_sets: int | None = None
    margins: bool = False

    @property
    def has_sets(self) -> bool:
        """Whether an example has a set of the classes, none and all included, rather than one."""
        return self.n_sets is not None

    @property
    def n_examples(self) -> int:
        """Number of training examples."""
        return int(self.class_counts.sum()) if self.n_sets is None else self.n_sets

    @property
    def mean_share(self) -> float:
        """Mean over classes of the share of examples that have the class; 1 / n_classes if each example has one."""
        return float(self.class_counts.sum()) / (self.n_examples * self.n_classes)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_counts)

    def build_backbone(self) -> Any:
        """Return a fresh backbone: an ``nn.Module`` with ``out_features``.

        Raises
        ------
        TailwiseError
            If the task is one for scikit-learn estimators.
        """
        if self.backbone is None:
            raise TailwiseError("this task has no backbone: it is for scikit-learn estimators.")
        return self.backbone()

    @cached_property
    def class_prior(self) -> NDArray[np.float64]:
        """Class counts over their sum."""
        return class_prior(self.class_counts)

    @property
    def uniform_prior(self) -> NDArray[np.float64]:
        """One over the number of classes, for each."""
        return np.full(self.n_classes, 1 / self.n_classes)


@dataclass(frozen=True)
class Stage:
    """One stretch of training: which loss, for which parameters, on which examples, for how long.

    Attributes
    ----------
    name : shown in the progress bar and stored in checkpoints
    loss : ``loss(logits, targets)``; targets are class codes (batch,) or rows (batch, n_classes). If it is a module,
        checkpoints include its buffers; parameters of its own are not trained
    share : share of the task's epochs. A stage of share 0 only prepares (a classifier set in closed form, say)
    sampler : ``sampler(labels, num_replicas=, rank=, seed=)`` builds a sampler that shards itself and has
        ``set_epoch``; None is shuffling. One that is ``batched`` yields lists of indices, which are a process's batches
    companion : builds a second sampler in the same way, whose epoch is divided into as many batches, one for each of
        the first's. The loss is then called as ``loss(network, inputs, targets, companion_inputs, companion_targets)``,
        where ``network.module`` is the network without the wrapper that shares gradients among processes
    penalty : ``penalty(network)`` is added to the loss of every batch
    parameters : picks the parameters to train; None is all that the backbone's function or the recipe did not freeze by
        ``requires_grad_(False)``. The others are frozen, including their batch normalisation statistics
    prepare : ``prepare(network, features)`` is called once before the stage and may change the network in place or
        return another; ``features()`` gives the training set's (features, labels) under the current backbone
    before_epoch : ``before_epoch(sampler, network, features)`` is called before every epoch and may adapt the sampler
        to what the network has learned; ``features`` is as for ``prepare``, and the network's ``head`` turns them into
        logits
    optimizer : overrides the task's
    peak : the stage's peak learning rate, as a share of the optimiser's
    augment : overrides the task's; ``False`` switches it off
    """

    name: str
    loss: nn.Module | Callable[..., Any] | None = None
    share: float = 1.0
    sampler: Callable[..., Sampler[int]] | None = None
    companion: Callable[..., Sampler[int]] | None = None
    penalty: Callable[[Any], Any] | None = None
    parameters: Callable[[Any], Iterable[Any]] | None = None
    prepare: Callable[..., nn.Module | None] | None = None
    before_epoch: Callable[..., None] | None = None
    optimizer: Callable[[Iterable[Any]], Optimizer] | None = None
    peak: float = 1.0
    augment: Any = None

    def __post_init__(self) -> None:
        """Check the learning rate.

        Raises
        ------
        TailwiseError
            If ``peak`` is not above 0.
        """
        if not self.peak > 0:
            raise TailwiseError(f"stage {self.name!r}: peak must be above 0; got {self.peak}.")
