"""Measure a table in a few streamed passes, in memory that does not grow with the table."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from unicodedata import category

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tailwise.data.columns import Reading, read_as
from tailwise.data.labels import MISSING_LABELS, any_of, class_name, encode_labels, is_fraction, label_key
from tailwise.data.paths import named
from tailwise.data.values import NO_VALUE
from tailwise.data.values import names as names_of
from tailwise.diagnose.leaks import LEAK, class_named, held_out_lambda, told_class, value_codes
from tailwise.diagnose.result import Column, Duplicates
from tailwise.errors import TailwiseError

#: Maximum number of distinct rows to compare; of more, a subset chosen by content.
_COMPARED = 1 << 20
#: Maximum number of values, over all columns, in the sample of rows. In tables with no more values than this, distinct
#: ones are counted, not estimated.
_CELLS = 20_000_000
#: Values count as all different from this share of distinct ones on, because their estimate may be 15 % off.
_NEARLY = 0.8
#: Minimum number of rows for concluding anything from values that never repeat.
_ENOUGH_TO_TELL = 20
#: How an identifier may be called, and the length of one in bytes.
_ID, _LONGEST_ID = r"(?i)(?:^|[^a-z])(id|uuid|guid|key|index|number|no|nr)$|[a-z]I[dD]$", 64
#: How seldom chance may make numbers larger in some classes than in others.
_CHANCE = 0.01
_SEED = 7
_ROW, _TIMES = "\0row", "\0times"  # names that no column has


@dataclass(frozen=True)
class Table:
    """A lazy table and the roles of its columns.

    Attributes
    ----------
    frame : the table
    target : column with the labels
    features : columns to compare for duplicates
    examined : those features to examine one by one
    never_ids : columns that are never identifiers, however distinct their values (texts, images)
    classes : what the classes are called, if the target column holds their codes
    sets : (n, n_labels) which labels each row has, if the target column has names of whole sets; -1 where unknown
    labels : what those labels are called
    """

    frame: pl.LazyFrame
    target: str
    features: tuple[str, ...]
    examined: tuple[str, ...]
    never_ids: Collection[str] = ()
    classes: NDArray[np.generic] | None = None
    sets: NDArray[np.int8] | None = None
    labels: tuple[str, ...] = ()

    @cached_property
    def schema(self) -> pl.Schema:
        """Types of the columns."""
        return self.frame.collect_schema()


def distinct_labels(table: Table) -> tuple[pl.Series, pl.Series]:
    """Return the distinct labels as they appear in the table, and the number of rows with each."""
    counted = _stream(table.frame.group_by(named(table.target)).agg(pl.len().alias(_TIMES)))
    return counted[table.target], counted[_TIMES]


def count_classes(table: Table, name: str) -> tuple[NDArray[np.generic], NDArray[np.int64], int]:
    """Return the classes in code order, their counts, and the number of rows without a label.

    Raises
    ------
    TailwiseError
        If there is no row, or no row has a label.
    """
    labels, rows = distinct_labels(table)
    if labels.is_empty():
        raise TailwiseError(f"{name} has columns but no rows.")
    if labels.is_null().all():
        raise TailwiseError(f"column {table.target!r}: all labels are missing, so there is nothing to learn.")
    classes = encode_labels(labels, None, f"column {table.target!r}")[1] if table.classes is None else table.classes
    codes = _codes(table, labels, classes)
    times = rows.to_numpy()
    counts = np.bincount(codes[codes >= 0], times[codes >= 0], minlength=len(classes)).astype(np.int64)
    return classes, counts, int(times[codes < 0].sum())


def _codes(table: Table, labels: pl.Series, classes: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the class code of each label, -1 where it is missing."""
    if table.classes is not None:
        return labels.fill_null(-1).to_numpy()
    return encode_labels(labels, classes, f"column {table.target!r}")[0]


