"""Rows with sets of labels: every form, learner and recipe; scikit-learn's checks; one line for what cannot be used."""

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_checks, get_tags

from estimators.cases import table
from tailwise import Model, TailClassifier, TailMultilabelClassifier
from tailwise.data import as_dataset
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.estimators import LabelModel, _multilabel, load_model
from tailwise.estimators._label_entrant import LabelEntrant
from tailwise.estimators._label_objective import as_label_objective
from tailwise.recipes import recipe, recipes
from tailwise.resample import CaseControlClassifier

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs tailwise[torch]")
FOR_ESTIMATORS = [n for n, cls in recipes().items() if "estimator" in cls.learners() and "labels" in cls.targets]
FOR_NETWORKS = [n for n, cls in recipes().items() if "network" in cls.learners() and "labels" in cls.targets]
NAMES = ["a", "b", "c", "d", "e"]


def sets(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, and five labels that go with them, from a third of the rows to a fiftieth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    return x, (x[:, :5] + 0.4 * rng.normal(size=(n, 5)) > [0.5, 1, 1.4, 1.8, 2.2]).astype(int)


def quick(recipe: Any = "tuned-thresholds", **settings: Any) -> TailMultilabelClassifier:
    """A classifier that fits in milliseconds."""
    if "backbone" not in settings:
        settings.setdefault("estimator", LogisticRegression(max_iter=1000))
    return TailMultilabelClassifier(recipe, **{"random_state": 0, "cv": 2, **settings})


def test_folds_are_compared_by_rankings_whatever_the_scale_of_their_scores() -> None:
    """Each fold has a model of its own."""
    rows = sets(900)[1]
    rng = np.random.default_rng(1)
    scores = rows + rng.normal(size=rows.shape)
    counts, folds = rows.sum(axis=0), np.split(np.arange(900), 3)
    found = []
    for scale in (1.0, 50.0):
        entrant = LabelEntrant(
            recipe("cross-entropy"), Task(counts, n_sets=900), rows, as_label_objective("macro_average_precision")
        )
        moved = [scores[fold] * scale**number + scale * number for number, fold in enumerate(folds)]
        for number, fold in enumerate(folds):
            entrant.add_fold(fold, np.concatenate(moved[: number + 1]))
        found.append(entrant.so_far)
    assert found[0] == found[1]
    assert found[0] == pytest.approx(average_precision_score(rows, scores, average="macro"), abs=0.02)


@pytest.mark.parametrize("baseline", [False, True])
def test_of_equal_rankings_the_better_decisions_are_chosen(baseline: bool) -> None:
    x, rows = sets()
    for names in (["cross-entropy", "tuned-thresholds"], ["tuned-thresholds", "cross-entropy"]):
        assert quick(names, baseline=baseline).fit(x, rows).recipe_.name == "tuned-thresholds"


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_margins_does_not_matter(unit: float) -> None:
    def scores(classifier: Any, x: np.ndarray) -> np.ndarray:
        return unit * LinearSVC.decision_function(classifier, x)

    x, rows = sets()
    in_units = type("LinearSVC", (LinearSVC,), {"decision_function": scores, "__module__": __name__})
    one, other = (quick(estimator=cls()).fit(x, rows).predict_proba(x) for cls in (LinearSVC, in_units))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_any_form_of_labels_is_scored_alike() -> None:
    x, rows = sets()
    fitted = quick().fit(x, rows)
    wanted = fitted.score(x, rows)
    assert wanted > 0.4
    assert fitted.score(x, rows.tolist()) == fitted.score(x, [tuple(row) for row in rows]) == wanted
    frame = pd.DataFrame(rows, columns=NAMES)
    named = quick().fit(x, frame)
    assert named.score(x, frame[NAMES[::-1]]) == named.score(x, pl.from_pandas(frame[NAMES[::-1]])) == wanted
    assert fitted.score(x, frame) == fitted.score(x, pl.DataFrame(rows)) == wanted  # by place: an array has no names
    with pytest.raises(TailwiseError, match="label 'zz' is not among the 5 classes"):
        named.score(x, frame.rename(columns={"a": "zz"}))
    with pytest.raises(TailwiseError, match="y has no column 'b', which training had"):
        named.score(x, frame[["a", "c", "d", "e"]])
    with pytest.raises(TailwiseError, match="y has 2 columns named 'a'"):
        quick().fit(x, frame.set_axis(["a", "a", "c", "c", "e"], axis=1))
    with pytest.raises(TailwiseError, match="nothing to score"):
        fitted.score(x[:2], [None, None])
    with pytest.raises(TailwiseError, match="sample_weight must be one number for each of"):
        fitted.score(x, rows, sample_weight=[1.0])


@pytest.mark.parametrize(
    "check",
    [
        "check_classifiers_multilabel_representation_invariance",
        "check_classifiers_multilabel_output_format_predict",
        "check_classifiers_multilabel_output_format_predict_proba",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_mixin_order",
        "check_estimator_tags_renamed",
    ],
)
def test_scikit_learns_checks_for_sets_of_labels(check: str) -> None:
    run = getattr(estimator_checks, check, None)
    if run is None:
        pytest.skip("not a check of this scikit-learn")
    run("TailMultilabelClassifier", quick())


def test_tags_say_that_rows_have_sets() -> None:
    tags = get_tags(TailMultilabelClassifier())
    assert tags.classifier_tags.multi_label
    assert tags.target_tags.multi_output
    assert tags.input_tags.allow_nan
    assert not get_tags(TailClassifier()).classifier_tags.multi_label


@pytest.mark.parametrize("name", FOR_ESTIMATORS)
@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(20, min_samples_leaf=3)])
def test_trains_answers_and_comes_back(name: str, estimator: Any, tmp_path: Path) -> None:
    x, y = sets()
    new, labels = sets(600, seed=1)
    fitted, again = (quick(name, estimator=estimator).fit(x, y) for _ in range(2))
    proba = fitted.predict_proba(new)
    given = fitted.predict(new)
    assert average_precision_score(labels, proba, average="macro") > 0.5
    assert set(np.unique(given)) <= {0, 1}
    assert given.shape == proba.shape == labels.shape
    fitted.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(new), proba)
    np.testing.assert_array_equal(loaded.answer(new).predicted, given)
    np.testing.assert_array_equal(again.predict_proba(new), proba)
    np.testing.assert_array_equal(again.predict(new), given)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOR_ESTIMATORS)
