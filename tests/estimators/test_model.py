"""Honest probabilities, priors, prediction sets, and models that come back from disk as they went."""

import hashlib
import importlib.util
import json
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.stats import binom
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from estimators.cases import digits, quick, table
from tailwise.data import TableEncoder, as_dataset
from tailwise.errors import TailwiseError, UnsavableWarning
from tailwise.estimators import Model, TailClassifier, _trained, load_model
from tailwise.estimators._fitted import FittedEstimator
from tailwise.posthoc import softmax

pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning")
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs tailwise[torch]")

PRIOR = np.array([0.85, 0.12, 0.03])


def population(n: int, prior: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, labels and true posteriors of Gaussian classes with the same covariance, where logistic is right."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, size=n, p=prior)
    centres = 1.5 * np.eye(3)
    inputs = centres[labels] + rng.normal(size=(n, 3))
    log_joint = -0.5 * ((inputs[:, None] - centres) ** 2).sum(axis=2) + np.log(prior)
    return inputs, labels, softmax(log_joint)


@pytest.mark.parametrize("recipe", ["cross-entropy", "class-weighted", "class-weighted-sqrt", "effective-number"])
def test_probabilities_are_honest_whatever_training_re_balanced(recipe: str) -> None:
    x, y, _ = population(8000, PRIOR, 0)
    new, labels, truth = population(8000, PRIOR, 1)
    model = quick(recipe).fit(x, y)
    proba = model.predict_proba(new)
    np.testing.assert_allclose(proba.mean(axis=0), PRIOR, atol=0.012)
    assert np.abs(proba - truth).mean() < 0.015
    for cut in (0.1, 0.3):  # where a class is said to be likely, it is as often as said
        said = proba[:, 2] > cut
        spread = np.sqrt((proba[said, 2] * (1 - proba[said, 2])).sum())
        assert abs(proba[said, 2].sum() - (labels[said] == 2).sum()) < 4 * spread + 0.15 * said.sum() * cut


def test_uncorrected_weighted_probabilities_would_not_be_honest() -> None:
    x, y, _ = population(8000, PRIOR, 0)
    new, _, truth = population(8000, PRIOR, 1)
    model = quick("class-weighted").fit(x, y).model_
    assert model.card["learned_prior"] == "uniform"
    raw = softmax(model.scores(new))
    assert raw.mean(axis=0)[2] > 4 * PRIOR[2]
    assert np.abs(raw - truth).mean() > 5 * np.abs(model.predict_proba(new) - truth).mean()


def test_the_order_of_a_large_file_does_not_move_the_estimated_prior() -> None:
    x, y, _ = population(4000, PRIOR, 0)
    new, labels, _ = population(6000, np.array([0.3, 0.3, 0.4]), 1)
    model = quick("cross-entropy").fit(x, y).model_
    whole = model.estimate_prior([new])
    ordered = np.argsort(labels)
    found = model.estimate_prior((new[rows] for rows in np.array_split(ordered, 10)), most=2000)
    np.testing.assert_allclose(found, whole, atol=0.04)
    np.testing.assert_allclose(model.estimate_prior(np.array_split(new, 10)), whole, rtol=1e-6)


def test_the_card_says_which_class_shares_the_scores_assume() -> None:
    x, y = table()
    said = {
        name: quick(name, cv=0.3).fit(x, y).model_.card["learned_prior"]
        for name in ("cross-entropy", "class-weighted", "class-weighted-sqrt", "near-miss", "smote")
    }
    assert list(said.values()) == ["training", "uniform", "another", "unknown", "another"]


def test_decisions_are_balanced_while_probabilities_are_not() -> None:
    x, y, _ = population(8000, PRIOR, 0)
    new, labels, truth = population(8000, PRIOR, 1)
    bayes = (truth / PRIOR).argmax(axis=1)
    for recipe in ("logit-adjustment", "class-weighted", "tuned-thresholds"):
        predicted = quick(recipe).fit(x, y).predict(new)
        recall = [(predicted[labels == c] == c).mean() for c in range(3)]
        assert np.mean(recall) > np.mean([(bayes[labels == c] == c).mean() for c in range(3)]) - 0.02
    assert (truth.argmax(axis=1) == 2).mean() < PRIOR[2]


def test_priors() -> None:
    shifted = np.array([0.2, 0.3, 0.5])
    x, y, _ = population(8000, PRIOR, 0)
    new, labels, truth = population(4000, shifted, 1)
    model = quick("class-weighted").fit(x, y)
    told = model.predict_proba(new, prior=shifted)
    assert np.abs(told - truth).mean() < 0.05
    np.testing.assert_allclose(model.predict_proba(new, prior=10 * shifted), told)
    by_name = {str(label): share for label, share in zip(model.classes_, shifted, strict=True)}
    np.testing.assert_allclose(model.predict_proba(new, prior=by_name), told)
    for series in (pd.Series(by_name)[::-1], pd.Series(shifted)):
        np.testing.assert_allclose(model.predict_proba(new, prior=series), told)
    uniform = model.predict_proba(new, prior="uniform")
    np.testing.assert_allclose(uniform, model.predict_proba(new, prior=[1, 1, 1]))
    np.testing.assert_array_equal(model.predict(new, prior="uniform"), uniform.argmax(axis=1))
    estimated = model.predict_proba(new, prior="estimate")
    np.testing.assert_allclose(estimated.mean(axis=0), np.bincount(labels) / 4000, atol=0.05)
    accuracy = [(model.predict(new, prior=prior) == labels).mean() for prior in ("train", "estimate")]
    assert accuracy[1] > accuracy[0]
    batches = (new[i : i + 500] for i in range(0, 4000, 500))
    np.testing.assert_allclose(model.model_.estimate_prior(batches), estimated.mean(axis=0), atol=0.02)
    np.testing.assert_array_equal(model.predict_proba(new, prior="train"), model.predict_proba(new))


@pytest.mark.parametrize("recipe", ["logit-adjustment", "tuned-thresholds"])
def test_a_decision_is_in_its_prediction_set_whatever_the_prior(recipe: str) -> None:
    x, y = table(spread=2.0)
    model = quick(recipe).fit(x, y).model_
    for prior in ("train", "uniform", [1.0, 0.0, 0.0]):
        answer = model.answer(x, prior)
        assert answer.sets[np.arange(len(x)), answer.predicted].all()
        assert (answer.sets >= model.sets(model.predict_proba(x))).all()


UNNAMED = {"0": 1, "1": 1}
WRONG: list[Any] = ["unifrom", [0.5, 0.5], [1, 1, -1], [0, 0, 0], [np.nan, 1, 1], [[1, 1, 1]], UNNAMED, ["a", 1, 1]]


SPELT: list[tuple[list[Any], list[dict[Any, float]]]] = [
    ([0.0, 1.0], [{"0": 0.2, "1": 0.8}, {1: 0.8, 0: 0.2}, {0.0: 0.2, 1.0: 0.8}]),
    ([False, True], [{"true": 0.8, "false": 0.2}, {"False": 0.2, "True": 0.8}, {True: 0.8, False: 0.2}]),
    (["1", "1.0"], [{"1": 0.2, "1.0": 0.8}]),
]


@pytest.mark.parametrize(("labels", "priors"), SPELT)
def test_a_prior_names_classes_as_they_are_shown(labels: list[Any], priors: list[dict[Any, float]]) -> None:
    x, y = table((60, 30))
    model = quick().fit(x, np.array(labels)[y])
    for prior in priors:
        np.testing.assert_array_equal(model.predict_proba(x, prior=prior), model.predict_proba(x, prior=[0.2, 0.8]))
    with pytest.raises(TailwiseError, match="names an unknown class 'other'"):
        model.predict(x, prior={**priors[0], "other": 1})
    with pytest.raises(TailwiseError, match=r"lacks class '(1|True|1\.0)'"):
        model.predict(x, prior={labels[0]: 1})


@pytest.mark.parametrize("prior", WRONG)
def test_a_prior_that_is_none_is_refused_in_one_line(prior: Any) -> None:
    x, y = table()
    with pytest.raises(TailwiseError) as raised:
        quick().fit(x, y).predict(x, prior=prior)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("recipe", ["cross-entropy", "class-weighted"])
def test_prediction_sets_hold_every_class_as_often_as_promised(recipe: str) -> None:
    x, y, _ = population(6000, PRIOR, 0)
    new, labels, _ = population(60000, PRIOR, 1)
    model = quick(recipe, coverage=0.8).fit(x, y)
    sets = model.predict_sets(new)
    held = sets[np.arange(len(labels)), labels]
    held_out = np.bincount(y)
    for c in range(3):  # of the held-out examples that set the threshold, and of those that it is tried on
        n, m = held_out[c], (labels == c).sum()
        slack = 4 * np.sqrt(0.8 * 0.2 * (1 / n + 1 / m)) + 0.02
        assert held[labels == c].mean() > 0.8 - slack
        if c:  # the likeliest class is always in the set, which here is mostly the first
            assert held[labels == c].mean() < 0.8 + slack
    assert held.mean() > binom.ppf(1e-5, 60000, 0.8) / 60000 - 0.02
    assert sets[np.arange(len(new)), model.predict_proba(new).argmax(axis=1)].all()


# Models on disk.


def words(y: np.ndarray) -> list[str]:
    return [f"{word} number {i % 7}" for i, word in enumerate(np.array(["red apple", "green pear", "plum"])[y])]


def frame(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    out = pd.DataFrame({"a": x[:, 0], "word": np.array(["red", "green", "blue"])[y], "b": x[:, 1], "on": x[:, 2] > 0})
    out.loc[3, "a"] = np.nan
    return out


X, Y = table()
NAMES = np.array(["ant", "bee", "cow"])[Y]
BOOSTING = HistGradientBoostingClassifier(max_iter=5)
SELECTED = make_pipeline(SelectKBest(mutual_info_classif, k=2), LogisticRegression())


def searched(scoring: str | None) -> GridSearchCV:
    return GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring=scoring, cv=2)


MODELS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "array": ({"recipe": "class-weighted"}, X, Y),
    "array of boosting": ({"recipe": "tuned-thresholds", "estimator": BOOSTING}, X, NAMES),
    "defaults": ({"recipe": "logit-adjustment", "estimator": None}, X, Y.astype(np.uint8)),
    "table": ({"recipe": "class-weighted"}, frame(X, Y), NAMES.astype(object)),
    "table of boosting": ({"recipe": "class-weighted", "estimator": BOOSTING}, frame(X, Y), Y > 0),
    "text": ({"recipe": "logit-adjustment", "estimator": None}, words(Y), Y.astype(float)),
    "costs": ({"recipe": "cross-entropy", "objective": 1.0 - np.eye(3)}, X, Y),
    "search": ({"recipe": "logit-adjustment", "estimator": searched(None)}, X, Y),
    **{
        f"search by {scoring}": ({"recipe": "cross-entropy", "estimator": searched(scoring)}, X, Y)
        for scoring in ("balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr", "average_precision")
    },
    "selection": ({"recipe": "cross-entropy", "estimator": SELECTED}, X, Y),
}
NETWORKS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "mlp": ({"recipe": "balanced-softmax", "backbone": "mlp"}, X, NAMES),
    "cosine head": ({"recipe": "ldam-drw", "backbone": "mlp"}, X, Y),
    "scaled head": ({"recipe": "lws", "backbone": "mlp"}, X, Y),
    "normalised head": ({"recipe": "tau-norm", "backbone": "mlp"}, X, Y),
    "mean head": ({"recipe": "ncm", "backbone": "mlp"}, X, Y),
    "table": ({"recipe": "crt", "backbone": "mlp"}, frame(X, Y), NAMES),
    "text": ({"recipe": "cross-entropy", "backbone": "mlp"}, words(Y), NAMES),
    "identity": ({"recipe": "balanced-softmax", "backbone": "identity"}, X, NAMES),
    "double precision": ({"recipe": "cross-entropy", "backbone": "mlp", "precision": "64-true"}, X, Y),
}


