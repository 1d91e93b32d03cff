"""Convert tables to numbers, and add synthetic rows to them in their own container and types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise.errors import TailwiseError
from tailwise.resample._blocks import spans
from tailwise.resample._containers import take
from tailwise.tensors import to_array

Values = Callable[[slice], Any]

_LARGEST = 1e150  # the square of a larger number overflows
_LARGEST_HALF = np.finfo(np.float16).max


def numbers(X: Any, method: str, columns: NDArray[np.intp] | None = None) -> Any:
    """Return a table as a float array, or as CSR if it is sparse; float32 stays float32, missing values become NaN.

    Parameters
    ----------
    X : (n, n_features)
    method : name of the caller, for messages
    columns : columns to convert; all by default

    Raises
    ------
    TailwiseError
        If a column does not hold numbers, if a value is infinite, or if a sparse matrix holds NaN.
    """
    if sparse.issparse(X):
        points = X.tocsr()
        points = points if points.dtype in (np.float32, np.float64) else points.astype(np.float64)
        values = points.data
        if np.isnan(values).any():
            raise TailwiseError(f"{method} takes no missing values in a sparse matrix: fill them in or make it dense.")
    elif hasattr(X, "columns"):
        names = list(X.columns) if columns is None else [X.columns[column] for column in columns]
        for name in names:
            if not is_number(X[name].dtype):
                wrong = f"column {name!r} is {X[name].dtype}"
                other = "over-sample with SMOTENC" if columns is None else "list it in categorical_features too"
                raise TailwiseError(f"{method} needs numbers, but {wrong}: encode it, or {other}.")
        kinds = {str(X[name].dtype).lower() for name in names}
        dtype = np.float32 if kinds == {"float32"} else np.float64
        values = points = np.empty((len(X), len(names)), dtype)
        for j, name in enumerate(names):
            column = X[name]
            pandas = hasattr(X, "iloc")
            points[:, j] = column.to_numpy(dtype=dtype, na_value=np.nan) if pandas else column.cast(float).to_numpy()
    else:
        n_columns(X, method)
        points = np.asarray(to_array(X))
        points = points if columns is None else points[:, columns]
        if points.dtype not in (np.float32, np.float64):
            try:
                points = points.astype(np.float64) if points.dtype.kind in "iufbO" else None
            except (TypeError, ValueError):
                points = None
        if points is None:
            raise TailwiseError(
                f"{method} needs numbers, but the array has other values: encode them, or over-sample with SMOTENC."
            )
        values = points
    if columns is None and points.shape[1] == 0:
        raise TailwiseError(f"{method} needs numbers, but the table has no column.")
    width = 1 if values.ndim == 1 else values.shape[1]
    if any(np.isinf(values[at]).any() for at in spans(len(values), width)):
        raise TailwiseError(f"{method} needs finite numbers, but the table has an infinite one.")
    return points


def measurable(points: Any) -> Any:
    """Return the result of :func:`numbers` unchanged, or raise TailwiseError if squares of it would overflow."""
    if largest(points) > _LARGEST:
        raise TailwiseError(
            f"the table holds numbers up to {largest(points):.0e}, whose squares no distance can hold: scale it."
        )
    return points


def largest(points: Any) -> float:
    """Return the largest absolute value of a table, 0 if it has none."""
    values = points.data if sparse.issparse(points) else points
    return max(-float(np.nanmin(values, initial=0)), float(np.nanmax(values, initial=0)))


def complete(points: Any, method: str) -> Any:
    """Return the result of :func:`measurable`, or raise TailwiseError if a value is missing."""
    if np.isnan(points.data if sparse.issparse(points) else points).any():
        raise TailwiseError(f"{method} takes no missing values: fill them in or use another method.")
    return measurable(points)


def n_columns(X: Any, method: str) -> int:
    """Return the number of columns, or raise if X is not a table."""
    if hasattr(X, "columns"):
        return len(X.columns)
    if len(np.shape(X)) != 2:
        raise TailwiseError(f"{method} needs a table; got shape {np.shape(X)}. Reshape your data.")
    return int(np.shape(X)[1])


def is_number(dtype: Any) -> bool:
    """Return whether a column type of NumPy, pandas or polars holds real numbers or booleans."""
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric() or str(dtype) == "Boolean")
    return getattr(dtype, "kind", "O") in "iufb"


def is_whole(dtype: Any) -> bool:
    """Return whether a type holds only whole numbers or booleans."""
    if hasattr(dtype, "is_integer"):  # polars
        return bool(dtype.is_integer() or str(dtype) == "Boolean")
    return dtype.kind in "iub"


def with_rows(
    X: Any, kept: NDArray[np.intp], n_new: int, values: Values, sources: Mapping[int, NDArray[np.intp]]
) -> Any:
    """Return a table of rows of X followed by new ones.

    Parameters
    ----------
    X : (n, n_features)
    kept : rows of X to keep
    n_new : number of new rows
    values : function from a slice of the new rows to their numbers, (n_slice, n_features); in integer columns they are
        rounded and clipped to the range of the type
    sources : column -> (n_new,) row from which each new row copies the value of this column
    """
    if sparse.issparse(X):
        parts = [values(at) for at in spans(n_new, max(1, X.nnz // max(1, X.shape[0])))]
        for part in parts:
            part.data = _held(part.data, X.dtype).astype(X.dtype)
        return sparse.vstack([X[kept], *parts], format=X.format)
    n_features = n_columns(X, "resampling")
    if hasattr(X, "columns"):
        new = np.empty((n_new, n_features))
        for at in spans(n_new, n_features):
            new[at] = values(at)
        made = [
            take(X[name], sources[j]) if j in sources else _like(X[name], new[:, j]) for j, name in enumerate(X.columns)
        ]
        return _joined(take(X, kept), made)
    table = np.asarray(to_array(X))
    grown = np.empty((len(kept) + n_new, n_features), table.dtype)
    for at in spans(len(kept), n_features):
        grown[at] = table[kept[at]]
    for at in spans(n_new, n_features):
        place = slice(at.start + len(kept), at.stop + len(kept))
        grown[place] = _held(values(at), table.dtype)
        for j, rows in sources.items():
            grown[place, j] = table[rows[at], j]
    return _as_came(X, grown)


def with_targets(y: Any, kept: NDArray[np.intp], parents: NDArray[np.intp], made: Any) -> Any:
    """Return the targets of kept and new rows in the container of ``y``; ``made`` None copies the parents' targets."""
    rows, n_new = y.tocsr() if sparse.issparse(y) else y, len(parents)
    if made is None:
        taken = take(rows, np.concatenate([kept, parents]))
        return taken.asformat(y.format) if sparse.issparse(y) else taken
    if sparse.issparse(y):
        return with_rows(rows, kept, n_new, lambda at: type(rows)(made[at]), {}).asformat(y.format)

    if hasattr(y, "column_names"):  # an Arrow table
        import polars as pl

        return with_targets(pl.DataFrame(y), kept, parents, made).to_arrow().cast(y.schema)

    def values(at: slice) -> NDArray[Any]:
        return made[at].toarray() if sparse.issparse(made) else made[at]

    if hasattr(y, "to_frame"):  # a series
        grown = with_rows(y.to_frame(), kept, n_new, values, {})
        return grown.iloc[:, 0].rename(y.name) if hasattr(grown, "iloc") else grown.to_series()
    if hasattr(y, "columns") or np.ndim(y) == 2:
        return with_rows(y, kept, n_new, values, {})
    return _as_came(y, with_rows(np.asarray(to_array(y))[:, None], kept, n_new, values, {})[:, 0])


