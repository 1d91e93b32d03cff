"""``tailwise predict``: answers for new data, streamed into CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from tailwise import storage
from tailwise.cli._show import escape
from tailwise.cli._source import Source, number_or_file
from tailwise.data import Dataset, stream
from tailwise.data.broken import reading
from tailwise.data.labels import class_name
from tailwise.data.paths import existing, named, table_format
from tailwise.data.separated import csv_header
from tailwise.data.tables import scan
from tailwise.errors import TailwiseError
from tailwise.estimators import LabelModel, Model, load_model
from tailwise.wording import plural

_SHOWN = 6  # classes whose shares are told, those that moved most

if TYPE_CHECKING:
    import polars as pl


def run(model: Path, new: Source, *, output: Path, prior: str, force: bool) -> None:
    """Predict batch by batch; the file appears under its name once it is complete."""
    if output.suffix not in (".csv", ".parquet"):
        raise TailwiseError(f"predictions are written as .csv or .parquet; got {output.name!r}.")
    if output.exists() and (given := Path(new.path).expanduser()).exists() and output.samefile(given):
        raise TailwiseError(f"{output} is the data to predict on; choose another name for the predictions.")
    if output.exists() and not force:
        raise TailwiseError(f"{output} already exists; choose another name, or overwrite it with --force.")
    fitted = load_model(model)
    in_text = output.suffix == ".csv"
    joint = joiner(fitted) if in_text else ""
    console = Console(stderr=True, highlight=False)
    new = with_id(fitted, new)
    known = fitted.documents.get("source", {}).get("id")
    if new.id is None and known is not None:
        console.print(f"[dim]· there is no column {escape(repr(known))} here, so rows are numbered[/]")
    shares = prior_for(fitted, prior, batches(fitted, new))
    if shares_line := prior_line(fitted, prior, shares):
        console.print(shares_line)
    output.parent.mkdir(parents=True, exist_ok=True)
    columns = TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn()
    with storage.atomic_write(output, "wb") as file, Progress(*columns, console=console, transient=True) as bar:
        rows = bar.add_task("predict", total=None)
        parts = noted(fitted, batches(fitted, new), console)
        labels = [class_name(label) for label in fitted.classes] if in_text else fitted.classes
        frames = (_frame(fitted, part, shares, labels) for part in (_spelt(parts) if in_text else parts))
        write = partial(_write_csv, joint=joint) if in_text else _write_parquet
        for height in write(file, frames):
            bar.advance(rows, height)
        total = int(bar.tasks[rows].completed)
    console.print(f"{plural(total, 'prediction')} in [bold]{escape(str(output))}[/]")


def joiner(model: Model | LabelModel) -> str:
    """Return the separator between labels in a text file: that of the training data, or a bar."""
    between = model.documents.get("source", {}).get("separator") or "|"
    odd = next((name for name in map(class_name, model.classes) if between in name), None)
    if isinstance(model, LabelModel) and odd is not None:
        raise TailwiseError(
            f"label {odd!r} contains {between!r}, the separator between labels in .csv: write .parquet."
        )
    return between


def with_id(model: Model | LabelModel, new: Source) -> Source:
    """Return the source with the id column of the training data, if none is named and the new data has it."""
    known, path = model.documents.get("source", {}).get("id"), existing(new.path)
    if new.id is not None or known is None or table_format(path) is None:
        return new
    with reading(path):
        names = csv_header(path)[1] if table_format(path) == "csv" else scan(path).collect_schema().names()
    return replace(new, id=known) if known in names else new


def batches(model: Model | LabelModel, new: Source, classes: NDArray[Any] | None = None) -> Iterator[Dataset]:
    """Yield new data in the form of the data that the model was trained on, with labels if there are classes."""
    for kind, column in (("text", new.text), ("image", new.image)):
        if column is not None and kind != model.kind:
            raise TailwiseError(f"--{kind} {column}: the model was not trained on {kind}s but on {model.kind} data.")
    trained = model.documents.get("source", {})
    return stream(
        new.path,
        new.target,
        separator=new.separator,
        kind=model.kind,  # type: ignore[arg-type]
        column=new.text or new.image or trained.get("column"),
        id=new.id,
        image_size=trained.get("image_size"),
        channels=trained.get("channels"),
        broken="skip" if new.skip_broken else "error",
        classes=classes,
        features=getattr(model.encoder, "needed", ()),
        strings=getattr(model.encoder, "strings_", ()),
    )


def noted(model: Model | LabelModel, parts: Iterator[Dataset], console: Console) -> Iterator[Dataset]:
    """Yield the batches, and print what reading left out of each and, after the last, what the model ignored of all.

    A batch of which everything was left out is not yielded.
    """
    said: set[str] = set()
    lost = model.encoder.lost_values() if hasattr(model.encoder, "lost_values") else None
    target = model.documents.get("source", {}).get("target")

    def say(notes: Iterable[str]) -> None:
        for note in notes:
            if note not in said:
                console.print(f"[dim]· {escape(note)}[/]")
        said.update(notes)

    for part in parts:
        if len(part):
            yield part
        say(part.notes)
        if lost is not None:
            lost.add(part.inputs.select(named([name for name in part.inputs.columns if name != target])))
    say(lost.notes() if lost is not None else ())


def _spelt(parts: Iterator[Dataset]) -> Iterator[Dataset]:
    """Yield the batches if a file of text can hold their ids."""
    import polars as pl

    for part in parts:
        dtype = pl.Series(part.ids).dtype
        if dtype.is_nested() or dtype in (pl.Binary, pl.Duration):
            raise TailwiseError(f"the ids are of type {dtype}, which .csv cannot hold: write .parquet.")
        yield part


def prior_line(model: Model | LabelModel, prior: str, shares: Any) -> str:
    """Return a line with the estimated class shares that moved most, beside those in training."""
    if prior != "estimate":
        return ""
    trained = model.class_counts / model.class_counts.sum()
    if np.array_equal(shares, trained):
        return "Class shares are taken to be those in training: chance explains the difference of this data"
    most = np.argsort(-np.abs(shares - trained), kind="stable")[:_SHOWN]
    names = (f"{escape(class_name(model.classes[c]))} {shares[c]:.3g} [dim]({trained[c]:.3g})[/]" for c in most)
    more = f", … of {model.n_classes:,} classes" if model.n_classes > _SHOWN else ""
    return f"Estimated class shares [dim](those in training)[/]: {', '.join(names)}{more}"


def prior_for(model: Model | LabelModel, prior: str, parts: Iterator[Dataset]) -> Any:
    """Return the class prior that ``--prior`` asks for, estimated from the data where it says so."""
    if isinstance(model, LabelModel):
        if prior != "train":
            raise TailwiseError("--prior is for one label per row; this model predicts sets of labels.")
        return prior
    shares = number_or_file(prior, "class shares")
    if isinstance(shares, str) and shares == "estimate":
        return model.estimate_prior(part.inputs for part in parts if len(part))
    return shares


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
        names = map(class_name, model.classes)
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
