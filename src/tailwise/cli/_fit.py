"""``tailwise fit``: the main job, from data to a tested model; and ``demo``, which runs it on digits."""

from __future__ import annotations

import json as json_module
import shutil
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from tailwise import storage
from tailwise.cli import _show
from tailwise.cli._show import escape
from tailwise.cli._source import Source, number_or_file, settings, without_labels
from tailwise.data import Dataset, as_dataset, label_set_split, longtail, make_long_tailed, stratified_split
from tailwise.diagnose import copies, diagnose
from tailwise.errors import Interrupted, TailwiseError, UnsavableWarning
from tailwise.estimators import TailClassifier, TailMultilabelClassifier
from tailwise.processes import is_first, together, writing
from tailwise.recipes import PLAIN, Recipe, load_recipes_from, recipe
from tailwise.report import write_report
from tailwise.report.tested import tested
from tailwise.report.words import behind
from tailwise.wording import plural

_TEST_SHARE = 0.2

_BEGUN = "fit.json"
#: What a fit that is killed at once leaves: the lock, and the part of ``fit.json`` that was written.
_FIRST_FILES = (".lock", f".{_BEGUN}.")


def run(
    source: Source,
    output: Path,
    *,
    test: str | None,
    test_share: float | None,
    recipes: str,
    recipe_settings: Sequence[str],
    objective: str | None,
    options: dict[str, Any],
    long_tailed: float | None,
    resume: bool,
    recipe_files: Sequence[Path],
    force: bool,
    json: bool,
) -> None:
    """Read the data, then do the main job on it."""
    if test is not None and test_share is not None:
        raise TailwiseError("--test-share is of DATA, of which nothing is held out with --test: give one of them.")
    for file in recipe_files:
        load_recipes_from(file)
    chosen = _recipes(recipes, recipe_settings)
    options |= {"recipe": chosen}
    if objective is not None:
        options["objective"] = number_or_file(objective, "cost matrix")
    with writing(output):  # from here on, so that a second fit is refused before it reads its data
        storage.check_free(output, force=force or resume)
        train = source.load()
        if train.labels is None:
            raise without_labels(train, "labels to learn from")
        test_data = None if test is None else replace(source, path=test).load(train)
        if long_tailed is not None:
            train = _long_tailed(train, long_tailed)
        main_job(
            train,
            test_data,
            source,
            output,
            test_share=test_share,
            options=options,
            resume=resume,
            force=force,
            json=json,
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
        _long_tailed(everything.take(train), 50, "random"),  # the first of a class are all of one writer
        everything.take(test),
        Source("scikit-learn's handwritten digits"),
        output,
        options={"random_state": 0},
        force=force,
        json=json,
    )


