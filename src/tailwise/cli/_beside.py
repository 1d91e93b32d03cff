"""A model beside new data: how the data is read, what it lacks, and which class prior holds for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from tailwise.cli._show import escape
from tailwise.cli._source import Source, number_or_file
from tailwise.data import Dataset, stream, tables
from tailwise.data.broken import reading
from tailwise.data.frames import empty_texts
from tailwise.data.labels import class_name
from tailwise.data.paths import existing, named, table_format
from tailwise.data.separated import csv_header
from tailwise.data.tables import scan
from tailwise.errors import TailwiseError
from tailwise.estimators import LabelModel, Model
from tailwise.wording import plural

_SHOWN = 6  # classes whose shares are told, those that moved most


def trained_on(model: Model | LabelModel) -> dict[str, Any]:
    """Return how the training data was read, as far as it is known."""
    return model.documents.get("source", {})


def with_id(model: Model | LabelModel, new: Source) -> Source:
    """Return the source with the id column of the training data, if none is named and the new data has it."""
    known, path = trained_on(model).get("id"), existing(new.path)
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
    trained = trained_on(model)
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


def judging(model: Model | LabelModel, new: Source) -> Model | LabelModel:
    """Return the model for new data that comes in batches: it judges columns by all of them, as if read at once."""
    encoder = model.encoder
    unlabelled = replace(new, target=None, separator=None)
    first = next(batches(model, unlabelled), None) if hasattr(encoder, "judging") else None
    columns = [] if first is None else encoder.parsed(first.inputs)
    if not columns:
        return model
    as_text = [name for name in (new.target, new.id) if name is not None]
    parts = tables.batches(new.path, columns=columns, as_text=as_text, strings=encoder.strings_)
    return replace(model, encoder=encoder.judging(parts))


def noted(model: Model | LabelModel, parts: Iterator[Dataset], console: Console) -> Iterator[Dataset]:
    """Yield the batches, and print what reading left out of each and, after the last, what the model ignored of all.

    A batch of which everything was left out is not yielded.
    """
    said: set[str] = set()
    empty = 0
    lost = model.encoder.lost_values() if hasattr(model.encoder, "lost_values") else None
    target = trained_on(model).get("target")

    def say(notes: Iterable[str]) -> None:
        for note in notes:
            if note not in said:
                console.print(f"[dim]· {escape(note)}[/]")
        said.update(notes)

    for part in parts:
        if len(part):
            yield part
        say(part.notes)
        if part.kind == "text":
            empty += empty_texts(part.inputs)
        if lost is not None:
            lost.add(part.inputs.select(named([name for name in part.inputs.columns if name != target])))
    if empty:
        they = plural(empty, "text is empty, so it is", "texts are empty, so they are")
        say([f"{they} answered without a word to go by."])
    say(lost.notes() if lost is not None else ())


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


def prior_line(model: Model | LabelModel, prior: str, shares: Any) -> str:
    """Return a line with the estimated class shares that moved most, beside those in training."""
    if prior != "estimate":
        return ""
    trained = model.class_counts / model.class_counts.sum()
    if np.array_equal(shares, trained):
        return "Class shares are taken to be those in training: chance explains the difference of this data"
    most = np.argsort(-np.abs(shares - trained), kind="stable")[:_SHOWN]
    names = (f"{escape(class_name(model.classes[c]))}: {shares[c]:.4g} [dim]({trained[c]:.4g})[/]" for c in most)
    more = f", … of {model.n_classes:,} classes" if model.n_classes > _SHOWN else ""
    return f"Estimated class shares [dim](those in training)[/]: {', '.join(names)}{more}"
