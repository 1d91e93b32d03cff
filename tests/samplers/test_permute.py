import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tailwise.samplers._balanced import ByClass
from tailwise.samplers._permute import permute


@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 2**40))
@settings(max_examples=60)
def test_it_is_a_permutation_and_its_parts_are_those_of_the_whole(size, key, stream):
    whole = permute(np.arange(size), size, key, stream=stream)
    np.testing.assert_array_equal(np.sort(whole), np.arange(size))
    some = np.arange(size)[:: max(1, size // 7)]
    np.testing.assert_array_equal(permute(some, np.full(some.size, size), key, stream=stream), whole[some])


@pytest.mark.parametrize("size", [2**32 + 1, 10**12])
def test_large_sizes(size):
    places = np.concatenate([np.arange(1000), size - 1 - np.arange(1000)])
    sent = permute(places, size, 3)
    assert np.unique(sent).size == 2000
    assert sent.min() >= 0
    assert sent.max() < size
    assert stats.kstest(sent / size, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_small_permutations_are_equally_likely(size):
    times = 60_000
    streams = np.repeat(np.arange(times), size)
    sent = permute(np.tile(np.arange(size), times), size, 11, stream=streams).reshape(times, size)
    codes = sent @ size ** np.arange(size)
    possible = [np.dot(order, size ** np.arange(size)) for order in itertools.permutations(range(size))]
    counts = [np.count_nonzero(codes == code) for code in possible]
    assert sum(counts) == times
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("keyed", ["key", "stream"])
def test_pairs_of_places_land_anywhere(keyed):
    size, times = 20, 20_000
    if keyed == "key":
        sent = np.stack([permute(np.arange(size), size, 5, key) for key in range(times // 10)])
    else:
        streams = np.repeat(np.arange(times), size)
        sent = permute(np.tile(np.arange(size), times), size, 5, stream=streams).reshape(times, size)
    for a, b in [(0, 1), (9, 10), (4, 19)]:
        pairs = np.bincount(sent[:, a] * size + sent[:, b], minlength=size**2).reshape(size, size)
        assert stats.chisquare(pairs[~np.eye(size, dtype=bool)]).pvalue > 1e-3


def test_neighbours_part_as_in_a_shuffle():
    size = 50_000
    sent = permute(np.arange(size), size, 0)
    shuffled = np.random.default_rng(0).permutation(size)
    assert stats.ks_2samp(np.diff(sent), np.diff(shuffled)).pvalue > 1e-3
    assert abs(stats.spearmanr(np.arange(size), sent).statistic) < 4.5 / np.sqrt(size)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=300), st.sampled_from([np.int8, np.uint8, np.int16]))
@settings(max_examples=60)
def test_by_class_is_a_stable_argsort(labels, dtype):
    labels = np.array(labels, dtype=dtype)
    order = ByClass(labels, np.bincount(labels))[np.arange(labels.size)]
    np.testing.assert_array_equal(order, np.argsort(labels, kind="stable"))


@pytest.mark.parametrize(("dtype", "classes"), [(np.int32, 90_000), (np.uint8, 256), (np.int8, 3)])
def test_by_class_over_several_blocks(dtype, classes):
    labels = np.random.default_rng(0).integers(0, classes, 400_000).astype(dtype)
    labels[100_000:250_000] = 1  # a block without some classes, and a class in whole blocks
    order = ByClass(labels, np.bincount(labels, minlength=classes))
    places = np.random.default_rng(1).permutation(labels.size)
    np.testing.assert_array_equal(order[places], np.argsort(labels, kind="stable")[places])
