"""The contract of every resampler, found by discovery, and what each one computes beside imbalanced-learn."""

import inspect
import tracemalloc
import warnings

import imblearn.over_sampling as over
import imblearn.under_sampling as under
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.pipeline import make_pipeline
from scipy import sparse
from scipy.spatial.distance import cdist, pdist
from scipy.stats import ks_2samp
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags

from tailwise import resample
from tailwise.errors import TailwiseError
from tailwise.resample import _clean
from tailwise.resample._base import Resampler
from tailwise.resample._clusters import _mean_distance

pytestmark = pytest.mark.filterwarnings("ignore:.* removed every example:UserWarning")

EVERY = [getattr(resample, name) for name in resample.__all__]
EVERY = [found for found in EVERY if inspect.isclass(found) and issubclass(found, Resampler) and found is not Resampler]
DENSER = [resample.GaussianOverSampler, resample.ClusterCentroids]  # do something else where a table is sparse
COMPLETE = [resample.SVMSMOTE, resample.KMeansSMOTE, resample.ClusterCentroids]  # take no missing values
NOMINAL = [found for found in EVERY if found.__module__.endswith("_nominal")]
NUMERIC = [found for found in EVERY if found not in NOMINAL]
COUNTS = [120, 40, 15]


@pytest.mark.parametrize("name", [name for name in resample.__all__ if inspect.isclass(getattr(resample, name))])
def test_settings_but_the_first_are_given_by_name(name):
    settings = [*inspect.signature(getattr(resample, name)).parameters.values()][1:]
    assert name == "ResampledClassifier" or all(setting.kind is setting.KEYWORD_ONLY for setting in settings)


