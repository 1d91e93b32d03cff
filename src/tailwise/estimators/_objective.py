"""What "best" means: a tail-aware score by name, a cost matrix, or any scikit-learn scorer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer, get_scorer_names

from tailwise.data.labels import by_name, class_name, label_key
from tailwise.errors import TailwiseError, nearest
from tailwise.metrics import OBJECTIVES
from tailwise.metrics.confusion import EXTREMES, counted
from tailwise.metrics.estimates import Estimate, estimate, normal_interval
from tailwise.metrics.resampling import resampled_confusions, resampled_rows
from tailwise.wording import one_line, some

#: How the names of scikit-learn's scores begin that are not below 0.
_FROM_ZERO = ("accuracy", "average_precision", "f1", "jaccard", "precision", "recall", "roc_auc", "top_k_accuracy")

#: Where scikit-learn keeps scores of numbers and of clusters, whose scorers would misread class codes.
_NOT_OF_CLASSES = ("sklearn.metrics._regression", "sklearn.metrics.cluster")

#: Scikit-learn's names for scores that thresholds can be tuned for here.
_TWINS = {"f1_macro": "macro_f1", "recall_macro": "balanced_accuracy"}

#: Scores of one of two classes, from its hits, false alarms and misses.
_OF_ONE_CLASS: dict[str, Callable[[float, float, float], float]] = {
    "f1": lambda hits, false, missed: 2 * hits / (2 * hits + false + missed),
    "jaccard": lambda hits, false, missed: hits / (hits + false + missed),
    "precision": lambda hits, false, missed: hits / (hits + false),
    "recall": lambda hits, false, missed: hits / (hits + missed),
}

#: Scikit-learn's scorers that take the second of two classes as the positive one.
_OF_THE_SECOND = ("average_precision", "neg_negative_likelihood_ratio", "positive_likelihood_ratio")

#: Keys of two classes, in sorted order, of which the second is the positive one.
_NO_AND_YES = (["0", "1"], ["-1", "1"], ["false", "true"])

_OF = " of "  # between a score and the class that it is of
_TRIED = 200  # classes that a scorer is tried on
_RESAMPLES = 200  # for an interval
_SCORER_WORK = 20_000_000  # resampled answers, or probabilities, that a scorer is asked about for an interval
_FEWEST = 50  # resamples of a confusion matrix, however large
_CELLS = 50_000_000  # cells of resampled confusion matrices; fewer only if they are large
_DRAWING = 3  # times as long as scoring a confusion matrix takes drawing it and scoring it

ConfusionScore = Callable[[NDArray[Any], NDArray[np.int64]], float]


@dataclass(frozen=True)
class Objective:
    """A score of decisions, greater is better.

    Attributes
    ----------
    name : for tables
    confusion : the score from a confusion matrix and the training class counts. Thresholds are tuned for it; where a
        scikit-learn scorer is the objective they are tuned for balanced accuracy, since a scorer cannot be
    cost : (n_classes, n_classes) cost of predicting column j when row i is true, or None
    scorer : a scikit-learn scorer, or None
    of_proba : whether the scorer looks at probabilities
    least : the score of the worst decisions, if it is known
    class_weight : (n_classes,) how many held-out examples each scored one stands for, by class; None is one
    """

    name: str
    confusion: ConfusionScore
    cost: NDArray[np.float64] | None = None
    scorer: Callable[..., float] | None = None
    of_proba: bool = False
    least: float = -np.inf
    class_weight: NDArray[np.float64] | None = None

    def on_sample(self, class_weight: NDArray[np.float64]) -> Objective:
        """Return the objective for a sample of the held-out examples that favours some classes."""

        def confusion(sampled: NDArray[Any], class_counts: NDArray[np.int64]) -> float:
            return self.confusion(sampled * class_weight[:, None], class_counts)

        return replace(self, confusion=confusion, class_weight=class_weight)

    def weights(self, labels: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return how many held-out examples each one stands for, (n,), or None for one each."""
        return None if self.class_weight is None else self.class_weight[labels]

    def score(
        self,
        labels: NDArray[np.int64],
        predicted: NDArray[np.int64],
        proba: NDArray[Any] | None,
        class_counts: NDArray[np.int64],
    ) -> float:
        """Return the score of decisions; labels and predictions are class codes.

        A scorer of probabilities needs these too, (n, n_classes); if it cannot do with classes that do not occur, it
        gets those of the others.
        """
        if self.scorer is not None:
            classes, there = np.arange(len(class_counts)), np.unique(labels)
            try:
                return _ask(self.scorer, self.name, labels, _Predicted(predicted, proba, classes))
            except TailwiseError:
                if not self.of_proba or proba is None or len(there) == len(classes):
                    raise
            those = np.maximum(proba[:, there], np.finfo(np.float64).tiny)
            those /= those.sum(axis=1, keepdims=True)
            return _ask(self.scorer, self.name, labels, _Predicted(predicted, those, there))
        return float(self.confusion(_matrix(labels, predicted, class_counts), class_counts))

    def resamples(self, n: int, n_classes: int) -> int:
        """Return how many resamples an interval over n examples takes."""
        if self.scorer is None:
            return int(np.clip(_CELLS // n_classes**2, _FEWEST, _RESAMPLES))
        answers = n * (n_classes if self.of_proba else 1)
        return int(np.clip(_SCORER_WORK // answers, 20, _RESAMPLES))

    def interval_work(self, n: int, n_classes: int) -> int:
        """Return how many times as long as a score over n examples its interval takes."""
        return self.resamples(n, n_classes) * (_DRAWING if self.scorer is None else 1)

    def estimate(
        self,
        labels: NDArray[np.int64],
        predicted: NDArray[np.int64],
        proba: NDArray[Any] | None,
        class_counts: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Estimate:
        """Return the score with its 95 % bootstrap interval.

        Decisions are drawn as in :func:`tailwise.metrics.evaluate`, which says how often such intervals hold.
        Probabilities cannot be drawn: for a scorer that looks at them, examples are resampled within their classes. The
        interval is too narrow if tail classes weigh much, and there is none where resampling changes nothing.
        """
        n = self.resamples(len(labels), len(class_counts))
        value = self.score(labels, predicted, proba, class_counts)
        if proba is not None and self.of_proba:
            rows = resampled_rows(labels, n, rng)
            resampled = [self.score(labels[r], predicted[r], proba[r], class_counts) for r in rows]
            variance = float(np.var(resampled, ddof=1))  # there may be few
            most = np.inf
            with suppress(TailwiseError):  # a user's scorer that cannot do with certainty
                most = max(value, self.score(labels, labels, np.eye(len(class_counts))[labels], class_counts))
            return normal_interval(value, variance, most, self.least) if np.ptp(resampled) else Estimate(value)
        drawn = resampled_confusions(_matrix(labels, predicted, class_counts), n, rng)
        centre = None
        if self.scorer is None:
            resampled, total = [], np.zeros((len(class_counts),) * 2)
            for confusion in drawn:
                resampled.append(float(self.confusion(confusion, class_counts)))
                total += confusion
            centre = float(self.confusion(total / n, class_counts))
        else:
            resampled = [self.score(*decisions(confusion), None, class_counts) for confusion in drawn]
        perfect = self.score(labels, labels, None, class_counts)
        extreme = self.name in EXTREMES
        most = max(perfect, *resampled)  # some mistakes may cost less than no answer at all
        return estimate(value, np.array(resampled), centre, most, self.least, extreme)


def _matrix(labels: NDArray[Any], predicted: NDArray[Any], class_counts: NDArray[Any]) -> NDArray[np.int64]:
    return counted(labels, predicted, len(class_counts), len(class_counts))


def decisions(confusion: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return labels and predictions that a confusion matrix counts."""
    cells = np.nonzero(confusion)
    labels, predicted = (np.repeat(codes, confusion[cells]) for codes in cells)
    return labels, predicted


class _Predicted(ClassifierMixin, BaseEstimator):
    """Predictions that are already there, as the fitted classifier that a scikit-learn scorer asks for."""

    def __init__(self, predicted: NDArray[Any], proba: Any, classes: NDArray[Any]) -> None:
        self.predicted = predicted
        self.proba = proba
        self.classes_ = classes
        self.asked_for_proba = False

    def predict(self, X: NDArray[np.intp]) -> NDArray[Any]:
        return self.predicted[X[:, 0]]

    def predict_proba(self, X: NDArray[np.intp]) -> NDArray[Any]:
        self.asked_for_proba = True
        return self.proba[X[:, 0]]


def as_objective(
    objective: Any,
    n_classes: int,
    names: Sequence[str] | None = None,
    class_counts: NDArray[np.int64] | None = None,
    labels: NDArray[Any] | None = None,
) -> Objective:
    """Return the objective that a name, a cost matrix or a scikit-learn scorer stands for.

    Parameters
    ----------
    objective : a cost matrix is (n_classes, n_classes) numbers, or true class -> predicted class -> cost, or a pandas
        frame with the classes as index and columns. A score of one of two classes, such as ``"f1"``, is that of the
        rarer one, or of 1 beside 0 or -1 and of True, unless it names the class, such as ``"f1 of 'fraud'"``
    names : (n_classes,) of the classes; by default their codes
    class_counts : (n_classes,) by which the rarer of two classes is found; by default it is the second
    labels : (n_classes,) what a scorer that is no name gets for the classes; by default their codes

    Raises
    ------
    TailwiseError
        If the name is unknown (the nearest is suggested), the scorer cannot score that many classes, or the cost matrix
        has the wrong shape or bad numbers.

    Returns
    -------
    the objective, whose name stands for it again; that of a scorer that is no name ends in ``()``, and stands for none
    """
    if callable(objective):
        name = getattr(getattr(objective, "_score_func", objective), "__name__", "scorer")
        return _of_scorer(objective, f"{name}()", n_classes, labels)
    if isinstance(objective, str):
        objective = _TWINS.get(objective, objective)
        if objective in OBJECTIVES:
            return Objective(objective, OBJECTIVES[objective], least=0.0)
        known = get_scorer_names()
        of_one, _, label = objective.partition(_OF)
        if n_classes == 2 and of_one in (*_OF_ONE_CLASS, *_OF_THE_SECOND):
            return _of_one_of_two(of_one, ["0", "1"] if names is None else list(names), class_counts, label)
        if label and n_classes != 2:
            raise TailwiseError(f"{objective}: only of two classes a score may name one; there are {n_classes}.")
        if objective in known:
            return _of_scorer(get_scorer(objective), objective, n_classes)
        raise TailwiseError(
            f"there is no objective {objective!r}.{nearest(objective, [*OBJECTIVES, *known])} "
            f"Use {', '.join(OBJECTIVES)}, a cost matrix or a scikit-learn scorer."
        )
    cost = _cost_matrix(objective, [str(code) for code in range(n_classes)] if names is None else names)
    if not np.isfinite(cost).all():
        raise TailwiseError("the cost matrix contains NaN or infinity.")

    def mean_cost(confusion: NDArray[Any], class_counts: NDArray[np.int64]) -> float:
        return 0.0 - float((confusion * cost).sum() / confusion.sum())  # no -0

    return Objective("expected cost (negative)", mean_cost, cost=cost)


def _of_one_of_two(name: str, names: list[str], class_counts: NDArray[np.int64] | None, label: str) -> Objective:
    """Return the objective of a score of one of two classes, of the one with that label if there is one."""
    keys = [label_key(each) for each in names]
    if label:
        written = [each for each in names if label in (each, repr(each))]
        if not written:
            raise TailwiseError(f"{name}{_OF}{label}: the classes are {names[0]!r} and {names[1]!r}.")
        code = names.index(written[0])
    elif sorted(keys) in _NO_AND_YES:
        code = keys.index(max(keys))
    else:
        code = int(class_counts is None or class_counts[1] <= class_counts[0])
    shown = f"{name}{_OF}{names[code]!r}"
    if name in _OF_THE_SECOND:
        scorer = get_scorer(name)
        return replace(_of_scorer(scorer if code else _of_the_first(scorer), name, 2), name=shown)

    def of_one(confusion: NDArray[Any], class_counts: NDArray[np.int64]) -> float:
        hits = float(confusion[code, code])
        false, missed = float(confusion[1 - code, code]), float(confusion[code, 1 - code])
        return _OF_ONE_CLASS[name](hits, false, missed) if hits else 0.0

    return Objective(shown, of_one, least=0.0)


def _of_the_first(scorer: Callable[..., float]) -> Callable[..., float]:
    """Return a scorer that takes the first of two classes for the second."""

    def score(answer: _Predicted, X: NDArray[np.intp], labels: NDArray[np.int64]) -> float:
        mirrored = _Predicted(
            1 - answer.predicted, None if answer.proba is None else answer.proba[:, ::-1], answer.classes_
        )
        value = scorer(mirrored, X, 1 - labels)
        answer.asked_for_proba |= mirrored.asked_for_proba
        return value

    return score


def _of_labels(scorer: Callable[..., float], labels: NDArray[Any]) -> Callable[..., float]:
    """Return a scorer of class codes that gives the user's own scorer labels, with the classes in sorted order."""

    def score(answer: _Predicted, X: NDArray[np.intp], codes: NDArray[np.int64]) -> float:
        known = labels[answer.classes_]
        order = np.argsort(known, kind="stable")
        told = _Predicted(
            labels[answer.predicted], None if answer.proba is None else answer.proba[:, order], known[order]
        )
        value = scorer(told, X, labels[codes])
        answer.asked_for_proba |= told.asked_for_proba
        return value

    return score


def _cost_matrix(cost: Any, names: Sequence[str]) -> NDArray[np.float64]:
    try:
        cost = by_name(cost, names)
        if isinstance(cost, Mapping):
            rows = {class_name(true): {class_name(p): c for p, c in row.items()} for true, row in cost.items()}
            if not set(rows).union(*rows.values()) <= set(names):
                raise KeyError
            # what is right costs nothing unless said otherwise
            cost = [[rows[true].get(p, 0) if p == true else rows[true][p] for p in names] for true in names]
        matrix = np.asarray(cost, dtype=np.float64)
        if matrix.shape != (len(names),) * 2:
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TailwiseError(
            f"a cost matrix for {len(names)} classes needs numbers of shape {(len(names),) * 2}, a row per true class "
            f"and a column per predicted class in the order {some(names, 8)}, or {{true class: {{predicted class: "
            "cost}}."
        ) from None
    return matrix


def _of_scorer(
    scorer: Callable[..., float], name: str, n_classes: int, labels: NDArray[Any] | None = None
) -> Objective:
    """Return the objective of a scorer once it has scored a made-up answer with all classes in it."""
    if getattr(scorer, "_score_func", scorer).__module__.startswith(_NOT_OF_CLASSES):
        raise TailwiseError(f"the scorer {name!r} scores no classes: use one that does, or {', '.join(OBJECTIVES)}.")
    if labels is not None:
        scorer = _of_labels(scorer, labels)
    k = min(n_classes, _TRIED)
    codes = np.repeat(np.arange(k), 3)
    answer = _Predicted(codes, np.full((len(codes), k), 1 / k), np.arange(k))
    with warnings.catch_warnings(action="ignore"):
        _ask(scorer, name, codes, answer)
    tuned_for = OBJECTIVES["balanced_accuracy"]
    least = 0.0 if name.startswith(_FROM_ZERO) and not name.endswith("()") else -np.inf
    return Objective(name, tuned_for, scorer=scorer, of_proba=answer.asked_for_proba, least=least)


def _ask(scorer: Callable[..., float], name: str, labels: NDArray[np.int64], answer: _Predicted) -> float:
    try:
        with warnings.catch_warnings(category=UndefinedMetricWarning, action="ignore"):
            score = float(scorer(answer, np.arange(len(labels)).reshape(-1, 1), labels))
        if not np.isfinite(score):
            raise ValueError(f"its score is {str(score).replace('nan', 'NaN')}")
        return score
    except Exception as error:  # whatever a user's scorer raises
        known = get_scorer_names()
        kin = name.removesuffix("()").removesuffix("_score")
        better = [repr(kin + way) for way in ("_macro", "_ovr") if kin + way in known]
        what = f"use {better[0]}" if better else one_line(error).rstrip(".")
        raise TailwiseError(f"the scorer {name!r} cannot score these classes: {what}.") from error