def check_round_trip(model: Any, inputs: Any, folder: Path, **load: Any) -> Model:
    model.save(folder)
    again = load_model(folder, **load)
    np.testing.assert_array_equal(again.predict_proba(inputs), model.predict_proba(inputs))
    np.testing.assert_array_equal(again.predict(inputs), model.predict(inputs))
    np.testing.assert_array_equal(again.predict_sets(inputs), model.predict_sets(inputs))
    np.testing.assert_array_equal(again.predict(inputs, "estimate"), model.predict(inputs, "estimate"))
    assert again.classes.dtype == model.classes_.dtype
    assert again.classes.tolist() == model.classes_.tolist()
    np.testing.assert_array_equal(again.class_counts, model.class_counts_)
    assert again.card == json.loads(json.dumps(model.model_.card))
    return again


@pytest.mark.parametrize("case", list(MODELS))
def test_saved_models_come_back(case: str, tmp_path: Path) -> None:
    settings, inputs, labels = MODELS[case]
    again = check_round_trip(quick(**settings).fit(inputs, labels), inputs, tmp_path / "model")
    again.save(tmp_path / "copy")
    np.testing.assert_array_equal(load_model(tmp_path / "copy").scores(inputs), again.scores(inputs))


@needs_torch
@pytest.mark.parametrize("case", list(NETWORKS))
def test_saved_networks_come_back(case: str, tmp_path: Path) -> None:
    settings, inputs, labels = NETWORKS[case]
    check_round_trip(quick(**settings, epochs=2, batch_size=32).fit(inputs, labels), inputs, tmp_path / "model")


