import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwise.counts import class_counts
from tailwise.data.splits import place_in_class, single_example_classes, stratified_folds, stratified_split
from tailwise.errors import TailwiseError

LABELS = st.lists(st.integers(-1, 6), min_size=2, max_size=120).map(np.array)
MODEST = settings(max_examples=80)


def has_a_pair(labels):
    return np.bincount(labels[labels >= 0], minlength=1).max() > 1


@given(LABELS.filter(has_a_pair), st.floats(0.01, 0.99), st.integers(0, 1000))
@MODEST
def test_split_is_a_partition_in_proportion(labels, test_size, seed):
    train, test = stratified_split(labels, test_size, seed)
    assert np.array_equal(np.sort(np.r_[train, test]), np.flatnonzero(labels >= 0))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    n = class_counts(labels, 7)
    kept, tested = class_counts(labels[train], 7), class_counts(labels[test], 7)
    assert (kept[n > 0] > 0).all()
    assert (tested[n == 1] == 0).all()
    assert (tested <= np.ceil(n * test_size)).all()
    assert (tested >= np.minimum(np.floor(n * test_size + 1e-9), n - 1)).all()
    if test_size <= 0.5:
        assert tested.sum() == max(round(n[n > 1].sum() * test_size), 1)


@given(LABELS.filter(has_a_pair), st.integers(0, 1000), st.integers(0, 1000))
@MODEST
def test_class_sizes_depend_on_counts_alone(labels, seed, other):
    shuffled, n = np.random.default_rng(other).permutation(labels), class_counts(labels, 7)
    sizes = [class_counts(x[stratified_split(x, 0.3, s)[1]], 7) for x, s in ((labels, seed), (shuffled, other))]
    whole = np.minimum(np.floor(0.3 * n + 1e-9), np.maximum(n - 1, 0))
    remainder = np.round(0.3 * n - whole, 9)
    for part in set(remainder):  # of classes that lack as much, chance decides
        assert sizes[0][remainder == part].sum() == sizes[1][remainder == part].sum()
    assert (np.abs(sizes[0] - sizes[1]) <= 1).all()


def test_of_equally_small_classes_chance_decides_which_are_tested():
    labels = np.repeat(np.arange(400), 2)
    tested = [np.unique(labels[stratified_split(labels, 0.2, seed)[1]]) for seed in range(20)]
    assert {len(classes) for classes in tested} == {160}
    assert len(np.unique(np.concatenate(tested))) > 395


@given(LABELS.filter(has_a_pair), st.integers(2, 10), st.integers(0, 1000))
@MODEST
def test_folds_test_every_example_once(labels, n_splits, seed):
    n = class_counts(labels, 7)
    n_splits = min(n_splits, int(n[n > 1].sum()))
    folds = stratified_folds(labels, n_splits, seed)
    assert len(folds) == n_splits
    tested = np.concatenate([test for _, test in folds])
    can_be_tested = np.flatnonzero((labels >= 0) & (n[labels] > 1))
    assert np.array_equal(np.sort(tested), can_be_tested)
    sizes = np.array([class_counts(labels[test], 7) for _, test in folds])
    assert np.ptp(sizes, axis=0).max() <= 1
    assert np.ptp(sizes.sum(axis=1)) <= 1
    for train, test in folds:
        assert np.array_equal(np.sort(np.r_[train, test]), np.flatnonzero(labels >= 0))
        assert (class_counts(labels[train], 7)[n > 0] > 0).all()


def test_same_seed_same_split_and_generators_move_on():
    labels = np.random.default_rng(0).integers(0, 5, 200)
    assert np.array_equal(stratified_split(labels, 0.2, 3)[1], stratified_split(labels, 0.2, 3)[1])
    assert not np.array_equal(stratified_split(labels, 0.2, 3)[1], stratified_split(labels, 0.2, 4)[1])
    generator = np.random.default_rng(3)
    first, second = (stratified_split(labels, 0.2, generator)[1] for _ in range(2))
    assert not np.array_equal(first, second)


def test_every_example_is_as_likely_to_be_tested():
    labels = np.repeat([0, 1], [30, 10])
    generator = np.random.default_rng(0)
    times = sum(np.bincount(stratified_split(labels, 0.2, generator)[1], minlength=40) for _ in range(2000))
    # 2000 draws with probability 0.2: standard deviation 17.9
    assert np.abs(times - 400).max() < 5 * 17.9


def test_single_example_classes_are_named():
    assert single_example_classes([0, 0, 1, 3, 3, 4, -1]).tolist() == [1, 4]


def test_place_in_class_in_file_order():
    assert place_in_class([2, 0, 2, -1, 0, 2, -1]).tolist() == [0, 0, 1, 0, 1, 2, 1]
    assert place_in_class([]).tolist() == []
    assert place_in_class([100_000, 3, 100_000]).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stratified_split([0, 0, 1, 1], 0), "test_size"),
        (lambda: stratified_split([0, 0, 1, 1], 1.0), "test_size"),
        (lambda: stratified_split([0, 1, 2]), "no class has two"),
        (lambda: stratified_split(["a", "b"]), "integer class codes"),
        (lambda: stratified_folds([0, 0, 1, 1], 1), "from 2 to 4"),
        (lambda: stratified_folds([0, 0, 1], 3), "from 2 to 2"),
    ],
)
def test_bad_arguments_are_one_line(call, message):
    with pytest.raises(TailwiseError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_ten_million_labels_take_seconds():
    labels = np.random.default_rng(0).zipf(1.5, 10_000_000) % 1000
    start = time.process_time()
    train, test = stratified_split(labels, 0.2, 0)
    seconds = time.process_time() - start
    print(f"stratified_split of 10 million labels: {seconds:.1f} s")
    assert len(train) + len(test) == len(labels)
    assert seconds < 10


@pytest.mark.parametrize("n_splits", [2.5, "3", 1])
def test_folds_are_a_whole_number(n_splits):
    with pytest.raises(TailwiseError, match="n_splits must be"):
        stratified_folds([0, 0, 1, 1], n_splits)
