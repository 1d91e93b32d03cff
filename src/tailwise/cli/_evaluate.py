"""``tailwise evaluate``: a model measured on labelled data, in memory that does not grow with it."""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tailwise.cli import _show
from tailwise.cli._predict import batches, noted, prior_for, prior_line, with_id
from tailwise.cli._source import Source
from tailwise.data.labels import class_name
from tailwise.errors import TailwiseError
from tailwise.estimators import Model
from tailwise.metrics import Accumulator, evaluate
from tailwise.metrics.estimates import Estimate
from tailwise.report.words import untested


def run(model: Path, new: Source, *, prior: str, json: bool) -> None:
    """Print how good a model is on labelled data."""
    fitted = Model.load(model)
    new = with_id(fitted, replace(new, target=new.target or fitted.documents.get("source", {}).get("target")))
    shares = prior_for(fitted, prior, batches(fitted, new))
    seen = Accumulator(fitted.n_classes)
    for part in noted(fitted, batches(fitted, new), Console(stderr=True, highlight=False)):
        if part.labels is None:
            raise TailwiseError(f"{new.path} has no labels to measure against: name their column with --target.")
        answer = fitted.answer(part.inputs, shares)
        seen.update(part.labels, answer.codes, answer.proba, answer.sets)
    names = [class_name(label) for label in fitted.classes]
    found = evaluate(seen, class_counts=fitted.class_counts, class_names=names)
    objective = fitted.card["objective"]
    if fitted.chains.cost is not None:
        found.overall[objective] = Estimate(-float((found.confusion * fitted.chains.cost).sum()) / found.n_examples)
    if json:
        print(json_module.dumps(found.to_dict(), indent=1))
        return
    console = Console(highlight=False)
    console.print(f"[bold]{fitted.card['recipe']}[/] on {found.n_examples:,} labelled examples of {escape(new.path)}\n")
    if shares_line := prior_line(fitted, shares):
        console.print(shares_line)
    _show.evaluations(console, {fitted.card["recipe"]: found}, objective)
    if missing := untested(found.to_dict()):
        console.print(f"[yellow]![/] {escape(missing)}")
    console.print()
    _show.classes(console, found)
