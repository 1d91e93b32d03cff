"""Tables on disk: read lazily or streamed in batches, with one-line errors that say where in the file."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailwise.data.broken import reading
from tailwise.data.folders import parquet_files
from tailwise.data.labels import MISSING_LABELS
from tailwise.data.paths import bare, existing, named, require_columns, table_format
from tailwise.data.separated import csv_header, open_bytes, scan_csv
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl


_PANDAS_INDEX = r"^__index_level_\d+__$"
_ARROW_FILE = b"ARROW1"  # how a file begins, unlike a stream
_FEWEST = 20  # rows in a batch, unless the table has fewer, or fewer are asked for


def scan(path: str | Path, *, as_text: Collection[str] = (), strings: Collection[str] = ()) -> pl.LazyFrame:
    """Return a table on disk as a lazy polars frame.

    Rows are read later, but CSV and JSON lines files are read once to find the types of their columns.

    Column names lose surrounding blanks, whatever the format. A pandas index without a name, which Parquet and Arrow
    files keep as a column, is left out, as when pandas reads them.

    Parameters
    ----------
    path : CSV or TSV (the separator is detected; ``.gz`` is supported), JSON lines, Parquet, Arrow or Feather file, or
        a folder of Parquet files, those in its sub-folders included
    as_text : columns of a CSV to read as strings exactly as written (so that the label ``007`` or the id ``NA`` is
        preserved)
    strings : columns of a CSV to read as strings even if they look like numbers; spellings of "missing" become null

    Raises
    ------
    TailwiseError
        If the file does not exist, is empty, truncated, not UTF-8 or not of a known format, or if two columns have the
        same name. Problems that only occur when rows are read raise the same error inside :func:`reading`.
    """
    import polars as pl
    import polars.selectors as cs

    path = existing(path)
    form = table_format(path)
    if form is None:
        raise TailwiseError(
            f"{path} is not a table that can be read: use CSV, TSV, JSON lines (.jsonl), Parquet or Arrow files."
        )
    if path.is_file() and path.stat().st_size == 0:
        raise TailwiseError(f"{path} is empty (0 bytes).")
    with reading(path):
        if form == "parquet":
            files = parquet_files(path) if path.is_dir() else [path]
            frame = _with_class_names(pl.scan_parquet(files, glob=False), files[0])
        elif form == "arrow":
            with path.open("rb") as file:
                begin = file.read(len(_ARROW_FILE))
            frame = pl.scan_ipc(path, glob=False) if begin == _ARROW_FILE else pl.read_ipc_stream(path).lazy()
        elif form == "json lines":
            with open_bytes(path) as file:
                marked = file.read(len(BOM_UTF8)) == BOM_UTF8  # which polars takes for a part of the first line
                given = file.read() if marked else escape(str(path))  # scan_ndjson alone has no glob=False
            frame = pl.scan_ndjson(given, infer_schema_length=None)
        else:
            frame = scan_csv(path, as_text, strings)
        frame = frame.drop(cs.matches(_PANDAS_INDEX))
        names = frame.collect_schema().names()
    if not names:
        raise TailwiseError(f"{path} has no columns.")
    return frame.rename(dict(zip(names, bare(names, str(path)), strict=True)))


def _with_class_names(frame: pl.LazyFrame, file: Path) -> pl.LazyFrame:
    """Return a Parquet table with the names of classes, which Hugging Face's data sets keep beside their codes."""
    import polars as pl
    from pyarrow import ArrowException, parquet

    schema = frame.collect_schema()
    try:
        kept = (parquet.read_schema(file).metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(kept)["info"]["features"].items()
    except (ArrowException, AttributeError, KeyError, TypeError, ValueError):  # Arrow lacks a type that polars has
        return frame
    spelt: list[pl.Expr] = []
    for column, feature in features:
        dtype: Any = schema.get(column)
        is_list = isinstance(dtype, pl.List) and isinstance(feature, dict)  # of the labels of each row
        codes: pl.Expr = pl.element() if is_list else named(column)
        names = _class_names(feature.get("feature") if is_list else feature)
        if names and dtype is not None and (dtype.inner if is_list else dtype).is_integer():
            value = codes.replace_strict(list(range(len(names))), names, default=None, return_dtype=pl.Enum(names))
            spelt.append(named(column).list.eval(value) if is_list else value)
    return frame.with_columns(spelt)


def _class_names(feature: Any) -> list[str]:
    """Return the names in what Hugging Face's data sets keep about class codes; none if it is something else."""
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    spelt = list(map(str, names)) if isinstance(names, list) else []
    return spelt if len(set(spelt)) == len(spelt) else []


def missing_words(path: Path, column: str) -> str:
    """Name, in brackets, the words such as "NA" in a column that count as no label; "" if there are none."""
    import polars as pl

    frame = scan(path, as_text=csv_header(path)[1] if table_format(path) == "csv" else ())
    name = named(column).cast(pl.String).str.strip_chars()
    is_missing = name.str.to_lowercase().is_in(MISSING_LABELS - {""})
    words = sorted(frame.select(name.filter(is_missing).unique()).collect(engine="streaming")[column])
    if not words:
        return ""
    return f" ({' and '.join(map(repr, words))} count{'s' * (len(words) == 1)} as none)"


def batches(
    path: str | Path,
    rows: int = 65536,
    *,
    columns: Collection[str] | None = None,
    as_text: Collection[str] = (),
    strings: Collection[str] = (),
) -> Iterator[pl.DataFrame]:
    """Stream a table in order, in batches, in memory that does not grow with the file.

    Parameters
    ----------
    path, as_text, strings : as for :func:`scan`
    rows : number of rows per batch; the last batch may have fewer, and up to 19 more rather than leave them alone,
        since a column is judged by more than that
    columns : columns to read; all by default

    Raises
    ------
    TailwiseError
        As for :func:`scan`; if a file is damaged halfway, when that part is reached.
    """
    import polars as pl

    frame = scan(path, as_text=as_text, strings=strings)
    if columns is not None:
        require_columns(frame.collect_schema().names(), columns, str(path))
        frame = frame.select(named(columns))
    waiting: pl.DataFrame | None = None
    with reading(Path(path)):
        for batch in frame.collect_batches(chunk_size=rows, maintain_order=True, lazy=True):
            if waiting is not None and batch.height >= min(_FEWEST, rows):
                yield waiting
                waiting = batch
            else:
                waiting = batch if waiting is None else pl.concat([waiting, batch])
        if waiting is not None:
            yield waiting