def table(counts=COUNTS, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return rng.normal(size=(len(labels), n_features)) + labels[:, None] * 0.7, labels


def made(method, **settings):
    """Return a resampler with a seed where it takes one."""
    if "random_state" in inspect.signature(method).parameters:
        settings.setdefault("random_state", 0)
    if method is resample.SMOTENC:
        settings.setdefault("categorical_features", [3])
    if method is resample.InstanceHardnessThreshold:
        settings.setdefault("estimator", DecisionTreeClassifier(max_depth=3, random_state=0))
    return method(**settings)


def test_discovery_found_them():
    assert len(EVERY) >= 18


@pytest.mark.parametrize("method", EVERY)
def test_kept_rows_are_theirs_and_labels_follow(method):
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    resampler = made(method)
    before = X.copy()
    new_X, new_y = resampler.fit_resample(X, y)
    np.testing.assert_array_equal(X, before)
    kept = ~resampler.synthetic_
    np.testing.assert_array_equal(new_X[kept], X[resampler.sample_indices_[kept]])
    np.testing.assert_array_equal(new_y, y[resampler.sample_indices_])
    assert len(new_X) == len(new_y) == len(resampler.synthetic_)
    assert np.isfinite(new_X).all()


@pytest.mark.parametrize("method", EVERY)
def test_counts_are_those_asked_for(method):
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    counts = np.bincount(made(method).fit_resample(X, y)[1])
    if method is resample.ADASYN:
        np.testing.assert_allclose(counts, 120, atol=20)
    elif method._kind == "clean" or "Tomek" in method.__name__ or "ENN" in method.__name__:
        assert (counts <= 120).all()
    elif "Hardness" in method.__name__:
        assert (counts >= 15).all()
        assert (counts <= COUNTS).all()
    else:
        np.testing.assert_array_equal(counts, 120 if method._kind == "over" else 15)


@pytest.mark.parametrize("method", EVERY)
def test_same_seed_same_rows_and_clones_are_alike(method):
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    resampler = made(method)
    first, again = resampler.fit_resample(X, y), clone(resampler).fit_resample(X, y)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize("method", NUMERIC)
def test_float32_stays_and_so_do_lists_of_labels(method):
    X, y = table()
    new_X, new_y = made(method).fit_resample(X.astype(np.float32), [f"class {c}" for c in y])
    assert new_X.dtype == np.float32
    assert isinstance(new_y, list)
    assert set(new_y) == {"class 0", "class 1", "class 2"}


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("method", NUMERIC)
def test_frames_keep_their_types(method, library):
    X, y = table()
    frame = {
        "whole": np.rint(X[:, 0] * 10).astype(np.int16),
        "half": X[:, 1].astype(np.float32),
        "double": X[:, 2],
        "flag": X[:, 3] > 0,
    }
    frame, labels = (
        library.DataFrame(frame),
        library.Series("label", y) if library is pl else pd.Series(y, name="label"),
    )
    new_frame, new_labels = made(method).fit_resample(frame, labels)
    assert type(new_frame) is type(frame)
    assert list(new_frame.columns) == list(frame.columns)
    assert list(new_frame.dtypes) == list(frame.dtypes)
    assert type(new_labels) is type(labels)
    assert new_labels.name == "label"
    assert new_labels.dtype == labels.dtype


@pytest.mark.parametrize("method", EVERY)
def test_tensors_stay_tensors(method):
    torch = pytest.importorskip("torch")
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    for dtype in (torch.float32, torch.float64, torch.int64):
        new_X, new_y = made(method).fit_resample(torch.tensor(X).to(dtype), torch.tensor(y))
        assert (new_X.dtype, new_y.dtype) == (dtype, torch.int64)


@pytest.mark.parametrize("method", EVERY)
def test_tuples_and_arrow_stay_what_they_are(method):
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    new_X, new_y = made(method).fit_resample(tuple(map(tuple, X.tolist())), tuple(y.tolist()))
    assert (type(new_X), type(new_y)) == (tuple, tuple)
    np.testing.assert_array_equal(new_X, made(method).fit_resample(X, y)[0])
    frame = pa.table(dict(zip("abcd", X.T, strict=True)) | {"d": pa.array(X[:, 3]).cast("int16")})
    expected, labels = made(method).fit_resample(pl.DataFrame(frame), y)
    for target in (pa.array(y), pa.chunked_array([y[:9], y[9:]])):
        new_frame, new_y = made(method).fit_resample(frame, target)
        assert (new_frame.schema, type(new_y)) == (frame.schema, type(target))
        assert pl.DataFrame(new_frame).equals(expected)
        np.testing.assert_array_equal(new_y, labels)


@pytest.mark.parametrize("method", [m for m in NUMERIC if m not in DENSER])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_stays_sparse_and_means_the_same(method, container):
    X, y = table()
    X[np.random.default_rng(1).random(X.shape) < 0.5] = 0
    dense = made(method).fit_resample(X, y)[0]
    thin = made(method).fit_resample(container(X), y)[0]
    assert type(thin) is container
    np.testing.assert_allclose(thin.toarray(), dense, atol=1e-12)


@pytest.mark.parametrize("method", [m for m in EVERY if m not in COMPLETE])
def test_missing_values_are_allowed(method):
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    resampler = made(method)
    new_X, _ = resampler.fit_resample(X, y)
    known = ~np.isnan(X[resampler.sample_indices_])
    numeric = slice(0, {resample.SMOTENC: 3, resample.SMOTEN: 0}.get(method, 4))
    np.testing.assert_array_equal(~np.isnan(new_X[:, numeric]), known[:, numeric])


@pytest.mark.parametrize("method", COMPLETE)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_missing_values_are_refused(method, container):
    X, y = table()
    X[0, 0] = np.nan
    with pytest.raises(TailwiseError, match=f"{method.__name__} takes no missing values"):
        made(method).fit_resample(container(X), y)


@pytest.mark.parametrize("method", EVERY)
def test_a_class_of_one_or_two_does_not_crash(method):
    X, y = table([40, 2, 1])
    X[:, 3] = np.rint(X[:, 3])
    new_X, new_y = made(method).fit_resample(X, y)
    assert np.isfinite(new_X).all()
    if method._kind == "over" and not {"Tomek", "ENN"} & {method.__name__[5:]}:
        assert (np.bincount(new_y) >= 30).all()


@pytest.mark.parametrize("method", EVERY)
def test_weights_go_with_their_rows(method):
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    weights = np.random.default_rng(0).random(len(y))
    resampler = made(method)
    _, new_y, new_weights = resampler.fit_resample(X, y, weights)
    np.testing.assert_array_equal(new_weights, weights[resampler.sample_indices_])
    assert len(new_weights) == len(new_y)


@pytest.mark.parametrize("method", NUMERIC)
def test_works_in_imbalanced_learns_pipeline(method):
    X, y = table()
    fitted = make_pipeline(made(method), LogisticRegression()).fit(X, y)
    assert fitted.predict(X).shape == y.shape


@pytest.mark.parametrize("method", [m for m in NUMERIC if m._kind != "clean"])
def test_a_function_of_the_labels_gives_the_counts(method):
    X, y = table()
    counts = np.bincount(y)
    wanted = counts.max() - 1 if method._kind == "over" else counts.min() + 1
    label = int(counts.argmin() if method._kind == "over" else counts.argmax())
    resampled = made(method, sampling_strategy=lambda labels: {label: wanted + 0 * len(labels)}).fit_resample(X, y)
    expected = made(method, sampling_strategy={label: wanted}).fit_resample(X, y)
    np.testing.assert_array_equal(resampled[1], expected[1])
    np.testing.assert_array_equal(resampled[0], expected[0])


@pytest.mark.parametrize("method", NUMERIC)
def test_one_line_for_what_cannot_be(method):
    X, y = table()
    with pytest.raises(TailwiseError, match="only one class"):
        made(method).fit_resample(X, np.zeros(len(y), int))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        made(method).fit_resample(X, y[:-1])
    with pytest.raises(TailwiseError, match="names class 'x', which does not exist"):
        made(method, sampling_strategy=["x"] if method._kind == "clean" else {"x": 3}).fit_resample(X, y)
    with pytest.raises(TailwiseError, match=r"unknown sampling_strategy 'minorty'\. Did you mean 'minority'"):
        made(method, sampling_strategy="minorty").fit_resample(X, y)
    for name, value in method().get_params().items():
        if isinstance(value, int | float):
            with pytest.raises(TailwiseError, match=rf"{method.__name__}: {name} must be a (whole )?number; got 'x'\."):
                made(method, **{name: "x"}).fit_resample(X, y)
    if "random_state" in method().get_params():
        with pytest.raises(TailwiseError, match="random_state must be a whole number from 0, a Generator"):
            made(method, random_state=-1).fit_resample(X, y)
    if not method.__name__.startswith("Random"):
        with pytest.raises(TailwiseError, match=r"column 'b' is .*: encode it, or over-sample with SMOTENC"):
            made(method).fit_resample(pd.DataFrame({"a": X[:, 0], "b": y.astype(str)}), y)
        with pytest.raises(TailwiseError, match="no column"):
            made(method).fit_resample(X[:, :0], y)
        X[3, 1] = np.inf
        with pytest.raises(TailwiseError, match="finite numbers"):
            made(method).fit_resample(X, y)


def test_strategies():
    X, y = table()
    counts = lambda method, strategy: np.bincount(method(strategy).fit_resample(X, y)[1]).tolist()  # noqa: E731
    assert counts(resample.RandomOverSampler, "minority") == [120, 40, 120]
    assert counts(resample.RandomOverSampler, {1: 50, 2: 20}) == [120, 50, 20]
    assert counts(resample.RandomUnderSampler, "majority") == [15, 40, 15]
    assert counts(resample.RandomUnderSampler, {0: 100}) == [100, 40, 15]
    two = y > 0
    assert np.bincount(resample.RandomOverSampler(0.8).fit_resample(X, two)[1]).tolist() == [120, 96]
    assert np.bincount(resample.RandomUnderSampler(0.5).fit_resample(X, two)[1]).tolist() == [110, 55]
    for method, count in ((resample.SMOTE, 120), (resample.RandomUnderSampler, 55)):
        assert np.bincount(method(1.0).fit_resample(X, two)[1]).tolist() == [count, count]
    for method, wrong in [(resample.SMOTE, {0: 10}), (resample.RandomUnderSampler, {0: 1000}), (resample.SMOTE, 0.5)]:
        with pytest.raises(TailwiseError, match=r"cannot bring class 0 from 120|needs two classes"):
            method(wrong).fit_resample(X, y)


@pytest.mark.parametrize("method", [resample.RandomOverSampler, resample.GaussianOverSampler])
def test_examples_are_repeated_round_after_round(method):
    X, y = table([130, 40, 15])
    resampler = made(method)
    resampler.fit_resample(X, y)
    times = np.bincount(resampler.sample_indices_)
    for c, expected in enumerate([{1}, {3, 4}, {8, 9}]):
        assert set(times[y == c]) == expected


def test_strategies_that_cannot_be_are_one_line():
    X, y = table()
    for strategy, message in [
        ({1: 40.7}, "class 1 cannot have 40.7 examples: give a whole number"),
        ({1: np.nan}, "class 1 cannot have nan examples: give a whole number"),
        ({1: "40"}, "class 1 cannot have '40' examples: give a whole number"),
        ({"1": 50}, r"names class '1', which does not exist: the labels are int64, not str\."),
    ]:
        with pytest.raises(TailwiseError, match=message):
            resample.RandomOverSampler(strategy).fit_resample(X, y)
    assert np.bincount(resample.RandomOverSampler({1: 50.0, 2: np.int8(20)}).fit_resample(X, y)[1]).tolist() == [
        120,
        50,
        20,
    ]


@pytest.mark.parametrize("setting", ["k_neighbors", "m_neighbors", "n_clusters", "n_neighbors", "n_candidates"])
@pytest.mark.parametrize("method", EVERY)
def test_neighbours_and_clusters_are_at_least_one(method, setting):
    X, y = table()
    X[:, 3] = np.rint(X[:, 3])
    if setting in inspect.signature(method).parameters:
        for few in (0, -2):
            with pytest.raises(TailwiseError, match=f"^{setting} must be a whole number of at least 1; got {few}\\.$"):
                made(method, **{setting: few}).fit_resample(X, y)


@pytest.mark.parametrize("method", NOMINAL)
def test_nominal_methods_need_a_table(method):
    X, y = table()
    for shape in (X[:, 0], X[:, :, None]):
        with pytest.raises(TailwiseError, match=f"{method.__name__} needs a table; got shape"):
            made(method).fit_resample(shape, y)


def test_two_columns_of_one_name_are_said():
    X, y = table()
    for resampler, target in (
        (resample.SMOTE(), y),
        (resample.MLSMOTE(), np.eye(3, dtype=int)[y]),
        (resample.SMOGN(), X[:, 0]),
    ):
        with pytest.raises(TailwiseError, match="the table has 2 columns named 'a'; give each its own name"):
            resampler.fit_resample(pd.DataFrame(X, columns=list("abac")), target)


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_smote_stays_between_examples_of_its_class(counts, seed):
    X, y = table(counts, 3, seed)
    resampler = resample.SMOTE(random_state=seed)
    new_X, new_y = resampler.fit_resample(X, y)
    assert (np.bincount(new_y) == max(counts)).all()
    for c in range(len(counts)):
        assert (new_X[new_y == c] >= X[y == c].min(axis=0) - 1e-9).all()
        assert (new_X[new_y == c] <= X[y == c].max(axis=0) + 1e-9).all()


DETERMINISTIC = [
    (resample.TomekLinks(), under.TomekLinks()),
    (resample.TomekLinks("all"), under.TomekLinks(sampling_strategy="all")),
    (resample.EditedNearestNeighbours(), under.EditedNearestNeighbours()),
    (
        resample.EditedNearestNeighbours("all", n_neighbors=4, kind="mode"),
        under.EditedNearestNeighbours(sampling_strategy="all", n_neighbors=4, kind_sel="mode"),
    ),
    *((resample.NearMiss(version=v), under.NearMiss(version=v)) for v in (1, 2, 3)),
]


@pytest.mark.parametrize(("ours", "theirs"), DETERMINISTIC)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_choices_where_nothing_is_drawn(ours, theirs, dtype):
    shares = [0.7, 0.2, 0.07]
    X, y = make_classification(2500, 8, n_informative=5, n_classes=4, weights=shares, class_sep=0.7, random_state=0)
    ours.fit_resample(X.astype(dtype), y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NearMiss 3 warns where it has fewer
        theirs.fit_resample(X.astype(dtype), y)
    np.testing.assert_array_equal(ours.sample_indices_, np.sort(theirs.sample_indices_))


@pytest.mark.parametrize("method", [resample.SMOTE(), resample.SMOTENC(["kind"]), resample.RandomOverSampler()])
def test_integers_of_128_bits_are_numbers(method):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], [45, 15])
    frame = pl.DataFrame({"n": rng.integers(0, 90, 60), "kind": rng.integers(0, 3, 60)})
    frame = frame.with_columns(pl.col("n").cast(pl.Int128))
    resampled, _ = method.fit_resample(frame, y)
    assert resampled.schema == frame.schema
    assert resampled["n"].is_between(0, 89).all()


