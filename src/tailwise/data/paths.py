"""Table formats by file name, and checks that paths and columns exist."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tailwise.errors import TailwiseError, nearest
from tailwise.wording import some

if TYPE_CHECKING:
    from polars.selectors import Selector

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
#: Why a model needs the columns of its training data.
LEARNED_FROM = ", which the model was trained on"


def table_format(path: Path) -> str | None:
    """Return ``"csv"``, ``"json lines"``, ``"parquet"`` or ``"arrow"`` by a path's name; None if it is not a table."""
    if path.is_dir():
        return "parquet" if _holds_parquet(path) else None
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def _holds_parquet(folder: Path) -> bool | None:
    """Say whether a folder, or the first of its sub-folders that holds files, has parts of a table; None if empty."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not is_aside(Path(entry.name)))
    except PermissionError:  # which is told where the folder is read
        return None
    if any(is_parquet(Path(entry.name)) and entry.is_file() for entry in entries):
        return True
    inside = (_holds_parquet(entry) for entry in entries if entry.is_dir())
    found = next((found for found in inside if found is not None), None)
    return False if found is None and entries else found


def is_class_folder(path: Path) -> bool:
    """Say whether a path is a folder with a sub-folder for each class, not a table."""
    return path.is_dir() and table_format(path) is None


def is_parquet(file: Path) -> bool:
    """Say whether a file is a part of a table, by its name."""
    return _FORMATS.get(file.suffix.lower()) == "parquet" and not is_aside(file)


def is_aside(file: Path) -> bool:
    """Say whether a file, or a folder on the way to it, is hidden or what other programs keep beside a table."""
    return any(part.startswith((".", "_")) for part in file.parts)


def existing(path: str | Path) -> Path:
    """Return the path if it exists.

    Raises
    ------
    TailwiseError
        If it does not, where the message suggests a similar name in the same folder; or if it is a pipe or a device.
    """
    if str(path) == "-" or re.match(r"\w{2,}:/", str(path)):
        what = "standard input is" if str(path) == "-" else "addresses are"
        raise TailwiseError(f"{path}: {what} not read, as data is read more than once: save it to a file first.")
    path = Path(path).expanduser()
    if path.exists():
        if not (path.is_file() or path.is_dir()):
            raise TailwiseError(
                f"{path} is a pipe or device, but data is read more than once: save it to a file first."
            )
        return path
    if not path.parent.is_dir():
        raise TailwiseError(f"there is no {path}: its folder {path.parent} does not exist.")
    raise TailwiseError(f"there is no {path}.{nearest(path.name, (p.name for p in path.parent.iterdir()))}")


def named_columns(target: str | None, text: str | None, image: str | None, id: str | None) -> list[str]:
    """Return the columns that are named; one with texts or images may be the id as well.

    Raises
    ------
    TailwiseError
        If one is otherwise two of these.
    """
    apart = () if id in (text, image) else (id,)
    names = [name for name in (target, text, image, *apart) if name is not None]
    if len(set(names)) < len(names):
        raise TailwiseError(f"one column cannot be two of target, text, image and id: {', '.join(names)}.")
    return names


def require_columns(present: Collection[str], wanted: Collection[str], where: str, why: str = "") -> None:
    """Check that all wanted columns are present.

    Parameters
    ----------
    present, wanted : names of columns
    where : name of the table, for the message
    why : reason why the columns are needed, for the message

    Raises
    ------
    TailwiseError
        If columns are missing. For a single one, the message suggests the nearest name.
    """
    known = frozenset(present)
    absent = [name for name in wanted if name not in known]
    if not absent:
        return
    if len(absent) == 1:
        guess = nearest(absent[0], known.difference(wanted)) or listed(present)
        raise TailwiseError(f"{where} has no column {absent[0]!r}{why}.{guess}")
    raise TailwiseError(f"{where} has no columns {some(map(repr, absent), 8)}{why}.{listed(present)}")


def bare(names: Iterable[str], where: str) -> list[str]:
    """Return the names of a file's columns without blanks around them, which nobody sees.

    Raises
    ------
    TailwiseError
        If two are then the same, or polars takes one for a pattern.
    """
    found = [name.strip() for name in names]
    check_names(found, where)
    return found


def check_names(names: Collection[str], where: str) -> None:
    """Raise TailwiseError if two columns have one name, or polars takes one for a pattern."""
    for twice, times in Counter(names).most_common(1):
        if times > 1:
            what = f"named {twice!r}; give each its own name."
            unnamed = "without a name: give each its own, or take out what stands above the line with the names."
            raise TailwiseError(f"{where} has {times} columns {what if twice else unnamed}")
    pattern = next((name for name in names if name.startswith("^") and name.endswith("$")), None)
    if pattern is not None:
        raise TailwiseError(f"{where} has a column named {pattern!r}, which polars takes for a pattern: rename it.")


def named(names: str | Collection[str]) -> Selector:
    """Return the columns with just these names; to ``polars.col``, ``*`` is every column."""
    from polars.selectors import by_name

    return by_name(names)


def listed(names: Collection[str]) -> str:
    """Return a sentence that names the columns, but not thousands of them."""
    return f" It has {some(names, 12)}."
