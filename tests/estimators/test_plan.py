"""A time budget becomes rows, iterations and epochs, as measured fits say; here they are made up."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from estimators.cases import quick, table
from tailwise.data import as_dataset
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.estimators._cache import Cache
from tailwise.estimators._plan import Plan, in_time
from tailwise.recipes import recipe
from tailwise.resample import CaseControlClassifier

LABELS = np.repeat(np.arange(3), [18_000, 1_900, 100])


class Timed(Cache):
    """Says how long fits on so many rows took."""

    def __init__(self, seconds: Any, folder: Path | None) -> None:
        super().__init__(folder, {})
        self.seconds = seconds

    def once(self, key: str, decide: Any) -> int:
        what, *sizes = key.split("-")
        return int(1e6 * self.seconds(*map(int, sizes))) if what == "pilot" else super().once(key, decide)


def planned(
    estimator: Any, budget: float, seconds: Any, *sure: str, n_fits: int = 17, folder: Path | None = None
) -> tuple[Any, list[str]]:
    recipes = [recipe(name) for name in sure or ["cross-entropy"]]
    inputs, held_out, cache = np.zeros((len(LABELS), 1)), np.arange(9), Timed(seconds, folder)
    task = Task(np.bincount(LABELS))
    return in_time(estimator, Plan(inputs, LABELS, task, held_out, recipes, n_fits, budget, 0, cache))


@pytest.mark.parametrize(
    ("base", "speed"), [(LogisticRegression(), 1000), (HistGradientBoostingClassifier(max_iter=100), 100_000)]
)
def test_what_was_decided_stays_so_when_more_recipes_are_compared_later(base: Any, speed: int, tmp_path: Path) -> None:
    def seconds(rows: int, tried: int = 1) -> float:
        return rows * tried / speed

    first, told = planned(base, 100, seconds, folder=tmp_path)
    later, told_later = planned(base, 100, seconds, n_fits=60, folder=tmp_path)
    anew, _ = planned(base, 100, seconds, n_fits=60)
    assert (repr(later), told_later) == (repr(first), told)
    assert repr(anew) != repr(first)


def test_rows_are_as_many_as_let_all_fits_end_in_time() -> None:
    estimator, left_out = planned(LogisticRegression(), 170, lambda rows, tried: rows / 1000)
    assert estimator.max_rows == 6000, "17 fits of 6 s are 0.6 of the budget"
    assert left_out == ["Fits saw at most 6,000 of 20,000 rows, at most 4,000 of a class, to bound time and memory."]
    estimator, left_out = planned(LogisticRegression(), 1000, lambda rows, tried: rows / 1000)
    assert isinstance(estimator, LogisticRegression)
    assert not left_out


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_where_time_is_short_the_fewest_fits_still_end_in_time(power: float) -> None:
    def seconds(rows: int, tried: int = 1) -> float:
        return 6 * (rows / 500) ** power

    estimator, _ = planned(LogisticRegression(), 30, seconds)
    assert estimator.max_rows < 2000
    assert 2 * seconds(estimator.max_rows) == pytest.approx(18, rel=0.01)


def test_a_slow_recipe_alone_gets_fewer_rows() -> None:
    rows = [
        planned(LogisticRegression(), 400, lambda rows, tried: rows / 1000, *sure)[0].max_rows
        for sure in (["cross-entropy"], ["balanced-bagging", "cross-entropy"])
    ]
    assert rows[0] > 5 * rows[1]


def test_an_ensemble_of_none_is_refused_in_limited_time_too() -> None:
    x, y = table()
    with pytest.raises(TailwiseError, match="n_estimators must be a whole number of at least 1; got 0"):
        quick(recipe("balanced-bagging", n_estimators=0), time_budget="9s").fit(x, y)


def test_boosting_of_many_trees_gets_fewer_iterations() -> None:
    booster = CaseControlClassifier(HistGradientBoostingClassifier(max_iter=100))
    estimator, left_out = planned(booster, 100, lambda rows, tried: tried / 2)
    assert estimator.estimator.max_iter == 60, "two fits of a hundred would take 100 s"
    assert "Boosting ran 60 of 100 iterations, to finish in time." in left_out


def test_boosting_gets_the_rows_that_it_has_time_for_however_long_a_tree_takes() -> None:
    """Trees of many classes take long whatever the number of rows."""

    def seconds(rows: int, tried: int) -> float:
        return tried * (0.05 + rows / 1e6)

    booster = HistGradientBoostingClassifier(max_iter=100)
    estimator, left_out = planned(booster, 240, seconds)
    assert estimator is booster, "17 fits take 119 s on all rows, and 88 s on a tenth of them"
    assert not left_out
    estimator, _ = planned(booster, 180, seconds)
    assert 17 * seconds(estimator.max_rows, 100) == pytest.approx(0.6 * 180, rel=0.01)


def test_a_first_fit_that_is_slow_from_cold_promises_nothing() -> None:
    def seconds(rows: int, tried: int = 1) -> float:
        return 0.085 if rows < 200 else 0.048 if rows < 1000 else 0.071

    estimator, _ = planned(LogisticRegression(), 4, seconds)
    assert estimator.max_rows == pytest.approx(2000 * 0.6 * 4 / (17 * 0.071), rel=0.01), "in proportion"


def test_classifiers_of_all_labels_keep_the_rarest_labels_whole() -> None:
    rows = np.zeros((20_000, 3), dtype=np.int8)
    rows[:, 0], rows[:400, 1], rows[:20, 2] = 1, 1, 1
    plan = Plan(np.zeros((20_000, 1)), rows, Task(rows.sum(axis=0)), np.arange(9), [recipe("cross-entropy")], 17, 170,
                0, Timed(lambda n, tried: n / 1000, None), "with the same rarest label")  # fmt: skip
    estimator, left_out = in_time(RandomForestClassifier(), plan)
    assert estimator.max_rows == 6000
    assert left_out == [
        "Fits saw at most 6,000 of 20,000 rows, at most 5,600 with the same rarest label, to bound time and memory."
    ]


def test_boosting_that_is_slow_is_timed_on_few_iterations() -> None:
    tries = []

    def seconds(rows: int, tried: int) -> float:
        tries.append(tried)
        return 3 * tried

    booster = CaseControlClassifier(HistGradientBoostingClassifier(max_iter=100))
    estimator, _ = planned(booster, 20, seconds)
    assert tries == [2], "a fifth of the iterations would take three times the budget"
    assert estimator.estimator.max_iter == 2, "two fits of two iterations take 12 s"
    planned(booster, 180, seconds)
    assert tries[1:] == [2, 6], "six take a tenth of the budget"


def test_the_model_card_says_what_was_left_out() -> None:
    x, y = table((4000, 300, 40))
    model = quick("cross-entropy", estimator=None, time_budget="0.5s", cv=0.3).fit(x, y).model_
    assert "of 4,340 rows" in model.card["learner"]["left_out"][-1]


def test_training_on_everything_takes_as_much_longer_as_it_has_rows() -> None:
    data = as_dataset(*table())
    assert quick()._training(data).whole == pytest.approx(1.5)
    capped = quick(estimator=CaseControlClassifier(LogisticRegression(), max_rows=60))
    assert capped._training(data).whole == 1
