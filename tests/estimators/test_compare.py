"""The comparison flatters nobody, shares its folds, drops only the beaten, and keeps its time."""

import json
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    jaccard_score,
    log_loss,
    make_scorer,
    precision_score,
    recall_score,
)
from sklearn.model_selection import cross_val_predict
from sklearn.utils import check_random_state

from estimators.cases import quick, table
from tailwise import posthoc
from tailwise.data import stratified_folds
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.estimators import _clock, _compare, _tail
from tailwise.estimators._chains import cross_fit, fit_chains, halves
from tailwise.estimators._clock import Clock, seconds
from tailwise.estimators._compare import Comparison, _beaten, compare, held_out_sample
from tailwise.estimators._objective import Objective, as_objective
from tailwise.recipes import Recipe, recipe

pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning")

COUNTS = np.array([300, 100, 40])


@dataclass(frozen=True)
class Skilled(Recipe):
    """Trained to be right as often as it says, and different from others of the same skill by ``number``."""

    skill: float = 0.5
    number: int = 0
    name: ClassVar[str] = "skilled"
    paper: ClassVar[str] = "none"


@dataclass(frozen=True)
class Slow(Skilled):
    """As skilled as it says, and several times as long in training."""

    times: float = 10.0
    said: bool = True
    name: ClassVar[str] = "slow"

    @property
    def relative_cost(self) -> float:
        return self.times if self.said else 1.0


@dataclass(frozen=True)
class Memory(Recipe):
    """Post-hoc steps that remember the labels of the scores they were fitted on."""

    name: ClassVar[str] = "memory"
    paper: ClassVar[str] = "none"

    def posthoc(self, task: Task, scores: np.ndarray, labels: np.ndarray) -> tuple[Any, ...]:
        seen = {row.tobytes(): label for row, label in zip(np.asarray(scores, np.float32), labels, strict=True)}

        def remember(z: np.ndarray) -> np.ndarray:
            known = [seen.get(row.tobytes()) for row in np.asarray(z, np.float32)]
            return np.array(
                [np.eye(task.n_classes)[k] * 99 if k is not None else r for k, r in zip(known, z, strict=True)]
            )

        return (remember,)


@dataclass
class Fitter:
    """A fit_fold that makes scores of a recipe's skill up, and counts."""

    labels: np.ndarray
    folds: list[Any]
    pause: float = 0.0
    sleep: ClassVar[Any] = time.sleep
    calls: list[tuple[Recipe, int]] = field(default_factory=list)

    def __call__(self, trained: Recipe, number: int) -> tuple[np.ndarray, float]:
        start = _compare.time.monotonic()
        self.calls.append((trained, number))
        self.sleep(self.pause * getattr(trained, "times", 1))
        held_out = self.folds[number][1]
        rng = np.random.default_rng([number, getattr(trained, "number", 0)])
        k = self.labels.max() + 1
        right = rng.random(len(held_out)) < getattr(trained, "skill", 0.5)
        answer = np.where(right, self.labels[held_out], rng.integers(k, size=len(held_out)))
        scores = 3 * np.eye(k)[answer] + 0.1 * rng.normal(size=(len(held_out), k))
        return scores.astype(np.float32), _compare.time.monotonic() - start


def race(*recipes: Recipe, n_folds: int = 3, pause: float = 0.0, budget: float | None = None, **settings: Any) -> Any:
    labels = np.repeat(np.arange(3), settings.pop("counts", COUNTS))
    folds = stratified_folds(labels, n_folds, 0)
    fitter = Fitter(labels, folds, pause)
    objective = as_objective(settings.pop("objective", "balanced_accuracy"), 3)
    task = Task(np.bincount(labels), objective=objective.confusion)
    clock = Clock(budget)
    settings = {"plain": recipe("cross-entropy"), "whole": n_folds / (n_folds - 1), **settings}
    return compare(recipes, fitter, task, labels, folds, objective, clock=clock, **settings), fitter


