"""Weighted and case-control training: what the estimator is given, what its probabilities mean, how little it needs."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from tailwise.counts import capped_counts, class_weights
from tailwise.data.splits import rarest_label
from tailwise.errors import TailwiseError
from tailwise.resample import (
    BalancedBaggingClassifier,
    CaseControlClassifier,
    EasyEnsembleClassifier,
    RandomUnderSampler,
    ResampledClassifier,
    WeightedClassifier,
)
from tailwise.resample._binned import _rounded, _shared

rng = np.random.default_rng(0)
COUNTS = np.array([300, 60, 12, 1])
LABELS = np.repeat(["a", "b", "c", "d"], COUNTS)
X = rng.normal(size=(COUNTS.sum(), 3)) + np.repeat(np.arange(4), COUNTS)[:, None]


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was fitted with."""

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.sample_weight_, self.classes_ = X, y, sample_weight, np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks pass odd data on purpose
@pytest.mark.parametrize("wrapper", [WeightedClassifier, CaseControlClassifier])
def test_scikit_learns_contract(wrapper):
    check_estimator(wrapper(DecisionTreeClassifier(random_state=0)))


@pytest.mark.parametrize("scheme", ["inverse", "sqrt", "effective", "none"])
def test_weights_follow_from_the_counts_of_the_fold(scheme):
    half = np.arange(0, len(LABELS), 2)
    fitted = WeightedClassifier(Recorder(), scheme=scheme).fit(X[half], LABELS[half]).estimator_
    counts = np.unique(LABELS[half], return_counts=True)[1]
    expected = class_weights(counts, scheme)[np.unique(LABELS[half], return_inverse=True)[1]]
    np.testing.assert_allclose(fitted.sample_weight_, expected)
    assert fitted.sample_weight_.mean() == pytest.approx(1)


def test_own_weights_multiply_and_count():
    own = rng.uniform(0.5, 2, len(LABELS))
    fitted = WeightedClassifier(Recorder()).fit(X, LABELS, own).estimator_
    per_class = pd.Series(fitted.sample_weight_).groupby(LABELS).sum()
    np.testing.assert_allclose(per_class, len(LABELS) / 4 * own.mean())  # every class weighs the same
    ratio = fitted.sample_weight_ / own
    assert all(np.ptp(ratio[c == LABELS]) < 1e-12 for c in "abcd")


@pytest.mark.parametrize("odd", [-5.0, np.nan])
def test_sample_weights_are_not_negative(odd):
    own = np.ones(len(LABELS))
    own[3] = odd
    with pytest.raises(TailwiseError, match="sample_weight must be finite and not negative"):
        WeightedClassifier(Recorder()).fit(X, LABELS, own)


@pytest.mark.parametrize("wrapper", [WeightedClassifier, lambda base: CaseControlClassifier(base, max_rows=50)])
def test_a_classifier_without_weights_is_named(wrapper):
    with pytest.raises(TailwiseError, match="KNeighborsClassifier takes no sample_weight"):
        wrapper(KNeighborsClassifier()).fit(X, LABELS)


def test_weights_that_cannot_be_used():
    with pytest.raises(TailwiseError, match="must not be all zero"):
        WeightedClassifier(Recorder()).fit(X, LABELS, np.zeros(len(LABELS)))
    with pytest.raises(TailwiseError, match="scheme must be 'inverse' or"):
        WeightedClassifier(Recorder(), scheme="square").fit(X, LABELS)


def test_a_pipeline_is_weighted_in_its_last_step():
    piped = WeightedClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, LABELS)
    weights = piped.class_weights_[np.unique(LABELS, return_inverse=True)[1]]
    plain = LogisticRegression().fit(StandardScaler().fit_transform(X), LABELS, weights)
    np.testing.assert_allclose(piped.estimator_[-1].coef_, plain.coef_)


def test_what_is_no_classifier_is_one_line():
    for wrapper in (WeightedClassifier, CaseControlClassifier, BalancedBaggingClassifier, EasyEnsembleClassifier):
        with pytest.raises(TailwiseError, match="a classifier is needed; LinearRegression is none"):
            wrapper(LinearRegression()).fit(X, LABELS)


