"""Estimates from the counts of an accumulator, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tailwise.metrics import bins, confusion, resampling
from tailwise.metrics.accumulate import Accumulator

NORMAL = 1.96  # standard errors on either side of a 95 % interval


class Estimate(NamedTuple):
    """A measure with its 95 % bootstrap interval; the bounds are None without resampling."""

    value: float
    low: float | None = None
    high: float | None = None


class Measuring:
    """Estimates from one set of counts, with shared resamples."""

    def __init__(
        self, seen: Accumulator, groups: dict[str, NDArray[np.intp]], n_bootstrap: int, rng: np.random.Generator
    ):
        self.seen, self.groups, self.n_bootstrap = seen, groups, n_bootstrap
        self.rng = rng
        self.margins = confusion.margins(seen.confusion)
        n = resampling.resamples_for(seen.confusion, n_bootstrap)
        self.resampled = resampling.resampled_margins(seen.confusion, n, self.rng) if n else None

    def decisions(self) -> dict[str, Estimate]:
        """Return the overall measures of the confusion matrix."""
        return {name: self._of_margins(measure) for name, measure in confusion.MEASURES.items()}

    def _of_margins(self, measure: Callable[[confusion.Margins], Any], classes: Any = slice(None)) -> Estimate:
        """Return a measure of some classes' margins."""
        value = measure(self.margins.take(classes))
        if self.resampled is None:
            return estimate(value, None)
        resampled, extreme = self.resampled.take(classes), measure.__name__ in confusion.EXTREMES
        return estimate(value, measure(resampled), measure(resampled.mean()), extreme=extreme)

    def recall(self) -> NDArray[np.float64]:
        """Return the (n_classes, 3) recall of each class with its score interval (Wilson, JASA 1927)."""
        value, n = confusion.recalls(self.margins), np.maximum(self.margins.support, 1)
        if self.resampled is None:
            return np.column_stack([value, np.full((value.size, 2), np.nan)])
        middle = (value + NORMAL**2 / (2 * n)) / (1 + NORMAL**2 / n)
        half = NORMAL * np.sqrt(value * (1 - value) / n + (NORMAL / (2 * n)) ** 2) / (1 + NORMAL**2 / n)
        low, high = np.clip(middle - half, 0, value), np.clip(middle + half, value, 1)  # not past it by rounding
        return np.column_stack([value, low, high])

    def by_group(self) -> dict[str, dict[str, Estimate]]:
        """Return the measures of each group that has test examples."""
        found = {}
        for group, classes in self.groups.items():
            if self.margins.support[classes].any():
                found[group] = {
                    "accuracy": self._of_margins(confusion.balanced_accuracy, classes),
                    **self._group_ece(classes),
                    **self.sets(classes),
                }
        return found

    def sets(self, classes: NDArray[np.intp]) -> dict[str, Estimate]:
        """Return coverage and size of the prediction sets, as means over the classes that have examples."""
        if self.seen.sets is None:
            return {}
        classes = classes[self.margins.support[classes] > 0]
        sets = self.seen.sets[:, classes]
        sizes = sets.sum(axis=0)
        smallest = int(sizes.any(axis=0).argmax())  # a lower bound on any mean size
        return {"coverage": self._mean_of_rows(sets.sum(axis=2).T), "set_size": self._mean_of_rows(sizes, smallest)}

    def _mean_of_rows(self, table: NDArray[np.int64], at_least: int = 0) -> Estimate:
        """Return the mean over rows of each row's mean, where column j counts the occurrences of value j."""
        values, n = np.arange(table.shape[1]), table.sum(axis=1)
        total = table @ values
        value = float(np.mean(total / n))
        if not self.n_bootstrap:
            return Estimate(value)
        variance = resampling.variance_of_means(n, total, table @ values**2).sum() / n.size**2
        return normal_interval(value, variance, table.shape[1] - 1, at_least)

    def reliability(self) -> dict[str, NDArray[np.float64]]:
        """Return the confidence bins of all predictions and of each group's."""
        q = self.seen.probabilities
        if q is None:
            return {}
        by_class = np.stack([q.chosen[1], q.chosen[0], q.chosen[2] + q.chosen[3]])
        pooled = {name: by_class[:, classes].sum(axis=1) for name, classes in self.groups.items()}
        return {"all": by_class.sum(axis=1)} | {name: cells for name, cells in pooled.items() if cells[0].any()}

    def _group_ece(self, classes: NDArray[np.intp]) -> dict[str, Estimate]:
        """Return the calibration error of the predictions of these classes, if there are any."""
        q = self.seen.probabilities
        if q is None:
            return {}
        right, every, confident_right, confident_wrong = q.chosen[:, classes].sum(axis=1)
        if not every.any():
            return {}
        value = bins.calibration_error(right, every, confident_right + confident_wrong)
        counts = np.stack([every - right, right])
        mean = np.stack([confident_wrong, confident_right]) / np.maximum(counts, 1)
        resampled = None
        if self.n_bootstrap:
            flat = counts.ravel()
            draws = self.rng.multinomial(int(flat.sum()), flat / flat.sum(), size=self.n_bootstrap)
            draws = draws.reshape(-1, *counts.shape)
            resampled = bins.calibration_error(draws[:, 1], draws.sum(axis=1), (draws * mean).sum(axis=1))
        return {"ece": estimate(value, resampled)}

    def probabilities(self) -> dict[str, Estimate]:
        """Return the overall measures of probabilities."""
        q = self.seen.probabilities
        if q is None:
            return {}
        found = {name: self._mean_loss(*moments) for name, moments in zip(("log_loss", "brier"), q.losses, strict=True)}
        found |= self._group_ece(np.arange(self.seen.n_classes))
        found["classwise_ece"] = self._classwise_ece(q.every)
        return found

    def _mean_loss(self, n: NDArray[Any], total: NDArray[Any], squares: NDArray[Any]) -> Estimate:
        """Return a mean over examples from the moments of each class."""
        value = float(total.sum() / n.sum())
        if not self.n_bootstrap:
            return Estimate(value)
        return normal_interval(value, np.square(n / n.sum()) @ resampling.variance_of_means(n, total, squares), np.inf)

    def _classwise_ece(self, every: NDArray[np.float64]) -> Estimate:
        """Return the mean calibration error of the classes that have test examples."""
        hits, counts, confidence = every[:, self.margins.support > 0]
        value = bins.calibration_error(hits, counts, confidence).mean()
        mean = confidence / np.maximum(counts, 1)
        cells = np.concatenate([counts - hits, hits], axis=1).astype(np.int64)
        n = resampling.resamples_for(cells, self.n_bootstrap)
        resampled = []
        for draw in resampling.resampled_tables(cells, n, self.rng):
            miss, hit = np.split(draw, 2, axis=1)
            resampled.append(bins.calibration_error(hit, hit + miss, (hit + miss) * mean).mean())
        return estimate(value, np.array(resampled) if resampled else None)