@pytest.fixture
def only_fits_take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no real time pass, so that what a budget allows does not depend on the machine."""
    now = [0.0]
    for module in (_clock, _compare):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Fitter, "sleep", lambda self, seconds: now.append(now.pop() + seconds))


def statuses(comparison: Comparison) -> list[str]:
    return [row.reason or row.outcome for row in comparison.rows]


def test_cross_fitting_cannot_flatter_itself() -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1], 500))
    scores = rng.normal(size=(1000, 2)).astype(np.float32)
    task = Task(np.array([500, 500]))
    fitted = Memory().posthoc(task, scores, labels)
    assert (posthoc.apply(fitted, scores).argmax(axis=1) == labels).all(), "the recipe must be able to cheat"
    for groups in (halves(labels), np.arange(1000) % 5):
        predicted, none = cross_fit(Memory(), task, scores, labels, groups, as_objective("balanced_accuracy", 2))
        assert abs((predicted == labels).mean() - 0.5) < 4 * np.sqrt(0.25 / 1000)
        assert none is None, "nothing looks at them"
        same, proba = cross_fit(Memory(), task, scores, labels, groups, as_objective("neg_log_loss", 2))
        np.testing.assert_array_equal(same, predicted)
        assert -np.log(proba[np.arange(1000), labels]).mean() == pytest.approx(np.log(2), abs=0.01)


@pytest.mark.parametrize("n_folds", [2, 3])
def test_thresholds_tuned_on_noise_score_at_chance(n_folds: int) -> None:
    comparison, _ = race(Skilled(0.0), recipe("tuned-thresholds"), n_folds=n_folds)
    # tuned-thresholds is trained as cross-entropy, which the fitter gives a skill of one half
    by_name = {row.recipe: row for row in comparison.rows}
    assert by_name["skilled"].high > 1 / 3 > by_name["skilled"].low
    assert by_name["tuned-thresholds"].score == pytest.approx(0.5 + 0.5 / 3, abs=0.1)


def test_halves_are_stratified() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 7, 1]))
    group = halves(labels)
    by_class = np.stack([np.bincount(labels[group == g], minlength=3) for g in (0, 1)])
    assert (np.abs(by_class[0] - by_class[1]) <= 1).all()


def test_recipes_that_train_alike_are_fitted_once_on_the_same_folds() -> None:
    plain, adjusted, tuned = recipe("cross-entropy"), recipe("logit-adjustment"), recipe("tuned-thresholds")
    comparison, fitter = race(adjusted, plain, tuned, Skilled(0.5))
    assert fitter.calls == [(r, f) for f in range(3) for r in (plain, Skilled(0.5))]
    labels = np.repeat(np.arange(3), COUNTS)
    for indices, scores in comparison.held_out.values():
        np.testing.assert_array_equal(np.sort(indices), np.arange(len(labels)))
        assert np.isfinite(scores).all()
    assert [row.seconds > 0 for row in comparison.rows] == [True, False, False, True]


def test_the_estimator_is_fitted_once_per_fold_for_all_post_hoc_recipes() -> None:
    x, y = table()
    lines: list[str] = []
    model = quick(["cross-entropy", "logit-adjustment", "tuned-thresholds"], verbose=lines.append, baseline=True)
    model.fit(x, y)
    assert len(lines) == 4, "three folds and everything"


@given(st.integers(0, 2**31), st.lists(st.integers(0, 200), min_size=2, max_size=6), st.integers(3, 300))
def test_a_held_out_sample_keeps_the_tail_and_stands_for_everything(seed: int, counts: list[int], most: int) -> None:
    counts = [50, *counts]
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    n = len(counts)
    folds = [(np.flatnonzero(np.arange(len(labels)) % 3 != f), np.arange(f, len(labels), 3)) for f in range(3)]
    sampled, weight = held_out_sample(folds, labels, n, most, seed)
    kept = np.zeros(n)
    for (train, before), (same, after) in zip(folds, sampled, strict=True):
        np.testing.assert_array_equal(train, same)
        assert set(after) <= set(before)
        assert len(after) <= max(most // 3, n)
        own = np.bincount(labels[after], minlength=n)
        left_out = np.bincount(labels[before], minlength=n) - own
        assert not left_out.any() or own[left_out > 0].min() == own.max(), "only the largest classes lose any"
        kept += own
    np.testing.assert_allclose(kept * weight, counts)


def test_a_sample_of_the_held_out_examples_leaves_scores_and_probabilities_in_place() -> None:
    """Accuracy and calibration depend on the prior: unweighted, the sample would move them."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [40_000, 1000])
    score = 1.5 * rng.normal(size=len(labels)) + np.where(labels == 0, 2, -1)
    scores = np.stack([score, np.zeros_like(score)], axis=1).astype(np.float32)
    task = Task(np.bincount(labels))
    whole = as_objective("accuracy", 2)
    [(_, rows)], weight = held_out_sample([(np.arange(0), np.arange(len(labels)))], labels, 2, 4000, 0)
    assert np.bincount(labels[rows]).tolist() == [3000, 1000]
    sample = whole.on_sample(weight)
    plain = recipe("cross-entropy")
    chains, sampled = (
        fit_chains(plain, task, scores[r], labels[r], o) for r, o in ((slice(None), whole), (rows, sample))
    )
    biased = fit_chains(plain, task, scores[rows], labels[rows], whole)
    share, near, far = (c.predict_proba(scores)[:, 1].mean() for c in (chains, sampled, biased))
    assert abs(near - share) < abs(far - share) / 5
    predicted = chains.predict(scores)
    expected = whole.score(labels, predicted, None, task.class_counts)
    assert sample.score(labels[rows], predicted[rows], None, task.class_counts) == pytest.approx(expected, abs=0.005)
    assert whole.score(labels[rows], predicted[rows], None, task.class_counts) < expected - 0.03


