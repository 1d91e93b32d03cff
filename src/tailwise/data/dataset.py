"""A data set in memory: inputs, class codes, and names of classes and rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tailwise.counts import class_counts
from tailwise.data.labels import class_name
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike

Kind = Literal["table", "image", "text", "array"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and labels, row by row.

    Attributes
    ----------
    kind : ``"table"``, ``"image"``, ``"text"`` or ``"array"``
    inputs : table: polars frame of the features; image: (n, height, width, channels) uint8; text: (n,) array of
        strings; array: (n, n_features) numbers, dense or CSR
    labels : (n,) int64 class codes, -1 for rows without a label. For sets of labels, (n, n_classes) int8: 1 if a row
        has the label, 0 if not, and -1 in the whole row if its labels are unknown. None if the data has no target
    class_labels : (n_classes,) labels as they appear in the data, in code order: strings, integers, booleans or floats
    ids : (n,) identifiers of the rows: an array of row numbers from 0 or of file paths, or a polars column
    name : where the data came from
    column : the column of the table that held the images or texts, if any
    notes : remarks about how the data was read, one line each
    """

    kind: Kind
    inputs: Any
    labels: NDArray[Any] | None
    class_labels: NDArray[Any]
    ids: NDArray[Any] | pl.Series
    name: str = "data"
    column: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = self.inputs.shape[0]
        lengths = {"ids": self.ids, "labels": self.ids if self.labels is None else self.labels}
        for what, rows in lengths.items():
            if len(rows) != n:
                raise TailwiseError(f"{self.name}: {n} rows of inputs but {len(rows)} {what}.")

    def __len__(self) -> int:
        return int(self.inputs.shape[0])

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in code order."""
        return tuple(class_name(label) for label in self.class_labels)

    @property
    def form(self) -> dict[str, Any]:
        """What must be known to read new data in the same form, as plain data."""
        shape = self.inputs.shape[1:]
        pixels = {"image_size": list(shape[:2]), "channels": shape[2]} if self.kind == "image" else {}
        return {"column": self.column, **pixels}

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_labels)

    @property
    def has_sets(self) -> bool:
        """Whether rows have sets of labels instead of one label each."""
        return self.labels is not None and self.labels.ndim == 2

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """(n,) whether the label or set of labels of each row is known."""
        if self.labels is None:
            return np.zeros(len(self), dtype=bool)
        known = self.labels >= 0
        return np.atleast_1d(known.all(axis=1)) if self.has_sets else known

    @cached_property
    def class_counts(self) -> NDArray[np.int64]:
        """(n_classes,) labelled rows of each class.

        Raises
        ------
        TailwiseError
            If the data has no labels.
        """
        if self.labels is None:
            raise TailwiseError(f"{self.name} has no labels to count; name the column that holds them.")
        return (self.labels > 0).sum(axis=0) if self.has_sets else class_counts(self.labels, self.n_classes)

    def take(self, indices: ArrayLike) -> Dataset:
        """Return the rows with these indices, in this order; classes stay the same, even if left without rows.

        Parameters
        ----------
        indices : row indices, or an (n,) boolean mask

        Raises
        ------
        TailwiseError
            If a mask does not have one entry per row.
        """
        rows = np.asarray(indices)
        if rows.dtype == bool and len(rows) != len(self):
            raise TailwiseError(f"{self.name}: a mask of {len(rows)} entries for {len(self)} rows.")
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp, copy=False)
        return replace(
            self,
            inputs=self.inputs[rows],
            labels=None if self.labels is None else self.labels[rows],
            ids=self.ids[rows],
        )