def main_job(
    train: Dataset,
    test_data: Dataset | None,
    source: Source,
    output: Path,
    *,
    options: dict[str, Any],
    test_share: float | None = None,
    resume: bool = False,
    force: bool = False,
    json: bool = False,
) -> None:
    """Diagnose, hold out the test data, compare and train, measure beside the plain learner, save and report."""
    in_training = 0 if test_data is None else _copies(test_data, train)
    storage.check_free(output, force=force or resume)  # a resumed fit was itself about to write what it finds there
    console = Console(stderr=json, highlight=False, quiet=not is_first())
    status = console.status("preparing", spinner="line")
    with writing(output), _working_folder(output, resume=resume, force=force) as work:
        estimator = TailMultilabelClassifier if train.has_sets else TailClassifier
        classifier = estimator(
            **options, baseline=True, work_dir=work, verbose=lambda line: status.update(escape(line))
        )
        whole, notes = train, list(train.notes)
        if test_data is None:
            split = label_set_split if train.has_sets else stratified_split
            learn, aside = split(np.asarray(train.labels), test_share or _TEST_SHARE, options["random_state"])
            train, test_data = train.take(learn), train.take(aside)
        else:
            notes += [f"{test_data.name}: {note}" for note in test_data.notes]
        classifier.check_options(train)
        found = diagnose(whole)
        _show.diagnosis(console, found)
        if train is not whole:  # what is given was checked before
            in_training = _copies(test_data, train)

        console.print()
        with status:
            with warnings.catch_warnings(action="error", category=UnsavableWarning):
                classifier.fit(train)
            _meet()  # none of the others needs the folder any more
            if not is_first():
                return
            status.update("measuring")
            model, baseline = classifier.model_, classifier.baseline_
            objective = model.card["objective"]
            plain = baseline.evaluate(test_data)
            answer = model.answer(test_data)
            evaluation = model.measure(np.asarray(test_data.labels), answer)
            if objective not in evaluation:
                notes.append(f"{objective} cannot be measured on these examples; a class may have none.")
            notes += getattr(model.encoder, "notes_", ())
            report = tested(
                model,
                test_data,
                answer,
                evaluation,
                baseline=plain,
                diagnosis=found,
                in_training=in_training,
                notes=notes,
            )
            model.save(
                output,
                force=force or resume,
                evaluation=evaluation.to_dict(),
                source=source.to_dict(train),
                report=report.to_dict(),
            )
            write_report(output / storage.PAGE, report)

    notes = [*filter(None, [behind(report.evaluation, report.baseline, objective)]), *report.notes]
    _tell(console, model, evaluation, plain, in_training, None if train is whole else len(train))
    for note in notes:
        console.print(f"[dim]· {escape(note)}[/]")
    page = output / storage.PAGE
    console.print(f"\nModel in [bold]{escape(str(output))}[/], report in [bold]{escape(str(page))}[/]")
    if json:
        everything = {
            "model": str(output),
            "card": model.card,
            "evaluation": evaluation.to_dict(),
            "plain": plain.to_dict(),
            "findings": found.to_dict()["findings"],
            "notes": notes,
        }
        print(json_module.dumps(everything, indent=1))


def _tell(console: Console, model: Any, evaluation: Any, plain: Any, in_training: int, others: int | None) -> None:
    """Print the comparison and the test; ``others`` are the examples that the test data was held out of."""
    _show.comparison(console, model.card["comparison"], model.card["objective"])
    examples = plural(evaluation.n_examples, "example")
    known = (
        f", but [yellow]the training data holds copies of {in_training:,} of them, which the model has seen[/]"
        if in_training
        else " used neither for training nor for selection"
    )
    if others is not None:
        known += f"; groups are those of the {others:,} others"
    console.print(f"\n[bold]Test[/] on {examples}{known}")
    columns = {model.card["recipe"]: evaluation}
    columns |= {} if model.card["recipe"] == PLAIN.name else {"plain": plain}
    _show.evaluations(console, columns, model.card["objective"])


def _copies(test_data: Dataset, train: Dataset) -> int:
    """Return how many of the test examples the training data holds too.

    Raises
    ------
    TailwiseError
        Before training, if a model of the training data could not be tested on ``test_data``.
    """
    if test_data.labels is None or not test_data.is_labelled.any():
        raise without_labels(test_data, "labelled rows to test the model on")
    if test_data.kind != train.kind:
        raise TailwiseError(f"{test_data.name} holds {test_data.kind} data, but {train.name} holds {train.kind} data.")
    if test_data.has_sets != train.has_sets:
        one, other = ("a set of labels" if data.has_sets else "one label" for data in (test_data, train))
        raise TailwiseError(f"{test_data.name} has {one} per row, but {train.name} has {other}.")
    if test_data.has_sets and not (test_data.labels > 0).any():
        raise TailwiseError(f"{test_data.name} has no row with a label to test the model on.")
    return int(copies(test_data, train).sum())


