"""Locks on outputs: one process writes at a time and, of those that ``torchrun`` starts, the first.

The operating system releases a file lock when its holder ends, however it ends, so a killed process blocks nobody. The
lock file names its holder, which removes the file unless it is killed.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from tailwise.errors import TailwiseError

_HELD: dict[tuple[Path, int], int] = {}  # lock file and thread -> open descriptor


def together() -> int:
    """Return the number of processes that ``torchrun`` started for this training; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def is_first() -> bool:
    """Return whether this is the first process of the training, which locks and writes for all of them."""
    return together() == 1 or os.environ.get("RANK") == "0"


def writing(output: str | Path) -> AbstractContextManager[None]:
    """Return a context in which no other process writes to ``output``; the same thread may nest it.

    Raises
    ------
    TailwiseError
        Immediately, if another process or thread holds the lock, or ``output`` is no folder that can be replaced.
    OSError
        If the folder of ``output`` is not writable.
    """
    target = Path(os.path.abspath(output))
    if not target.name:
        raise TailwiseError(f"{target} is the root of the file system: choose a folder in it.")
    if target == Path.cwd():
        raise TailwiseError(f"{output} is the folder you are in, which cannot be replaced: choose one in it.")
    return _locked(target.with_name(f".{target.name}.lock"), output)


def working_in(folder: str | Path) -> AbstractContextManager[None]:
    """Return a context like :func:`writing`, but with the lock inside the folder, whose parent may not be writable."""
    return _locked(Path(os.path.abspath(folder), ".lock"), folder)


@contextmanager
def _locked(file: Path, where: str | Path) -> Iterator[None]:
    mine = file, threading.get_ident()
    if mine in _HELD or not is_first():
        yield
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise TailwiseError(f"{file.parent} cannot be a folder: there is a file.") from None
    _HELD[mine] = _take(file, where)
    try:
        yield
    finally:
        if mine in _HELD:  # not in a child that was forked inside
            _release(_HELD.pop(mine), file)


def _take(file: Path, where: str | Path) -> int:
    """Lock the file, write the name of this process into it, and return its descriptor."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        if not _lock(descriptor):
            holder = os.read(descriptor, 1000).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise TailwiseError(
                f"{holder} is already writing to {where}: wait until it has ended, or choose another output."
            )
        if _is_named(descriptor, file):
            break
        os.close(descriptor)  # its holder removed the file between our opening and locking it
    with suppress(OSError):  # a full disk: the lock works without a name
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on host {platform.node()}".encode())
    return descriptor


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        """Return whether the file was locked."""
        try:
            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # past the end: others could not read locked bytes
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

    def _is_named(descriptor: int, file: Path) -> bool:
        """Return True: an open file cannot be removed."""
        return True

    def _release(descriptor: int, file: Path) -> None:
        """Unlock the file and remove it, unless another process has just opened it."""
        os.close(descriptor)
        with suppress(OSError):
            file.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Return whether the file was locked; also true on file systems without locks, where nothing can be."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
        return True

    def _is_named(descriptor: int, file: Path) -> bool:
        """Return whether the open file is still the one of this name."""
        try:
            return os.path.samestat(os.fstat(descriptor), file.stat())
        except FileNotFoundError:
            return False

    def _release(descriptor: int, file: Path) -> None:
        """Remove the file while it is still locked, so that no other process's file is removed, and unlock it."""
        with suppress(OSError):
            file.unlink()
        os.close(descriptor)

    def _forget() -> None:
        """Release the parent's locks in a forked child, which would otherwise keep them if the parent is killed."""
        for descriptor in _HELD.values():
            os.close(descriptor)
        _HELD.clear()

    os.register_at_fork(after_in_child=_forget)
