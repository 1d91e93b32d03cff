"""scikit-learn's whole contract, every form of input, and one line for what cannot be used."""

import importlib.util
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import f1_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimators.cases import COUNTS, quick, table
from tailwise.data import Dataset, as_dataset
from tailwise.engine.stage import PRECISIONS
from tailwise.errors import DataWarning, TailwiseError
from tailwise.estimators import TailClassifier, _defaults, load_model
from tailwise.estimators._defaults import _augmentation
from tailwise.estimators._learners import AUGMENTATIONS
from tailwise.estimators._objective import as_objective
from tailwise.recipes import recipe
from tailwise.recipes.ensembles import BalancedBagging

pytestmark = [
    pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning"),  # of scikit-learn before 1.7
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs tailwise[torch]")


def checks(*estimators: TailClassifier) -> Any:
    """All of scikit-learn's checks; a list, since pytest takes no generator, which scikit-learn 1.6 gives."""
    marked = parametrize_with_checks(list(estimators))
    names, cases = marked.args
    return pytest.mark.parametrize(names, list(cases), **marked.kwargs)


BOOSTING = HistGradientBoostingClassifier(max_iter=5)
X, Y = table()


@checks(
    TailClassifier("tuned-thresholds", estimator=BOOSTING),
    TailClassifier(["cross-entropy", "logit-adjustment"], estimator=LogisticRegression(), cv=0.3, baseline=True),
)
def test_scikit_learns_contract(estimator: TailClassifier, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@checks(TailClassifier())
def test_scikit_learns_contract_with_every_default(
    estimator: TailClassifier, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(self: BalancedBagging, *base_and_task: Any) -> Any:
        return bagging(replace(self, n_estimators=2), *base_and_task)

    bagging = BalancedBagging.estimator
    monkeypatch.setattr(BalancedBagging, "estimator", few)
    monkeypatch.setattr(_defaults, "_TREES", 30)  # 10 to 15 iterations of boosting, not 100
    check(estimator)


@needs_torch
@pytest.mark.slow
@checks(TailClassifier("balanced-softmax", backbone="mlp", cv=0.3, epochs=6, batch_size=32, learning_rate=0.01))
def test_scikit_learns_contract_with_a_network(estimator: TailClassifier, check: Any) -> None:
    check(estimator)


def test_clones_and_takes_settings() -> None:
    x, y = table()
    model = quick("class-weighted", coverage=0.8)
    copy = clone(model)
    assert copy is not model
    assert copy.get_params()["coverage"] == 0.8
    copy.set_params(recipe="cross-entropy", estimator__C=0.5)
    assert copy.fit(x, y).recipe_.name == "cross-entropy"
    assert model.recipe == "class-weighted"


def test_works_in_pipelines_searches_and_cross_validation() -> None:
    x, y = table()
    pipeline = make_pipeline(StandardScaler(), quick())
    assert pipeline.fit(x, y).score(x, y) > 0.8
    scores = cross_validate(pipeline, x, y, cv=3, scoring=["balanced_accuracy", "neg_log_loss"])
    assert np.isfinite(scores["test_neg_log_loss"]).all()
    search = GridSearchCV(quick(), {"recipe": ["cross-entropy", "class-weighted"]}, cv=3, error_score="raise")
    assert search.fit(x, y).best_params_["recipe"] in ("cross-entropy", "class-weighted")


def test_pickles_like_any_estimator() -> None:
    x, y = table()
    model = quick("class-weighted").fit(x, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(x), model.predict_proba(x))


@pytest.mark.parametrize("backbone", [None, pytest.param("mlp", marks=needs_torch)])
def test_numbers_are_learned_alike_in_every_container(backbone: str | None) -> None:
    x, y = table()
    x = x.astype(np.float32)
    names = ["a", "b", "c"]
    settings = {} if backbone is None else {"backbone": backbone, "epochs": 2}
    expected = quick("cross-entropy", **settings).fit(x, y).predict_proba(x)
    for form in (x.tolist(), pd.DataFrame(x, columns=names), pl.DataFrame(x, schema=names)):
        model = quick("cross-entropy", **settings).fit(form, y)
        np.testing.assert_allclose(model.predict_proba(form), expected, atol=1e-5)


@needs_torch
def test_takes_tensors() -> None:
    import torch

    x, y = table()
    expected = quick().fit(x, y).predict_proba(x)
    model = quick().fit(torch.from_numpy(x), torch.from_numpy(y))
    np.testing.assert_allclose(model.predict_proba(torch.from_numpy(x)), expected)


def test_frames_of_mixed_columns() -> None:
    x, y = table()
    frame = pd.DataFrame({"number": x[:, 0], "word": np.array(["red", "green", "blue"])[y], "when": "2024-01-02"})
    frame.loc[3, "number"] = np.nan
    frame.loc[4, "word"] = None
    for form in (frame, pl.from_pandas(frame)):
        model = quick(estimator=BOOSTING).fit(form, y)
        assert model.feature_names_in_.tolist() == ["number", "word", "when"]
        assert (model.predict(form) == y).mean() > 0.9
        reordered = form[["when", "word", "number"]]
        np.testing.assert_array_equal(model.predict(reordered), model.predict(form))
    with pytest.raises(TailwiseError, match="word"):
        model.predict(frame.drop(columns="word"))


@pytest.mark.parametrize(
    "settings", [{}, {"estimator": None}, pytest.param({"backbone": "mlp", "epochs": 20}, marks=needs_torch)]
)
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.dok_array])
def test_sparse_arrays(settings: dict[str, Any], form: Any) -> None:
    x, y = table()
    x = np.where(x > 1, x, 0)
    model = quick(**settings).fit(form(x), y)
    assert (model.predict(form(x)) == y).mean() > 0.7


@pytest.mark.parametrize(
    "settings", [{"estimator": None}, pytest.param({"backbone": "mlp", "epochs": 20}, marks=needs_torch)]
)
def test_texts(settings: dict[str, Any]) -> None:
    y = table()[1]
    texts = [f"{word} number {i % 7}" for i, word in enumerate(np.array(["red apple", "green pear", "plum"])[y])]
    model = quick(**settings).fit(texts, y)
    assert (model.predict(texts) == y).mean() > 0.95
    np.testing.assert_array_equal(model.predict(np.array(texts)), model.predict(texts))
    assert model.predict(["plum", ""]).shape == (2,)


@needs_torch
def test_images() -> None:
    from functools import partial

    from tailwise.nn import resnet32

    y = np.repeat([0, 1], [40, 12])
    images = np.random.default_rng(0).integers(0, 60, (52, 8, 8, 3), dtype=np.uint8)
    images[y == 1] += 150
    own = quick("logit-adjustment", backbone=partial(resnet32, in_channels=3), epochs=1, batch_size=16).fit(images, y)
    assert own.predict_proba(images).shape == (52, 2)
    grey = quick("logit-adjustment", backbone="resnet32", epochs=1).fit(images[..., 0], y)
    assert grey.predict(images[..., 0]).shape == (52,)
    for model, others, message in ((grey, images, "3 channels, but 1 in training"), (own, images[..., 0], "1 channel")):
        with pytest.raises(TailwiseError, match=message):
            model.predict(others)
    pixels = quick("logit-adjustment").fit(images, y)
    assert (pixels.predict(images) == y).all()


@pytest.mark.parametrize(
    "names",
    [
        np.array(["ant", "bee", "cow"]),
        np.array([7, -2, 3]),
        np.array([1.0, 5.0, 2.0]),
        np.array([10, 20, 30], dtype=np.uint8),
        np.array([True, False, False]),
    ],
)
def test_labels_come_back_as_they_went_in(names: np.ndarray) -> None:
    x, y = table()
    labels = names[y]
    for form in (labels, labels.tolist(), pl.Series(labels)):
        model = quick().fit(x, form)
        assert model.classes_.tolist() == sorted(set(names.tolist()))
        assert model.predict(x).dtype.kind == (
            "i" if names.dtype.kind == "u" and isinstance(form, list) else names.dtype.kind
        )
        assert (model.predict(x) == labels).mean() > 0.7
    assert quick().fit(x, labels).predict(x).dtype == names.dtype


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("as_frame", [False, True])
def test_unlabelled_rows_are_left_out(missing: Any, as_frame: bool) -> None:
    x, y = table()
    form = pd.DataFrame(x, columns=list("abc")) if as_frame else x
    gaps = np.random.default_rng(0).random(len(y)) < 0.2
    for names in (np.array(["ant", "bee", "cow"], dtype=object), np.array([0, 1, 2], dtype=object)):
        labels = names[y]
        labels[gaps] = missing
        model = quick().fit(form, labels)
        np.testing.assert_array_equal(model.class_counts_, np.bincount(y[~gaps]))
        assert model.classes_.tolist() == names.tolist()
        whole = quick().fit(form[~gaps], names[y[~gaps]])
        np.testing.assert_allclose(model.predict_proba(form), whole.predict_proba(form), atol=0.05)


def test_missing_numbers_are_learned_from() -> None:
    x, y = table()
    x[::7, 1] = np.nan
    for model in (quick(), quick(estimator=BOOSTING)):
        assert (model.fit(x, y).predict(x) == y).mean() > 0.7


def test_a_dataset_brings_its_labels() -> None:
    x, y = table()
    data = as_dataset(x, np.array(["ant", "bee", "cow"])[y])
    model = quick().fit(data)
    assert isinstance(data, Dataset)
    np.testing.assert_array_equal(model.predict(data), model.predict(x))
    frame = as_dataset(pd.DataFrame(x, columns=list("abc")), y)
    np.testing.assert_array_equal(quick().fit(frame).predict(frame), quick().fit(x, y).predict(x))


def test_classes_with_a_single_example_are_always_trained_on() -> None:
    x, y = table((60, 20, 1))
    for cv in (3, 0.25):
        model = quick(["cross-entropy", "tuned-thresholds"], cv=cv).fit(x, y)
        np.testing.assert_array_equal(model.class_counts_, [60, 20, 1])
        assert np.isfinite(model.predict_proba(x)).all()
    model = quick(["cross-entropy", "class-weighted"], estimator=BOOSTING).fit(x, y)
    assert np.isfinite(model.predict_proba(x)).all()


def test_tells_what_it_fits() -> None:
    x, y = table()
    lines: list[str] = []
    quick(["cross-entropy", "class-weighted"], verbose=lines.append).fit(x, y)
    assert sum("fold 1 of 3" in line for line in lines) == 2
    assert "on all 132 examples" in lines[-1]


def test_infinity_at_prediction_is_found_in_its_row() -> None:
    new = X.copy()
    new[7, 1] = np.inf
    with pytest.raises(TailwiseError, match="row 7"):
        quick().fit(X, Y).predict(new)


def test_a_setting_out_of_range_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(TailwiseError, match="beta"):
        quick(["cross-entropy", recipe("effective-number", beta=2.0)], verbose=never).fit(X, Y)


@needs_torch
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("hard-aware-sampling", {"temperature": 0.0}),
        ("cooldown", {"temperature": 0.0}),
        ("late-upsampling", {"last": 2.0}),
        ("frequency-subsampling", {"threshold": -1.0}),
        ("repeat-factor-sampling", {"threshold": -1.0}),
        ("influence-balanced", {"alpha": -1.0}),
        ("influence-balanced", {"slowdown": -1.0}),
        ("lws", {"learning_rate": -1.0}),
        ("tau-norm", {"learning_rate": -1.0}),
    ],
)
def test_a_setting_of_a_network_is_refused_before_anything_is_trained(name: str, settings: dict[str, Any]) -> None:
    compared = ["cross-entropy", recipe(name, **settings)]
    with pytest.raises(TailwiseError, match=f"'{name}': .*; got {next(iter(settings.values()))}"):
        TailClassifier(compared, backbone="mlp", epochs=2, verbose=never).fit(X, Y)