@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any), spare=st.integers(0, 3000))
@settings(max_examples=200)
def test_capped_counts_are_the_largest_common_cap(counts, spare):
    counts = np.array(counts)
    total = np.count_nonzero(counts) + spare
    kept = capped_counts(counts, total)
    cap = kept.max()
    assert kept.sum() <= total
    np.testing.assert_array_equal(kept, np.minimum(counts, cap))
    assert (kept == counts).all() or np.minimum(counts, cap + 1).sum() > total


def test_capped_counts_need_a_row_per_class():
    with pytest.raises(TailwiseError, match="2 rows are fewer than the 3 classes"):
        capped_counts([5, 0, 1, 9], 2)


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, pl.DataFrame, sparse.csr_array])
def test_the_tail_is_whole_and_every_class_keeps_its_weight(container):
    fitted = CaseControlClassifier(Recorder(), max_rows=80, random_state=0).fit(container(X), LABELS)
    seen = fitted.estimator_
    assert fitted.n_rows_used_ == seen.X_.shape[0] <= 80
    np.testing.assert_array_equal(np.unique(seen.y_, return_counts=True)[1], capped_counts(COUNTS, 80))
    np.testing.assert_allclose(pd.Series(seen.sample_weight_).groupby(seen.y_).sum(), COUNTS)
    kept = seen.X_.toarray() if sparse.issparse(seen.X_) else np.asarray(seen.X_)
    rows = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in kept]
    assert len(set(rows)) == len(rows)
    np.testing.assert_array_equal(LABELS[rows], seen.y_)
    own = rng.random(len(LABELS))
    again = CaseControlClassifier(Recorder(), max_rows=80, random_state=0).fit(container(X), LABELS, own).estimator_
    np.testing.assert_allclose(again.sample_weight_, seen.sample_weight_ * own[rows])


def test_of_sets_of_labels_the_rarest_is_the_class():
    sets = np.zeros((len(LABELS), 3), dtype=int)
    sets[:, 0] = np.arange(len(LABELS)) % 2
    sets[[3, 8], 1] = 1
    np.testing.assert_array_equal(rarest_label(sets)[:9], [3, 0, 3, 1, 3, 0, 3, 0, 1])
    seen = CaseControlClassifier(Recorder(), max_rows=20, random_state=0).fit(X, sets).estimator_
    assert len(seen.y_) <= 20
    assert seen.y_[:, 1].sum() == 2
    assert seen.sample_weight_.sum() == pytest.approx(len(LABELS))
    assert seen.sample_weight_[seen.y_[:, 1] == 1].tolist() == [1, 1]
    again = CaseControlClassifier(Recorder(), max_rows=20, random_state=0).fit(X, sparse.csr_array(sets)).estimator_
    np.testing.assert_array_equal(again.y_, seen.y_)
    with pytest.raises(TailwiseError, match="must be an indicator of 0 and 1, but row 0, column 0 is -1"):
        CaseControlClassifier(Recorder()).fit(X, 2 * sets - 1)


def test_probabilities_are_those_of_the_whole():
    n = np.array([40_000, 4_000])
    labels = np.repeat([0, 1], n)
    data = rng.normal(size=(n.sum(), 1)) + labels[:, None]
    fitted = CaseControlClassifier(LogisticRegression(C=1e6), max_rows=8_000, random_state=0).fit(data, labels)
    # two normals of variance 1 a unit apart: log-odds are x - 1/2 + log prior odds
    assert fitted.estimator_.coef_[0, 0] == pytest.approx(1, abs=0.1)
    assert fitted.estimator_.intercept_[0] == pytest.approx(-0.5 + np.log(0.1), abs=0.1)


