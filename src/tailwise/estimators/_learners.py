"""The two kinds of learner that a recipe can train: a scikit-learn estimator and a network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from tailwise.counts import class_prior
from tailwise.engine.stage import Task
from tailwise.errors import MissingExtraError, TailwiseError
from tailwise.processes import together
from tailwise.recipes import Recipe
from tailwise.resample import fit_classifier
from tailwise.wording import first_line, plural

T = TypeVar("T")

#: The names of a network's options, known without torch so that a typo is found whatever the data; augmentations have
#: the settings of :class:`tailwise.augment.FlipCrop`.
AUGMENTATIONS: dict[str, dict[str, bool] | None] = {"flip-crop": {"flip": True}, "crop": {"flip": False}, "none": None}
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed", "64-true")

_LOG_FLOOR = float(np.log(np.finfo(np.float32).tiny))

_UNSEEN = 0.01  # of a class's share, where a classifier has no vote for it

_FEW = 1 << 19  # numbers: up to so many, several threads are hardly faster than one
_TOUCHED = 8  # times that a small network touches each number of a batch, at least


@contextmanager
def threads_for(numbers: int) -> Iterator[None]:
    """Limit learners to one thread if they work on few numbers.

    Several threads would wait for each other thousands of times a second: while another process keeps a core busy,
    trees on a small table would take hundreds of times as long.
    """
    with threadpool_limits(1, "openmp") if numbers <= _FEW else nullcontext():
        yield


@dataclass(frozen=True)
class FittedEstimator:
    """A fitted scikit-learn classifier that gives scores for all classes.

    Attributes
    ----------
    estimator : fitted on codes of some or all of the classes
    class_counts : (n_classes,) examples of each class that it was fitted on
    """

    estimator: BaseEstimator
    class_counts: NDArray[np.int64]
    kind = "estimator"

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_classes) log-probabilities, or decision values where there are no probabilities.

        A probability of exactly zero, as from a forest or from neighbours, means that none of a few votes was for the
        class: it counts as a hundredth of the class's share.
        """
        with threads_for(inputs.size):
            known = self._known(inputs)
        scores = np.full((known.shape[0], len(self.class_counts)), _LOG_FLOOR, dtype=np.float32)
        scores[:, self.estimator.classes_] = known
        return scores

    def _known(self, inputs: Any) -> NDArray[Any]:
        """Return the scores of the classes that the estimator knows, a column each."""
        if not hasattr(self.estimator, "predict_proba"):
            values = np.asarray(self.estimator.decision_function(inputs))
            return np.stack([-values / 2, values / 2], axis=1) if values.ndim == 1 else values
        with np.errstate(divide="ignore"):
            if hasattr(self.estimator, "predict_log_proba"):  # finer where probabilities underflow
                known = np.asarray(self.estimator.predict_log_proba(inputs))
            else:
                known = np.log(np.asarray(self.estimator.predict_proba(inputs)))
        none = np.isneginf(known)
        if not none.any():
            return known
        little = np.log(_UNSEEN * class_prior(self.class_counts)[self.estimator.classes_])
        least = np.where(none, 0, known).min(axis=1, keepdims=True)  # nothing comes before what got a vote
        return np.where(none, np.minimum(little, least), known)


def for_label_sets(estimator: BaseEstimator) -> BaseEstimator:
    """Return a classifier for sets of labels: the estimator itself if it is one, else one copy of it per label."""
    tags = get_tags(estimator)
    takes_sets = tags.classifier_tags.multi_label or tags.target_tags.multi_output
    return estimator if takes_sets else OneVsRestClassifier(estimator)


