import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwise import counts
from tailwise.errors import TailwiseError

some_counts = st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any)


def test_counting_leaves_missing_labels_out():
    np.testing.assert_array_equal(counts.class_counts([0, 2, -1, 2], 4), [1, 0, 2, 0])
    np.testing.assert_array_equal(counts.class_counts(np.array([1, 1], dtype=np.uint8)), [0, 2])
    with pytest.raises(TailwiseError, match="out of range for 2 classes"):
        counts.class_counts([0, 2], 2)
    with pytest.raises(TailwiseError, match="integer class codes"):
        counts.class_counts([0.5])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "must be 1-D"),
        ([[1]], "must be 1-D"),
        ([1, -1], "class 1 has -1"),
        ([np.nan], "finite"),
        ([0], "all zero"),
    ],
)
def test_bad_counts_are_one_line(bad, message):
    with pytest.raises(TailwiseError, match=message):
        counts.check_counts(bad)


@given(some_counts)
@settings(max_examples=60)
def test_measures_of_the_tail(n):
    n = np.array(n)
    assert counts.class_prior(n).sum() == pytest.approx(1)
    present = n[n > 0]
    assert counts.imbalance_factor(n) == present.max() / present.min()
    assert 0 <= counts.gini(n) < 1
    assert 1 - 1e-9 <= counts.effective_classes(n) <= len(present) + 1e-9


def test_gini_is_its_definition():
    n = np.array([5, 1, 3, 0], dtype=float)
    pairs = np.abs(n[:, None] - n[None, :]).sum() / (2 * len(n) ** 2 * n.mean())
    assert counts.gini(n) == pytest.approx(pairs, rel=1e-12)
    assert counts.gini([4, 4, 4]) == pytest.approx(0)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999])
def test_effective_number_is_its_equation(beta):
    n = [0, 1, 10, 5000]
    expected = [(1 - beta**k) / (1 - beta) for k in n]
    np.testing.assert_allclose(counts.effective_number(n, beta), expected, rtol=1e-10)
    with pytest.raises(TailwiseError, match="less than 1"):
        counts.effective_number(n, 1.0)


@given(some_counts, st.sampled_from(["inverse", "sqrt", "effective", "none"]))
@settings(max_examples=80)
def test_weights_average_to_one_over_the_examples_and_favour_the_rare(n, scheme):
    n = np.array(n)
    weights = counts.class_weights(n, scheme)
    assert (weights * n).sum() == pytest.approx(n.sum())
    assert (weights[n == 0] == 0).all()
    order = np.argsort(n[n > 0], kind="stable")
    assert (np.diff(weights[n > 0][order]) <= 1e-9 * weights.max()).all()
    permuted = np.random.default_rng(0).permutation(len(n))
    np.testing.assert_allclose(counts.class_weights(n[permuted], scheme), weights[permuted], rtol=1e-12)


def test_inverse_weights_make_every_class_weigh_the_same():
    np.testing.assert_allclose(counts.class_weights([100, 10, 1], "inverse") * [100, 10, 1], 37)
    np.testing.assert_allclose(counts.class_weights([7, 7], "effective"), 1)
    with pytest.raises(TailwiseError, match="unknown weighting"):
        counts.class_weights([1, 2], "log")


@pytest.mark.parametrize("given", [[6, 0, 2], [0.75, 0.0, 0.25]])
@pytest.mark.parametrize("floor", [1.0, 1e-3])
def test_the_log_prior_is_finite_and_leaves_the_others_their_ratio(given, floor):
    found = np.exp(counts.log_prior(given, floor))
    assert found.sum() == pytest.approx(1)
    assert found[0] / found[2] == pytest.approx(3)
    smallest = 1 if given[0] == 6 else 0.25
    assert found[1] / found[2] == pytest.approx(floor * smallest / given[2])


def test_groups_have_the_literatures_borders():
    groups = counts.shot_groups([101, 100, 20, 19, 0])
    assert {name: codes.tolist() for name, codes in groups.items()} == {"many": [0], "medium": [1, 2], "few": [3, 4]}
    assert list(counts.shot_groups([500, 400])) == ["many"], "an empty group is absent"


def test_small_sets_are_split_by_rank():
    assert counts.shot_thresholds([500, 50, 5]) == (100.0, 20.0)
    many, few = counts.shot_thresholds([90, 80, 60, 50, 30, 25])
    assert len(counts.shot_groups([90, 80, 60, 50, 30, 25], many, few)) == 3


@pytest.mark.parametrize(
    ("class_counts", "many", "few"),
    [
        ([456, 144], [0], [1]),
        ([500, 50], [0], [1]),
        ([500, 5], [0], [1]),
        ([456, 200, 144], [0], [2]),
        ([300, 200, 200], [0], [1, 2]),
        ([56, 49, 49, 45], [0], [3]),
        ([7, 7, 7], [], []),
        ([2, 1], [0], [1]),
        ([9], [], []),
    ],
)
def test_the_largest_class_is_many_shot_and_the_smallest_few_shot(class_counts, many, few):
    groups = counts.shot_groups(class_counts, *counts.shot_thresholds(class_counts))
    assert (groups.get("many", np.array([])).tolist(), groups.get("few", np.array([])).tolist()) == (many, few)


def test_no_labels_count_nothing():
    assert counts.class_counts([]).tolist() == []
    assert counts.class_counts([], 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize("class_counts", [[3.2, 3.7, 3.7], [0.3, 0.8, 0.8], [3, 4, 4], [5, 9, 9]])
def test_no_class_is_both_many_shot_and_few_shot(class_counts):
    groups = counts.shot_groups(class_counts, *counts.shot_thresholds(class_counts))
    assert {name: codes.tolist() for name, codes in groups.items()} == {"many": [1, 2], "few": [0]}


def test_counts_in_another_order_than_the_classes_are_refused():
    labels = pd.Series(["b"] * 5 + ["a"] * 3 + ["c"])
    with pytest.raises(TailwiseError, match=r"as by value_counts\(\)\.sort_index\(\)"):
        counts.class_prior(labels.value_counts())
    np.testing.assert_allclose(counts.class_prior(labels.value_counts().sort_index()), [3 / 9, 5 / 9, 1 / 9])


def test_masked_counts_and_numbers_of_things_are_refused():
    with pytest.raises(TailwiseError, match="masked"):
        counts.check_counts(np.ma.array([5, 3, 1000], mask=[False, False, True]))
    with pytest.raises(TailwiseError, match="is no class code"):
        counts.class_counts([0, 10**12])
