"""``tailwise fit``: the main job from data to a proven model, and ``demo``, which runs it on digits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tailwise import metrics
from tailwise.cli import _show
from tailwise.cli._source import Source, number_or_file, settings
from tailwise.data import Dataset, longtail, stratified_split
from tailwise.diagnose import diagnose
from tailwise.errors import TailwiseError
from tailwise.estimators import Model, TailClassifier
from tailwise.recipes import load_recipes_from, recipe
from tailwise.report import write_report


def run(
    source: Source,
    *,
    output: Path,
    test: str | None,
    test_share: float,
    classifier: dict[str, Any],
    long_tailed: float | None,
    resume: bool,
    recipe_files: Sequence[Path],
    force: bool,
    json: bool,
) -> None:
    """Read, diagnose, split, fit, prove, save and report."""
    for file in recipe_files:
        load_recipes_from(file)
    check_output(output, force)
    train = source.load()
    held_out = replace(source, path=test).load(classes=train) if test is not None else None
    if long_tailed is not None:
        train = make_long_tailed(train, long_tailed, classifier["random_state"])
    fit(train, held_out, output=output, test_share=test_share, classifier=classifier, resume=resume, force=force, json=json)