def _as_came(X: Any, grown: NDArray[Any]) -> Any:
    """Return an array as a tensor, Arrow column, list or tuple if X is one."""
    if hasattr(X, "new_tensor"):
        return X.new_tensor(grown)
    if hasattr(X, "to_pylist"):
        import pyarrow as pa

        return pa.chunked_array([grown], X.type) if hasattr(X, "chunks") else pa.array(grown, X.type)
    return type(X)(grown.tolist()) if isinstance(X, list | tuple) else grown


def _held(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return numbers rounded and clipped to a type of NumPy, pandas or polars: a cast alone would wrap them around."""
    dtype = getattr(dtype, "subtype", dtype)  # of pandas' sparse columns
    if not is_whole(dtype):
        return np.clip(values, -_LARGEST_HALF, _LARGEST_HALF) if dtype == np.float16 else values
    name = str(dtype).lower().split("[")[0].replace("128", "64")  # "UInt8", "uint8[pyarrow]"
    low, high = (0, 1) if name.startswith("bool") else (np.iinfo(name).min, np.iinfo(name).max)
    greatest = float(high) if float(high) <= high else np.nextafter(float(high), 0)  # 2**63 - 1 is not a float
    return np.clip(np.rint(values), low, greatest)


def _like(column: Any, values: NDArray[np.float64]) -> Any:
    """Return numbers as a column with the type and name of another one."""
    values = _held(values, column.dtype)
    if hasattr(column, "iloc"):
        import pandas as pd

        return pd.Series(values, name=column.name).astype(column.dtype)
    import polars as pl

    missing = column.null_count() > 0
    return pl.Series(column.name, values, nan_to_null=missing).cast(column.dtype)


def _joined(frame: Any, columns: list[Any]) -> Any:
    if hasattr(frame, "iloc"):
        import pandas as pd

        new = pd.concat(columns, axis=1, ignore_index=True)
        new.columns, new.attrs = frame.columns, frame.attrs  # which pandas keeps where they are the same
        return pd.concat([frame, new], ignore_index=True)
    import polars as pl

    return pl.concat([frame, pl.DataFrame(columns)])
