import hashlib
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwise.counts import class_counts, imbalance_factor, shot_groups
from tailwise.data import longtail
from tailwise.errors import TailwiseError

CIFAR10 = {10: 20431, 50: 13996, 100: 12406, 200: 11203}
CIFAR100 = {10: 19573, 50: 12608, 100: 10847, 200: 9502}


@pytest.mark.parametrize(("factor", "total"), CIFAR10.items())
def test_exponential_is_cifar10_lt(factor, total):
    counts = longtail.exponential(5000, factor, 10)
    assert counts.sum() == total
    assert (counts[0], counts[-1]) == (5000, 5000 // factor)
    assert counts.tolist() == [int(5000 * (1 / factor) ** (c / 9)) for c in range(10)]


@pytest.mark.parametrize(("factor", "total"), CIFAR100.items())
def test_exponential_is_cifar100_lt(factor, total):
    counts = longtail.exponential(500, factor, 100)
    assert counts.sum() == total
    assert (counts[0], counts[-1]) == (500, 500 // factor)


def test_frozen_counts_of_cifar10_lt_100():
    assert longtail.exponential(5000, 100, 10).tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


PROFILES = (longtail.exponential, longtail.pareto, longtail.step)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(2, 300), st.sampled_from(PROFILES))
@settings(max_examples=60)
def test_profiles_fall_from_n_max_to_the_exact_smallest(n_max, factor, n_classes, profile):
    factor = min(factor, n_max)
    counts = profile(n_max, factor, n_classes)
    assert counts.shape == (n_classes,)
    assert counts.dtype == np.int64
    assert counts[0] == n_max
    assert counts[-1] == int(Fraction(n_max, factor)) >= 1
    assert (np.diff(counts) <= 0).all()


def test_exponential_at_the_middle_class_against_exact_roots():
    # c/(C-1) = 1/2: the count is the floor of the root of n_max^2 / factor, exactly
    for n_max, factor in [(5000, 100), (500, 4), (777, 49), (1280, 256)]:
        root = int(Fraction(n_max**2, factor) ** 0.5 + 1e-9)
        assert longtail.exponential(n_max, factor, 3)[1] == root


def test_pareto_is_near_imagenet_lt():
    counts = longtail.pareto(1280, 256, 1000)
    assert abs(counts.sum() / 115_846 - 1) < 0.06
    groups = shot_groups(counts)
    assert [len(groups[g]) for g in ("many", "medium", "few")] == [404, 456, 140]
    assert imbalance_factor(counts) == 256


def test_smaller_alpha_is_a_heavier_head():
    assert longtail.pareto(1000, 100, 50, alpha=1)[1:-1].sum() < longtail.pareto(1000, 100, 50, alpha=6)[1:-1].sum()


def test_step_has_two_levels():
    assert longtail.step(100, 10, 5, minority=0.4).tolist() == [100, 100, 100, 10, 10]
    assert longtail.step(100, 10, 2, minority=0.01).tolist() == [100, 10]


def test_factor_one_is_balanced():
    for profile in PROFILES:
        assert profile(7, 1, 4).tolist() == [7, 7, 7, 7]


def test_shifted_goes_along_or_against_the_tail():
    train = [5, 100, 20]
    counts = longtail.exponential(50, 25, 3)
    assert longtail.shifted(counts, train, "forward").tolist() == [2, 50, 10]
    assert longtail.shifted(counts, train, "backward").tolist() == [50, 2, 10]
    assert longtail.shifted(counts, train, "uniform").tolist() == [50, 50, 50]


def test_backward_of_a_falling_profile_is_its_mirror():
    train = longtail.exponential(5000, 100, 10)
    test = longtail.exponential(1000, 50, 10)
    assert longtail.shifted(test, train, "forward").tolist() == test.tolist()
    assert longtail.shifted(test, train, "backward").tolist() == test[::-1].tolist()


def test_file_order_keeps_the_first_of_each_class():
    labels = np.array([1, 0, -1, 1, 0, 0, 1])
    assert longtail.make_long_tailed(labels, [2, 1]).tolist() == [0, 1, 4]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_random_order_keeps_the_counts_and_the_seed(seed):
    labels = np.random.default_rng(0).permutation(np.r_[np.repeat(np.arange(5), 40), [-1] * 7])
    counts = longtail.exponential(40, 20, 5)
    picked = longtail.make_long_tailed(labels, counts, "random", seed)
    assert class_counts(labels[picked], 5).tolist() == counts.tolist()
    assert (np.diff(picked) > 0).all()
    assert (picked == longtail.make_long_tailed(labels, counts, "random", seed)).all()


def test_true_and_false_are_codes_and_no_mask():
    labels = np.arange(20) % 3 == 0
    np.testing.assert_array_equal(
        longtail.make_long_tailed(labels, [5, 2]), longtail.make_long_tailed(labels.astype(int), [5, 2])
    )


def test_random_order_differs_from_file_order():
    labels = np.zeros(100, dtype=int)
    assert (longtail.make_long_tailed(labels, [10], "random", 1) != np.arange(10)).any()


def test_indices_hash_is_of_the_set():
    expected = hashlib.sha256(struct.pack("<3q", 1, 5, 300)).hexdigest()[:16]
    assert longtail.indices_hash([300, 1, 5]) == expected
    assert longtail.indices_hash(np.array([1, 5, 300], dtype=np.int32)) == expected
    assert longtail.indices_hash([1, 5, 301]) != expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: longtail.exponential(500, 501, 10), "from 1 to n_max"),
        (lambda: longtail.exponential(500, 0.5, 10), "from 1 to n_max"),
        (lambda: longtail.exponential(500, float("nan"), 10), "from 1 to n_max"),
        (lambda: longtail.exponential(0, 1, 10), "n_max must be"),
        (lambda: longtail.exponential(500, 10, 1), "at least 2 classes"),
        (lambda: longtail.pareto(500, 10, 10, alpha=0), "alpha"),
        (lambda: longtail.step(500, 10, 10, minority=1), "minority"),
        (lambda: longtail.shifted([3, 2], [5, 5, 5], "forward"), "2 classes but the training set 3"),
        (lambda: longtail.shifted([3, 2], [5, 5], "sideways"), "forward, uniform or backward"),
        (lambda: longtail.make_long_tailed([0, 0, 1], [2, 2]), "class 1 has 1 examples"),
        (lambda: longtail.make_long_tailed([0, 0, 2], [2, 1]), "out of range"),
        (lambda: longtail.make_long_tailed([0, 1], [1, 1], order="any"), "file or random"),
    ],
)
def test_bad_arguments_are_one_line(call, message):
    with pytest.raises(TailwiseError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "total"), CIFAR10.items())
def test_real_cifar10_becomes_cifar10_lt(shared_data, factor, total):
    import polars as pl

    names = pl.read_parquet(shared_data / "cifar10-train.parquet", columns=["label"])["label"].cast(pl.String)
    labels = np.unique(names.to_numpy(), return_inverse=True)[1]
    counts = longtail.exponential(5000, factor, 10)
    assert len(longtail.make_long_tailed(labels, counts)) == total


@pytest.mark.parametrize("indices", [[0.5, 1.0], np.array([True, False])])
def test_only_indices_have_a_hash(indices):
    with pytest.raises(TailwiseError, match="indices must be integers"):
        longtail.indices_hash(indices)


def test_counts_that_cannot_be_are_told():
    with pytest.raises(TailwiseError, match=r"the number of classes must be a whole number; got 2\.5"):
        longtail.pareto(100, 10, 2.5)
    with pytest.raises(TailwiseError, match="n_max must be at most 9,007,199,254,740,992"):
        longtail.exponential(10**19, 10, 3)