@pytest.mark.parametrize("learner", [KNeighborsClassifier(), make_pipeline(StandardScaler(), LogisticRegression())])
def test_auto_takes_any_learner_and_says_what_it_left_out(learner: Any) -> None:
    fitted = quick("auto", estimator=learner, cv=2).fit(X, Y)
    weighted = {"class-weighted", "class-weighted-sqrt", "effective-number"} & {r.recipe for r in fitted.comparison_}
    left_out = fitted.model_.card["learner"]["left_out"]
    if isinstance(learner, KNeighborsClassifier):
        assert not weighted
        assert sum("KNeighborsClassifier takes no sample_weight" in line for line in left_out) == 3
        with pytest.raises(TailwiseError, match="'class-weighted': KNeighborsClassifier takes no sample_weight"):
            quick(["cross-entropy", "class-weighted"], estimator=learner, verbose=never).fit(X, Y)
    else:
        assert len(weighted) == 3
        assert not left_out


def test_others_may_be_compared_with_those_of_auto() -> None:
    auto = quick("auto", cv=0.3).fit(X, Y)
    more = quick(["smote", "auto", "logit-adjustment"], cv=0.3).fit(X, Y)
    assert [row.recipe for row in more.comparison_] == ["smote", *(row.recipe for row in auto.comparison_)]
    learner = KNeighborsClassifier()
    assert len(quick(["auto", "smote"], estimator=learner, cv=0.3).fit(X, Y).model_.card["learner"]["left_out"]) == 3
    with pytest.raises(TailwiseError, match="'effective-number': KNeighborsClassifier takes no sample_weight"):
        quick(["auto", recipe("effective-number")], estimator=learner).fit(X, Y)


