"""CSV and TSV files: their separator, header, and column types that hold for every row."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import IO, TYPE_CHECKING, Any

from tailwise.data.paths import bare, named
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl

#: Spellings of "missing" in CSV files. "None" and "-" are not among them, because they may be categories.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "Null", "null", r"\N", "#NULL!")

_TRUE = ("true", "True", "TRUE")

#: How other files begin.
_MAGIC = {b"PAR1": "Parquet", b"ARROW1": "Arrow", b"PK\x03\x04": "an archive, such as Excel's"}

#: A number with a superfluous zero, which makes it a code, such as a postcode.
_PADDED = r"^0[^.]"
#: A whole number with more digits than a float, of which some would be lost.
_ENDLESS = r"^[^.]{18}[^.]*$"

_ROW = "\0row"
_JUDGED = 20  # rows by which the separator is found
_START = 1 << 16  # characters at the start of a CSV, which with the rest of their line hold its header


def scan_csv(path: Path, as_text: Collection[str], strings: Collection[str] = ()) -> pl.LazyFrame:
    """Scan a CSV with column types that hold for every row, found in one streamed pass.

    The words in :data:`MISSING` become null. Columns in ``as_text`` are kept exactly as written, and only empty cells
    are null there. Columns in ``strings`` stay strings even if they look like numbers. Column names lose surrounding
    blanks. Blank lines are no rows, except between the rows of a single column, where they are missing values; empty
    rows at the end are dropped. Polars' own type inference would load the whole file, or fail later if it used only the
    first rows.
    """
    found = path.stat()
    return _scan(path, frozenset(as_text), frozenset(strings), found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)  # as a command scans its file several times
def _scan(path: Path, as_text: Collection[str], strings: Collection[str], changed: int, size: int) -> pl.LazyFrame:
    """Return the same for a file that was last changed at that time, and has that size."""
    import polars as pl

    separator, header, lines = csv_header(path)
    text = pl.scan_csv(path, separator=separator, skip_rows=lines, infer_schema=False, glob=False)
    raw = text.collect_schema().names()  # as they are written: a quote in a name is doubled
    text = text.rename(dict(zip(raw, header, strict=False)))  # as many as header has, unless a quote is not closed
    free = [name for name in header if name not in as_text]
    present = [pl.when(~named(free).is_in(MISSING)).then(named(free))] if free else []
    filled = pl.any_horizontal(named(header).is_not_null())
    row = pl.when(filled).then(pl.col(_ROW))
    measures = [pl.col(_ROW).max().alias("last"), pl.col(_ROW).count().alias("filled"), pl.len().alias("rows")]
    typed, numbers = [name for name in free if name not in strings], (pl.Int64, pl.UInt64, pl.Float64)
    if typed:
        value = named(typed)
        checks = {  # few expressions, as each costs time in a table of many thousand columns
            "there": value.count(),
            **{str(dtype): value.cast(dtype, strict=False).count() for dtype in numbers},
            "bool": value.is_in([*_TRUE, "false", "False", "FALSE"]).all(),
            "padded": value.str.contains(_PADDED).any(),
            "endless": value.str.contains(_ENDLESS).any(),
        }
        measures += [check.name.suffix(f"/{what}") for what, check in checks.items()]
    numbered = text.with_row_index(_ROW).with_columns(row, *present)
    found = numbered.select(measures).collect(engine="streaming").row(0, named=True)

    def type_of(name: str) -> Any:
        there, is_bool, padded, endless = (found[f"{name}/{what}"] for what in ("there", "bool", "padded", "endless"))
        fitting = [dtype for dtype in numbers if found[f"{name}/{dtype}"] == there and not padded]
        if there and fitting and not (endless and fitting[0] == pl.Float64):
            return fitting[0]
        return pl.Boolean if there and is_bool else pl.String

    types = {name: type_of(name) for name in typed}
    values = [named(name).is_in(_TRUE) if t == pl.Boolean else named(name).cast(t) for name, t in types.items()]
    rows = 0 if found["last"] is None else found["last"] + 1
    table = text if rows == found["rows"] else text.head(rows)
    if rows > found["filled"] and len(header) > 1:
        is_blank = pl.col(_ROW).is_in(_blank_rows(path))
        table = table.with_row_index(_ROW).filter(filled | ~is_blank).drop(_ROW)
    return table.with_columns(present).with_columns(values)


def csv_header(path: Path) -> tuple[str, list[str], int]:
    """Return the separator of a CSV file, its column names, and the number of lines before them.

    There may be one such line, ``sep=;``, with which Excel declares the separator.

    Raises
    ------
    TailwiseError
        If a name occurs twice, the first line is one endless cell, or the file is blank or not text.
    """
    try:
        with open_text(path) as file:
            start = file.read(_START) + file.readline()
    except UnicodeDecodeError:
        _check_kind(path)
        raise TailwiseError(wrong_bytes(path) or f"{path} is not UTF-8 text.") from None
    if not start.strip():
        raise TailwiseError(f"{path} is empty: it has no header and no rows.")
    if "\0" in start:
        _check_kind(path)
        if (wide := _utf16(path)) is not None:
            raise TailwiseError(wide)
        line, clean = start.count("\n", 0, start.index("\0")) + 1, path.with_name(f"clean-{path.name}")
        raise TailwiseError(
            f"{path} is not a text file, whatever its name says: line {line} has a zero byte. If only that is wrong, "
            f"take it out with: tr -d '\\0' < {quote(str(path))} > {quote(str(clean))}"
        )
    start = start.lstrip("\r\n")  # as polars does
    if "\r" in start and "\n" not in start:
        raise TailwiseError(f"{path} ends its lines in the old Mac way (CR only): convert it with tr '\\r' '\\n'.")
    declared = re.match(r"sep=(.)\r?\n(?=.)", start, re.IGNORECASE)
    tabs = path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
    marks, start = (declared[1], start[declared.end() :]) if declared else (",;\t|", start)
    readings = {}
    for mark in marks:
        with suppress(csv.Error):  # a cell is too long
            readings[mark] = next(csv.reader(io.StringIO(start, newline=""), delimiter=mark))
    if not readings:
        raise TailwiseError(f"{path} has no header: its first line is not divided by commas, semicolons, tabs or |.")
    in_names = re.search(r", ", start.partition("\n")[0]) is not None  # as in "price, EUR"

    def likely(mark: str) -> tuple[bool, float, bool, int, bool]:
        fields = len(readings[mark])
        agreeing = _agreeing(start, mark, fields)
        return tabs and mark == "\t" and agreeing > 0, agreeing, in_names and mark != ",", fields, mark == ","

    separator = max(readings, key=likely)
    return separator, bare(readings[separator], str(path)), int(declared is not None)


def _agreeing(start: str, mark: str, fields: int) -> float:
    """Return the share of the first rows that a mark divides into as many fields as the header, if that is several."""
    rows: list[int] = []
    if fields > 1:
        with suppress(csv.Error):
            for row in islice(csv.reader(io.StringIO(start, newline=""), delimiter=mark), 1, _JUDGED + 1):
                rows.append(len(row))
    return sum(n == fields for n in rows) / max(len(rows), 1) if fields > 1 else -1.0


def _blank_rows(path: Path) -> list[int]:
    """Return the numbers, from 0, of the rows of a CSV file that are blank lines. Reads the whole file."""
    separator, _, lines = csv_header(path)
    with open_text(path) as file, suppress(csv.Error):
        records = csv.reader(file, delimiter=separator)
        for _ in islice(filter(None, records), lines + 1):
            pass
        return [row for row, record in enumerate(records) if not record]
    return []


def short_records(path: Path) -> str | None:
    """Return a sentence on rows of a CSV file with fewer fields than the header; None if there are none.

    Readers fill them at the end, so that a field that lacks in the middle moves the others. Reads the whole file.
    """
    separator, header, lines = csv_header(path)
    short, first = 0, 0
    with open_text(path) as file, suppress(csv.Error):
        records = csv.reader(file, delimiter=separator)
        filled = (record for record in records if record)
        for record in islice(filled, lines + 1, None):
            if len(record) < len(header):
                short, first = short + 1, first or records.line_num
    if not short:
        return None
    they = "1 row has" if short == 1 else f"{short:,} rows have"
    where = f"in line {first}" if short == 1 else f"first in line {first}"
    return (
        f"{they} fewer fields than the header, {where}: what lacks is taken as missing at the end of the row, and what "
        "follows a gap is in the wrong column."
    )


def _check_kind(path: Path) -> None:
    """Raise TailwiseError if a file that is no text begins as those of another kind."""
    with open_bytes(path) as file:
        first = file.read(8)
    if (what := next((name for magic, name in _MAGIC.items() if first.startswith(magic)), None)) is not None:
        raise TailwiseError(f"{path} is not text but {what}: give it the ending it should have, or export it as CSV.")


def open_text(path: Path) -> IO[str]:
    """Open a UTF-8 file without its byte order mark, decompressing gzip."""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", newline="")


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressing gzip."""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rb")


