"""Diagnose a file, a frame or a data set."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tailwise.data import Dataset, load
from tailwise.data.broken import reading
from tailwise.data.dataset import Kind
from tailwise.data.frames import image_column, require_text, texts, to_frame
from tailwise.data.label_sets import encode_label_sets, sets_in
from tailwise.data.labels import class_name, padding, trimmed
from tailwise.data.paths import (
    existing,
    is_class_folder,
    listed,
    named,
    named_columns,
    require_columns,
    table_format,
)
from tailwise.data.separated import short_records
from tailwise.data.tables import missing_words, scan
from tailwise.diagnose.findings import find
from tailwise.diagnose.overlap import contents
from tailwise.diagnose.result import Diagnosis
from tailwise.diagnose.table import (
    Table,
    count_classes,
    distinct_labels,
    examine_columns,
    find_duplicates,
    similar_names,
)
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import pandas as pd

_LABEL = "\0label"
_FIRST = 100  # rows in which images are looked for


def diagnose(
    data: str | Path | Dataset | pl.DataFrame | pl.LazyFrame | pd.DataFrame,
    target: str | None = None,
    *,
    separator: str | None = None,
    text: str | None = None,
    image: str | None = None,
    id: str | None = None,
    sample: int = 100_000,
) -> Diagnosis:
    """Report the imbalance of a data set and problems with its labels, rows and columns.

    Tables on disk are streamed, unless rows have sets of labels. Class counts, missing values and the number of rows
    are exact. More expensive checks (leaks, nearly constant columns, and duplicates among more than a million distinct
    rows) use a sample, and the result says so.

    Parameters
    ----------
    data : a table (CSV, TSV, JSON lines, Parquet, Arrow), a folder with one sub-folder of images or texts per class, a
        polars or pandas frame, or a data set from :func:`tailwise.data.load`
    target : column with the labels, or with lists of labels; not for class folders and data sets
    separator : separator between the labels of a set in the target column, as for :func:`tailwise.data.load`
    text, image, id : column with texts, with images, or with identifiers of the rows, if there is one
    sample : maximum number of rows for the sampled checks

    Returns
    -------
    The measures, and findings in sentences, most severe first

    Raises
    ------
    TailwiseError
        If the data cannot be read, a column does not exist, or no row has a label.

    Examples
    --------
    >>> import polars as pl
    >>> weights = [0.1 * (37 * row % 100) for row in range(100)]
    >>> frame = pl.DataFrame({"weight": weights, "shelf": [1, 2] * 50, "kind": ["apple", "cherry"] * 50})
    >>> worst = diagnose(frame, target="kind").findings[0]
    >>> worst.severity, worst.sentence.partition(":")[0]
    ('problem', "Column 'shelf' alone predicts 100 % of what can be predicted of held-out labels")
    """
    if sample < 1:
        raise TailwiseError(f"sample must be at least 1 row; got {sample}.")
    if isinstance(data, str | Path) and is_class_folder(existing(data)):
        data = load(data)
    if isinstance(data, str | Path):
        path = existing(data)
        with reading(path):
            frame = scan(path, as_text=() if target is None else (target,))
            if separator is not None or isinstance(frame.collect_schema().get(target or ""), pl.List | pl.Array):
                sets = load(data, target, separator=separator, text=text, image=image, id=id)
                return _of_dataset(sets, sample, None if separator is None else (path, target or ""))
            if text is None and image is None:
                others = [name for name in frame.collect_schema().names() if name not in (target, id)]
                image = image_column(frame.select(named(others)).head(_FIRST).collect(), path)
            kind: Kind = "table" if text is None and image is None else "text" if image is None else "image"
            return _diagnose(
                _columns(frame, target, text, image, id, str(path)), path.name, kind, sample, (path, target or "")
            )
    if isinstance(data, Dataset):
        if (target, separator, text, image, id) != (None,) * 5:
            raise TailwiseError(
                "a data set knows its labels and columns: give no target, separator, text, image or id."
            )
        return _of_dataset(data, sample)
    frame = data if isinstance(data, pl.LazyFrame) else to_frame(data).lazy()
    table = _columns(frame, target, text, image, id, "the frame")
    if separator is not None or isinstance(frame.collect_schema()[table.target], pl.List | pl.Array):
        return _of_dataset(_with_sets(table, separator, text), sample)
    return _diagnose(table, "frame", "table", sample)


def _of_dataset(data: Dataset, sample: int, file: tuple[Path, str] | None = None) -> Diagnosis:
    labels = data if data.has_sets else None
    return _diagnose(_dataset(data), data.name, data.kind, sample, file, labels)


def _diagnose(
    table: Table,
    name: str,
    kind: str,
    sample: int,
    file: tuple[Path, str] | None = None,
    labels: Dataset | None = None,
) -> Diagnosis:
    """Examine a table; ``file`` is where it is from, if it is from one, and the column of its labels there.

    Sets of labels are in ``labels``, and the target column then has a name for each whole set.
    """
    categories = [n for n in table.features if table.schema[n].base_type() in (pl.Categorical, pl.Enum)]
    untyped = [n for n, dtype in table.schema.items() if dtype == pl.Null]  # as they have no values
    if texts := [*untyped, *categories]:
        table = replace(table, frame=table.frame.with_columns(named(texts).cast(pl.String)))
    table = _decoded(table) if kind == "table" else table
    padded = None
    if file is not None and labels is None:
        table, padded = _trimmed(table)
    classes, counts, n_unlabelled = count_classes(table, name)
    n_rows = int(counts.sum()) + n_unlabelled
    columns, sampled = examine_columns(table, n_rows, classes, sample)
    identifiers = {column.name for column in columns if column.identifier}
    diagnosis = Diagnosis(
        name=name,
        kind=kind,
        n_rows=n_rows,
        n_unlabelled=n_unlabelled,
        classes=tuple(class_name(label) for label in classes),
        class_counts=counts,
        duplicates=find_duplicates(table, identifiers),
        columns=columns,
        sampled=sampled,
    )
    if labels is not None and labels.labels is not None:
        sizes = np.bincount((labels.labels[labels.is_labelled] > 0).sum(axis=1)).astype(np.int64)
        classes = labels.class_labels
        diagnosis = replace(diagnosis, classes=labels.classes, class_counts=labels.class_counts, set_sizes=sizes)
    words = missing_words(*file) if file is not None and n_unlabelled else ""
    examined = {*table.examined, *table.never_ids}
    nested = [name for name in table.features if name not in examined] if kind == "table" else []
    short = None
    if file is not None and table_format(file[0]) == "csv":
        last = named(table.frame.collect_schema().names()[-1])
        if labels is not None or table.frame.select(last.has_nulls()).collect(engine="streaming").item():
            short = short_records(file[0])
    findings = find(diagnosis, similar_names(classes), padded, words, nested, short)
    return replace(diagnosis, findings=findings)


def _decoded(table: Table) -> Table:
    """Return a table whose columns of UTF-8 bytes are strings, as training reads them."""
    unseen = (name for name in table.features if name not in {*table.examined, *table.never_ids})
    texts = [name for name in unseen if table.schema[name] == pl.Binary and _is_utf8(table.frame, name)]
    if not texts:
        return table
    examined = tuple(name for name in table.features if name in {*table.examined, *texts})
    return replace(table, frame=table.frame.with_columns(named(texts).cast(pl.String)), examined=examined)


def _is_utf8(frame: pl.LazyFrame, name: str) -> bool:
    try:
        frame.select(named(name).cast(pl.String).max()).collect(engine="streaming")
    except pl.exceptions.ComputeError:
        return False
    return True


def _trimmed(table: Table) -> tuple[Table, str | None]:
    """Return a table on disk with its labels as :func:`trimmed` reads them, and a sentence on blanks around them."""
    labels, times = distinct_labels(table)
    read = trimmed(labels)
    if read is labels:
        return table, None
    expression = named(table.target).cast(pl.String).str.strip_chars().cast(read.dtype, strict=False)
    return replace(table, frame=table.frame.with_columns(expression)), padding(labels, times)


def _columns(
    frame: pl.LazyFrame, target: str | None, text: str | None, image: str | None, id: str | None, where: str
) -> Table:
    schema = frame.collect_schema()
    if target is None:
        raise TailwiseError(f"{where}: name the label column with --target (in Python target=).{listed(schema)}")
    require_columns(schema.names(), named_columns(target, text, image, id), where)
    require_text(schema, text)
    content = tuple(name for name in (text, image) if name is not None)  # which is then all that is learned from
    features = content or tuple(name for name in schema if name not in (target, id))
    examined = tuple(name for name in features if _is_scalar(schema[name]))
    return Table(frame, target, features, examined, content)


def _is_scalar(dtype: pl.DataType) -> bool:
    return not (dtype.is_nested() or dtype in (pl.Binary, pl.Object))


def _with_sets(table: Table, separator: str | None, text: str | None) -> Dataset:
    """Return a frame with sets of labels as a data set."""
    frame, where = table.frame.collect(), f"column {table.target!r}"
    sets = encode_label_sets(sets_in(frame[table.target], separator, where), where=where)
    inputs: Any = frame.select(named(table.features)) if text is None else texts(frame[text])
    kind: Kind = "table" if text is None else "text"
    return Dataset(kind, inputs, sets.rows, sets.labels, np.arange(frame.height), "frame")


def _dataset(data: Dataset) -> Table:
    if data.labels is None:
        raise TailwiseError(f"{data.name} has no labels to diagnose: name the label column.")
    names = np.asarray(data.classes, dtype=object)
    if data.has_sets:
        labels = pl.Series(_LABEL, [_whole(names, row) for row in data.labels], dtype=pl.String)
    else:
        labels = pl.Series(_LABEL, data.labels).replace(-1, None)
    if data.kind == "table":
        frame = data.inputs
    elif data.kind == "text":
        frame = pl.DataFrame({"text": pl.Series(data.inputs.tolist(), dtype=pl.String)})
    elif data.kind == "array" and isinstance(data.inputs, np.ndarray):
        frame = pl.DataFrame({f"feature {i}": data.inputs[:, i] for i in range(data.inputs.shape[1])})
    else:
        digests = [blake2b(row, digest_size=16).digest() for row in contents(data.inputs)]
        frame = pl.DataFrame({"content": pl.Series(digests, dtype=pl.Binary)})
    features = tuple(frame.columns)
    examined = tuple(name for name, dtype in frame.schema.items() if _is_scalar(dtype) and data.kind != "text")
    table = frame.with_columns(labels).lazy()
    never_ids = ("text",) if data.kind == "text" else ()
    whole = {"sets": data.labels, "labels": data.classes} if data.has_sets else {"classes": names}
    return Table(table, _LABEL, features, examined, never_ids, **whole)


def _whole(names: Any, row: Any) -> str | None:
    """Return a name for a set of labels, or None if it is unknown."""
    return None if (row < 0).any() else "{" + "\0".join(names[row > 0]) + "}"  # no name holds it