@pytest.mark.parametrize("followed", [1.0, 0.5, 0.0])
def test_classes_keep_their_shares_where_a_learner_follows_its_weights_only_so_far(followed: float) -> None:
    rng = np.random.default_rng(0)
    counts = np.array([20_000, 2000, 500])
    labels = np.repeat(np.arange(3), counts)
    prior = counts / counts.sum()
    truth = np.log(prior) + posthoc.log_softmax(2 * np.eye(3)[labels] + rng.normal(size=(len(labels), 3)))
    scores = (2 * truth - followed * np.log(prior)).astype(np.float32)
    task, objective = Task(counts), as_objective("balanced_accuracy", 3)
    weighted = fit_chains(recipe("class-weighted"), task, scores, labels, objective).predict_proba(scores)
    np.testing.assert_allclose(weighted.mean(axis=0), prior, rtol=0.1)
    plain = fit_chains(recipe("cross-entropy"), task, scores, labels, objective).predict_proba(scores)
    np.testing.assert_allclose(plain.mean(axis=0), prior, rtol=0.1)
    assert (plain.argmax(axis=1) == scores.argmax(axis=1)).all() == (followed == 1), "a temperature is all"


def test_the_winner_is_the_best() -> None:
    comparison, _ = race(Skilled(0.3), Skilled(0.9, 1), Skilled(0.6, 2))
    assert comparison.winner == Skilled(0.9, 1)
    assert statuses(comparison)[1] == "selected"
    scores = [row.score for row in comparison.rows]
    assert scores[1] == max(scores)
    for row in comparison.rows:
        assert row.low <= row.score <= row.high
        assert row.settings["skill"] in (0.3, 0.9, 0.6)


def test_a_recipe_of_plain_training_within_a_standard_error_of_the_best_is_preferred() -> None:
    plain, adjusted = recipe("cross-entropy"), recipe("logit-adjustment")
    seen = set()
    for number in range(12):
        comparison, _ = race(plain, adjusted, Skilled(0.5 + 0.1 * (number % 3), number), counts=[60, 20, 12])
        corrected = max(comparison.rows[:2], key=lambda row: row.score)
        other = comparison.rows[2]
        ahead = other.score - corrected.score
        if ahead <= 0:
            expected = "selected", "compared"
        elif ahead <= (other.high - other.low) / (2 * 1.96):
            expected = "selected", "passed over"
        else:
            expected = "compared", "selected"
        assert (corrected.outcome, other.outcome) == expected
        assert comparison.winner.name == (corrected if expected[0] == "selected" else other).recipe
        seen.add(expected)
    assert len(seen) == 3, "every case was met"


def test_without_a_recipe_of_plain_training_the_best_is_chosen() -> None:
    chosen = set()
    for n in range(4):
        comparison, _ = race(Skilled(0.6, n), Skilled(0.6, n + 1), reference=Skilled(0.1))
        best = max(comparison.rows, key=lambda row: row.score)
        assert best.outcome == "selected"
        chosen.add(comparison.winner.number - n)
    assert chosen == {0, 1}


def test_the_reference_is_chosen_only_if_it_is_a_candidate() -> None:
    best, worse = Skilled(0.9), Skilled(0.4, 1)
    comparison, _ = race(worse, reference=best)
    assert comparison.winner == worse
    assert [row.settings["skill"] for row in comparison.rows] == [0.9, 0.4]
    assert best in comparison.held_out
    assert race(worse, best, reference=best)[0].winner == best


def test_the_beaten_are_dropped_and_the_baseline_never() -> None:
    beaten, best, baseline = Skilled(0.2), Skilled(0.9, 1), Skilled(0.2, 2)
    for order in ([beaten, best, baseline], [baseline, best, beaten], [best, baseline, beaten]):
        for settings in ({"reference": baseline}, {"plain": baseline}):
            comparison, fitter = race(*order, **settings)
            assert dict(
                zip([row.settings["number"] for row in comparison.rows], statuses(comparison), strict=True)
            ) == {
                0: "dropped after fold 1",
                1: "selected",
                2: "compared",
            }
            assert [fitter.calls.count((beaten, fold)) for fold in range(3)] == [1, 0, 0]
            assert [fitter.calls.count((baseline, fold)) for fold in range(3)] == [1, 1, 1]


@dataclass(frozen=True)
class OnlyHead(Skilled):
    """Right in the classes of many, wrong in others."""

    number: int = 7


def test_nobody_is_dropped_before_the_rare_class_was_held_out() -> None:
    """Where it is absent, what gives up some of the head for the tail loses beyond chance."""
    labels = np.repeat([0, 1], [3000, 2])
    folds = sorted(stratified_folds(labels, 3, 0), key=lambda fold: labels[fold[1]].sum())
    assert 1 not in labels[folds[0][1]]

    def fit_fold(trained: Recipe, number: int) -> tuple[np.ndarray, float]:
        held_out = labels[folds[number][1]]
        scores = np.where(held_out[:, None] == [0, 1], 1.0, 0.0) if trained != OnlyHead() else np.eye(2)[0 * held_out]
        if trained == Skilled(0.9):
            scores[::50] = [0, 1]
        return scores.astype(np.float32), 0.0

    result = compare(
        [OnlyHead(), Skilled(0.9)],
        fit_fold,
        Task(np.bincount(labels)),
        labels,
        folds,
        as_objective("balanced_accuracy", 2),
        plain=recipe("cross-entropy"),
        clock=Clock(None),
    )
    assert result.winner == Skilled(0.9)
    assert [len(row.folds) for row in result.rows] == [3, 3]