def small_images(y: np.ndarray) -> np.ndarray:
    return (60 * y[:, None, None, None] + np.arange(16).reshape(4, 4, 1)).astype(np.uint8)


FORMS: list[tuple[Any, list[Callable[[Any], Any]]]] = [
    (X, [np.ndarray.tolist, pl.DataFrame, pd.DataFrame, as_dataset, sparse.csr_matrix, sparse.coo_array]),
    (frame(X, Y), [pl.from_pandas, lambda t: pl.from_pandas(t).lazy(), lambda t: {c: t[c] for c in t}, as_dataset]),
    (words(Y), [pd.Series, np.array, lambda t: pd.DataFrame({"said": t}), as_dataset]),
    (small_images(Y), [lambda a: a[..., 0], as_dataset]),
]


LEARNERS = [(LogisticRegression(), *forms) for forms in FORMS]
LEARNERS += [(BOOSTING, *forms) for forms in FORMS if not isinstance(forms[0], list)]  # which takes no sparse features


@pytest.mark.parametrize(("estimator", "inputs", "forms"), LEARNERS)
def test_a_model_takes_what_the_classifier_takes(
    estimator: BaseEstimator, inputs: Any, forms: list[Callable[[Any], Any]]
) -> None:
    classifier = quick("cross-entropy", estimator=estimator).fit(inputs, Y)
    expected = classifier.predict_proba(inputs)
    for form in forms:
        np.testing.assert_allclose(classifier.model_.predict_proba(form(inputs)), expected, rtol=1e-5)
        np.testing.assert_allclose(classifier.predict_proba(form(inputs)), expected, rtol=1e-5)


