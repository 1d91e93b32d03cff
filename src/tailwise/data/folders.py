"""Folders with one sub-folder of files for each class."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.data.labels import in_order
from tailwise.data.paths import is_aside, is_parquet, table_format
from tailwise.errors import TailwiseError
from tailwise.wording import plural, some


def files_below(root: Path) -> Iterator[Path]:
    """Yield every file below ``root``, sorted and relative to it, except hidden files and those in system folders.

    Links to folders are followed, unless they lead back into ``root`` or to a folder that was visited before.

    Raises
    ------
    TailwiseError
        If a folder cannot be read.
    """
    top = root.resolve()
    seen = {top}

    def is_wanted(folder: Path) -> bool:
        if _is_hidden(folder.name):
            return False
        real = folder.resolve()
        if real in seen or (folder.is_symlink() and real.is_relative_to(top)):
            return False
        seen.add(real)
        return True

    def refuse(error: OSError) -> None:
        raise TailwiseError(f"{error.filename} cannot be read: {error.strerror}.") from None

    for base, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if is_wanted(Path(base, name)))
        files = (Path(base, name) for name in sorted(names) if not name.startswith("."))
        yield from (file.relative_to(root) for file in files if file.is_file())  # a link may lead nowhere


def parquet_files(folder: Path) -> list[Path]:
    """Return the Parquet files anywhere below a folder.

    Raises
    ------
    TailwiseError
        If the names of sub-folders hold a column, which the files then lack.
    """
    files = [file for file in files_below(folder) if is_parquet(file)]
    hive = next((part for file in files for part in file.parts[:-1] if "=" in part), None)
    if hive is not None:
        raise TailwiseError(
            f"{folder} holds a column in the names of its sub-folders, such as {hive}: write the table to one file."
        )
    return [folder / file for file in files]


def class_files(
    root: Path, suffixes: Collection[str], what: str, usual: str
) -> tuple[list[Path], NDArray[np.int64] | None, NDArray[Any], tuple[str, ...]]:
    """Find the files of each class: those anywhere below the sub-folder named after it.

    Parameters
    ----------
    root : the folder
    suffixes : suffixes of the files to find, in lower case
    what, usual : name of such files and usual formats, for messages

    Returns
    -------
    files : n paths relative to ``root``
    codes : (n,) class codes, or None if all files lie in ``root`` itself
    classes : names of the classes, see :func:`in_order`
    notes : what was left out, one line each

    Raises
    ------
    TailwiseError
        If there is no such file, or a name is not UTF-8.
    """
    files = list(files_below(root))
    meant = [file for file in files if file.suffix.lower() in suffixes]
    if not meant:
        known = (file for file in files if table_format(file) is not None and not is_aside(file))
        table = next((file for file in known if file.suffix.lower() != ".txt"), None)
        if table is not None:
            raise TailwiseError(
                f"{root} has no {what} but tables, such as {table.as_posix()}: name one of them, or a folder with "
                "Parquet files that together are one table."
            )
        raise TailwiseError(f"{root} has no {what}: one sub-folder per class with {usual} files is expected.")
    for file in meant:
        if not _is_text(str(file)):
            raise TailwiseError(f"{root} has a file or folder whose name is not UTF-8, {str(file)!a}: rename it.")
    notes = []
    if len(meant) < len(files):
        first = next(file for file in files if file.suffix.lower() not in suffixes)
        others = len(files) - len(meant)
        foreign = plural(others, f"file that is none of the {what} was", f"files that are not {what} were")
        notes.append(f"{foreign} left out, such as {first.as_posix()}.")
    in_class = [file for file in meant if len(file.parts) > 1]
    if not in_class:
        return meant, None, np.array([], dtype=str), tuple(notes)
    if len(in_class) < len(meant):
        outside = plural(len(meant) - len(in_class), f"{what[:-1]} was", f"{what} were")
        notes.append(f"{outside} left out, which no class folder holds.")
    names = [file.parts[0] for file in in_class]
    classes = in_order(names)
    code = {name: c for c, name in enumerate(classes)}
    empty = sorted(f.name for f in root.iterdir() if f.is_dir() and f.name not in classes and not _is_hidden(f.name))
    if empty:
        folders = plural(len(empty), f"class folder has no {what} and was", f"class folders have no {what} and were")
        notes.append(f"{folders} left out: {some(empty)}.")
    return in_class, np.array([code[name] for name in names]), np.array(classes), tuple(notes)


def _is_text(name: str) -> bool:
    """Return whether a name can be written in UTF-8; other bytes of a file system are lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_hidden(name: str) -> bool:
    """Return whether a folder is hidden or a system folder."""
    return name.startswith(".") or name in ("__MACOSX", "__pycache__", "lost+found")
