"""Values against scikit-learn, intervals against resampled examples, and what happens where a class is missing."""

import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binomtest
from sklearn import metrics as sk

from tailwise.errors import TailwiseError
from tailwise.metrics import Accumulator, accumulate, evaluate, relative_accuracy

COUNTS = np.array([500, 120, 60, 40, 12, 3])


def make(seed=0, n=600, k=6, shift=1.0, absent=()):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.setdiff1d(np.arange(k), absent), size=n)
    scores = rng.normal(size=(n, k))
    scores[np.arange(n), labels] += shift
    proba = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return labels, scores.argmax(axis=1), proba


@pytest.mark.parametrize("absent", [(), (2,), (4, 5)])
def test_values_are_those_of_scikit_learn(absent):
    y, p, q = make(absent=absent)
    found = evaluate(y, p, class_counts=COUNTS, proba=q, n_bootstrap=0)
    present = np.unique(y)
    recall = sk.recall_score(y, p, labels=present, average=None)
    expected = {
        "accuracy": sk.accuracy_score(y, p),
        "balanced_accuracy": recall.mean(),
        "macro_f1": sk.f1_score(y, p, average="macro"),
        "g_mean": recall.prod() ** (1 / len(present)),
        "harmonic_mean": len(present) / (1 / recall).sum(),
        "worst_class": recall.min(),
        "log_loss": sk.log_loss(y, q, labels=np.arange(6)),
        "brier": ((q - np.eye(6)[y]) ** 2).sum(axis=1).mean(),
        "auroc": np.mean([sk.roc_auc_score(y == c, q[:, c]) for c in present]),
        "auprc": np.mean([sk.average_precision_score(y == c, q[:, c]) for c in present]),
    }
    assert_allclose([found[name] for name in expected], list(expected.values()), rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = sk.classification_report(y, p, labels=np.arange(6), output_dict=True, zero_division=0)
    for code, row in enumerate(found.per_class()):
        theirs = report[str(code)]
        assert row["support"] == theirs["support"]
        assert (row["recall"] is None) == (code in absent)
        assert (row["recall"] or 0) == pytest.approx(theirs["recall"])
        assert (row["precision"] or 0) == pytest.approx(theirs["precision"])


def test_intervals_of_single_recalls_are_wilsons():
    y, p, _ = make(absent=(3,))
    found = evaluate(y, p, class_counts=COUNTS)
    for code, (value, low, high) in enumerate(found.recall):
        n, hits = int((y == code).sum()), int(((y == code) & (p == code)).sum())
        if not n:
            assert np.isnan([value, low, high]).all()
            continue
        theirs = binomtest(hits, n).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-4)