@pytest.mark.parametrize("scorer", ["roc_auc_ovr", "neg_log_loss", "top_k_accuracy", "f1_macro"])
def test_folds_that_lack_a_class_are_scored_by_the_others(scorer: str) -> None:
    x, y = table((90, 30, 12, 2, 1), spread=1.5)
    fitted = quick(["cross-entropy", "class-weighted"], objective=scorer, cv=3).fit(x, y)
    for row in fitted.comparison_:
        assert len(row.folds) == 3
        assert row.low < row.score < row.high


def test_a_scorer_that_names_its_classes_gets_all_of_them() -> None:
    x, y = table((90, 30, 12, 2, 1), spread=1.5)
    scorer = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba", labels=[0, 1, 2, 3, 4])
    fitted = quick("cross-entropy", objective=scorer, cv=3).fit(x, y)
    assert all(fold < 0 for fold in fitted.comparison_[0].folds)


def test_a_scorer_that_cannot_do_with_certainty_loses_no_fit() -> None:
    def both_ways(classifier: Any, x: np.ndarray, y: np.ndarray) -> float:
        proba, truth = classifier.predict_proba(x), np.eye(3)[y]
        with np.errstate(divide="ignore", invalid="ignore"):
            return float((truth * np.log(proba) + (1 - truth) * np.log(1 - proba)).mean())

    row = quick("cross-entropy", objective=both_ways).fit(*table(spread=2.0)).comparison_[0]
    assert row.low < row.score < row.high


@pytest.mark.parametrize("scorer", ["roc_auc", "average_precision", "neg_log_loss"])
def test_folds_of_one_class_alone_are_not_scored(scorer: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), np.arange(300) % 150 == 0
    x[:, 0] += 4 * y
    fitted = quick(["cross-entropy", "class-weighted"], objective=scorer, cv=3).fit(x, y)
    for row in fitted.comparison_:
        assert sum(fold is None for fold in row.folds) == 1
        assert row.score is not None
        assert row.high is None or row.high <= (0 if scorer == "neg_log_loss" else 1) + 1e-9
        assert row.low is None or row.low >= 0 or scorer == "neg_log_loss"
    json.dumps(fitted.model_.card)


def test_a_scorer_that_no_examples_please_says_so_in_the_end() -> None:
    def never(classifier: Any, x: np.ndarray, y: np.ndarray) -> float:
        if len(y) == 9:  # the made-up answer
            return 0.0
        raise ValueError("no")

    x, y = table((90, 30, 2))
    for folds in (3, 0.05):
        with pytest.raises(TailwiseError, match=r"the scorer 'never\(\)' cannot score these classes: no\."):
            quick("cross-entropy", objective=never, cv=folds).fit(x, y)


@pytest.mark.parametrize("last", [0, 1])
def test_a_recipe_that_fails_may_be_left_out(last: int) -> None:
    labels = np.repeat(np.arange(3), COUNTS)
    fitter = Fitter(labels, stratified_folds(labels, 3, 0))

    def fit_fold(trained: Recipe, number: int) -> Any:
        return None if trained == Skilled(0.9) and number == last else fitter(trained, number)

    found = compare(
        [recipe("cross-entropy"), Skilled(0.9), Skilled(0.8)],
        fit_fold,
        Task(np.bincount(labels)),
        labels,
        fitter.folds,
        as_objective("balanced_accuracy", 3),
        plain=recipe("cross-entropy"),
        clock=Clock(None),
    )
    assert found.winner == (Skilled(0.8) if last == 0 else recipe("cross-entropy")), "the best so far dropped it"
    assert (found.rows[1].outcome, found.rows[1].reason) == ("dropped", "it failed")
    assert len(found.rows[1].folds) == last


@pytest.mark.slow
def test_equals_are_seldom_dropped() -> None:
    dropped, races = 0, 60
    for seed in range(races):
        comparison, _ = race(Skilled(0.6, 3 * seed), Skilled(0.6, 3 * seed + 1), counts=[90, 30, 12])
        dropped += any(status.startswith("dropped") for status in statuses(comparison))
    assert dropped / races < 0.15, "two looks at two standard errors, one-sided, hold near 5 %"


def test_a_class_with_two_held_out_examples_drops_nobody() -> None:
    labels = np.repeat([0, 1], [400, 6])
    folds = stratified_folds(labels, 3, 0)

    def fit_fold(trained: Recipe, number: int) -> tuple[np.ndarray, float]:
        held_out = folds[number][1]
        answer = labels[held_out].copy()
        if trained == Skilled(0.1):
            answer[labels[held_out] == 1] = 0  # misses both rare examples of the fold
        return np.eye(2, dtype=np.float32)[answer], 0.0

    objective = as_objective("balanced_accuracy", 2)
    recipes = [recipe("cross-entropy"), Skilled(0.1)]
    result = compare(
        recipes,
        fit_fold,
        Task(np.bincount(labels)),
        labels,
        folds[:2],
        objective,
        plain=recipe("cross-entropy"),
        clock=Clock(None),
    )
    assert result.rows[1].outcome == "compared"


