"""How far one column alone gives the label away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

#: Rows outside the largest class that must be there before a column's power is judged.
_ENOUGH = 20
#: Seed of the halves: not 0, with which data may have been shuffled, which would tear halves along the classes.
_SEED = 0x7A11
#: Rows in a bin of a numeric column with many values.
_BIN = 20


def held_out_lambda(values: pl.Series, labels: NDArray[np.int64], random_state: int = _SEED) -> float | None:
    """Return Goodman and Kruskal's lambda of the label given one column, measured on rows that were held out.

    The column predicts each value's most frequent label in one half of the rows, and is scored on the other half, then
    the other way round. With ``a`` the accuracy and ``b`` that of always saying the most frequent label, lambda is
    ``(a - b) / (1 - b)``: 0 for a column that says nothing, 1 for one that says everything. Values that the other half
    does not have predict the most frequent label, so an identifier scores 0 here, where in-sample purity would be 1.

    Parameters
    ----------
    values : (n,) column; missing is a value of its own. Numbers with many values are put in bins of at least 20 rows
    labels : (n,) class codes, none missing
    random_state : seed of the halves

    Returns
    -------
    lambda from 0 to 1, or None if fewer than 20 rows are outside the largest class

    Source: Goodman and Kruskal, Measures of Association for Cross Classifications, JASA 1954, section 5.
    Deviates: held out; what falls below 0 by chance is 0.
    """
    n = labels.size
    if n == 0 or n - np.bincount(labels).max() < _ENOUGH:
        return None
    codes, n_classes = _value_codes(values), labels.max() + 1
    first = np.random.default_rng(random_state).permutation(n) < n // 2
    right = usual = 0
    for learn in (first, ~first):
        most_frequent = np.bincount(labels[learn]).argmax()
        of_value = np.full(codes.max() + 1, most_frequent)
        pairs, times = np.unique(codes[learn] * n_classes + labels[learn], return_counts=True)
        value, label = np.divmod(pairs[np.argsort(times, kind="stable")], n_classes)
        of_value[value] = label  # the most frequent label of a value is written last
        right += int((of_value[codes[~learn]] == labels[~learn]).sum())
        usual += int((labels[~learn] == most_frequent).sum())
    return max(0.0, (right - usual) / (n - usual))


def _value_codes(values: pl.Series) -> NDArray[np.int64]:
    """Return small codes for the values of a column, 0 for missing."""
    values = values.fill_nan(None) if values.dtype.is_float() else values
    codes = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    per_value = np.bincount(codes)
    if (values.dtype.is_numeric() or values.dtype.is_temporal()) and codes.size < _BIN * per_value.size:
        per_value[0] = 0
        codes = np.where(codes == 0, 0, 1 + np.cumsum(per_value)[codes] // _BIN)
    return codes
