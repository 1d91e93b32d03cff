"""What a user's own classifier lacks or does wrong is said in one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from tailwise import TailClassifier, TailMultilabelClassifier
from tailwise.errors import TailwiseError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), np.repeat([0, 1, 2], [40, 15, 5])

Answer = Callable[[int, int], Any]  # of how many rows and classes


class Own(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are what a function makes of the numbers of rows and classes."""

    def __init__(self, answer: Answer | None = None, classes: Callable[[Any], Any] | None = np.unique) -> None:
        self.answer = answer
        self.classes = classes

    def fit(self, X: Any, y: Any) -> Any:
        self.n_ = len(np.unique(y))
        if self.classes is not None:
            self.classes_ = self.classes(y)

    def predict_proba(self, X: Any) -> Any:
        answer = (lambda n, k: np.full((n, k), 1 / k)) if self.answer is None else self.answer
        return answer(len(X), self.n_)


class Failing(Own):
    """A classifier that cannot be fitted."""

    def fit(self, X: Any, y: Any) -> Any:
        raise RuntimeError("out of\nluck")


class Bare:
    """A classifier that is not scikit-learn's."""

    def fit(self, X: Any, y: Any) -> Any:
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.ones((len(X), 3)) / 3


def codes_as_words(y: Any) -> Any:
    return np.unique(y).astype(str)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Own(classes=None), "recipe 'cross-entropy': Own must have classes_ once it is fitted"),
        (Own(classes=codes_as_words), "recipe 'cross-entropy': Own must have classes_"),
        (Own(lambda n, k: np.ones((n, k + 1))), r"Own must score 20 rows and 3 classes; it returned \(20, 4\)"),
        (Own(lambda n, k: np.ones((n, k - 1))), r"Own must score 20 rows and 3 classes; it returned \(20, 2\)"),
        (Own(lambda n, k: np.ones(n)), r"Own must score 20 rows and 3 classes; it returned \(20,\)"),
        (Own(lambda n, k: np.ones((n - 1, k))), r"Own must score 20 rows and 3 classes; it returned \(19, 3\)"),
        (Own(lambda n, k: np.full((n, k), np.nan)), "Own returned scores that are no finite numbers"),
        (Own(lambda n, k: -np.ones((n, k))), "Own returned scores that are no finite numbers, or probabilities below"),
        (Own(lambda n, k: 1 / 0), "recipe 'cross-entropy': Own cannot score the data: ZeroDivisionError: division"),
        (Failing(), "recipe 'cross-entropy': Failing cannot be fitted to the data, .*: out of$"),
        (Bare(), "estimator must be a scikit-learn classifier, such as"),
        (StackingClassifier([("a", LogisticRegression())]), "does neither unless its final_estimator is named"),
    ],
)
def test_what_is_wrong_is_told(estimator: Any, message: str) -> None:
    with pytest.raises(TailwiseError, match=message):
        TailClassifier("cross-entropy", estimator=estimator).fit(X, Y)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n, k: np.ones((n - 1, k)) / k, "OneVsRestClassifier must score 20 rows and 3 classes; it returned"),
        (lambda n, k: np.full((n, k), np.nan), "OneVsRestClassifier returned scores that are no finite numbers"),
        (lambda n, k: np.ones(n), "OneVsRestClassifier cannot score the data: IndexError"),
    ],
)
def test_what_is_wrong_with_sets_of_labels_is_told(answer: Answer, message: str) -> None:
    with pytest.raises(TailwiseError, match=message):
        TailMultilabelClassifier("cross-entropy", estimator=Own(answer)).fit(X, X > 0.5)


class OnlyWhole(DecisionTreeClassifier):
    """Fails on rows that were drawn, as balanced bagging draws them."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if len(X) < 35:
            raise ValueError("too few rows")
        return super().fit(X, y, sample_weight)


def test_what_auto_named_may_fail_and_what_the_user_named_may_not() -> None:
    fitted = TailClassifier(estimator=OnlyWhole(), random_state=0).fit(X, Y)
    last = fitted.comparison_[-1]
    assert (last.recipe, last.outcome, last.reason) == ("balanced-bagging", "dropped", "it failed")
    left_out = fitted.model_.card["learner"]["left_out"]
    assert len(left_out) == 1
    assert left_out[0].startswith("Not compared: recipe 'balanced-bagging': OnlyWhole cannot be fitted to the data")
    with pytest.raises(TailwiseError, match=r"recipe 'balanced-bagging': .*too few rows"):
        TailClassifier(["auto", "balanced-bagging"], estimator=OnlyWhole(), random_state=0).fit(X, Y)
    with pytest.raises(TailwiseError, match="work_dir must name a folder; got an empty text"):
        TailClassifier(estimator=DecisionTreeClassifier(), work_dir="").fit(X, Y)


@pytest.mark.parametrize("classes", [np.unique, lambda y: np.unique(y).astype(float), lambda y: [0, 1, 2]])
def test_fit_need_not_return_the_classifier_nor_classes_be_whole_numbers(classes: Any) -> None:
    fitted = TailClassifier("cross-entropy", estimator=Own(classes=classes)).fit(X, Y)
    assert (np.diff(fitted.predict_proba(X).mean(axis=0)) < -0.05).all()
