"""Convert sets of labels, in the forms that people write them, to rows of an indicator, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise.data.labels import MISSING_LABELS, NEVER_NAMES, class_name, encode_labels, known_codes
from tailwise.errors import TailwiseError
from tailwise.tensors import to_array, to_indicator

if TYPE_CHECKING:
    import polars as pl


#: The forms of labels: indicators, and sets or lists.
FORMS = ("array", "sparse", "pandas", "polars", "sets")


@dataclass(frozen=True, eq=False)
class LabelSets:
    """The labels of each row.

    Attributes
    ----------
    rows : (n, n_labels) int8: 1 if a row has the label, 0 if not; -1 in the whole row if its labels are unknown
    labels : (n_labels,) labels in code order: names or numbers of the columns, or the labels that occur, sorted
    form : form of the input: ``"array"``, ``"sparse"``, ``"pandas"``, ``"polars"`` (indicators) or ``"sets"``
    """

    rows: NDArray[np.int8]
    labels: NDArray[Any]
    form: str


def as_form(rows: NDArray[Any], labels: NDArray[Any], form: str) -> Any:
    """Return (n, n_labels) rows in one of the forms of :class:`LabelSets`; ``"sets"`` are lists of labels."""
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
    """Return the lists of labels in a column, or None if it holds one label per row.

    Parameters
    ----------
    column : column of lists or of text
    separator : text between the labels of a row. Blanks around labels are removed, and a text without labels is an
        empty set. A missing value, such as an empty cell or "NA", means that the labels are unknown
    where : name of the column, for messages

    Raises
    ------
    TailwiseError
        If the separator is empty, or is given for a column of lists.
    """
    import polars as pl

    if column.dtype.is_nested():
        if separator is not None:
            raise TailwiseError(
                f"{where} holds {str(column.dtype.base_type()).lower()}s, not texts: leave the separator out."
            )
        lists = column.arr.to_list() if column.dtype == pl.Array else column
        if lists.dtype != pl.List:
            return None
        return _trimmed(lists) if lists.dtype.inner == pl.String else lists  # type: ignore[attr-defined]
    if separator is None:
        return None
    if not separator:
        raise TailwiseError(f"the separator is empty: give the text between the labels in {where}, such as '|'.")
    text = column.cast(pl.String).str.strip_chars()
    known = text.set(text.str.to_lowercase().is_in(MISSING_LABELS), None)
    return _trimmed(known.str.split(separator))


def _trimmed(lists: pl.Series) -> pl.Series:
    """Return lists of labels without blanks around them, and without what is blank."""
    import polars as pl

    parts = lists.list.eval(pl.element().str.strip_chars())
    return parts.list.eval(pl.element().filter(pl.element() != ""))


def encode_label_sets(
    Y: Any, known: Sequence[Any] | NDArray[Any] | None = None, where: str = "y", form: str = "sets"
) -> LabelSets:
    """Encode sets of labels as an indicator.

    Parameters
    ----------
    Y : (n, n_labels) indicator of 0 and 1: an array, a sparse matrix, or a pandas or polars frame whose columns are
        named after the labels. Or n sets, lists or tuples of labels, or a polars, pandas or Arrow column of them; a set
        may be empty, and None means that the labels are unknown. In a set "NA" is a label
    known : labels in code order, if they are fixed (for evaluation, say); labels of sets are matched as by
        :func:`encode_labels`, and so are the columns of a frame
    where : name of the labels, for messages
    form : the form from which the known labels were encoded. Unless it was sets, lists of 0 and 1 are an indicator

    Raises
    ------
    TailwiseError
        If Y has neither form, an indicator has values other than 0 and 1, or a label is not among the known ones.

    Examples
    --------
    >>> found = encode_label_sets([["red", "sweet"], [], ["red"], None])
    >>> found.labels.tolist(), found.rows.tolist()
    (['red', 'sweet'], [[1, 1], [0, 0], [1, 0], [-1, -1]])
    >>> encode_label_sets([["sweet"]], known=found.labels).rows.tolist()
    [[0, 1]]
    """
    if type(Y).__module__.partition(".")[0] == "pyarrow":
        import polars as pl

        Y = pl.from_arrow(Y)
    if hasattr(Y, "collect"):  # a lazy frame
        Y = Y.collect()
    if sparse.issparse(Y):
        return LabelSets(_indicator(Y, where), np.arange(Y.shape[1]), "sparse")
    if hasattr(Y, "columns") and hasattr(Y, "to_numpy"):
        names = [str(name) if not isinstance(name, str | int) else name for name in Y.columns]
        for twice, times in Counter(map(str, names)).most_common(1):
            if times > 1:
                raise TailwiseError(f"{where} has {times} columns named {twice!r}; give each label its own name.")
        has, own = _indicator(Y.to_numpy(), where), "pandas" if hasattr(Y, "iloc") else "polars"
        if known is None or form in ("array", "sparse"):  # of which the columns have no names
            return LabelSets(has, np.array(names) if known is None else np.asarray(known), own)
        codes = known_codes(np.array(names, dtype=object), np.asarray(known), where)
        if lacking := set(range(len(known))).difference(codes):
            raise TailwiseError(f"{where} has no column {class_name(known[min(lacking)])!r}, which training had.")
        return LabelSets(has[:, np.argsort(codes)], np.asarray(known), own)
    Y = to_array(Y)
    is_column = hasattr(Y, "to_list")
    if is_column:
        Y = Y.to_list()
    if isinstance(Y, np.ndarray) and Y.ndim == 2:
        return LabelSets(_indicator(Y, where), np.arange(Y.shape[1]), "array")
    rows = [_as_set(row, number, where) for number, row in enumerate(Y)]
    if not is_column and (known is None or form != "sets") and _is_table(rows):
        return LabelSets(_indicator(np.array(rows), where), np.arange(len(rows[0] or ())), "array")
    return LabelSets(*_of_sets(rows, known, where), "sets")


def _of_sets(
    sets: list[Any], known: Sequence[Any] | NDArray[Any] | None, where: str
) -> tuple[NDArray[np.int8], NDArray[Any]]:
    has = np.repeat(np.arange(len(sets)), [0 if row is None else len(row) for row in sets])
    flat = [label for row in sets if row is not None for label in row]
    if not flat and known is None:
        raise TailwiseError(f"{where}: no row has a label, so there is nothing to learn.")
    codes, labels = encode_labels(flat, None if known is None else np.asarray(known), where, NEVER_NAMES)
    rows = np.zeros((len(sets), len(labels)), np.int8)
    rows[has[codes >= 0], codes[codes >= 0]] = 1
    rows[[row is None for row in sets]] = -1
    return rows, labels


def _as_set(row: Any, number: int, where: str) -> Any:
    """Return the labels of a row, or None if they are unknown."""
    if row is None or type(row).__name__ == "NAType" or (isinstance(row, float) and row != row):
        return None
    if isinstance(row, str | bytes) or not isinstance(row, Iterable):
        raise TailwiseError(
            f"{where} must be an (n, n_labels) indicator or a set of labels per row; row {number} is "
            f"{row.item() if isinstance(row, np.generic) else row!r}. For one label per row use TailClassifier."
        )
    return row if isinstance(row, set | frozenset) else list(row)


def _is_table(rows: list[Any]) -> bool:
    """Return whether lists form an indicator as scikit-learn accepts it: of equal length, with only zeros and ones."""
    widths = {None if row is None or isinstance(row, set | frozenset) else len(row) for row in rows}
    if len(widths) != 1 or widths & {None, 0, 1}:
        return False
    return all(isinstance(bit, int | float | np.number | np.bool_) and bit in (0, 1) for row in rows for bit in row)


def _indicator(table: Any, where: str) -> NDArray[np.int8]:
    return to_indicator(table, where).astype(np.int8).toarray()
