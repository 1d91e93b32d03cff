"""Batches with a fixed number of classes and of examples per class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.samplers._balanced import ByClass
from tailwise.samplers._epochs import EpochSampler
from tailwise.samplers._permute import permute
from tailwise.settings import whole


class ClassBatchSampler(EpochSampler):
    """Yields batches of ``classes`` different classes with ``examples`` of each: a list of indices, class by class.

    For ``DataLoader(batch_sampler=)``, and losses that compare examples; Lightning with several processes takes it as
    ``DataLoader(sampler=, batch_size=None)`` only. Classes take turns: in each round a class is in at most one batch,
    and some, in their turn, are left out if the last batch of a round cannot be filled. The examples of a class take
    turns too; only a class with fewer than ``examples`` repeats some within a batch. Each process takes whole batches.

    Parameters
    ----------
    classes, examples : classes in a batch, and examples of each
    batches : batches in an epoch, over all processes; by default enough for the number of examples
    labels, class_counts, num_replicas, rank, seed : see :class:`EpochSampler`. Lengths, places and the ``shown`` of
        :meth:`state_dict` count batches

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, arXiv:1703.07737, 2017,
    section 2 (batches of P classes with K examples).

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import DataLoader
    >>> labels = torch.tensor([0] * 90 + [1] * 10)
    >>> sampler = ClassBatchSampler(labels, classes=2, examples=3, batches=4)
    >>> [batch.bincount().tolist() for batch in DataLoader(labels, batch_sampler=sampler)]
    [[3, 3], [3, 3], [3, 3], [3, 3]]
    """

    batched = True

    @property
    def sampler(self) -> ClassBatchSampler:
        """Itself: where Fabric's loaders look for :meth:`set_epoch`."""
        return self

    def __init__(
        self,
        labels: ArrayLike | None = None,
        *,
        classes: int,
        examples: int,
        batches: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(labels, **options)
        self._filled = np.flatnonzero(self.class_counts)
        whole("examples", examples, 1)
        if not whole("classes", classes, 1) <= self._filled.size:
            raise TailwiseError(f"a batch of {classes} classes cannot be filled: {self._filled.size} have examples.")
        self.classes, self.examples = classes, examples
        self._batches = (
            whole("batches", batches, 1) if batches is not None else -(-self.n_examples // (classes * examples))
        )
        self._by_class = None if self.labels is None else ByClass(self.labels, self.class_counts)
        self._starts = np.cumsum(self.class_counts) - self.class_counts
        self._chunk = max(1, EpochSampler._chunk // (classes * examples))

    def size(self) -> int:
        """Return the number of batches in an epoch, over all processes."""
        return self._batches

    def pick(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the batches at the places, (m, classes * examples)."""
        n = self._filled.size
        rounds, turns = np.divmod(places, n // self.classes)  # batches that a round of classes fills
        slots = (turns[:, None] * self.classes + np.arange(self.classes)).ravel()
        rounds = np.repeat(rounds, self.classes)
        # the classes stand in a ring, of which each round leaves out the next few
        left_out = rounds * (n % self.classes)
        slots = permute(slots, n - n % self.classes, self.seed, epoch, stream=rounds)
        ring = (left_out + n % self.classes + slots) % n
        codes = self._filled[permute(ring, n, self.seed, epoch, 2)]

        before = rounds - (left_out + n - 1 - ring) // n  # how often its class was in a batch
        shown = before[:, None] * self.examples + np.arange(self.examples)
        own = np.repeat(self.class_counts[codes], self.examples)
        shown = shown.ravel() % own  # the same order on every lap: what is next to each other is different
        start = np.repeat(self._starts[codes], self.examples)
        chosen = start + permute(shown, own, self.seed, epoch, 1, stream=np.repeat(codes, self.examples))
        indices = chosen if self._by_class is None else self._by_class[chosen]
        return indices.reshape(len(places), -1)

    def labels_per_example(self) -> NDArray[np.float64]:
        """Return the share of each class, (n_classes,): equal for all with examples."""
        return (self.class_counts > 0) / self._filled.size
