"""Tables on disk: read lazily, streamed in batches, and errors in one line that say where in the file."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tailwise.errors import TailwiseError, nearest

if TYPE_CHECKING:
    import polars as pl

#: Spellings of "missing" in CSV files. "None" and "-" are not among them: they are fair names for a category.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "Null", "null")

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}


def scan(path: str | Path, *, as_text: Collection[str] = ()) -> pl.LazyFrame:
    """Return a table on disk as a lazy polars frame; nothing but its schema is read yet.

    Parameters
    ----------
    path : CSV, TSV (the separator is found out; ``.gz`` is fine), JSON lines, Parquet, Arrow or Feather file, or a
        folder of Parquet files
    as_text : columns of a CSV to read as strings, whatever they look like (so that the label ``007`` stays that)

    Raises
    ------
    TailwiseError
        If there is no such file, it is empty, not of a known format, cut short, not UTF-8, or has two columns of one
        name. What only shows when rows are read is told in the same way inside :func:`reading`.
    """
    import polars as pl

    path = existing(path)
    form = table_format(path)
    if form is None:
        raise TailwiseError(
            f"{path} is not a table that can be read: use CSV, TSV, JSON lines (.jsonl), Parquet or Arrow files."
        )
    source = path / "*.parquet" if path.is_dir() else path
    if path.is_file() and path.stat().st_size == 0:
        raise TailwiseError(f"{path} is empty (0 bytes).")
    with reading(path):
        if form == "parquet":
            frame = pl.scan_parquet(source)
        elif form == "arrow":
            frame = pl.scan_ipc(source)
        elif form == "json lines":
            frame = pl.scan_ndjson(source, infer_schema_length=None)
        else:
            frame = _scan_csv(path, as_text)
        if not frame.collect_schema().len():
            raise TailwiseError(f"{path} has no columns.")
    return frame


def batches(path: str | Path, rows: int = 65536, *, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
    """Stream a table in order, ``rows`` rows at a time, in memory that does not grow with the file.

    Parameters
    ----------
    path : as for :func:`scan`
    rows : rows of a batch; the last one is shorter
    columns : read these only; all by default

    Raises
    ------
    TailwiseError
        As :func:`scan`; a file that turns out broken halfway raises when that part is reached.
    """
    frame = scan(path)
    if columns is not None:
        require_columns(frame.collect_schema().names(), columns, str(path))
        frame = frame.select(list(columns))
    with reading(Path(path)):
        yield from frame.collect_batches(chunk_size=rows, maintain_order=True, lazy=True)


def _scan_csv(path: Path, as_text: Collection[str]) -> pl.LazyFrame:
    """Scan a CSV with types that hold for its every row, found in one streamed pass.

    Polars' own inference over all rows would load the whole file, and over the first rows it fails at a later one.
    """
    import polars as pl

    separator, names = csv_header(path)
    options: dict[str, Any] = {"separator": separator, "null_values": list(MISSING), "infer_schema": False}
    text = pl.scan_csv(path, **options)
    value = pl.exclude(as_text)
    number = ~_padded(value)
    fits = {
        pl.Int64: number & value.cast(pl.Int64, strict=False).is_not_null(),
        pl.Float64: number & value.cast(pl.Float64, strict=False).is_not_null(),
        pl.Boolean: value.is_in(["true", "false"]),
    }
    holds = {dtype: (fit | value.is_null()).all() & value.is_not_null().any() for dtype, fit in fits.items()}
    checks = [hold.name.suffix(f"/{dtype}") for dtype, hold in holds.items()]
    passed = text.select(checks).collect(engine="streaming").row(0, named=True)
    types = {name: next((t for t in fits if passed.get(f"{name}/{t}")), pl.String) for name in names}
    return pl.scan_csv(path, schema_overrides=types, **options)


def _padded(value: pl.Expr) -> pl.Expr:
    """Return whether a number starts with a zero that a number does not need: a code, such as a postcode."""
    return value.str.starts_with("0") & (value.str.len_bytes() > 1) & ~value.str.starts_with("0.")


def table_format(path: Path) -> str | None:
    """Return ``"csv"``, ``"json lines"``, ``"parquet"``, ``"arrow"``, or None for what is not a table by its name."""
    if path.is_dir():
        return "parquet" if any(path.glob("*.parquet")) else None
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def existing(path: str | Path) -> Path:
    """Return the path if something is there.

    Raises
    ------
    TailwiseError
        If not; a file nearby with a similar name is suggested.
    """
    path = Path(path).expanduser()
    if path.exists():
        return path
    if not path.parent.is_dir():
        raise TailwiseError(f"there is no {path}: its folder {path.parent} does not exist.")
    raise TailwiseError(f"there is no {path}.{nearest(path.name, (p.name for p in path.parent.iterdir()))}")


def require_columns(present: Collection[str], wanted: Collection[str], where: str) -> None:
    """Check that all wanted columns are present.

    Raises
    ------
    TailwiseError
        Naming those that are not, with the nearest name to each.
    """
    absent = [name for name in wanted if name not in present]
    if not absent:
        return
    if len(absent) == 1:
        raise TailwiseError(f"{where} has no column {absent[0]!r}.{nearest(absent[0], present) or _list(present)}")
    raise TailwiseError(f"{where} has no columns {', '.join(map(repr, absent[:8]))}.{_list(present)}")


def _list(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:12])
    return f" It has {shown}{', ...' if len(names) > 12 else ''}."


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what polars raises while a file is read into one line that says what is wrong with the file, and where."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise _explain(path, error) from None


def _explain(path: Path, error: Exception) -> TailwiseError:
    reason = str(error).strip().partition("\n")[0]
    form = table_format(path)
    if isinstance(error, PermissionError):
        return TailwiseError(f"{path} may not be read: permission denied.")
    if form in ("csv", "json lines"):
        trouble = _wrong_bytes(path) or (_uneven_line(path) if form == "csv" else None)
        if trouble:
            return TailwiseError(trouble)
    if form in ("parquet", "arrow") and path.is_file():
        with path.open("rb") as file:
            head, tail = file.read(4), _last_bytes(file, 4)
        if form == "parquet" and head == b"PAR1" != tail:
            return TailwiseError(f"{path} is cut short: a Parquet file ends in PAR1, this one does not. Copy it again.")
        if form == "parquet" and head != b"PAR1":
            return TailwiseError(f"{path} is not a Parquet file, whatever its name says.")
    return TailwiseError(f"{path} cannot be read as {form or 'a table'}: {reason.rstrip('.')}.")


def _last_bytes(file: IO[bytes], count: int) -> bytes:
    file.seek(-min(count, file.seek(0, 2)), 2)
    return file.read()


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _wrong_bytes(path: Path) -> str | None:
    """Say where a file stops being UTF-8 and what it probably is."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with _open(path) as file:
        while block := file.read(1 << 20):
            waiting = decoder.getstate()[0]
            if line == 1 and block[:2] in (b"\xff\xfe", b"\xfe\xff"):
                return f"{path} is UTF-16, not UTF-8: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)."
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += (waiting + block).count(b"\n", 0, error.start)
                byte = (waiting + block)[error.start]
                guess = "CP1252" if 0x80 <= byte <= 0x9F else "LATIN1"
                return (
                    f"{path} is not UTF-8: byte 0x{byte:02x} in line {line}. Probably it is {guess}; "
                    f"convert it with: iconv -f {guess} -t UTF-8 {path.name} > utf8-{path.name}"
                )
            line += block.count(b"\n")
    return None


