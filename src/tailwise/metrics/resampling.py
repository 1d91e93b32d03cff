"""Bootstrap by resampling counts.

Drawing n examples with replacement and counting them in cells is one multinomial draw of the cells, so resampled
counts have exactly the distribution that resampled examples would give, at a cost that does not grow with n.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.metrics.confusion import Margins

_WORK = 50_000_000  # maximum number of multinomial cells to draw for a table
_FEWEST = 100  # minimum number of resamples, however large the table
_BORROWED = 2  # pseudo-examples with the mean behaviour of all strata, added to each stratum


def resamples_for(table: NDArray[Any], n_bootstrap: int) -> int:
    """Return the affordable number of resamples of a table: ``n_bootstrap``, or fewer if it has many cells."""
    affordable = _WORK // max(int(np.count_nonzero(table)), 1)
    return min(n_bootstrap, max(affordable, _FEWEST))


def resampled_margins(confusion: NDArray[np.int64], n_bootstrap: int, rng: np.random.Generator) -> Margins:
    """Return the margins of resampled confusion matrices, (n_bootstrap, n_classes) each.

    Rows are strata: each keeps its total, so that no class is lost in a resample. Hits are drawn at the rates of
    :func:`_hit_rates`, and misses are distributed as the observed ones.
    """
    hits = np.zeros((n_bootstrap, len(confusion)), dtype=np.int64)
    predicted, support, rates = np.zeros_like(hits), confusion.sum(axis=1), _hit_rates(confusion)
    for row in np.flatnonzero(support):
        hits[:, row] = rng.binomial(support[row], rates[row], size=n_bootstrap)
        predicted[:, row] += hits[:, row]
        cells = np.flatnonzero(confusion[row])
        cells = cells[cells != row]
        if cells.size:
            shares = confusion[row, cells] / confusion[row, cells].sum()
            predicted[:, cells] += rng.multinomial(support[row] - hits[:, row], shares)
    return Margins(hits, support, predicted)


def resampled_confusions(
    confusion: NDArray[np.int64], n_bootstrap: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield resampled confusion matrices one by one, with the distribution of :func:`resampled_margins`.

    Misses of a class without observed misses are distributed as those of all classes, or else evenly.
    """
    misses = np.where(np.eye(len(confusion), dtype=bool), 0, confusion.astype(np.float64))
    misses[~misses.any(axis=1)] = misses.sum(axis=0) + 1e-9
    np.fill_diagonal(misses, 0)
    rates = _hit_rates(confusion)
    shares = misses * ((1 - rates) / misses.sum(axis=1))[:, None] + np.diag(rates)
    for _ in range(n_bootstrap):
        yield rng.multinomial(confusion.sum(axis=1), shares)


def _hit_rates(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the (n_classes,) probability that an example of each class is predicted correctly in a resample.

    A few examples are often all correct or all wrong, and show too little variation or none. Each class is therefore
    given ``_BORROWED`` further examples with the mean recall of all classes: a parametric bootstrap, which approaches
    the usual one as examples increase.
    """
    support, right = confusion.sum(axis=1), np.diagonal(confusion)
    seen = support > 0
    usual = ((right[seen] / support[seen]).sum() + 0.5) / (seen.sum() + 1)
    return (right + _BORROWED * usual) / (support + _BORROWED)


def resampled_rows(labels: NDArray[np.int64], n_bootstrap: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield resamples of examples, (n,) indices each, stratified by class so that no rare class is lost."""
    by_class = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    start, size = (np.repeat(values, counts) for values in (np.cumsum(counts) - counts, counts))
    for _ in range(n_bootstrap):
        yield by_class[start + (rng.random(len(labels)) * size).astype(np.intp)]


def variance_of_means(n: NDArray[Any], total: NDArray[Any], squares: NDArray[Any]) -> NDArray[np.float64]:
    """Return the (n_strata,) variances of the resampled means of strata, from their moments.

    The variance of a stratum with few examples is shrunk towards the mean variance, with the weight of ``_BORROWED``
    examples.

    Parameters
    ----------
    n, total, squares : (n_strata,) count, sum and sum of squares of each stratum
    """
    some = np.maximum(n, 1)
    deviations = np.maximum(squares - total**2 / some, 0)
    shown = n > 1
    usual = (deviations[shown] / (n[shown] - 1)).mean() if shown.any() else 0
    if not usual:  # at most one example each: only the variance between strata is known
        usual = np.var((total / some)[n > 0])
    variance = (deviations + _BORROWED * usual) / np.maximum(n - 1 + _BORROWED, 1)
    return variance / some


def resampled_tables(table: NDArray[np.int64], n_bootstrap: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """Yield resampled tables one by one, with rows as strata; for tables too large to hold many times."""
    totals = table.sum(axis=-1)
    shares = table / np.maximum(totals, 1)[..., None]
    shares[totals == 0, 0] = 1  # arbitrary, as nothing is drawn from it
    for _ in range(n_bootstrap):
        yield rng.multinomial(totals, shares)


def interval(resampled: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2.5 and 97.5 percentiles over the first axis."""
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return low, high
