"""Measures of sets of labels: values against scikit-learn, spreads against derivatives and repeated samples."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn import metrics as sk

from tailwise.errors import AbsentError, TailwiseError
from tailwise.metrics import LABEL_OBJECTIVES, evaluate_labels
from tailwise.metrics.influence import average_precision, f1, roc_auc

COUNTS = np.array([900, 150, 60, 25, 9, 2])


def make(seed=0, n=300, share=(0.5, 0.3, 0.1, 0.05, 0.02, 0.01), absent=(), digits=2):
    """Rows, given labels and probabilities, some of them tied."""
    rng = np.random.default_rng(seed)
    rows = (rng.random((n, len(share))) < share).astype(int)
    rows[np.arange(len(share)), np.arange(len(share))] = 1
    rows[:, list(absent)] = 0
    proba = 1 / (1 + np.exp(-(2 * rows - 1.5 + rng.normal(size=rows.shape))))
    return rows, (proba > 0.5).astype(int), np.round(proba, digits)


@pytest.mark.parametrize("absent", [(), (2,), (4, 5)])
def test_values_are_those_of_scikit_learn(absent):
    rows, given_, proba = make(absent=absent)
    present = [c for c in range(6) if c not in absent]
    found = evaluate_labels(rows, given_, proba, class_counts=COUNTS)
    precision = np.array([sk.average_precision_score(rows[:, c], proba[:, c]) for c in present])
    f1s = np.array([sk.f1_score(rows[:, c], given_[:, c]) for c in present])
    expected = {
        "macro_average_precision": precision.mean(),
        "micro_average_precision": sk.average_precision_score(rows, proba, average="micro"),
        "macro_f1": f1s.mean(),
        "micro_f1": sk.f1_score(rows, given_, average="micro"),
        "log_loss": np.mean([sk.log_loss(rows[:, c], proba[:, c], labels=[0, 1]) for c in range(6)]),
    }
    assert_allclose([found[name] for name in expected], list(expected.values()), rtol=1e-12)
    for name, group in {"many": [0, 1], "medium": [2, 3], "few": [4, 5]}.items():
        inside = [place for place, c in enumerate(present) if c in group]
        if inside:
            assert found.by_group[name]["average_precision"].value == pytest.approx(precision[inside].mean())
            assert found.by_group[name]["f1"].value == pytest.approx(f1s[inside].mean())
            assert found[f"{name}_shot_average_precision"] == found.by_group[name]["average_precision"].value
        else:
            assert name not in found.by_group
    for code, row in enumerate(found.per_class()):
        assert row["support"] == rows[:, code].sum()
        assert row["predicted"] == given_[:, code].sum()
        if code in absent:
            assert row["average_precision"] is row["average_precision_low"] is row["f1"] is row["recall"] is None
        else:
            assert row["average_precision"] == pytest.approx(precision[present.index(code)])
            assert row["average_precision_low"] <= row["average_precision"] <= row["average_precision_high"]
    json.dumps(found.to_dict(), allow_nan=False)


def moved_by_weights(score, n, step=1e-6):
    """Return the derivative of a score by each example's weight, over the examples' number."""
    up, down = np.ones((n, n)) + step * np.eye(n), np.ones((n, n)) - step * np.eye(n)
    return np.array([score(u) - score(d) for u, d in zip(up, down, strict=True)]) / (2 * step)


@pytest.mark.parametrize("digits", [1, 8])
def test_each_example_moves_a_measure_by_its_derivative(digits):
    rows, given_, proba = make(n=60, digits=digits)
    for c in (0, 2, 5):
        for measure, theirs in ((average_precision, sk.average_precision_score), (roc_auc, sk.roc_auc_score)):
            value, moved = measure(rows[:, c] > 0, proba[:, c])
            expected = moved_by_weights(lambda w, c=c, s=theirs: s(rows[:, c], proba[:, c], sample_weight=w), 60)
            assert_allclose(moved, expected, atol=1e-8)
            assert value == pytest.approx(theirs(rows[:, c], proba[:, c]), rel=1e-12)
        value, moved = f1(rows[:, c] > 0, given_[:, c] > 0)
        expected = moved_by_weights(lambda w, c=c: sk.f1_score(rows[:, c], given_[:, c], sample_weight=w), 60)
        assert_allclose(moved, expected, atol=1e-8)


def test_rows_of_unknown_labels_do_not_count():
    rows, given_, proba = make(n=60)
    rows[::2] = -1
    found = evaluate_labels(rows, given_, proba, class_counts=COUNTS)
    known = evaluate_labels(rows[1::2], given_[1::2], proba[1::2], class_counts=COUNTS)
    assert found.to_dict() == known.to_dict()
    assert found.n_examples == 30


@pytest.mark.parametrize("name", LABEL_OBJECTIVES)
def test_intervals_hold_what_is_expected_where_labels_have_few_examples(name):
    share = np.geomspace(0.3, 0.01, 15)
    counts = (2000 * share).astype(int)
    found = []
    for seed in range(150):
        rows, given_, proba = make(seed, 250, share, digits=6)
        found.append(LABEL_OBJECTIVES[name](rows, given_, proba, counts))
    values, low, high = np.array(found).T
    held = ((low <= values.mean()) & (values.mean() <= high)).mean()
    assert 0.85 < held <= 1
    assert values.std() * 0.7 < ((high - low) / 3.92).mean() < values.std() * 1.5


@given(st.permutations(range(6)), st.integers(0, 100))
@settings(max_examples=30)
def test_the_order_of_labels_and_a_label_that_no_example_has_do_not_matter(order, seed):
    rows, given_, proba = make(seed, n=80)
    whole = evaluate_labels(rows, given_, proba, class_counts=COUNTS)
    order = list(order)
    turned = evaluate_labels(rows[:, order], given_[:, order], proba[:, order], class_counts=COUNTS[order])
    for name, estimate in whole.overall.items():
        assert_allclose(turned.overall[name], estimate, rtol=1e-9)
    assert_allclose(turned.average_precision, whole.average_precision[order], rtol=1e-9)
    more = [np.column_stack([part, column]) for part, column in ((rows, 0 * rows[:, 0]), (given_, given_[:, 0]))]
    wider = evaluate_labels(*more, np.column_stack([proba, proba[:, 0]]), class_counts=[*COUNTS, 40])
    for name in ("macro_average_precision", "macro_f1", "few_shot_average_precision"):
        assert_allclose(wider.overall[name], whole.overall[name], rtol=1e-9)


def test_one_example_with_a_label_is_not_taken_for_certain():
    rows, given_, proba = make()
    rows[:, 5], given_[:, 5] = np.eye(300, dtype=int)[7], np.eye(300, dtype=int)[7]
    proba[:, 5] = np.where(rows[:, 5], 0.9, 0.1)
    row = evaluate_labels(rows, given_, proba, class_counts=COUNTS).per_class()[5]
    assert row["average_precision"] == row["average_precision_high"] == row["f1"] == 1
    assert row["average_precision_low"] < 0.9


def test_the_few_shot_objective_takes_the_next_group_where_no_example_has_a_few_shot_label():
    rows, given_, proba = make(absent=(4, 5))
    expected = np.mean([sk.average_precision_score(rows[:, c], proba[:, c]) for c in (2, 3)])
    assert LABEL_OBJECTIVES["few_shot_average_precision"](rows, given_, proba, COUNTS).value == pytest.approx(expected)


def test_what_cannot_be_measured_is_one_line():
    rows, given_, proba = make()
    with pytest.raises(TailwiseError, match=r"given labels must be of shape \(300, 6\), one column per label; got"):
        evaluate_labels(rows, given_[:, :5], proba, class_counts=COUNTS)
    with pytest.raises(TailwiseError, match="between 0 and 1, and not NaN"):
        evaluate_labels(rows, given_, np.where(proba > 0.9, np.nan, proba), class_counts=COUNTS)
    with pytest.raises(TailwiseError, match="no test example has a label"):
        evaluate_labels(0 * rows, given_, proba, class_counts=COUNTS)
    found = evaluate_labels(rows, given_, proba, class_counts=COUNTS)
    with pytest.raises(AbsentError, match="Did you mean 'macro_f1'"):
        found["macro_f"]
    few = evaluate_labels(0 * rows | (COUNTS > 20), given_, proba, class_counts=COUNTS)
    with pytest.raises(AbsentError, match="no example of the few-shot classes was measured"):
        few["few_shot_average_precision"]
    assert "micro_f1" in found
    assert found.thresholds == (100, 20)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float16])
def test_yes_and_no_of_any_type_measure_the_same(dtype):
    rng = np.random.default_rng(0)
    rows, given = rng.random((2, 60, 3)) < [0.5, 0.3, 0.2]
    found, wanted = (
        evaluate_labels(rows, given, given.astype(kind), class_counts=[50, 30, 10]).overall for kind in (dtype, float)
    )
    for name in wanted:
        assert_allclose(found[name], wanted[name], rtol=1e-12, err_msg=name)


def test_what_is_no_indicator_is_refused():
    rows, given_, proba = make()
    for wrong in (proba, np.where(given_ > 0, given_, -1), 2 * given_, np.full(rows.shape, np.nan)):
        with pytest.raises(TailwiseError, match="given labels must be an indicator of 0 and 1, but row 0, column"):
            evaluate_labels(rows, wrong, proba, class_counts=COUNTS)
    for wrong in (0.3 * rows, 2 * rows, np.where(rows > 0, np.nan, rows)):
        with pytest.raises(TailwiseError, match="rows must be an indicator of 0 and 1, but row 0, column"):
            evaluate_labels(wrong, given_, proba, class_counts=COUNTS)
    found = evaluate_labels(rows.astype(str), given_.astype(str), proba, class_counts=COUNTS)
    assert found.to_dict() == evaluate_labels(rows, given_, proba, class_counts=COUNTS).to_dict()
    with pytest.raises(TailwiseError, match="masked"):
        evaluate_labels(rows, given_, np.ma.masked_array(proba, proba > 0.9), class_counts=COUNTS)


def test_sparse_indicators_are_measured_like_dense_ones():
    rng = np.random.default_rng(0)
    rows, proba = (rng.random((40, 3)) < 0.3).astype(int), rng.random((40, 3))
    dense = evaluate_labels(rows, proba > 0.5, proba, class_counts=rows.sum(0))
    found = evaluate_labels(csr_array(rows), csr_array(proba > 0.5), proba, class_counts=rows.sum(0))
    assert found.to_dict() == dense.to_dict()


def test_intervals_of_micro_measures_hold_where_mistakes_are_few():
    def sample(n, rng):
        has = (rng.random((n, 5)) < np.geomspace(0.4, 0.1, 5)).astype(int)
        has[0, 0] = 1
        proba = 1 / (1 + np.exp(-2.5 * (2 * has - 1) - rng.normal(size=has.shape)))
        return evaluate_labels(has, proba > 0.5, proba, class_counts=[50, 20, 10, 5, 3])

    truth, seen = sample(100_000, np.random.default_rng(0)), [sample(30, np.random.default_rng(i)) for i in range(60)]
    for name in ("micro_average_precision", "micro_f1"):
        intervals = [found.overall[name] for found in seen]
        assert all(found.low < found.high for found in intervals)
        assert np.mean([found.low <= truth[name] <= found.high for found in intervals]) > 0.85
