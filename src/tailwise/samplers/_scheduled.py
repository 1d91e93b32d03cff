"""Class shares that change during training, epoch by epoch; ``size`` sets the length of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.samplers._balanced import ClassSampler, check_shares, powered
from tailwise.settings import divisor, number, whole


class ProgressivelyBalancedSampler(ClassSampler):
    """Moves from shuffling in the first epoch to class-balanced sampling in the last, linearly.

    Parameters
    ----------
    epochs : number of epochs of the training

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Kang et al., Decoupling Representation and Classifier, ICLR 2020, equation 2; the last epoch is balanced, as
    in the authors' code.

    Examples
    --------
    >>> sampler = ProgressivelyBalancedSampler([0] * 90 + [1] * 10, epochs=3)
    >>> for epoch in range(3):
    ...     sampler.set_epoch(epoch)
    ...     print(sampler.class_distribution().round(2).tolist())
    [0.9, 0.1]
    [0.7, 0.3]
    [0.5, 0.5]
    """

    def __init__(self, labels: ArrayLike | None = None, *, epochs: int, **options: Any) -> None:
        super().__init__(labels, **options)
        self.epochs = whole("epochs", epochs, 1)

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return ``(1 - t) * prior + t * balanced`` with t from 0 to 1, which the last epoch has, and a single one."""
        t = min(epoch / (self.epochs - 1), 1.0) if self.epochs > 1 else 1.0
        return (1 - t) * powered(self.class_counts, 1.0) + t * powered(self.class_counts, 0.0)


class CooldownSampler(ClassSampler):
    """Samples classes (languages, domains) at a high temperature first, and then with their natural shares.

    Rare classes are learned fast while they are shown often; the switch comes before the model memorises them.

    Parameters
    ----------
    epochs : number of epochs of the training
    temperature : of the first part: shares are ``n ** (1 / temperature)`` over their sum
    share : share of the epochs in the first part; unless it is 1, the last epoch is not among them

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Li et al., Upsample or Upweight? Balanced Training on Heavily Imbalanced Datasets, NAACL 2025, section 4:
    temperature 5 for the first half of the iterations, 1 for the second. In its section 4.3,
    lowering the temperature step by step does worse than one step.
    Deviates: the step is between epochs, not iterations.
    """

    def __init__(
        self,
        labels: ArrayLike | None = None,
        *,
        epochs: int,
        temperature: float = 5.0,
        share: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(labels, **options)
        self.epochs = whole("epochs", epochs, 1)
        self.temperature = divisor("temperature", temperature, np.inf)
        self.share = number("share", share, 0, 1)

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return ``n ** (1 / T)`` over its sum, with T the temperature of the epoch."""
        hot = epoch < min(round(self.share * self.epochs), self.epochs - (self.share < 1))
        return powered(self.class_counts, 1 / self.temperature if hot else 1.0)


class LateUpsamplingSampler(ClassSampler):
    """Shows domains with their natural shares, and with given shares in the last part of training.

    Parameters
    ----------
    labels : (n,) domain codes
    late : (n_domains,) shares of the last part, in any unit
    epochs : number of epochs of the training
    last : share of the epochs in the last part; unless it is 0, the last epoch is among them
    early : (n_domains,) shares before it; by default the natural ones

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Blakeney et al., Does Your Data Spark Joy? Performance Gains from Domain Upsampling at the End of Training,
    COLM 2024, section 3: the last 10 to 20 % serve best.
    Deviates: the step is between epochs, not iterations.
    """

    def __init__(
        self,
        labels: ArrayLike | None = None,
        *,
        late: ArrayLike,
        epochs: int,
        last: float = 0.2,
        early: ArrayLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(labels, **options)
        self.epochs = whole("epochs", epochs, 1)
        self.late = check_shares(late, self.class_counts)
        self.early = check_shares(self.class_counts if early is None else early, self.class_counts)
        self.last = number("last", last, 0, 1)

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return the early shares, or the late ones."""
        return self.early if epoch < self.epochs - max(round(self.last * self.epochs), self.last > 0) else self.late