def _utf16(path: Path) -> str | None:
    """Return a sentence on a file in UTF-16; None if it is not."""
    with open_bytes(path) as file:
        begin = file.read(1000)
    zeros = [begin[half::2].count(0) / max(len(begin) // 2, 1) for half in (0, 1)]
    name = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}.get(begin[:2])
    if name is None and max(zeros) > 0.5 > 0.2 > min(zeros):
        name = "UTF-16BE" if zeros[0] > zeros[1] else "UTF-16LE"
    return name and f"{path} is {name}, not UTF-8: save it as UTF-8 (iconv -f {name} -t UTF-8)."


def wrong_bytes(path: Path, *, in_place: bool = False) -> str | None:
    """Return a sentence on where a file is not UTF-8 and what it probably is; None if it is UTF-8.

    The command in it, which converts the file, leaves it as it is or, with ``in_place``, replaces it.
    """
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with open_bytes(path) as file:
        while block := file.read(1 << 20):
            waiting, last = decoder.getstate()[0], not file.peek(1)  # type: ignore[attr-defined]
            try:
                decoder.decode(block, final=last)
            except UnicodeDecodeError as error:
                if (wide := _utf16(path)) is not None:
                    return wide
                line += (waiting + block).count(b"\n", 0, error.start)
                byte, old = (waiting + block)[error.start], quote(str(path))
                new = quote(f"{path}.utf8" if in_place else str(path.with_name(f"utf8-{path.name}")))
                return (
                    f"{path} is not UTF-8: byte 0x{byte:02x} in line {line}. If it is from Windows, convert it with: "
                    f"iconv -f CP1252 -t UTF-8 {old} > {new}{f' && mv {new} {old}' if in_place else ''}"
                )
            line += block.count(b"\n")
    return None