def fit_label_sets(estimator: BaseEstimator, inputs: Any, rows: NDArray[Any]) -> BaseEstimator:
    """Fit a classifier on (n, n_labels) rows, without the warning about labels that no example has, or all."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Label .* is present in all training examples", UserWarning)
        return estimator.fit(inputs, rows.astype(np.int32))  # scikit-learn numbers the labels in the rows' own type


@dataclass(frozen=True)
class FittedLabelSets:
    """A fitted scikit-learn classifier that gives every example a score for each of a set of labels.

    Attributes
    ----------
    estimator : fitted on rows of 0 and 1, a column a label
    class_counts : (n_labels,) examples with each label that it was fitted on
    n_examples : all that it was fitted on
    """

    estimator: BaseEstimator
    class_counts: NDArray[np.int64]
    n_examples: int
    kind = "estimator"

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_labels) log odds, or decision values where there are no probabilities.

        A probability is at least a hundredth of the label's share, and at most 1 minus a hundredth of the others'. A
        label that no training example had, or that all had, gets the odds of its share.
        """
        with threads_for(inputs.size):
            known = self._known(inputs)
        n, counts = self.n_examples, self.class_counts
        odds = np.log((counts + 0.5) / (n - counts + 0.5))
        return np.where((counts == 0) | (counts == n), odds, known).astype(np.float32)

    def _known(self, inputs: Any) -> NDArray[np.float64]:
        each = self.estimator.estimators_ if isinstance(self.estimator, OneVsRestClassifier) else [self.estimator]
        if all(hasattr(own, "decision_function") for own in each):  # log odds that do not underflow, if they are such
            return np.asarray(self.estimator.decision_function(inputs), dtype=np.float64)
        proba = self.estimator.predict_proba(inputs)
        if isinstance(proba, list):  # a table for each label, of 0 and 1 or of the one that occurs
            tables = zip(proba, self.estimator.classes_, strict=True)
            proba = np.stack([p[:, list(c).index(1)] if 1 in c else np.zeros(len(p)) for p, c in tables], axis=1)
        share = (self.class_counts + 0.5) / (self.n_examples + 1)
        some = np.clip(proba, _UNSEEN * share, 1 - _UNSEEN * (1 - share))
        return np.log(some) - np.log1p(-some)


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network that gives scores.

    Attributes
    ----------
    network : in evaluation mode
    architecture : name and arguments of its backbone; None if a function of the user's built it
    """

    network: Any
    architecture: dict[str, Any] | None
    kind = "network"

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_classes) logits.

        Raises
        ------
        TailwiseError
            If the images have a different number of channels from those of the training set.
        """
        from tailwise.engine import predict
        from tailwise.nn import Standardise

        given = inputs.shape[-1]
        known = next((len(part.mean) for part in self.network.modules() if isinstance(part, Standardise)), given)
        if inputs.ndim == 4 and given != known:
            mode = "L" if known == 1 else "RGB"
            raise TailwiseError(
                f"the images have {plural(given, 'channel')}, but {known} in training: convert them, for "
                f"example with Pillow's image.convert({mode!r})."
            )
        return predict(self.network, inputs)

    def describe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the network's description in plain data, and its weights."""
        from tailwise.nn import describe_head

        description = {"backbone": self.architecture, "head": describe_head(self.network.head)}
        return description, {
            name: value.contiguous().clone()
            for name, value in self.network.state_dict().items()  # tied ones, too
        }

    @classmethod
    def rebuild(
        cls, description: Mapping[str, Any], weights: Mapping[str, Any], backbone: Callable[[], Any] | None
    ) -> FittedNetwork:
        """Return the network that :meth:`describe` described.

        Raises
        ------
        TailwiseError
            If the user's own backbone is needed and not given, or the weights do not fit.
        """
        from tailwise.nn import build_network, describe_backbone, rebuild_backbone

        architecture = description["backbone"]
        if architecture is not None:
            built = rebuild_backbone(architecture)
        elif backbone is not None:
            built = backbone()
        else:
            raise TailwiseError("this model has a backbone of your own: pass the function that builds it as backbone=.")
        network = build_network(built, description["head"], weights)
        if architecture and architecture != describe_backbone(architecture["name"], len(network.inputs.mean)):
            raise TailwiseError("the saved weights are for inputs of another width than the saved backbone.")
        return cls(network, architecture)


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
        reason = " ".join(str(error).split()).rstrip(".")
        raise TailwiseError(f"recipe {recipe.name!r} cannot be used: {type(error).__name__}: {reason}.") from error


Fitted = FittedEstimator | FittedLabelSets | FittedNetwork


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
        base = clone(self.base)
        _seed(base, seed)
        estimator = recipe.estimator(base, task)
        _seed(estimator, seed)
        with threads_for(inputs.size):
            try:
                if task.has_sets:
                    fitted = fit_label_sets(estimator, inputs, labels)
                    return FittedLabelSets(fitted, task.class_counts, task.n_examples)
                return FittedEstimator(fit_classifier(estimator, inputs, labels), task.class_counts)
            except TailwiseError:
                raise
            except (TypeError, ValueError) as error:
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
            recipe.learned_prior(task)
            stages, _ = plan_stages(recipe, task)
            labels = np.repeat(np.arange(task.n_classes), np.asarray(task.class_counts, dtype=np.int64))
            builders = [build for stage in stages for build in (stage.sampler, stage.companion) if build is not None]
            for build in () if task.has_sets else builders:
                build(labels, num_replicas=1, rank=0, seed=0)

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