@pytest.mark.usefixtures("only_fits_take_time")
def test_the_time_budget_is_kept_and_told() -> None:
    comparison, fitter = race(Skilled(0.5), Skilled(0.6, 1), Skilled(0.6, 2), pause=1, budget=5)
    assert _compare.time.monotonic() + 1.5 <= 5, "with time left to train the winner on everything"
    assert len(fitter.calls) < 9
    late = [status for status in statuses(comparison) if "no time left" in status]
    assert late
    assert set(late) <= {"no time left to start", "no time left after fold 1", "no time left after fold 2"}
    assert comparison.winner in (Skilled(0.5), Skilled(0.6, 1), Skilled(0.6, 2))


@pytest.mark.usefixtures("only_fits_take_time")
def test_a_slow_recipe_that_would_end_too_late_is_not_begun_and_stops_no_other() -> None:
    comparison, fitter = race(Skilled(0.5), Slow(0.9), Skilled(0.6, 1), pause=1, budget=24)
    assert statuses(comparison) == ["compared", "no time left to start", "selected"], "25 s for a fold and all"
    assert len(fitter.calls) == 6
    comparison, fitter = race(Skilled(0.5), Slow(0.9), Skilled(0.6, 1), pause=1, budget=32)
    assert statuses(comparison)[1:] == ["selected", "dropped after fold 1"]


@pytest.mark.usefixtures("only_fits_take_time")
def test_a_recipe_that_proved_too_slow_to_train_on_everything_is_not_chosen() -> None:
    comparison, _ = race(Skilled(0.5), Slow(0.95, said=False), Skilled(0.8, 1), pause=1, budget=18)
    assert comparison.rows[1].score > comparison.rows[2].score
    assert statuses(comparison)[1:] == ["no time left to train on everything", "selected"]


@pytest.mark.usefixtures("only_fits_take_time")
def test_a_recipe_with_fewer_folds_is_chosen_if_it_wins_beyond_chance() -> None:
    """On its one fold it beats plain training, which is never dropped and has time for all of them."""
    comparison, _ = race(Skilled(0.5), Slow(0.95), plain=Skilled(0.5), pause=1, budget=32)
    assert [len(row.folds) for row in comparison.rows] == [3, 1]
    assert statuses(comparison) == ["compared", "selected"]


def test_one_fit_is_made_however_short_the_time() -> None:
    comparison, fitter = race(Skilled(0.5), Skilled(0.9, 1), pause=0.02, budget=0.001)
    assert len(fitter.calls) == 1
    assert comparison.winner == Skilled(0.5)
    assert statuses(comparison)[1] == "no time left to start"
    assert comparison.rows[1].score is None


@pytest.mark.parametrize(("pause", "begun", "drawn"), [(0.01, 4, 4), (0.02, 4, 2), (0.1, 4, 0)])
@pytest.mark.usefixtures("only_fits_take_time")
def test_intervals_from_a_slow_scorer_end_in_time(pause: float, begun: int, drawn: int) -> None:
    asked = [0.0]

    def slow(classifier: Any, x: np.ndarray, y: np.ndarray) -> float:
        Fitter.sleep(None, pause * len(y) / sum(COUNTS))
        asked.append(_compare.time.monotonic())
        return float((classifier.predict(x) == y).mean())

    field = [recipe("cross-entropy"), recipe("logit-adjustment"), Skilled(0.5), Skilled(0.5, 1), Skilled(0.5, 2)]
    rows = race(*field, objective=slow, pause=1, budget=9)[0].rows
    assert asked[-1] + 1.5 < 9, "with time left to train the winner on everything"
    known = sorted((row for row in rows if row.score is not None), key=lambda row: -row.score)
    assert len(known) == begun
    assert [row.low is not None for row in known] == [True] * drawn + [False] * (begun - drawn), "the best come first"


@pytest.mark.usefixtures("only_fits_take_time")
def test_what_takes_no_time_is_judged_however_late_it_is() -> None:
    comparison, fitter = race(recipe("cross-entropy"), recipe("logit-adjustment"), Skilled(0.9), pause=1, budget=0.5)
    assert len(fitter.calls) == 1
    assert [row.score is None for row in comparison.rows] == [False, False, True]


