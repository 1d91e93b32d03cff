"""``tailwise predict``: answers for new data, streamed into CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from tailwise import storage
from tailwise.cli._source import number_or_file
from tailwise.data import Dataset, stream
from tailwise.errors import TailwiseError
from tailwise.estimators import Answer, Model

if TYPE_CHECKING:
    import polars as pl


def run(model: Path, data: str, *, output: Path, prior: str, id: str | None, force: bool) -> None:
    """Predict batch by batch; the file appears under its name when it is complete."""
    if output.suffix not in (".csv", ".parquet"):
        raise TailwiseError(f"predictions are written as .csv or .parquet; got {output.name!r}.")
    if output.exists() and not force:
        raise TailwiseError(f"{output} is there already; choose another name, or replace it with --force.")
    fitted, source = Model.load(model), storage.read_folder(model).documents.get("source", {})
    shares = prior_for(fitted, prior, batches(fitted, source, data))
    console = Console(stderr=True, highlight=False)
    columns = TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn()
    with storage.atomic_write(output, "wb") as file, Progress(*columns, console=console, transient=True) as bar:
        rows = bar.add_task("predict", total=None)
        parts = noted(fitted, batches(fitted, source, data, id=id or source.get("id")), console)
        frames = (_frame(fitted, part, fitted.answer(part.inputs, shares)) for part in parts)
        write = _write_csv if output.suffix == ".csv" else _write_parquet
        for height in write(file, frames):
            bar.advance(rows, height)
        total = int(bar.tasks[rows].completed)
    console.print(f"{total:,} predictions in [bold]{output}[/]")


def batches(
    model: Model, source: dict[str, Any], data: str, target: str | None = None, id: str | None = None
) -> Iterator[Dataset]:
    """Yield new data in the form of the data that the model was trained on."""
    classes = model.classes if target is not None else None
    options = {"column": source.get("column"), "image_size": source.get("image_size")}
    return stream(data, target, kind=model.kind, id=id, classes=classes, **options)  # type: ignore[arg-type]


def noted(model: Model, parts: Iterator[Dataset], console: Console) -> Iterator[Dataset]:
    """Yield the batches, and print what of the first one the model ignores or takes as missing, once it is answered."""
    for number, part in enumerate(parts):
        yield part
        if number == 0 and hasattr(model.encoder, "check"):
            for note in model.encoder.check(part.inputs):
                console.print(f"[dim]· {note}[/]")


def prior_for(model: Model, prior: str, parts: Iterator[Dataset]) -> Any:
    """Return the class prior that ``--prior`` asks for, estimated from the data where it says so."""
    shares = number_or_file(prior, "class shares")
    if isinstance(shares, str) and shares == "estimate":
        return model.estimate_prior(part.inputs for part in parts)
    return shares


def _frame(model: Model, part: Dataset, answer: Answer) -> pl.DataFrame:
    """Return one row per input: id, label, probabilities, prediction set."""
    import polars as pl

    names = [str(label) for label in model.classes]
    proba = {f"probability {name}": answer.proba[:, c].astype(np.float32) for c, name in enumerate(names)}
    sets = [[names[c] for c in np.flatnonzero(row)] for row in answer.sets]
    return pl.DataFrame({"id": part.ids, "label": model.classes[answer.codes], **proba, "prediction_set": sets})


def _write_csv(file: IO[bytes], frames: Iterator[pl.DataFrame]) -> Iterator[int]:
    import polars as pl

    for number, frame in enumerate(frames):
        as_json = pl.Series([json.dumps(names, ensure_ascii=False) for names in frame["prediction_set"].to_list()])
        frame.with_columns(prediction_set=as_json).write_csv(file, include_header=number == 0)
        yield frame.height


def _write_parquet(file: IO[bytes], frames: Iterator[pl.DataFrame]) -> Iterator[int]:
    from pyarrow.parquet import ParquetWriter

    first = next(frames)
    with ParquetWriter(file, first.to_arrow().schema) as writer:
        for frame in chain([first], frames):
            writer.write_table(frame.to_arrow())
            yield frame.height