def test_near_miss_goes_by_the_first_of_two_smallest_classes():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.array([2] * 5 + [1] * 5 + [0] * 30)
    for version in (1, 2, 3):
        ours, theirs = resample.NearMiss(version=version), under.NearMiss(version=version)
        ours.fit_resample(X, y)
        theirs.fit_resample(X, y)
        np.testing.assert_array_equal(ours.sample_indices_, np.sort(theirs.sample_indices_))


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("n_neighbors", [3, 9])
def test_near_miss_can_shrink_the_smallest_class_in_which_nobody_is_its_own_neighbour(version, n_neighbors):
    for seed in range(5):
        X, y = np.random.default_rng(seed).normal(size=(39, 2)), np.repeat([0, 1], [30, 9])
        apart = np.sort(cdist(X[30:], X[30:]), axis=1)[:, 1:]
        k = min(n_neighbors, 8)
        score = (apart[:, :k], apart[:, -k:], -apart[:, :k])[version - 1].sum(axis=1)
        ours = resample.NearMiss({1: 4}, version=version, n_neighbors=n_neighbors, n_candidates=9)
        ours.fit_resample(X, y)
        np.testing.assert_array_equal(ours.sample_indices_[30:], 30 + np.sort(np.argsort(score)[:4]))


class Slope(LogisticRegression):
    """A classifier that learns nothing: its probabilities are the same whatever it was fitted to."""

    def fit(self, X, y):
        self.classes_, self.intercept_ = np.unique(y), np.zeros(3)
        self.coef_ = np.random.default_rng(0).normal(size=(3, X.shape[1]))
        return self


def test_instance_hardness_keeps_what_imbalanced_learn_keeps():
    X, y = table()
    ours, theirs = (kind.InstanceHardnessThreshold(estimator=Slope()) for kind in (resample, under))
    ours.fit_resample(X, y)
    theirs.fit_resample(X, y)
    np.testing.assert_array_equal(ours.sample_indices_, np.sort(theirs.sample_indices_))


def test_instance_hardness_leaves_out_wrong_labels_and_says_what_it_cannot_do():
    X, y = make_classification(600, 6, n_informative=4, weights=[0.8], class_sep=2.0, flip_y=0, random_state=0)
    wrong = np.flatnonzero(y == 1)[:20]
    y[wrong] = 0
    resampler = resample.InstanceHardnessThreshold({0: int((y == 0).sum()) - 20}, random_state=0)
    resampler.fit_resample(X, y)
    assert np.isin(wrong, resampler.sample_indices_).mean() < 0.2
    X[0, 0] = np.nan
    for estimator, message in {
        LinearSVC(): "LinearSVC gives no probabilities",
        LogisticRegression(): "LogisticRegression cannot be fitted to this table: .*NaN",
    }.items():
        with pytest.raises(TailwiseError, match=message):
            resample.InstanceHardnessThreshold(estimator=estimator).fit_resample(X, y)
    with pytest.raises(TailwiseError, match="cv must be 2 or more"):
        resample.InstanceHardnessThreshold(cv=1).fit_resample(X, y)


def _projections(X, seed=0):
    return X @ np.random.default_rng(seed).normal(size=(X.shape[1], 6))


SAME = [
    (resample.SMOTE(random_state=0), over.SMOTE(random_state=1)),
    (
        resample.SMOTE({1: 3000}, k_neighbors=3, random_state=0),
        over.SMOTE(sampling_strategy={1: 3000}, k_neighbors=3, random_state=1),
    ),
    (resample.BorderlineSMOTE(random_state=0), over.BorderlineSMOTE(random_state=1)),
    (resample.ADASYN(random_state=0), over.ADASYN(random_state=1)),
]


@pytest.mark.parametrize(("ours", "theirs"), SAME)
def test_same_distribution_as_imbalanced_learn(ours, theirs):
    X, y = make_classification(3000, 6, n_informative=4, weights=[0.93], class_sep=0.6, flip_y=0.05, random_state=0)
    one = _projections(ours.fit_resample(X, y)[0][len(X) :])
    other = _projections(theirs.fit_resample(X, y)[0][len(X) :])
    assert len(one) == pytest.approx(len(other), rel=0.005)  # theirs of ADASYN misses the count
    p = [ks_2samp(a, b).pvalue for a, b in zip(one.T, other.T, strict=True)]
    assert min(p) > 0.01 / len(p)  # Bonferroni
    moved = [ks_2samp(a + 0.3 * a.std(), b).pvalue for a, b in zip(one.T, other.T, strict=True)]
    assert max(moved) < 1e-6  # the test can tell


