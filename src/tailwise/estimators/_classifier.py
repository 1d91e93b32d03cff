"""The scikit-learn estimator that people use."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from tailwise.counts import class_counts
from tailwise.data import Dataset, as_dataset, stratified_folds, stratified_split
from tailwise.errors import TailwiseError, nearest
from tailwise.estimators._cache import Cache
from tailwise.estimators._card import versions
from tailwise.estimators._compare import Clock, Fold, compare, held_out_sample, seconds
from tailwise.estimators._defaults import (
    default_estimator,
    fit_encoder,
    learner_kind,
    network_learner,
)
from tailwise.estimators._learners import AUGMENTATIONS, PRECISIONS, EstimatorLearner, NetworkLearner
from tailwise.estimators._model import Model, Prior
from tailwise.estimators._objective import Objective, as_objective
from tailwise.estimators._plan import Plan, epochs_in_time, in_time
from tailwise.estimators._training import Training
from tailwise.identity import describe, digest
from tailwise.processes import working_in
from tailwise.recipes import Recipe
from tailwise.recipes import recipe as find_recipe
from tailwise.resample import affordable_rows

CANDIDATES = {
    "estimator": (
        "cross-entropy",
        "logit-adjustment",
        "tuned-thresholds",
        "class-weighted",
        "class-weighted-sqrt",
        "effective-number",
        "balanced-bagging",
    ),
    "network": ("cross-entropy", "logit-adjustment", "tuned-thresholds", "balanced-softmax", "ldam-drw", "crt"),
}


_BAGGED = 100  # classes up to which auto bags: boosting grows a tree for each, in every iteration of every bag
_SCORED = 20_000  # held-out examples that are scored in any case

_SMALL = 5000  # images up to which training on every fold is affordable, and one fold too few examples to choose by

#: Options that change no result, so that a fit may be resumed with others.
_NO_MATTER = {"verbose", "work_dir", "baseline", "recipe"}


@contextmanager
def _many_classes_are_expected() -> Iterator[None]:
    """Silence scikit-learn's guess that labels of many small classes are numbers; the diagnosis says it once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        yield


