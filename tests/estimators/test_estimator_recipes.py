"""Every recipe for scikit-learn classifiers trains, answers, is saved and comes back; its probabilities stay honest."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from estimators.cases import quick, table
from tailwise import TailClassifier, load_model
from tailwise.data import TableEncoder
from tailwise.errors import TailwiseError
from tailwise.recipes import recipes

RECIPES = [name for name, cls in recipes().items() if "estimator" in cls.learners() and "class" in cls.targets]
OVER = "borderline-smote adasyn smote-tomek smote-enn gaussian-over-sampling mixup-over-sampling svm-smote kmeans-smote"
UNDER = "tomek-links edited-nearest-neighbours near-miss cluster-centroids"
NUMBERS_ONLY = {**dict.fromkeys(OVER.split(), "smote"), **dict.fromkeys(UNDER.split(), "random-under-sampling")}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores turn a tenth of a second into half a minute."""
    with threadpool_limits(1):
        yield


def mixed(seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """A table with a number that is sometimes missing and two categories, all of which say something of the class."""
    x, y = table(seed=seed)
    rng = np.random.default_rng(seed)
    number = np.where(rng.random(len(y)) < 0.1, np.nan, x[:, 0] - x[:, 1])
    colour = np.array(["red", "green", "blue"])[np.where(rng.random(len(y)) < 0.7, y, rng.integers(3, size=len(y)))]
    size = np.where(rng.random(len(y)) < 0.5, "small", "large")
    return pl.DataFrame({"number": number, "colour": colour, "size": size}), y


@pytest.mark.parametrize("name", RECIPES)
def test_trains_answers_and_comes_back(name: str, tmp_path: Path) -> None:
    x, y = table((200, 60, 20))
    new, labels = table((100, 100, 100), seed=1)
    tree = DecisionTreeClassifier(max_depth=3)
    fitted, again = (quick(name, estimator=tree, cv=2).fit(x, y) for _ in range(2))
    proba = fitted.predict_proba(new)
    assert balanced_accuracy_score(labels, fitted.predict(new)) > 0.5
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    fitted.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(new), proba)
    np.testing.assert_array_equal(again.predict_proba(new), proba)


@pytest.mark.parametrize("name", RECIPES)
def test_probabilities_have_the_shares_of_the_training_data(name: str) -> None:
    """Logistic regression fits these Gaussians exactly, so that whatever is off was left by re-balancing."""
    x, y = table((3000, 1000, 300))
    new, labels = table((6000, 2000, 600), seed=1)
    # without its hard rows a table can be separated, and scores then grow with it; votes of boosting turn with the
    # rows: folds must be nearly the whole
    cv = 5 if name in ("instance-hardness", "rusboost") else 2
    proba = quick(name, estimator=LogisticRegression(max_iter=1000), cv=cv).fit(x, y).predict_proba(new)
    np.testing.assert_allclose(proba.mean(axis=0), np.bincount(labels) / len(labels), atol=0.02)


@pytest.mark.parametrize("name", RECIPES)
def test_classes_with_one_example_and_two(name: str) -> None:
    x, y = table((60, 40, 40, 20, 2, 1))
    fitted = quick(name, estimator=DecisionTreeClassifier(max_depth=5), cv=2).fit(x, y)
    assert np.isfinite(fitted.predict_proba(x)).all()
    assert set(fitted.predict(x)) >= {0, 1, 2, 3}


@pytest.mark.parametrize("name", RECIPES)
def test_classes_that_are_equal(name: str) -> None:
    x, y = table((30, 30, 30))
    fitted = quick(name, estimator=DecisionTreeClassifier(max_depth=3), cv=2).fit(x, y)
    assert balanced_accuracy_score(y, fitted.predict(x)) > 0.8


def test_the_encoder_says_which_columns_hold_codes_of_categories() -> None:
    frame, _ = mixed()
    assert TableEncoder().fit(frame).nominal_ == (1, 2)
    assert TableEncoder(scale=True).fit(frame).nominal_ == ()
    dates = frame.with_columns(pl.lit("2024-05-06").alias("day"), colour2="colour").select("day", "number", "colour2")
    encoder = TableEncoder().fit(dates)
    names = encoder.get_feature_names_out()
    assert [names[at] for at in encoder.nominal_] == ["colour2"]


@pytest.mark.parametrize("name", RECIPES)
def test_tables_with_categories_and_missing_values(name: str) -> None:
    frame, y = mixed()
    booster = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
    classifier = TailClassifier(name, estimator=booster, cv=2, random_state=0)
    if name == "easy-ensemble":
        with pytest.raises(TailwiseError, match="takes no missing values: fill them in"):
            classifier.fit(frame, y)
    elif name in NUMBERS_ONLY:
        with pytest.raises(TailwiseError, match=rf"'{name}' is for numbers only, .* use {NUMBERS_ONLY[name]}\."):
            classifier.fit(frame, y)
    else:
        assert balanced_accuracy_score(y, classifier.fit(frame, y).predict(frame)) > 0.5