def test_same_seed_same_rows():
    used = [
        CaseControlClassifier(Recorder(), max_rows=50, random_state=seed).fit(X, LABELS).estimator_.X_
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(used[0], used[1])
    assert (used[0] != used[2]).any()


_FIT = """
import resource, sys
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from tailwise.resample import CaseControlClassifier
from tailwise.data.longtail import exponential

n = int(sys.argv[1])
counts = exponential(1000, 100, 50)
counts = np.maximum(1, counts * (n / counts.sum())).astype(int)
rng = np.random.default_rng(0)
y = rng.permutation(np.repeat(np.arange(50), counts))
X = rng.standard_normal((len(y), 20), dtype=np.float32)
warm = HistGradientBoostingClassifier(max_iter=1).fit(X[:2_000], y[:2_000])  # libraries and threads
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = CaseControlClassifier(HistGradientBoostingClassifier(max_iter=3), random_state=0).fit(X, y)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) * 1024 / X.nbytes, model.n_rows_used_)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_memory_of_a_million_rows_is_bounded():
    out = subprocess.run([sys.executable, "-c", _FIT, "1000000"], capture_output=True, text=True, check=True)
    over_table, used = (float(value) for value in out.stdout.split())
    assert used == pytest.approx(100_000, rel=0.01)  # 80 MB / (16 bytes * 50 classes)
    assert over_table < 3


def test_all_rows_where_there_are_few():
    fitted = CaseControlClassifier(HistGradientBoostingClassifier(max_iter=2)).fit(X, LABELS)
    assert fitted.n_rows_used_ == len(LABELS)


class Looking(HistGradientBoostingClassifier):
    def fit(self, X, y, sample_weight=None):
        self.seen_ = X
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_boosting_with_weights_is_given_small_integers_as_they_are_or_nearly(dtype):
    X = np.linspace(np.iinfo(dtype).min, np.iinfo(dtype).max, 3000).astype(dtype)[:, None]
    seen = WeightedClassifier(Looking(max_iter=1)).fit(X, np.arange(3000) % 2).estimator_.seen_
    assert seen.dtype == dtype
    assert np.abs(seen.astype(float) - X).max() <= np.ptp(X.astype(float)) / 255


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_boosting_with_weights_is_given_no_more_values_than_it_has_bins(dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3000, 3)) * 1000).astype(dtype)
    X[:, 1] = rng.integers(4, size=3000)
    if dtype != np.int64:
        X[::10, 2] = np.nan
    y = (X[:, 0] + 300 * X[:, 1] + rng.normal(size=3000) * 300 > 900).astype(int)
    settings = {"max_iter": 20, "early_stopping": False, "random_state": 0}
    weighted = WeightedClassifier(Looking(**settings)).fit(X, y)
    seen = weighted.estimator_.seen_
    assert seen.dtype == dtype
    assert [len(np.unique(column[~np.isnan(column)])) for column in seen.T] == [255, 4, 255]
    np.testing.assert_array_equal(np.isnan(seen), np.isnan(X))
    np.testing.assert_array_equal(seen[:, 1], X[:, 1])
    order = np.argsort(X[:, 0], kind="stable")
    assert (np.diff(seen[order, 0]) >= 0).all()
    inside = np.abs(X[:, 0]) < 2000
    assert np.abs(seen - X)[inside, 0].max() < 60
    plain = HistGradientBoostingClassifier(**settings).fit(X, y, weighted.class_weights_[y])
    assert (weighted.predict(X) == plain.predict(X)).mean() > 0.98


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, lambda X: pl.DataFrame(X, schema=["a", "b"])])
def test_boosting_with_weights_still_sees_what_only_the_rare_class_has(container):
    rng = np.random.default_rng(0)
    y = (np.arange(60_000) % 300 == 0).astype(int)
    amount = np.where(y, rng.lognormal(3, 1.5, len(y)), 0)
    X = container(np.stack([rng.normal(size=len(y)), amount], axis=1))
    fitted = WeightedClassifier(Looking(max_iter=3)).fit(X, y)
    assert (fitted.predict(X) == y).all()
    seen = np.asarray(fitted.estimator_.seen_)
    assert [len(np.unique(column)) for column in seen.T] == [255, 201]
    assert ((seen[:, 1] == 0) == (amount == 0)).all()


@given(st.data())
@settings(max_examples=60)
def test_rounding_keeps_order_and_lets_heavy_values_alone(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    column = data.draw(st.sampled_from([rng.normal, rng.lognormal]))(size=400).astype(np.float32)
    for heavy in rng.normal(size=data.draw(st.integers(0, 3))):
        column[rng.random(400) < 0.3] = heavy
    column[rng.random(400) < data.draw(st.sampled_from([0, 0.1]))] = np.nan
    weights = np.where(rng.random(400) < 0.1, data.draw(st.sampled_from([1, 9])), 1)
    most = data.draw(st.integers(16, 100))
    rounded = _rounded(column, weights, most)
    known = ~np.isnan(column)
    np.testing.assert_array_equal(np.isnan(rounded), ~known)
    values = np.unique(rounded[known])
    if len(np.unique(column[known])) <= most:
        np.testing.assert_array_equal(rounded, column)
        return
    assert len(values) <= most
    assert np.isin(values, column).all()
    assert (np.diff(rounded[known][np.argsort(column[known], kind="stable")]) >= 0).all()
    heavy = [value for value in values if weights[column == value].sum() > weights[known].sum() / most]
    _, alone = _shared(np.bincount(np.unique(column[known], return_inverse=True)[1], weights[known]), most)
    assert alone.sum() >= len(heavy)
    if 2 * alone.sum() < most:  # with a place on either side of each
        assert all((column[rounded == value] == value).all() for value in heavy)


def test_boosting_with_weights_leaves_categories_to_scikit_learn():
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(300, size=5000).astype(float), rng.normal(size=5000)], axis=1)
    y = (X[:, 0] % 2).astype(int)
    for table, categories in ((X, [0]), (X, [True, False]), (pd.DataFrame(X, columns=["a", "b"]), ["a"])):
        with pytest.raises(ValueError, match="cardinality"):
            WeightedClassifier(HistGradientBoostingClassifier(categorical_features=categories)).fit(table, y)
        few = WeightedClassifier(Looking(categorical_features=categories, max_iter=1)).fit(table[:200], y[:200])
        np.testing.assert_array_equal(np.asarray(few.estimator_.seen_), X[:200])


def test_case_control_says_what_is_wrong_with_its_settings():
    with pytest.raises(TailwiseError, match="max_rows must be a number or 'auto'; got 'all'"):
        CaseControlClassifier(Recorder(), max_rows="all").fit(X, LABELS)
    with pytest.raises(TailwiseError, match=r"max_rows must be a whole number or text; got \[1\]"):
        CaseControlClassifier(Recorder(), max_rows=[1]).fit(X, LABELS)
    with pytest.raises(TailwiseError, match="beta must be a number; got 'x'"):
        WeightedClassifier(Recorder(), scheme="effective", beta="x").fit(X, LABELS)
    for bad, message in (([-1.0], "finite and not negative"), (["a"], "must be numbers, one per row")):
        with pytest.raises(TailwiseError, match=message):
            CaseControlClassifier(Recorder(), max_rows=50).fit(X, LABELS, bad * len(X))
    with pytest.raises(TailwiseError, match=r"one number for each of \d+ rows; got shape \(3,\)"):
        CaseControlClassifier(Recorder(), max_rows=50).fit(X, LABELS, [1, 2, 3])


@pytest.mark.parametrize(
    "wrapper",
    [
        WeightedClassifier,
        CaseControlClassifier,
        lambda base: CaseControlClassifier(base, max_rows=60, random_state=0),
        lambda base: BalancedBaggingClassifier(base, n_estimators=2, random_state=0),
        lambda base: ResampledClassifier(base, RandomUnderSampler(random_state=0)),
    ],
)
def test_boosting_takes_columns_without_a_value(wrapper):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 3)), np.repeat([0, 1], [250, 50])
    X[:, 1] = np.nan
    fitted = wrapper(HistGradientBoostingClassifier(max_iter=5)).fit(X, y)
    there = fitted.predict_proba(np.nan_to_num(X, nan=7.0))
    np.testing.assert_array_equal(fitted.predict_proba(X), there)


@pytest.mark.parametrize("end", [np.inf, -np.inf])
def test_boosting_with_weights_keeps_infinity_apart_in_silence(end):
    X = np.linspace(0, 1, 600)[:, None]
    X[::2] = end
    fitted = WeightedClassifier(HistGradientBoostingClassifier(max_iter=1)).fit(X, np.arange(600) % 2)
    np.testing.assert_array_equal(fitted.predict(X), np.arange(600) % 2)
