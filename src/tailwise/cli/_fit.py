"""``tailwise fit``: the main job from data to a proven model, and ``demo``, which runs it on digits."""

from __future__ import annotations

import json as json_module
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tailwise import storage
from tailwise.cli import _report, _show
from tailwise.cli._source import Source, number_or_file, settings
from tailwise.data import Dataset, as_dataset, longtail, make_long_tailed, single_example_classes, stratified_split
from tailwise.diagnose import diagnose
from tailwise.errors import TailwiseError
from tailwise.estimators import Answer, Model, TailClassifier
from tailwise.metrics import Evaluation
from tailwise.metrics import evaluate as measure
from tailwise.recipes import Recipe, load_recipes_from, recipe
from tailwise.report import Report, write_report


def run(
    source: Source,
    output: Path,
    *,
    test: str | None,
    test_share: float,
    recipes: str,
    recipe_settings: Sequence[str],
    objective: str,
    options: dict[str, Any],
    long_tailed: float | None,
    resume: bool,
    recipe_files: Sequence[Path],
    force: bool,
    json: bool,
) -> None:
    """Read the data, then do the main job on it."""
    for file in recipe_files:
        load_recipes_from(file)
    chosen = _recipes(recipes, recipe_settings)
    options |= {"recipe": chosen, "objective": number_or_file(objective, "cost matrix")}
    storage.check_free(output, force=force or resume)
    train = source.load()
    if train.labels is None:
        raise TailwiseError(f"{train.name} has no labels to learn from: name their column with --target.")
    proof = None if test is None else replace(source, path=test).load(train)
    if long_tailed is not None:
        train = _long_tailed(train, long_tailed)
    main_job(
        train, proof, source, output, test_share=test_share, options=options, resume=resume, force=force, json=json
    )


def demo(output: Path, *, force: bool, json: bool) -> None:
    """Do the main job on scikit-learn's handwritten digits, made long-tailed with imbalance factor 50."""
    import polars as pl
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    frame = pl.DataFrame(pixels.astype(np.uint8), schema=[f"pixel {i // 8},{i % 8}" for i in range(64)])
    everything = replace(as_dataset(frame, digits), name="handwritten digits")
    train, test = stratified_split(digits, 0.4, random_state=0)
    main_job(
        _long_tailed(everything.take(train), 50),
        everything.take(test),
        Source("scikit-learn's handwritten digits"),
        output,
        options={"random_state": 0},
        force=force,
        json=json,
    )


def main_job(
    train: Dataset,
    proof: Dataset | None,
    source: Source,
    output: Path,
    *,
    options: dict[str, Any],
    test_share: float = 0.2,
    resume: bool = False,
    force: bool = False,
    json: bool = False,
) -> None:
    """Diagnose, set the proof aside, compare and train, measure beside the plain learner, save and report."""
    work = _working_folder(output, resume)
    force = force or resume  # what a resumed fit finds at its output, it was about to write itself
    storage.check_free(output, force=force)
    console = Console(stderr=json, highlight=False)
    found = diagnose(train)
    _show.diagnosis(console, found)
    notes = list(train.notes)
    if proof is None:
        assert train.labels is not None
        alone = single_example_classes(train.labels)
        if len(alone):
            notes.append(
                f"{len(alone)} classes have one example each: it is learned from, so that they cannot be measured."
            )
        learn, aside = stratified_split(train.labels, test_share, options["random_state"])
        train, proof = train.take(learn), train.take(aside)
    if proof.labels is None or not (proof.labels >= 0).any():
        raise TailwiseError(
            f"{proof.name} has no labelled rows to prove the model on: name their column with --target."
        )

    console.print()
    with console.status("preparing", spinner="line") as status:
        classifier = TailClassifier(**options, baseline=True, work_dir=work, verbose=status.update).fit(train)
        status.update("measuring")
        model, baseline = classifier.model_, classifier.baseline_
        plain = _evaluate(baseline, proof, baseline.answer(proof.inputs))
        answer = model.answer(proof.inputs)
        evaluation = _evaluate(model, proof, answer)
        notes += getattr(model.encoder, "notes_", ())
        report = _report.content(model, found, proof, answer, evaluation, plain, notes)
        model.save(
            output,
            force=force,
            evaluation=evaluation.to_dict(),
            source=source.to_dict(train),
            report=report.to_dict(),
        )
        write_report(output / "report.html", report)
    shutil.rmtree(work)

    _show.comparison(console, model.card["comparison"], model.card["objective"])
    console.print(f"\n[bold]Proof[/] on {evaluation.n_examples:,} examples that nothing was learned from or chosen on")
    columns = {model.card["recipe"]: evaluation}
    _show.evaluations(console, columns if model.card["recipe"] == "cross-entropy" else {**columns, "plain": plain})
    for note in report.notes:
        console.print(f"[dim]· {note}[/]")
    console.print(f"\nModel in [bold]{output}[/], report in [bold]{output / 'report.html'}[/]")
    if json:
        print(
            json_module.dumps({"model": str(output), "card": model.card, "evaluation": evaluation.to_dict()}, indent=1)
        )


def rewrite_report(model: Path, output: Path, *, force: bool) -> None:
    """Write a model's report again."""
    if output.exists() and not force:
        raise TailwiseError(f"{output} is there already; choose another name, or replace it with --force.")
    documents = storage.read_folder(model).documents
    if "report" not in documents:
        raise TailwiseError(f"{model} was not made by tailwise fit, so there is nothing to report.")
    write_report(output, Report.from_dict(documents["report"]))
    Console(highlight=False).print(f"Report in [bold]{output}[/]")


def _evaluate(model: Model, proof: Dataset, answer: Answer) -> Evaluation:
    return measure(
        np.asarray(proof.labels),
        answer.codes,
        class_counts=model.class_counts,
        proba=answer.proba,
        sets=answer.sets,
        class_names=proof.classes,
    )


def _recipes(names: str, pairs: Sequence[str]) -> str | list[Recipe]:
    """Return what ``--recipe`` and ``--set`` ask for."""
    if names == "auto":
        if pairs:
            raise TailwiseError("--set needs one recipe to set something of: give --recipe too.")
        return "auto"
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if pairs and len(wanted) != 1:
        raise TailwiseError("--set needs one recipe, not several.")
    return [recipe(name, **settings(pairs)) for name in wanted]


def _long_tailed(data: Dataset, imbalance_factor: float) -> Dataset:
    """Keep the first examples of each class, exponentially fewer from class to class."""
    assert data.labels is not None
    n_max = int(data.class_counts.min())
    counts = longtail.exponential(n_max, imbalance_factor, data.n_classes)
    return data.take(make_long_tailed(data.labels, counts))


def _working_folder(output: Path, resume: bool) -> Path:
    """Return the folder beside the output where an unfinished fit keeps what it has."""
    work = output.parent / f"{output.name}.unfinished"
    if work.exists() and not resume:
        raise TailwiseError(f"{work} holds a fit that was stopped: go on with --resume, or delete it.")
    if resume and not work.exists():
        raise TailwiseError(f"there is no unfinished fit of {output} to resume; leave --resume out.")
    return work