def test_intervals_hold_where_the_tail_is_long_and_hard():
    """Three hundred classes, the rarest of which have a test example each and are hardly ever found."""
    n, recall = np.round(np.geomspace(80, 1, 300)).astype(int), np.linspace(0.75, 0.05, 300)
    y = np.repeat(np.arange(300), n)
    truth = {"balanced_accuracy": recall.mean(), "few_shot_accuracy": recall[n < 5].mean()}
    held = dict.fromkeys(truth, 0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = np.where(rng.random(len(y)) < recall[y], y, rng.integers(300, size=len(y)))
        found = evaluate(y, p, class_counts=np.where(n < 5, 4 * n, 40 * n), n_bootstrap=200, random_state=seed).overall
        for name, value in truth.items():
            held[name] += found[name].low <= value <= found[name].high
    assert min(held.values()) >= 17, held


def test_calibration_errors_are_their_definition():
    y, p, q = make(n=400)
    found = evaluate(y, p, class_counts=COUNTS, proba=q, n_bootstrap=0)

    def ece(confidence, right):
        cells = np.minimum((confidence * 15).astype(int), 14)
        return sum(abs((right - confidence)[cells == b].sum()) for b in np.unique(cells)) / len(right)

    top = q[np.arange(len(p)), p]
    assert found["ece"] == pytest.approx(ece(top, y == p))
    assert found["classwise_ece"] == pytest.approx(np.mean([ece(q[:, c], y == c) for c in range(6)]))
    few = np.isin(p, [4, 5])
    assert found.by_group["few"]["ece"].value == pytest.approx(ece(top[few], (y == p)[few]))
    assert found.reliability["all"][0].sum() == len(y)


def test_groups_are_means_over_their_classes_and_empty_ones_are_absent():
    y, p, q = make(absent=(4, 5))
    sets = q > 0.1
    found = evaluate(y, p, class_counts=COUNTS, sets=sets, n_bootstrap=50)
    assert list(found.by_group) == ["many", "medium"]
    recall = [(p[y == c] == c).mean() for c in range(4)]
    assert found["many_shot_accuracy"] == pytest.approx(np.mean(recall[:2]))
    held = [sets[y == c, c].mean() for c in range(4)]
    size = [sets[y == c].sum(axis=1).mean() for c in range(4)]
    assert found.by_group["medium"]["coverage"].value == pytest.approx(np.mean(held[2:]))
    assert found.by_group["medium"]["set_size"].value == pytest.approx(np.mean(size[2:]))
    assert found["coverage"] == pytest.approx(np.mean(held))


def test_nothing_is_nan_with_one_class_in_the_test_set():
    y, p, q = np.zeros(20, dtype=int), np.zeros(20, dtype=int), np.full((20, 6), 1 / 6)
    found = evaluate(y, p, class_counts=COUNTS, proba=q, sets=q > 0, n_bootstrap=20).to_dict()
    assert "auroc" not in found["overall"]
    assert list(found["by_group"]) == ["many"]
    numbers = [n for e in found["overall"].values() for n in e.values() if n is not None]
    assert np.isfinite(numbers).all()


def test_intervals_are_those_of_resampled_examples():
    y, p, q = make(n=300, shift=1.5)
    found = evaluate(y, p, class_counts=COUNTS, proba=q, sets=q > 0.2, n_bootstrap=1500)
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(400):
        rows = np.concatenate([rng.choice(np.flatnonzero(y == c), size=(y == c).sum()) for c in range(6)])
        draws.append(evaluate(y[rows], p[rows], class_counts=COUNTS, proba=q[rows], sets=q[rows] > 0.2, n_bootstrap=0))
    for name, estimate in found.overall.items():
        low, high = np.quantile([draw[name] for draw in draws], [0.025, 0.975])
        # A calibration error is skewed by the folding of an absolute value; the others agree to Monte Carlo error.
        assert estimate.high - estimate.low == pytest.approx(high - low, rel=0.35 if "ece" in name else 0.2), name
        assert estimate.low <= estimate.value <= estimate.high, name


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        y = np.repeat(np.arange(6), 50)
        p = np.where(rng.random(300) < 0.7, y, (y + 1) % 6)
        low, high = evaluate(y, p, class_counts=COUNTS, n_bootstrap=200, random_state=rng).overall["balanced_accuracy"][
            1:
        ]
        covered += low <= 0.7 <= high
    assert 0.88 <= covered / 200 <= 0.99


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([np.float32, np.float64]))
def test_batches_and_merges_change_nothing(seed, parts, dtype):
    y, p, q = make(seed, n=60)
    q = q.astype(dtype)
    whole = Accumulator(6)
    whole.update(y, p, q, q > 0.2)
    merged = Accumulator(6)
    for part in np.array_split(np.arange(60), parts):
        one = Accumulator(6)
        one.update(y[part], p[part], q[part], q[part] > 0.2)
        merged.merge(one)
    ours, theirs = (evaluate(a, class_counts=COUNTS, n_bootstrap=0) for a in (merged, whole))
    assert_allclose([ours[n] for n in ours.overall], [theirs[n] for n in theirs.overall], rtol=1e-9)
    assert (ours.confusion == theirs.confusion).all()


def test_rankings_are_exact_until_there_are_too_many_probabilities(monkeypatch):
    y, p, q = make(3, n=60)
    exact = evaluate(y, p, proba=q, class_counts=COUNTS, n_bootstrap=0)
    for most, merged in ((360, True), (360, False), (359, True), (359, False)):
        monkeypatch.setattr(accumulate, "_EXACT", most)
        seen, other = Accumulator(6), Accumulator(6)
        for part in (slice(40), slice(40, 60)):
            (other if merged and part.start else seen).update(y[part], p[part], q[part])
        seen.merge(other)
        found = evaluate(seen, class_counts=COUNTS, n_bootstrap=0)
        assert ("auroc_error" in found) == (most < 360)
        assert (found["auprc"] == exact["auprc"]) == (most == 360)
        assert abs(found["auroc"] - exact["auroc"]) <= (found["auroc_error"] if most < 360 else 0)


