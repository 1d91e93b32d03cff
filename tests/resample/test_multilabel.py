"""Multi-label resamplers beside plain-Python readings of their papers, and the contract that all of them keep."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from tailwise import resample
from tailwise.errors import TailwiseError

METHODS = [resample.MLSMOTE, resample.MLRandomOverSampler, resample.MLRandomUnderSampler]
SHARES = [0.8, 0.5, 0.3, 0.08, 0.04]


def table(n=150, seed=0, shares=SHARES):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, len(shares))) < shares).astype(np.int64)
    y[: len(shares)] |= np.eye(len(shares), dtype=np.int64)[: len(y)]
    return rng.normal(size=(n, 3)) + y[:, :3], y


def imbalance(y):
    """Return IRLbl of each label and MeanIR."""
    counts = [sum(int(row[label]) for row in y) for label in range(len(y[0]))]
    ratios = [max(counts) / count if count else None for count in counts]
    known = [ratio for ratio in ratios if ratio is not None]
    return ratios, sum(known) / len(known)


def bag(y, label):
    return [row for row in range(len(y)) if y[row][label]]


def neighbours(X, rows, row, k):
    """Return the k of ``rows`` nearest to ``row``, nearest first."""
    distance = {other: sum((float(a) - float(b)) ** 2 for a, b in zip(X[other], X[row], strict=True)) for other in rows}
    return sorted((other for other in rows if other != row), key=lambda other: (distance[other], other))[:k]


@pytest.mark.parametrize(("k", "n"), [(5, 150), (2, 60), (1, 40), (30, 150)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mlsmote_is_the_papers(k, n, dtype):
    X, y = table(n)
    X = X.astype(dtype)
    resampler = resample.MLSMOTE(k, random_state=0)
    new_X, new_y = resampler.fit_resample(X, y)
    assert new_X.dtype == dtype
    np.testing.assert_array_equal(new_X[:n], X)
    np.testing.assert_array_equal(new_y[:n], y)
    ratios, mean = imbalance(y)
    made = iter(range(n, len(new_X)))
    for label in range(y.shape[1]):
        if ratios[label] <= mean:
            continue
        rows = bag(y, label)
        for row in rows:
            at, near = next(made), neighbours(X, rows, row, k)
            assert resampler.sample_indices_[at] == row
            votes = [sum(int(y[one][other]) for one in [row, *near]) for other in range(y.shape[1])]
            assert new_y[at].tolist() == [int(vote >= (1 + len(near)) / 2) for vote in votes]
            assert any(on_line(new_X[at], X[row], X[one], dtype) for one in near or [row])
    assert next(made, None) is None


def on_line(point, start, end, dtype):
    along, moved = (end - start).astype(float), (point - start).astype(float)
    step = moved @ along / (along @ along) if along.any() else 0.0
    return -1e-5 <= step <= 1 + 1e-5 and np.allclose(moved, step * along, atol=1e-12 if dtype == np.float64 else 1e-5)


def test_mlsmote_reaches_every_neighbour_and_every_part_of_a_line():
    X, y = table(4000, shares=[0.9, 0.5, 0.2])
    resampler = resample.MLSMOTE(3, random_state=0)
    new_X, _ = resampler.fit_resample(X, y)
    rows, steps, ranks = bag(y, 2), [], []
    for at in range(len(X), len(X) + 300):
        start = resampler.sample_indices_[at]
        near = neighbours(X, rows, start, 3)
        rank = next(j for j, one in enumerate(near) if on_line(new_X[at], X[start], X[one], float))
        ranks.append(rank)
        steps.append(np.linalg.norm(new_X[at] - X[start]) / np.linalg.norm(X[near[rank]] - X[start]))
    assert np.bincount(ranks).min() > 70
    np.testing.assert_allclose(np.quantile(steps, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.1)


@pytest.mark.parametrize("ratio", [0.02, 0.25, 0.6])
@pytest.mark.parametrize("n", [60, 300])
def test_over_sampling_is_the_papers_walk(ratio, n):
    X, y = table(n)
    rng = np.random.default_rng(7)
    ratios, mean = imbalance(y)
    active = [label for label in range(y.shape[1]) if ratios[label] > mean]
    rows, budget = [row.tolist() for row in y], int(ratio * n)
    clones = []
    while active and budget:
        for label in list(active):
            if not budget:
                break
            clones.append(bag(y, label)[rng.integers(len(bag(y, label)))])
            rows.append(rows[clones[-1]])
            budget -= 1
            if imbalance(rows)[0][label] <= mean:
                active.remove(label)
    resampler = resample.MLRandomOverSampler(ratio, random_state=7)
    new_X, new_y = resampler.fit_resample(X, y)
    assert resampler.sample_indices_.tolist() == [*range(n), *clones]
    np.testing.assert_array_equal(new_X, X[resampler.sample_indices_])
    np.testing.assert_array_equal(new_y, rows)
    assert not resampler.synthetic_.any()


@pytest.mark.parametrize("ratio", [0.02, 0.25, 0.9])
@pytest.mark.parametrize("n", [60, 300])
@pytest.mark.parametrize(
    "shares", [SHARES, [0.8, 0.5, 0.27, 0.26, 0.08]]
)  # in the second, two labels can come to MeanIR
def test_under_sampling_is_the_papers_walk(ratio, n, shares):
    X, y = table(n, shares=shares)
    rng = np.random.default_rng(7)
    ratios, mean = imbalance(y)
    rare = [label for label in range(y.shape[1]) if ratios[label] > mean]
    free = [row for row in range(n) if not any(y[row][label] for label in rare)]
    queues = {
        label: rng.permutation([row for row in bag(y, label) if row in free]).tolist()
        for label in range(y.shape[1])
        if ratios[label] < mean
    }
    left, budget = set(range(n)), int(ratio * n)
    while queues and budget:
        for label in list(queues):
            if not budget:
                break
            gone = None
            while gone is None and queues[label]:
                row = queues[label].pop(0)
                others = [other for other in left if other != row]
                lonely = any(y[row][c] and not any(y[other][c] for other in others) for c in range(y.shape[1]))
                gone = row if row in left and not lonely else None
            if gone is not None:
                left.remove(gone)
                budget -= 1
            if gone is None or imbalance([y[row] for row in left])[0][label] >= mean:
                del queues[label]
    resampler = resample.MLRandomUnderSampler(ratio, random_state=7)
    new_X, new_y = resampler.fit_resample(X, y)
    assert resampler.sample_indices_.tolist() == sorted(left)
    np.testing.assert_array_equal(new_X, X[sorted(left)])
    np.testing.assert_array_equal(new_y, y[sorted(left)])


@given(
    shares=st.lists(st.floats(0.02, 0.9), min_size=3, max_size=5),
    n=st.integers(8, 60),
    seed=st.integers(0, 99),
    method=st.sampled_from(METHODS),
)
@settings(max_examples=60)
def test_rare_labels_are_less_rare(shares, n, seed, method):
    X, y = table(n, seed, shares)
    counts = y.sum(axis=0)
    if counts.min() == counts.max():
        return
    ratios, mean = imbalance(y)
    rare = np.array(ratios) > mean
    new_y = method(random_state=seed).fit_resample(X, y)[1]
    new_counts = new_y.sum(axis=0)
    if method is resample.MLRandomUnderSampler:
        np.testing.assert_array_equal(new_counts[rare], counts[rare])
        assert (new_counts > 0).all()
        assert len(y) - len(new_y) <= 0.25 * n
    else:
        assert (new_counts >= counts).all()
    if method is resample.MLSMOTE:
        assert len(new_y) - n == counts[rare].sum()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("kind", [np.int8, bool, np.float32])
def test_frames_keep_their_types(method, library, kind):
    X, y = table()
    frame = library.DataFrame(
        {"whole": np.rint(X[:, 0] * 10).astype(np.int16), "half": X[:, 1].astype(np.float32), "double": X[:, 2]}
    )
    labels = library.DataFrame({name: y[:, j].astype(kind) for j, name in enumerate("abcde")})
    resampler = method(random_state=0)
    new_frame, new_labels = resampler.fit_resample(frame, labels)
    expected_X, expected_y = method(random_state=0).fit_resample(frame.to_numpy(), y)
    for new, old, values in [(new_frame, frame, expected_X), (new_labels, labels, expected_y)]:
        assert type(new) is type(old)
        assert list(new.columns) == list(old.columns)
        assert list(new.dtypes) == list(old.dtypes)
        assert len(new) == len(resampler.sample_indices_)
        np.testing.assert_allclose(new.to_numpy().astype(float), values, atol=0.5 if new is new_frame else 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [pl.Int8, pl.Boolean])
def test_arrow_tables_are_taken_and_given_back(method, kind):
    X, y = table()
    labels = pl.DataFrame(y).cast(kind).to_arrow()
    _, expected = method(random_state=0).fit_resample(X, y)
    _, new = method(random_state=0).fit_resample(X, labels)
    assert new.schema == labels.schema
    np.testing.assert_array_equal(pl.DataFrame(new).to_numpy(), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.csr_matrix, sparse.coo_array])
def test_sparse_stays_sparse_and_means_the_same(method, container):
    X, y = table()
    X[np.random.default_rng(1).random(X.shape) < 0.5] = 0
    dense_X, dense_y = method(random_state=0).fit_resample(X, y)
    for one, other in [(container(X), y), (X, container(y)), (container(X), container(y.astype(bool)))]:
        new_X, new_y = method(random_state=0).fit_resample(one, other)
        assert type(new_X) is type(one)
        assert type(new_y) is type(other)
        assert new_y.dtype == other.dtype
        np.testing.assert_allclose(new_X.toarray() if sparse.issparse(new_X) else new_X, dense_X, atol=1e-12)
        np.testing.assert_array_equal(new_y.toarray() if sparse.issparse(new_y) else new_y, dense_y)


@pytest.mark.parametrize("method", METHODS)
def test_lists_stay_lists(method):
    X, y = table()
    new_X, new_y = method(random_state=0).fit_resample(X.tolist(), y.tolist())
    expected_X, expected_y = method(random_state=0).fit_resample(X, y)
    assert new_X == expected_X.tolist()
    assert new_y == expected_y.tolist()


@pytest.mark.parametrize("method", METHODS)
def test_seeds_weights_and_indices(method):
    X, y = table()
    before = X.copy(), y.copy()
    weights = np.random.default_rng(0).random(len(y))
    resampler = method(random_state=3)
    new_X, new_y, new_weights = resampler.fit_resample(X, y, weights)
    again = clone(resampler).fit_resample(X, y)
    np.testing.assert_array_equal(new_X, again[0])
    np.testing.assert_array_equal(new_y, again[1])
    np.testing.assert_array_equal(new_weights, weights[resampler.sample_indices_])
    assert len(new_X) == len(new_y) == len(resampler.synthetic_)
    kept = ~resampler.synthetic_
    np.testing.assert_array_equal(new_X[kept], X[resampler.sample_indices_[kept]])
    np.testing.assert_array_equal(new_y[kept], y[resampler.sample_indices_[kept]])
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert not np.array_equal(method(random_state=4).fit_resample(X, y)[0], new_X)


def test_missing_values_stay_missing():
    X, y = table()
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    resampler = resample.MLSMOTE(random_state=0)
    new_X, _ = resampler.fit_resample(X, y)
    np.testing.assert_array_equal(np.isnan(new_X), np.isnan(X[resampler.sample_indices_]))


def test_a_label_of_one_row_repeats_it_and_a_label_of_none_counts_for_nothing():
    X, y = table(50, shares=[0.7, 0.5, 0.0])
    assert y[:, 2].sum() == 1
    y = np.column_stack([y, np.zeros(50, int)])
    resampler = resample.MLSMOTE(random_state=0)
    new_X, new_y = resampler.fit_resample(X, y)
    assert resampler.sample_indices_[50:].tolist() == [2]
    np.testing.assert_array_equal(new_X[50], X[2])
    np.testing.assert_array_equal(new_y[50], y[2])


@pytest.mark.parametrize("method", METHODS)
def test_one_line_for_what_cannot_be(method):
    X, y = table()
    two = y.copy()
    two[7, 3] = 2
    missing = y.astype(float)
    missing[5, 1] = np.nan
    wrong = [
        (two, "row 7, column 3 is 2"),
        (sparse.csr_array(two), "row 7, column 3 is 2"),
        (missing, "row 5, column 1 is nan"),
        (pl.DataFrame(missing).fill_nan(None), "row 5, column 1 is nan"),
        (y.astype(str) + "x", "values that are not numbers"),
        (y[:, 0], r"indicator of 0 and 1; got shape \(150,\). Encode sets of labels"),
        (np.zeros_like(y), "no row has a label"),
        (np.ones_like(y), "no minority label"),
        (y[:, :1], "no minority label"),
    ]
    for labels, message in wrong:
        with pytest.raises(TailwiseError, match=message) as caught:
            method().fit_resample(X, labels)
        assert "\n" not in str(caught.value)
        with pytest.raises(TailwiseError, match=message):
            method().fit(X, labels)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        method().fit_resample(X, y[:-1])
    with pytest.raises(TailwiseError, match="one number for each of 150 rows"):
        method().fit_resample(X, y, np.ones(3))


def test_one_line_for_parameters():
    X, y = table()
    with pytest.raises(TailwiseError, match="k_neighbors must be a whole number of at least 1; got 0"):
        resample.MLSMOTE(0).fit_resample(X, y)
    with pytest.raises(TailwiseError, match="ratio must be positive; got 0"):
        resample.MLRandomOverSampler(0).fit_resample(X, y)
    with pytest.raises(TailwiseError, match="ratio must be between 0 and 1; got 1"):
        resample.MLRandomUnderSampler(1).fit_resample(X, y)
    with pytest.raises(TailwiseError, match="column 'a' is"):
        resample.MLSMOTE().fit_resample(pd.DataFrame({"a": ["x"] * len(y)}), y)