def examine_columns(
    table: Table, n_rows: int, classes: NDArray[np.generic], sample: int
) -> tuple[tuple[Column, ...], int]:
    """Return the measures of each examined column, and the number of sampled rows."""
    if not table.examined:
        return (), 0
    names = list(table.examined)
    one_in = max(1, -(-n_rows // min(sample, _CELLS // len(names))))
    rows = table.frame.select(named([*names, table.target])).with_row_index(_ROW)
    if one_in > 1:
        rows = rows.filter(pl.col(_ROW).hash(_SEED) % one_in == 0)
    sampled = _stream(rows)
    written = [name for name in names if table.schema[name] == pl.String]
    readings = {name: read_as(sampled[name]) for name in written}
    readings = {name: Reading("text") if r.kind == "empty" else r for name, r in readings.items()}  # in the sample
    exact = n_rows * len(names) <= _CELLS
    there = [
        pl.when(_is_there(name, table.schema[name], readings.get(name))).then(named(name).hash(_SEED)).alias(name)
        for name in names
    ]
    if one_in == 1:
        hashed = sampled.select(there)  # column by column, as one query of thousands takes minutes
        counted = {values.name: (values.null_count(), values.n_unique()) for values in hashed}
    else:
        every, hashes = pl.all(), table.frame.select(there)
        distinct_values = every.n_unique() if exact else every.approx_n_unique()
        found = _stream(hashes.select(every.null_count().name.prefix("0 "), distinct_values.name.prefix("1 "))).row(0)
        counted = dict(zip(names, zip(found[: len(names)], found[len(names) :], strict=True), strict=True))
    labels = _codes(table, sampled[table.target], classes)
    known, called = labels >= 0, [class_name(label) for label in classes]
    codes = labels[known]
    if table.sets is None:
        members = csr_array((np.ones(len(codes)), (np.arange(len(codes)), codes)), shape=(len(codes), len(classes)))
        member_of = called
    else:
        members = csr_array(table.sets[sampled[_ROW].to_numpy()[known]] > 0, dtype=np.float64)
        member_of = list(table.labels)
    columns = []
    for name in names:
        values, (missing, different) = sampled[name], counted[name]
        values = values.set(~values.is_finite(), None) if values.dtype.is_float() else values
        parts = _parts(values, readings[name]) if name in readings else [values]
        distinct = min(different - (missing > 0), n_rows - missing)
        present = (names_of(values) if name in readings else values).drop_nulls()
        times = present.value_counts(name=_TIMES)[_TIMES].to_numpy()
        codings = [coding for part in parts for coding in value_codes(part.filter(known))]
        alone, by_name = held_out_lambda(codings, codes), None
        if name in written and alone is not None and alone < LEAK:
            by_name = held_out_lambda(value_codes(class_named(values, called).filter(known)), codes)
        names_class = by_name is not None and by_name >= LEAK
        code, clarity = told_class(codings, members) or (-1, 0.0)
        columns.append(
            Column(
                name=name,
                dtype=str(values.dtype),
                missing=missing,
                distinct=distinct,
                exact=exact,
                top_share=float(times.max() / len(values)) if times.size else 0.0,
                predicts=by_name if names_class else alone,
                names_class=names_class,
                tells=member_of[code] if clarity >= LEAK else None,
                identifier=len(names) > 1
                and name not in table.never_ids
                and _names_rows(values, readings.get(name), distinct, n_rows, labels),
            )
        )
    return tuple(columns), len(sampled)


def find_duplicates(table: Table, identifiers: Collection[str]) -> Duplicates | None:
    """Count rows that are equal in all features except identifiers.

    Rows are compared by a 64-bit hash. With more than about a million distinct rows, only rows whose hash is divisible
    by a number are kept. Such a sample keeps either all copies of a row or none, so its shares are those of the table.
    """
    compared = [name for name in table.features if name not in identifiers] or list(table.features)
    if not compared:
        return None
    content = pl.struct(_content(table, name).alias(name) for name in compared).hash(_SEED)
    label = pl.when(~_is_unlabelled(table)).then(named(table.target).hash(_SEED))
    hashed = table.frame.select(content.alias("content"), label.alias("label"))
    distinct = int(_stream(hashed.select(pl.col("content").approx_n_unique())).item())
    one_in = max(1, -(-distinct // _COMPARED))
    groups = (
        hashed.filter(pl.col("content") % one_in == 0)
        .group_by("content")
        .agg(pl.len(), pl.col("label").count(), (pl.col("label").min() != pl.col("label").max()).alias("conflict"))
    )
    rows, conflicting = _stream(
        groups.select((pl.col("len") - 1).sum(), pl.col("label").filter(pl.col("conflict")).sum())
    ).row(0)
    return Duplicates(int(rows) * one_in, int(conflicting) * one_in, one_in)


def similar_names(classes: NDArray[np.generic]) -> list[tuple[str, ...]]:
    """Return groups of class names that look alike.

    They differ only in case, blanks, invisible characters, Unicode form, or trailing or leading zeros of a number.
    """
    groups: dict[str, list[str]] = {}
    for label in classes:
        key = "".join(c for c in label_key(label).casefold() if not c.isspace() and category(c) != "Cf")
        key = key.rstrip("0") if is_fraction(key) else key.lstrip("0") or "0" if key.isdecimal() else key
        groups.setdefault(key, []).append(class_name(label))
    return [tuple(names) for names in groups.values() if len(names) > 1]


def _is_unlabelled(table: Table) -> pl.Expr:
    """Return which rows have no label, by the rules of :func:`encode_labels`."""
    label, dtype = named(table.target), table.schema[table.target]
    if dtype.is_float():
        return label.is_null() | label.is_nan()
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return label.is_null() | label.cast(pl.String).str.contains(any_of(MISSING_LABELS))
    return label.is_null()


def _is_there(name: str, dtype: pl.DataType, reading: Reading | None) -> pl.Expr:
    """Return in which rows training would find a value in a column."""
    value = named(name)
    if reading is None:
        return value.is_finite() if dtype.is_float() else value.is_not_null()
    if reading.kind not in ("number", "date"):
        return ~value.str.contains(NO_VALUE)

    def is_there(column: pl.Series) -> pl.Series:
        read = reading.read(column).is_not_null()
        return read | names_of(column).is_in(list(reading.strays)) if reading.mixed else read

    return value.map_batches(is_there, return_dtype=pl.Boolean, is_elementwise=True)


def _parts(column: pl.Series, reading: Reading) -> list[pl.Series]:
    """Split a column of strings as training does: its numbers or dates, and the words among them."""
    words = names_of(column)
    if not reading.strays:
        return [reading.read(column)]
    return [reading.read(column), words.set(~words.is_in(list(reading.strays)), None)]


def _content(table: Table, name: str) -> pl.Expr:
    """Return the content of a column to compare; for an image in the Hugging Face layout, its bytes or its path."""
    dtype = table.schema[name]
    if not isinstance(dtype, pl.Struct) or not {"bytes", "path"} <= {field.name for field in dtype.fields}:
        return named(name)
    field = named(name).struct.field
    return pl.coalesce(field("bytes").cast(pl.Binary), field("path").cast(pl.Binary))


def _names_rows(
    values: pl.Series, reading: Reading | None, distinct: int, n_rows: int, labels: NDArray[np.int64]
) -> bool:
    """Return whether a column looks like an identifier: whole numbers or words that never repeat.

    Unless the column is called one, numbers must follow each other, or be as large in every class (Kruskal and Wallis,
    JASA 1952), and words must be short and have digits: income, sequences and names are features.
    """
    if not (values.dtype.is_integer() or values.dtype == pl.String) or len(values) < _ENOUGH_TO_TELL:
        return False
    if values.null_count() or values.n_unique() < len(values) or distinct < _NEARLY * n_rows:
        return False
    from scipy.stats import kruskal

    called = re.search(_ID, values.name) is not None
    if reading is not None and reading.kind != "number":
        words = values.str.strip_chars()
        if reading.kind == "date" or words.str.contains(r"\s").any():
            return False
        numbered = words.str.contains(r"^[!-~]*\d[!-~]*$") & (words.str.len_bytes() <= _LONGEST_ID)
        return called or bool(numbered.mean() >= _NEARLY)  # type: ignore[operator]
    if reading is not None and not values.str.contains(r"^\d{1,20}$").all():
        return False
    numbers = values.cast(pl.Float64, strict=False).to_numpy()
    if called or np.ptp(numbers) < 2 * n_rows:
        return True
    classes = [numbers[labels == code] for code in np.unique(labels[labels >= 0])]
    return len(classes) < 2 or float(kruskal(*classes).pvalue) > _CHANCE


def _stream(query: pl.LazyFrame) -> pl.DataFrame:
    return query.collect(engine="streaming")
