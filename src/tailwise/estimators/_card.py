"""The model card: everything needed to say where a number came from."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise import __version__
from tailwise.estimators._compare import Comparison
from tailwise.estimators._objective import Objective
from tailwise.recipes import Recipe

_PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "polars", "skrub", "torch", "lightning-fabric")


def model_card(
    recipe: Recipe, comparison: Comparison, objective: Objective, learner: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    """Return what was trained, on what, how it was chosen, and with which versions, as plain data.

    Parameters
    ----------
    learner : what the learner says of itself: kind, parameter count, epochs, augmentation
    data : number of rows, subset hash, seed
    """
    chosen = next(row for row in comparison.rows if row.status == "selected")
    return {
        "recipe": recipe.name,
        "settings": chosen.settings,
        "paper": recipe.paper,
        "learner": learner,
        "data": data,
        "objective": objective.name,
        "comparison": [row.to_dict() for row in comparison.rows],
        "versions": {"tailwise": __version__, "python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def sentence(recipe: Recipe, learned: NDArray[np.float64], prior: NDArray[np.float64]) -> str:
    """Say in a sentence whether the probabilities were moved back to the training prior."""
    if np.allclose(learned, prior):
        return "Training did not re-balance the classes, so the probabilities needed no prior correction."
    return (
        f"{recipe.name} trains as if the classes had other shares; the probabilities were moved back to the training "
        "prior, so that they say how often a class really occurs there."
    )
