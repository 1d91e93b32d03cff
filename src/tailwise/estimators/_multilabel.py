"""The scikit-learn estimator for rows that each have a set of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.multiclass import OneVsRestClassifier

from tailwise.data import Dataset, as_dataset, encode_label_sets, label_set_folds, label_set_split
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.estimators._compare import Comparison, Fold
from tailwise.estimators._fitted import Fitted
from tailwise.estimators._label_chains import LabelChains
from tailwise.estimators._label_entrant import LabelEntrant
from tailwise.estimators._label_model import LabelModel
from tailwise.estimators._label_objective import LabelObjective, as_label_objective
from tailwise.estimators._learners import EstimatorLearner, for_label_sets
from tailwise.estimators._plan import Plan, in_time
from tailwise.estimators._tail import TailEstimator, known_only, mean_of
from tailwise.estimators._training import Training
from tailwise.metrics import LabelEvaluation
from tailwise.recipes import Recipe

#: Without plain training, of which tuned thresholds are the better decisions at no more cost.
CANDIDATES = {
    "estimator": ("tuned-thresholds", "ml-ros"),
    "network": (
        "tuned-thresholds",
        "repeat-factor-sampling",
        "equalization-v2",
        "asymmetric",
        "distribution-balanced",
    ),
}


@dataclass(frozen=True)
class LabelTraining(Training):
    """What all fits of one data set share, where each row has a set of labels; these are given in a form."""

    form: str = "sets"

    enter = LabelEntrant

    def _task_of(self, labels: NDArray[np.int8]) -> Task:
        return self.learner.task(labels.sum(axis=0, dtype=np.int64), None, len(labels))

    def model(self, recipe: Recipe, fitted: Fitted, comparison: Comparison) -> LabelModel:  # type: ignore[override]
        """Return a fitted learner with the recipe's chains, fitted on its held-out scores."""
        seen, scores = comparison.held_out[recipe]
        return LabelModel(
            classes=self.data.class_labels,
            class_counts=self.data.class_counts,
            n_examples=len(self.data),
            kind=self.data.kind,
            encoder=self.encoder,
            learner=fitted,
            chains=LabelChains.fit(recipe, scores, self.labels[seen], self.objective),
            form=self.form,
            card=self._card(recipe, fitted, comparison),
            documents={"source": self.data.form},
        )