def estimate(
    value: Any,
    resampled: NDArray[np.float64] | None,
    centre: Any = None,
    at_most: float = 1.0,
    at_least: float = 0.0,
    extreme: bool = False,
) -> Estimate:
    """Return a value with the percentiles of its resamples, shifted so that their mean is ``centre``.

    Resampling adds noise, which lowers a minimum and raises an absolute error; shifting removes this bias. The centre
    is what the resamples would give without their noise; by default that is the value itself. It is another where a
    class with a few examples leans on the others. Over many classes such leanings add up while noise averages out, so
    the centre is at most half a standard deviation from the value, unless the measure is one of extremes.
    """
    if resampled is None or not resampled.size:
        return Estimate(float(value))
    leaning, most = 0.0 if centre is None else centre - value, np.inf if extreme else resampled.std() / 2
    shift = value + np.clip(leaning, -most, most) - resampled.mean()
    low, high = np.clip(np.add(resampling.interval(resampled), shift), at_least, at_most)
    return Estimate(float(value), min(float(low), float(value)), max(float(high), float(value)))


def normal_interval(
    value: float, variance: float, at_most: float = 1.0, at_least: float = 0.0, error: float = 0.0
) -> Estimate:
    """Return a value with the interval that its variance gives, within bounds, wider by an error on either side."""
    half = NORMAL * float(np.sqrt(variance)) + error
    return Estimate(value, max(value - half, at_least), min(value + half, at_most))
