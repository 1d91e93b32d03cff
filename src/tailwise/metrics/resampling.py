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

_WORK = 50_000_000  # multinomial cells that are drawn for one table
_FEWEST = 100  # resamples that are drawn however large the table


def resamples_for(table: NDArray[Any], n_bootstrap: int) -> int:
    """Return how many resamples of a table are affordable: ``n_bootstrap``, or fewer where its cells are many."""
    affordable = _WORK // max(int(np.count_nonzero(table)), 1)
    return min(n_bootstrap, max(affordable, _FEWEST))


def resampled_rows(
    table: NDArray[Any], n_bootstrap: int, rng: np.random.Generator
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int64]]]:
    """Yield each row that is not empty with its cells that are not, resampled: (row, cells, (n_bootstrap, cells)).

    Rows are strata: the total of each stays what it is, so that no class is lost in a resample.
    """
    for row, counts in enumerate(table):
        cells = np.flatnonzero(counts)
        if cells.size:
            total = counts[cells].sum()
            yield row, cells, rng.multinomial(total, counts[cells] / total, size=n_bootstrap)


def resampled_margins(confusion: NDArray[np.int64], n_bootstrap: int, rng: np.random.Generator) -> Margins:
    """Return the margins of resampled confusion matrices, (n_bootstrap, n_classes) each."""
    hits = np.zeros((n_bootstrap, len(confusion)), dtype=np.int64)
    predicted = np.zeros_like(hits)
    for row, cells, draws in resampled_rows(confusion, n_bootstrap, rng):
        hits[:, row] = draws[:, cells == row].sum(axis=1)
        predicted[:, cells] += draws
    return Margins(hits, confusion.sum(axis=1), predicted)


def resampled_tables(table: NDArray[np.int64], n_bootstrap: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """Yield whole resampled tables one by one, rows as strata; for tables too large to hold many times."""
    totals = table.sum(axis=-1)
    shares = table / np.maximum(totals, 1)[..., None]
    shares[totals == 0, 0] = 1  # any distribution does: nothing is drawn from it
    for _ in range(n_bootstrap):
        yield rng.multinomial(totals, shares)


def interval(resampled: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2.5 and 97.5 percentiles over the first axis."""
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return low, high