@pytest.mark.usefixtures("only_fits_take_time")
def test_judging_takes_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thousand classes, three recipes of one training took as long to score as to fit."""
    score = Objective.score

    def slow(self: Objective, *answers: Any) -> float:
        Fitter.sleep(None, 0.5)
        return score(self, *answers)

    monkeypatch.setattr(Objective, "score", slow)
    field = [recipe("cross-entropy"), recipe("logit-adjustment"), recipe("tuned-thresholds")]
    comparison, _ = race(*field, pause=1, budget=12)
    assert _compare.time.monotonic() + 1.5 <= 12, "with time left to train the winner on everything"
    assert "no time left after fold 1" in statuses(comparison)
    assert all(row.low is None for row in comparison.rows), "an interval would take minutes"


def test_recipes_with_fewer_folds_are_not_preferred() -> None:
    comparison, _ = race(Skilled(0.5), Skilled(0.55, 1), pause=0.05, budget=0.25)
    done = [len(row.folds) for row in comparison.rows]
    winner = next(row for row in comparison.rows if row.outcome == "selected")
    assert len(winner.folds) == max(done)


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (90, 90), (1.5, 1.5), (" 2 m ", 120), (None, None)]
)
def test_durations(text: Any, value: float | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["soon", "10 days", "-5m", 0, "0s", -1, "", "1e9h", float("nan"), "m", float("inf")])
def test_durations_that_are_none(text: Any) -> None:
    with pytest.raises(TailwiseError, match=r"90s, 10m or 1.5h") as raised:
        seconds(text)
    assert "\n" not in str(raised.value)


def test_the_same_seed_gives_the_same_result() -> None:
    x, y = table(spread=2.0)

    def run(seed: int) -> Any:
        return quick(["cross-entropy", "class-weighted", "tuned-thresholds"], random_state=seed).fit(x, y)

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first.predict_proba(x), again.predict_proba(x))
    without_time = [{**row.to_dict(), "seconds": 0} for row in first.comparison_]
    assert without_time == [{**row.to_dict(), "seconds": 0} for row in again.comparison_]
    assert [row.score for row in first.comparison_] != [row.score for row in other.comparison_]


@pytest.mark.parametrize("random_state", [5, np.int64(5), None, np.random.RandomState(3)])
def test_the_seed_on_the_card_gives_the_same_fit(random_state: Any) -> None:
    x, y = table(spread=2.0)
    first = quick("cross-entropy", random_state=random_state).fit(x, y)
    seed = first.model_.card["data"]["seed"]
    assert seed == 5 or not isinstance(random_state, int | np.integer)
    again = quick("cross-entropy", random_state=seed).fit(x, y)
    np.testing.assert_array_equal(first.predict_proba(x), again.predict_proba(x))


def test_the_recipes_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []
    monkeypatch.setattr(_tail, "find_recipe", lambda name: looked_up.append(name) or recipe(name))
    quick(["class-weighted"]).fit(*table(spread=2.0))
    assert looked_up.count("class-weighted") == 1


def test_the_held_out_score_is_that_of_held_out_predictions() -> None:
    """Against scikit-learn's own cross-validated predictions on the same folds."""
    x, y = table(spread=2.0)
    model = quick("cross-entropy", random_state=0).fit(x, y)
    labels, folds = y, stratified_folds(y, 3, check_random_state(0).randint(2**31 - 1))
    predicted = cross_val_predict(model.estimator, model.model_.encoder.transform(x), labels, cv=folds)
    row = model.comparison_[0]
    assert row.score == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert row.folds == pytest.approx([balanced_accuracy_score(labels[h], predicted[h]) for _, h in folds])


# What "best" means.

LABELS = np.repeat([0, 1, 2], [50, 20, 5])


def test_a_cost_frame_goes_by_its_names() -> None:
    cost = pd.DataFrame([[0, 1, 2], [3, 0, 4], [5, 6, 0]], index=list("abc"), columns=list("abc"))
    for frame in (cost, cost.iloc[::-1, ::-1], cost.to_numpy(), pd.DataFrame(cost.to_numpy())):
        np.testing.assert_array_equal(as_objective(frame, 3, names=list("abc")).cost, cost)
    numbered = pd.DataFrame(cost.to_numpy())
    np.testing.assert_array_equal(as_objective(numbered, 3, names=list("210")).cost, cost.iloc[::-1, ::-1])


def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1, 1, 1], size=len(LABELS)) * 0.5 + 0.5 * np.eye(3)[LABELS] * rng.random((len(LABELS), 1))
    proba /= proba.sum(axis=1, keepdims=True)
    return proba.argmax(axis=1), proba


@pytest.mark.parametrize(
    ("objective", "oracle"),
    [
        ("balanced_accuracy", balanced_accuracy_score),
        ("accuracy", accuracy_score),
        ("macro_f1", lambda y, p: f1_score(y, p, average="macro")),
        ("worst_class", lambda y, p: min((p[y == c] == c).mean() for c in range(3))),
        ("g_mean", lambda y, p: np.prod([(p[y == c] == c).mean() for c in range(3)]) ** (1 / 3)),
        ("few_shot_accuracy", lambda y, p: (p[y == 2] == 2).mean()),
        ("f1_weighted", lambda y, p: f1_score(y, p, average="weighted")),
        (make_scorer(f1_score, average="micro"), lambda y, p: f1_score(y, p, average="micro")),
    ],
)
def test_objectives(objective: Any, oracle: Any) -> None:
    predicted, proba = answers()
    score = as_objective(objective, 3).score(LABELS, predicted, proba, np.array([500, 100, 10]))
    assert score == pytest.approx(oracle(LABELS, predicted))


