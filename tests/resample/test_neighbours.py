"""Neighbours against brute force in float64, through every way that they are found."""

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.datasets import make_classification
from sklearn.metrics.pairwise import nan_euclidean_distances

from tailwise.errors import TailwiseError
from tailwise.resample import _blocks, _neighbours, _pairs
from tailwise.resample._blocks import Shadow
from tailwise.resample._neighbours import nearest

N = 4000  # several blocks


def oracle(points, k, of, among):
    """Sort all squared differences, the first of equal ones first."""
    rows, distances = [], []
    for row in of:
        squared = ((points[among].astype(np.float64) - points[row].astype(np.float64)) ** 2).sum(axis=1)
        squared[among == row] = np.inf
        first = np.argsort(squared, kind="stable")[:k]
        rows.append(among[first])
        distances.append(np.sqrt(squared[first]))
    return np.array(rows), np.array(distances)


def cloud(kind, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "even":
        return rng.standard_normal((N, 12))
    if kind == "clusters":
        return make_classification(N, 20, n_informative=4, n_clusters_per_class=2, class_sep=3.0, random_state=seed)[0]
    if kind == "far from zero":
        return rng.standard_normal((N, 5)) * [1, 10, 100, 1e3, 1e-3] + 1e6
    if kind == "whole numbers":
        return rng.integers(0, 4, size=(N, 6)).astype(float)
    if kind == "large whole numbers":
        return rng.integers(0, 4, size=(N, 6)) * 1001 - 2_000_000.0
    if kind == "halves and thirds":  # as equally near as whole numbers, but with products that are rounded
        return rng.integers(0, 4, size=(N, 6)) / [2, 3, 2, 3, 2, 3]
    if kind == "an outlier":
        points = rng.standard_normal((N, 6))
        points[7] = 1e5
        return points
    if kind == "too large for float32":
        return rng.standard_normal((N, 8)) * np.where(rng.random((N, 1)) < 0.1, 1e25, 1e-3)
    if kind == "too small for float32":
        return rng.standard_normal((N, 8)) * 1e-21
    if kind == "a code for missing":
        return np.column_stack([rng.standard_normal((N, 3)), np.where(rng.random(N) < 0.05, 999_999_999, 0)])
    if kind == "two worlds":
        return rng.standard_normal((N, 4)) + np.where(rng.random((N, 1)) < 0.5, 1e8, 0)
    return np.repeat(rng.standard_normal((N // 5, 3)), 5, axis=0)  # every point five times


KINDS = [
    "even",
    "clusters",
    "far from zero",
    "whole numbers",
    "large whole numbers",
    "halves and thirds",
    "an outlier",
    "too large for float32",
    "too small for float32",
    "a code for missing",
    "two worlds",
    "copies",
]


@pytest.fixture(params=["blocks as they come", "blocks by place", "blocks, then all pairs", "a tree"])
def way(request, monkeypatch):
    monkeypatch.setattr(_neighbours, "_FEW", 0 if request.param == "blocks by place" else N)
    monkeypatch.setattr(_neighbours, "SHALLOW", 99 if request.param == "a tree" else 0)
    monkeypatch.setattr(_neighbours, "_DEEP", 0 if request.param == "blocks, then all pairs" else 99)


@pytest.mark.slow
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("dtype", "k"), [(np.float32, 5), (np.float64, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_with_ties_to_the_first(kind, dtype, k):
    points = cloud(kind).astype(dtype)
    every = np.arange(N)
    found = nearest(points, k)
    tried = every[::37]
    rows, distances = oracle(points, k, tried, every)
    np.testing.assert_array_equal(found.rows[tried], rows)
    np.testing.assert_allclose(found.distances[tried], distances, rtol=1e-9, atol=1e-12)
    assert found.recall == 1


@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 6),
    n_of=st.integers(1, N),
    n_among=st.integers(8, N),
    few=st.sampled_from([0, N]),
)
@settings(max_examples=25)
def test_some_of_some(seed, k, n_of, n_among, few):
    rng = np.random.default_rng(seed)
    points = (rng.standard_normal((N, 8)) * 2.0 ** -np.arange(8)).astype(np.float32)
    of = np.sort(rng.choice(N, n_of, replace=False))
    among = np.sort(rng.choice(N, n_among, replace=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_neighbours, "_FEW", few)
        patch.setattr(_neighbours, "_SMALL", 0)
        found = nearest(points, k, of, among)
    tried = slice(None, None, 1 + n_of // 20)
    rows, distances = oracle(points, k, of[tried], among)
    np.testing.assert_array_equal(found.rows[tried], rows)
    np.testing.assert_allclose(found.distances[tried], distances)


@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 6),
    n_of=st.integers(1, 700),
    n_among=st.integers(8, 700),
    times=st.sampled_from([1, 300, 2**24]),
    n_features=st.sampled_from([1, 2, 40]),
)
@example(377434, 1, 181, 8, 300, 2)  # threads of NumPy 2.1.0 multiply float32 by a float64 in float32
@settings(max_examples=25)
def test_some_whole_numbers_of_some(seed, k, n_of, n_among, times, n_features):
    rng = np.random.default_rng(seed)
    points = rng.poisson(0.5, size=(700, n_features)) * np.float64(times) - 2.0**40
    of = np.sort(rng.choice(700, n_of, replace=False))
    among = np.sort(rng.choice(700, n_among, replace=False))
    found = nearest(points, k, of, among)
    rows, distances = oracle(points, k, of, among)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.distances, distances)


@pytest.mark.parametrize(("k", "n_of", "n_among"), [(3, 700, 3), (600, 700, 650), (699, 700, 700)])
def test_nearly_all_whole_numbers(k, n_of, n_among, monkeypatch):
    monkeypatch.setattr(_neighbours, "_SMALL", 0)
    monkeypatch.setattr(_neighbours, "_TURNS", 0)
    points = np.random.default_rng(0).integers(0, 2, size=(1400, 9)).astype(float)
    of = np.arange(n_of)
    among = of if n_among == n_of else np.arange(700, 700 + n_among)
    found = nearest(points, k, of, among)
    np.testing.assert_array_equal(found.rows, oracle(points, k, of, among)[0])


@given(seed=st.integers(0, 10**6), steep=st.floats(0, 2), n_features=st.integers(1, 30))
@settings(max_examples=25)
def test_shadows_are_no_farther_apart(seed, steep, n_features):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((300, n_features)) * 2.0 ** (-steep * np.arange(n_features))
    shadow = Shadow(points, np.arange(300), 3)
    apart, true = pdist(shadow(points)), pdist(points)
    assert shadow.width <= n_features + 1
    assert (apart <= true * (1 + 1e-9) + 1e-12).all()


def test_shadows_are_narrow_where_few_axes_lead():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((2000, 3)) @ rng.standard_normal((3, 40)) + 0.01 * rng.standard_normal((2000, 40))
    assert Shadow(points, np.arange(2000), 3).width == 5 + 1
    assert Shadow(rng.standard_normal((2000, 40)), np.arange(2000), 3).width > 30


def test_parts_are_as_the_whole(monkeypatch):
    points = cloud("copies")[:1500]
    whole = nearest(points, 4)
    monkeypatch.setattr(_pairs, "_PART", 100)
    np.testing.assert_array_equal(nearest(points, 4).rows, whole.rows)


def test_small_and_large_searches_agree(monkeypatch):
    points = cloud("clusters")[:1500]
    small = nearest(points, 4)
    monkeypatch.setattr(_neighbours, "_SMALL", 0)
    np.testing.assert_array_equal(nearest(points, 4).rows, small.rows)


def test_ties_are_broken_alike_whatever_the_threads_do():
    points = np.random.default_rng(0).integers(0, 4, (12_000, 8)).astype(float)
    first, *others = (nearest(points, 3, recall=0.95) for _ in range(4))
    for found in others:
        np.testing.assert_array_equal(found.rows, first.rows)
        assert found.recall == first.recall


def test_overlapping_searches_leave_the_threads_as_they_were():
    def threads():
        return [library.num_threads for library in _blocks._blas().select(user_api="blas").lib_controllers]

    before, first, second = threads(), _blocks.one_thread(), _blocks.one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert threads() == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rounded", "whole", "copies", "one point", "yes or no"])
def test_many_equally_near_points_take_no_longer_than_few(kind):
    rng = np.random.default_rng(0)
    points = {
        "rounded": np.round(rng.standard_normal((20_000, 3)), 1),
        "whole": rng.integers(0, 10, (20_000, 5)).astype(float),
        "copies": np.repeat(rng.standard_normal((2_000, 12)), 10, axis=0),
        "one point": np.zeros((20_000, 4)),
        "yes or no": rng.integers(0, 2, (20_000, 2)).astype(float),
    }[kind]
    start = time.process_time()
    found = nearest(points, 5)
    assert time.process_time() - start < 8, "all pairs take 15 to 30 s"
    tried = np.arange(0, len(points), 997)
    np.testing.assert_array_equal(found.rows[tried], oracle(points, 5, tried, np.arange(len(points)))[0])


def test_numbers_too_large_for_distances_are_told():
    points = np.random.default_rng(0).standard_normal((4000, 3))
    points[5, 1] = -1e200
    lacking = points.copy()
    lacking[7, 2] = np.nan
    for table in (points, sparse.csr_array(points), lacking, lacking[:40]):
        with pytest.raises(TailwiseError, match=r"numbers up to 1e\+200, whose squares no distance can hold"):
            nearest(table, 3)


def test_recall_is_kept_and_stated():
    points = np.random.default_rng(0).standard_normal((20_000, 10)).astype(np.float32)
    exact, quick = nearest(points, 3), nearest(points, 3, recall=0.95)
    shared = np.mean([len(set(a) & set(b)) / 3 for a, b in zip(exact.rows, quick.rows, strict=True)])
    assert shared >= 0.95
    assert 0.95 <= quick.recall < 1
    assert quick.recall <= shared + 0.01


def test_sparse_is_as_dense():
    points = np.random.default_rng(0).standard_normal((500, 30))
    points[points < 1] = 0
    dense, thin = nearest(points, 3), nearest(sparse.csr_array(points), 3)
    np.testing.assert_allclose(thin.distances, dense.distances, rtol=1e-12)
    np.testing.assert_array_equal(thin.rows, dense.rows)  # of empty rows, which are equally near, the first ones


@pytest.mark.parametrize("huge", [1e7, 1.7e9])
@pytest.mark.parametrize("form", ["sparse", "with holes"])
def test_a_column_of_huge_numbers_hides_no_neighbour(form, huge):
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.standard_normal((300, 4)), np.where(np.arange(300) % 20, huge, 0)])
    if form == "with holes":
        points[rng.random((300, 5)) < [0.2, 0.2, 0.2, 0.2, 0]] = np.nan
    squared = (points[:, None] - points) ** 2
    expected = np.sqrt(np.nansum(squared, axis=2) * 5 / (~np.isnan(squared)).sum(axis=2))
    np.fill_diagonal(expected, np.inf)
    found = nearest(sparse.csr_array(points) if form == "sparse" else points, 3)
    np.testing.assert_allclose(found.distances, np.sort(expected, axis=1)[:, :3], rtol=1e-9)


def test_missing_values_are_left_out_of_distances():
    rng = np.random.default_rng(0)
    points = np.where(rng.random((400, 6)) < 0.3, np.nan, rng.standard_normal((400, 6)))
    points[:2] = np.nan  # nothing in common with any
    expected = nan_euclidean_distances(points)
    np.fill_diagonal(expected, np.inf)
    expected[np.isnan(expected)] = 1e300
    found = nearest(points, 4)
    np.testing.assert_array_equal(found.rows, np.argsort(expected, axis=1, kind="stable")[:, :4])
    np.testing.assert_allclose(found.distances[2:], np.sort(expected, axis=1)[2:, :4])


def test_too_few_others():
    with pytest.raises(TailwiseError, match="5 neighbours were asked for, but there are only 3 other examples"):
        nearest(np.eye(4), 5)