@pytest.mark.parametrize("names", [[1, 2, 3], ["a", "b", "c"]])
def test_settings_of_the_learner_name_labels_not_codes(names: Any) -> None:
    y = np.array(names)[Y]
    heavy = LogisticRegression(class_weight={names[1]: 50.0})
    found = quick("cross-entropy", estimator=heavy).fit(X, y)
    assert (found.predict(X) == names[1]).sum() > 1.5 * COUNTS[1]
    with pytest.raises(TailwiseError, match=r"class_weight names 'z', which is no class: "):
        quick("cross-entropy", estimator=LogisticRegression(class_weight={"z": 2.0})).fit(X, y)


@pytest.mark.parametrize("form", ["pandas", "polars"])
@pytest.mark.parametrize("settings", [{}, {"recipe": "cross-entropy"}], ids=["boosting", "scaled"])
def test_scikit_learns_global_output_changes_nothing(form: str, settings: dict[str, Any]) -> None:
    make = (lambda: quick("cross-entropy")) if settings else (lambda: TailClassifier("cross-entropy", random_state=0))
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    wanted = make().fit(frame, Y).predict_proba(frame)
    with config_context(transform_output=form):
        np.testing.assert_array_equal(make().fit(frame, Y).predict_proba(frame), wanted)


@pytest.mark.parametrize(
    "y",
    [
        Y.astype(object),
        np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="datetime64[D]")[Y],
        pd.Series(np.where(Y == 0, None, Y), dtype="Int64"),
        np.where(Y == 1, np.nan, Y),
        np.array([True, False, True], dtype=object)[Y],
    ],
    ids=["objects", "dates", "nullable", "missing", "booleans"],
)
def test_what_can_be_fitted_can_be_scored(y: Any) -> None:
    fitted = quick("cross-entropy").fit(X, y)
    known = ~pd.isna(pd.Series(y)).to_numpy()
    right = np.asarray(fitted.predict(X)).astype(str) == pd.Series(y).astype(str).to_numpy()
    assert fitted.score(X, y) == pytest.approx(right[known].mean())
    assert fitted.score(X[known], np.full(known.sum(), 77)) == 0  # a label that training did not have
    with pytest.raises(TailwiseError, match="y: all labels are missing"):
        fitted.score(X, [None] * len(X))


