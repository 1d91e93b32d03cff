"""Where a fit keeps what it has finished, so that one that was killed goes on from there."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from tailwise.errors import TailwiseError
from tailwise.storage import atomic_write


class Cache:
    """Decisions, held-out scores and training checkpoints of one fit, in a folder; without a folder it keeps nothing.

    Parameters
    ----------
    folder : or None
    identity : everything that the results depend on: each option by name, the data and the versions

    Raises
    ------
    TailwiseError
        If the folder belongs to another fit.
    """

    def __init__(self, folder: str | Path | None, identity: dict[str, str]) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / "fit.json"
        if not mark.exists():
            with atomic_write(mark, "w") as file:
                json.dump(identity, file, indent=1)
        else:
            theirs = json.loads(mark.read_text(encoding="utf-8"))
            other = sorted(name for name in theirs.keys() | identity.keys() if theirs.get(name) != identity.get(name))
            if other:
                raise TailwiseError(
                    f"{self.folder} holds an unfinished fit with other {', '.join(other)}: resume with the same, or "
                    "delete it."
                )

    def once(self, key: str, decide: Callable[[], int]) -> int:
        """Return what was decided under ``key`` when the fit was begun: a number that would not come out so again."""
        if self.folder is None:
            return decide()
        file = self.folder / f"{key}.json"
        if not file.exists():
            with atomic_write(file, "w") as stream:
                json.dump(decide(), stream)
        return int(json.loads(file.read_text(encoding="utf-8")))

    def scores(self, key: str) -> tuple[NDArray[np.float32], float] | None:
        """Return the scores kept under ``key`` and the seconds they took, or None."""
        if self.folder is None or not (self.folder / f"{key}.npz").exists():
            return None
        with np.load(self.folder / f"{key}.npz", allow_pickle=False) as kept:
            return kept["scores"], float(kept["seconds"])

    def keep(self, key: str, scores: NDArray[np.float32], seconds: float) -> None:
        """Keep scores, and the seconds they took, under ``key``."""
        if self.folder is not None:
            with atomic_write(self.folder / f"{key}.npz", "wb") as file:
                np.savez(file, scores=scores, seconds=seconds)

    def checkpoints(self, key: str) -> Path | None:
        """Return the folder for the checkpoints of the training ``key``."""
        return None if self.folder is None else self.folder / key


def describe(value: Any) -> str:
    """Return a text that is the same for the same option in another process, for :class:`Cache`'s identity.

    An estimator is its settings, whose own text leaves some out; a function is its code and what it was given.
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{describe(k)}: {describe(v)}' for k, v in value.items())}}}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    if isinstance(value, BaseEstimator):
        return f"{type(value).__name__}({describe(value.get_params(deep=False))})"
    if isinstance(value, partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if inspect.isfunction(value):
        inner = inspect.getclosurevars(value).nonlocals  # a function among them may hold this one in its turn
        held = {name: f.__code__ if inspect.isfunction(f) else f for name, f in inner.items()}
        given = value.__code__, value.__defaults__, value.__kwdefaults__, held
        return f"{value.__module__}.{value.__qualname__}{describe(given)}"
    if inspect.iscode(value):
        return f"{value.co_code.hex()}{describe(value.co_names)}{describe(value.co_consts)}"
    with np.printoptions(threshold=sys.maxsize):
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def digest(*arrays: Any) -> str:
    """Return a hash of arrays, lists or frames, for :class:`Cache`'s identity."""
    sha = hashlib.sha256()
    for array in arrays:
        if hasattr(array, "tocsr"):
            matrix = array.tocsr()
            array = np.concatenate([matrix.indptr, matrix.indices, matrix.data])
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()
