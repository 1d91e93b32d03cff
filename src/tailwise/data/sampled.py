"""Samples of tables that are too large for memory, with the whole tail."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tailwise.counts import capped_counts, class_counts
from tailwise.data.broken import reading
from tailwise.data.dataset import Dataset
from tailwise.data.frames import as_dataset
from tailwise.data.labels import encode_labels, trimmed
from tailwise.data.paths import named, require_columns
from tailwise.data.splits import place_in_class
from tailwise.data.tables import batches, scan
from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator

if TYPE_CHECKING:
    import polars as pl


def sample(
    path: str | Path, target: str, rows: int, *, random_state: RandomState = None
) -> tuple[Dataset, NDArray[np.int64]]:
    """Read a sample of a table without cutting its tail, in memory that does not grow with the table.

    Every class keeps its rows up to a common cap: the largest cap that gives at most ``rows`` rows. In larger classes,
    all rows are equally likely to be kept. Rows without a label are dropped. The file is read twice.

    Parameters
    ----------
    path : see :func:`scan`; Parquet files and uncompressed CSV files are streamed, others may be read whole
    target : column with the labels
    rows : maximum number of rows in the sample
    random_state : seed or generator

    Returns
    -------
    data : the sample, as a table
    counts : (n_classes,) class counts of the whole file. A model trained on the sample has learned the sample's class
        prior; :func:`tailwise.posthoc.prior_shift` converts its probabilities to the prior of the file

    Raises
    ------
    TailwiseError
        As for :func:`load`; also if ``rows`` is less than one per class.

    Source: selection sampling, Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S, applied
    batch by batch.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pl.DataFrame({"x": range(100), "kind": ["a"] * 90 + ["b"] * 10}).write_parquet(f"{folder}/all.parquet")
    ...     data, counts = sample(f"{folder}/all.parquet", "kind", 30, random_state=0)
    >>> data.class_counts.tolist(), counts.tolist()
    ([20, 10], [90, 10])
    """
    import polars as pl

    if not isinstance(rows, Real):
        raise TailwiseError(f"rows must be a number; got {rows!r}.")
    where = f"{path}, column {target!r}"
    table = scan(path, as_text=[target])
    require_columns(table.collect_schema().names(), [target], str(path))
    with reading(Path(path)):
        distinct = table.select(named(target)).unique().collect(engine="streaming")[target]
    classes = encode_labels(trimmed(distinct), None, where)[1]
    left = np.zeros(len(classes), dtype=np.int64)
    for batch in batches(path, columns=[target], as_text=[target]):
        left += class_counts(encode_labels(trimmed(batch[target]), classes, where)[0], len(classes))
    counts = left.copy()
    wanted = capped_counts(counts, int(rows))
    rng = generator(random_state)
    kept: list[pl.DataFrame] = []
    for batch in batches(path, as_text=[target]):
        codes = encode_labels(trimmed(batch[target]), classes, where)[0]
        here = class_counts(codes, len(classes))
        taken = _taken(here, left - here, wanted, rng)
        kept.append(batch.filter((codes >= 0) & (place_in_class(codes, rng) < taken[codes])))
        left, wanted = left - here, wanted - taken
    frame = pl.concat(kept)
    labels, _ = encode_labels(trimmed(frame[target]), classes, where)
    if frame.width == 1:
        raise TailwiseError(f"{path} has no columns beside {target}: there is nothing to learn from.")
    data = as_dataset(frame.drop(named(target)), kind="table", name=Path(path).name)
    return replace(data, labels=labels, class_labels=classes), counts


def _taken(
    here: NDArray[np.int64], rest: NDArray[np.int64], wanted: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw how many of each class's rows ``here`` are among the ``wanted`` rows of ``here`` and ``rest``, (n_classes,).

    NumPy's hypergeometric distribution is limited to less than 10**9 other rows; with more, each row here draws its
    place among all.
    """
    small = rest < 10**9
    taken = np.empty_like(here)
    taken[small] = rng.hypergeometric(here[small], rest[small], wanted[small])
    for c in np.flatnonzero(~small):
        taken[c] = np.count_nonzero(rng.choice(here[c] + rest[c], here[c], replace=False, shuffle=False) < wanted[c])
    return taken
