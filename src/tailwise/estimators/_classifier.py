"""The scikit-learn estimator that people use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import column_or_1d

from tailwise.counts import class_counts
from tailwise.data import Dataset, as_dataset, stratified_folds, stratified_split
from tailwise.data.labels import codes_among, encode_labels, warn_of_words
from tailwise.errors import TailwiseError
from tailwise.estimators._compare import Fold, held_out_sample
from tailwise.estimators._model import Prior
from tailwise.estimators._objective import Objective, as_objective
from tailwise.estimators._tail import TailEstimator, known_only, mean_of
from tailwise.estimators._training import Training
from tailwise.metrics import Evaluation
from tailwise.recipes import Recipe
from tailwise.resample import affordable_rows
from tailwise.wording import some

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


class TailClassifier(TailEstimator):
    """A classifier for long-tailed data: any recipe, or the best of them, on tables, images, text or arrays.

    Parameters
    ----------
    recipe : a recipe's name or instance, or a list of them to choose from, where ``"auto"`` stands for those that suit
        the data. The best on held-out folds is chosen, unless one that corrects plain training is within a standard
        error of it
    estimator : a scikit-learn classifier for the recipes to train. By default histogram gradient boosting for tables
        and arrays, logistic regression (one class against the rest) for text
    backbone : train networks instead: ``"mlp"``, ``"resnet32"``, a timm name, or a function that returns an
        ``nn.Module`` with ``out_features``. The default for images is ``"resnet32"``
    text_model : folder of a sentence-transformers or Hugging Face model that encodes texts; None is tf-idf. The saved
        model names the folder, and needs it
    objective : what the choice and the thresholds optimise: ``"balanced_accuracy"``, ``"macro_f1"``,
        ``"few_shot_accuracy"``, ``"worst_class"``, ``"g_mean"``, ``"accuracy"``, a scikit-learn scorer (which sees
        answers and labels, but no features) or its name, for two classes also with one of them (``"f1 of 'fraud'"``),
        or an (n_classes, n_classes) cost matrix (rows: true class), or a nested mapping true -> predicted -> cost
    cv : number of folds, or the share to hold out once. By default 3 folds, or a fifth held out for more than 5,000
        images
    coverage : share of examples whose prediction set should contain the true class
    time_budget : seconds, or ``"90s"``, ``"10m"``, ``"2h"``; None is no limit. Recipes and folds that there is no time
        for are left out, and fits get fewer rows, iterations or epochs; the comparison and the model card say so. A
        running fit is never interrupted: a classifier without ``sample_weight`` trains on all rows, and a network for
        at least four epochs, however long that takes
    epochs, batch_size, learning_rate : for networks; None is the default for the kind of data
    augment : for images and networks: ``"flip-crop"``, ``"crop"`` (if mirroring changes the meaning, as in writing),
        ``"none"``, or ``augment(inputs, targets, generator) -> (inputs, targets)``
    precision : for networks: ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"`` or ``"64-true"``, as in Lightning Fabric;
        ``"auto"`` is bf16-mixed for images if the processor or GPU has instructions for it, else 32-true
    devices : how many, for networks; "auto" is one, or under ``torchrun`` as many as it started
    work_dir : folder for the checkpoints and held-out scores of one fit; a fit that was killed resumes from there
    baseline : also train the plain learner on everything, as ``baseline_``, to measure what the choice gains
    random_state : seed
    verbose : 1 prints what is being fitted to stderr; a function is called with each such line, and while a network
        trains with its epoch and the time left, twice a second at most

    Attributes
    ----------
    classes_ : (n_classes,) labels
    class_counts_ : (n_classes,) training examples of each
    comparison_ : an object for each recipe, with the attributes ``recipe``, ``settings``, ``score`` (the objective on
        held-out examples, None if it was not fitted), its 95 % interval ``low`` and ``high``, ``folds`` (the score of
        each), ``seconds``, ``outcome`` (``"selected"``, ``"compared"``, ``"passed over"``, ``"dropped"`` or ``"out of
        time"``) and its ``reason`` in words
    recipe_ : the recipe that was chosen
    model_ : the :class:`tailwise.estimators.Model`, which saves and loads
    baseline_ : the plain learner as a Model, if ``baseline``
    notes_ : a line for everything in the data that was left out or taken as missing, such as infinity in a frame;
        also reported if ``verbose``
    n_features_in_, feature_names_in_ : as in scikit-learn

    Notes
    -----
    Decisions and probabilities are two different things. ``predict`` decides for the objective; ``predict_proba`` gives
    honest probabilities under the training prior, corrected for whatever re-balancing the recipe did and calibrated on
    held-out scores. With a balanced objective, the predicted class need not be the likeliest one.

    Recipes of your own, and an estimator for more than 2,000 rows, are tried on a few rows before anything is trained
    for long: what fails is told at once, and a warning says what :meth:`save` would refuse.

    The intervals of ``comparison_`` and of :func:`tailwise.metrics.evaluate` allow for classes with one to three
    held-out examples: that of balanced accuracy held 90 to 100 % of the time in simulations. For scikit-learn scorers
    of probabilities, such as ``"roc_auc_ovr"``, those of ``comparison_`` are too narrow there.

    Raises
    ------
    TailwiseError
        In one line, for data, options or recipes that cannot be used.

    Examples
    --------
    Since it decides for balanced accuracy, the class that it predicts may be the less likely one:

    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = make_blobs([180, 20], centers=[[0, 0], [2, 2]], random_state=0)
    >>> recipes = ["cross-entropy", "logit-adjustment"]
    >>> classifier = TailClassifier(recipes, estimator=LogisticRegression(), random_state=0).fit(X, y)
    >>> [(row.recipe, row.outcome) for row in classifier.comparison_]
    [('cross-entropy', 'compared'), ('logit-adjustment', 'selected')]
    >>> classifier.predict([[1.2, 1.2]]).tolist(), classifier.predict_proba([[1.2, 1.2]]).round(1).tolist()
    ([1], [[0.8, 0.2]])
    """

    def __init__(
        self,
        recipe: str | Recipe | Sequence[str | Recipe] = "auto",
        *,
        estimator: BaseEstimator | None = None,
        backbone: str | Callable[[], Any] | None = None,
        text_model: str | Path | None = None,
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
        self.text_model = text_model
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

    _target = "class"
    _training_of = Training

    def fit(self, X: Any, y: ArrayLike | None = None) -> TailClassifier:
        """Compare the recipes on held-out data, choose, and train the choice on everything.

        Parameters
        ----------
        X : (n, n_features) array or sparse matrix; pandas or polars frame; (n,) strings; (n, height, width, channels)
            uint8 images; or a :class:`tailwise.data.Dataset`, which brings its labels
        y : (n,) labels; rows without one (None, NaN) are left out of the training. The classes are sorted, as
            scikit-learn expects; those of a Dataset keep their order
        """
        self._fit(X, y)
        return self

    def check_options(self, data: Dataset) -> list[Recipe]:
        """Return the recipes to compare if all options can be used on such data."""
        candidates = super().check_options(data)
        if not 0 < self.coverage < 1:
            raise TailwiseError(f"coverage must lie between 0 and 1; got {self.coverage}.")
        return candidates

    def objective_for(self, data: Dataset) -> Objective:
        """Return the objective for such data: a score of decisions with its interval."""
        return as_objective(self.objective, data.n_classes, data.classes, data.class_counts, data.class_labels)

    def predict(self, X: Any, prior: Prior = "train") -> NDArray[Any]:
        """Return (n,) labels, decided for the objective; ``prior`` as in :meth:`tailwise.estimators.Model.answer`."""
        return self._fitted().predict(X, prior)

    def predict_proba(self, X: Any, prior: Prior = "train") -> NDArray[np.float64]:
        """Return (n, n_classes) calibrated probabilities under a class prior, by default the training prior."""
        return self._fitted().predict_proba(X, prior)

    def predict_log_proba(self, X: Any, prior: Prior = "train") -> NDArray[np.float64]:
        """Return the logarithms of :meth:`predict_proba`, finite where a probability rounds to 0."""
        return self._fitted().predict_log_proba(X, prior)

    def predict_sets(self, X: Any) -> NDArray[np.bool_]:
        """Return (n, n_classes): which classes are in each example's prediction set."""
        return self._fitted().predict_sets(X)

    def evaluate(self, X: Any, y: ArrayLike | None = None, prior: Prior = "train") -> Evaluation:
        """Return every measure on labelled examples, per class and group too; see :meth:`tailwise.Model.evaluate`."""
        return self._fitted().evaluate(X, y, prior)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of :meth:`predict`; y has any form that ``fit`` takes.

        Rows without a label are left out; a label that training did not have is never predicted.

        Raises
        ------
        TailwiseError
            If X does not fit the training data, or there is not a label and a weight for each row.
        """
        codes, labels = encode_labels(y, where="y")
        warn_of_words(y, codes)
        predicted = self._fitted().answer(X).predicted
        if codes.shape != predicted.shape:
            raise TailwiseError(f"y must have a label for each of {len(predicted):,} rows; got {len(codes):,}.")
        right = np.array(codes_among(labels, self.classes_))[codes] == predicted
        return mean_of(right, codes >= 0, sample_weight)

    def _labelled(self, X: Any, y: ArrayLike | None) -> Dataset:
        """Return the labelled rows."""
        data = self._known(as_dataset(X, y))
        if data.labels is None:
            raise TailwiseError("requires y to be passed, but the target y is None: give a label per row.")
        if data.has_sets:
            raise TailwiseError("each row has a set of labels: use TailMultilabelClassifier.")
        if getattr(y, "ndim", 1) == 2:
            column_or_1d(y, warn=True)
        classes = data.class_labels
        if y is not None and classes.dtype.kind == "f" and (classes != np.trunc(classes)).any():
            raise TailwiseError(
                "Unknown label type: the labels are fractions, not classes; cut them into classes first."
            )
        data = known_only(data, told=y is not None)
        if np.count_nonzero(data.class_counts) < 2:
            only = data.classes[int(data.class_counts.argmax())]
            raise TailwiseError(f"the labels hold only one class, {only!r}: there is nothing to tell apart.")
        return data if y is None else _sorted(data)

    def _recipes(self, kind: str, data: Dataset) -> Sequence[str]:
        return [name for name in CANDIDATES[kind] if name != "balanced-bagging" or data.n_classes <= _BAGGED]

    def _training(self, data: Dataset) -> Training:
        """Set up what all fits share, with no more held-out rows than memory has room for."""
        training = super()._training(data)
        inputs, labels, folds, objective = training.inputs, training.labels, training.folds, training.objective
        most = max(_SCORED, affordable_rows(inputs, data.n_classes) // 4)  # calibrating holds 64 bytes a row and class
        if objective.scorer is None and sum(len(held_out) for _, held_out in folds) > most:
            folds, class_weight = held_out_sample(folds, labels, data.n_classes, most, training.seed)
            objective = objective.on_sample(class_weight)
        return replace(training, objective=objective, folds=folds, coverage=self.coverage)

    def _in_codes(self, base: BaseEstimator, data: Dataset) -> BaseEstimator:
        settings = {}
        for name, value in base.get_params().items():
            if name.endswith(("class_weight", "sampling_strategy")) and isinstance(value, Mapping):
                codes = codes_among(value, data.class_labels)
                if -1 in codes:
                    label = list(value)[codes.index(-1)]
                    raise TailwiseError(f"{name} names {label!r}, which is no class: {some(data.classes, 10)}.")
                settings[name] = dict(zip(codes, value.values(), strict=True))
        return clone(base).set_params(**settings) if settings else base

    def _testable(self, data: Dataset) -> int:
        return _shared(data.class_counts)

    def _folds(self, labels: NDArray[np.int64], data_kind: str, seed: int) -> list[Fold]:
        """Return the folds for the comparison; examples that are alone in their class are always trained on."""
        testable = _shared(class_counts(labels))
        if not testable:
            raise TailwiseError("no class has two examples, so nothing can be held out to compare recipes on.")
        cv = self.cv
        if cv is None:
            cv = 0.2 if data_kind == "image" and len(labels) > _SMALL else min(3, max(testable - 1, 2))
        folds = stratified_folds(labels, cv, seed) if isinstance(cv, Integral) else [stratified_split(labels, cv, seed)]
        if len(folds[0][1]) < 2:
            raise TailwiseError(
                f"too few rows to compare recipes: two must be held out at once, but of {len(labels)} only {testable} "
                "are in classes with two or more, which can spare one. Collect more, or hold out a larger share."
            )
        return folds


def _shared(counts: NDArray[np.int64]) -> int:
    """Return how many examples are not alone in their class."""
    return int(counts[counts > 1].sum())


def _sorted(data: Dataset) -> Dataset:
    """Return labelled rows with sorted classes, which scikit-learn's scorers of probabilities expect."""
    classes, code = np.unique(data.class_labels, return_inverse=True)
    if (classes == data.class_labels).all():
        return data
    note = (
        "the classes are sorted, as scikit-learn expects, and not in the order that the labels declare: to keep that "
        "order, pass tailwise.data.as_dataset(X, y)."
    )
    return replace(data, labels=code[data.labels], class_labels=classes, notes=(*data.notes, note))
