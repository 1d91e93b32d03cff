"""The model card: everything needed to say where a number came from."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import asdict
from typing import Any

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

    Where each row has one class, ``prior_corrected`` says whether training re-balanced the classes, so that
    probabilities were moved back to the training prior.
    """
    prior = {} if task.has_sets else {"prior_corrected": recipe.rebalances(task)}
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


def versions() -> dict[str, str]:
    """Return the versions of Tailwise, Python and what fits rest on."""
    found = {"tailwise": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
