"""Relevance, SMOGN and density weights beside plain-Python readings of their papers."""

import itertools
import math
import statistics

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.interpolate import CubicHermiteSpline
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from tailwise import resample
from tailwise.errors import TailwiseError


def table(n=200, seed=0, n_features=3):
    rng = np.random.default_rng(seed)
    y = rng.lognormal(sigma=0.8, size=n)
    return rng.normal(size=(n, n_features)) + y[:, None], y


def box_plot(y):
    """Return whisker, median and whisker as R's boxplot.stats has them: Tukey's five numbers, 1-based."""
    ordered, n = sorted(y), len(y)
    quarter = math.floor((n + 3) / 2) / 2
    at = lambda depth: (ordered[math.floor(depth) - 1] + ordered[math.ceil(depth) - 1]) / 2  # noqa: E731
    low, middle, high = at(quarter), at((n + 1) / 2), at(n + 1 - quarter)
    inside = [v for v in ordered if low - 1.5 * (high - low) <= v <= high + 1.5 * (high - low)]
    return inside[0], middle, inside[-1]


def phi(y):
    low, middle, high = box_plot(y)
    knots = [(low, float(min(y) < low)), (middle, 0.0), (high, float(max(y) > high))]
    spline = CubicHermiteSpline(*zip(*knots, strict=True), [0, 0, 0])
    return spline(np.clip(y, low, high))


@pytest.mark.parametrize("n", [9, 10, 11, 12, 200])
@pytest.mark.parametrize("draw", ["lognormal", "standard_cauchy", "normal", "uniform"])
def test_relevance_is_the_spline(n, draw):
    for seed in range(5):
        y = getattr(np.random.default_rng(seed), draw)(size=n)
        np.testing.assert_allclose(resample.relevance(y), phi(y), atol=1e-12)
        np.testing.assert_allclose(resample.relevance(-y), phi(-y), atol=1e-12)


@given(y=st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=2, max_size=40))
@settings(max_examples=100)
def test_relevance_grows_from_the_median(y):
    if min(y) == max(y):
        return
    found = resample.relevance(y)
    order, middle = np.argsort(y), statistics.median(y)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found[order][np.sort(y) >= middle]) >= -1e-12).all()
    assert (np.diff(found[order][np.sort(y) <= middle]) <= 1e-12).all()


def test_relevance_steps_where_the_whisker_is_the_median():
    np.testing.assert_array_equal(resample.relevance([0, 0, 0, 0, 0, 0, 0, 3, -2]), [0] * 7 + [1, 1])
    np.testing.assert_array_equal(resample.relevance([0.0] * 9 + [1.0]), [0] * 9 + [1])
    wide = np.r_[np.arange(10.0), 30.0]
    assert resample.relevance(wide)[-1] == 1
    assert not resample.relevance(wide, coef=10).any()


def bins_of(y, threshold=0.8):
    """Return runs of rows, ordered by target, that are rare or normal, each ascending."""
    rare = phi(y) >= threshold
    order = sorted(range(len(y)), key=lambda row: y[row])
    runs = [[order[0]]]
    for before, row in itertools.pairwise(order):
        if rare[row] != rare[before]:
            runs.append([])
        runs[-1].append(row)
    return [sorted(run) for run in runs]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "k"), [(200, 5), (60, 2), (60, 40)])