def steps(X, starts, near, new):
    """Return how far along the line to one of the (n, k) neighbours ``near`` each new row lies, and which it is."""
    lines, moved = X[near] - X[starts][:, None], (new - X[starts])[:, None]
    along = (lines * moved).sum(axis=2) / (lines**2).sum(axis=2)
    off = np.abs(moved - along[:, :, None] * lines).max(axis=2)
    line = np.arange(len(new)), off.argmin(axis=1)
    np.testing.assert_allclose(off[line], 0, atol=1e-9)
    return along[line], near[line]


def test_svm_smote_starts_from_support_vectors_inwards_where_others_are_near_and_outwards_elsewhere():
    X, y = make_classification(1500, 6, n_informative=4, weights=[0.85], class_sep=0.8, flip_y=0.02, random_state=0)
    support = np.intersect1d(SVC().fit(X, y).support_, np.flatnonzero(y == 1))
    around = NearestNeighbors(n_neighbors=11).fit(X).kneighbors(X[support], return_distance=False)[:, 1:]
    foreign = (y[around] == 0).sum(axis=1)
    share = (foreign >= 5)[foreign < 10].mean()
    assert 0.2 < share < 0.8
    resampler = resample.SVMSMOTE(random_state=0)
    one = resampler.fit_resample(X, y)[0][len(X) :]
    starts, own = resampler.sample_indices_[len(X) :], np.flatnonzero(y == 1)
    assert set(starts) <= set(support[foreign < 10])
    near = own[NearestNeighbors(n_neighbors=6).fit(X[own]).kneighbors(X[starts], return_distance=False)[:, 1:]]
    along, _ = steps(X, starts, near, one)
    inwards = np.isin(starts, support[foreign >= 5])
    for found, low, high in ((along[inwards], 0, 1), (along[~inwards], -0.5, 0)):
        assert (found.min(), found.max()) == pytest.approx((low, high), abs=0.03)
        assert low <= found.min() <= found.max() <= high

    class InTurn(np.random.RandomState):
        def beta(self, a, b):  # what imbalanced-learn draws the share of new examples from that lie inwards
            return share

    other = over.SVMSMOTE(random_state=InTurn(1)).fit_resample(X, y)[0][len(X) :]
    for a, b in zip(_projections(one).T, _projections(other).T, strict=True):
        assert ks_2samp(a, b).pvalue > 0.01 / 6
        assert ks_2samp(a + 0.3 * a.std(), b).pvalue < 1e-6


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("threshold", [0.05, 0.3])
def test_k_means_smote_has_the_distribution_of_imbalanced_learns(container, threshold):
    X, y = make_classification(3000, 6, n_informative=4, weights=[0.85], class_sep=0.8, random_state=0)
    resampler = resample.KMeansSMOTE(threshold=threshold, random_state=0)
    one = resampler.fit_resample(container(X), y)[0][len(X) :]
    clusters = MiniBatchKMeans(8, n_init=1, random_state=int(np.random.default_rng(0).integers(2**31 - 1)))
    theirs = over.KMeansSMOTE(
        random_state=1, kmeans_estimator=clusters, cluster_balance_threshold=threshold, density_exponent=6
    )
    other = theirs.fit_resample(X, y)[0][len(X) :]
    for a, b in zip(_projections(one).T, _projections(other).T, strict=True):
        assert ks_2samp(a, b).pvalue > 0.01 / 6
        assert ks_2samp(a + 0.3 * a.std(), b).pvalue < 1e-6


def test_k_means_smote_shares_new_examples_by_how_sparse_clusters_are():
    rng = np.random.default_rng(0)
    own = np.concatenate([rng.normal(size=(50, 2)), rng.normal(size=(25, 2)) * 2 + 100])
    X = np.concatenate([own, rng.normal(size=(800, 2)) + np.array([0, 100])])
    y = np.repeat([1, 0], [75, 800])
    resampler = resample.KMeansSMOTE({1: 1075}, n_clusters=3, random_state=0)
    new = resampler.fit_resample(X, y)[0][len(X) :]
    apart = [pdist(own[:50]).mean() ** 2 / 50, pdist(own[50:]).mean() ** 2 / 25]
    assert (new[:, 0] > 50).sum() == round(1000 * apart[1] / sum(apart))


def test_k_means_smote_is_smote_where_a_class_is_nowhere_frequent():
    X, y = table()
    new = resample.KMeansSMOTE(k_neighbors=5, n_clusters=1, threshold=1.0, random_state=0).fit_resample(X, y)[0]
    assert new.shape == resample.SMOTE(random_state=0).fit_resample(X, y)[0].shape
    for wrong in {"threshold": "half"}, {"n_clusters": 0}:
        with pytest.raises(TailwiseError, match="must be"):
            resample.KMeansSMOTE(**wrong).fit_resample(X, y)


def test_cluster_centroids_are_imbalanced_learns():
    X, y = table()
    resampler = resample.ClusterCentroids(random_state=0)
    new, labels = resampler.fit_resample(X, y)
    seed = np.random.default_rng(0).integers(2**31 - 1, size=1).tolist()[0]
    theirs = under.ClusterCentroids(estimator=MiniBatchKMeans(n_init=1, random_state=seed))
    other, other_labels = theirs.fit_resample(X, y)
    for c in range(3):
        np.testing.assert_allclose(np.sort(new[labels == c], axis=0), np.sort(other[other_labels == c], axis=0))
    for row in np.flatnonzero(resampler.synthetic_):
        own = np.flatnonzero(y == labels[row])
        assert resampler.sample_indices_[row] == own[((X[own] - new[row]) ** 2).sum(axis=1).argmin()]
    thin = sparse.csr_array(np.where(np.random.default_rng(1).random(X.shape) < 0.5, 0, X))
    kept = resample.ClusterCentroids(random_state=0)
    np.testing.assert_array_equal(kept.fit_resample(thin, y)[0].toarray(), thin.toarray()[kept.sample_indices_])


def test_borderline_2_goes_half_as_far_towards_others():
    X, y = make_classification(2000, 4, n_informative=4, n_redundant=0, weights=[0.9], class_sep=0.5, random_state=0)
    resampler = resample.BorderlineSMOTE(kind="borderline-2", random_state=0)
    new_X, _ = resampler.fit_resample(X, y)
    starts = resampler.sample_indices_[len(X) :]
    near = NearestNeighbors(n_neighbors=11).fit(X).kneighbors(X, return_distance=False)[:, 1:]
    foreign = (y[near] == 0).sum(axis=1)
    assert set(starts) == set(np.flatnonzero((y == 1) & (foreign >= 5) & (foreign < 10)))
    along, ends = steps(X, starts, near[starts, :5], new_X[len(X) :])
    for found, far in ((along[y[ends] == 1], 1), (along[y[ends] == 0], 0.5)):
        assert 0 <= found.min() < 0.03 * far
        assert 0.97 * far < found.max() <= far


