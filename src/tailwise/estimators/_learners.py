"""The two kinds of learner that a recipe can train: a scikit-learn estimator and a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from tailwise.engine.stage import Task
from tailwise.recipes import Recipe

_LOG_FLOOR = float(np.log(np.finfo(np.float32).tiny))


@dataclass(frozen=True)
class FittedEstimator:
    """A fitted scikit-learn classifier that gives scores for all classes."""

    estimator: BaseEstimator
    n_classes: int

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_classes) log-probabilities, or decision values where there are no probabilities."""
        if hasattr(self.estimator, "predict_proba"):
            with np.errstate(divide="ignore"):
                known = np.maximum(np.log(self.estimator.predict_proba(inputs)), _LOG_FLOOR)
        else:
            known = self.estimator.decision_function(inputs)
            if known.ndim == 1:
                known = np.stack([-known / 2, known / 2], axis=1)
        scores = np.full((known.shape[0], self.n_classes), _LOG_FLOOR, dtype=np.float32)
        scores[:, self.estimator.classes_] = known
        return scores


@dataclass(frozen=True)
class EstimatorLearner:
    """Trains any scikit-learn classifier by recipes that write ``estimator``."""

    base: BaseEstimator
    kind = "estimator"

    def task(self, class_counts: NDArray[np.int64], objective: Any) -> Task:
        """Return what a recipe may know."""
        return Task(class_counts, objective=objective)

    def fit(
        self, recipe: Recipe, task: Task, inputs: Any, labels: NDArray[np.int64], seed: int, folder: Path | None
    ) -> FittedEstimator:
        """Fit a clone of the base estimator in the recipe's way."""
        base = clone(self.base)
        _seed(base, seed)
        estimator = recipe.estimator(base, task)
        _seed(estimator, seed)
        return FittedEstimator(estimator.fit(inputs, labels), task.n_classes)


def _seed(estimator: BaseEstimator, seed: int) -> None:
    """Give every unset ``random_state`` inside the estimator the seed."""
    unset = {
        name: seed for name, value in estimator.get_params().items() if name.endswith("random_state") and value is None
    }
    estimator.set_params(**unset)


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network that gives scores."""

    network: Any
    n_classes: int
    batch_size: int = 1024

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_classes) logits."""
        from tailwise.engine import predict

        return predict(self.network, inputs, batch_size=self.batch_size)


@dataclass(frozen=True)
class NetworkLearner:
    """Trains networks by recipes that write ``stages``.

    Attributes
    ----------
    backbone : builds a fresh backbone
    epochs, batch_size, optimizer, augment : as in :class:`tailwise.engine.Task`
    devices, precision : as in :func:`tailwise.engine.train`
    """

    backbone: Callable[[], Any]
    epochs: int
    batch_size: int
    optimizer: Callable[..., Any]
    augment: Callable[..., Any] | None = None
    devices: Any = "auto"
    precision: str = "32-true"
    progress: bool = False
    kind = "network"

    def task(self, class_counts: NDArray[np.int64], objective: Any) -> Task:
        """Return what a recipe may know."""
        return Task(
            class_counts,
            backbone=self.backbone,
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            augment=self.augment,
            objective=objective,
        )

    def fit(
        self, recipe: Recipe, task: Task, inputs: Any, labels: NDArray[np.int64], seed: int, folder: Path | None
    ) -> FittedNetwork:
        """Train a new network by the recipe's stages; resume from ``folder`` if it has checkpoints of this training."""
        from tailwise.engine import train

        network = train(
            recipe,
            task,
            inputs,
            labels,
            random_state=seed,
            checkpoint_dir=folder,
            resume=folder is not None,
            devices=self.devices,
            precision=self.precision,
            progress=self.progress,
        )
        return FittedNetwork(network, task.n_classes)
