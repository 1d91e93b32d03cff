"""Try on a few rows what would be trained for long: what fails, or cannot be saved, is said before."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier

from tailwise.data.splits import keep_tail, rarest_label
from tailwise.errors import TailwiseError, UnsavableWarning
from tailwise.estimators._cache import Cache
from tailwise.estimators._compare import Comparison
from tailwise.estimators._fitted import FittedNetwork
from tailwise.estimators._load import load_model
from tailwise.estimators._model import Model
from tailwise.estimators._training import Training
from tailwise.processes import is_first
from tailwise.recipes import Recipe

_LONG = 2000  # rows, from which a fit takes much longer than one on a few
_FEW = 128  # examples of a rehearsal
_FEW_OF_CLASS = 10  # on average: as many as neighbours and folds within a class need


def rehearse(training: Training, candidates: Sequence[Recipe], estimator: Any, backbone: Any) -> None:
    """Try recipes of the user's own on a few rows, and the user's estimator if there are many.

    Whether what they make can be saved, and comes back, is known only once it is fitted; a warning tells if not.

    Raises
    ------
    TailwiseError
        If a recipe fails on all rows.
    """
    own = [candidate for candidate in candidates if not type(candidate).__module__.startswith("tailwise.")]
    if not own and estimator is not None and len(training.labels) > _LONG:
        own = [candidates[0]]
    for candidate in own:
        model = _on_a_few(training, candidate)
        if model is None:
            continue
        with TemporaryDirectory() as folder:
            try:
                model.save(Path(folder, "model"))
                if is_first():
                    load_model(Path(folder, "model"), backbone if callable(backbone) else None)
            except TailwiseError as error:
                warnings.warn(UnsavableWarning(f"recipe {candidate.name!r}: {error}"), stacklevel=5)


def _on_a_few(training: Training, recipe: Recipe) -> Model | None:
    """Return the model of a recipe trained and tested on a few rows, or on more as long as it fails.

    None if it fails on as many as do not take long, but on fewer than all: it may need more.
    """
    training.tell(f"{recipe.name}, on a few examples")
    of_class = training.labels if training.labels.ndim == 1 else rarest_label(training.labels)
    classes = int(of_class.max()) + 1
    most = max(_FEW, _FEW_OF_CLASS * classes)
    while True:
        rows = keep_tail(of_class, classes, most, np.random.default_rng(training.seed))
        try:
            return _on(training, recipe, rows)
        except TailwiseError:
            if len(rows) == len(of_class):
                raise
        if len(rows) >= _LONG:
            return None
        most *= 4


def _on(training: Training, recipe: Recipe, rows: NDArray[np.intp]) -> Model:
    """Return the model of a recipe trained on some rows and tested on the same."""
    all_of_them = np.arange(len(rows))
    few = replace(
        training,
        labels=training.labels[rows],
        inputs=training.inputs[rows],
        folds=[(all_of_them, all_of_them)],
        cache=Cache(None, {}),
        tell=lambda line: None,
    )
    few = replace(few, learner=_small(few.learner))
    fitted = few.on_everything(recipe.training)
    scores = few.scores(recipe.training, fitted, all_of_them)
    entrant = few.enter(recipe, few.task, few.labels, few.objective)
    entrant.add_fold(all_of_them, scores)
    return few.model(recipe, fitted, Comparison([entrant.row], recipe, {recipe: (all_of_them, scores)}))


def _small(learner: Any) -> Any:
    """Return a learner whose ensembles have two members: what they say of a few rows is not asked."""
    base = getattr(learner, "base", None)
    if base is None:
        return learner
    params = base.get_params()
    boosters = {name for name, part in {"": base, **params}.items() if isinstance(part, HistGradientBoostingClassifier)}
    counts = {f"{name}__max_iter".removeprefix("__") for name in boosters}
    counts |= {name for name in params if name.rpartition("__")[2] == "n_estimators"}
    few = {name: 2 for name in counts if isinstance(params[name], int) and params[name] > 2}
    return replace(learner, base=clone(base).set_params(**few))


def check_loaded(fitted: Any, inputs: Any, backbone: Any) -> None:
    """Warn if a network of the user's own would answer otherwise after saving and loading."""
    import torch

    from tailwise.engine import seeded_by

    rows = inputs[:_FEW]
    with suppress(TailwiseError), seeded_by(torch.device("cpu"), 1):  # an error is for save() to tell
        description, weights = fitted.describe()
        loaded = FittedNetwork.rebuild(description, weights, backbone)
        if not np.allclose(loaded.scores(rows), fitted.scores(rows), rtol=1e-2, atol=1e-3):
            warnings.warn(
                UnsavableWarning(
                    "the backbone has numbers that are neither parameters nor buffers, so that a saved model would "
                    "answer otherwise: use register_buffer()."
                ),
                stacklevel=5,
            )
