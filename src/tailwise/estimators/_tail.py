"""What the estimators have in common: options, the comparison, and training the winner on everything."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from tailwise.data import Dataset
from tailwise.engine.stage import PRECISIONS
from tailwise.errors import TailwiseError, nearest
from tailwise.estimators._cache import Cache
from tailwise.estimators._card import versions
from tailwise.estimators._clock import Clock, seconds
from tailwise.estimators._compare import Fold, compare
from tailwise.estimators._defaults import (
    check_backbone,
    check_text_model,
    default_estimator,
    fit_encoder,
    learner_kind,
    network_learner,
)
from tailwise.estimators._learners import AUGMENTATIONS, EstimatorLearner, NetworkLearner
from tailwise.estimators._plan import Plan, epochs_in_time, in_time
from tailwise.estimators._rehearsal import check_loaded, rehearse
from tailwise.estimators._training import Training
from tailwise.identity import describe, digest
from tailwise.processes import working_in
from tailwise.recipes import PLAIN, Recipe
from tailwise.recipes import recipe as find_recipe
from tailwise.resample import classifies
from tailwise.settings import check_settings
from tailwise.tensors import weights_of_rows
from tailwise.wording import plural

#: Options that change no fold's result, so a fit may be resumed with different ones.
_NO_MATTER = {"verbose", "work_dir", "baseline", "recipe"}


@contextmanager
def _many_classes_are_expected() -> Iterator[None]:
    """Silence scikit-learn's guess that labels of many small classes are numbers; the diagnosis says it once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        yield


def _drawn(random_state: Any) -> int:
    """Return the next number of a random state."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's hyper-parameters, to be checked again: it may have been made without :func:`recipe`."""
    return {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.init}  # type: ignore[arg-type]


def known_only(data: Dataset, told: bool) -> Dataset:
    """Return the rows whose labels are known, with a note on the others if that is to be told."""
    known = data.is_labelled
    if told and not known.all():
        rows = plural(int(np.count_nonzero(~known)), "row has no label and is", "rows have no label and are")
        data = replace(data, notes=(*data.notes, f"{rows} left out of the training."))
    return data if known.all() else data.take(np.flatnonzero(known))


def mean_of(right: NDArray[Any], known: NDArray[Any], sample_weight: ArrayLike | None) -> float:
    """Return the share of the known rows that are right, weighted if there are weights."""
    if not known.any():
        raise TailwiseError("y has no row whose label is known: there is nothing to score.")
    weights = weights_of_rows(sample_weight, len(right))
    if weights is not None and not weights[known].any():
        raise TailwiseError("sample_weight must not be all zero.")
    return float(np.average(right[known], weights=None if weights is None else weights[known]))