class TailClassifier(ClassifierMixin, BaseEstimator):
    """A classifier for long-tailed data: any recipe, or the best of them, on tables, images, text or arrays.

    Parameters
    ----------
    recipe : a recipe's name or instance, a list of them to choose from, or ``"auto"``
    estimator : a scikit-learn classifier for the recipes to train. By default histogram gradient boosting for tables
        and arrays, logistic regression for text
    backbone : train networks instead: ``"mlp"``, ``"resnet32"``, a timm name, or a function that returns an
        ``nn.Module`` with ``out_features``. The default for images is ``"resnet32"``
    objective : what the choice and the thresholds are for: ``"balanced_accuracy"``, ``"macro_f1"``,
        ``"few_shot_accuracy"``, ``"worst_class"``, ``"g_mean"``, ``"accuracy"``, a scikit-learn scorer or its name, or
        an (n_classes, n_classes) cost matrix (rows: true class), or one by label: true -> predicted -> cost
    cv : number of folds, or the share to hold out once. By default 3 folds, and a fifth for more
        than 5,000 images
    coverage : share of examples whose true class a prediction set shall hold
    time_budget : seconds, or ``"90s"``, ``"10m"``, ``"2h"``; None is no limit. Recipes and folds that there is no time
        for are left out, and fits get fewer rows, iterations or epochs; the comparison and the model card say so. A
        fit that runs is not interrupted: a classifier that takes no ``sample_weight`` trains on all rows, and networks
        for four epochs, however long that takes
    epochs, batch_size, learning_rate : of networks; None is the default for the kind of data
    augment : of images that networks train on: ``"flip-crop"``, ``"crop"`` (where mirrored is something else, as in
        writing), ``"none"``, or ``augment(inputs, targets, generator) -> (inputs, targets)``
    precision : in which networks train: ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"`` or ``"64-true"``, as in
        Lightning Fabric; ``"auto"`` is bf16-mixed for images where the processor or GPU has instructions for it
    devices : of networks, as in Lightning Fabric
    work_dir : folder for checkpoints and held-out scores, of one fit at a time; one that was killed goes on from there
    baseline : also train the plain learner on everything, as ``baseline_``, to measure what the choice gains
    random_state : seed
    verbose : 1 tells what is being fitted, or a function of one line that is told

    Attributes
    ----------
    classes_ : (n_classes,) labels
    class_counts_ : (n_classes,) training examples of each
    comparison_ : list of rows, one a recipe, with the held-out objective and its 95 % interval
    recipe_ : the recipe that was chosen
    model_ : the :class:`tailwise.estimators.Model`, which saves and loads
    baseline_ : the plain learner as a Model, where ``baseline`` asked for it
    notes_ : a line for whatever in the data was left out, or taken as missing, as infinity in a frame is; also told
        where ``verbose`` asks for it
    n_features_in_, feature_names_in_ : as in scikit-learn

    Notes
    -----
    Decisions and probabilities are two things. ``predict`` decides for the objective; ``predict_proba`` gives honest
    probabilities under the training prior, corrected for whatever re-balancing the recipe did and calibrated on
    held-out scores. On a balanced objective the predicted class need not be the likeliest one.

    The intervals of ``comparison_`` hold where classes have one to three held-out examples too, as those of
    :func:`tailwise.metrics.evaluate` do; only for scikit-learn scorers of probabilities, such as ``"roc_auc_ovr"``,
    they are too narrow there.

    Raises
    ------
    TailwiseError
        In one line, for data, options or recipes that cannot be used.
    """

    def __init__(
        self,
        recipe: str | Recipe | Sequence[str | Recipe] = "auto",
        *,
        estimator: BaseEstimator | None = None,
        backbone: str | Callable[[], Any] | None = None,
        objective: Any = "balanced_accuracy",
        cv: int | float | None = None,
        coverage: float = 0.9,
        time_budget: float | str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        augment: str | Callable[..., Any] = "flip-crop",
        precision: str = "auto",
        devices: Any = "auto",
        work_dir: str | Path | None = None,
        baseline: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | Callable[[str], None] = 0,
    ) -> None:
        self.recipe = recipe
        self.estimator = estimator
        self.backbone = backbone
        self.objective = objective
        self.cv = cv
        self.coverage = coverage
        self.time_budget = time_budget
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.augment = augment
        self.precision = precision
        self.devices = devices
        self.work_dir = work_dir
        self.baseline = baseline
        self.random_state = random_state
        self.verbose = verbose

    @_many_classes_are_expected()
    def fit(self, X: Any, y: ArrayLike | None = None) -> TailClassifier:
        """Compare the recipes on held-out data, choose, and train the choice on everything.

        Parameters
        ----------
        X : (n, n_features) array or sparse matrix; pandas or polars frame; (n,) strings; (n, height, width, channels)
            uint8 images; or a :class:`tailwise.data.Dataset`, which brings its labels
        y : (n,) labels; missing ones (None, NaN) are left out of the training
        """
        start = time.monotonic()
        data = self._training_data(X, y)
        self.check_options(data)
        with nullcontext() if self.work_dir is None else working_in(self.work_dir):
            training = self._training(data)
            candidates = self._candidates(training.learner.kind, training.data)
            for candidate in candidates:
                training.learner.check(candidate.training, training.task)
            plain = find_recipe("cross-entropy")
            comparison = compare(
                candidates,
                training.held_out_scores,
                training.task,
                training.labels,
                training.folds,
                training.objective,
                reference=plain if self.baseline else None,
                seed=training.seed,
                clock=Clock(seconds(self.time_budget), start, training.learner.agreed),
                whole=training.whole,
            )
            chosen = comparison.winner
            fitted = training.on_everything(chosen.training)
            self.classes_ = training.data.class_labels
            self.class_counts_ = training.data.class_counts
            self.comparison_ = comparison.rows
            self.recipe_ = chosen
            self.model_ = training.model(chosen, fitted, comparison)
            if self.baseline:
                plainly = fitted if chosen.training == plain else training.on_everything(plain)
                self.baseline_ = training.model(plain, plainly, comparison)
        return self

    def check_options(self, data: Dataset) -> None:
        """Check that the options can be used on such data, which :meth:`fit` also does before it trains anything.

        Raises
        ------
        TailwiseError
            In one line, for the first that cannot.
        """
        seconds(self.time_budget)
        try:
            check_random_state(self.random_state)
        except ValueError as error:
            raise TailwiseError(f"random_state cannot be {self.random_state!r}: {error}.") from None
        for what, value, known in (
            ("augmentation", self.augment, AUGMENTATIONS),
            ("precision", self.precision, PRECISIONS),
        ):
            if not callable(value) and str(value) not in known:
                raise TailwiseError(f"there is no {what} {value!r}.{nearest(value, known)} Use {', '.join(known)}.")
        kind = learner_kind(self.estimator, self.backbone, data.kind)
        self._candidates(kind, data)
        self.objective_for(data)
        for name in ("epochs", "batch_size", "learning_rate"):
            if kind == "estimator" and getattr(self, name) is not None:
                raise TailwiseError(f"{name} is of networks, and this trains none: name a backbone, or leave it out.")
        if kind == "network":
            self._network_learner(data.inputs if data.kind == "image" else np.empty((1, 1)))

    def objective_for(self, data: Dataset) -> Objective:
        """Return what is to be best on such data, as a score of decisions with its interval."""
        return as_objective(self.objective, data.n_classes, self.coverage, data.classes, data.class_counts)

    def predict(self, X: Any, prior: Prior = "train") -> NDArray[Any]:
        """Return (n,) labels, decided for the objective; ``prior`` as in :meth:`tailwise.estimators.Model.answer`."""
        return self._fitted().predict(self._inputs(X), prior)

    def predict_proba(self, X: Any, prior: Prior = "train") -> NDArray[np.float64]:
        """Return (n, n_classes) calibrated probabilities under a class prior, by default the training prior."""
        return self._fitted().predict_proba(self._inputs(X), prior)

    def predict_log_proba(self, X: Any, prior: Prior = "train") -> NDArray[np.float64]:
        """Return the logarithms of :meth:`predict_proba`."""
        return np.log(self.predict_proba(X, prior))

    def predict_sets(self, X: Any) -> NDArray[np.bool_]:
        """Return (n, n_classes): which classes are in each example's prediction set."""
        return self._fitted().predict_sets(self._inputs(X))

    def _fitted(self) -> Model:
        check_is_fitted(self)
        return self.model_

    def _training_data(self, X: Any, y: ArrayLike | None) -> Dataset:
        """Return the labelled rows, and remember what scikit-learn's contract asks an estimator to remember."""
        if self.estimator is not None and (isinstance(self.estimator, type) or not hasattr(self.estimator, "fit")):
            raise TailwiseError(f"estimator must be a scikit-learn classifier, such as SVC(); got {self.estimator!r}.")
        data = as_dataset(X, y)
        if data.kind == "array":
            validate_data(self, data.inputs, accept_sparse="csr", ensure_all_finite="allow-nan")
        elif data.kind == "table":
            self.feature_names_in_ = np.array(data.inputs.columns, dtype=object)
            self.n_features_in_ = data.inputs.width
        if data.labels is None:
            raise TailwiseError("requires y to be passed, but the target y is None: give a label per row.")
        if getattr(y, "ndim", 1) == 2:
            column_or_1d(y, warn=True)
        classes = data.class_labels
        if classes.dtype.kind == "f" and (classes != np.trunc(classes)).any():
            raise TailwiseError(
                "Unknown label type: the labels are fractions, not classes; cut them into classes first."
            )
        if (data.labels < 0).any():
            data = data.take(np.flatnonzero(data.labels >= 0))
        if np.count_nonzero(data.class_counts) < 2:
            raise TailwiseError(f"the labels hold only one class, {data.classes[0]!r}: there is nothing to tell apart.")
        return data

    def _inputs(self, X: Any) -> Any:
        """Return inputs in the form that the encoder was fitted on."""
        kind = self.model_.kind
        inputs = as_dataset(X.inputs if isinstance(X, Dataset) else X, kind=kind).inputs  # type: ignore[arg-type]
        if kind == "array":
            return validate_data(self, inputs, reset=False, accept_sparse="csr", ensure_all_finite="allow-nan")
        return inputs

    def _network_learner(self, inputs: Any) -> NetworkLearner:
        return network_learner(
            self.backbone,
            inputs,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            augment=self.augment,
            devices=self.devices,
            precision=self.precision,
            progress=bool(self.verbose) and not callable(self.verbose),
        )

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the model folder; :meth:`tailwise.Model.load` reads it. Under ``torchrun`` the first process writes."""
        check_is_fitted(self)
        self.model_.save(path, force=force)

    def _training(self, data: Dataset) -> Training:
        """Encode the data and set up the learner, the folds and the cache."""
        labels = np.asarray(data.labels)
        kind = learner_kind(self.estimator, self.backbone, data.kind)
        base = self.estimator if self.estimator is not None else default_estimator(data)
        candidates = self._candidates(kind, data)
        objective = self.objective_for(data)
        encoder, inputs = fit_encoder(data, kind, base)
        self.notes_ = (*data.notes, *getattr(encoder, "notes_", ()))
        for note in self.notes_:
            self._tell(note)
        learner: EstimatorLearner | NetworkLearner
        learner = (
            self._network_learner(inputs)
            if kind == "network"
            else EstimatorLearner(base, getattr(encoder, "nominal_", ()))
        )
        identity = {} if self.work_dir is None else {**self._identity(), "data": digest(labels, inputs)}
        cache = Cache(self.work_dir, identity)
        seed = cache.once("seed", lambda: int(check_random_state(self.random_state).randint(2**31 - 1)))
        seed = learner.agreed(seed)
        folds = self._folds(labels, data.kind, seed)
        most = max(_SCORED, affordable_rows(inputs, data.n_classes) // 4)  # calibrating holds 64 bytes a row and class
        if objective.scorer is None and sum(len(held_out) for _, held_out in folds) > most:
            folds, class_weight = held_out_sample(folds, labels, data.n_classes, most, seed)
            objective = objective.on_sample(class_weight)
        trainings = list(dict.fromkeys(candidate.training for candidate in candidates))
        plan = Plan(
            inputs=inputs,
            labels=labels,
            held_out=folds[0][1],
            sure=list(dict.fromkeys([trainings[0], find_recipe("cross-entropy")][: 1 + self.baseline])),
            n_fits=len(trainings) * len(folds) + 2,
            budget=seconds(self.time_budget),
            seed=seed,
            cache=cache,
        )
        if isinstance(learner, EstimatorLearner):
            base, left_out = in_time(base, plan)
            learner = EstimatorLearner(base, learner.nominal)
        else:
            learner, left_out = epochs_in_time(learner, plan)
        return Training(
            data=data,
            labels=labels,
            encoder=encoder,
            inputs=inputs,
            learner=learner,
            objective=objective,
            folds=folds,
            seed=seed,
            cache=cache,
            left_out=left_out,
            tell=self._tell,
        )

    def _identity(self) -> dict[str, str]:
        """Return the options that a result depends on, and the versions."""
        options = self.get_params(deep=False).items()
        return {
            **{name: describe(value) for name, value in options if name not in _NO_MATTER},
            "versions": describe(versions()),
        }

    def _candidates(self, kind: str, data: Dataset) -> list[Recipe]:
        """Return the recipes to compare, the baseline first."""
        names = self.recipe
        if isinstance(names, str) and names == "auto":
            names = [name for name in CANDIDATES[kind] if name != "balanced-bagging" or data.n_classes <= _BAGGED]
        elif isinstance(names, str) or not isinstance(names, Iterable):
            names = [names]
        found = [find_recipe(name) for name in names]
        if not found:
            raise TailwiseError("the list of recipes is empty; name at least one, or auto.")
        for candidate in found:
            if kind not in candidate.learners():
                if kind == "estimator":
                    wrong = "needs a network: give a backbone"
                elif data.kind == "image":
                    wrong = "is for tables and texts, not for images"
                else:
                    wrong = "needs a scikit-learn estimator: leave the backbone out"
                raise TailwiseError(f"recipe {candidate.name!r} {wrong}.")
        return found

    def _folds(self, labels: NDArray[np.int64], data_kind: str, seed: int) -> list[Fold]:
        """Return the folds for the comparison; examples that are alone in their class are always trained on."""
        counts = class_counts(labels)
        testable = int(counts[counts > 1].sum())
        if not testable:
            raise TailwiseError("no class has two examples, so nothing can be held out to compare recipes on.")
        cv = self.cv
        if cv is None:
            cv = 0.2 if data_kind == "image" and len(labels) > _SMALL else min(3, max(testable - 1, 2))
        if not isinstance(cv, Real):
            raise TailwiseError(f"cv must be a number of folds, or the share to hold out once; got {cv!r}.")
        folds = [stratified_split(labels, cv, seed)] if isinstance(cv, float) else stratified_folds(labels, cv, seed)
        if len(folds[0][1]) < 2:
            raise TailwiseError(
                f"too few rows to compare recipes: two must be held out at once, but of {len(labels)} only {testable} "
                "are in classes with two or more, which can spare one. Collect more, or hold out a larger share."
            )
        return folds

    def _tell(self, line: str) -> None:
        if callable(self.verbose):
            self.verbose(line)
        elif self.verbose:
            print(line, file=sys.stderr)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that NaN and strings are welcome, and sparse matrices where the estimator takes them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = self.estimator is None or get_tags(self.estimator).input_tags.sparse
        tags.input_tags.string = True
        return tags
