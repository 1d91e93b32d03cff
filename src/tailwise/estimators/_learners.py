"""The two kinds of learner that a recipe can train: a scikit-learn estimator and a network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils import get_tags

from tailwise.engine.stage import Task
from tailwise.errors import MissingExtraError, TailwiseError
from tailwise.estimators._fitted import FittedEstimator, FittedLabelSets, FittedNetwork, threads_for
from tailwise.processes import together
from tailwise.recipes import Recipe
from tailwise.resample import fit_classifier
from tailwise.wording import first_line, one_line

T = TypeVar("T")

#: The names of a network's options, known without torch so that a typo is found whatever the data; augmentations have
#: the settings of :class:`tailwise.augment.FlipCrop`.
AUGMENTATIONS: dict[str, dict[str, bool] | None] = {"flip-crop": {"flip": True}, "crop": {"flip": False}, "none": None}

_TOUCHED = 8  # times that a small network touches each number of a batch, at least


def for_label_sets(estimator: BaseEstimator) -> BaseEstimator:
    """Return a classifier for sets of labels: the estimator itself if it is one, else one copy of it per label."""
    tags = get_tags(estimator)
    takes_sets = tags.classifier_tags.multi_label or tags.target_tags.multi_output
    return estimator if takes_sets else OneVsRestClassifier(estimator)


def fit_label_sets(estimator: BaseEstimator, inputs: Any, rows: NDArray[Any]) -> BaseEstimator:
    """Fit a classifier on (n, n_labels) rows, without the warning about labels that no example has, or all."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Label .* is present in all training examples", UserWarning)
        estimator.fit(inputs, rows.astype(np.int32))  # scikit-learn numbers the labels in the rows' own type
    return estimator


@contextmanager
def blaming(recipe: Recipe) -> Iterator[None]:
    """Name the recipe, which may be the user's own, in whatever its methods raise."""
    try:
        yield
    except MissingExtraError:
        raise
    except TailwiseError as error:
        if repr(recipe.name) in str(error):
            raise
        raise TailwiseError(f"recipe {recipe.name!r}: {error}") from error
    except Exception as error:
        reason = one_line(error).rstrip(".")
        raise TailwiseError(f"recipe {recipe.name!r} cannot be used: {type(error).__name__}: {reason}.") from error


@dataclass(frozen=True)
class EstimatorLearner:
    """Trains any scikit-learn classifier by recipes that write ``estimator``.

    Attributes
    ----------
    base : the classifier
    nominal : columns of its inputs whose numbers are codes of categories
    """

    base: BaseEstimator
    nominal: tuple[int, ...] = ()
    kind = "estimator"

    def task(self, class_counts: NDArray[np.int64], objective: Any, n_sets: int | None = None) -> Task:
        """Return what a recipe may know."""
        margins = not hasattr(self.base, "predict_proba")
        return Task(class_counts, objective=objective, nominal=self.nominal, n_sets=n_sets, margins=margins)

    def check(self, recipe: Recipe, task: Task) -> None:
        """Let a recipe refuse its settings or the task before anything is trained."""
        shapes = [value for name, value in self.base.get_params().items() if name.endswith("decision_function_shape")]
        if "ovo" in shapes and not hasattr(self.base, "predict_proba"):
            raise TailwiseError(
                "scores are needed for classes, not for pairs of them: use decision_function_shape='ovr'."
            )
        with blaming(recipe):
            recipe.learned_prior(task)
            estimator = recipe.estimator(clone(self.base), task)
            if isinstance(estimator, type) or not hasattr(estimator, "fit"):
                raise TailwiseError(f"estimator() must return a scikit-learn classifier; got {estimator!r}.")

    def fit(
        self, recipe: Recipe, task: Task, inputs: Any, labels: NDArray[Any], seed: int, folder: Path | None = None
    ) -> FittedEstimator | FittedLabelSets:
        """Fit a clone of the base estimator in the recipe's way."""
        with blaming(recipe), threads_for(inputs.size):
            base = clone(self.base)
            _seed(base, seed)
            estimator = recipe.estimator(base, task)
            _seed(estimator, seed)
            try:
                if task.has_sets:
                    fitted = fit_label_sets(estimator, inputs, labels)
                    return FittedLabelSets(fitted, task.class_counts, task.n_examples)
                return FittedEstimator(fit_classifier(estimator, inputs, labels), task.class_counts)
            except TailwiseError:
                raise
            except Exception as error:
                into = f"the data, encoded as an array of {inputs.shape[1]} columns of numbers"
                raise TailwiseError(
                    f"{type(self.base).__name__} cannot be fitted to {into}: {first_line(error)}"
                ) from error

    def agreed(self, value: T) -> T:
        """Return the value: if there are several processes, each fits estimators by itself."""
        return value

    def describe(self, fitted: Any) -> dict[str, Any]:
        """Return what a model card says of the learner."""
        return {"kind": self.kind, "estimator": type(self.base).__name__, "settings": repr(self.base)}