@needs_torch
def test_a_model_takes_tensors() -> None:
    import torch

    model = quick("cross-entropy").fit(X, Y).model_
    np.testing.assert_array_equal(model.predict(torch.tensor(X)), model.predict(X))


@pytest.mark.parametrize(
    ("inputs", "wrong", "message"),
    [
        (words(Y), "red apple", "not one text"),
        (words(Y), [], "no rows"),
        (X, [], "2D"),
        (X, X[:, :2], "X has 2 features, but Model is expecting 3 features"),
        (X, np.c_[X, X], "X has 6 features, but Model is expecting 3 features"),
        (X, pl.DataFrame({"a": ["b"]}), "trained on array data, but X is table data"),
        (small_images(Y), small_images(Y) / 255, "must be uint8"),
        (small_images(Y), small_images(Y) > 0, "must be uint8"),
        (small_images(Y), frame(X, Y), "trained on image data, but X is table data"),
        (words(Y), small_images(Y), "trained on text data, but X is image data"),
    ],
)
def test_inputs_of_another_form_are_refused_in_one_line(inputs: Any, wrong: Any, message: str) -> None:
    classifier = quick("cross-entropy").fit(inputs, Y)
    for fitted in (classifier, classifier.model_):
        with pytest.raises(TailwiseError, match=message) as error:
            fitted.predict(wrong)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_column_is_judged_by_all_rows_whatever_their_order(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trained, "_BLOCK", 1)  # so that blocks have 1,024 rows
    rng, n = np.random.default_rng(0), 5000
    fitted = quick("cross-entropy").fit(pd.DataFrame({"x": rng.normal(size=60).astype(str)}), ["a", "b", "c"] * 20)
    values = np.where(np.arange(n) < share * n, "1.234,5", rng.normal(size=n).astype(str)).astype(object)
    outcomes = []
    for order in (np.arange(n), rng.permutation(n)):
        try:
            outcomes.append(fitted.predict(pd.DataFrame({"x": values[order]}))[np.argsort(order)].tolist())
        except TailwiseError as error:
            outcomes.append(f"{int(share * n)} of {n} values" in str(error))
    assert outcomes[0] == outcomes[1]
    assert (outcomes[0] is True) == (share > 0.1)


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_blocks_of_many_rows_are_answered_as_few_are(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trained, "_BLOCK", 1)  # so that blocks have 1,024 rows
    fitted = quick("cross-entropy", estimator=LogisticRegression()).fit(form(X), Y)
    few = fitted.predict_proba(form(X))
    np.testing.assert_allclose(fitted.predict_proba(form(np.tile(X, (30, 1)))), np.tile(few, (30, 1)), rtol=1e-6)


