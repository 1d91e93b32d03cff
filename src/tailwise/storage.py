"""Folders of JSON, safetensors and skops files: written whole or not at all, checked when read, never executed.

The size and SHA-256 of every file are in ``manifest.json``. They detect damage, not malice: whoever changes a file can
change the manifest. Safety rests on the formats: JSON and safetensors hold only data, and skops files are read by
:mod:`tailwise.sealed`.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tailwise import sealed
from tailwise.errors import TailwiseError
from tailwise.processes import is_first, writing
from tailwise.wording import first_line

FORMAT = 2
_KIND = "model"  # of folder, in its manifest
_MANIFEST = "manifest.json"
PAGE = "report.html"  # which a fit puts beside its model
_CLUTTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers put into folders that are looked at
_NAME = re.compile(r"[A-Za-z0-9_-]+\.(json|safetensors|skops)")


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under its name only once it is complete; until then, an existing file stays.

    Parameters
    ----------
    path : file to write
    mode : ``"w"`` for UTF-8 text, ``"wb"`` for bytes

    Raises
    ------
    TailwiseError
        If the disk is full or the folder cannot be written to. An ``OSError`` that names a file is about another one,
        used inside the context, and is passed on.
    """
    target = _followed(path)
    part = _unwritten(target, f".{target.name}.")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    with _said(target):
        file = part.open(mode.replace("w", "x"), encoding=encoding, newline=newline)
    try:
        with _said(target, named=False), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _said(target):
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_folder(
    path: str | Path,
    documents: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Any]] | None = None,
    estimators: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
) -> None:
    """Write a folder, completely or not at all; of the processes that share a training, the first writes it.

    Parameters
    ----------
    path : a folder that does not exist or is empty
    documents : name -> what JSON can hold
    tensors : name -> tensor name -> NumPy array or torch tensor
    estimators : name -> scikit-learn object
    force : overwrite what Tailwise wrote there earlier; a folder that holds any other file is never overwritten

    Raises
    ------
    TailwiseError
        If the folder is not free, another process is writing there, the disk is full, a document is none, or an
        estimator holds a type that could not be read again.
    """
    target = _followed(path)
    if not is_first():
        return
    with _said(target), writing(target):
        check_free(target, force=force)
        part = _unwritten(target, _part_of(target))
        part.mkdir()
        try:
            for name, document in documents.items():
                (part / f"{name}.json").write_text(_json(name, document), encoding="utf-8")
            for name, arrays in (tensors or {}).items():
                _save_tensors(part / f"{name}.safetensors", arrays)
            for name, estimator in (estimators or {}).items():
                sealed.dump(estimator, part / f"{name}.skops")
            _write_manifest(part)
            _swap(part, target)
            for left in target.parent.iterdir():  # by writers that were killed: no other is at work meanwhile
                if left.name.startswith(_part_of(target)):
                    shutil.rmtree(left, ignore_errors=True)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _json(name: str, document: Any) -> str:
    """Return a document as JSON, with NumPy's numbers as Python's."""
    if not _NAME.fullmatch(f"{name}.json"):
        raise TailwiseError(f"a document cannot be called {name!r}: use letters, digits, - and _.")
    try:
        return json.dumps(document, indent=1, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise TailwiseError(f"the document {name!r} cannot be written as JSON: {first_line(error)}.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"it holds a {type(value).__name__}")


def check_free(path: str | Path, *, force: bool = False) -> None:
    """Raise TailwiseError unless a folder can be written at ``path``: free, empty, or Tailwise's own and ``force``."""
    target = Path(path)
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir():
        raise TailwiseError(f"{target} is a file; choose another name for the folder.")
    own = _files_of(target)
    if own is None:
        raise TailwiseError(f"{target} is not empty and was not written by Tailwise; choose another folder.")
    if not force:
        raise TailwiseError(f"{target} is not empty; choose another folder, or overwrite it with --force (force=True).")
    others = sorted({entry.name for entry in target.iterdir()} - own - _CLUTTER)
    if others:
        raise TailwiseError(f"{target} holds {others[0]}, which Tailwise did not write: move it away first.")


def _files_of(folder: Path) -> set[str] | None:
    """Return the names of the files that Tailwise may have in its own folder; None if the folder is not its own."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or not {"kind", "format", "tailwise", "files"} <= manifest.keys():
        return None
    if not isinstance(manifest["files"], dict):
        return None
    return {_MANIFEST, PAGE, *manifest["files"]}


@dataclass(frozen=True)
class Folder:
    """A folder that was read and found intact.

    Attributes
    ----------
    path : of the folder
    documents : name -> JSON document
    files : names of the files that were found intact, and are all that is read
    """

    path: Path
    documents: dict[str, Any]
    files: frozenset[str]

    def tensors(self, name: str) -> dict[str, Any]:
        """Return the named tensors: torch tensors if torch is installed, else NumPy arrays.

        Raises
        ------
        TailwiseError
            If the file is missing or damaged.
        """
        file = self._file(f"{name}.safetensors")
        from safetensors import SafetensorError, safe_open

        framework = "pt" if importlib.util.find_spec("torch") else "np"
        try:
            with safe_open(file, framework) as stored:
                return {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 (not a mapping)
        except (SafetensorError, ValueError) as error:
            raise TailwiseError(f"{file} is not a valid safetensors file: {first_line(error)}") from None

    def estimator(self, name: str) -> Any:
        """Return the named scikit-learn object.

        Raises
        ------
        TailwiseError
            If the file is missing or damaged, holds a type that Tailwise does not write or a tree that cannot be
            walked, or was never fitted.
        """
        return sealed.load(self._file(f"{name}.skops"))

    def _file(self, name: str) -> Path:
        if name not in self.files:
            raise TailwiseError(f"{self.path} has no {name}, which a model of its kind needs.")
        return self.path / name


def read_folder(path: str | Path) -> Folder:
    """Read a folder that :func:`write_folder` wrote; nothing in it is executed.

    Raises
    ------
    TailwiseError
        In one line, if it is not there, not Tailwise's, of another kind, from a newer version, or a file is missing,
        cut short or changed.
    """
    folder = Path(path)
    if not folder.is_dir():
        is_file = f"{folder} is a file, not the folder of a {_KIND}."
        raise TailwiseError(is_file if folder.exists() else f"there is no folder {folder}.")
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        found, version = manifest["kind"], int(manifest["format"])
        files = {name: (int(entry["size"]), str(entry["sha256"])) for name, entry in manifest["files"].items()}
    except FileNotFoundError:
        raise TailwiseError(f"{folder} is not a Tailwise {_KIND}: it has no {_MANIFEST}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise TailwiseError(f"{folder / _MANIFEST} is damaged.") from None
    if version > FORMAT:
        written = manifest.get("tailwise", "a newer version")
        raise TailwiseError(f"{folder} was written by Tailwise {written}, which is newer: upgrade Tailwise to read it.")
    if found != _KIND:
        raise TailwiseError(f"{folder} is a Tailwise {found}, not a {_KIND}.")
    for name, (size, sha256) in files.items():
        _check_file(folder, name, size, sha256)
    documents = {}
    for name in files:
        if name.endswith(".json"):
            try:
                documents[name.removesuffix(".json")] = json.loads((folder / name).read_text(encoding="utf-8"))
            except (ValueError, RecursionError):
                raise TailwiseError(f"{folder / name} is not JSON.") from None
    return Folder(folder, documents, frozenset(files))


def _check_file(folder: Path, name: str, size: int, sha256: str) -> None:
    if not _NAME.fullmatch(name):
        raise TailwiseError(f"{folder / _MANIFEST} names a file {name!r} that a Tailwise folder cannot have.")
    file = folder / name
    if file.is_symlink() or not file.is_file():
        raise TailwiseError(f"{file} is missing.")
    found = file.stat().st_size
    if found != size:
        raise TailwiseError(f"{file} has {found:,} bytes instead of {size:,}: it was cut short or changed.")
    if _sha256(file) != sha256:
        raise TailwiseError(f"{file} was changed after it was written: its SHA-256 differs from the manifest.")


def _write_manifest(folder: Path) -> None:
    from tailwise import __version__

    files = {file.name: {"size": file.stat().st_size, "sha256": _sha256(file)} for file in sorted(folder.iterdir())}
    manifest = {"kind": _KIND, "format": FORMAT, "tailwise": __version__, "files": files}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for file in folder.iterdir():
        shutil.copymode(folder / _MANIFEST, file)  # safetensors makes files private, whatever the umask
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _followed(path: str | Path) -> Path:
    """Return where a path leads if it is a link, which stays as it is."""
    return Path(path).resolve() if Path(path).is_symlink() else Path(path)


def _part_of(target: Path) -> str:
    """Return how the names of unfinished folders for ``target`` begin."""
    return f".{target.name}.unwritten-"


def _unwritten(target: Path, start: str) -> Path:
    """Return a free name beside ``target``; unlike ``tempfile``, what is created there gets the umask's permissions."""
    return target.with_name(f"{start}{secrets.token_hex(4)}")


def _swap(part: Path, target: Path) -> None:
    """Put the complete folder in place, and only then remove what was there."""
    if not target.exists():
        part.replace(target)
        return
    old = target.with_name(f"{part.name}.old")
    target.replace(old)
    try:
        part.replace(target)
    except OSError:
        old.replace(target)
        raise
    with suppress(OSError):  # of another owner
        old.chmod(0o700)  # it may be read-only
    shutil.rmtree(old, ignore_errors=True)


def _save_tensors(file: Path, arrays: Mapping[str, Any]) -> None:
    if any(hasattr(array, "detach") for array in arrays.values()):
        from safetensors.torch import save_file

        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in arrays.items()}, file)
    else:
        from safetensors.numpy import save_file as save_arrays

        save_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()}, file)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _said(target: Path, *, named: bool = True) -> Iterator[None]:
    """Turn an error of the file system into one line; with ``named`` also an error that names a file."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not named:
            raise
        if error.errno == errno.ENOSPC:
            raise TailwiseError(
                f"the disk is full: {target} was not written, and nothing that was there is lost."
            ) from None
        raise TailwiseError(f"{target} cannot be written: {error.strerror or error}.") from None