def test_smogn_is_the_papers(n, k, dtype):
    X, y = table(n, 1)
    X = X.astype(dtype)
    y[:3] = -9, -8, -10  # a second rare bin
    resampler = resample.SMOGN(k_neighbors=k, random_state=0)
    new_X, new_y = resampler.fit_resample(X, y)
    assert new_X.dtype == dtype
    kept, rows = ~resampler.synthetic_, resampler.sample_indices_
    np.testing.assert_array_equal(new_X[kept], X[rows[kept]])
    np.testing.assert_array_equal(new_y[kept], y[rows[kept]])
    bins = bins_of(y)
    assert len(bins) == 3
    goal = round(n / 3)
    on_lines = 0
    for run in bins:
        own = np.isin(rows, run)
        assert own.sum() == goal
        assert (np.bincount(rows[own & kept], minlength=n) <= 1).all()
        if len(run) > goal:
            assert not resampler.synthetic_[own].any()
            continue
        assert set(rows[own & kept]) == set(run)
        repeats = np.bincount(rows[own & ~kept], minlength=n)[run]
        assert repeats.max() - repeats.min() <= 1
        for at in np.flatnonzero(own & ~kept):
            on_lines += explained(new_X[at], new_y[at], X.astype(float), y, rows[at], run, k, dtype)
    assert 0 < on_lines < (~kept).sum()  # both kinds are there


def explained(new, target, X, y, row, run, k, dtype):
    """Return whether a new row is on a line to a near neighbour; it must be near its own row if it is not."""
    distance = {other: math.dist(X[row], X[other]) for other in run}
    reach = statistics.median(distance.values()) / 2
    near = sorted((other for other in run if other != row), key=lambda other: distance[other])[:k]
    atol = 1e-9 if dtype == np.float64 else 1e-5
    for other in near:
        if distance[other] < reach:
            step = (new - X[row]) @ (X[other] - X[row]) / distance[other] ** 2
            place = X[row] + step * (X[other] - X[row])
            value = y[row] + step * (y[other] - y[row])
            if -atol <= step <= 1 + atol and np.allclose(new, place, atol=atol) and abs(target - value) < 10 * atol:
                return True
    assert any(distance[other] >= reach for other in near)
    width = min(0.02, reach) * np.std([[*X[other], y[other]] for other in run], axis=0, ddof=1)
    assert (np.abs([*(new - X[row]), target - y[row]]) <= 6 * width + atol).all()
    return False


def test_noise_has_the_deviation_of_the_bin_and_is_within_reach():
    rng = np.random.default_rng(0)
    y = np.r_[rng.normal(size=6000), rng.normal(100, 3, size=5)]
    X = rng.normal(size=(6005, 20)) * np.linspace(1, 2, 20)  # so wide that no neighbour is near
    for scale in (1, 1e-3):
        resampler = resample.SMOGN(noise=0.05, random_state=0, relevance=lambda y: (y > 50).astype(float))
        new_X, new_y = resampler.fit_resample(X * scale, y)
        start, rare = resampler.sample_indices_[resampler.synthetic_], range(6000, 6005)
        moved = np.column_stack([new_X, new_y])[resampler.synthetic_] - np.column_stack([X * scale, y])[start]
        half = [statistics.median(math.dist(X[a] * scale, X[b] * scale) for b in rare) / 2 for a in start]
        width = np.minimum(0.05, half)[:, None] * [*X[6000:].std(axis=0, ddof=1) * scale, y[6000:].std(ddof=1)]
        assert (max(half) < 0.05) == (scale < 1)
        np.testing.assert_allclose((moved / width).std(axis=0), 1, atol=0.06)
        np.testing.assert_allclose((moved / width).mean(axis=0), 0, atol=0.08)


def test_a_bin_of_one_is_repeated_and_a_large_rare_bin_is_thinned():
    X, y = table(40)
    resampler = resample.SMOGN(relevance=lambda y: (y == y.max()).astype(float), random_state=0)
    new_X, new_y = resampler.fit_resample(X, y)
    top = y.argmax()
    assert (new_y == y.max()).sum() == 20
    np.testing.assert_array_equal(new_X[new_y == y.max()], np.tile(X[top], (20, 1)))
    rare = resample.SMOGN(relevance=lambda y: (y > np.quantile(y, 0.25)).astype(float), random_state=0)
    _, new_y = rare.fit_resample(X, y)
    assert (rare.sample_indices_[rare.synthetic_, None] == np.argsort(y)[:10]).any(axis=1).all()
    assert len(new_y) == 40