def test_one_row_of_a_frame_is_refused_with_what_to_pass() -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 3] * 20, "word": ["a", "b", "c"] * 20})
    fitted = quick("cross-entropy").fit(frame, ["a", "b", "c"] * 20)
    with pytest.raises(TailwiseError, match=r"If it is one row of a table, pass frame.iloc\[\[i\]\]"):
        fitted.predict(frame.iloc[0])


@needs_torch
def test_a_backbone_of_ones_own_must_be_given_again(tmp_path: Path) -> None:
    from tailwise.nn import MLP

    own = partial(MLP, 3, (8,))
    model = quick("crt", backbone=own, epochs=2).fit(X, Y)
    check_round_trip(model, X, tmp_path / "model", backbone=own)
    with pytest.raises(TailwiseError, match="backbone=") as raised:
        load_model(tmp_path / "model")
    assert "\n" not in str(raised.value)
    with pytest.raises(TailwiseError) as raised:
        load_model(tmp_path / "model", backbone=partial(MLP, 3, (9,)))
    assert "\n" not in str(raised.value)


@needs_torch
@pytest.mark.parametrize("kept", ["buffer", "attribute"])
def test_a_backbone_that_draws_numbers_is_saved_or_a_warning_tells(kept: str, tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Fourier(nn.Module):
        out_features = 8

        def __init__(self) -> None:
            super().__init__()
            drawn = torch.randn(3, 8)
            if kept == "buffer":
                self.register_buffer("drawn", drawn, persistent=False)
            else:
                self.drawn = drawn

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ self.drawn).sin()

    before = torch.get_rng_state()
    if kept == "buffer":
        model = quick("cross-entropy", backbone=Fourier, epochs=2).fit(X, Y)
        check_round_trip(model, X, tmp_path / "model", backbone=Fourier)
    else:
        with pytest.warns(UnsavableWarning, match="a saved model would answer otherwise: use register_buffer") as told:
            quick("cross-entropy", backbone=Fourier, epochs=2).fit(X, Y)
        assert told[0].filename == __file__
        assert torch.equal(torch.get_rng_state(), before)


