"""Epochs of indices: one order, shared by all processes and resumed exactly.

An epoch is a function from places to indices. No order is stored: a sampler over any number of labels starts at once,
each process computes only the indices it shows, and resuming anywhere costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import DistributedSampler

from tailwise.counts import check_codes, check_counts
from tailwise.errors import TailwiseError
from tailwise.identity import digest
from tailwise.samplers._permute import permute
from tailwise.settings import whole
from tailwise.tensors import to_codes

_POSITION = {"epoch", "rank", "num_replicas", "seed", "labels"}  # which are no settings of a sampler


class EpochSampler(DistributedSampler[Any]):
    """A sampler whose epochs depend only on the seed and the number of the epoch.

    All processes share one order, and each takes every ``num_replicas``-th index of it, so that no index is shown by
    two processes unless the order repeats it. All shares have the same length: if the order does not divide evenly,
    its first indices are shown once more.

    Call :meth:`set_epoch` before each epoch, as with ``DistributedSampler``: every epoch is the first one otherwise.

    It subclasses ``DistributedSampler`` only so that Lightning does not divide the share of a process again. Libraries
    that divide batches of any sampler, such as Accelerate, need ``num_replicas=1, rank=0`` here. Fabric's
    ``setup_dataloaders`` calls :meth:`set_epoch` itself, and counts from 0 in every run: to resume, do without it.

    A subclass defines :meth:`pick`, :meth:`size` if an epoch is shorter or longer than the number of examples, and
    :meth:`labels_per_example` if it shows classes in other shares than they have.

    Parameters
    ----------
    labels : (n,) class codes, none negative; they are referenced, not copied
    class_counts : (n_classes,) instead of labels, if the examples are sorted by class
    num_replicas, rank : number of processes and index of this one; by default those of ``torch.distributed``, or one
        process
    seed : determines the order of every epoch; the same for all processes

    Notes
    -----
    A ``DataLoader`` with workers asks for indices ahead of training. To resume at the last batch trained, load
    ``{**state, "shown": batches * batch_size}`` with the batches this process trained in the epoch.

    Raises
    ------
    TailwiseError
        If there are no labels, one is negative or not an integer, or the rank is not below the number of processes.
    """

    #: whether it yields batches, as lists of indices
    batched = False
    #: as ``DistributedSampler`` has them
    shuffle, drop_last = True, False

    _chunk = 2**14  # places computed at once
    _has: Any = None  # (n, n_classes) indicator, where examples may have several classes

    def __init__(
        self,
        labels: ArrayLike | None = None,
        *,
        class_counts: ArrayLike | None = None,
        num_replicas: int | None = None,
        rank: int | None = None,
        seed: int = 0,
    ) -> None:
        if (labels is None) == (class_counts is None):
            raise TailwiseError("a sampler needs either labels or class_counts.")
        self.labels = None if labels is None else _check_labels(labels)
        self.class_counts = _count(self.labels) if self.labels is not None else _check_whole(class_counts)
        together = dist.is_available() and dist.is_initialized()
        self.num_replicas = num_replicas if num_replicas is not None else dist.get_world_size() if together else 1
        self.rank = rank if rank is not None else dist.get_rank() if together else 0
        if whole("num_replicas", self.num_replicas, 1) > 1 and rank is None and not together:
            raise TailwiseError("give the rank, too: torch.distributed, which would know it, has not been initialised.")
        if not 0 <= whole("rank", self.rank, 0) < self.num_replicas:
            raise TailwiseError(f"rank {self.rank} is not below the number of processes, {self.num_replicas}.")
        self.seed = whole("seed", seed, 0)
        self.epoch = self._restored = 0
        self._start = 0
        # what of this process's share was shown and not yet counted: epoch, first place, and the place after the last
        self._spans = [[0, 0, 0]]
        n_classes = self.class_counts.size if self._has is None else self._has.shape[1]
        self._seen = np.zeros(n_classes, dtype=np.int64)  # what was counted

    @property
    def n_examples(self) -> int:
        """Number of examples in the data."""
        return int(self.class_counts.sum())

    def size(self) -> int:
        """Return the number of places in an epoch, over all processes."""
        return self.n_examples

    def pick(self, epoch: int, places: NDArray[np.int64]) -> NDArray[Any]:
        """Return the (m,) indices, or rows of indices, at (m,) places of an epoch, each below :meth:`size`.

        Raises
        ------
        TailwiseError
            If a subclass does not define it.
        """
        raise TailwiseError(f"{type(self).__name__} must define pick(epoch, places), the indices of an epoch.")

    def indices(self) -> NDArray[Any]:
        """Return the indices that this process shows in the current epoch, as one array."""
        stop = len(self) * self.num_replicas
        return np.concatenate(list(self._picked(self.epoch, self.rank, stop, self.num_replicas)))

    def __iter__(self) -> Iterator[Any]:
        """Yield the epoch or, after :meth:`load_state_dict`, the rest of it."""
        span = self._begin(self._start)
        self._start = 0
        start, stop = span[1] * self.num_replicas + self.rank, len(self) * self.num_replicas
        for picked in self._picked(self.epoch, start, stop, self.num_replicas):
            for index in picked.tolist():
                span[2] += 1
                yield index

    def __len__(self) -> int:
        return -(-self.size() // self.num_replicas)

    @property
    def num_samples(self) -> int:  # type: ignore[override]
        """Number of indices that this process shows in an epoch, as ``DistributedSampler`` has it."""
        return len(self)

    @property
    def total_size(self) -> int:  # type: ignore[override]
        """The same of all processes together."""
        return len(self) * self.num_replicas

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; in the epoch restored by :meth:`load_state_dict`, stay at its place.

        Raises
        ------
        TailwiseError
            If the epoch is negative or no whole number, or before the one that was restored.
        """
        if whole("epoch", epoch, 0) < self._restored:
            raise TailwiseError(
                f"set_epoch({epoch}) would undo the resumption in epoch {self._restored}. A loader that counts epochs "
                "by itself, such as that of Fabric's setup_dataloaders, begins at 0 again: do without it to resume."
            )
        if epoch != self.epoch:
            self.epoch, self._start = int(epoch), 0
            self._begin(0)

    def _begin(self, place: int) -> list[int]:
        """Begin to note what is shown from a place on; what was only begun before is forgotten."""
        self._spans = [span for span in self._spans if span[1] != span[2]]
        self._spans.append([self.epoch, place, place])
        return self._spans[-1]

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the sampler and what it has shown, as numbers and lists: the same on every process."""
        return {
            "epoch": self.epoch,
            "shown": self._spans[-1][2],
            "spans": [list(span) for span in self._spans],
            "seen": self._seen.tolist(),
            "num_replicas": self.num_replicas,
            "seed": self.seed,
            "size": self.size(),
            "n_examples": self.n_examples,
            "sampler": type(self).__name__,
            **self._settings(),
            "labels": self._digest,
        }

    def _settings(self) -> dict[str, Any]:
        """Return the numbers and names that the order depends on, beside the seed."""
        public = {name: value for name, value in vars(self).items() if name[0] != "_" and name not in _POSITION}
        return {name: value for name, value in public.items() if isinstance(value, Real | str | None)}

    @cached_property
    def _digest(self) -> str:
        """What the labels are, in their order."""
        return digest(self.class_counts if self.labels is None else self.labels)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`.

        Raises
        ------
        TailwiseError
            If the state has another seed, number of processes, setting or labels, or is not one of such a sampler.
        """
        own_state = self.state_dict()
        if state.get("sampler", type(self).__name__) != type(self).__name__:
            raise TailwiseError(f"this is the state of a {state['sampler']}, not of a {type(self).__name__}.")
        missing = sorted(set(own_state) - set(state))
        if missing:
            raise TailwiseError(f"this is not the state of a {type(self).__name__}: it lacks {', '.join(missing)}.")
        for name in ("seed", "num_replicas", "size", "n_examples", *self._settings()):
            if state[name] != (own := own_state[name]):
                raise TailwiseError(f"the saved sampler had {name} {state[name]}; build this one with it, not {own}.")
        if len(state["seen"]) != self._seen.size:
            raise TailwiseError(f"the saved sampler had {len(state['seen'])} classes; this one has {self._seen.size}.")
        if state["labels"] != own_state["labels"]:
            raise TailwiseError(
                "the saved sampler had other labels, or another order of them: build this one with the same."
            )
        if not 0 <= state["shown"] <= len(self):
            raise TailwiseError(f"the state has {state['shown']} places shown of an epoch of {len(self)}.")
        self.epoch = self._restored = state["epoch"]
        self._start = state["shown"]
        self._seen = np.array(state["seen"], dtype=np.int64)
        self._spans = [list(span) for span in state["spans"]]
        self._spans[-1][2] = self._start

    def class_distribution(self) -> NDArray[np.float64]:
        """Return the expected share of each class in the labels of the current epoch, (n_classes,)."""
        labels = self.labels_per_example()
        return labels / labels.sum()

    def labels_per_example(self) -> NDArray[np.float64]:
        """Return how many labels of each class an example shown in the current epoch has on average, (n_classes,)."""
        return self.class_counts / self.n_examples

    def seen(self) -> NDArray[np.int64]:
        """Return how often training has seen each class so far, (n_classes,), over all epochs and processes.

        It is computed on request, from the places shown; all processes are assumed to be at the same place. What a
        ``DataLoader`` asked for and then dropped, as with ``drop_last``, counts.
        """
        for span in self._spans:
            epoch, *counted_and_shown = span
            begin, end = sorted(counted_and_shown)  # less was shown than counted where workers had run ahead
            between = np.zeros_like(self._seen)
            for picked in self._picked(epoch, begin * self.num_replicas, end * self.num_replicas):
                self.count(picked.ravel(), between)
            self._seen += between if span[1] == begin else -between
            span[1] = span[2]
        del self._spans[:-1]
        return self._seen.copy()

    def count(self, indices: NDArray[Any], into: NDArray[np.int64]) -> None:
        """Add how often each class occurs among the examples to ``into``, (n_classes,)."""
        if self._has is not None:
            into += np.asarray(self._has[indices].sum(axis=0), dtype=np.int64).ravel()
            return
        if self.labels is not None:
            codes = self.labels[indices]
        else:
            codes = np.searchsorted(np.cumsum(self.class_counts), indices, side="right")
        np.add.at(into, codes, 1)

    def _picked(self, epoch: int, start: int, stop: int, step: int = 1) -> Iterator[NDArray[Any]]:
        size, reach = self.size(), self._chunk * step
        for begin in range(start, stop, reach):
            yield self.pick(epoch, np.arange(begin, min(begin + reach, stop), step) % size)


