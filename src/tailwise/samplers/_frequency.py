"""Samplers that repeat rare classes, or leave out some of the frequent ones, by a threshold on the frequency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.errors import TailwiseError
from tailwise.samplers._balanced import ClassSampler
from tailwise.settings import divisor, number
from tailwise.tensors import to_indicator


class _FactorSampler(ClassSampler):
    """Shows an example of class c ``factors[c]`` times per epoch on average; of several classes, the rarest decides.

    Attributes
    ----------
    factors : one per class; with an indicator, one per group of examples with the same rarest class, and the last for
        examples without a class
    """

    factors: NDArray[np.float64]

    def __init__(self, labels: Any, **options: Any) -> None:
        self._has = indicator(labels)
        if self._has is None:
            super().__init__(labels, **options)
            self.factors = self._factors(np.maximum(self.class_counts, 1) / self.n_examples)
            return
        occurring = np.asarray(self._has.sum(axis=0)).ravel()
        factors = np.append(self._factors(np.maximum(occurring, 1) / self._has.shape[0]), 1.0)
        super().__init__(_rarest(self._has, factors), **options)
        self.factors = factors[: self.class_counts.size]

    def _factors(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n_classes,) factors, larger for rarer classes, from the share of examples that have each class."""
        raise NotImplementedError

    def size(self) -> int:
        """Return the number of places in an epoch, over all processes."""
        shown = float(self.class_counts @ self.factors)
        return max(1, math.ceil(round(shown, 6))) if self._size is None else self._size

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return the share of each class in an epoch, (n_classes,)."""
        shown = self.class_counts * self.factors
        return shown / shown.sum()

    def labels_per_example(self) -> NDArray[np.float64]:
        """Return how many labels of each class an example shown has on average, (n_classes,)."""
        if self._has is None:
            return super().labels_per_example()
        shown = self.factors[self.labels]
        return (shown @ self._has) / shown.sum()


class RepeatFactorSampler(_FactorSampler):
    """Shows each example at least once per epoch, and more often the rarer its rarest class is.

    With f the share of examples that have a class, the factor of a class is ``max(1, sqrt(threshold / f))``, and that
    of an example the largest of its classes (1 if it has none). Factors need not be whole numbers: an example is shown
    as often as its factor, rounded up or down at random so that the mean is right.

    Parameters
    ----------
    labels : (n,) class codes, or (n, n_classes) indicator of the classes an example has, dense or SciPy sparse
    threshold : classes at least this frequent are not repeated, but now and then for one example, as the length is
        rounded up; 0 is shuffling
    size, class_counts, num_replicas, rank, seed : see :class:`ClassSampler`; the default size is the sum of the factors
        of all examples

    Attributes
    ----------
    factors : one per class; with an indicator, one per group of examples with the same rarest class, and the last for
        examples without a class

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Gupta et al., LVIS: A Dataset for Large Vocabulary Instance Segmentation, CVPR 2019, appendix B.2 (the
    threshold of 0.001 is theirs); rounded at random each epoch as in Detectron2.
    Verified: factors, and how often each example is shown, against a plain-Python reading of the formula.
    Deviates: the examples of a rarest class are together shown equally often in all epochs, to within one, where
    Detectron2 rounds each example by itself; all epochs thus have the same length.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.repeat([0, 1], [990, 10])
    >>> sampler = RepeatFactorSampler(labels, threshold=0.04)
    >>> sampler.factors.tolist(), np.bincount(labels[list(sampler)]).tolist()
    ([1.0, 2.0], [990, 20])
    """

    def __init__(self, labels: Any = None, threshold: float = 1e-3, **options: Any) -> None:
        self.threshold = number("threshold", threshold, 0)
        super().__init__(labels, **options)

    def _factors(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt(np.maximum(1.0, self.threshold / frequency))


class FrequencySubsampler(_FactorSampler):
    """Leaves out some examples of the frequent classes, different ones in every epoch.

    With f the share of examples that have a class, its factor is ``min(1, threshold / f) ** power``, the share of its
    examples that is shown. An example of several classes has the factor of its rarest, so that frequent classes beside
    it do not remove a rare one.

    Parameters
    ----------
    labels : (n,) class codes, or (n, n_classes) indicator of the classes an example has, dense or SciPy sparse
    threshold : classes at most this frequent are shown whole; by default those that are not above the mean, one over
        the number of classes. For words the paper has 1e-5
    power : 0.5 is the square root; 1 lowers all more frequent classes to the threshold
    size, class_counts, num_replicas, rank, seed : see :class:`ClassSampler`; the default size is the sum of the factors
        of all examples

    Attributes
    ----------
    factors : as in :class:`RepeatFactorSampler`

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality, NeurIPS 2013,
    equation 5: words are left out with probability ``1 - sqrt(t / f)``. The program that goes with the paper keeps
    ``sqrt(t / f) + t / f``; this is the paper's. For several entities per example see also :func:`entity_rebalancing`.
    Verified: factors, and how often each example is shown, against a plain-Python reading of the formula.
    Deviates: the number shown is that share of the class, to within one, instead of one draw per example; all epochs
    thus have the same length.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.repeat([0, 1], [80, 20])
    >>> sampler = FrequencySubsampler(labels, threshold=0.2)
    >>> sampler.factors.tolist(), np.bincount(labels[list(sampler)]).tolist()
    ([0.5, 1.0], [40, 20])
    """

    def __init__(self, labels: Any = None, threshold: float | None = None, power: float = 0.5, **options: Any) -> None:
        self.threshold = None if threshold is None else divisor("threshold", threshold, np.inf)
        self.power = number("power", power, 0, 1)
        super().__init__(labels, **options)

    def _factors(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        threshold = 1 / frequency.size if self.threshold is None else self.threshold
        return np.minimum(1.0, threshold / frequency) ** self.power


def indicator(labels: Any) -> Any:
    """Return a boolean matrix of the classes that examples have, or None for a row of codes."""
    if np.ndim(labels) != 2:
        return None
    has = to_indicator(labels)
    if not has.shape[0] or not has.nnz:
        raise TailwiseError("no example of the indicator has a class.")
    return has.astype(bool)


def _rarest(has: Any, factors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the class with the largest factor of each example; one past the last class if it has none."""
    order = np.argsort(-factors[:-1], kind="stable")
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    best = np.full(has.shape[0], order.size)
    np.minimum.at(best, np.repeat(np.arange(has.shape[0]), np.diff(has.indptr)), place[has.indices])
    return np.append(order, order.size)[best]