@pytest.mark.parametrize("library", [pd, pl])
def test_frames_and_series_keep_their_types(library):
    X, y = table()
    frame = library.DataFrame(
        {"whole": np.rint(X[:, 0] * 10).astype(np.int16), "half": X[:, 1].astype(np.float32), "double": X[:, 2]}
    )
    for values, name in [(y, "price"), (y.astype(np.float32), "price"), (np.rint(y * 50).astype(np.int32), "price")]:
        target = pl.Series(name, values) if library is pl else pd.Series(values, name=name, index=np.arange(len(y)) + 7)
        new_frame, new_target = resample.SMOGN(random_state=0).fit_resample(frame, target)
        assert type(new_frame) is type(frame)
        assert list(new_frame.dtypes) == list(frame.dtypes)
        assert type(new_target) is type(target)
        assert new_target.name == name
        assert new_target.dtype == target.dtype
        expected_X, expected_y = resample.SMOGN(random_state=0).fit_resample(frame.to_numpy(), values)
        np.testing.assert_allclose(new_target.to_numpy(), expected_y, rtol=1e-6)
        np.testing.assert_allclose(new_frame.to_numpy().astype(float), expected_X, atol=0.5)
        assert len(new_frame) == len(new_target)
    nameless = resample.SMOGN(random_state=0).fit_resample(X, pd.Series(y))[1]
    assert nameless.name is None


def test_lists_and_arrow_columns_stay_what_they_are():
    X, y = table(60)
    new_X, new_y = resample.SMOGN(random_state=0).fit_resample(X.tolist(), y.tolist())
    expected_X, expected_y = resample.SMOGN(random_state=0).fit_resample(X, y)
    assert new_X == expected_X.tolist()
    assert new_y == expected_y.tolist()
    for column in (pa.array(y), pa.chunked_array([y[:20], y[20:]])):
        new_y = resample.SMOGN(random_state=0).fit_resample(X, column)[1]
        assert type(new_y) is type(column)
        assert new_y.to_pylist() == expected_y.tolist()


def test_seeds_weights_indices_and_missing_values():
    X, y = table()
    X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    before = X.copy(), y.copy()
    weights = np.random.default_rng(0).random(len(y))
    resampler = resample.SMOGN(random_state=3)
    new_X, new_y, new_weights = resampler.fit_resample(X, y, weights)
    again = clone(resampler).fit_resample(X, y)
    np.testing.assert_array_equal(new_X, again[0])
    np.testing.assert_array_equal(new_y, again[1])
    np.testing.assert_array_equal(new_weights, weights[resampler.sample_indices_])
    np.testing.assert_array_equal(np.isnan(new_X), np.isnan(X[resampler.sample_indices_]))
    assert np.isfinite(new_y).all()
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert not np.array_equal(resample.SMOGN(random_state=4).fit_resample(X, y)[1], new_y)


WRONG = [
    ([1.0, 1.0, 1.0], "the target is 1.0 in every row"),
    ([1.0, np.nan, 2.0], "must be finite, but row 1 has nan"),
    (pd.Series([1, 2, None], dtype="Int64"), "must be finite, but row 2 has nan"),
    (pl.Series([1, None, 2]), "must be finite, but row 1 has nan"),
    ([1.0, 2.0, np.inf], "must be finite, but row 2 has inf"),
    (["a", "b", "c"], "must be numeric"),
    (np.ones((3, 2)), r"one number per row; got shape \(3, 2\)"),
    (pd.DataFrame({"y": [1.0, 2, 3]}), r"one number per row; got shape \(3, 1\)"),
]


@pytest.mark.parametrize(("y", "message"), WRONG)
def test_one_line_for_targets(y, message):
    for call in (resample.relevance, resample.density_weights, lambda y: resample.SMOGN().fit_resample(np.eye(3), y)):
        with pytest.raises(TailwiseError, match=message) as caught:
            call(y)
        assert "\n" not in str(caught.value)


