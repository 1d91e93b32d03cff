"""``tailwise evaluate``: a model measured on labelled data, in memory that does not grow with it.

Only rankings of sets of labels, and a scorer of probabilities if the recipe was chosen by one, need those of all rows.
"""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from tailwise.cli import _show
from tailwise.cli._beside import batches, judging, noted, prior_for, prior_line, trained_on, with_id
from tailwise.cli._show import Measured, escape
from tailwise.cli._source import Source, without_labels
from tailwise.errors import TailwiseError
from tailwise.estimators import LabelAnswer, LabelModel, Model, load_model
from tailwise.metrics import Accumulator, evaluate
from tailwise.report.words import untested
from tailwise.wording import plural


def run(model: Path, new: Source, *, prior: str, json: bool) -> None:
    """Print how good a model is on labelled data."""
    fitted = load_model(model)
    trained = trained_on(fitted)
    new = with_id(fitted, replace(new, target=new.target or trained.get("target")))
    fitted = judging(fitted, new)
    if isinstance(fitted, LabelModel):
        separator = trained.get("separator") if new.separator is None else new.separator
        _run_of_sets(fitted, replace(new, separator=separator), prior, json)
        return
    if new.separator is not None:
        raise TailwiseError("--separator is for sets of labels; this model predicts one class per row.")
    shares = prior_for(fitted, prior, batches(fitted, new, fitted.classes))
    seen, objective = Accumulator(fitted.n_classes), fitted.objective
    rows: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    for part in noted(fitted, batches(fitted, new, fitted.classes), Console(stderr=True, highlight=False)):
        if part.labels is None:
            raise without_labels(part, "labels to measure against")
        if part.has_sets:
            raise TailwiseError(
                f"{new.path}, column {new.target!r}, has a set of labels per row, but this model predicts one class."
            )
        answer = fitted.answer(part.inputs, shares)
        seen.update(part.labels, answer.predicted, answer.proba, answer.sets)
        if objective is not None and objective.of_proba:
            known = part.is_labelled
            rows.append((part.labels[known], answer.predicted[known], answer.proba[known]))
    found = evaluate(seen, class_counts=fitted.class_counts, class_names=fitted.class_names)
    fitted.measure_objective(found, *map(np.concatenate, zip(*rows, strict=True)))
    _print(found, fitted, new, shares, prior_line(fitted, prior, shares), json)


def _run_of_sets(fitted: LabelModel, new: Source, prior: str, json: bool) -> None:
    """Print how good a model of sets of labels is; rankings need all answers at once, so that memory grows."""
    shares = prior_for(fitted, prior, iter(()))
    rows, predicted, proba = [], [], []
    for part in noted(fitted, batches(fitted, new, fitted.classes), Console(stderr=True, highlight=False)):
        if not part.has_sets:
            raise TailwiseError(
                f"{new.path} has no sets of labels to measure against: name their column with --target and, if it is "
                "text, their separator with --separator."
            )
        known = part.take(part.is_labelled)
        if not len(known):
            continue
        answer = fitted.answer(known.inputs)
        rows.append(np.asarray(known.labels))
        predicted.append(answer.predicted)
        proba.append(answer.proba.astype(np.float32))
    if not rows:
        raise TailwiseError(f"{new.path} has no row with known labels to measure against.")
    answer = LabelAnswer(np.concatenate(predicted), np.concatenate(proba))
    _print(fitted.measure(np.concatenate(rows), answer), fitted, new, shares, "", json)


def _print(found: Measured, fitted: Model | LabelModel, new: Source, shares: Any, line: str, json: bool) -> None:
    objective = fitted.card["objective"]
    if json:
        if isinstance(shares, np.ndarray):
            shares = dict(zip(fitted.class_names, shares.tolist(), strict=True))
        of = {"recipe": fitted.card["recipe"], "objective": objective, "prior": shares}
        print(json_module.dumps({**of, **found.to_dict()}, indent=1))
        return
    console = Console(highlight=False)
    examples = plural(found.n_examples, "labelled example")
    console.print(f"[bold]{fitted.card['recipe']}[/] on {examples} of {escape(new.path)}\n")
    if line:
        console.print(line)
    if isinstance(fitted, Model) and fitted.objective is None:
        console.print(f"[dim]· {escape(objective)} is not measured: functions are not saved with a model[/]")
    _show.evaluations(console, {fitted.card["recipe"]: found}, objective)
    if missing := untested(found.to_dict()):
        console.print(f"[yellow]![/] {escape(missing)}")
    console.print()
    _show.classes(console, found)
