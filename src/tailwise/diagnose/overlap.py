"""Test examples that the training data holds too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from tailwise.data import Dataset
from tailwise.data.columns import read_as
from tailwise.data.paths import require_columns
from tailwise.errors import TailwiseError


def copies(test: Dataset, training: Dataset) -> NDArray[np.bool_]:
    """Say for each labelled test example whether the training data holds the same one, with the same label.

    Tables are compared by the columns that have values in the training data, read as they are there.

    Parameters
    ----------
    test, training : labelled data of one kind, with the same classes

    Raises
    ------
    TailwiseError
        If the classes differ, a table has no column with values, or the test data lacks one or holds something else in
        it.

    Examples
    --------
    >>> from tailwise.data import as_dataset
    >>> training = as_dataset([[1.0], [2.0], [3.0]], ["a", "a", "b"])
    >>> test = as_dataset([[3.0], [2.0], [4.0]], ["b", "b", "a"])  # the second is there with another label
    >>> copies(test, training).tolist()
    [True, False, False]
    """
    if not np.array_equal(test.class_labels, training.class_labels):
        raise TailwiseError(f"{test.name} has other classes than {training.name}, or another order of them.")
    if training.kind == "table":
        keys = [frame.hash_rows().to_numpy() for frame in _as_training_reads(test, training)]
    else:
        keys = [_keys(contents(data.inputs)) for data in (test, training)]
    sought, there = (key ^ _label_keys(data) for key, data in zip(keys, (test, training), strict=True))
    return np.isin(sought, there) & test.is_labelled


def _as_training_reads(test: Dataset, training: Dataset) -> Iterator[pl.DataFrame]:
    """Yield both tables with what their columns mean."""
    readings = {column.name: read_as(column) for column in training.inputs}
    some = {name: reading for name, reading in readings.items() if reading.kind != "empty"}
    if not some:
        raise TailwiseError(
            f"{training.name} has no column with values besides the labels: there is nothing to learn from."
        )
    require_columns(test.inputs.columns, list(some), test.name)
    yield pl.DataFrame([reading(test.inputs[name]) for name, reading in some.items()])
    yield pl.DataFrame([reading.read(training.inputs[name]) for name, reading in some.items()])


def contents(inputs: Any) -> Iterator[bytes]:
    """Yield what each text, image or row of numbers holds, the same for the same numbers of any type."""
    if sparse.issparse(inputs):
        inputs = inputs.tocsr(copy=True)  # the matrix may be the user's own
        inputs.sum_duplicates()
        inputs.eliminate_zeros()
        for start, end in zip(inputs.indptr[:-1], inputs.indptr[1:], strict=True):
            yield inputs.indices[start:end].astype(np.int64).tobytes() + inputs.data[start:end].astype(float).tobytes()
        return
    for row in inputs:
        if isinstance(row, str):
            yield row.encode()
        else:
            yield (row if row.dtype == np.uint8 else row.astype(float)).tobytes()


def _label_keys(data: Dataset) -> NDArray[np.uint64]:
    labels = np.asarray(data.labels)
    return _keys(row.tobytes() for row in labels) if data.has_sets else labels.astype(np.uint64)


def _keys(rows: Iterable[bytes]) -> NDArray[np.uint64]:
    """Return a number for each row, the same for the same content."""
    return np.array([int.from_bytes(blake2b(row, digest_size=8).digest()) for row in rows], dtype=np.uint64)