@pytest.mark.parametrize("fitted_on", [bool, int])
@pytest.mark.parametrize("scored_on", [bool, int])
def test_yes_is_one(fitted_on: type, scored_on: type) -> None:
    rare = Y > 0
    fitted = quick("cross-entropy").fit(X, rare.astype(fitted_on))
    assert fitted.score(X, rare.astype(scored_on)) > 0.8
    weighted = LogisticRegression(class_weight={scored_on(0): 1.0, scored_on(1): 50.0})
    assert quick("cross-entropy", estimator=weighted).fit(X, rare.astype(fitted_on)).predict(X).mean() > rare.mean()


def test_a_recipe_may_carry_more_than_its_settings() -> None:
    carrying = recipe("logit-adjustment")
    object.__setattr__(carrying, "table", [1, 2])
    assert quick(carrying).fit(X, Y).recipe_.name == "logit-adjustment"


def test_rows_without_a_label_are_told() -> None:
    with pytest.warns(DataWarning, match="'NA' are taken for missing ones"):
        fitted = quick("cross-entropy").fit(X, np.array(["EU", "NA", "AS"])[Y])
    assert fitted.classes_.tolist() == ["AS", "EU"]
    assert fitted.notes_ == (f"{COUNTS[1]} rows have no label and are left out of the training.",)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LinearRegression(), "estimator must be a scikit-learn classifier"),
        (VotingClassifier([("a", LogisticRegression())]), "VotingClassifier does neither unless its voting is soft"),
    ],
)
def test_a_learner_that_scores_no_classes_is_one_line(estimator: Any, message: str) -> None:
    with pytest.raises(TailwiseError, match=message):
        quick("cross-entropy", estimator=estimator, verbose=never).fit(X, Y)


def test_counts_need_no_scaling_for_learners_of_counts() -> None:
    counts = np.abs(X * 10).astype(int)
    fitted = quick("cross-entropy", estimator=MultinomialNB()).fit(counts, Y)
    assert fitted.score(counts, Y) > 0.5


@pytest.mark.parametrize(
    ("worst", "form", "told"),
    [
        (-1.0, np.asarray, "negative numbers, which column 1 has: make"),
        (np.nan, np.asarray, "missing numbers, which column 1 has: fill"),
        (-1.0, sparse.csr_array, "negative numbers, which column 1 has"),
        (-1.0, lambda x: pd.DataFrame(x, columns=["a", "b"]), "negative numbers, which column 'b' has"),
    ],
)
def test_learners_of_counts_say_which_column_has_none(worst: float, form: Any, told: str) -> None:
    counts = np.abs(X[:, :2] * 10).round()
    counts[7, 1] = worst
    with pytest.raises(TailwiseError, match=f"ComplementNB takes no {told}"):
        quick("cross-entropy", estimator=ComplementNB(), verbose=never).fit(form(counts), Y)


def test_margins_are_calibrated_before_they_are_adjusted() -> None:
    x, y = table((600, 120, 30), spread=1.5)
    new, truth = table((100, 100, 100), seed=1, spread=1.5)
    plain, adjusted = (
        quick(name, estimator=LinearSVC()).fit(x, y).score(new, truth) for name in ("cross-entropy", "logit-adjustment")
    )
    assert adjusted > plain + 0.02


class InUnits(LinearSVC):
    """A classifier whose margins have a unit of their own."""

    def __init__(self, unit: float = 1.0) -> None:
        super().__init__()
        self.unit = unit

    def decision_function(self, X: Any) -> np.ndarray:
        return self.unit * super().decision_function(X)