def _seed(estimator: BaseEstimator, seed: int) -> None:
    """Give every unset ``random_state`` inside the estimator the seed."""
    params = estimator.get_params()
    estimator.set_params(**{p: seed for p in params if p.endswith("random_state") and params[p] is None})


@dataclass(frozen=True)
class NetworkLearner:
    """Trains networks by recipes that write ``stages``.

    Attributes
    ----------
    backbone : builds a fresh backbone
    architecture : the backbone as name and arguments, where it has a name
    epochs, batch_size, optimizer, augment : as in :class:`tailwise.engine.stage.Task`
    devices, precision, progress : as in :func:`tailwise.engine.train`
    """

    backbone: Callable[[], Any]
    architecture: dict[str, Any] | None
    epochs: int
    batch_size: int
    optimizer: Callable[..., Any]
    augment: Callable[..., Any] | None = None
    devices: Any = "auto"
    precision: str = "32-true"
    progress: bool | Callable[[str], None] = False
    kind = "network"

    def task(self, class_counts: NDArray[np.int64], objective: Any, n_sets: int | None = None) -> Task:
        """Return what a recipe may know."""
        return Task(
            class_counts,
            backbone=self.backbone,
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            augment=self.augment,
            objective=objective,
            n_sets=n_sets,
        )

    def check(self, recipe: Recipe, task: Task) -> None:
        """Let a recipe refuse its settings or the task before anything is trained."""
        import torch

        from tailwise.engine import plan_stages, seeded_by

        with blaming(recipe), seeded_by(torch.device("cpu")):  # some losses have weights of their own
            stages, _ = plan_stages(recipe, task)
            labels = np.repeat(np.arange(task.n_classes), np.asarray(task.class_counts, dtype=np.int64))
            builders = [build for stage in stages for build in (stage.sampler, stage.companion) if build is not None]
            for build in () if task.has_sets else builders:
                build(labels, num_replicas=1, rank=0, seed=0)
            if not task.has_sets:
                recipe.learned_prior(task)

    def fit(
        self, recipe: Recipe, task: Task, inputs: Any, labels: NDArray[Any], seed: int, folder: Path | None = None
    ) -> FittedNetwork:
        """Train a new network by the recipe's stages, or go on from the checkpoint in ``folder``."""
        from tailwise.engine import train

        is_small = self.architecture is not None and inputs.ndim == 2  # what is done to a number is known to be little
        threads = threads_for(_TOUCHED * self.batch_size * inputs.shape[1]) if is_small else nullcontext()
        with blaming(recipe), threads:
            network = train(
                recipe,
                task,
                inputs,
                labels,
                random_state=seed,
                checkpoint_dir=folder,
                resume=True,
                devices=self.devices,
                precision=self.precision,
                progress=self.progress,
            )
        return FittedNetwork(network, self.architecture)

    def agreed(self, value: T) -> T:
        """Return the value of the first of the processes that train together, so that all take the same decisions."""
        if together() == 1:
            return value
        from tailwise.engine import of_first

        return of_first(value)

    def describe(self, fitted: Any) -> dict[str, Any]:
        """Return what a model card says of the learner."""
        return {
            "kind": self.kind,
            "backbone": self.architecture["name"] if self.architecture else getattr(self.backbone, "__name__", "own"),
            "parameters": sum(p.numel() for p in fitted.network.parameters()),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "precision": self.precision,
            "augmentation": "none" if self.augment is None else repr(self.augment),
        }
