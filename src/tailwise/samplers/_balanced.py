"""Samplers that give each class a share of the epoch: one mechanism and its settings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.samplers._epochs import EpochSampler, check_size, systematic
from tailwise.samplers._permute import permute
from tailwise.settings import number
from tailwise.tensors import to_array


class ClassSampler(EpochSampler):
    """Shows each class in a given share of the epoch.

    A class is shown as often as its share of the epoch's length says, rounded up or down at random so that the mean is
    right (systematic sampling). Over an epoch, none of its examples is shown more than once more often than another;
    which are is drawn at random, and so is the order of all.

    Parameters
    ----------
    labels, class_counts, num_replicas, rank, seed : see :class:`EpochSampler`
    size : length of an epoch over all processes; by default the number of examples

    Notes
    -----
    In addition to the labels it keeps one index per example, in the smallest type that fits (four bytes for up to four
    billion examples, two if a label takes one), or nothing if only class counts are given.

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.
    """

    def __init__(self, labels: ArrayLike | None = None, *, size: int | None = None, **options: Any) -> None:
        super().__init__(labels, **options)
        self._size = check_size(size)
        self._by_class = None if self.labels is None else ByClass(self.labels, self.class_counts)
        self._starts = np.cumsum(self.class_counts) - self.class_counts
        self._plan: tuple[int, NDArray[np.int64]] | None = None

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return the share of each class in an epoch, (n_classes,), zero for a class without examples."""
        return self.class_counts / self.class_counts.sum()

    def size(self) -> int:
        """Return the number of places in an epoch, over all processes."""
        return self.n_examples if self._size is None else self._size

    def pick(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices at these places of an epoch, a permutation of the turns of all classes."""
        if self._plan is None or self._plan[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._plan = epoch, np.cumsum(systematic(self.shares(epoch), self.size(), rng))
        ends = self._plan[1]
        turns = permute(places, self.size(), self.seed, epoch)
        codes = np.searchsorted(ends, turns, side="right")
        turns -= np.where(codes > 0, ends[codes - 1], 0)
        own = self.class_counts[codes]
        rounds, turns = np.divmod(turns, own)
        streams = 1 + codes + self.class_counts.size * rounds
        chosen = self._starts[codes] + permute(turns, own, self.seed, epoch, stream=streams)
        return chosen if self._by_class is None else self._by_class[chosen]

    def labels_per_example(self) -> NDArray[np.float64]:
        """Return the share of each class, as an example has one label, (n_classes,)."""
        return self.shares(self.epoch)


class PowerSampler(ClassSampler):
    """Shows classes in proportion to a power of their counts: 1 is shuffling, 0 class-balanced, 1/2 square root.

    A temperature T is the power 1/T. It shows examples; for the classes themselves, as word2vec draws negative examples
    by the power 3/4 of the word counts (Mikolov et al., Distributed Representations of Words and Phrases and their
    Compositionality, NeurIPS 2013, section 2.2), there is ``WeightedSampler(weights=counts**0.75, size=draws)``.

    Parameters
    ----------
    labels, **options : see :class:`ClassSampler`
    power : of the class counts

    Raises
    ------
    TailwiseError
        As for :class:`ClassSampler`, or if the power is not finite.

    Source: Mahajan et al., Exploring the Limits of Weakly Supervised Pretraining, ECCV 2018 (1/2); Kang et al.,
    Decoupling Representation and Classifier, ICLR 2020, equation 1 (any).
    """

    def __init__(self, labels: ArrayLike | None = None, power: float = 1.0, **options: Any) -> None:
        super().__init__(labels, **options)
        self.power = number("power", power)

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return ``n ** power`` over its sum."""
        return powered(self.class_counts, self.power)


class ClassBalancedSampler(PowerSampler):
    """Shows every class equally often, and the examples of a class too.

    Parameters
    ----------
    labels : (n,) class codes, none negative
    **options : ``class_counts``, ``size``, ``num_replicas``, ``rank``, ``seed``; see :class:`ClassSampler`

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Shen et al., Relay Backpropagation for Effective Learning of Deep Convolutional Neural Networks, ECCV 2016.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.repeat([0, 1], [90, 10])
    >>> sampler = ClassBalancedSampler(labels)
    >>> np.bincount(labels[list(sampler)]).tolist()
    [50, 50]
    >>> np.bincount(list(sampler))[90:].tolist()  # how often each rare example is shown
    [5, 5, 5, 5, 5, 5, 5, 5, 5, 5]
    """

    def __init__(self, labels: ArrayLike | None = None, **options: Any) -> None:
        super().__init__(labels, 0.0, **options)


class SquareRootSampler(PowerSampler):
    """Shows classes in proportion to the square root of their counts.

    Parameters
    ----------
    labels, **options : see :class:`ClassSampler`

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Mahajan et al., Exploring the Limits of Weakly Supervised Pretraining, ECCV 2018.
    """

    def __init__(self, labels: ArrayLike | None = None, **options: Any) -> None:
        super().__init__(labels, 0.5, **options)


class ReversedSampler(PowerSampler):
    """Shows classes in proportion to the inverse of their counts, the rarest most.

    Source: Zhou et al., BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition,
    CVPR 2020, section 4.2: ``w_i = N_max / N_i`` over its sum.
    """

    def __init__(self, labels: ArrayLike | None = None, **options: Any) -> None:
        super().__init__(labels, -1.0, **options)


def powered(counts: NDArray[Any], power: float) -> NDArray[np.float64]:
    """Return the powers of class counts, divided by their sum; a class without examples has share 0."""
    return softmax(power * np.log(np.maximum(counts, 1)), counts > 0)


def softmax(logits: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the exponentials divided by their sum, zero for classes that are not present."""
    shares = np.exp(np.where(present, logits, -np.inf) - logits[present].max())
    return shares / shares.sum()


def check_shares(shares: ArrayLike, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the shares of the classes divided by their sum; raise TailwiseError if one is invalid."""
    values = np.asarray(to_array(shares), dtype=np.float64)
    if values.shape != counts.shape:
        raise TailwiseError(f"{counts.size} classes need {counts.size} shares; got shape {values.shape}.")
    if not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise TailwiseError("shares must be finite and not negative, and at least one must be above 0.")
    empty = np.flatnonzero((values > 0) & (counts == 0))
    if empty.size:
        raise TailwiseError(f"class {empty[0]} has a share but no example.")
    return values / values.sum()


class ByClass:
    """The indices of the examples, sorted by class and then by position.

    An index has the smallest type that fits. If a label takes one byte, an index takes two, its lower bits: since the
    indices of a class ascend, the number of its examples in each block of the data says which block one lies in.

    ``argsort`` would take eight bytes per index and as many again to work in; this is a counting sort, by blocks.
    """

    _bits = 16

    def __init__(self, labels: NDArray[Any], counts: NDArray[np.int64]) -> None:
        whole = labels.dtype.itemsize > 1
        self._order = np.empty(labels.size, dtype=np.min_scalar_type(labels.size - 1) if whole else np.uint16)
        self._blocks = -(-labels.size >> self._bits)
        self._ends = None if whole else np.empty((counts.size, self._blocks), dtype=np.int64)
        free = np.cumsum(counts) - counts  # where each class's next index goes
        for block in range(self._blocks):
            begin = block << self._bits
            codes = labels[begin : begin + (1 << self._bits)].astype(np.int64)
            # sorting numbers is fast, and these are unique
            keys = np.sort((codes << self._bits) | np.arange(codes.size))
            codes, keys = keys >> self._bits, keys & ((1 << self._bits) - 1)
            firsts = np.flatnonzero(np.diff(codes, prepend=-1))
            lengths = np.diff(firsts, append=codes.size)
            within = np.arange(codes.size) - np.repeat(firsts, lengths)
            self._order[free[codes] + within] = begin + keys if whole else keys
            free[codes[firsts]] += lengths
            if self._ends is not None:
                self._ends[:, block] = free

    def __getitem__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the (m,) indices at (m,) places of the order."""
        indices = self._order[places].astype(np.int64)
        if self._ends is not None:
            indices += (np.searchsorted(self._ends.ravel(), places, side="right") % self._blocks) << self._bits
        return indices
