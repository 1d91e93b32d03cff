"""Explain in one line what is wrong with a file that cannot be read, and where."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tailwise.data.folders import parquet_files
from tailwise.data.paths import table_format
from tailwise.data.separated import csv_header, open_bytes, open_text, wrong_bytes
from tailwise.errors import TailwiseError
from tailwise.wording import first_line


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors that occur while a file is read into a TailwiseError that says what is wrong, and where."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise _explain(path, error) from None


def _explain(path: Path, error: Exception) -> TailwiseError:
    reason = first_line(error)
    form = table_format(path)
    if isinstance(error, gzip.BadGzipFile):
        return TailwiseError(f"{path} is not compressed by gzip, whatever its name says: take .gz off its name.")
    if isinstance(error, PermissionError):
        return TailwiseError(f"{path} cannot be read: permission denied.")
    if form in ("csv", "json lines"):
        try:
            text = isinstance(error, UnicodeDecodeError)  # a document in a class folder, where a copy would be another
            trouble = wrong_bytes(path, in_place=text) or (_bad_record(path) if form == "csv" else _bad_json(path))
        except (EOFError, zlib.error):
            trouble = f"{path} is cut short or damaged: its compressed data ends early."
        if trouble:
            return TailwiseError(trouble)
    if form in ("parquet", "arrow") and path.is_file():
        with path.open("rb") as file:
            head, tail = file.read(4), _last_bytes(file, 4)
        if form == "parquet" and head == b"PAR1" != tail:
            return TailwiseError(f"{path} is cut short: a Parquet file ends in PAR1, this one does not. Copy it again.")
        if form == "parquet" and head != b"PAR1":
            return TailwiseError(f"{path} is not a Parquet file, whatever its name says.")
        if form == "arrow":
            return TailwiseError(f"{path} is no Arrow file, or it is cut short: copy or write it again ({reason}).")
    unlike = _unlike_files(path) if path.is_dir() else None
    return TailwiseError(unlike or f"{path} cannot be read as {form or 'a table'}: {reason.rstrip('.')}.")


def _unlike_files(folder: Path) -> str | None:
    """Name a Parquet file in a folder that is damaged, or whose columns or types differ from the first; or None."""
    import polars as pl

    schemas: dict[Path, pl.Schema] = {}
    for file in parquet_files(folder):
        try:
            schemas[file] = pl.Schema(pl.read_parquet_schema(file))
        except pl.exceptions.PolarsError as error:
            return str(_explain(file, error))
        first = next(iter(schemas))
        here, there = schemas[first], schemas[file]
        odd = next((name for name in {**here, **there} if here.get(name) != there.get(name)), None)
        if odd is not None:
            types = f"{here.get(odd, 'absent')} in {first.name} and {there.get(odd, 'absent')} in {file.name}"
            return f"{folder}: its files are not one table, since column {odd!r} is {types}. Write them alike."
    return None


def _last_bytes(file: IO[bytes], count: int) -> bytes:
    file.seek(-min(count, file.seek(0, 2)), 2)
    return file.read()


def _bad_record(path: Path) -> str | None:
    """Name a record of a CSV with more fields than the header, an unclosed quote or one inside a field; or None."""
    separator, header, _ = csv_header(path)
    start, inside, lines = 1, None, list[str]()  # the lines of a record

    def read(file: IO[str]) -> Iterator[str]:
        for line in file:
            lines.append(line)
            yield line

    with open_text(path) as file:
        records = csv.reader(read(file), delimiter=separator, strict=True)
        try:
            for record in records:
                if len(record) > len(header):
                    return f"{path}, line {start}: {len(record)} fields, but the header has {len(header)}."
                if inside is None and "".join(lines).count('"') % 2:
                    inside = start
                lines.clear()
                start = records.line_num + 1
        except csv.Error as error:
            return f"{path}, line {start}: a quote is not closed, or text follows one ({error})."
    if inside is None:
        return None
    return f'{path}, line {inside}: a quote inside a field, as an inch mark, must be doubled in quotes: "7"" pipe".'


def _bad_json(path: Path) -> str | None:
    """Name a line that is not a JSON object, or a key that is a list here and something else there; or None."""
    forms: dict[str, tuple[str, int]] = {}  # of each key, with the first line
    mixed = None
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            try:
                value = json.loads(text or "{}", parse_constant=_no_constant, object_pairs_hook=_object)
                if not isinstance(value, dict):
                    return f"{path}, line {number}: each line must be a JSON object in braces."
            except ValueError as error:
                return f"{path}, line {number} is not JSON: {error}."
            for key, form in _forms(value, ""):
                first, begin = forms.setdefault(key, (form, number))
                if form != first and mixed is None:
                    mixed = f"{path}: {key!r} is {first} in line {begin} and {form} in line {number}. Write them alike."
    return mixed


def _forms(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield the forms of a JSON value and of what is in it; polars reads texts and null beside all of them."""
    if isinstance(value, dict):
        yield key, "an object"
        for name, inner in value.items():
            yield from _forms(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        yield key, "a list"
        for inner in value:
            yield from _forms(inner, f"{key}[]")
    elif isinstance(value, int | float):  # true and false, too
        yield key, "a number"


def _no_constant(word: str) -> None:
    """Refuse NaN and infinity, which Python writes."""
    raise ValueError(f"write null instead of {word}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, none of whose keys occurs twice."""
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError(f"key {Counter(key for key, _ in pairs).most_common(1)[0][0]!r} occurs twice")
    return found