@pytest.mark.parametrize("recipe", ["cross-entropy", "tuned-thresholds", "logit-adjustment", "class-weighted"])
@pytest.mark.parametrize("unit", [2.0**-13, 2.0**13])
def test_the_unit_of_margins_does_not_matter(recipe: str, unit: float) -> None:
    x, y = table((300, 60, 20), spread=1.5)
    one, other = (quick(recipe, estimator=InUnits(u)).fit(x, y) for u in (1.0, unit))
    assert [row.score for row in one.comparison_] == [row.score for row in other.comparison_]
    np.testing.assert_array_equal(one.predict(x), other.predict(x))
    np.testing.assert_allclose(one.predict_proba(x), other.predict_proba(x), atol=1e-5)


def test_margins_alone_shift_no_decision() -> None:
    x, y = table((300, 60, 20))
    for name, shifts in (("cross-entropy", False), ("class-weighted", False), ("logit-adjustment", True)):
        assert quick(name, estimator=LinearSVC()).fit(x, y).model_.chains.shifts_decisions == shifts
        assert quick(name).fit(x, y).model_.chains.shifts_decisions == shifts


def test_an_earlier_fit_leaves_nothing_behind() -> None:
    fitted = quick("cross-entropy", baseline=True).fit(pd.DataFrame(X, columns=["a", "b", "c"]), Y)
    fitted.set_params(baseline=False, estimator=None).fit(["a text of words", "another text of words"] * 66, Y)
    assert not hasattr(fitted, "baseline_")
    assert not hasattr(fitted, "feature_names_in_")


def test_auto_bags_few_classes_only() -> None:
    def compared(n_classes: int) -> set[str]:
        y = np.repeat(np.arange(n_classes), 3)
        x = np.random.default_rng(0).normal(size=(len(y), 1)) + y[:, None]
        fitted = quick("auto", estimator=DecisionTreeClassifier(max_depth=2), cv=0.3).fit(x, y)
        return {row.recipe for row in fitted.comparison_}

    assert compared(5) - compared(101) == {"balanced-bagging"}


def test_the_baseline_is_fitted_once_and_is_the_plain_learner() -> None:
    x, y = table()
    model = quick("class-weighted", baseline=True).fit(x, y)
    assert model.recipe_.name == "class-weighted"
    plain = quick("cross-entropy").fit(x, y)
    np.testing.assert_allclose(model.baseline_.predict_proba(x), plain.predict_proba(x))


def never(status: str) -> None:
    raise AssertionError(status)


