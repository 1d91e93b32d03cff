"""A mixture of samplers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.samplers._balanced import check_shares
from tailwise.samplers._epochs import EpochSampler, check_size, systematic
from tailwise.samplers._permute import permute


class MixtureSampler(EpochSampler):
    """Mixes several samplers of the same examples, each with a share of the epoch, shuffled together.

    Parameters
    ----------
    samplers : samplers of the same examples; their seeds matter, their processes do not. Each keeps its own indices,
        so that their memory adds up. One whose own epoch is shorter than its share is repeated. Before you change the
        weights or the difficulty of one, call :meth:`seen` of the mixture
    shares : one number per sampler, in any unit; or ``shares(epoch)`` that returns them
    size : length of an epoch over all processes; by default the number of examples
    num_replicas, rank, seed : see :class:`EpochSampler`

    Examples
    --------
    Half of an epoch is natural, half is class-balanced:

    >>> from tailwise.samplers import ClassBalancedSampler, MixtureSampler, ShuffleSampler
    >>> labels = [0] * 90 + [1] * 10
    >>> MixtureSampler([ShuffleSampler(labels), ClassBalancedSampler(labels)], [1, 1]).class_distribution()
    array([0.7, 0.3])

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.
    """

    def __init__(
        self,
        samplers: Sequence[EpochSampler],
        shares: ArrayLike | Callable[[int], ArrayLike],
        *,
        size: int | None = None,
        **processes: Any,
    ) -> None:
        if not samplers:
            raise TailwiseError("a mixture needs at least one sampler.")
        if batches := [type(sampler).__name__ for sampler in samplers if sampler.batched]:
            raise TailwiseError(f"a mixture takes samplers of examples; a {batches[0]} yields batches.")
        first = samplers[0]
        for part in samplers:
            own, others = (f"{s.n_examples} examples of {s.seen().size} classes" for s in (first, part))
            if own != others:
                raise TailwiseError(f"a mixture takes samplers of the same examples; got {own}, and {others}.")
        super().__init__(class_counts=first.class_counts, **processes)
        self.samplers = list(samplers)
        self._shares = shares
        self._size = check_size(size) or self.n_examples
        self._seen = np.zeros_like(first._seen)
        self.shares(0)

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return the share of each sampler in an epoch, (n_samplers,)."""
        shares = self._shares(epoch) if callable(self._shares) else self._shares
        return check_shares(shares, np.ones(len(self.samplers), dtype=np.int64))

    def size(self) -> int:
        """Return the number of places in an epoch, over all processes."""
        return self._size

    def pick(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices at these places of an epoch."""
        parts = systematic(self.shares(epoch), self._size, np.random.default_rng([self.seed, epoch]))
        turns = permute(places, self._size, self.seed, epoch, 2)
        which = np.searchsorted(np.cumsum(parts), turns, side="right")
        turns -= (np.cumsum(parts) - parts)[which]
        picked = np.empty(len(places), dtype=np.int64)
        for s, sampler in enumerate(self.samplers):
            picked[which == s] = sampler.pick(epoch, turns[which == s] % sampler.size())
        return picked

    def labels_per_example(self) -> NDArray[np.float64]:
        """Return how many labels of each class an example shown has on average, (n_classes,)."""
        return self.shares(self.epoch) @ np.stack([sampler.labels_per_example() for sampler in self.samplers])

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch, see :meth:`EpochSampler.set_epoch`."""
        super().set_epoch(epoch)
        for sampler in self.samplers:
            sampler.set_epoch(epoch)

    def count(self, indices: NDArray[Any], into: NDArray[np.int64]) -> None:
        """Add how often each class occurs among the examples to ``into``, (n_classes,)."""
        self.samplers[0].count(indices, into)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the mixture and of its samplers."""
        return {**super().state_dict(), "samplers": [sampler.state_dict() for sampler in self.samplers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`.

        Raises
        ------
        TailwiseError
            As for the other samplers, or if the state is one of more or fewer samplers.
        """
        if len(parts := state.get("samplers", self.samplers)) != len(self.samplers):
            raise TailwiseError(f"the saved mixture had {len(parts)} samplers; this one has {len(self.samplers)}.")
        super().load_state_dict(state)
        for sampler, part in zip(self.samplers, parts, strict=True):
            sampler.load_state_dict(part)