@pytest.mark.parametrize("n", range(1, 60))
def test_intervals_of_recall_stay_within_bounds(n):
    for predicted in (np.zeros(n, int), np.ones(n, int)):
        recall = evaluate(np.zeros(n, int), predicted, class_counts=[5, 5]).recall[0]
        assert 0 <= recall[1] <= recall[0] <= recall[2] <= 1


def test_many_classes_and_tiny_batches_count_the_same():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 300, (2, 1000))
    seen = Accumulator(300)
    for part in np.array_split(np.arange(1000), 50):
        seen.update(y[part].astype(np.int32), p[part].astype(np.int16))
    assert (seen.confusion == sk.confusion_matrix(y, p, labels=np.arange(300))).all()


def test_unlabelled_rows_are_left_out():
    y, p, q = make()
    keep = np.arange(len(y)) % 3 > 0
    ours = evaluate(np.where(keep, y, -1), p, class_counts=COUNTS, proba=q, n_bootstrap=0)
    theirs = evaluate(y[keep], p[keep], class_counts=COUNTS, proba=q[keep], n_bootstrap=0)
    assert ours.overall == theirs.overall


def test_result_is_plain_and_reproducible():
    import json

    y, p, q = make()
    one, two = (evaluate(y, p, class_counts=COUNTS, proba=q, n_bootstrap=50, random_state=3) for _ in range(2))
    assert one.to_dict() == two.to_dict()
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False)) == one.to_dict()
    assert one.worst == str(int(np.argmin([row["recall"] for row in one.per_class()])))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0]), "2 labels but 1 rows"),
        (([0, 9], [0, 1]), "code 9 is out of range for 6"),
        (([0, 1], [0, -1]), "code -1 is out of range"),
        (([0.0, 1.0], [0, 1]), "integer class codes"),
        (([-1, -1], [0, 1]), "no labelled example"),
        (([0, 1], [0, 1], np.ones((2, 3))), "are .n, 6."),
        (([0, 1], [0, 1], np.full((2, 6), np.nan)), "finite"),
        (([0, 1], [0, 1], np.ones((2, 6))), "sum to one"),
        (([0, 1], [0, 1], np.full((2, 6), "0")), "must be numbers"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    y, p, *q = arguments
    with pytest.raises(TailwiseError, match=message) as error:
        evaluate(y, p, class_counts=COUNTS, proba=q[0] if q else None)
    assert "\n" not in str(error.value)


def test_resamples_and_sizes_are_whole_numbers_and_an_accumulator_stands_alone():
    y, p, _ = make()
    for n in (-5, 10.5):
        with pytest.raises(TailwiseError, match="n_bootstrap must be a whole number of at least 0; got"):
            evaluate(y, p, class_counts=COUNTS, n_bootstrap=n)
    for n in ("a", 2.5, 0):
        with pytest.raises(TailwiseError, match="n_classes must be a whole number of at least 1; got"):
            Accumulator(n)
    seen = Accumulator(6)
    seen.update(y, p)
    with pytest.raises(TailwiseError, match="an accumulator holds everything"):
        evaluate(seen, p, class_counts=COUNTS)


def test_probabilities_come_always_or_never():
    y, p, q = make()
    seen = Accumulator(6)
    seen.update(y, p, q)
    with pytest.raises(TailwiseError, match="in every batch or in none"):
        seen.update(y, p)


@pytest.mark.parametrize("before", [0, 1])
def test_a_refused_batch_leaves_nothing_behind(before):
    y, p, q = make(n=100_000)
    seen, expected = Accumulator(6), Accumulator(6)
    for accumulator in (seen, expected)[: 2 * before]:
        accumulator.update(y[:50], p[:50], q[:50])
    broken = q.copy()
    broken[-1] = 0.5
    with pytest.raises(TailwiseError, match="sum to one"):
        seen.update(y, p, broken)
    for accumulator in (seen, expected):
        accumulator.update(y, p, q)
    np.testing.assert_array_equal(seen.confusion, expected.confusion)
    for name, counted in vars(expected.probabilities).items():
        np.testing.assert_array_equal(vars(seen.probabilities)[name], counted)


def test_probabilities_of_unlabelled_rows_may_be_anything():
    y, p, q = make(n=100)
    y[::3], q[::3] = -1, np.nan
    assert evaluate(y, p, class_counts=COUNTS, proba=q, n_bootstrap=0).n_examples == 66


@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_sure_probabilities_may_be_whole_numbers(dtype):
    y, p, _ = make()
    sure = np.eye(6)[p]
    found, expected = (
        evaluate(y, p, class_counts=COUNTS, proba=q, n_bootstrap=0).to_dict() for q in (sure.astype(dtype), sure)
    )
    assert found == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64])