def test_probabilities_have_the_shares_of_the_training_data(name: str) -> None:
    x, y = sets(12_000)
    new, labels = sets(30_000, seed=1)
    np.testing.assert_allclose(quick(name).fit(x, y).predict_proba(new).mean(axis=0), labels.mean(axis=0), rtol=0.15)


@needs_torch
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FOR_NETWORKS if name != "adr"])  # which trains on a tenth of so few
def test_networks_say_honest_probabilities_too(name: str, tmp_path: Path) -> None:
    x, y = sets(1000)
    new, labels = sets(3000, seed=1)
    fitted = quick(name, backbone="mlp", epochs=6, learning_rate=5e-3).fit(x, y)
    proba = fitted.predict_proba(new)
    assert average_precision_score(labels, proba, average="macro") > 0.6
    np.testing.assert_allclose(proba.mean(axis=0), labels.mean(axis=0), rtol=0.3, atol=0.01)
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict_proba(new), proba)


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianNB(),
        LinearSVC(),
        DecisionTreeClassifier(max_depth=4),
        KNeighborsClassifier(15),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_any_classifier_will_do(estimator: Any) -> None:
    x, y = sets()
    new, labels = sets(600, seed=1)
    fitted = quick(estimator=estimator).fit(x, y)
    assert average_precision_score(labels, fitted.predict_proba(new), average="macro") > 0.4
    assert fitted.score(new, labels) > 0.3


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(10), KNeighborsClassifier(5)])
def test_labels_that_none_one_or_all_have(estimator: Any) -> None:
    x, y = sets()
    y[:, 1], y[:, 2], y[:, 3] = 0, np.arange(400) == 5, 1
    fitted = quick(["tuned-thresholds", "ml-ros"], estimator=estimator).fit(x, y)
    proba = fitted.predict_proba(x)
    assert np.isfinite(proba).all()
    assert proba[:, 1].max() < 0.05
    assert proba[:, 3].min() > 0.95
    given = fitted.predict(x)
    assert not given[:, 1].any()
    assert given[:, 3].all()


def test_more_labels_than_a_byte_can_count() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    y = (x[:, rng.integers(4, size=150)] * rng.choice([-1, 1], 150) > 0.8).astype(np.int8)
    proba = quick(estimator=GaussianNB()).fit(x, y).predict_proba(x)
    assert average_precision_score(y, proba, average="macro") > 0.9