BAD: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "one class": ({}, X, np.zeros(len(Y)), "only one class"),
    "no labels": ({}, X, np.full(len(Y), np.nan), "missing"),
    "no y": ({}, X, None, "y"),
    "infinite": ({}, np.where(X.max() == X, np.inf, X), Y, "infinity"),
    "infinite y": ({}, X, np.where(Y == 0, np.inf, Y), "infinity"),
    "fractions as labels": ({}, X, Y + 0.5, "Unknown label type"),
    "too few labels": ({}, X, Y[:-1], f"{len(Y)} rows"),
    "two columns of labels": ({}, X, np.stack([Y, Y], axis=1), "one label per row"),
    "no rows": ({}, X[:0], Y[:0], "."),
    "a row": ({}, X[0], Y[:3], "Reshape"),
    "no text": ({"estimator": None}, ["", " "] * 5, list("ab") * 5, "word"),
    "unknown recipe": ({"recipe": "logit-adjustmnt"}, X, Y, "Did you mean 'logit-adjustment'"),
    "unknown objective": ({"objective": "balanced_acuracy"}, X, Y, "Did you mean 'balanced_accuracy'"),
    "cost of another shape": ({"objective": np.eye(2)}, X, Y, r"\(3, 3\)"),
    "costs of other classes": ({"objective": {0: {1: 1, 3: 2}}}, X, Y, "order 0, 1, 2, or {true class"),
    "not costs": ({"objective": {0: 3}}, X, Y, "a row per true class"),
    "a score of two classes": ({"objective": "f1"}, X, Y, "use 'f1_macro'"),
    "a ranking of two classes": ({"objective": "roc_auc"}, X, Y, "use 'roc_auc_ovr'"),
    "a scorer of two classes": ({"objective": make_scorer(f1_score)}, X, Y, "use 'f1_macro'"),
    "a score of numbers": ({"objective": "r2"}, X, Y, "scores no classes"),
    "unknown augmentation": ({"augment": "flop"}, X, Y, "Did you mean 'flip-crop'"),
    "unknown precision": ({"precision": "x"}, X, Y, "no precision 'x'"),
    "NaN in the cost": ({"objective": np.full((3, 3), np.nan)}, X, Y, "NaN"),
    "network recipe": ({"recipe": "ldam-drw"}, X, Y, "needs a network: give a backbone"),
    "both learners": ({"backbone": "mlp", "estimator": LogisticRegression()}, X, Y, "not both"),
    "no recipe": ({"recipe": []}, X, Y, "empty"),
    "not a recipe": ({"recipe": 3}, X, Y, "recipe"),
    "one fold": ({"cv": 1}, X, Y, "the number of folds must be from 2"),
    "share above one": ({"cv": 1.5}, X, Y, "share to hold out must lie between 0 and 1; got 1.5"),
    "coverage": ({"coverage": 1.5, "verbose": never}, X, Y, "coverage must lie between 0 and 1; got 1.5"),
    "scores of pairs": ({"estimator": SVC(decision_function_shape="ovo")}, X, Y, "use decision_function_shape='ovr'"),
    "time": ({"time_budget": "soon"}, X, Y, "90s"),
    "no sample weights": ({"recipe": "class-weighted", "estimator": KNeighborsClassifier()}, X, Y, "sample_weight"),
    "all classes of one": ({}, X[:3], np.arange(3), "two examples"),
    "epochs of no network": ({"epochs": 3}, X, Y, "epochs is for networks, and this trains none"),
    "precision of no network": ({"precision": "32-true"}, X, Y, "precision is for networks, and this trains none"),
    "augmented numbers": ({"augment": "crop"}, X, Y, "augment is for networks of images, and this trains none"),
    "folds as scikit-learn makes them": ({"cv": StratifiedKFold(3)}, X, Y, "a number of folds, or the share"),
    "a share as text": ({"coverage": "0.9"}, X, Y, "coverage must be a number; got '0.9'"),
    "neither yes nor no": ({"baseline": "yes"}, X, Y, "baseline must be true or false; got 'yes'"),
    "negative seed": ({"random_state": -1}, X, Y, "random_state cannot be -1"),
    "a scorer of nothing": ({"objective": make_scorer(lambda y, p: np.nan)}, X, Y, "its score is NaN"),
    "a regressor as estimator": ({"estimator": "boosting"}, X, Y, "estimator"),
}
NETWORK = {
    "backbone for images": ({"backbone": "resnet32"}, "does not take rows of numbers: use mlp"),
    "unknown backbone": ({"backbone": "mpl"}, "'mpl' does not take rows of numbers: use mlp"),
    "half an epoch": ({"backbone": "mlp", "epochs": 2.5}, "epochs must be a whole number or None; got 2.5"),
    "a rate as text": ({"backbone": "mlp", "learning_rate": "0.1"}, "learning_rate must be a number or None"),
    "no backbone at all": ({"backbone": 3}, "a function that returns a new network for every fit; got int"),
    "too few epochs": (
        {"backbone": "mlp", "recipe": "crt", "epochs": 1},
        "recipe 'crt': 2 stages cannot share 1 epoch",
    ),
    "a rate below zero": (
        {"backbone": "mlp", "recipe": recipe("tau-norm", learning_rate=-1)},
        "recipe 'tau-norm': learning_rate must be above 0; got -1",
    ),
    "a scale of zero": ({"backbone": "mlp", "recipe": recipe("gcl", scale=0)}, "recipe 'gcl': scale must be above 0"),
    "zero epochs": ({"backbone": "mlp", "epochs": 0}, "epochs"),
    "no batch": ({"backbone": "mlp", "batch_size": 0}, "batch_size must be above 0"),
    "backwards": ({"backbone": "mlp", "learning_rate": -1.0}, "learning_rate must be above 0"),
    "no epochs": ({"backbone": "mlp", "epochs": -1}, "epochs"),
}


def test_costs_by_class_name_are_those_of_the_matrix() -> None:
    cost = np.array([[0, 1, 4], [5, 0, 1], [20, 9, 0.5]])
    names = np.array(["x", "y", "z"])[Y]
    by_name = {"xyz"[i]: {"xyz"[j]: cost[i, j] for j in range(3) if cost[i, j]} for i in range(3)}
    matrix, mapping = (quick("cross-entropy", objective=o).fit(X, names) for o in (cost, by_name))
    np.testing.assert_array_equal(mapping.predict(X), matrix.predict(X))


def test_many_small_classes_are_not_warned_of_again() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick("cross-entropy").fit(x, np.arange(40) * 2 // 3)
    assert not caught


@pytest.mark.parametrize("precision", ["auto", *PRECISIONS])
def test_networks_train_and_answer_in_every_precision(precision: str) -> None:
    torch = pytest.importorskip("torch")
    if precision == "16-mixed" and not torch.cuda.is_available():
        with pytest.raises(TailwiseError, match="'16-mixed' needs a GPU"):
            quick("cross-entropy", precision=precision, backbone="mlp", epochs=1).fit(X, Y)
        return
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    for inputs, settings in ((X, {"backbone": "mlp", "epochs": 10}), (images, {"backbone": "resnet32", "epochs": 1})):
        fitted = quick("cross-entropy", precision=precision, **settings).fit(inputs, Y[: len(inputs)])
        np.testing.assert_allclose(fitted.predict_proba(inputs).sum(axis=1), 1, rtol=1e-6)
        if inputs is X:
            assert (fitted.predict(X) == Y).mean() > 0.8


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_images_train_in_mixed_precision_where_it_is_faster(has_bfloat16: bool, monkeypatch: Any) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bfloat16}, raising=False)
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    for inputs, settings, mixed in (
        (X, {"backbone": "mlp"}, False),
        (images, {"backbone": "resnet32"}, has_bfloat16),
        (images, {"backbone": "resnet32", "precision": "32-true"}, False),
    ):
        fitted = quick("cross-entropy", epochs=1, **settings).fit(inputs, Y[: len(inputs)])
        assert fitted.model_.card["learner"]["precision"] == ("bf16-mixed" if mixed else "32-true")
        assert {p.dtype for p in fitted.model_.learner.network.parameters()} == {torch.float32}