def test_the_labels_type_does_not_matter(dtype):
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 100, (2, 3000))
    for n in (3000, 5):  # in a table, and cell by cell
        one, other = Accumulator(100), Accumulator(100)
        one.update(y[:n], p[:n])
        other.update(y[:n].astype(dtype), p[:n].astype(dtype))
        np.testing.assert_array_equal(one.confusion, other.confusion)


def test_tensors_are_measured_as_arrays_are():
    torch = pytest.importorskip("torch")
    arrays = make()
    found, expected = (
        evaluate(y, p, proba=q, class_counts=COUNTS, n_bootstrap=0) for y, p, q in (map(torch.tensor, arrays), arrays)
    )
    assert found.to_dict() == expected.to_dict()


@pytest.mark.parametrize("each", [1, 2, 5, 40])
def test_intervals_hold_with_few_examples_a_class(each):
    """Of 20 classes with recalls about 0.6, means of the recalls lie in their intervals as promised."""
    rng, k, rounds, held = np.random.default_rng(0), 20, 100, Counter()
    labels = np.repeat(np.arange(k), each)
    for _ in range(rounds):
        recalls = rng.uniform(0.4, 0.8, k)
        truth = {"balanced_accuracy": recalls.mean(), "coverage": recalls.mean()}
        if each >= 5:  # with fewer, hardly any sample shows more of these than that a class was missed
            truth |= {"g_mean": np.exp(np.log(recalls).mean()), "harmonic_mean": 1 / (1 / recalls).mean()}
        hit = rng.random(labels.size) < recalls[labels]
        predicted = np.where(hit, labels, (labels + rng.integers(1, k, labels.size)) % k)
        sets = np.eye(k, dtype=bool)[predicted]
        found = evaluate(labels, predicted, sets=sets, class_counts=np.full(k, 50), n_bootstrap=200, random_state=rng)
        for name, mean in truth.items():
            value, low, high = found.overall[name]
            assert low <= value <= high
            held[name] += low <= mean <= high
    assert min(held.values()) / rounds > 0.9, held


def test_intervals_of_coverage_hold_where_only_rare_classes_are_missed():
    """The examples of the head, nearly all covered, must not say how much those of the tail differ."""
    rng, counts = np.random.default_rng(0), (500 / np.arange(1, 51) ** 1.5).astype(int) + 1
    labels = np.repeat(np.arange(50), counts)
    covered = np.where(counts > 30, 0.999, 0.8)
    found = []
    for _ in range(150):
        sets = np.zeros((labels.size, 50), dtype=bool)
        sets[np.arange(labels.size), labels] = rng.random(labels.size) < covered[labels]
        estimates = evaluate(labels, labels, sets=sets, class_counts=counts, n_bootstrap=100, random_state=rng)
        _, low, high = estimates.overall["coverage"]
        found.append(low <= covered.mean() <= high)
    assert np.mean(found) > 0.9


def test_the_mean_size_of_sets_is_no_smaller_than_the_smallest_of_them():
    labels = np.repeat([0, 1], [300, 2])
    sets = np.eye(2, dtype=bool)[labels]
    sets[:150] = True
    low = evaluate(labels, labels, sets=sets, class_counts=[300, 2]).overall["set_size"].low
    assert 1 <= low < 1.25


def test_relative_accuracy():
    assert relative_accuracy(0.3, 0.4, 0.5) == (0.6, 0.5)
    assert relative_accuracy(0.3, 0.6, 0.5) == (0.5, 0.6)
    for accuracy, reference, relative in [(51.1, 57.3, 89.2), (55.5, 60.2, 92.2)]:  # LDAM and RIDE in the paper's table
        assert 100 * relative_accuracy(accuracy / 100, reference / 100, 0.5)[0] == pytest.approx(relative, abs=0.051)
    with pytest.raises(TailwiseError, match="between 0 and 1"):
        relative_accuracy(30, 0.4, 0.5)


