"""Samplers that repeat what is rare, or leave out some of what is frequent, by a threshold on the frequency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise.errors import TailwiseError
from tailwise.samplers._balanced import ClassSampler


class _FactorSampler(ClassSampler):
    """Shows an example of class c ``factors[c]`` times an epoch on average; one of several, by its rarest class.

    Attributes
    ----------
    factors : of the classes; with an indicator, of the groups of examples that share their rarest class, and last, of
        those without any
    """

    factors: NDArray[np.float64]

    def __init__(self, labels: Any, **options: Any) -> None:
        self._has: Any = _indicator(labels)
        if self._has is None:
            super().__init__(labels, **options)
            self.factors = self._factors(np.maximum(self.class_counts, 1) / self.n_examples)
            return
        occurring = np.asarray(self._has.sum(axis=0)).ravel()
        factors = np.append(self._factors(np.maximum(occurring, 1) / self._has.shape[0]), 1.0)
        super().__init__(_rarest(self._has, factors), **options)
        self.factors = factors[: self.class_counts.size]
        self._seen = np.zeros(self._has.shape[1], dtype=np.int64)

    def _factors(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n_classes,) factors from the shares of examples that have each class; the rarer, the larger."""
        raise NotImplementedError

    def size(self) -> int:
        """Return how many places an epoch has, for all processes together."""
        shown = float(self.class_counts @ self.factors)
        return max(1, math.ceil(round(shown, 6))) if self._size is None else self._size

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return each class's share of an epoch, (n_classes,)."""
        shown = self.class_counts * self.factors
        return shown / shown.sum()

    def class_distribution(self) -> NDArray[np.float64]:
        """Return the share of each class in the labels that an epoch shows on average, (n_classes,)."""
        if self._has is None:
            return super().class_distribution()
        shown = self.factors[self.labels] @ self._has
        return shown / shown.sum()

    def count(self, indices: NDArray[Any], into: NDArray[np.int64]) -> None:
        """Add how often each class occurs among the examples to ``into``, (n_classes,)."""
        if self._has is None:
            super().count(indices, into)
        else:
            into += np.asarray(self._has[indices].sum(axis=0), dtype=np.int64).ravel()


class RepeatFactorSampler(_FactorSampler):
    """Shows an example at least once an epoch, and the more often the rarer its rarest class.

    With f the share of examples that have a class, a class's factor is ``max(1, sqrt(threshold / f))``, and an
    example's the largest of its classes' (1 if it has none). Factors are not whole numbers: an example is shown the
    factor rounded up or down at random, right on average.

    Parameters
    ----------
    labels : (n,) class codes, or (n, n_classes) indicator of the classes an example has, dense or SciPy sparse
    threshold : a class this frequent or more is not repeated; 0 is shuffling
    size, class_counts, num_replicas, rank, seed : see :class:`ClassSampler`; an epoch is by default as long as showing
        every example that often takes

    Attributes
    ----------
    factors : of the classes; with an indicator, of the groups of examples that share their rarest class, and last, of
        those without any

    Source: Gupta et al., LVIS: A Dataset for Large Vocabulary Instance Segmentation, CVPR 2019, appendix B.2 (the
    threshold of 0.001 is theirs); rounded at random each epoch as in Detectron2.
    Deviates: rounds so that a rarest class's examples are shown as often in all epochs, to within one, where
    Detectron2 rounds every example for itself; an epoch's length is then always the same.
    """

    def __init__(self, labels: Any = None, threshold: float = 1e-3, **options: Any) -> None:
        if not threshold >= 0:
            raise TailwiseError(f"the threshold must not be negative; got {threshold}.")
        self.threshold = threshold
        super().__init__(labels, **options)

    def _factors(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt(np.maximum(1.0, self.threshold / frequency))


class FrequencySubsampler(_FactorSampler):
    """Leaves out some examples of the frequent classes, others every epoch.

    With f the share of examples that have a class, its factor is ``min(1, threshold / f) ** power``: that share of them
    is shown. An example of several classes goes by its rarest, so that nothing rare is lost with what comes with it.

    Parameters
    ----------
    labels : (n,) class codes, or (n, n_classes) indicator of the classes an example has, dense or SciPy sparse
    threshold : a class this frequent or less is shown whole
    power : 0.5 turns down by the root; 1 levels all more frequent classes at the threshold
    size, class_counts, num_replicas, rank, seed : see :class:`ClassSampler`; an epoch is by default as long as showing
        them once takes

    Attributes
    ----------
    factors : as of :class:`RepeatFactorSampler`

    Source: Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality, NeurIPS 2013,
    equation 5: words are left out with probability ``1 - sqrt(t / f)``. The program that goes with the paper keeps
    ``sqrt(t / f) + t / f``; this is the paper's. For several entities an example see also :func:`entity_rebalancing`.
    Deviates: the number shown is that share of the class, to within one, rather than the outcome of a draw for each
    example; an epoch's length is then always the same.
    """

    def __init__(self, labels: Any = None, threshold: float = 1e-5, power: float = 0.5, **options: Any) -> None:
        if not threshold > 0:
            raise TailwiseError(f"the threshold must be above 0; got {threshold}.")
        if not 0 <= power <= 1:
            raise TailwiseError(f"the power must be between 0 and 1; got {power}.")
        self.threshold, self.power = threshold, power
        super().__init__(labels, **options)

    def _factors(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(1.0, self.threshold / frequency) ** self.power


def _indicator(labels: Any) -> Any:
    """Return a boolean matrix of the classes that examples have, or None for a row of codes."""
    if not sparse.issparse(labels):
        labels = np.asarray(labels)
        if labels.ndim != 2:
            return None
    has = sparse.csr_array(labels)
    has.eliminate_zeros()
    if has.data.size and not (has.data == 1).all():
        raise TailwiseError("an indicator holds 1 where an example has a class and 0 elsewhere.")
    if not has.shape[0] or not has.nnz:
        raise TailwiseError("the indicator says of no example that it has a class.")
    return has.astype(bool)


def _rarest(has: Any, factors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return each example's class of the largest factor; one past the last class if it has none."""
    order = np.argsort(-factors[:-1], kind="stable")
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    best = np.full(has.shape[0], order.size)
    np.minimum.at(best, np.repeat(np.arange(has.shape[0]), np.diff(has.indptr)), place[has.indices])
    return np.append(order, order.size)[best]
