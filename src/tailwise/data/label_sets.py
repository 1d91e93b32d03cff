"""From sets of labels as people write them to rows of an indicator, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise.data.labels import MISSING_LABELS, encode_labels
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class LabelSets:
    """Which labels each row has.

    Attributes
    ----------
    rows : (n, n_labels) int8: 1 where a row has the label, 0 where it has not; -1 all along where nobody knows
    labels : (n_labels,) the labels in code order: the columns' names or numbers, or the labels that occur, sorted
    form : how they came: ``"array"``, ``"sparse"``, ``"pandas"``, ``"polars"`` (indicators) or ``"sets"``
    """

    rows: NDArray[np.int8]
    labels: NDArray[Any]
    form: str


def as_form(rows: NDArray[Any], labels: NDArray[Any], form: str) -> Any:
    """Return (n, n_labels) rows as an indicator of a form that :class:`LabelSets` knows, or as lists of labels."""
    rows = rows.astype(np.int64)
    if form == "sparse":
        return sparse.csr_array(rows)
    if form == "pandas":
        import pandas as pd

        return pd.DataFrame(rows, columns=labels)
    if form == "polars":
        import polars as pl

        return pl.DataFrame(rows, schema=[str(label) for label in labels])
    return rows if form == "array" else [labels[np.flatnonzero(row)].tolist() for row in rows]


def sets_in(column: pl.Series, separator: str | None, where: str) -> pl.Series | None:
    """Return the lists of labels in a table's column, None if it holds one label a row.

    Parameters
    ----------
    column : of lists, or of text
    separator : what stands between the labels of a text; blanks around them go, and a text of nothing else is an empty
        set. A missing value, such as an empty cell or "NA", says that nobody knows the labels
    where : names the column in messages

    Raises
    ------
    TailwiseError
        If the separator is empty, or the column holds lists already.
    """
    import polars as pl

    if column.dtype.is_nested():
        if separator is not None:
            raise TailwiseError(
                f"{where} holds {str(column.dtype.base_type()).lower()}s, not texts: leave the separator out."
            )
        return column.arr.to_list() if column.dtype == pl.Array else column if column.dtype == pl.List else None
    if separator is None:
        return None
    if not separator:
        raise TailwiseError(f"the separator is empty: give what stands between the labels in {where}, such as '|'.")
    text = column.cast(pl.String).str.strip_chars()
    known = text.set(text.str.to_lowercase().is_in(MISSING_LABELS), None)
    parts = known.str.split(separator).list.eval(pl.element().str.strip_chars())
    return parts.list.eval(pl.element().filter(pl.element() != ""))


def encode_label_sets(Y: Any, known: Sequence[Any] | NDArray[Any] | None = None, where: str = "y") -> LabelSets:
    """Return which labels each row has.

    Parameters
    ----------
    Y : (n, n_labels) indicator of 0 and 1: an array, a sparse matrix, or a pandas or polars frame whose columns are
        named after the labels; or n sets, lists or tuples of labels, or a polars or pandas column of them. A set may
        be empty; None in its place says that nobody knows the labels
    known : the labels in code order, where they are given (at evaluation, say); a set's are matched as by
        :func:`encode_labels`
    where : names the labels in messages

    Raises
    ------
    TailwiseError
        If it is neither, an indicator holds something else than 0 and 1, or a label is not among the known ones.
    """
    if sparse.issparse(Y):
        return LabelSets(_indicator(Y.toarray(), where), np.arange(Y.shape[1]), "sparse")
    if hasattr(Y, "columns") and hasattr(Y, "to_numpy"):
        names = [str(name) if not isinstance(name, str | int) else name for name in Y.columns]
        form = "pandas" if hasattr(Y, "iloc") else "polars"
        return LabelSets(_indicator(Y.to_numpy(), where), np.array(names), form)
    if hasattr(Y, "detach"):
        Y = Y.detach().cpu().numpy()
    if hasattr(Y, "to_list"):  # a column
        Y = Y.to_list()
    if isinstance(Y, np.ndarray) and Y.ndim == 2:
        return LabelSets(_indicator(Y, where), np.arange(Y.shape[1]), "array")
    rows = [_as_set(row, number, where) for number, row in enumerate(Y)]
    if _is_table(rows):
        return LabelSets(_indicator(np.array(rows), where), np.arange(len(rows[0] or ())), "array")
    return LabelSets(*_of_sets(rows, known, where), "sets")


def _of_sets(
    sets: list[Any], known: Sequence[Any] | NDArray[Any] | None, where: str
) -> tuple[NDArray[np.int8], NDArray[Any]]:
    has = np.repeat(np.arange(len(sets)), [0 if row is None else len(row) for row in sets])
    flat = [label for row in sets if row is not None for label in row]
    if not flat and known is None:
        raise TailwiseError(f"{where}: no row has a label, so there is nothing to learn.")
    codes, labels = encode_labels(flat, None if known is None else np.asarray(known), where)
    rows = np.zeros((len(sets), len(labels)), np.int8)
    rows[has[codes >= 0], codes[codes >= 0]] = 1
    rows[[row is None for row in sets]] = -1
    return rows, labels


def _as_set(row: Any, number: int, where: str) -> Any:
    """Return a row's labels, None if they are unknown."""
    if row is None:
        return None
    if isinstance(row, str | bytes) or not isinstance(row, Iterable):
        raise TailwiseError(
            f"{where} must be an (n, n_labels) indicator or a set of labels a row; row {number} is {row!r}, not a set."
        )
    return row if isinstance(row, set | frozenset) else list(row)


def _is_table(rows: list[Any]) -> bool:
    """Say whether lists are an indicator, as scikit-learn takes it: all as long, and of zeros and ones only."""
    widths = {None if row is None or isinstance(row, set | frozenset) else len(row) for row in rows}
    if len(widths) != 1 or widths & {None, 0, 1}:
        return False
    return all(isinstance(bit, int | float | np.number | np.bool_) and bit in (0, 1) for row in rows for bit in row)


def _indicator(table: NDArray[Any], where: str) -> NDArray[np.int8]:
    try:
        numbers = table.astype(np.float64)
    except (TypeError, ValueError):
        raise TailwiseError(
            f"{where} must be an indicator of 0 and 1, but it has values that are no numbers."
        ) from None
    wrong = np.argwhere((numbers != 0) & (numbers != 1))
    if len(wrong):
        row, column = wrong[0]
        raise TailwiseError(
            f"{where} must be an indicator of 0 and 1, but row {row}, column {column} is {table[row, column]}."
        )
    return numbers.astype(np.int8)
