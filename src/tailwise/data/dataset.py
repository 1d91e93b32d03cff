"""A data set in memory: inputs, class codes, and what the classes and rows are called."""

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
    labels : (n,) int64 class codes, -1 where a row has no label; or (n, n_classes) int8 where a row has a set of them:
        1 for what it has, 0 for what not, -1 all along where nobody knows. None where there is no target at all
    class_labels : (n_classes,) the labels as they stand in the data, in code order: strings, integers, booleans, floats
    ids : (n,) what identifies each row: its number from 0 or a file's path, as an array, or a column as polars read it
    name : where the data came from
    column : the table's column that the images or texts stood in, where there is one
    notes : what reading did that a person may want to know, a line each
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
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_labels)

    @property
    def has_sets(self) -> bool:
        """Whether a row has a set of the classes rather than one."""
        return self.labels is not None and self.labels.ndim == 2

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """(n,) whether a row's label or set of labels is known."""
        if self.labels is None:
            return np.zeros(len(self), dtype=bool)
        return np.atleast_1d((self.labels >= 0).reshape(len(self), -1).all(axis=1))

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
        """Return the rows with these indices, in this order; the classes stay, even those left without rows."""
        rows = np.asarray(indices)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp, copy=False)
        return replace(
            self,
            inputs=self.inputs[rows],
            labels=None if self.labels is None else self.labels[rows],
            ids=self.ids[rows],
        )
