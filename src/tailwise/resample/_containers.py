"""Rows of any container that scikit-learn users pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import indexable
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from tailwise.errors import TailwiseError
from tailwise.tensors import to_array
from tailwise.wording import plural


def labelled(X: Any, y: ArrayLike) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[np.intp]]:
    """Return indexable rows, (n,) labels, the (n_classes,) sorted classes and (n,) class codes.

    Raises
    ------
    ValueError
        If there is no row, or not exactly one class label per row.
    """
    labels = column_or_1d(_known(y), warn=True)
    check_classification_targets(labels)
    X, labels = indexable(X, labels)
    if len(labels) == 0:
        raise TailwiseError("Found array with 0 sample(s): there is nothing to learn from.")
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError:
        kinds = " and ".join(sorted({type(label).__name__ for label in labels.tolist()}))
        raise TailwiseError(f"labels of one type can be told apart, but these are {kinds}: convert them.") from None
    return X, labels, classes, codes


def _known(y: Any) -> Any:
    """Return the labels, pandas' nullable integers as plain ones; raise TailwiseError if one is missing."""
    y = to_array(y)
    if hasattr(y, "isna"):  # pandas
        missing = np.asarray(y.isna())
    elif hasattr(y, "is_null"):  # polars or Arrow
        missing = np.asarray(y.is_null())
    else:
        labels = np.asarray(y)
        missing = labels != labels  # NaN
        if isinstance(y, np.ma.MaskedArray):
            missing |= np.ma.getmaskarray(y)
        if labels.dtype == object and labels.ndim:
            missing |= np.frompyfunc(lambda label: label is None, 1, 1)(labels).astype(bool)
    if missing.any():
        are = plural(int(missing.sum()), "label is", "labels are")
        raise TailwiseError(f"{are} missing, the first in row {int(missing.argmax())}: leave such rows out.")
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    nullable = hasattr(y, "isna") and hasattr(y, "dtype") and not isinstance(y.dtype, np.dtype)
    return y.to_numpy(dtype=f"{kind}8") if nullable and kind in tuple("iu") else y


def collected(X: Any) -> Any:
    """Return a lazy frame's rows, and anything else as it is; raise TailwiseError if values are masked."""
    if isinstance(X, np.ma.MaskedArray) and X.mask.any():
        raise TailwiseError("the table has masked values: mark them as missing, by X.astype(float).filled(np.nan).")
    return X.collect() if hasattr(X, "collect") else X


def take(X: Any, rows: NDArray[Any]) -> Any:
    """Return the given rows of an array, tensor, sparse matrix, list, frame, series or Arrow column, in its type."""
    if hasattr(X, "iloc"):
        return X.iloc[rows].reset_index(drop=True)
    if isinstance(X, list | tuple):
        return type(X)(X[row] for row in rows)
    return X.take(rows) if hasattr(X, "to_pylist") else X[rows]


def rows_by_class(codes: NDArray[np.intp], n_classes: int) -> list[NDArray[np.intp]]:
    """Return the rows of each class, in ascending order."""
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=n_classes))[:-1])