def test_the_form_of_the_labels_is_that_of_the_answer(tmp_path: Path) -> None:
    x, y = sets()
    expected = quick().fit(x, y)
    rows = expected.predict(x[:50])
    for form, read in (
        (sparse.csr_array(y), lambda answer: answer.toarray()),
        (pd.DataFrame(y, columns=NAMES), lambda answer: answer[NAMES].to_numpy()),
        (pl.DataFrame(y, schema=NAMES), lambda answer: answer[NAMES].to_numpy()),
        ([np.flatnonzero(row).tolist() for row in y], lambda answer: np.array([np.isin(range(5), a) for a in answer])),
    ):
        fitted = quick().fit(x, form)
        answer = fitted.predict(x[:50])
        assert isinstance(answer, type(form)) or sparse.issparse(answer)
        np.testing.assert_array_equal(read(answer), rows)
        np.testing.assert_allclose(fitted.predict_proba(x), expected.predict_proba(x))
        fitted.save(tmp_path / "model", force=True)
        loaded = load_model(tmp_path / "model").predict(x[:50])
        assert type(loaded) is type(answer)
        np.testing.assert_array_equal(read(loaded), rows)
    assert fitted.model_.predict(x[:3]) == answer[:3]
    named = quick().fit(x, [[NAMES[i] for i in np.flatnonzero(row)] for row in y])
    assert named.classes_.tolist() == NAMES
    assert named.class_counts_.tolist() == y.sum(axis=0).tolist()


def test_rows_whose_labels_nobody_knows_are_left_out() -> None:
    x, y = sets()
    lists: list[Any] = [np.flatnonzero(row).tolist() for row in y]
    known = quick().fit(x[:300], lists[:300])
    lists[300:] = [None] * 100
    np.testing.assert_array_equal(quick().fit(x, lists).predict_proba(x), known.predict_proba(x))


def test_tables_text_and_sparse_numbers(tmp_path: Path) -> None:
    x, y = sets()
    frame = pl.DataFrame({"n": x[:, 0], "word": np.where(x[:, 1] > 1, "high", "low"), "other": x[:, 2]})
    frame = frame.with_columns(pl.when(pl.col("n") > 1.5).then(None).otherwise(pl.col("n")).alias("n"))
    fitted = quick(["tuned-thresholds", "ml-ros"]).fit(frame, y)
    assert fitted.feature_names_in_.tolist() == ["n", "word", "other"]
    assert average_precision_score(y[:, 1], fitted.predict_proba(frame)[:, 1]) > 0.5
    with pytest.raises(TailwiseError, match=r"recipe 'ml-smote' is for numbers only.* use ml-ros"):
        TailMultilabelClassifier("ml-smote").fit(frame, y)
    words = np.array(["red", "green", "blue", "black", "white"])
    texts = [" ".join(["the paint is", *words[row == 1], "today"]) for row in y]
    fitted = TailMultilabelClassifier("tuned-thresholds", random_state=0).fit(texts, y)
    assert (fitted.predict(texts) == y).mean() > 0.95
    fitted.save(tmp_path / "model")
    np.testing.assert_allclose(load_model(tmp_path / "model").predict_proba(texts), fitted.predict_proba(texts))
    fitted = quick("ml-smote").fit(sparse.csr_array(x), y)
    assert fitted.predict(sparse.csr_array(x)).shape == y.shape


@needs_torch
def test_images() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((120, 3)) < [0.5, 0.3, 0.1]).astype(int)
    y[0, 2] = 1
    images = (rng.random((120, 8, 8, 3)) * 60 + 180 * y[:, None, None, :]).astype(np.uint8)
    fitted = quick("asymmetric", backbone="resnet32", epochs=4, augment="none").fit(images, y)
    assert fitted.predict_proba(images).shape == (120, 3)


def test_auto_compares_and_says_what_it_found() -> None:
    x, y = sets()
    fitted = quick("auto", baseline=True).fit(x, y)
    assert [row.recipe for row in fitted.comparison_] == ["cross-entropy", "tuned-thresholds", "ml-ros"]
    chosen = next(row for row in fitted.comparison_ if row.outcome == "selected")
    assert chosen.low <= chosen.score <= chosen.high
    assert fitted.recipe_.name == chosen.recipe != "cross-entropy"
    assert fitted.model_.card["objective"] == "macro_average_precision"
    assert fitted.baseline_.card["recipe"] == "cross-entropy"
    plain = quick("cross-entropy").fit(x, y)
    np.testing.assert_array_equal(plain.predict_proba(x), fitted.baseline_.predict_proba(x))


def test_rows_that_memory_leaves_out_are_said() -> None:
    x, y = sets(300)
    boosting = CaseControlClassifier(HistGradientBoostingClassifier(max_iter=3), max_rows=200)
    card = quick(estimator=boosting).fit(x, y).model_.card
    assert card["learner"]["left_out"][0].startswith("Fits saw at most 200 of 300 rows")
    assert quick().fit(x, y).model_.card["learner"]["left_out"] == []