class TailMultilabelClassifier(TailEstimator):
    """A classifier for rows that each have a set of long-tailed labels: any recipe, or the best of them.

    Parameters
    ----------
    recipe : a recipe's name or instance, or a list of them to choose from, where ``"auto"`` stands for those that suit
        the data; ``tailwise recipes`` marks those for sets of labels
    estimator : a scikit-learn classifier for the recipes to train: one for all labels if it supports that, as forests
        and nearest neighbours do, else one per label. By default histogram gradient boosting for tables and arrays,
        logistic regression for text
    backbone : train networks instead, with one sigmoid per label; otherwise as in :class:`tailwise.TailClassifier`
    text_model : as in :class:`tailwise.TailClassifier`
    objective : what the choice and the thresholds optimise: ``"macro_average_precision"``,
        ``"micro_average_precision"``, ``"few_shot_average_precision"``, ``"macro_f1"`` or ``"micro_f1"``
    cv : number of folds, or the share to hold out once. By default 3 folds
    time_budget : seconds, or ``"90s"``, ``"10m"``, ``"2h"``; None is no limit. Recipes and folds that there is no time
        for are left out, and fits that would take too long get fewer rows, iterations or epochs, as far as the learner
        lets them
    epochs, batch_size, learning_rate, augment, precision, devices, work_dir, baseline, random_state, verbose : as in
        :class:`tailwise.TailClassifier`

    Attributes
    ----------
    classes_ : (n_labels,) labels
    class_counts_ : (n_labels,) training examples with each label
    comparison_ : an object for each recipe, with the attributes ``recipe``, ``settings``, ``score`` (the objective on
        held-out examples, None if it was not fitted), its 95 % interval ``low`` and ``high``, ``folds`` (the score of
        each), ``seconds``, ``outcome`` (``"selected"``, ``"compared"``, ``"passed over"``, ``"dropped"`` or ``"out of
        time"``) and its ``reason`` in words
    recipe_ : the recipe that was chosen
    model_ : the :class:`tailwise.estimators.LabelModel`, which saves; :func:`tailwise.load_model` loads
    baseline_ : the plain learner as a model, if ``baseline``
    form_ : the form of the labels, which predictions take too; see :class:`tailwise.data.LabelSets`
    notes_ : a line for everything in the data that was left out or taken as missing
    n_features_in_, feature_names_in_ : as in scikit-learn

    Notes
    -----
    Folds come from iterative stratification (:func:`tailwise.data.label_set_folds`): every label that has examples has
    one in every training part. ``predict`` assigns a label if its score is above the label's own threshold, tuned for
    F1 on held-out scores; only the plain recipe, ``"cross-entropy"``, decides as the learner does. Probabilities are
    calibrated label by label on held-out scores, so they stay honest whatever re-balancing a recipe did.

    Raises
    ------
    TailwiseError
        In one line, for data, options or recipes that cannot be used.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, Y = [[0, 0], [0, 1], [1, 1]] * 20, [[], ["red"], ["red", "sweet"]] * 20
    >>> classifier = TailMultilabelClassifier("tuned-thresholds", estimator=DecisionTreeClassifier(), random_state=0)
    >>> classifier.fit(X, Y).predict([[1, 1], [0, 1], [0, 0]])
    [['red', 'sweet'], ['red'], []]
    >>> (classifier.predict_proba([[1, 1]]) > 0.5).tolist()
    [[True, True]]
    """

    _target = "labels"
    _training_of = LabelTraining

    def __init__(
        self,
        recipe: str | Recipe | Sequence[str | Recipe] = "auto",
        *,
        estimator: BaseEstimator | None = None,
        backbone: str | Callable[[], Any] | None = None,
        text_model: str | Path | None = None,
        objective: Any = "macro_average_precision",
        cv: int | float | None = None,
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
        self.text_model = text_model
        self.objective = objective
        self.cv = cv
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

    def fit(self, X: Any, y: Any = None) -> TailMultilabelClassifier:
        """Compare the recipes on held-out data, choose, and train the choice on everything.

        Parameters
        ----------
        X : as for :meth:`tailwise.TailClassifier.fit`
        y : (n, n_labels) indicator of 0 and 1 (array, sparse matrix, or a frame whose columns are named after the
            labels), or n sets or lists of labels; rows whose set is None are left out of the training
        """
        self._fit(X, y)
        return self

    def predict(self, X: Any) -> Any:
        """Return the labels of each row, in the form that ``fit`` was given: an indicator, or lists of labels."""
        return self._fitted().predict(X)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return (n, n_labels) calibrated probabilities, one per label; a row's need not sum to 1."""
        return self._fitted().predict_proba(X)

    def evaluate(self, X: Any, y: Any = None) -> LabelEvaluation:
        """Return every measure on labelled examples, per label and group too; y has any form that ``fit`` takes."""
        return self._fitted().evaluate(X, y)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of rows whose labels are predicted without a mistake; y has any form that ``fit`` takes.

        Rows whose labels are unknown are left out.

        Raises
        ------
        TailwiseError
            If X does not fit the training data, or there is not a set of labels and a weight for each row.
        """
        predicted = self._fitted().answer(X).predicted
        rows = encode_label_sets(y, self.classes_, form=self.form_).rows
        if rows.shape != predicted.shape:
            raise TailwiseError(
                f"y must be for {predicted.shape[0]} rows and {predicted.shape[1]} labels; got {rows.shape}."
            )
        return mean_of(np.all(rows == predicted, axis=1), np.all(rows >= 0, axis=1), sample_weight)

    def objective_for(self, data: Dataset) -> LabelObjective:
        """Return the objective."""
        return as_label_objective(self.objective)

    def _labelled(self, X: Any, y: Any) -> Dataset:
        """Return the rows whose labels are known."""
        data, self.form_ = as_dataset(X), "sets"
        if y is not None:
            sets = encode_label_sets(y)
            data, self.form_ = replace(data, labels=sets.rows, class_labels=sets.labels), sets.form
        data = self._known(data)
        if data.labels is None:
            raise TailwiseError("requires y to be passed, but the target y is None: give a set of labels per row.")
        if not data.has_sets:
            raise TailwiseError("each row has one label, not a set of them: use TailClassifier.")
        if data.n_classes < 2:
            raise TailwiseError("there is only one label: use TailClassifier to tell rows with it from those without.")
        data = known_only(data, told=y is not None)
        counts = data.class_counts
        if not ((counts > 0) & (counts < len(data))).any():
            raise TailwiseError("every label is in all rows or in none: there is nothing to tell apart.")
        return data

    def _training(self, data: Dataset) -> Training:
        return replace(super()._training(data), form=self.form_)  # type: ignore[call-arg]

    def _recipes(self, kind: str, data: Dataset) -> Sequence[str]:
        return CANDIDATES[kind]

    def _estimator_learner(self, base: BaseEstimator, nominal: tuple[int, ...]) -> EstimatorLearner:
        return EstimatorLearner(for_label_sets(base), nominal)

    def _estimator_in_time(self, base: BaseEstimator, plan: Plan) -> tuple[BaseEstimator, list[str]]:
        if not isinstance(base, OneVsRestClassifier):
            return in_time(base, replace(plan, each="with the same rarest label"))
        # every label has a fit of its own: the one in the middle is timed, and each gets its share of the time
        counts = plan.task.class_counts
        there = np.flatnonzero((counts > 0) & (counts < len(plan.labels)))
        middle = there[np.argsort(counts[there], kind="stable")[len(there) // 2]]
        share = None if plan.budget is None else plan.budget / len(counts)
        own = plan.labels[:, middle].astype(np.int64)
        of_label = replace(plan, labels=own, budget=share, each="with or without a label")
        each, left_out = in_time(base.estimator, of_label)
        return OneVsRestClassifier(each), left_out

    def _testable(self, data: Dataset) -> int:
        return int(np.count_nonzero(data.is_labelled))

    def _folds(self, labels: NDArray[np.int8], data_kind: str, seed: int) -> list[Fold]:
        cv = 3 if self.cv is None else self.cv
        return (
            label_set_folds(labels, int(cv), seed) if isinstance(cv, Integral) else [label_set_split(labels, cv, seed)]
        )

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, in addition, that a row has a set of labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        return tags