class TailEstimator(ClassifierMixin, BaseEstimator):
    """Compares recipes on the same folds, chooses, and trains the choice on everything.

    A subclass says what an example has, one class or a set of labels: which labels there are, how rows are split, what
    to optimise, and how the model answers.
    """

    #: As :attr:`tailwise.recipes.Recipe.targets` has it.
    _target: ClassVar[str]
    _training_of: ClassVar[type[Training]]

    recipe: str | Recipe | Sequence[str | Recipe]
    estimator: BaseEstimator | None
    backbone: str | Callable[[], Any] | None
    text_model: str | Path | None
    cv: int | float | None
    time_budget: float | str | None
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    augment: str | Callable[..., Any]
    precision: str
    devices: Any
    work_dir: str | Path | None
    baseline: bool
    random_state: int | np.random.RandomState | None
    verbose: int | Callable[[str], None]

    def objective_for(self, data: Dataset) -> Any:
        """Return the objective for such data."""
        raise NotImplementedError

    def _labelled(self, X: Any, y: Any) -> Dataset:
        """Return the rows that have labels.

        Raises
        ------
        TailwiseError
            If nothing can be learned from them.
        """
        raise NotImplementedError

    def _recipes(self, kind: str, data: Dataset) -> Sequence[str]:
        """Return the recipes that ``"auto"`` compares."""
        raise NotImplementedError

    def _testable(self, data: Dataset) -> int:
        """Return how many rows can be held out, one after the other."""
        raise NotImplementedError

    def _folds(self, labels: Any, data_kind: str, seed: int) -> list[Fold]:
        """Return the folds for the comparison."""
        raise NotImplementedError

    def _estimator_learner(self, base: BaseEstimator, nominal: tuple[int, ...]) -> EstimatorLearner:
        """Return what trains a scikit-learn classifier on such labels."""
        return EstimatorLearner(base, nominal)

    def _estimator_in_time(self, base: BaseEstimator, plan: Plan) -> tuple[BaseEstimator, list[str]]:
        """Return as much of a classifier as is affordable, and a sentence for each thing left out."""
        return in_time(base, plan)

    @_many_classes_are_expected()
    def _fit(self, X: Any, y: Any) -> None:
        """Compare the recipes, train the winner on everything, and set the fitted attributes."""
        start = time.monotonic()
        self._forget()
        data = self._labelled(X, y)
        candidates = self.check_options(data)
        with nullcontext() if self.work_dir is None else working_in(self.work_dir):
            training = self._training(data)
            candidates = self._usable(training, candidates)
            rehearse(training, candidates, self.estimator, self.backbone)
            training = self._in_time(training, candidates, training.learner.agreed(time.monotonic() - start))
            comparison = compare(
                candidates,
                partial(self._held_out_scores, training, candidates),
                training.task,
                training.labels,
                training.folds,
                training.objective,
                enter=training.enter,
                plain=PLAIN,
                reference=PLAIN if self.baseline else None,
                seed=training.seed,
                clock=Clock(seconds(self.time_budget), start, training.learner.agreed),
                whole=training.whole,
            )
            chosen = comparison.winner
            fitted = training.on_everything(chosen.training)
            if callable(self.backbone):
                check_loaded(fitted, training.inputs, self.backbone)
            self.classes_ = training.data.class_labels
            self.class_counts_ = training.data.class_counts
            self.comparison_ = comparison.rows
            self.recipe_ = chosen
            self.model_ = training.model(chosen, fitted, comparison)
            if self.baseline:
                plainly = fitted if chosen.training == PLAIN else training.on_everything(PLAIN)
                self.baseline_ = training.model(PLAIN, plainly, comparison)

    def _usable(self, training: Training, candidates: list[Recipe]) -> list[Recipe]:
        """Return the recipes that suit the learner; others that only "auto" named are left out with a note."""
        usable: list[Recipe] = []
        for candidate in candidates:
            try:
                training.learner.check(candidate.training, training.task)
            except TailwiseError as error:
                if self._is_named(candidate) or not usable:
                    raise
                training.left_out.append(f"Not compared: {error}")
            else:
                usable.append(candidate)
        return usable

    def _is_named(self, candidate: Recipe) -> bool:
        """Say whether the user asked for a recipe, rather than "auto"."""
        return any(named in (candidate, candidate.name) for named in self._named())

    def _held_out_scores(self, training: Training, candidates: Sequence[Recipe], recipe: Recipe, fold: int) -> Any:
        """Return what :meth:`Training.held_out_scores` does, or None if a recipe fails that only "auto" named."""
        try:
            return training.held_out_scores(recipe, fold)
        except TailwiseError as error:
            mine = [candidate for candidate in candidates if candidate.training == recipe]
            if candidates[0] in mine or recipe == PLAIN or any(map(self._is_named, mine)):
                raise
            training.left_out.append(f"Not compared: {error}")
            return None

    def check_options(self, data: Dataset) -> list[Recipe]:
        """Return the recipes to compare if all options can be used on such data; :meth:`fit` begins with it, too.

        Raises
        ------
        TailwiseError
            In one line, for the first option that cannot be used.
        """
        if not isinstance(self.cv, Real | None):
            raise TailwiseError(f"cv must be a number of folds, or the share to hold out once; got {self.cv!r}.")
        check_settings(self)
        if self.work_dir is not None and not str(self.work_dir):
            raise TailwiseError("work_dir must name a folder; got an empty text.")
        seconds(self.time_budget)
        try:
            check_random_state(self.random_state)
        except ValueError as error:
            raise TailwiseError(f"random_state cannot be {self.random_state!r}: {error}.") from None
        if not isinstance(self.cv, Integral | None) and not 0 < self.cv < 1:
            raise TailwiseError(f"the share to hold out must lie between 0 and 1; got {self.cv}.")
        most = self._testable(data)
        if isinstance(self.cv, Integral) and most >= 2 and not 2 <= self.cv <= most:
            raise TailwiseError(
                f"the number of folds must be from 2 to {most:,}, the rows that can be held out; got {self.cv}."
            )
        for what, value, known in (
            ("augmentation", self.augment, AUGMENTATIONS),
            ("precision", self.precision, ("auto", *PRECISIONS)),
        ):
            if not callable(value) and str(value) not in known:
                raise TailwiseError(f"there is no {what} {value!r}.{nearest(value, known)} Use {', '.join(known)}.")
        kind = learner_kind(self.estimator, self.backbone, data.kind)
        candidates = self._candidates(kind, data)
        self.objective_for(data)
        for name, default in (("epochs", None), ("batch_size", None), ("learning_rate", None), ("precision", "auto")):
            if kind == "estimator" and getattr(self, name) != default:
                raise TailwiseError(f"{name} is for networks, and this trains none: give a backbone, or drop {name}.")
        if self.augment != "flip-crop" and (kind == "estimator" or data.kind != "image"):
            raise TailwiseError("augment is for networks of images, and this trains none: drop augment.")
        if self.text_model is not None:
            check_text_model(self.text_model, data.kind)
        if kind == "network":
            self._network_learner(data.inputs if data.kind == "image" else np.empty((1, 1)))
            check_backbone(self.backbone)
        return candidates

    def _in_codes(self, base: BaseEstimator, data: Dataset) -> BaseEstimator:
        """Return an estimator whose settings name codes rather than labels, as it is fitted on codes."""
        return base

    def _fitted(self) -> Any:
        check_is_fitted(self)
        return self.model_

    def _known(self, data: Dataset) -> Dataset:
        """Return the data, after setting the attributes that scikit-learn's contract asks for."""
        base = self.estimator
        needed = ("fit", "get_params", "__sklearn_tags__")
        is_estimator = not isinstance(base, type) and all(hasattr(base, name) for name in needed)
        if base is not None and not (is_estimator and classifies(base)):
            raise TailwiseError(f"estimator must be a scikit-learn classifier, such as SVC(); got {base!r}.")
        if base is not None and not (hasattr(base, "predict_proba") or hasattr(base, "decision_function")):
            raise TailwiseError(
                f"estimator must score the classes, by predict_proba or decision_function; {type(base).__name__} does "
                f"neither{' unless its voting is soft' * hasattr(base, 'voting')}"
                f"{' unless its final_estimator is named' * hasattr(base, 'final_estimator')}."
            )
        if data.kind == "array":
            validate_data(self, data.inputs, accept_sparse="csr", ensure_all_finite="allow-nan")
        elif data.kind == "table":
            self.feature_names_in_ = np.array(data.inputs.columns, dtype=object)
            self.n_features_in_ = data.inputs.width
        return data

    def _forget(self) -> None:
        """Remove what an earlier fit left and this one may not set."""
        for name in ("feature_names_in_", "n_features_in_", "baseline_"):
            if hasattr(self, name):
                delattr(self, name)

    def _network_learner(self, inputs: Any, progress: bool | Callable[[str], None] = False) -> NetworkLearner:
        return network_learner(
            self.backbone,
            inputs,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            augment=self.augment,
            devices=self.devices,
            precision=self.precision,
            progress=progress,
        )

    def labelled(self, X: Any, y: Any = None) -> Dataset:
        """Return labelled examples as a data set with the classes of the training; X and y as for ``fit``."""
        return self._fitted().labelled(X, y)  # type: ignore[no-any-return]

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the model folder; :func:`tailwise.load_model` reads it. Under ``torchrun`` the first process writes."""
        check_is_fitted(self)
        self.model_.save(path, force=force)

    def _training(self, data: Dataset) -> Training:
        """Encode the data and set up the learner, the folds and the cache."""
        labels = np.asarray(data.labels)
        kind = learner_kind(self.estimator, self.backbone, data.kind)
        base = self.estimator if self.estimator is not None else default_estimator(data)
        encoder, inputs = fit_encoder(data, kind, base, self.text_model)
        self.notes_ = (*data.notes, *getattr(encoder, "notes_", ()))
        for note in self.notes_:
            self._tell(note)
        doing = ""

        def tell(line: str) -> None:
            nonlocal doing
            doing = line
            self._tell(line)

        progress = (lambda line: self._tell(f"{doing}, {line}")) if callable(self.verbose) else bool(self.verbose)
        learner: EstimatorLearner | NetworkLearner
        learner = (
            self._network_learner(inputs, progress)
            if kind == "network"
            else self._estimator_learner(self._in_codes(base, data), getattr(encoder, "nominal_", ()))
        )
        contents = digest(labels, inputs)
        identity = {} if self.work_dir is None else {**self._identity(), "data": contents}
        cache = Cache(self.work_dir, identity, learner.agreed)
        random_state = cache.once("seed", self._seed)
        seed = _drawn(random_state)
        return self._training_of(
            data=data,
            labels=labels,
            encoder=encoder,
            inputs=inputs,
            learner=learner,
            objective=self.objective_for(data),
            folds=self._folds(labels, data.kind, seed),
            random_state=random_state,
            seed=seed,
            contents=contents,
            cache=cache,
            left_out=[],
            tell=tell,
        )

    def _in_time(self, training: Training, candidates: Sequence[Recipe], gone: float) -> Training:
        """Plan what is to be fitted in the time left, and return as much of the training as is affordable."""
        budget = seconds(self.time_budget)
        trainings = list(dict.fromkeys(candidate.training for candidate in candidates))
        plan = Plan(
            inputs=training.inputs,
            labels=training.labels,
            task=training.task,
            held_out=training.folds[0][1],
            sure=list(dict.fromkeys([trainings[0], PLAIN] if self.baseline else [trainings[0]])),
            n_fits=len(trainings) * len(training.folds) + 2,
            budget=None if budget is None else max(budget - gone, budget / 100),
            seed=training.seed,
            cache=training.cache,
        )
        learner: EstimatorLearner | NetworkLearner
        if isinstance(training.learner, EstimatorLearner):
            base, left_out = self._estimator_in_time(training.learner.base, plan)
            learner = replace(training.learner, base=base)
        else:
            learner, left_out = epochs_in_time(training.learner, plan)
        return replace(training, learner=learner, left_out=[*training.left_out, *left_out])

    def _seed(self) -> int:
        """Return the number that, as ``random_state``, gives this fit again."""
        return int(self.random_state) if isinstance(self.random_state, Integral) else _drawn(self.random_state)

    def _identity(self) -> dict[str, str]:
        """Return the options that a result depends on, and the versions."""
        options = self.get_params(deep=False).items()
        return {
            **{name: describe(value) for name, value in options if name not in _NO_MATTER},
            "versions": describe(versions()),
        }

    def _named(self) -> list[Any]:
        """Return what the option ``recipe`` names."""
        given: Any = self.recipe
        return list(given) if isinstance(given, Collection) and not isinstance(given, str) else [given]

    def _candidates(self, kind: str, data: Dataset) -> list[Recipe]:
        """Return the recipes to compare."""
        names = [[name] if name != "auto" else self._recipes(kind, data) for name in self._named()]
        found = [
            find_recipe(name, **(_settings(name) if isinstance(name, Recipe) else {}))
            for some in names
            for name in some
        ]
        found = list(dict.fromkeys(found))
        if not found:
            raise TailwiseError("the list of recipes is empty: name at least one, or use auto.")
        for candidate in found:
            if self._target not in candidate.targets:
                instead = ("one class per row: use TailClassifier", "sets of labels: use TailMultilabelClassifier")
                raise TailwiseError(f"recipe {candidate.name!r} is for {instead['labels' in candidate.targets]}.")
            if kind not in candidate.learners():
                if kind == "estimator":
                    wrong = "needs a network: give a backbone"
                elif data.kind == "image":
                    wrong = "is for tables and texts, not for images"
                else:
                    wrong = "needs a scikit-learn estimator: give no backbone"
                raise TailwiseError(f"recipe {candidate.name!r} {wrong}.")
        return found

    def _tell(self, line: str) -> None:
        if callable(self.verbose):
            self.verbose(line)
        elif self.verbose:
            print(line, file=sys.stderr)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that NaN and strings are accepted, and sparse matrices if the estimator takes them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = self.estimator is None or get_tags(self.estimator).input_tags.sparse
        tags.input_tags.string = True
        return tags