def test_one_line_for_parameters():
    X, y = table()
    for wrong, message in [
        ({"k_neighbors": 0}, "k_neighbors must be a whole number of at least 1; got 0"),
        ({"noise": -1}, "noise must not be negative; got -1"),
        ({"threshold": 2}, "no target has a relevance of 2 or more"),
        ({"threshold": 0}, "every target has a relevance of 0 or more"),
        ({"relevance": lambda y: y}, "between 0 and 1 for each target"),
        ({"relevance": lambda y: y[:-1] * 0}, "between 0 and 1 for each target"),
    ]:
        with pytest.raises(TailwiseError, match=message):
            resample.SMOGN(**wrong).fit_resample(X, y)
    with pytest.raises(TailwiseError, match="no target has a relevance"):
        resample.SMOGN().fit_resample(X, np.arange(200))
    with pytest.raises(TailwiseError, match="would fill a sparse matrix"):
        resample.SMOGN().fit_resample(sparse.csr_array(X), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        resample.SMOGN().fit_resample(X, y[:-1])
    with pytest.raises(TailwiseError, match="sigma must be at least 0"):
        resample.density_weights(y, sigma=-1)
    with pytest.raises(TailwiseError, match="do not cover the target"):
        resample.density_weights(y, bins=[0, 1, 2])
    with pytest.raises(TailwiseError, match="bins must be a number, or edges that rise"):
        resample.density_weights(y, bins=[3, 1, 2])
    with pytest.raises(TailwiseError, match="unknown weighting 'cube'"):
        resample.density_weights(y, scheme="cube")


@pytest.mark.parametrize("scheme", ["inverse", "sqrt"])
@pytest.mark.parametrize("sigma", [0, 0.7, 2.0])
@pytest.mark.parametrize("bins", [10, [0.0, 0.5, 1.0, 2.0, 4.0, 100.0]])
def test_density_weights_are_the_papers(scheme, sigma, bins):
    y = table(120)[1]
    edges = bins if isinstance(bins, list) else [min(y) + j * (max(y) - min(y)) / bins for j in range(bins + 1)]
    n = len(edges) - 1
    codes = [max(j for j in range(n) if v >= edges[j] or j == 0) for v in y]
    counts = [codes.count(j) for j in range(n)]
    density = counts
    if sigma:
        reach = int(4 * sigma + 0.5)
        kernel = [math.exp(-0.5 * (d / sigma) ** 2) for d in range(-reach, reach + 1)]
        mirrored = [j % (2 * n) if j % (2 * n) < n else 2 * n - 1 - j % (2 * n) for j in range(-reach, n + reach)]
        density = [
            sum(w * counts[m] for w, m in zip(kernel, mirrored[j : j + 2 * reach + 1], strict=True)) / sum(kernel)
            for j in range(n)
        ]
        assert sum(density) == pytest.approx(len(y))
    power = 1 if scheme == "inverse" else 0.5
    expected = np.array([density[c] ** -power for c in codes])
    weights = resample.density_weights(y, bins, sigma, scheme)
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-9)
    assert weights.mean() == pytest.approx(1)


def test_density_weights_are_one_for_an_even_target_and_help_the_tail():
    np.testing.assert_allclose(resample.density_weights(np.arange(1000), bins=50), 1)
    rng = np.random.default_rng(0)
    x = np.r_[rng.uniform(0, 1, 2000), rng.uniform(2, 3, 30)]
    y = x**2 + rng.normal(0, 0.1, len(x))
    tail, X = slice(2000, None), x[:, None]
    plain = LinearRegression().fit(X, y).predict(X)
    weighted = LinearRegression().fit(X, y, resample.density_weights(y)).predict(X)
    assert np.abs(weighted - y)[tail].mean() < 0.6 * np.abs(plain - y)[tail].mean()


def test_text_is_no_target():
    with pytest.raises(TailwiseError, match=r"must be numeric; got text, '1\.5'"):
        resample.SMOGN().fit_resample(np.zeros((3, 2)), ["1.5", "2", "3"])