def test_the_names_of_augmentations_are_those_that_networks_know() -> None:
    pytest.importorskip("torch")
    made = {name: _augmentation(name, 32) for name in AUGMENTATIONS}
    assert made["none"] is None
    assert (made["flip-crop"].flip, made["crop"].flip) == (True, False)
    assert made["crop"].padding == 4


@pytest.mark.parametrize("case", list(BAD))
def test_one_line_for_what_cannot_be_used(case: str) -> None:
    settings, x, y, message = BAD[case]
    with pytest.raises(TailwiseError, match=message) as raised:
        quick(**settings).fit(x, y)
    assert "\n" not in str(raised.value)


@needs_torch
def test_one_network_for_all_fits_is_refused() -> None:
    from torch import nn

    with pytest.raises(TailwiseError, match="a function that returns a new network for every fit; got Linear"):
        quick("cross-entropy", backbone=nn.Linear(4, 3)).fit(X, Y)


def test_names_that_scikit_learn_gives_the_same_scores_tune_thresholds_too() -> None:
    ours, theirs = (quick("tuned-thresholds", objective=name).fit(X, Y) for name in ("macro_f1", "f1_macro"))
    assert ours.model_.chains.decision == theirs.model_.chains.decision
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(5, size=(2, 300))
    for name in ("f1_macro", "recall_macro"):
        score = as_objective(name, 5).score(y, predicted, None, np.bincount(y))
        assert score == pytest.approx(get_scorer(name)._score_func(y, predicted, average="macro"))


@needs_torch
@pytest.mark.parametrize("case", list(NETWORK))
def test_one_line_for_networks_that_cannot_be(case: str) -> None:
    settings, message = NETWORK[case]
    with pytest.raises(TailwiseError, match=message) as raised:
        quick(**settings).fit(X, Y)
    assert "\n" not in str(raised.value)


@needs_torch
@pytest.mark.parametrize(
    ("backbone", "x", "message"),
    [
        (None, np.zeros((len(Y), 8, 8, 3), np.uint8), "recipe 'smote' is for tables and texts, not for images"),
        ("mlp", X, "recipe 'smote' needs a scikit-learn estimator: give no backbone"),
    ],
)
def test_a_recipe_that_trains_no_networks_says_what_to_do(backbone: Any, x: Any, message: str) -> None:
    with pytest.raises(TailwiseError, match=message):
        TailClassifier("smote", backbone=backbone).fit(x, Y)


def test_the_counts_of_the_cases() -> None:
    np.testing.assert_array_equal(np.bincount(Y), COUNTS)


@pytest.mark.parametrize(("labels", "cv"), [("aab", None), ("aabc", 2), ("aabb", 0.2)])
def test_too_few_rows_are_one_line(labels: str, cv: Any) -> None:
    with pytest.raises(TailwiseError, match="too few rows to compare recipes"):
        TailClassifier("cross-entropy", cv=cv).fit(np.eye(len(labels)), list(labels))


def test_three_rows_that_can_be_held_out_are_enough() -> None:
    assert TailClassifier("cross-entropy").fit(np.eye(4), list("aaab")).predict(np.eye(4)).shape == (4,)


def test_what_is_missing_is_said() -> None:
    frame = pl.DataFrame({"a": [*range(19), np.inf], "b": range(20)}, strict=False)
    said: list[str] = []
    fitted = TailClassifier("cross-entropy", verbose=said.append).fit(frame, list("ab" * 10))
    (note,) = fitted.notes_
    assert note == "column 'a': 1 infinite value, first in row 19 of those encoded, is taken as missing."
    assert note in said


def test_classes_are_sorted_as_scikit_learn_takes_them_to_be_unless_a_dataset_orders_them() -> None:
    x, y = table()
    grades = pd.Series(pd.Categorical(np.array(["low", "mid", "high"])[y], ["low", "mid", "high"], ordered=True))
    model = quick().fit(x, grades)
    assert model.classes_.tolist() == ["high", "low", "mid"]
    assert model.notes_[0].startswith("the classes are sorted")
    ordered = quick().fit(as_dataset(x, grades))
    assert ordered.classes_.tolist() == ["low", "mid", "high"]
    assert ordered.notes_ == ()
    np.testing.assert_array_equal(model.predict(x), ordered.predict(x))
    np.testing.assert_allclose(model.predict_proba(x), ordered.predict_proba(x)[:, [2, 0, 1]], atol=1e-3)


