"""Samplers that give every class a share of the epoch: one mechanism, and its settings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import class_counts, class_prior
from tailwise.errors import TailwiseError
from tailwise.samplers._epochs import EpochSampler


class ClassSampler(EpochSampler):
    """Shows each class in a given share of the epoch.

    How often a class is shown is its share of the epoch's length, rounded up or down at random so that it is right on
    average (systematic sampling); its examples take turns, none a second time before all were shown as often, and where
    they do not come out even, chance decides.

    Parameters
    ----------
    labels, num_replicas, rank, seed : see :class:`EpochSampler`
    size : length of an epoch over all processes; by default the number of examples
    """

    def __init__(self, labels: ArrayLike, *, size: int | None = None, **processes: Any) -> None:
        super().__init__(labels, **processes)
        if size is not None and size < 1:
            raise TailwiseError(f"an epoch must show at least one example; got size {size}.")
        self._size = self.labels.size if size is None else size
        self.class_counts = class_counts(self.labels)
        self._by_class = np.argsort(self.labels, kind="stable")
        self._start = np.cumsum(self.class_counts) - self.class_counts

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return each class's share of an epoch, (n_classes,), zero for a class without examples."""
        return class_prior(self.class_counts)

    def size(self) -> int:
        """Return how many indices an epoch has, for all processes together."""
        return self._size

    def draw(self, epoch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the whole epoch's indices."""
        shown = _systematic(self.shares(epoch) * self._size, rng)
        parts = []
        for c in np.flatnonzero(shown):
            own = self._by_class[self._start[c] : self._start[c] + self.class_counts[c]]
            rounds, rest = divmod(int(shown[c]), own.size)
            parts += [np.tile(own, rounds), rng.choice(own, rest, replace=False)]
        return rng.permutation(np.concatenate(parts))

    def class_distribution(self) -> NDArray[np.float64]:
        """Return the share of each class in what the current epoch shows on average, (n_classes,)."""
        return self.shares(self.epoch)


class PowerSampler(ClassSampler):
    """Shows classes in proportion to a power of their counts: 1 is shuffling, 0 class-balanced, 1/2 square-root.

    A temperature T is the power 1/T.

    Source: Mahajan et al., Exploring the Limits of Weakly Supervised Pretraining, ECCV 2018 (1/2); Kang et al.,
    Decoupling Representation and Classifier, ICLR 2020, equation 1 (any).
    """

    def __init__(self, labels: ArrayLike, power: float = 1.0, **options: Any) -> None:
        super().__init__(labels, **options)
        if not np.isfinite(power):
            raise TailwiseError(f"the power must be a finite number; got {power}.")
        self.power = power

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return ``n ** power`` over its sum."""
        return powered(self.class_counts, self.power)


class ClassBalancedSampler(PowerSampler):
    """Shows every class equally often."""

    def __init__(self, labels: ArrayLike, **options: Any) -> None:
        super().__init__(labels, 0.0, **options)


class SquareRootSampler(PowerSampler):
    """Shows classes in proportion to the square root of their counts."""

    def __init__(self, labels: ArrayLike, **options: Any) -> None:
        super().__init__(labels, 0.5, **options)


class ProgressivelyBalancedSampler(ClassSampler):
    """Moves from shuffling in the first epoch to class-balanced sampling in the last, linearly.

    Parameters
    ----------
    epochs : number of epochs of the training

    Source: Kang et al., Decoupling Representation and Classifier, ICLR 2020, equation 2.
    """

    def __init__(self, labels: ArrayLike, epochs: int, **options: Any) -> None:
        super().__init__(labels, **options)
        if epochs < 1:
            raise TailwiseError(f"epochs must be at least 1; got {epochs}.")
        self.epochs = epochs

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return ``(1 - t) * prior + t * balanced`` with t from 0 to 1."""
        t = min(epoch / max(self.epochs - 1, 1), 1.0)
        return (1 - t) * powered(self.class_counts, 1.0) + t * powered(self.class_counts, 0.0)


def powered(counts: NDArray[Any], power: float) -> NDArray[np.float64]:
    """Return class counts to a power, over their sum; a class without examples has share 0."""
    present = counts > 0
    logs = power * np.log(np.where(present, counts, 1))
    shares = np.where(present, np.exp(logs - logs[present].max()), 0.0)
    return shares / shares.sum()


def _systematic(expected: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Round expected counts up or down at random, each right on average, their (whole) sum kept."""
    order = rng.permutation(expected.size)
    ends = np.round(np.cumsum(expected[order]), 6)  # whole counts stay whole
    cuts = np.minimum(np.floor(ends + rng.random()), ends[-1])
    shown = np.empty(expected.size, dtype=np.int64)
    shown[order] = np.diff(cuts, prepend=0)
    return shown
