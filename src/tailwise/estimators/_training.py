"""One data set, encoded, and the learner that recipes train on it: fold by fold, then on everything."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise import posthoc
from tailwise.counts import class_counts
from tailwise.data import Dataset
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.estimators._cache import Cache
from tailwise.estimators._card import model_card
from tailwise.estimators._chains import fit_chains
from tailwise.estimators._compare import Comparison, Entrant, Fold
from tailwise.estimators._fitted import Fitted
from tailwise.estimators._learners import EstimatorLearner, NetworkLearner, blaming
from tailwise.estimators._model import Model
from tailwise.identity import describe
from tailwise.recipes import Recipe
from tailwise.resample import CaseControlClassifier


@dataclass(frozen=True)
class Training:
    """What all fits of one data set share.

    Attributes
    ----------
    data : labelled rows
    labels : (n,) their class codes, or (n, n_classes) rows of what each has
    encoder, inputs : fitted, and what it made of the data
    learner : what recipes train
    objective : what decisions are for
    folds : train and held-out indices
    random_state, seed : what the user may give to have it again, and what comes of it: the seed of every fit
    contents : digest of the labels and the inputs
    cache : of what is finished
    left_out : sentences on what there was no time or memory for
    tell : called with a line before each fit
    coverage : share of examples whose prediction set should contain the true class
    """

    data: Dataset
    labels: NDArray[Any]
    encoder: Any
    inputs: Any
    learner: EstimatorLearner | NetworkLearner
    objective: Any
    folds: list[Fold]
    random_state: int
    seed: int
    contents: str
    cache: Cache
    left_out: list[str]
    tell: Callable[[str], None]
    coverage: float = 0.9

    #: Makes an entrant of the comparison.
    enter = Entrant

    @property
    def task(self) -> Task:
        """What a recipe may know of the whole."""
        return self._task_of(self.labels)

    def _task_of(self, labels: NDArray[Any]) -> Task:
        """Return what a recipe may know when it is trained on examples with these labels."""
        return self.learner.task(class_counts(labels, self.data.n_classes), self.objective.confusion)

    @property
    def whole(self) -> float:
        """How many times as many rows as in a fold a learner is trained on in the end."""
        n, fold = len(self.labels), len(self.folds[0][0])
        base = getattr(self.learner, "base", None)
        most = base.limit(self.inputs, self.data.n_classes) if isinstance(base, CaseControlClassifier) else n
        return min(n, most) / min(fold, most)

    def held_out_scores(self, recipe: Recipe, number: int) -> tuple[NDArray[np.float32], float]:
        """Train a recipe without a fold's held-out part and return its scores for that part, and the seconds it took.

        What an interrupted fit had finished is not trained again, and counts with the seconds it took then.
        """
        train, held_out = self.folds[number]
        key = f"{_key(recipe)}-fold{number + 1}"
        finished = self.cache.scores(key)
        if finished is not None:
            return finished
        self.tell(f"{recipe.name}, fold {number + 1} of {len(self.folds)}")
        start = time.monotonic()
        task = self._task_of(self.labels[train])
        folder = self.cache.checkpoints(key)
        fitted = self.learner.fit(recipe, task, self.inputs[train], self.labels[train], self.seed, folder)
        scores = self.scores(recipe, fitted, held_out)
        finished = self.learner.agreed((scores, time.monotonic() - start))
        self.cache.keep(key, *finished)
        return finished

    def scores(self, recipe: Recipe, fitted: Fitted, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the scores of a fitted learner for some rows."""
        with blaming(recipe):
            scores = fitted.scores(self.inputs[rows])
            if scores.shape != (len(rows), self.data.n_classes):
                raise TailwiseError(
                    f"recipe {recipe.name!r} scores {scores.shape[1]} classes, but the data has {self.data.n_classes}."
                )
        return scores

    def on_everything(self, recipe: Recipe) -> Fitted:
        """Train a recipe on all rows."""
        self.tell(f"{recipe.name}, on all {len(self.labels):,} examples")
        folder = self.cache.checkpoints(f"{_key(recipe)}-all")
        return self.learner.fit(recipe, self.task, self.inputs, self.labels, self.seed, folder)

    def model(self, recipe: Recipe, fitted: Fitted, comparison: Comparison) -> Model:
        """Return a fitted learner with the recipe's chains and prediction sets, fitted on its held-out scores."""
        seen, scores = comparison.held_out[recipe]
        labels = self.labels[seen]
        chains = fit_chains(recipe, self.task, scores, labels, self.objective)
        proba, weights = chains.predict_proba(scores), self.objective.weights(labels)
        sets = posthoc.ConformalSets.fit(proba, labels, self.coverage, weights)
        return Model(
            classes=self.data.class_labels,
            class_counts=self.data.class_counts,
            kind=self.data.kind,
            encoder=self.encoder,
            learner=fitted,
            chains=chains,
            sets=sets,
            card=self._card(recipe, fitted, comparison),
            documents={"source": self.data.form},
        )

    def _card(self, recipe: Recipe, fitted: Fitted, comparison: Comparison) -> dict[str, Any]:
        facts = {"rows": len(self.labels), "hash": self.contents[:16], "seed": self.random_state}
        learner = {**self.learner.describe(fitted), "left_out": self.left_out}
        return model_card(recipe, self.task, comparison, self.objective, learner, facts)


def _key(recipe: Recipe) -> str:
    """Return a file name for a recipe with its settings."""
    return f"{recipe.name}-{hashlib.sha256(describe(recipe).encode()).hexdigest()[:8]}"