def _recipes(names: str, pairs: Sequence[str]) -> list[str | Recipe]:
    """Return what ``--recipe`` and ``--set`` ask for."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    own = [name for name in wanted if name != "auto"]
    if pairs and len(own) != 1:
        raise TailwiseError(f"--set changes one recipe: name {'only one' if own else 'it'} with --recipe.")
    return [name if name == "auto" else recipe(name, **settings(pairs)) for name in wanted]


def _long_tailed(data: Dataset, imbalance_factor: float, order: Literal["file", "random"] = "file") -> Dataset:
    """Keep the first examples of each class, or random ones, exponentially fewer from class to class."""
    if data.has_sets:
        raise TailwiseError(
            "--make-long-tailed needs one label per row: rows with sets of labels cannot be thinned out class by class."
        )
    assert data.labels is not None
    counts = data.class_counts
    smallest = int(counts.argmin())
    if not 1 <= imbalance_factor <= counts[smallest]:
        raise TailwiseError(
            f"--make-long-tailed must be from 1 to {counts[smallest]}: the smallest class, {data.classes[smallest]!r}, "
            f"has {plural(int(counts[smallest]), 'example')}, and no class may keep more; got {imbalance_factor:g}."
        )
    kept = longtail.exponential(int(counts[smallest]), imbalance_factor, data.n_classes)
    note = (
        f"{plural(len(data) - int(kept.sum()), 'row')} of {len(data):,} left out to make the data long-tailed: the "
        f"smallest class, {data.classes[smallest]!r} with {plural(int(counts[smallest]), 'example')}, sets the largest."
    )
    rows = make_long_tailed(data.labels, kept, order, random_state=0)
    return replace(data.take(rows), notes=(*data.notes, note))


@contextmanager
def _working_folder(output: Path, *, resume: bool, force: bool) -> Iterator[Path]:
    """Yield the folder beside the output where a fit keeps what it has finished; it is removed when the fit is done.

    It is also removed when a fit that started here is refused before it finished anything, so that the command can be
    corrected and run again. An interrupted fit leaves it behind, and so does a resumed one. Of the processes that share
    a fit, the first takes care of it.
    """
    work = output.parent / f"{output.name}.unfinished"
    if is_first():
        _prepare(work, resume=resume, force=force)
    _meet()  # none of the others looks into the folder before
    try:
        yield work
    except Exception:
        if is_first() and not resume and work.exists() and not _anything_finished(work):
            shutil.rmtree(work)
        raise
    except (KeyboardInterrupt, SystemExit) as ended:
        code = ended.code if isinstance(ended, SystemExit) else 128 + signal.SIGINT
        if code not in (128 + signal.SIGINT, 128 + signal.SIGTERM) or not (work / _BEGUN).exists():
            raise
        raise Interrupted("interrupted; to continue, run the same command with --resume.", code) from None
    if is_first():
        shutil.rmtree(work)


def _meet() -> None:
    """Wait for the other processes that share the fit, if there are any."""
    if together() > 1:
        from tailwise.engine import meet

        meet()


def _prepare(work: Path, *, resume: bool, force: bool) -> None:
    """Clear away the work of a fit that was stopped, if it may go; raise TailwiseError if the folder cannot be used."""
    begun = (work / _BEGUN).exists()
    if resume and not begun:
        raise TailwiseError(f"there is no unfinished fit in {work}: run without --resume.")
    if work.exists() and not resume:
        if not begun and not all(entry.name.startswith(_FIRST_FILES) for entry in work.iterdir()):
            raise TailwiseError(f"{work} holds files that do not belong to a fit: move them away.")
        if begun and not force:
            raise TailwiseError(
                f"{work} holds an interrupted fit: continue it with --resume, or start over with --force."
            )
        shutil.rmtree(work)


def _anything_finished(work: Path) -> bool:
    """Say whether a fit has scores of a fold or a checkpoint there."""
    return any(entry.suffix == ".npz" or (entry.is_dir() and any(entry.iterdir())) for entry in work.iterdir())
