"""From labels as people write them to class codes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError, nearest

#: Spellings of "no label". "None" is not among them: it is a fair name for a class.
MISSING_LABELS = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null"})


def class_name(label: Any) -> str:
    """Return how a label is shown: whole floats lose their ``.0``, since they are integers that met a missing value."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)


def encode_labels(
    values: ArrayLike, known: NDArray[Any] | None = None, where: str = "labels"
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return class codes and the classes in code order.

    Parameters
    ----------
    values : (n,) strings, integers, booleans or floats; None, NaN, blanks and "NA" mean no label
    known : the classes in code order, where they are given (at evaluation, say); labels are matched by name, so that
        a CSV's ``"3"`` finds a Parquet's ``3``. By default all that occur, sorted
    where : names the labels in messages

    Returns
    -------
    (n,) int64 codes, -1 where a label is missing, and (n_classes,) labels in their own type

    Raises
    ------
    TailwiseError
        If the labels are not one row of names or numbers, all are missing, or one is not among the known classes.
    """
    array = _as_labels(values, where)
    missing = _missing(array)
    present = array[~missing]
    if present.size == 0:
        raise TailwiseError(f"{where}: all {array.size} labels are missing, so there is nothing to learn.")
    if array.dtype.kind == "f" and missing.any() and (present == np.trunc(present)).all():
        present = present.astype(np.int64)  # integers that only a missing value made floats
    classes, found = _unique(present)
    if known is not None:
        code_of = {class_name(label): code for code, label in enumerate(known)}
        strangers = [i for i, label in enumerate(classes) if class_name(label) not in code_of]
        if strangers:
            name = class_name(classes[strangers[0]])
            rows = int(np.isin(found, strangers).sum())
            others = f" (and {len(strangers) - 1} more)" if len(strangers) > 1 else ""
            raise TailwiseError(
                f"{where}: label {name!r}{others} in {rows} rows is not among the {len(known)} classes of the training "
                f"data.{nearest(name, code_of)} Correct it or leave those rows out."
            )
        found = np.array([code_of[class_name(label)] for label in classes], dtype=np.int64)[found]
        classes = known
    codes = np.full(array.size, -1, dtype=np.int64)
    codes[~missing] = found
    return codes, classes


def _as_labels(values: ArrayLike, where: str) -> NDArray[Any]:
    if hasattr(values, "detach"):  # torch
        values = values.detach().cpu()
    if hasattr(values, "to_numpy") and not hasattr(values, "to_frame"):  # a frame, whose single column is meant
        values = values.to_numpy()
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise TailwiseError(f"{where} must be one label per row; got an array of shape {array.shape}.")
    if array.dtype.kind not in "biufUTO":
        raise TailwiseError(f"{where} must be names or numbers; got {array.dtype}.")
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise TailwiseError(
            f"{where} hold infinity, which is not a class; the first is in row {np.isinf(array).argmax()}."
        )
    return array


def _missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype.kind in "biu":
        return np.zeros(array.size, dtype=bool)
    if array.dtype.kind == "f":
        return np.isnan(array)
    from pandas import isna

    return np.fromiter(
        (bool(isna(v)) or (isinstance(v, str) and v.strip().lower() in MISSING_LABELS) for v in array.tolist()),
        dtype=bool,
        count=array.size,
    )


def _unique(present: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted distinct labels, in the narrowest type that keeps them, and each label's place among them."""
    if present.dtype.kind != "O":
        classes, codes = np.unique(present, return_inverse=True)
        return classes, codes.astype(np.int64, copy=False)
    distinct = list(dict.fromkeys(present.tolist()))
    kinds = {type(value) for value in distinct}
    if len(kinds) > 1:  # 1, "1" and 1.0 in one column are one class, called by its name
        names = [class_name(value) for value in distinct]
        order = {name: code for code, name in enumerate(sorted(set(names)))}
        place = {(type(value), value): order[name] for value, name in zip(distinct, names, strict=True)}
        codes = np.fromiter((place[type(v), v] for v in present.tolist()), dtype=np.int64, count=present.size)
        return np.array(list(order)), codes
    distinct.sort()
    place_of = {value: code for code, value in enumerate(distinct)}
    codes = np.fromiter((place_of[v] for v in present.tolist()), dtype=np.int64, count=present.size)
    return np.array(distinct), codes
