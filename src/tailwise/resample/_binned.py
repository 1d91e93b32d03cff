"""Tables as histogram boosting can be fitted to them, and fast."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

_WEIGHED = 200_000  # rows up to which histogram boosting uses weights when it computes its bins


def binned(X: Any, booster: HistGradientBoostingClassifier, sample_weight: ArrayLike | None) -> Any:
    """Return a table whose columns all have a value and, with weights, few different ones.

    Histogram boosting distinguishes at most 255 values per column. Since scikit-learn 1.9 it finds them as weighted
    quantiles, and sorts a column for each of them: one iteration on 2,000 rows of 300 columns takes some fifty times as
    long as without weights. Numbers are therefore rounded to as many values beforehand. It also fails on columns
    without any value, which are filled with zeros.
    """
    X = _filled(X)
    if sample_weight is None or np.shape(X)[0] > _WEIGHED:
        return X
    return _few_values(X, booster, np.asarray(sample_weight, dtype=np.float64))


def _filled(X: Any) -> Any:
    """Return an array with zeros in the columns that are NaN in every row, and anything else as it is."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind != "f":
        return X
    empty = [j for j in np.flatnonzero(np.isnan(X[:1]).all(axis=0)) if np.isnan(X[:, j]).all()]
    if empty:
        X = X.copy()
        X[:, empty] = 0
    return X


def _few_values(X: Any, booster: HistGradientBoostingClassifier, weights: NDArray[Any]) -> Any:
    """Return a table with at most as many values in each column of numbers as boosting distinguishes."""
    named = booster.categorical_features
    codes = set(np.flatnonzero(named) if np.asarray(named).dtype == bool else np.atleast_1d(named))  # or names, or None
    few = partial(_rounded, weights=weights, most=booster.max_bins)
    if isinstance(X, np.ndarray):
        numbers = X.ndim == 2 and X.dtype.kind in "fiu"
        return np.stack([c if j in codes else few(c) for j, c in enumerate(X.T)], axis=1) if numbers else X
    if hasattr(X, "isetitem"):  # pandas
        X = X.copy(deep=False)
        for j, (name, dtype) in enumerate(X.dtypes.items()):
            if isinstance(dtype, np.dtype) and dtype.kind in "fiu" and not codes & {j, name}:
                X.isetitem(j, few(X.iloc[:, j].to_numpy()))
    elif hasattr(X, "with_columns"):  # polars
        for j, (name, dtype) in enumerate(X.schema.items()):
            if dtype.is_numeric() and not codes & {j, name}:
                X = X.with_columns(type(X[name])(name, few(X[name].cast(float).to_numpy())))
    return X


def _rounded(column: NDArray[Any], weights: NDArray[Any], most: int) -> NDArray[Any]:
    """Round a column to at most ``most`` of its values; NaN, and columns of few different values, stay unchanged."""
    known = ~np.isnan(column)
    values, place = np.unique(column[known], return_inverse=True)
    if len(values) <= most:
        return column
    kept, alone = _shared(np.bincount(place, weights[known]), most)
    exact, alone = values[kept].astype(np.float64), alone[kept]  # sums of small integers would overflow
    with np.errstate(invalid="ignore"):  # between the two infinities
        ends = np.nan_to_num((exact[1:] + exact[:-1]) / 2)  # finite, so that infinity lies beyond them
    ends = np.where(alone[:-1] & ~alone[1:], exact[:-1], ends)
    ends = np.where(alone[1:] & ~alone[:-1], np.nextafter(exact[1:], -np.inf), ends)
    return np.where(known, values[kept][np.searchsorted(ends, column)], column)


def _shared(mass: NDArray[Any], most: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose ``most`` of the values in ascending order that share the weight as equally as they can.

    A value with the weight of several, such as a zero in most rows, stays alone, and on either side of it one is kept,
    little as the weight there may be, unless there are too many such values.

    Returns
    -------
    (n_values,) which are kept, and which of them stay alone
    """
    alone, more = np.zeros(len(mass), dtype=bool), True
    while more:
        rest, places = mass[~alone].sum(), most - int(np.count_nonzero(alone))
        heavy = ~alone & (mass * places > rest)
        alone, more = alone | heavy, bool(heavy.any())
    reached, kept = np.cumsum(np.where(alone, 0, mass)), alone.copy()
    if alone.any():
        between = np.bincount(np.cumsum(alone)[~alone], mass[~alone])  # them, and beyond
        largest = np.argsort(-between, kind="stable")[: min(places, int(np.count_nonzero(between)))]
        middles = np.minimum((np.cumsum(between) - between / 2)[largest], reached[-1])
        kept[np.searchsorted(reached, middles)] = True
        places -= len(largest)
    kept[np.searchsorted(reached, (np.arange(places) + 0.5) / max(places, 1) * reached[-1])] = True
    return kept, alone