@needs_torch
def test_a_backbone_with_a_state_that_is_no_tensor_is_refused_before_training() -> None:
    from tailwise.nn import MLP

    class Odd(MLP):
        def get_extra_state(self) -> dict[str, int]:
            return {"steps": 0}

    with pytest.raises(TailwiseError, match="Odd keeps '_extra_state', which is no tensor"):
        quick("cross-entropy", backbone=partial(Odd, 3, (8,)), epochs=1).fit(X, Y)


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    x, y = table()
    model = quick("class-weighted").fit(x, y)
    for number, name in enumerate(["model.json", "estimator.skops", "encoder.skops"]):
        folder = tmp_path / str(number)
        model.save(folder)
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(TailwiseError) as raised:
            load_model(folder)
        assert "\n" not in str(raised.value)
    folder = tmp_path / "cut"
    model.save(folder)
    (folder / "estimator.skops").unlink()
    with pytest.raises(TailwiseError, match=r"estimator\.skops"):
        load_model(folder)
    with pytest.raises(TailwiseError):
        load_model(tmp_path / "absent")


def sealed(folder: Path, name: str) -> Path:
    """Change the manifest so that it agrees with a file that was changed."""
    file, manifest = folder / name, json.loads((folder / "manifest.json").read_text())
    size, sha256 = file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()
    manifest["files"][name] = {"size": size, "sha256": sha256}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change model.json, and the manifest so that it agrees, as somebody might who wants harm."""
    document = folder / "model.json"
    model = json.loads(document.read_text())
    change(model)
    document.write_text(json.dumps(model))
    return sealed(folder, "model.json")


@needs_torch
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("backbone.0.weight", lambda w: w * float("nan"), "weights 'backbone.0.weight' are not all finite numbers"),
        ("inputs.mean", lambda w: w[:2], "mean and inputs.scale are not one number each"),
        ("inputs.*", lambda w: w[:2], "for inputs of another width than the saved backbone"),
        ("inputs.*", lambda w: w[:, None], "mean and inputs.scale are not one number each"),
    ],
)
def test_weights_that_cannot_predict_are_refused_when_read(
    tmp_path: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    from safetensors.torch import load_file, save_file

    quick("cross-entropy", backbone="mlp", epochs=1).fit(X, Y).save(tmp_path / "m")
    file = tmp_path / "m" / "network.safetensors"
    weights = load_file(file)
    save_file({key: change(w).contiguous() if fnmatch(key, name) else w for key, w in weights.items()}, file)
    with pytest.raises(TailwiseError, match=message) as raised:
        load_model(sealed(tmp_path / "m", "network.safetensors"))
    assert "\n" not in str(raised.value)


def test_an_encoder_that_was_never_fitted_is_refused_when_read(tmp_path: Path) -> None:
    import skops.io

    quick("cross-entropy").fit(frame(X, Y), Y).save(tmp_path / "m")
    skops.io.dump(TableEncoder(), tmp_path / "m" / "encoder.skops")
    with pytest.raises(TailwiseError, match=r"encoder\.skops holds a TableEncoder that was never fitted"):
        load_model(sealed(tmp_path / "m", "encoder.skops"))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.clear(),
        lambda m: m.pop("chains"),
        lambda m: m.update(sets=3),
        lambda m: m.update(learner="network"),
        lambda m: m.update(class_counts=[float("nan")] * 3),
        lambda m: m.update(class_counts=[10**30] * 3),
        lambda m: m["class_counts"].pop(),
        lambda m: m["classes"].pop(),
        lambda m: m.update(class_counts=[0, 0, 0]),
        lambda m: m["chains"].update(cost=[[0, 1], [1, 0]]),
        lambda m: m["chains"].update(cost="free"),
        lambda m: m["chains"].update(cost=[[float("nan")] * 3] * 3),
        lambda m: m["sets"].update(thresholds=[float("nan")] * 3),
        lambda m: m["sets"].update(thresholds=["a"] * 3),
        lambda m: m["sets"]["thresholds"].pop(),
        lambda m: m["sets"].update(coverage="high"),
        lambda m: m["sets"].update(coverage=7),
        lambda m: m.update(kind="foo"),
        lambda m: m.update(card=None),
    ],
)
def test_an_incomplete_description_is_refused_in_one_line(change: Any, tmp_path: Path) -> None:
    x, y = table()
    quick("cross-entropy").fit(x, y).save(tmp_path / "model")
    with pytest.raises(TailwiseError) as raised:
        load_model(rewritten(tmp_path / "model", change))
    assert "\n" not in str(raised.value)


@needs_torch
@pytest.mark.parametrize(
    "backbone",
    [
        {"name": "resnet18", "in_chans": 3, "checkpoint_path": "evil.pth"},
        {"name": "resnet18", "checkpoint_path": "evil.pth"},
        {"name": "mlp", "in_features": 3, "hidden": [10**9]},
        {"name": "mlp", "in_features": "3"},
        {"name": ["mlp"], "in_features": 3},
        {"in_features": 3},
    ],
)
def test_a_saved_backbone_is_a_name_and_a_width(backbone: dict[str, Any], tmp_path: Path) -> None:
    quick("cross-entropy", backbone="mlp", epochs=1).fit(X, Y).save(tmp_path / "model")
    folder = rewritten(tmp_path / "model", lambda model: model["network"].update(backbone=backbone))
    with pytest.raises(TailwiseError, match="not built"):
        load_model(folder)


@needs_torch
@pytest.mark.parametrize("size", [{"out_features": 2}, {"in_features": 1 << 40}])
def test_a_saved_head_of_another_size_is_refused_in_one_line(size: dict[str, int], tmp_path: Path) -> None:
    quick("cross-entropy", backbone="mlp", epochs=1).fit(X, Y).save(tmp_path / "model")
    folder = rewritten(tmp_path / "model", lambda model: model["network"]["head"].update(size))
    with pytest.raises(TailwiseError) as raised:
        load_model(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_in_use_is_replaced_only_when_told(tmp_path: Path) -> None:
    x, y = table()
    first, second = quick("class-weighted").fit(x, y), quick("cross-entropy").fit(x, y)
    first.save(tmp_path / "model")
    with pytest.raises(TailwiseError):
        second.save(tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict_proba(x), first.predict_proba(x))
    second.save(tmp_path / "model", force=True)
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict_proba(x), second.predict_proba(x))


def test_the_card_says_where_the_numbers_come_from() -> None:
    card = quick(["cross-entropy", "class-weighted"], random_state=3).fit(X, Y).model_.card
    assert card["recipe"] in ("cross-entropy", "class-weighted")
    assert card["data"]["rows"] == len(Y)
    assert [row["recipe"] for row in card["comparison"]] == ["cross-entropy", "class-weighted"]
    assert {"tailwise", "python", "scikit-learn", "numpy"} <= set(card["versions"])
    other = quick("cross-entropy").fit(X[:-1], Y[:-1]).model_.card
    assert other["data"]["hash"] != card["data"]["hash"]


@pytest.mark.parametrize(
    "estimator", [RandomForestClassifier(60, random_state=0), KNeighborsClassifier(15, algorithm="brute")]
)
def test_an_estimated_prior_does_no_harm_where_nothing_has_shifted(estimator: Any) -> None:
    rng = np.random.default_rng(0)
    centres, y = rng.normal(0, 1.5, (7, 6)), np.repeat(np.arange(7), [1500, 600, 250, 100, 40, 15, 5])
    x = centres[y] + 1.2 * rng.normal(size=(len(y), 6))
    fitted = quick("cross-entropy", estimator=estimator).fit(x, y)
    for every, lost in ((1, 0.03), (80, 0.07)):  # as many rows as in training, and 32
        new, labels = (centres[y] + 1.2 * rng.normal(size=x.shape))[::every], y[::every]
        train, moved = (fitted.predict_proba(new, prior=prior) for prior in ("train", "estimate"))
        right = [(proba.argmax(axis=1) == labels).mean() for proba in (train, moved)]
        assert right[1] > right[0] - lost
        assert np.abs(moved.mean(axis=0) - np.bincount(labels, minlength=7) / len(labels)).sum() < 0.2


@pytest.mark.parametrize("estimator", [RandomForestClassifier(60, random_state=0), KNeighborsClassifier(15)])
def test_zeros_of_a_few_votes_do_not_decide_the_temperature(estimator: Any) -> None:
    rng = np.random.default_rng(0)
    centres, y = rng.normal(0, 1.5, (6, 5)), np.repeat(np.arange(6), [800, 300, 120, 50, 20, 12])

    def drawn(labels: np.ndarray) -> np.ndarray:
        return centres[labels] + 1.2 * rng.normal(size=(len(labels), 5))

    labels = np.repeat(y, 4)
    x, new = drawn(y), drawn(labels)
    fitted = quick("cross-entropy", estimator=estimator).fit(x, y)
    proba, raw = fitted.predict_proba(new), np.clip(clone(estimator).fit(x, y).predict_proba(new), 1e-4, 1)
    assert abs(proba.max(axis=1).mean() - (proba.argmax(axis=1) == labels).mean()) < 0.07
    assert log_loss(labels, proba) < log_loss(labels, raw / raw.sum(axis=1, keepdims=True))
    assert (proba > 0).all()


def test_a_zero_does_not_come_before_what_got_a_vote() -> None:
    class Sure(ClassifierMixin, BaseEstimator):
        classes_ = np.arange(3)

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return np.tile([1 - 1e-12, 1e-12, 0.0], (len(X), 1))

    (scores,) = FittedEstimator(Sure(), np.array([100, 10, 10])).scores(np.zeros((1, 1)))
    assert scores[1] == pytest.approx(np.log(1e-12))
    assert scores[2] <= scores[1]


def test_log_probabilities_are_taken_where_probabilities_underflow() -> None:
    x = np.repeat([[0.0], [1.0], [60.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(60, 1))
    y = np.repeat([0, 1, 2], 20)
    bayes = GaussianNB().fit(x, y)
    scores = FittedEstimator(bayes, np.array([20, 20, 20])).scores(x)
    np.testing.assert_allclose(scores, bayes.predict_log_proba(x), rtol=1e-5)


def test_calibration_is_better_than_none() -> None:
    x, y, new, labels = digits(imbalance=20)
    model = quick("class-weighted", estimator=LogisticRegression(C=1000, max_iter=2000)).fit(x, y)
    raw = softmax(model.model_.scores(new) + np.log(np.bincount(y) / len(y)))
    rare_and_not = model.predict_proba(new, prior=np.bincount(labels))
    rows = np.arange(len(labels))
    assert -np.log(rare_and_not[rows, labels]).mean() < -np.log(np.maximum(raw[rows, labels], 1e-12)).mean()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_rarest_class_is_as_probable_as_frequent_after_a_short_retraining(seed: int) -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    prior, centres = np.array([0.6, 0.25, 0.1, 0.05]), 1.2 * rng.normal(size=(4, 5))
    y = rng.choice(4, 2000, p=prior)
    model = TailClassifier("crt", backbone="mlp", epochs=10, cv=3, random_state=0)
    model.fit(centres[y] + rng.normal(size=(2000, 5)), y)
    new = rng.choice(4, 20000, p=prior)
    proba = model.predict_proba(centres[new] + rng.normal(size=(20000, 5)))
    share = proba.mean(axis=0) / (np.bincount(new) / len(new))
    assert ((share > 0.7) & (share < 1.4)).all()


def test_log_probabilities_are_finite_where_probabilities_are_not() -> None:
    x, y = table()
    model = quick("cross-entropy").fit(x, y)
    far, prior = 1000 * np.eye(3), [1e-300, 0.5, 0.5]
    assert np.isfinite(model.predict_log_proba(far, prior)).all()
    np.testing.assert_allclose(np.exp(model.predict_log_proba(x)), model.predict_proba(x), rtol=1e-9)