def test_what_there_is_no_time_for_is_said() -> None:
    x, y = sets()
    rows = quick("auto", time_budget="0.001s").fit(x, y).comparison_
    assert [row.reason for row in rows] == ["", "no time left to start"]
    assert len(rows[0].folds) == 1


def test_tuned_thresholds_find_more_of_the_tail_than_one_half() -> None:
    x, y = sets(1200)
    new, labels = sets(4000, seed=1)
    scores = {}
    for objective in ("macro_f1", "micro_f1"):
        fitted = quick(["cross-entropy", "tuned-thresholds"], objective=objective).fit(x, y)
        scores[objective] = {row.recipe: row.score for row in fitted.comparison_}
        assert fitted.recipe_.name == "tuned-thresholds"
    assert scores["macro_f1"]["tuned-thresholds"] > scores["macro_f1"]["cross-entropy"]
    found = fitted.predict(new)[:, 4].sum(), quick("cross-entropy").fit(x, y).predict(new)[:, 4].sum()
    assert labels[:, 4].sum() > 0
    assert found[0] > found[1]


def test_clones_pickles_pipes_and_searches() -> None:
    x, y = sets()
    copy = clone(quick("ml-ros", objective="micro_f1"))
    assert copy.get_params()["objective"] == "micro_f1"
    fitted = copy.set_params(recipe="tuned-thresholds").fit(x, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(x), fitted.predict(x))
    assert make_pipeline(StandardScaler(), quick()).fit(x, y).score(x, y) > 0.5
    scores = cross_validate(
        quick(), x, y, cv=2, scoring=["average_precision", "f1_macro", "roc_auc"], error_score="raise"
    )
    assert scores["test_average_precision"].min() > 0.4
    search = GridSearchCV(quick(), {"recipe": ["tuned-thresholds", "ml-ros"]}, cv=2, error_score="raise")
    assert search.fit(x, y).best_params_["recipe"] in ("tuned-thresholds", "ml-ros")


def test_goes_on_from_what_was_finished(tmp_path: Path) -> None:
    x, y = sets()
    told: list[str] = []
    fitted = quick(work_dir=tmp_path, verbose=told.append).fit(x, y)
    assert len(told) == 3
    told.clear()
    again = quick(work_dir=tmp_path, verbose=told.append).fit(x, y)
    assert told == ["tuned-thresholds, on all 400 examples"] or told == ["cross-entropy, on all 400 examples"]
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))
    with pytest.raises(TailwiseError, match="holds another fit, with different objective"):
        quick(work_dir=tmp_path, objective="macro_f1").fit(x, y)


X, Y = sets()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: quick("ldam", backbone="mlp").fit(X, Y),
            "'ldam' is for one class per row: use TailClassifier",
            marks=needs_torch,
        ),
        (lambda: quick("asymmetric").fit(X, Y), "'asymmetric' needs a network: give a backbone"),
        pytest.param(
            lambda: quick("ml-ros", backbone="mlp").fit(X, Y), "needs a scikit-learn estimator", marks=needs_torch
        ),
        (
            lambda: TailClassifier("ml-ros").fit(*table()),
            "'ml-ros' is for sets of labels: use TailMultilabelClassifier",
        ),
        (lambda: quick(objective="macro_precision").fit(X, Y), "Did you mean 'macro_average_precision'"),
        (
            lambda: quick(objective=np.eye(3)).fit(X, Y),
            "an objective for sets of labels is one of macro_average_precision",
        ),
        (lambda: quick().fit(X, Y[:, 0]), "indicator or a set of labels per row; row 0 is"),
        (lambda: quick().fit(X, Y[:, :1]), "there is only one label"),
        (lambda: quick().fit(X, 0 * Y), "every label is in all rows or in none"),
        (lambda: quick().fit(X, Y[:10]), "400 rows of inputs but 10 labels"),
        (lambda: quick().fit(X), "requires y to be passed"),
        (lambda: quick().fit(as_dataset(*table())), "one label, not a set of them: use TailClassifier"),
        (lambda: quick(cv=0).fit(X, Y), "the number of folds must be from 2"),
        (lambda: quick(cv="3").fit(X, Y), "cv must be a number of folds"),
        (lambda: quick(cv=2).fit(X[:3], np.eye(3)), "too few examples"),
        (lambda: quick().fit(X, Y).predict(X[:, :3]), "3 features"),
    ],
)
def test_what_cannot_be_used_is_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_model_takes_what_the_classifier_takes() -> None:
    classifier = quick().fit(X, Y)
    expected = classifier.predict_proba(X)
    for form in (np.ndarray.tolist, pl.DataFrame, as_dataset, sparse.csr_array):
        np.testing.assert_allclose(classifier.model_.predict_proba(form(X)), expected, rtol=1e-5)
    with pytest.raises(TailwiseError, match="X has 3 features, but LabelModel is expecting 6 features"):
        classifier.model_.predict(X[:, :3])
    said = [f"{NAMES[row.argmax()]} it is, number {i}" for i, row in enumerate(Y)]
    texts = quick().fit(said, Y)
    np.testing.assert_array_equal(texts.model_.predict(pd.DataFrame({"said": said})), texts.model_.predict(said))