class ShuffleSampler(EpochSampler):
    """Shows every example once per epoch, in random order (instance-balanced sampling)."""

    def pick(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices at these places of a permutation."""
        return permute(places, self.size(), self.seed, epoch)


def systematic(shares: NDArray[np.float64], total: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Split ``total`` by shares, each part rounded up or down at random so that its mean is right."""
    positive = rng.permutation(np.flatnonzero(shares))
    ends = np.cumsum(shares[positive])
    ends = np.round(ends * (total / ends[-1]), 6)  # whole parts stay whole
    parts = np.zeros(shares.size, dtype=np.int64)
    parts[positive] = np.diff(np.minimum(np.floor(ends + rng.random()), total).astype(np.int64), prepend=0)
    return parts


def check_size(size: int | None) -> int | None:
    """Return the length of an epoch, None for the default of the sampler; raise TailwiseError if it is invalid."""
    return None if size is None else whole("size", size, 1)


def _check_labels(labels: ArrayLike) -> NDArray[Any]:
    codes = to_codes(labels)
    if codes.ndim != 1 or not codes.size or codes.dtype.kind not in "iu":
        raise TailwiseError(f"labels must be one row of integer class codes; got {codes.dtype} {codes.shape}.")
    if int(codes.min()) < 0:
        raise TailwiseError("a negative label means that there is none: leave unlabelled examples out before sampling.")
    return codes


def _check_whole(counts: ArrayLike | None) -> NDArray[np.int64]:
    checked = check_counts(counts if counts is not None else [])
    if (checked % 1).any():
        raise TailwiseError("class counts must be whole numbers.")
    return checked.astype(np.int64)


def _count(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return class counts, computed by chunks, as NumPy would copy all labels as int64."""
    n_classes = int(labels.max()) + 1
    check_codes(n_classes - 1, labels.size)
    total = np.zeros(n_classes, dtype=np.int64)
    for begin in range(0, labels.size, 2**18):
        np.add.at(total, labels[begin : begin + 2**18], 1)
    return total