def _uneven_line(path: Path) -> str | None:
    """Say which line of a CSV has more fields than the header."""
    separator, header = csv_header(path)
    with _open(path) as file:
        lines = csv.reader(codecs.getreader("utf-8-sig")(file), delimiter=separator)
        with contextlib.suppress(csv.Error):
            for row in lines:
                if len(row) > len(header):
                    return f"{path}, line {lines.line_num}: {len(row)} fields, but the header has {len(header)}."
    return None


def csv_header(path: Path) -> tuple[str, list[str]]:
    """Return the separator of a CSV file and its column names.

    Raises
    ------
    TailwiseError
        If a name occurs twice, or the file is blank or is not text.
    """
    try:
        with _open(path) as file:
            text = codecs.getreader("utf-8-sig")(file)
            first = next((line for line in text if line.strip()), None)
    except UnicodeDecodeError:
        raise TailwiseError(_wrong_bytes(path) or f"{path} is not UTF-8 text.") from None
    if first is None:
        raise TailwiseError(f"{path} is empty: it has no header and no rows.")
    if "\0" in first:
        raise TailwiseError(f"{path} is not a text file, whatever its name says.")
    readings = {mark: next(csv.reader([first], delimiter=mark)) for mark in ",;\t|"}
    separator = max(readings, key=lambda mark: len(readings[mark]))
    names = readings[separator]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TailwiseError(f"{path} has {names.count(twice)} columns named {twice!r}; give each its own name.")
    return separator, names