@pytest.mark.parametrize(
    ("names", "counts", "positive"),
    [
        (["fraud", "ok"], [20, 500], 0),
        (["ok", "spam"], [500, 20], 1),
        (["0", "1"], [20, 500], 1),
        (["False", "True"], [20, 500], 1),
        (["false", "true"], [20, 500], 1),
        (["TRUE", "FALSE"], [500, 20], 0),
        (["0.0", "1.0"], [20, 500], 1),
        (["-1.0", "1.0"], [20, 500], 1),
        (None, None, 1),
    ],
)
def test_a_score_of_one_of_two_classes_is_of_the_rarer_or_of_yes(names: Any, counts: Any, positive: int) -> None:
    rng = np.random.default_rng(0)
    labels, proba = rng.integers(0, 2, 200), rng.dirichlet([1, 1], 200)
    predicted, train = proba.argmax(axis=1), np.array(counts or [1, 1])
    given = {"names": names, "class_counts": None if counts is None else train}
    scores = {"f1": f1_score, "precision": precision_score, "recall": recall_score, "jaccard": jaccard_score}
    for name, oracle in scores.items():
        objective = as_objective(name, 2, **given)
        assert objective.score(labels, predicted, None, train) == pytest.approx(
            oracle(labels, predicted, pos_label=positive)
        )
        assert objective.scorer is None, "so that thresholds can be tuned for it"
        assert objective.name == f"{name} of {(names or ['0', '1'])[positive]!r}"
    objective = as_objective("average_precision", 2, **given)
    expected = average_precision_score(labels == positive, proba[:, positive])
    assert objective.score(labels, predicted, proba, train) == pytest.approx(expected)


def test_thresholds_are_tuned_for_the_f1_of_the_rarer_class() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["ok", "fraud"], [1400, 100])
    x = rng.normal(size=(1500, 2)) + 1.2 * (y == "fraud")[:, None]
    plain, tuned = (quick(name, objective="f1").fit(x, y) for name in ("cross-entropy", "tuned-thresholds"))
    new = rng.normal(size=(15_000, 2)) + 1.2 * (np.repeat(y, 10) == "fraud")[:, None]
    scores = [f1_score(np.repeat(y, 10), c.predict(new), pos_label="fraud") for c in (plain, tuned)]
    assert scores[1] > scores[0] + 0.05


def test_an_objective_of_probabilities() -> None:
    predicted, proba = answers()
    score = as_objective("neg_log_loss", 3).score(LABELS, predicted, proba, np.bincount(LABELS))
    assert score == pytest.approx(-log_loss(LABELS, proba))


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [[200, 100, 50, *[n] * 7] for n in (1, 3)] + [[400, 1], [400, 3]], ids=str)
def test_intervals_hold_where_classes_have_few_held_out_examples(held_out: list[int]) -> None:
    """Of resampled examples, 0 to 87 % of the intervals held the true score."""
    rng, k, rounds, held = np.random.default_rng(0), len(held_out), 100, 0
    counts, labels = 4 * np.array(held_out), np.repeat(np.arange(k), held_out)
    objective = as_objective("balanced_accuracy", k)
    for _ in range(rounds):
        recalls = np.where(counts > 100, rng.uniform(0.85, 0.95, k), rng.uniform(0.2, 0.8, k))
        hit = rng.random(labels.size) < recalls[labels]
        predicted = np.where(hit, labels, (labels + rng.integers(1, k, labels.size)) % k)
        value, low, high = objective.estimate(labels, predicted, None, counts, rng)
        assert low <= value <= high
        held += low <= recalls.mean() <= high
    assert held / rounds > 0.86


def test_a_comparison_does_not_take_one_right_answer_for_certainty() -> None:
    comparison, _ = race(Skilled(0.9), counts=[200, 100, 2], n_folds=2)
    row = comparison.rows[0]
    assert row.high - row.low > 0.1, "two examples decide about a third of the score"


def test_a_scorer_of_decisions_has_the_interval_of_the_objective_it_is() -> None:
    predicted, proba = answers()
    counts, estimates = np.array([500, 100, 10]), []
    for name in ("macro_f1", "f1_macro"):
        rng = np.random.default_rng(0)
        estimates.append(as_objective(name, 3).estimate(LABELS, predicted, proba, counts, rng))
    assert estimates[0] == pytest.approx(estimates[1])


@pytest.mark.parametrize("objective", [1.0 - np.eye(3), "f1_macro", "balanced_accuracy", "neg_log_loss", "roc_auc_ovr"])
def test_intervals_of_any_objective_hold_its_value_and_end_at_perfection(objective: Any) -> None:
    found, rng = as_objective(objective, 3), np.random.default_rng(0)
    predicted, proba = answers()
    value, low, high = found.estimate(LABELS, predicted, proba, np.bincount(LABELS), rng)
    assert low < value < high
    perfect = np.eye(3)[LABELS]
    value, low, high = found.estimate(LABELS, LABELS, perfect, np.bincount(LABELS), rng)
    if found.of_proba:
        assert low is high is None, "only decisions can be drawn that nobody has seen"
    else:
        assert low < value == high


