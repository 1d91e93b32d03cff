"""``tailwise predict``: answers for new data, streamed into CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from tailwise import storage
from tailwise.cli._beside import batches, judging, noted, prior_for, prior_line, trained_on, with_id
from tailwise.cli._show import escape
from tailwise.cli._source import Source
from tailwise.data import Dataset
from tailwise.errors import TailwiseError
from tailwise.estimators import LabelModel, Model, load_model
from tailwise.wording import plural

if TYPE_CHECKING:
    import polars as pl


def run(model: Path, new: Source, *, output: Path, prior: str, force: bool) -> None:
    """Predict batch by batch; the file appears under its name once it is complete."""
    if output.suffix not in (".csv", ".parquet"):
        raise TailwiseError(f"predictions are written as .csv or .parquet; got {output.name!r}.")
    if output.exists() and (given := Path(new.path).expanduser()).exists() and output.samefile(given):
        raise TailwiseError(f"{output} is the data to predict on; choose another name for the predictions.")
    if output.resolve().parent == model.resolve():
        raise TailwiseError(f"{output} would be among the model's own files: choose another folder.")
    if output.exists() and not force:
        raise TailwiseError(f"{output} already exists; choose another name, or overwrite it with --force.")
    fitted = load_model(model)
    in_text = output.suffix == ".csv"
    joint = joiner(fitted) if in_text else ""
    console = Console(stderr=True, highlight=False)
    new = with_id(fitted, new)
    known = trained_on(fitted).get("id")
    if new.id is None and known is not None:
        console.print(f"[dim]· there is no column {escape(repr(known))} here, so rows are numbered[/]")
    fitted = judging(fitted, new)
    shares = prior_for(fitted, prior, batches(fitted, new))
    if shares_line := prior_line(fitted, prior, shares):
        console.print(shares_line)
    output.parent.mkdir(parents=True, exist_ok=True)
    columns = TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn()
    with storage.atomic_write(output, "wb") as file, Progress(*columns, console=console, transient=True) as bar:
        rows = bar.add_task("predict", total=None)
        parts = noted(fitted, batches(fitted, new), console)
        labels = fitted.class_names if in_text else fitted.classes
        frames = (_frame(fitted, part, shares, labels) for part in (_spelt(parts) if in_text else parts))
        write = partial(_write_csv, joint=joint) if in_text else _write_parquet
        for height in write(file, frames):
            bar.advance(rows, height)
        total = int(bar.tasks[rows].completed)
    console.print(f"{plural(total, 'prediction')} in [bold]{escape(str(output))}[/]")


def joiner(model: Model | LabelModel) -> str:
    """Return the separator between labels in a text file: that of the training data, or a bar."""
    between = trained_on(model).get("separator") or "|"
    odd = next((name for name in model.class_names if between in name), None)
    if isinstance(model, LabelModel) and odd is not None:
        raise TailwiseError(
            f"label {odd!r} contains {between!r}, the separator between labels in .csv: write .parquet."
        )
    return between


def _spelt(parts: Iterator[Dataset]) -> Iterator[Dataset]:
    """Yield the batches if a file of text can hold their ids."""
    import polars as pl

    for part in parts:
        dtype = pl.Series(part.ids).dtype
        if dtype.is_nested() or dtype in (pl.Binary, pl.Duration):
            raise TailwiseError(f"the ids are of type {dtype}, which .csv cannot hold: write .parquet.")
        yield part


def _frame(model: Model | LabelModel, part: Dataset, prior: Any, labels: Sequence[Any] | NDArray[Any]) -> pl.DataFrame:
    """Return one row per input: id, label, probabilities, prediction set; or id, set of labels and probabilities.

    Parameters
    ----------
    labels : (n_classes,) how the classes are written
    """
    import polars as pl

    written = pl.Series(labels)

    def sets(rows: NDArray[Any]) -> pl.Series:
        of = written.to_list()
        return pl.Series([[of[c] for c in np.flatnonzero(row)] for row in rows], dtype=pl.List(written.dtype))

    def columns(proba: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
        names = model.class_names
        return {f"probability {name}": proba[:, c].astype(np.float32) for c, name in enumerate(names)}

    if isinstance(model, LabelModel):
        found = model.answer(part.inputs)
        return pl.DataFrame({"id": part.ids, "labels": sets(found.predicted), **columns(found.proba)})
    answer = model.answer(part.inputs, prior)
    decided, proba = written.gather(answer.predicted), columns(answer.proba)
    return pl.DataFrame({"id": part.ids, "label": decided, **proba, "prediction_set": sets(answer.sets)})


def _write_csv(file: IO[bytes], frames: Iterator[pl.DataFrame], joint: str) -> Iterator[int]:
    import polars as pl

    for number, frame in enumerate(frames):
        if "labels" in frame.columns:
            labels = pl.col("labels").list  # an empty cell would mean that they are unknown
            text = frame.with_columns(
                labels=pl.when(labels.len() > 0).then(labels.join(joint)).otherwise(pl.lit(joint))
            )
        else:
            as_json = pl.Series([json.dumps(names, ensure_ascii=False) for names in frame["prediction_set"].to_list()])
            text = frame.with_columns(prediction_set=as_json)
        text.write_csv(file, include_header=number == 0)
        yield frame.height


def _write_parquet(file: IO[bytes], frames: Iterator[pl.DataFrame]) -> Iterator[int]:
    from pyarrow.parquet import ParquetWriter

    first = next(frames)
    with ParquetWriter(file, first.to_arrow().schema) as writer:
        for frame in chain([first], frames):
            writer.write_table(frame.to_arrow())
            yield frame.height
