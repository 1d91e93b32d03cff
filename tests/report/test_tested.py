"""The report of a fitted classifier, made in Python: measured as by hand, and refused in one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from tailwise import TailClassifier, TailMultilabelClassifier, load_model
from tailwise.data import as_dataset
from tailwise.diagnose import copies
from tailwise.errors import TailwiseError
from tailwise.metrics import evaluate, evaluate_labels
from tailwise.report import render, report_on

NAMES = np.array(["cat", "dog", "newt"])


def animals(counts: tuple[int, ...] = (60, 30, 10), seed: int = 0) -> tuple[pl.DataFrame, list[str | None]]:
    labels = np.repeat(np.arange(3), counts)
    place = 2.5 * np.eye(3)[labels] + np.random.default_rng(seed).normal(size=(len(labels), 3))
    frame = pl.DataFrame(place, schema=["x", "y", "z"]).with_columns(pl.lit(None, pl.Float64).alias("nothing"))
    return frame, NAMES[labels].tolist()


@pytest.fixture(scope="module")
def classifier() -> TailClassifier:
    learner = LogisticRegression(max_iter=1000)
    return TailClassifier("logit-adjustment", estimator=learner, baseline=True, random_state=0).fit(*animals())


def test_a_classifier_is_measured_as_by_hand(classifier: TailClassifier) -> None:
    x, y = animals((12, 12, 12), seed=1)
    y[0] = None
    codes = np.array([-1, *np.searchsorted(NAMES, y[1:])])
    answer = classifier.model_.answer(x)
    by_hand = evaluate(
        codes,
        answer.predicted,
        class_counts=[60, 30, 10],
        proba=answer.proba,
        sets=answer.sets,
        class_names=list(NAMES),
    )
    assert classifier.evaluate(x, y).to_dict() == by_hand.to_dict()
    shifted = classifier.evaluate(x, y, prior="uniform")
    assert shifted["log_loss"] == pytest.approx(
        -np.log(classifier.predict_proba(x, "uniform")[range(36), codes])[1:].mean()
    )
    numbered = replace(as_dataset(x, y), labels=2 - codes, class_labels=NAMES[::-1])  # in another order
    numbered.labels[0] = -1
    assert classifier.evaluate(numbered).to_dict() == by_hand.to_dict()


def test_what_the_recipe_was_chosen_by_is_measured() -> None:
    learner = LogisticRegression(max_iter=1000)
    cost = {"newt": {"cat": 5, "dog": 5}, "dog": {"cat": 1, "newt": 1}, "cat": {"dog": 1, "newt": 1}}
    fitted = TailClassifier("logit-adjustment", estimator=learner, objective=cost, random_state=0).fit(*animals())
    x, y = animals((12, 12, 12), seed=1)
    found = fitted.evaluate(x, y)["expected cost (negative)"]
    assert found == pytest.approx(-np.mean([cost[a].get(b, 0) for a, b in zip(y, fitted.predict(x), strict=True)]))


def test_a_report_shows_test_baseline_diagnosis_and_copies(classifier: TailClassifier, tmp_path: Path) -> None:
    training = as_dataset(*animals(), name="animals")
    x, y = animals((12, 12, 12), seed=1)
    x, y = pl.concat([x, training.inputs[:5]]), [*y, "cat", "cat", "cat", "newt", "cat"]  # one with another label
    report = report_on(classifier, x, y, training=training)
    assert report.in_training == 4
    assert report.evaluation == classifier.evaluate(x, y).to_dict()
    assert report.baseline == classifier.baseline_.evaluate(x, y).to_dict()
    assert [row["recipe"] for row in report.comparison] == ["cross-entropy", "logit-adjustment"]
    page = " ".join(render(report).split())
    assert "logit-adjustment on animals" in page
    assert "on 41 test examples, of 4 of which the training data holds copies" in page
    classifier.save(tmp_path / "model")
    alone = report_on(load_model(tmp_path / "model"), x, y)
    assert (alone.baseline, alone.diagnosis, alone.in_training) == (None, None, None)
    assert alone.evaluation == report.evaluation
    page = render(alone)
    assert "has not seen" not in page
    assert "holds copies" not in page


def test_sets_of_labels_are_reported_in_every_form(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 4))
    rows = (x[:, :3] > [0, 0.8, 1.2]).astype(int)
    for given in (
        rows,
        sparse.csr_array(rows),
        pl.DataFrame(rows, schema=list("abc")),
        [set(NAMES[r > 0]) for r in rows],
    ):
        fitted = TailMultilabelClassifier("tuned-thresholds", estimator=LogisticRegression(), cv=2, random_state=0)
        fitted.fit(x, given)
        answer = fitted.model_.answer(x)
        by_hand = evaluate_labels(
            rows,
            answer.predicted,
            answer.proba,
            class_counts=rows.sum(0),
            class_names=[str(c) for c in fitted.classes_],
        )
        assert fitted.evaluate(x, given).to_dict() == by_hand.to_dict()
        report = report_on(fitted, x, given, training=fitted.labelled(x, given))
        assert report.in_training == len(x)
        assert "tuned-thresholds on data" in render(report)
    fitted.save(tmp_path / "model")
    assert load_model(tmp_path / "model").evaluate(x, given).to_dict() == by_hand.to_dict()


def test_what_cannot_be_tested_is_refused_in_one_line(classifier: TailClassifier) -> None:
    x, y = animals((2, 2, 2), seed=1)
    for wrong, said in (
        ((x, ["cat"] * 5 + ["newf"]), "label 'newf' is not among the 3 classes of the training data.*'newt'"),
        ((x, y[:5]), "6 rows of inputs but 5 labels"),
        ((x,), "y is missing"),
        ((x.drop("y"), y), "'y'"),
        ((x, [None] * 6), "no labelled example"),
    ):
        with pytest.raises(TailwiseError, match=said):
            report_on(classifier, *wrong)


def test_copies_of_every_kind_are_found() -> None:
    numbers = np.array([[1.0, 2], [3, 4], [5, 6], [1, 2]])
    texts = ["one", "two", "three", "one"]
    images = np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3)
    images[3] = images[0]
    for inputs in (
        numbers,
        numbers.astype(np.float32),
        sparse.csr_array(numbers),
        texts,
        images,
        pl.DataFrame(numbers),
    ):
        data = as_dataset(inputs, ["a", "b", "a", "a"])
        assert copies(data.take([0, 1]), data.take([2, 3])).tolist() == [True, False]
    one, other = (as_dataset(kind(numbers), ["a", "b", "a", "a"]) for kind in (np.float32, np.array))
    assert copies(one, other).all()
    twice = sparse.csr_array((np.array([1.0, 1, 3, 0]), np.array([1, 1, 0, 1]), np.array([0, 2, 4])), shape=(2, 2))
    once = sparse.csr_array(np.array([[0, 2], [3, 0]]))
    assert copies(*(as_dataset(matrix, ["a", "b"]) for matrix in (twice, once))).all()
    assert twice.nnz == 4, "what the user gave is as it was"
    with pytest.raises(TailwiseError, match="other classes than data, or another order of them"):
        copies(data, replace(data, class_labels=data.class_labels[::-1]))
    unlike = replace(data, labels=1 - data.labels)
    assert not copies(data, unlike).any()