@pytest.mark.parametrize(
    "container",
    [
        np.asarray,
        pd.DataFrame,
        lambda X: pd.DataFrame(X).convert_dtypes(),
        lambda X: pl.DataFrame(X, schema=list("abcd")),
    ],
    ids=["array", "pandas", "pandas, nullable", "polars"],
)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, bool])
def test_noise_stays_among_the_numbers_of_a_type(container, dtype):
    """Rows lie at both ends of the type; half of the new ones would fall outside and come back at the other end."""
    low, high = (0, 1) if dtype is bool else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    y = np.repeat([0, 1, 2], [300, 20, 20])
    X = np.where(y == 1, dtype(low), dtype(high))[:, None].repeat(4, axis=1)
    X[y == 0] = X[-1]
    X[y > 0, 3] ^= np.arange(40) % 2 == 0 if dtype is bool else np.arange(40, dtype=dtype)  # what makes the noise
    new, labels = resample.GaussianOverSampler(random_state=0).fit_resample(container(X), y)
    new = np.asarray(new).astype(dtype)
    numbers = new[:, 3].astype(np.float64)
    for c, end in ((1, low), (2, high)):
        np.testing.assert_allclose(numbers[labels == c], float(end), atol=1 if dtype is bool else 90)


def test_whole_numbers_of_a_sparse_matrix_are_rounded():
    y = np.repeat([0, 1], [200, 20])
    X = sparse.csr_matrix(np.random.default_rng(0).integers(0, 2, size=(220, 3)))
    new, _ = resample.SMOTE(random_state=0).fit_resample(X, y)
    dense, _ = resample.SMOTE(random_state=0).fit_resample(X.toarray(), y)
    assert new.dtype == X.dtype
    np.testing.assert_array_equal(new.toarray(), dense)


def test_gaussian_noise_has_the_width_of_the_equation():
    X, y = table([20_000, 500], 3)
    resampler = resample.GaussianOverSampler(shrinkage=0.7, random_state=0)
    new_X, _ = resampler.fit_resample(X, y)
    noise = (new_X - X[resampler.sample_indices_])[len(X) :]
    expected = 0.7 * (4 / (5 * 500)) ** (1 / 7) * X[y == 1].std(axis=0)
    np.testing.assert_allclose(noise.std(axis=0), expected, rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02)


def test_mixup_keeps_more_of_the_example_it_starts_from():
    X, y = table([3000, 300], 2)
    resampler = resample.MixupOverSampler(alpha=1.0, random_state=0)
    new_X, new_y = resampler.fit_resample(X, y)
    assert (new_y[len(X) :] == 1).all()
    moved = (new_X - X[resampler.sample_indices_])[len(X) :]
    towards = X.mean(axis=0) - X[y == 1].mean(axis=0)
    np.testing.assert_allclose(moved.mean(axis=0), towards / 4, atol=0.05)  # min(u, 1 - u) is 1/4 on average


def test_whole_numbers_are_rounded_without_bias():
    X, y = table([500, 50], 2)
    whole = np.rint(X * 100).astype(np.int32)
    new_X, _ = resample.SMOTE(random_state=0).fit_resample(whole, y)
    assert new_X.dtype == np.int32
    exact, _ = resample.SMOTE(random_state=0).fit_resample(whole.astype(float), y)
    np.testing.assert_array_equal(new_X, np.rint(exact))


def test_too_few_neighbours_is_said():
    X, y = table([3, 2])
    with pytest.raises(TailwiseError, match="10 neighbours were asked for, but there are only 4 other examples"):
        resample.BorderlineSMOTE().fit_resample(X, y)