def test_a_label_that_all_rows_have_or_none_is_saved_with_the_others(tmp_path: Path) -> None:
    x, rows = sets()
    rows[:, 1], rows[:, 2] = 0, 1
    fitted = quick().fit(x, rows)
    fitted.save(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").predict_proba(x), fitted.predict_proba(x))


def test_models_of_sets_and_of_classes_come_back_as_what_they_are(tmp_path: Path) -> None:
    quick().fit(X, Y).save(tmp_path / "sets")
    assert isinstance(load_model(tmp_path / "sets"), LabelModel)
    x, y = table()
    TailClassifier("cross-entropy", estimator=LogisticRegression(), random_state=0).fit(x, y).save(tmp_path / "classes")
    assert isinstance(load_model(tmp_path / "classes"), Model)


def test_sets_are_scored_as_their_indicator_is():
    x, y = sets()
    names = [{NAMES[label] for label in np.flatnonzero(row)} for row in y]
    of_sets, of_rows = quick().fit(x, names), quick().fit(x, y)
    weights = np.arange(len(x))
    assert of_sets.score(x, names) == of_rows.score(x, y) == np.mean((of_rows.predict(x) == y).all(axis=1))
    assert of_sets.score(x, names, weights) == of_rows.score(x, y, weights) != of_rows.score(x, y)
    assert np.isfinite(cross_validate(quick(), x, names, cv=2)["test_score"]).all()
    with pytest.raises(TailwiseError, match="label 'x' is not among the 5"):
        of_sets.score(x, [{"x"}] * len(x))
    with pytest.raises(TailwiseError, match="y must be for 400 rows and 5 labels"):
        of_rows.score(x, y[:, :4])


@pytest.mark.parametrize("options", [{"estimator": LogisticRegression()}, {}])
def test_fits_of_many_labels_in_little_time_see_less(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((4000, 100)) < rng.geometric(0.2, 100) / 100).astype(int)
    x = y[:, :5] + rng.normal(size=(4000, 5))
    fitted = TailMultilabelClassifier("tuned-thresholds", time_budget=2, cv=2, random_state=0, **options).fit(x, y)
    assert any("label, to bound" in line or "iterations" in line for line in fitted.model_.card["learner"]["left_out"])
    assert fitted.predict(x).shape == y.shape


def test_a_classifier_of_all_labels_sees_fewer_rows_in_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(base: Any, plan: Any) -> tuple[Any, list[str]]:
        assert plan.budget <= 3
        return CaseControlClassifier(base, max_rows=600, random_state=0), [f"fewer rows {plan.each}"]

    monkeypatch.setattr(_multilabel, "in_time", limited)
    x, y = sets(6000)
    fitted = quick("tuned-thresholds", estimator=RandomForestClassifier(40), time_budget=3).fit(x, y)
    assert fitted.model_.card["learner"]["left_out"] == ["fewer rows with the same rarest label"]
    new, truth = sets(2000, seed=1)
    assert f1_score(truth, fitted.predict(new), average="macro") > 0.4
    fitted.save(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").predict_proba(new), fitted.predict_proba(new))


@needs_torch
def test_networks_for_sets_get_fewer_epochs_in_little_time() -> None:
    x, y = sets(4000)
    fitted = quick("tuned-thresholds", backbone="mlp", epochs=1000, time_budget=3).fit(x, y)
    assert fitted.model_.card["learner"]["left_out"][0].startswith("Networks were trained for ")


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0]])
def test_a_label_that_no_row_has_may_be_the_first(order: list[int]) -> None:
    x, rows = sets()
    some = np.c_[np.zeros(len(x), dtype=int), rows[:, 0], rows[:, 1]][:, order]
    proba = quick(estimator=GaussianNB()).fit(x, some).predict_proba(x)
    assert average_precision_score(some[:, order.index(1)], proba[:, order.index(1)]) > 0.7
