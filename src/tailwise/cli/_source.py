"""Where a command's data comes from, and what its options say about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tailwise.data import Dataset, load
from tailwise.errors import TailwiseError
from tailwise.processes import is_first


@dataclass(frozen=True)
class Source:
    """A path and the options that say how to read it."""

    path: str
    target: str | None = None
    separator: str | None = None
    text: str | None = None
    image: str | None = None
    id: str | None = None
    image_size: int | None = None
    skip_broken: bool = False

    def load(self, classes: Dataset | None = None) -> Dataset:
        """Read the data into memory, with the classes of the training data, and in its form, if it is given."""
        return load(
            self.path,
            self.target,
            separator=self.separator,
            text=self.text,
            image=self.image,
            id=self.id,
            image_size=self.image_size,
            broken="skip" if self.skip_broken else "error",
            classes=classes,
            progress=is_first(),
        )

    def to_dict(self, data: Dataset) -> dict[str, Any]:
        """Return what must be known to read new data like it, as plain data."""
        sets = {"separator": self.separator} if data.has_sets else {}
        return {"target": self.target, **sets, "id": self.id, **data.form}


def without_labels(data: Dataset, missing: str) -> TailwiseError:
    """Return the error for data that lacks labels, with how they are given."""
    how = "name the label column with --target"
    if data.kind in ("image", "text") and data.column is None:
        how = "put the files of each class into a sub-folder named after it"
    return TailwiseError(f"{data.name} has no {missing}: {how}.")


def number_or_file(text: str, what: str) -> Any:
    """Return ``text``, or the numbers in the JSON file that it names: an array, or a dict by class name.

    Raises
    ------
    TailwiseError
        If the file is not JSON numbers.
    """
    path = Path(text)
    if path.suffix != ".json":
        return text
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else np.asarray(found, dtype=np.float64)
    except FileNotFoundError:
        raise TailwiseError(f"there is no file {text} for the {what}.") from None
    except (TypeError, ValueError):
        raise TailwiseError(
            f"{text} must hold the {what} as JSON: a list of numbers, or numbers by class name."
        ) from None


def settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Return the settings in ``NAME=VALUE`` pairs; values are read as JSON where they can be, else as text."""
    result = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise TailwiseError(f"a setting has the form NAME=VALUE; got {pair!r}.")
        try:
            result[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            result[name.replace("-", "_")] = value
    return result