@pytest.mark.parametrize(
    ("counts", "absent", "measure", "reason"),
    [
        ([500, 120, 60, 40, 30, 20], (), "few_shot_accuracy", "no class has fewer than 20 training examples."),
        ([90, 80, 60, 40, 12, 3], (), "many_shot_accuracy", "no class has more than 100 training examples."),
        ([500, 120, 110, 104, 12, 3], (), "medium_shot_accuracy", "more than 100 or fewer than 20 training examples."),
        (COUNTS, (4, 5), "few_shot_accuracy", "no example of the few-shot classes was measured."),
        (COUNTS, (), "acuracy", "Did you mean 'accuracy'?"),
        (COUNTS, (), "few_shot_recall", "Did you mean 'few_shot_accuracy'?"),
    ],
)
def test_an_absent_measure_says_why(counts, absent, measure, reason):
    y, p, _ = make(absent=absent)
    found = evaluate(y, p, class_counts=counts, n_bootstrap=0)
    assert "accuracy" in found
    assert measure not in found
    with pytest.raises(KeyError) as caught:
        found[measure]
    assert isinstance(caught.value, TailwiseError)
    assert str(caught.value).startswith(f"there is no {measure} here: ")
    assert str(caught.value).endswith(reason)
    assert "\n" not in str(caught.value)


def test_a_batch_without_labels_leaves_nothing_behind():
    seen = Accumulator(3)
    seen.update([-1], [0], proba=[[1, 0, 0]], sets=[[True, False, False]])
    seen.update([0, 1], [0, 1])
    found = evaluate(seen, class_counts=[3, 2, 1], n_bootstrap=10)
    assert "log_loss" not in found
    assert "coverage" not in found
    assert found["accuracy"] == 1


def test_a_few_flawless_answers_are_not_certain():
    y = np.repeat([0, 1], 5)
    found = evaluate(y, y, class_counts=[50, 5]).overall["balanced_accuracy"]
    assert found.low < 0.95 < found.high == 1
    found = evaluate(y, 1 - y, class_counts=[50, 5]).overall["balanced_accuracy"]
    assert found.low == 0 < 0.05 < found.high


def test_a_flawless_ranking_of_a_few_examples_is_not_certain():
    y, p = np.repeat([0, 1], [50, 2]), np.r_[np.linspace(0, 0.4, 50), 0.8, 0.9]
    found = evaluate(y, (p > 0.5).astype(int), proba=np.stack([1 - p, p], axis=1), class_counts=[500, 20])
    for name in ("auroc", "auprc"):
        assert found.overall[name].low < 0.98 < found.overall[name].high == 1


@pytest.mark.parametrize("binned", [False, True])
def test_intervals_of_rankings_hold_where_classes_have_one_or_two_test_examples(binned, monkeypatch):
    counts = np.array([60, 30, 10, 5, 2, 2, 1, 1, 1, 1])
    y = np.repeat(np.arange(10), counts)
    found = {"auroc": [], "auprc": []}
    if binned:
        monkeypatch.setattr(accumulate, "_EXACT", 0)
    for seed in range(100):
        z = np.random.default_rng(seed).normal(size=(len(y), 10)) + 1.5 * np.eye(10)[y] + np.log(counts)
        proba = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        seen = Accumulator(10)
        seen.update(y, z.argmax(axis=1), proba)
        answers = (seen,) if binned else (y, z.argmax(axis=1))
        evaluation = evaluate(*answers, class_counts=counts, proba=None if binned else proba, n_bootstrap=2)
        for name, estimates in found.items():
            estimates.append(evaluation.overall[name])
    for estimates in found.values():
        value, low, high = np.array(estimates).T
        assert ((low <= value.mean()) & (value.mean() <= high)).mean() > 0.8
        assert ((high - low) / 3.92).mean() < 2 * value.std()


def test_probabilities_are_no_sets():
    proba = np.array([[0.7, 0.3], [0.2, 0.8]])
    with pytest.raises(TailwiseError, match="prediction sets are true or false, or 1 or 0"):
        evaluate([0, 1], [0, 1], class_counts=[5, 5], proba=proba, sets=proba)
