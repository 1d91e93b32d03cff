"""Rankings and F1 of one class against the rest, with intervals from the influence of each example on them.

The intervals are those of the bootstrap over examples in the normal approximation: a measure is nearly linear in the
weights of the examples, so its variance is the sum over examples of their squared influence, all classes of an example
together (the infinitesimal jackknife; Efron, The Jackknife, the Bootstrap and Other Resampling Plans, SIAM 1982,
chapter 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.errors import TailwiseError
from tailwise.metrics.estimates import Estimate, normal_interval

Measure = Callable[[NDArray[np.bool_], NDArray[Any]], tuple[float, NDArray[np.float64]]]

_BORROWED = 2  # pseudo-examples with the mean variance of all classes, added to each class


def average_precision_at(positive: NDArray[Any], negative: NDArray[Any]) -> tuple[float, NDArray[Any], NDArray[Any]]:
    """Return the average precision of a ranking, and the influence of a positive and of a negative at each score.

    Precision at a score is ``C / R``: the weight of the positives over the weight of all examples, at that score or
    above. Average precision is its mean over the positives. The derivative with respect to an example's weight has two
    parts: its own term in that mean, and its effect on ``C / R`` at its score and below.

    Parameters
    ----------
    positive, negative : (m,) counts at each score, the highest score first, none without an example
    """
    total, above = positive.sum(), np.cumsum(positive + negative)
    precision = np.cumsum(positive) / above
    value = float(positive @ precision / total)
    lifted, lowered = (np.cumsum((positive * part / above)[::-1])[::-1] for part in (1.0, precision))
    return value, (precision - value + lifted - lowered) / total, -lowered / total


def roc_auc_at(positive: NDArray[Any], negative: NDArray[Any]) -> tuple[float, NDArray[Any], NDArray[Any]]:
    """Return the area under the ROC curve, and the influence of a positive and of a negative at each score.

    An example's influence is the share of the other side that it ranks right, less the mean of that share (DeLong,
    DeLong and Clarke-Pearson, Biometrics 1988). Arguments as for :func:`average_precision_at`.
    """
    n_positive, n_negative = positive.sum(), negative.sum()
    below = (n_negative - np.cumsum(negative) + negative / 2) / n_negative
    above = (np.cumsum(positive) - positive / 2) / n_positive
    value = float(positive @ below / n_positive)
    return value, (below - value) / n_positive, (above - value) / n_negative


def _ranked(at: Callable[..., tuple[float, NDArray[Any], NDArray[Any]]]) -> Measure:
    def measure(has: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        order = np.argsort(scores)[::-1]
        label, ranked = has[order], scores[order]
        first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # the first example with each score
        size = np.diff(np.r_[first, len(label)])
        positive = np.add.reduceat(label.astype(np.float64), first)
        value, of_positive, of_negative = at(positive, size - positive)
        moved = np.empty(len(label))
        moved[order] = np.where(label, np.repeat(of_positive, size), np.repeat(of_negative, size))
        return value, moved

    return measure


average_precision = _ranked(average_precision_at)
roc_auc = _ranked(roc_auc_at)


def f1(has: NDArray[np.bool_], got: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Return F1, ``2 hits / (has + got)``, and the (n,) influence of each example on it."""
    hits, either = 2.0 * (has & got), has.astype(np.float64) + got
    value = hits.sum() / either.sum() if either.any() else 0.0
    return float(value), (hits - value * either) / max(either.sum(), 1)


@dataclass(frozen=True, eq=False)
class ByClass:
    """A measure of each of some classes, one against the rest.

    Attributes
    ----------
    codes, values : (m,) codes of the classes, and the measure of each
    moved : influence of each example, summed over the classes; or (m,) the root of ``squares``, where examples of
        different classes are taken to be independent
    squares : (m,) squared influence, summed over the examples
    positive : (m,) number of examples of each class
    deviations : (m,) summed squared deviations, over these examples, of their influence times their number
    """

    codes: NDArray[np.intp]
    values: NDArray[np.float64]
    moved: NDArray[np.float64]
    squares: NDArray[np.float64]
    positive: NDArray[np.float64]
    deviations: NDArray[np.float64]

    def estimate(self, error: float = 0.0) -> Estimate:
        """Return the mean over the classes, with an interval that allows for an error of it."""
        if not self.codes.size:
            raise TailwiseError("no example has one of these labels: there is nothing to measure.")
        variance = np.square(self.moved).sum() + self._lacking().sum()
        return normal_interval(float(self.values.mean()), variance / self.codes.size**2, error=error)

    def table(self, n_classes: int) -> NDArray[np.float64]:
        """Return (n_classes, 3) values and their intervals; NaN for classes that are not measured."""
        table = np.full((n_classes, 3), np.nan)
        for code, value, variance in zip(self.codes, self.values, self.squares + self._lacking(), strict=True):
            table[code] = normal_interval(float(value), variance)
        return table

    def with_others(self, others: Sequence[ByClass]) -> ByClass:
        """Return the measure of these classes and those of others, on the same examples."""
        parts = [self, *others]
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("codes", "values", "squares", "positive", "deviations")
        }
        return ByClass(moved=np.sum([part.moved for part in parts], axis=0), **joined)

    def _lacking(self) -> NDArray[np.float64]:
        """Return the (m,) variance to add for classes with too few examples to show it.

        To all examples together one is added that is half wrong, so that a flawless answer to a few of them shows some
        variation too.
        """
        n = self.positive
        usual = (self.deviations.sum() + 0.25) / ((n - 1).sum() + 1)
        leaning = (self.deviations + _BORROWED * usual) / (n - 1 + _BORROWED) / n
        return np.maximum(leaning - self.deviations / n**2, 0)


def by_class(measure: Measure, has: Any, answers: Any, codes: Any = None) -> ByClass:
    """Return a measure of each class that occurs, among ``codes`` if they are given.

    Parameters
    ----------
    measure : :func:`f1`, ``average_precision`` or ``roc_auc``
    has : (n, n_classes) bool, whether an example is of a class
    answers : (n, n_classes) scores, or for F1 whether the class was predicted
    """
    codes = np.flatnonzero(has.any(axis=0)) if codes is None else codes[has[:, codes].any(axis=0)]
    moved, found = np.zeros(len(has)), np.zeros((len(codes), 4))
    for row, code in zip(found, codes, strict=True):
        value, by_example = measure(has[:, code], answers[:, code])
        moved += by_example
        own = by_example[has[:, code]] * np.count_nonzero(has[:, code])
        row[:] = value, np.square(by_example).sum(), own.size, np.square(own - own.mean()).sum()
    values, squares, positive, deviations = found.T
    return ByClass(codes, values, moved, squares, positive, deviations)


def by_class_at(
    at: Callable[..., tuple[float, NDArray[Any], NDArray[Any]]], positive: NDArray[Any], negative: NDArray[Any]
) -> ByClass:
    """Return a measure of each class from (m, n_bins) counts of its examples and of others, the lowest scores first."""
    found = np.zeros((len(positive), 4))
    for row, ours, others in zip(found, positive, negative, strict=True):
        there = np.flatnonzero(ours + others)[::-1]
        p, q = ours[there].astype(np.float64), others[there].astype(np.float64)
        value, of_positive, of_negative = at(p, q)
        own, n = of_positive * p.sum(), p.sum()
        squares = p @ np.square(of_positive) + q @ np.square(of_negative)
        row[:] = value, squares, n, p @ np.square(own - p @ own / n)
    values, squares, n, deviations = found.T
    return ByClass(np.arange(len(positive)), values, np.sqrt(squares), squares, n, deviations)