def test_a_column_that_is_empty_in_a_fold_is_no_trouble_to_boosting() -> None:
    x, y = table()
    almost_empty = np.full((len(x), 1), np.nan)
    almost_empty[0] = 1
    fitted = quick("cross-entropy", estimator=HistGradientBoostingClassifier(max_iter=5), cv=2)
    assert fitted.fit(np.column_stack([x, almost_empty]), y).score(np.column_stack([x, almost_empty]), y) > 0.8


def test_a_backbone_that_is_the_same_at_every_call_is_refused() -> None:
    nn = pytest.importorskip("torch").nn
    known = nn.Linear(3, 4)

    def shared() -> Any:
        network = nn.Sequential(known, nn.ReLU())
        network.out_features = 4
        return network

    for backbone in (shared, lambda: known):
        with pytest.raises(TailwiseError, match="backbone returned parts of a network that it had returned before"):
            TailClassifier("cross-entropy", backbone=backbone, epochs=2, verbose=never).fit(X, Y)
    with pytest.raises(TailwiseError, match="backbone must be a function that is called without arguments"):
        TailClassifier("cross-entropy", backbone=lambda width: known, epochs=2, verbose=never).fit(X, Y)


def test_positions_of_columns_are_refused_where_encoding_moves_them() -> None:
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(len(Y)), "D")
    frame = pd.DataFrame({"c": np.array(list("uvw"))[Y], "d": days, "x": X[:, 0]})
    scaled = make_pipeline(ColumnTransformer([("n", StandardScaler(), [1])]), LogisticRegression())
    boosted = HistGradientBoostingClassifier(categorical_features=[2], max_iter=2)
    for estimator in (scaled, boosted):
        with pytest.raises(TailwiseError, match=r"has positions of columns, which encoding moves: encode the table"):
            quick("cross-entropy", estimator=estimator, verbose=never).fit(frame, Y)
    quick("cross-entropy", estimator=scaled).fit(X, Y)
    gaps = X.copy()
    gaps[::5, 0] = np.nan  # for which a column is added
    with pytest.raises(TailwiseError, match=r"has positions of columns, which encoding moves"):
        quick("cross-entropy", estimator=scaled, verbose=never).fit(gaps, Y)
    quick("cross-entropy", estimator=HistGradientBoostingClassifier(max_iter=2)).fit(frame, Y)
    first = HistGradientBoostingClassifier(categorical_features=[0], max_iter=2)
    quick("cross-entropy", estimator=first).fit(frame[["c", "x"]], Y)  # where they mean the same


def test_a_default_of_float64_changes_no_network() -> None:
    torch = pytest.importorskip("torch")
    settings: dict[str, Any] = {"backbone": "mlp", "epochs": 2, "cv": 0.3}
    wanted = quick("cross-entropy", **settings).fit(X, Y).predict_proba(X)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            found = quick("cross-entropy", **settings).fit(X, Y).predict_proba(X)
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.abs(found - wanted).mean() < 0.2, "it starts from other weights"


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    nn = pytest.importorskip("torch").nn

    def tied() -> Any:
        network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
        network[2].weight = network[0].weight
        network.out_features = 3
        return network

    fitted = TailClassifier("cross-entropy", backbone=tied, epochs=2, random_state=0).fit(X, Y)
    fitted.save(tmp_path / "m")
    again = load_model(tmp_path / "m", backbone=tied)
    np.testing.assert_allclose(again.predict_proba(X), fitted.predict_proba(X), rtol=1e-6)


def test_pandas_priors_and_costs_go_by_their_index_in_any_order() -> None:
    fitted = quick("cross-entropy").fit(X, Y)
    counts = pd.Series([900, 90, 10])
    wanted = fitted.predict_proba(X, prior=counts)
    for other in (counts.sort_values(), counts[::-1], counts.sort_index(ascending=False)):
        np.testing.assert_allclose(fitted.predict_proba(X, prior=other), wanted)
    cost = pd.DataFrame([[0.0, 1, 9], [2, 0, 1], [5, 5, 0]])
    answers = [quick("cross-entropy", objective=c).fit(X, Y).predict(X) for c in (cost, cost[::-1], cost[[2, 1, 0]])]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_integers_that_are_classes_name_them_whatever_their_order() -> None:
    fitted = quick("cross-entropy").fit(as_dataset(X, pd.Categorical(Y, categories=[2, 1, 0], ordered=True)))
    assert fitted.classes_.tolist() == [2, 1, 0]
    by_class = {0: 900, 1: 90, 2: 10}
    wanted = fitted.predict_proba(X, prior=by_class)
    np.testing.assert_allclose(fitted.predict_proba(X, prior=pd.Series(by_class)), wanted)
    np.testing.assert_allclose(fitted.predict_proba(X, prior=[10, 90, 900]), wanted)