def mixed(seed=0):
    """Return a frame with numbers and categories, some missing, and labels that they tell something of."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], [900, 100]))
    city = np.array(["Bern", "Linz", "Graz"])[np.where(y, rng.choice(3, 1000, p=[0.2, 0.2, 0.6]), rng.choice(3, 1000))]
    level = rng.choice(["a", "b"], 1000, p=[0.3, 0.7])
    frame = {"size": rng.normal(size=1000) + y, "city": city, "weight": rng.normal(size=1000) * 2, "level": level}
    return pd.DataFrame(frame), y


def test_smotenc_has_the_distribution_of_imbalanced_learns():
    frame, y = mixed()
    new, _ = resample.SMOTENC(random_state=0).fit_resample(frame, y)
    reference = over.SMOTENC([1, 3], random_state=1).fit_resample(frame.to_numpy(dtype=object), y)[0][1000:]
    new = new[1000:]
    for j, name in [(0, "size"), (2, "weight")]:
        assert ks_2samp(new[name].astype(float), reference[:, j].astype(float)).pvalue > 0.005
    for j, name in [(1, "city"), (3, "level")]:
        ours, theirs = new[name].value_counts(normalize=True), pd.Series(reference[:, j]).value_counts(normalize=True)
        pd.testing.assert_series_equal(ours.sort_index(), theirs.sort_index(), atol=0.07, rtol=0, check_names=False)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_smotenc_keeps_categories_and_what_is_missing(library):
    frame, y = mixed()
    frame["city"] = frame["city"].where(np.arange(1000) % 9 > 0, None)
    frame["level"] = frame["level"].astype("category")
    frame["whole"] = np.arange(1000)
    frame = frame if library == "pandas" else pl.from_pandas(frame)
    new, new_y = resample.SMOTENC(random_state=0).fit_resample(frame, y)
    assert list(new.dtypes) == list(frame.dtypes)
    assert np.bincount(new_y).tolist() == [900, 900]
    assert set(new["level"]) == {"a", "b"}
    assert set(pd.Series(new["city"].to_list()).dropna()) == {"Bern", "Linz", "Graz"}
    head = new.head(1000)
    assert head.equals(frame)


def test_a_category_that_differs_is_a_median_deviation_away_for_smotenc():
    rng = np.random.default_rng(0)
    numbers, kinds = rng.normal(size=(90, 3)) * [1, 2, 5], rng.integers(3, size=(90, 2))
    X, y = np.column_stack([numbers, kinds]), np.repeat([0, 1], [30, 60])
    apart = np.median(numbers[30:].std(axis=0))
    far = ((X[30:, None, :3] - X[30:, :3]) ** 2).sum(axis=2) + apart**2 * (kinds[30:, None] != kinds[30:]).sum(axis=2)
    near = 30 + (far + np.diag(np.full(60, np.inf))).argmin(axis=1)
    resampler = resample.SMOTENC([3, 4], sampling_strategy={1: 400}, k_neighbors=1, random_state=0)
    new, starts = resampler.fit_resample(X, y)[0][90:], resampler.sample_indices_[90:]
    ends = near[starts - 30]
    steps(numbers, starts, ends[:, None], new[:, :3])
    np.testing.assert_array_equal(new[:, 3:], kinds[ends])


def test_smotenc_takes_the_most_frequent_category_of_the_neighbours():
    numbers, kinds = [0.0, 0.1, 0.2, 0.3, 0.4, 9, 9.1, 9.2], [0, 0, 0, 1, 0, 1, 1, 1]
    X = np.column_stack([numbers, kinds])
    y = np.array([1] * 5 + [0] * 3)
    new, new_y = resample.SMOTENC([1], sampling_strategy={0: 3, 1: 60}, k_neighbors=4, random_state=0).fit_resample(
        X, y
    )
    assert set(new[8:, 1]) == {0.0}
    assert (new_y[8:] == 1).all()


def test_smoten_takes_the_vote_of_an_example_and_its_neighbours():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [300, 30])
    X = np.where(y[:, None] == 1, rng.choice(["x", "y"], (330, 3), p=[0.9, 0.1]), rng.choice(["x", "y", "z"], (330, 3)))
    new, new_y = resample.SMOTEN(random_state=0).fit_resample(X, y)
    assert np.bincount(new_y).tolist() == [300, 300]
    made = new[330:]
    assert set(made.ravel()) <= {"x", "y"}
    reference = over.SMOTEN(random_state=0).fit_resample(X.astype(object), y)[0][330:]
    assert (made == "x").mean() == pytest.approx((reference == "x").mean(), abs=0.08)
    numbers = np.unique(X, return_inverse=True)[1].reshape(X.shape)
    swapped = resample.SMOTEN(random_state=0).fit_resample(numbers.astype(">i4"), y)[0]
    np.testing.assert_array_equal(swapped, resample.SMOTEN(random_state=0).fit_resample(numbers, y)[0])


def test_smoten_makes_the_example_of_its_paper():
    X = np.array([list(row) for row in ["ABCDE", "AFCGN", "HBCDN", *["VWXYZ"] * 6]])
    new, _ = resample.SMOTEN(k_neighbors=2, random_state=0).fit_resample(X, np.repeat([1, 0], [3, 6]))
    assert {"".join(row) for row in new[9:]} == {"ABCDN"}


def test_categories_are_as_far_apart_as_their_shares_of_classes_for_smoten():
    rng = np.random.default_rng(0)
    X, y = rng.integers(8, size=(190, 4)), np.repeat([0, 1, 2], [100, 50, 40])
    own = np.arange(150, 190)
    shares = [[[(y[X[:, j] == v] == c).mean() for c in range(3)] for v in range(8)] for j in range(4)]
    points = np.concatenate([np.array(shares[j])[X[own, j]] for j in range(4)], axis=1)
    near = own[NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points, return_distance=False)[:, 1]]
    resampler = resample.SMOTEN({2: 400}, k_neighbors=1, random_state=0)
    new, starts = resampler.fit_resample(X, y)[0][190:], resampler.sample_indices_[190:]
    assert ((new == X[starts]) | (new == X[near[starts - 150]])).all()


def test_ties_between_categories_are_broken_at_random():
    X, y = np.array([["a"], ["b"], *[["c"]] * 402]), np.repeat([1, 0], [2, 402])
    resampler = resample.SMOTEN(random_state=0)
    new = resampler.fit_resample(X, y)[0][404:]
    for start in (0, 1):  # one vote is its own, the other its only neighbour's
        assert (new[resampler.sample_indices_[404:] == start] == "a").mean() == pytest.approx(0.5, abs=0.15)


def test_of_categories_alone_smotenc_is_smoten():
    frame, y = mixed()
    names = frame[["city", "level"]]
    found, wanted = (method(random_state=0).fit_resample(names, y)[0] for method in (resample.SMOTENC, resample.SMOTEN))
    pd.testing.assert_frame_equal(found, wanted)


@pytest.mark.parametrize("method", EVERY)
def test_scikit_learns_tags_say_what_a_table_may_hold(method):
    X, y = table()
    missing = np.where(np.arange(X.size).reshape(X.shape) == 5, np.nan, X)
    names = np.array(["a", "b", "c"])[(X > 0.5).astype(int) + (X > 1)]
    tags = get_tags(made(method)).input_tags

    def takes(rows):
        try:
            made(
                method,
                **(
                    {"categorical_features": [0, 1, 2, 3]}
                    if rows is names and "categorical_features" in inspect.signature(method).parameters
                    else {}
                ),
            ).fit_resample(rows, y)
        except ValueError:
            return False
        return True

    assert (tags.sparse, tags.allow_nan, tags.string) == (takes(sparse.csr_array(X)), takes(missing), takes(names))
    assert get_tags(made(method)).target_tags.required


def test_masked_values_are_not_taken_for_what_they_hide():
    X, y = table()
    with pytest.raises(TailwiseError, match="the table has masked values"):
        resample.SMOTE().fit_resample(np.ma.array(X, mask=X > 2), y)
    with pytest.raises(TailwiseError, match="labels are missing"):
        resample.RandomOverSampler().fit_resample(X, np.ma.array(y, mask=y == 1))


def test_labels_may_be_a_frame_of_one_column():
    X, y = table()
    with pytest.warns(DataConversionWarning):
        found = resample.RandomOverSampler(random_state=0).fit_resample(X, pd.DataFrame({"t": y}))[1]
    np.testing.assert_array_equal(np.ravel(found), resample.RandomOverSampler(random_state=0).fit_resample(X, y)[1])


@pytest.mark.parametrize("method", [resample.GaussianOverSampler, resample.KMeansSMOTE, resample.ClusterCentroids])
def test_numbers_too_large_for_distances_are_one_line(method):
    X, y = table()
    with pytest.raises(TailwiseError, match="whose squares no distance can hold"):
        made(method).fit_resample(X * 1e200, y)


def test_nominal_methods_say_what_they_need():
    frame, y = mixed()
    with pytest.raises(TailwiseError, match="the table has only numbers: use SMOTE"):
        resample.SMOTENC().fit_resample(frame[["size", "weight"]], y)
    with pytest.raises(TailwiseError, match="categorical_features must be a list of columns or 'auto', not 5"):
        resample.SMOTENC(5).fit_resample(frame, y)
    nested = frame.assign(city=pd.Series([["a"]] * len(frame), index=frame.index))
    arrow = nested.assign(city=nested["city"].astype(pd.ArrowDtype(pa.list_(pa.string()))))
    fixed = pl.DataFrame({"size": frame["size"].to_numpy(), "city": np.zeros((len(frame), 2))})
    for lists in (nested, arrow, fixed, fixed.with_columns(city=pl.struct("size"))):
        with pytest.raises(TailwiseError, match="column 'city' holds values that are no categories, such as lists"):
            resample.SMOTENC().fit_resample(lists, y)
    with pytest.raises(TailwiseError, match="does not say which columns are categories"):
        resample.SMOTENC().fit_resample(frame.to_numpy(), y)
    with pytest.raises(TailwiseError, match=r"column 'level' is .* or list it in categorical_features too"):
        resample.SMOTENC(["city"]).fit_resample(frame, y)
    with pytest.raises(TailwiseError, match="not None"):
        resample.SMOTENC(None).fit_resample(frame, y)
    with pytest.raises(TailwiseError, match="names column 'town', which does not exist"):
        resample.SMOTENC(["town"]).fit_resample(frame, y)


def test_many_categories_are_not_written_out():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=900), "code": rng.integers(0, 600, 900).astype(str)})
    y = np.repeat([0, 1], [500, 400])
    new, _ = resample.SMOTENC(random_state=0).fit_resample(frame, y)
    assert set(new["code"][900:]) <= set(frame["code"][500:])


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "polars"])
def test_real_numbers_of_any_kind_are_not_rounded(library):
    X, y = table()
    frame = pd.DataFrame(X, columns=list("abcd"))
    if library == "pyarrow":
        frame = frame.astype("double[pyarrow]")
    elif library == "polars":
        frame = pl.DataFrame(X, schema=list("abcd")).with_columns(pl.col("a").cast(pl.Decimal(10, 4)))
    new, _ = resample.SMOTE(random_state=0).fit_resample(frame, y)
    made = np.asarray(new["a"][len(X) :], dtype=float)
    assert (made != np.rint(made)).mean() > 0.9


def test_a_mask_names_the_columns_with_categories():
    X, y = table()
    X[:, 0] = np.rint(X[:, 0])
    by_mask = resample.SMOTENC([True, False, False, False], random_state=0).fit_resample(X, y)[0]
    np.testing.assert_array_equal(by_mask, resample.SMOTENC([0], random_state=0).fit_resample(X, y)[0])


def test_sample_weights_must_be_those_of_the_rows():
    X, y = table()
    sets = np.eye(3, dtype=int)[y]
    for resampler, target in ((resample.SMOTE(), y), (resample.MLSMOTE(), sets), (resample.SMOGN(), X[:, 0])):
        with pytest.raises(TailwiseError, match="one number for each of 175 rows"):
            resampler.fit_resample(X, target, sample_weight=np.ones(999))


def test_sparse_columns_of_pandas_stay_what_they_are():
    X, y = table()
    frame = pd.DataFrame({"a": pd.arrays.SparseArray((X[:, 0] > 0).astype(int)), "b": X[:, 1]})
    made_of = resample.SMOTE(random_state=0).fit_resample(frame, y)[0]
    assert str(made_of["a"].dtype) == str(frame["a"].dtype)


class Typed(resample.SMOTE):
    def __init__(self, sampling_strategy="auto", k_neighbors=5, random_state=None, weights: "OnlyForCheckers" = None):  # noqa: F821
        super().__init__(sampling_strategy, k_neighbors=k_neighbors, random_state=random_state)
        self.weights = weights


def test_a_subclass_may_have_hints_that_are_not_there_at_run_time():
    assert len(Typed().fit_resample(*table())[1])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_the_mean_distance_is_that_of_all_pairs(container):
    X = np.random.default_rng(0).normal(size=(700, 3)) * [1, 5, 0.1]
    assert _mean_distance(container(X)) == pytest.approx(pdist(X).mean(), rel=1e-9)
    many = np.random.default_rng(0).normal(size=(20_000, 2))
    assert _mean_distance(container(many)) == pytest.approx(np.sqrt(np.pi), rel=0.02)  # of a standard normal pair
    assert 0 < _mean_distance(container(np.ones((5, 2)))) < 1e-100


@pytest.mark.parametrize("version", [1, 2, 3])
def test_near_miss_may_keep_nothing_of_a_class(version):
    X, y = table()
    labels = resample.NearMiss({0: 0, 1: 20}, version=version).fit_resample(X, y)[1]
    counts = np.bincount(labels).tolist()
    assert counts[::2] == [0, 15]
    assert counts[1] == 20 or (version == 3 and 0 < counts[1] < 20), "candidates can be fewer than asked for"


@pytest.mark.parametrize("method", [resample.SMOTE, resample.TomekLinks, resample.NearMiss, resample.MixupOverSampler])
def test_missing_values_of_a_sparse_matrix_are_refused(method):
    X, y = table()
    X[5, 1] = np.nan
    with pytest.raises(TailwiseError, match="no missing values in a sparse matrix"):
        made(method).fit_resample(sparse.csr_array(X), y)


@pytest.mark.parametrize("dtype", ["U4", "S4", "M8[D]", "m8[D]", complex])
def test_arrays_of_what_is_no_real_number_are_refused(dtype):
    X, y = np.arange(40).reshape(20, 2) + 0.5, np.repeat([0, 1], [14, 6])
    with pytest.raises(TailwiseError, match="SMOTE needs numbers"):
        resample.SMOTE().fit_resample(X.astype(float if dtype == "U4" else int).astype(dtype), y)


def test_gaussian_noise_is_as_wide_in_float32_as_in_float64():
    rng = np.random.default_rng(0)
    X = (1e5 + rng.normal(size=(100_000, 2))).astype(np.float32)
    y = np.repeat([0, 1], [60_000, 40_000])
    deviation = []
    for points in (X, X.astype(np.float64)):
        method = resample.GaussianOverSampler(random_state=0)
        new = method.fit_resample(points, y)[0][100_000:].astype(np.float64)
        deviation.append((new - X[method.sample_indices_[100_000:]]).std())
    assert deviation[0] == pytest.approx(deviation[1], rel=0.02)


def test_large_nullable_integers_stay_apart():
    y = pd.Series(np.repeat([2**60, 2**60 + 1, 5], [70, 10, 20]), dtype="Int64")
    _, targets = resample.RandomOverSampler(random_state=0).fit_resample(np.zeros((100, 1)), y)
    assert targets.dtype == "Int64"
    assert sorted(targets.value_counts()) == [70, 70, 70]


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b", None, "b"],
        np.array(["a", "b", None, "b"], dtype=object),
        [0.0, 1.0, np.nan, 1.0],
        pd.Series(["a", "b", None, "b"], dtype="category"),
        pd.array([0, 1, None, 1], dtype="Int64"),
        pl.Series(["a", "b", None, "b"]),
        pl.Series([0, 1, None, 1]),
    ],
    ids=lambda y: type(y).__name__,
)
def test_missing_labels_are_told(y):
    with pytest.raises(TailwiseError, match="1 label is missing, the first in row 2: leave such rows out"):
        resample.RandomOverSampler().fit_resample(np.zeros((4, 1)), y)


def test_tensors_of_any_kind():
    torch = pytest.importorskip("torch")
    x, y = torch.randn(30, 2), torch.tensor([0] * 20 + [1] * 10)
    grown, labels = resample.SMOTE(random_state=0).fit_resample(x.bfloat16(), y)
    assert (grown.dtype, labels.dtype) == (torch.bfloat16, torch.int64)
    assert len(grown) == len(labels) == 40
    assert len(resample.SMOTE(random_state=0).fit_resample(x.requires_grad_(), y)[0]) == 40


@pytest.mark.parametrize("method", [resample.SMOTENC, resample.SMOTEN])
def test_more_neighbours_than_rows_cost_no_memory(method):
    frame = pd.DataFrame({"a": list("abc") * 20, "b": list("de") * 30, "c": np.arange(60.0)})
    frame = frame[["a", "b"]] if method is resample.SMOTEN else frame
    made, _ = method(k_neighbors=10**9, random_state=0).fit_resample(frame, np.arange(60) >= 50)
    assert len(made) == 100


def test_lazy_frames_come_back_read_and_a_column_is_no_table():
    y = np.arange(60) >= 50
    grown, _ = resample.SMOTE(random_state=0).fit_resample(pl.LazyFrame({"a": np.arange(60.0)}), y)
    assert isinstance(grown, pl.DataFrame)
    assert len(grown) == 100
    with pytest.raises(TailwiseError, match="SMOTE needs a table; got shape"):
        resample.SMOTE().fit_resample(pd.Series(np.arange(60.0)), y)


@pytest.mark.parametrize("method", NUMERIC)
def test_lazy_frames_are_read(method):
    x, y = table()
    frame = pl.DataFrame(x, schema=list("abcd"))
    resampler = made(method)
    resampler.fit(frame.lazy(), y)
    grown, labels = resampler.fit_resample(frame.lazy(), y)
    expected, their_labels = made(method).fit_resample(frame, y)
    assert grown.equals(expected)
    np.testing.assert_array_equal(labels, their_labels)


@pytest.mark.parametrize("counts", [[120, 100], [140, 100], [150, 100], [200, 30]])
def test_adasyn_reaches_its_count_where_imbalanced_learn_may_add_nothing(counts):
    x, y = table(counts)
    labels = resample.ADASYN(random_state=0).fit_resample(x, y)[1]
    assert np.bincount(labels).tolist() == [counts[0], counts[0]]


@pytest.mark.parametrize(("method", "name"), [(resample.SMOTE, "majority"), (resample.RandomUnderSampler, "minority")])
def test_strategies_that_would_do_nothing_are_refused(method, name):
    with pytest.raises(TailwiseError, match=f"-sampling leaves the {name} class as it is: use 'not {name}'"):
        method(name).fit_resample(*table())


def test_classes_to_clean_may_be_an_array():
    x, y = table()
    ours, theirs = (resample.TomekLinks(classes).fit_resample(x, y)[0] for classes in (np.array([0]), [0]))
    np.testing.assert_array_equal(ours, theirs)


def test_smoten_needs_memory_for_the_classes_that_grow_only():
    rng = np.random.default_rng(0)
    y = np.concatenate([np.repeat(np.arange(300), 20), np.repeat(300, 5)])
    x = pl.DataFrame(rng.integers(0, 10, (len(y), 10)).astype(str))
    resampler = resample.SMOTEN({300: 20}, random_state=0)
    resampler.fit_resample(x, y)
    tracemalloc.start()
    resampler.fit_resample(x, y)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000, "all rows times classes are 72 MB"
    tracemalloc.stop()


@pytest.mark.parametrize("threshold", [2.0, -0.1, np.nan, "all"])
def test_the_threshold_of_kmeans_smote_is_a_share(threshold):
    with pytest.raises(TailwiseError, match="threshold must be a share from 0 to 1, or 'auto'"):
        resample.KMeansSMOTE(threshold=threshold).fit_resample(*table())


def test_weights_of_a_tensor_that_learns():
    torch = pytest.importorskip("torch")
    x, y = table()
    weights = resample.SMOTE(random_state=0).fit_resample(x, y, torch.ones(len(y), requires_grad=True))[2]
    assert (weights == 1).all()


def test_a_cluster_that_has_just_the_share_of_its_class_is_dense():
    x = np.repeat([[0.0, 0.0], [100.0, 100.0]], 25, axis=0) + np.random.default_rng(0).normal(size=(50, 2))
    y = np.tile(np.r_[np.zeros(18), np.ones(7)], 2)  # 14 of 50, as in each cluster, where 25 * (14 / 50) > 7
    new = resample.KMeansSMOTE(n_clusters=2, k_neighbors=8, random_state=0).fit_resample(x, y)[0][50:]
    assert (np.abs(new - 50) > 40).all(), "none lies between the clusters"


def test_a_class_that_is_cleaned_away_is_told():
    rng = np.random.default_rng(0)
    sizes = [100, 40, 3, 2]
    X, y = np.concatenate([rng.normal(10 * c, 1, (n, 2)) for c, n in enumerate(sizes)]), np.repeat(list("abcd"), sizes)
    with pytest.warns(UserWarning, match="EditedNearestNeighbours removed every example of class c: name the classes"):
        labels = resample.EditedNearestNeighbours().fit_resample(X, y)[1]
    assert sorted(set(labels)) == ["a", "b", "d"]
    with pytest.warns(UserWarning, match="SMOTEENN removed .* class c: use SMOTE, and then Edited") as told:
        resample.SMOTEENN("minority").fit_resample(X, y)
    assert len(told) == 1
    assert told[0].filename == __file__


@pytest.mark.parametrize("rare", [1, 2])
@pytest.mark.parametrize("estimator", [None, LogisticRegression(), HistGradientBoostingClassifier()])
def test_hardness_beside_a_class_of_one_or_two(rare, estimator):
    X, y = np.random.default_rng(0).normal(size=(40 + rare, 2)), np.repeat(["no", "yes"], [40, rare])
    labels = resample.InstanceHardnessThreshold(estimator=estimator).fit_resample(X, y)[1]
    assert np.unique(labels, return_counts=True)[1].tolist() == [rare, rare]


def test_a_sparse_table_mapped_from_a_file_has_clusters():
    X, y = table()
    mapped = sparse.csr_array(X)
    for part in (mapped.data, mapped.indices, mapped.indptr):
        part.flags.writeable = False
    assert resample.KMeansSMOTE(threshold=0.0, random_state=0).fit_resample(mapped, y)[0].shape[0] > len(y)


def test_noise_does_not_leave_the_range_of_float16():
    X = np.random.default_rng(0).choice([-64000, 64000], (60, 3)).astype(np.float16)
    made = resample.GaussianOverSampler(random_state=0).fit_resample(X, np.repeat([0, 1], [50, 10]))[0]
    assert made.dtype == np.float16
    assert np.isfinite(made).all()


def test_near_miss_keeps_the_same_rows_by_a_tree(monkeypatch):
    X, y = make_classification(600, 4, n_informative=4, n_redundant=0, weights=[0.8], random_state=0)
    found = []
    for many in (0, 1000):
        monkeypatch.setattr(_clean, "_MANY", many)
        found.append(resample.NearMiss())
        found[-1].fit_resample(X, y)
    np.testing.assert_array_equal(found[0].sample_indices_, found[1].sample_indices_)


def test_whole_numbers_are_positions_of_categories_and_masks_fit_the_table():
    rng = np.random.default_rng(0)
    X = np.stack([rng.normal(size=60), rng.normal(size=60), rng.integers(4, size=60)], axis=1)
    y = np.repeat([0, 1], [45, 15])
    frame = pd.DataFrame(X, columns=[1, 2, 0])
    new, _ = resample.SMOTENC([2], random_state=0).fit_resample(frame, y)
    assert set(new[0]) <= {0, 1, 2, 3}
    assert not np.isin(new[2][60:], X[:, 1]).any()
    for mask in ([False, True], [False, True, False, True]):
        with pytest.raises(TailwiseError, match=f"a mask of {len(mask)} columns, but there are 3"):
            resample.SMOTENC(mask).fit_resample(X, y)


def test_a_frame_keeps_what_is_noted_on_it():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    frame.attrs["unit"] = "m"
    for method in (resample.SMOTE(), resample.RandomOverSampler(), resample.SMOTETomek()):
        assert method.fit_resample(frame, np.repeat([0, 1], [45, 15]))[0].attrs == {"unit": "m"}


def test_no_weights_are_routed_to_a_resampler_which_a_pipeline_would_not_take_back():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.repeat([0, 1], [45, 15])
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(resample.SMOTE(), LogisticRegression().set_fit_request(sample_weight=True))
        assert resample.SMOTE().get_metadata_routing().fit_resample.requests == {"sample_weight": False}
        search = GridSearchCV(pipeline, {"logisticregression__C": [1.0]}, cv=GroupKFold(3))
        assert search.fit(X, y, groups=np.tile(np.arange(3), 20)).predict(X).shape == (60,)
