"""Epochs of indices: the same order on every process, of which each takes its share, and resumed exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Sampler

from tailwise.errors import TailwiseError


class EpochSampler(Sampler[int]):
    """A sampler whose epochs are drawn whole, from the seed and the epoch's number alone.

    Every process draws the same order and takes every ``num_replicas``-th index of it, so that no index is shown by two
    processes unless the order repeats it. Shares have equal length; where the order does not divide evenly, its first
    indices are shown once more.

    Parameters
    ----------
    labels : (n,) class codes, none negative
    num_replicas, rank : processes and this one's number; by default those of ``torch.distributed``, or one
    seed : of every epoch's draw

    Raises
    ------
    TailwiseError
        If there are no labels, one is negative or not an integer, or the rank is not below the number of processes.
    """

    def __init__(
        self, labels: ArrayLike, *, num_replicas: int | None = None, rank: int | None = None, seed: int = 0
    ) -> None:
        self.labels = np.asarray(labels)
        if self.labels.ndim != 1 or not self.labels.size or self.labels.dtype.kind not in "iu":
            got = f"{self.labels.dtype} {self.labels.shape}"
            raise TailwiseError(f"a sampler needs a row of integer class codes; got {got}.")
        if int(self.labels.min()) < 0:
            raise TailwiseError("a negative label means none: leave unlabelled examples out before sampling.")
        together = dist.is_available() and dist.is_initialized()
        self.num_replicas = num_replicas if num_replicas is not None else dist.get_world_size() if together else 1
        self.rank = rank if rank is not None else dist.get_rank() if together else 0
        if not 0 <= self.rank < self.num_replicas:
            raise TailwiseError(f"rank {self.rank} is not below the number of processes, {self.num_replicas}.")
        self.seed = seed
        self.epoch = 0
        self._shown = 0

    def draw(self, epoch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the whole epoch's indices, for all processes together."""
        raise TailwiseError(f"{type(self).__name__} does not say what an epoch shows: write draw(epoch, rng).")

    def size(self) -> int:
        """Return how many indices an epoch has, for all processes together."""
        return int(self.labels.size)

    def indices(self) -> NDArray[np.int64]:
        """Return this process's indices of the current epoch, as one array."""
        order = self.draw(self.epoch, np.random.default_rng([self.seed, self.epoch]))
        length = len(self) * self.num_replicas
        return np.resize(order, length)[self.rank :: self.num_replicas]

    def __iter__(self) -> Iterator[int]:
        """Yield the indices that :meth:`load_state_dict` has not marked as shown."""
        order, start = self.indices(), self._shown
        for index in order[start:].tolist():
            self._shown += 1
            yield index
        self._shown = 0

    def __len__(self) -> int:
        return -(-self.size() // self.num_replicas)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self.epoch, self._shown = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Return where the sampler is: the epoch, and how many of its indices were shown."""
        return {"epoch": self.epoch, "shown": self._shown}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was taken."""
        self.epoch, self._shown = state["epoch"], state["shown"]

    def class_distribution(self) -> NDArray[np.float64]:
        """Return the share of each class in what the current epoch shows, (n_classes,)."""
        order = self.draw(self.epoch, np.random.default_rng([self.seed, self.epoch]))
        return np.bincount(self.labels[order], minlength=int(self.labels.max()) + 1) / len(order)


class ShuffleSampler(EpochSampler):
    """Every example once an epoch, in random order (instance-balanced sampling)."""

    def draw(self, epoch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return a permutation."""
        return rng.permutation(self.labels.size)