@pytest.mark.parametrize("objective", ["f1_macro", make_scorer(balanced_accuracy_score), "neg_log_loss", "macro_f1"])
def test_objectives_choose_in_a_fit(objective: Any) -> None:
    x, y = table(spread=2.0)
    model = quick(["cross-entropy", "class-weighted"], objective=objective).fit(x, y)
    best = max(model.comparison_, key=lambda row: row.score)
    assert best.outcome == "selected"


def test_costs_decide_as_brute_force_does() -> None:
    x, y = table(spread=2.0)
    cost = np.array([[0, 1, 4], [5, 0, 1], [20, 9, 0.5]])
    model = quick("class-weighted", objective=cost).fit(x, y)
    proba = model.predict_proba(x)
    expected = [min(range(3), key=lambda j: sum(p[i] * cost[i, j] for i in range(3))) for p in proba]
    np.testing.assert_array_equal(model.predict(x), expected)
    assert (model.predict(x) != proba.argmax(axis=1)).any()
    predicted, proba = answers()
    score = as_objective(cost, 3).score(LABELS, predicted, proba, np.bincount(LABELS))
    assert score == pytest.approx(-np.mean([cost[i, j] for i, j in zip(LABELS, predicted, strict=True)]))


def test_costs_and_a_prior() -> None:
    x, y = table(spread=2.0)
    cost = np.array([[0, 1, 4], [5, 0, 1], [20, 9, 0.5]])
    model = quick("cross-entropy", objective=cost).fit(x, y)
    np.testing.assert_array_equal(
        model.predict(x, prior="uniform"), (model.predict_proba(x, prior="uniform") @ cost).argmin(axis=1)
    )


@pytest.mark.parametrize("n_rare", [1, 2, 3, 10])
def test_equals_are_beaten_as_seldom_in_rare_classes(n_rare: int) -> None:
    labels = np.repeat([0, 1], [130, n_rare])
    rng = np.random.default_rng(n_rare)
    recall = np.array([0.9, 0.5])[labels]
    a, b = rng.random((2, 1000, len(labels))) < recall
    beaten = np.mean([_beaten(x, y, labels) or _beaten(y, x, labels) for x, y in zip(a, b, strict=True)])
    assert beaten < 0.09


def test_the_baseline_is_fitted_even_where_it_stands_last_and_time_is_short() -> None:
    plain = recipe("cross-entropy")
    comparison, fitter = race(Skilled(0.9), plain, reference=plain, pause=0.02, budget=0.001)
    assert fitter.calls == [(plain, 0)]
    assert plain in comparison.held_out
    comparison, fitter = race(Skilled(0.2), reference=plain, pause=0.02, budget=0.001)
    assert [trained for trained, _ in fitter.calls] == [plain, Skilled(0.2)]
    assert comparison.winner == Skilled(0.2)


def test_a_users_scorer_gets_labels_and_classes_in_their_order() -> None:
    labels = np.array([100, 0, 10])  # of codes 0, 1, 2
    codes, predicted = np.array([0, 1, 2, 2, 0]), np.array([0, 2, 2, 1, 1])
    proba = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    counts = np.array([50, 20, 9])

    def scorer(estimator: Any, X: Any, y: Any) -> float:
        np.testing.assert_array_equal(estimator.classes_, [0, 10, 100])
        if len(y) == 5:
            np.testing.assert_array_equal(estimator.predict_proba(X), proba[:, [1, 2, 0]])
        return -float(np.abs(estimator.predict(X) - y).mean())

    objective = as_objective(scorer, 3, labels=labels)
    assert objective.score(codes, predicted, proba, counts) == -np.abs(labels[predicted] - labels[codes]).mean()
    named = as_objective(make_scorer(f1_score, pos_label="bad"), 2, labels=np.array(["bad", "good"]))
    assert named.score(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1]), None, counts[:2]) == 0.5


@pytest.mark.parametrize("baseline", [False, True])
def test_to_compare_with_plain_training_does_not_change_the_choice(baseline: bool) -> None:
    x, y = table()
    names = ["class-weighted", "class-weighted-sqrt", "logit-adjustment"]
    model = quick(names, estimator=LogisticRegression(), baseline=baseline).fit(x, y)
    rows = [row for row in model.comparison_ if row.recipe in names]
    best = max(rows, key=lambda row: row.score)
    near = best.score - rows[2].score <= best.standard_error
    assert model.recipe_.name == ("logit-adjustment" if near else best.recipe)


def test_costs_decide_by_probabilities_so_corrections_of_decisions_do_nothing() -> None:
    x, y = table()
    model = quick("tuned-thresholds", objective=1 - np.eye(3)).fit(x, y)
    assert model.model_.chains.decision == ()
    np.testing.assert_array_equal(model.predict(x), model.predict_proba(x).argmax(axis=1))


def test_a_score_names_one_of_two_classes_only():
    with pytest.raises(TailwiseError, match="only of two classes a score may name one; there are 3"):
        as_objective("f1 of 'a'", 3, list("abc"))
