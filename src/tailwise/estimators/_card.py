"""The model card: everything needed to say where a number came from."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np

from tailwise import __version__
from tailwise.engine.stage import Task
from tailwise.estimators._compare import Comparison
from tailwise.estimators._objective import Objective
from tailwise.recipes import Recipe

_PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "polars", "skrub", "torch", "lightning-fabric")


def model_card(
    recipe: Recipe,
    task: Task,
    comparison: Comparison,
    objective: Objective,
    learner: dict[str, Any],
    data: dict[str, Any],
) -> dict[str, Any]:
    """Return what was trained, on what, how it was chosen, and with which versions, as plain data.

    Parameters
    ----------
    learner : what the learner says of itself: kind, parameter count, epochs, augmentation, what it left out
    data : number of rows, subset hash, and the seed that, as ``random_state``, gives the same fit

    Where each row has one class, ``learned_prior`` says which class prior the scores assume: that of ``"training"``,
    the ``"uniform"`` one, ``"another"``, or one that is ``"unknown"``.
    """
    prior = {} if task.has_sets else {"learned_prior": _learned(recipe, task)}
    return {
        "recipe": recipe.name,
        "settings": asdict(recipe),  # type: ignore[call-overload]
        "paper": recipe.paper,
        "learner": learner,
        "data": data,
        **prior,
        "objective": objective.name,
        "comparison": [row.to_dict() for row in comparison.rows],
        "versions": versions(),
    }


def _learned(recipe: Recipe, task: Task) -> str:
    prior = recipe.learned_prior(task)
    if prior is None:
        return "unknown"
    known = {"training": task.class_prior, "uniform": task.uniform_prior}
    return next((name for name, shares in known.items() if np.allclose(prior, shares)), "another")


def versions() -> dict[str, str]:
    """Return the versions of Tailwise, Python and what fits rest on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    found = {"tailwise": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
