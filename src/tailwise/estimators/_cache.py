"""Where a fit keeps what it has finished, so that a killed one can resume from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tailwise.errors import TailwiseError
from tailwise.identity import differing
from tailwise.processes import is_first
from tailwise.storage import atomic_write


class Cache:
    """Decisions, held-out scores and training checkpoints of one fit, in a folder; without a folder it keeps nothing.

    Of several processes, on whichever machines, the first keeps for all.

    Parameters
    ----------
    folder : or None
    identity : everything that the results depend on: each option by name, the data and the versions
    agreed : ``agreed(value)`` is the value that all processes go by

    Raises
    ------
    TailwiseError
        If the folder belongs to another fit.
    """

    def __init__(
        self, folder: str | Path | None, identity: dict[str, str], agreed: Callable[[Any], Any] = lambda value: value
    ) -> None:
        self.folder = Path(folder) if folder is not None and is_first() else None
        self._agreed = agreed
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / "fit.json"
        if not mark.exists():
            with atomic_write(mark, "w") as file:
                json.dump(identity, file, indent=1)
        else:
            other = differing(identity, _json(mark))
            if other:
                if "random_state" in other:  # which decides what is held out for the test, too
                    other = [name for name in other if name != "data"]
                raise TailwiseError(
                    f"{self.folder} holds another fit, with different {', '.join(other)}: resume with the same, name "
                    "another folder, or delete it."
                )

    def once(self, key: str, decide: Callable[[], int]) -> int:
        """Return the number decided under ``key`` when the fit began, which might come out differently now."""
        file = None if self.folder is None else self.folder / f"{key}.json"
        known = None if file is None or not file.exists() else int(_json(file))
        decided: int | None = self._agreed(known)  # before any process decides, which all may have to do together
        if decided is None:
            decided = self._agreed(decide())
            if file is not None:
                with atomic_write(file, "w") as stream:
                    json.dump(decided, stream)
        return decided

    def scores(self, key: str) -> tuple[NDArray[np.float32], float] | None:
        """Return the scores kept under ``key`` and the seconds they took, or None."""
        kept: tuple[NDArray[np.float32], float] | None = self._agreed(self._read(key))
        return kept

    def _read(self, key: str) -> tuple[NDArray[np.float32], float] | None:
        """Return what this process's folder has of scores."""
        if self.folder is None or not (self.folder / f"{key}.npz").exists():
            return None
        try:
            with (self.folder / f"{key}.npz").open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return kept["scores"], float(kept["seconds"])
        except (BadZipFile, EOFError, KeyError, ValueError):  # damaged, as by a copy that broke off
            return None

    def keep(self, key: str, scores: NDArray[np.float32], seconds: float) -> None:
        """Keep scores, and the seconds they took, under ``key``."""
        if self.folder is not None:
            with atomic_write(self.folder / f"{key}.npz", "wb") as file:
                np.savez(file, scores=scores, seconds=seconds)

    def checkpoints(self, key: str) -> Path | None:
        """Return the folder for the checkpoints of the training ``key``."""
        return None if self.folder is None else self.folder / key


def _json(file: Path) -> Any:
    """Return what a JSON file of a fit holds; raise TailwiseError if it is damaged, as by a copy that broke off."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise TailwiseError(f"{file} is damaged: delete {file.parent}, and start the fit anew.") from None
