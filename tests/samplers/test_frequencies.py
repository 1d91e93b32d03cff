"""How often each sampler shows what, against its source's formula written out once more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from tailwise import samplers

COUNTS = np.array([600, 90, 10, 3])
LABELS = np.repeat(np.arange(4), COUNTS)[np.random.default_rng(0).permutation(703)]


def shown(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return np.bincount(sampler.indices().ravel(), minlength=sampler.n_examples)


def test_shuffling_and_power_one_show_every_example_once():
    for sampler in (samplers.ShuffleSampler(LABELS), samplers.PowerSampler(LABELS, 1.0)):
        for epoch in range(3):
            assert (shown(sampler, epoch) == 1).all()


def test_shuffling_puts_any_example_anywhere():
    epochs, n = 1500, 24
    sampler = samplers.ShuffleSampler(np.zeros(n, dtype=int), seed=1)
    landed = np.zeros((n, n))
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        landed[np.arange(n), sampler.indices()] += 1
    statistic = ((landed - epochs / n) ** 2 / (epochs / n)).sum()
    assert stats.chi2.sf(statistic, (n - 1) ** 2) > 1e-3


@pytest.mark.parametrize("place", [0, 350, 702])
def test_a_place_of_the_epoch_has_the_class_shares(place):
    """Not only the epoch's sum is right: what a batch sees is, wherever it is in the epoch."""
    sampler = samplers.SquareRootSampler(LABELS)
    seen = np.zeros(4)
    for epoch in range(1000):
        seen[LABELS[sampler.pick(epoch, np.array([place]))]] += 1
    expected = np.sqrt(COUNTS) / np.sqrt(COUNTS).sum()
    assert stats.chisquare(seen, 1000 * expected).pvalue > 1e-3


def test_no_example_is_shown_twice_before_its_class_was_shown_once():
    times = shown(samplers.ClassBalancedSampler(LABELS, seed=0))
    for c in range(4):
        own = times[c == LABELS]
        assert own.max() - own.min() <= 1


@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=8).filter(lambda counts: max(counts) > 0),
    st.sampled_from([0.0, 0.25, 0.5, 1.0, -0.5]),
    st.integers(0, 2**16),
)
@settings(max_examples=60)
def test_each_class_is_shown_its_share_rounded_up_or_down(counts, power, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    n = np.array(counts, dtype=float)
    expected = np.where(n > 0, np.power(np.maximum(n, 1), power), 0)
    expected *= len(labels) / expected.sum()
    sampler = samplers.PowerSampler(labels, power, seed=seed)
    seen = np.bincount(labels[sampler.indices()], minlength=len(counts))
    assert seen.sum() == len(labels)
    assert (np.abs(seen - expected) < 1 + 1e-5).all()


@given(st.integers(2, 40), st.integers(0, 2**16))
@settings(max_examples=20)
def test_many_classes_and_a_large_size_keep_their_sum(n_classes, seed):
    counts = np.random.default_rng(seed).integers(1, 10**6, n_classes * 1000)
    sampler = samplers.SquareRootSampler(class_counts=counts, seed=seed, num_replicas=8, rank=7)
    assert len(sampler) == -(-counts.sum() // 8)
    first = next(iter(sampler))
    assert 0 <= first < counts.sum()
    assert sampler._plan[1][-1] == counts.sum()


@pytest.mark.parametrize(
    ("sampler", "weights"),
    [
        (samplers.ReversedSampler(LABELS), COUNTS.max() / COUNTS),
        (samplers.PowerSampler(class_counts=COUNTS, power=0.75), COUNTS**0.75),  # word2vec's negative examples
    ],
)
def test_shares_are_powers_of_the_counts(sampler, weights):
    np.testing.assert_allclose(sampler.class_distribution(), weights / weights.sum())


def test_epochs_of_another_size():
    sampler = samplers.ClassBalancedSampler(LABELS, size=40)
    assert len(sampler) == 40
    np.testing.assert_array_equal(np.bincount(LABELS[sampler.indices()]), 10)


def test_progress_goes_from_the_prior_to_balance():
    sampler = samplers.ProgressivelyBalancedSampler(LABELS, epochs=5)
    np.testing.assert_allclose(sampler.shares(0), COUNTS / 703)
    np.testing.assert_allclose(sampler.shares(1), 0.75 * COUNTS / 703 + 0.25 / 4)
    np.testing.assert_allclose(sampler.shares(4), 0.25)
    np.testing.assert_allclose(sampler.shares(9), 0.25)


@pytest.mark.parametrize(("epochs", "hot"), [(2, 1), (10, 5), (1, 0)])
def test_cooldown_is_hot_for_the_first_half(epochs, hot):
    sampler = samplers.CooldownSampler(LABELS, epochs=epochs)
    warm = COUNTS**0.2
    for epoch in range(epochs):
        expected = warm if epoch < hot else COUNTS
        np.testing.assert_allclose(sampler.shares(epoch), expected / expected.sum())


def test_late_upsampling_changes_the_last_fifth():
    sampler = samplers.LateUpsamplingSampler(LABELS, late=[0, 30, 35, 35], epochs=10)
    for epoch in range(10):
        expected = COUNTS / 703 if epoch < 8 else [0, 0.3, 0.35, 0.35]
        np.testing.assert_allclose(sampler.shares(epoch), expected)
    early = samplers.LateUpsamplingSampler(LABELS, late=[0, 1, 1, 1], early=[1, 0, 0, 0], epochs=3, last=1 / 3)
    assert [early.shares(epoch)[0] for epoch in range(3)] == [1, 1, 0]


def test_the_last_epoch_of_a_schedule_is_in_its_second_part():
    late = [0, 0, 0, 1]
    for sampler, last in (
        (samplers.CooldownSampler(LABELS, epochs=2, share=0.9), COUNTS),
        (samplers.CooldownSampler(LABELS, epochs=2, share=1), COUNTS**0.2),
        (samplers.LateUpsamplingSampler(LABELS, late=late, epochs=2, last=0.1), late),
        (samplers.LateUpsamplingSampler(LABELS, late=late, epochs=2, last=0), COUNTS),
    ):
        np.testing.assert_allclose(sampler.shares(1), last / np.sum(last))


@pytest.fixture
def indicator():
    rng = np.random.default_rng(3)
    has = rng.random((400, 6)) < [0.5, 0.2, 0.05, 0.02, 0.01, 0.0]
    has[7] = False
    return has


def repeat_factors(has, threshold):
    """Gupta et al., class by class and image by image."""
    n = len(has)
    of_class = [max(1.0, (threshold / (sum(has[:, c]) / n)) ** 0.5) if has[:, c].any() else None for c in range(6)]
    return np.array([max([1.0, *(of_class[c] for c in range(6) if row[c])]) for row in has])


def test_repeat_factors_of_an_indicator(indicator):
    expected = repeat_factors(indicator, 0.1)
    sampler = samplers.RepeatFactorSampler(indicator, 0.1)
    np.testing.assert_allclose(sampler.factors[sampler.labels], expected)
    assert sampler.size() == np.ceil(expected.sum())
    epochs = 300
    each = np.array([shown(sampler, epoch) for epoch in range(epochs)])
    assert (each >= np.floor(expected)).all()
    assert (each <= np.ceil(expected) + 1).all()
    scaled = expected * sampler.size() / expected.sum()  # the length is rounded up
    error = np.maximum(each.std(axis=0, ddof=1), 0.05) / np.sqrt(epochs)
    assert (np.abs(each.mean(axis=0) - scaled) < 4.5 * error).all()
    shares = expected @ indicator
    np.testing.assert_allclose(sampler.class_distribution(), shares / shares.sum())


def test_repeat_factors_take_sparse_and_single_labels(indicator):
    dense, thin = (samplers.RepeatFactorSampler(kind, 0.1) for kind in (indicator, sparse.coo_array(indicator)))
    np.testing.assert_array_equal(dense.indices(), thin.indices())
    codes = samplers.RepeatFactorSampler(LABELS, 0.1)
    one_hot = samplers.RepeatFactorSampler(np.eye(4, dtype=int)[LABELS], 0.1)
    np.testing.assert_array_equal(codes.indices(), one_hot.indices())
    np.testing.assert_allclose(codes.class_distribution(), one_hot.class_distribution())
    np.testing.assert_allclose(codes.factors, np.sqrt(np.maximum(1, 0.1 / (COUNTS / 703))))


def test_a_threshold_of_zero_repeats_nothing():
    assert (shown(samplers.RepeatFactorSampler(LABELS, 0)) == 1).all()


def test_frequency_subsampling_keeps_the_paper_s_share():
    sampler = samplers.FrequencySubsampler(LABELS, 0.05)
    kept = COUNTS * np.minimum(1, np.sqrt(0.05 / (COUNTS / 703)))
    assert sampler.size() == np.ceil(kept.sum())
    times = shown(sampler)
    assert times.max() <= 1 + (kept.sum() % 1 > 0)
    assert (np.abs(np.bincount(LABELS, weights=times) - kept) < 2).all()
    assert (shown(samplers.FrequencySubsampler(LABELS, 1.0)) == 1).all()
    by_default, of_the_mean = samplers.FrequencySubsampler(LABELS), samplers.FrequencySubsampler(LABELS, 1 / 4)
    assert len(np.bincount(LABELS)) == 4
    np.testing.assert_array_equal(by_default.factors, of_the_mean.factors)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_frequency_subsampling_goes_by_the_rarest_of_several_classes(indicator, power):
    share = indicator.mean(axis=0)
    of_class = np.array([min(1.0, 0.1 / share[c]) ** power if share[c] else 0.0 for c in range(6)])
    expected = np.array([max(of_class[row]) if row.any() else 1.0 for row in indicator])
    sampler = samplers.FrequencySubsampler(indicator, 0.1, power=power)
    np.testing.assert_allclose(sampler.factors[sampler.labels], expected)
    times = np.array([shown(sampler, epoch) for epoch in range(300)])
    assert times.max() <= 1 + (expected.sum() % 1 > 0)
    assert (times[:, expected == 1] >= 1).all()
    np.testing.assert_allclose(times.mean(axis=0), expected, atol=4.5 * 0.5 / np.sqrt(300))
    shares = expected @ indicator
    np.testing.assert_allclose(sampler.class_distribution(), shares / shares.sum())


def test_subsampling_with_power_one_levels_the_frequent_classes():
    times = shown(samplers.FrequencySubsampler(LABELS, 0.1, power=1.0))
    np.testing.assert_allclose(np.bincount(LABELS, weights=times), np.minimum(COUNTS, 70.3), atol=1.5)


def test_weights_are_followed_example_by_example():
    weights = np.random.default_rng(0).exponential(size=200) * (np.arange(200) % 9 > 0)
    weights[-3:] = 0
    labels = np.arange(200) % 3
    sampler = samplers.WeightedSampler(labels, weights=weights, size=150)
    expected = 150 * weights / weights.sum()
    epochs = 400
    each = np.array([shown(sampler, epoch) for epoch in range(epochs)])
    assert (np.abs(each - expected) < 2).all()
    error = np.sqrt(np.minimum(expected, 0.5) / epochs) + 1 / epochs
    assert (np.abs(each.mean(axis=0) - expected) < 4.5 * error).all()
    np.testing.assert_allclose(sampler.class_distribution(), np.bincount(labels, weights=expected) / 150)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_weights_are_followed_where_one_class_comes_after_the_other_in_turn(weight):
    labels = np.tile([0, 1], 500)
    sampler = samplers.WeightedSampler(labels, weights=np.where(labels == 0, 1.0, weight), size=500)
    second = np.array([shown(sampler, epoch)[labels == 1].sum() for epoch in range(200)])
    share = weight / (1 + weight)
    deviation = np.sqrt(500 * share * (1 - share))  # of independent draws
    assert abs(second.mean() - 500 * share) < 4.5 * deviation / np.sqrt(200)
    assert second.std() < 1.1 * deviation


def test_difficulty_moves_the_shares():
    sampler = samplers.HardAwareSampler(LABELS, temperature=0.5)
    np.testing.assert_allclose(sampler.class_distribution(), 0.25)
    list(sampler)
    before = sampler.seen()
    difficulty = np.array([0.1, 0.4, 0.2, 0.9])
    sampler.set_difficulty(difficulty)
    expected = np.exp(difficulty / 0.5)
    np.testing.assert_allclose(sampler.class_distribution(), expected / expected.sum())
    np.testing.assert_array_equal(sampler.seen(), before)  # as it was shown, not as it would be now
    resumed = samplers.HardAwareSampler(LABELS, temperature=0.5)
    resumed.load_state_dict(sampler.state_dict())
    np.testing.assert_array_equal(resumed.difficulty, difficulty)


def test_new_weights_leave_the_past_as_it_was():
    sampler = samplers.WeightedSampler(LABELS, weights=np.ones(703))
    list(sampler)
    sampler.set_weights(1.0 * (LABELS == 3))
    np.testing.assert_array_equal(sampler.seen(), COUNTS)
    np.testing.assert_allclose(sampler.class_distribution(), [0, 0, 0, 1])


@given(st.lists(st.integers(0, 12), min_size=4, max_size=9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=60)
def test_batches_have_as_many_classes_and_examples_as_asked(counts, classes, examples, seed):
    filled = np.count_nonzero(counts)
    if filled < classes:
        return
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    sampler = samplers.ClassBatchSampler(labels, classes=classes, examples=examples, batches=12, seed=seed)
    batches = list(sampler)
    assert len(batches) == 12
    codes = labels[np.array(batches)].reshape(12, classes, examples)
    assert (codes == codes[:, :, :1]).all()
    for batch, of_batch in zip(batches, codes[:, :, 0], strict=True):
        assert np.unique(of_batch).size == classes
        for c, own in zip(of_batch, np.reshape(batch, (classes, examples)), strict=True):
            assert np.unique(own).size == min(examples, counts[c])
    in_round = filled // classes
    for begin in range(0, 12 - in_round + 1, in_round):
        of_round = codes[begin : begin + in_round, :, 0]
        assert np.unique(of_round).size == of_round.size


def test_batches_show_a_class_s_examples_in_turn():
    labels = np.repeat(np.arange(4), [30, 12, 6, 24])
    times = shown(samplers.ClassBatchSampler(labels, classes=2, examples=3, batches=16))  # 24 of each class
    for c in range(4):
        own = times[labels == c]
        assert own.sum() == 24
        assert own.max() - own.min() <= 1


@pytest.mark.parametrize(("counts", "classes"), [([40, 40, 4], 2), ([7, 30, 0, 12, 6, 24], 3), ([9, 9, 9, 9, 9], 4)])
def test_batches_show_classes_and_examples_in_turn_where_some_classes_are_left_out(counts, classes):
    labels = np.repeat(np.arange(len(counts)), counts)
    for batches in (5, 40):
        times = shown(samplers.ClassBatchSampler(labels, classes=classes, examples=2, batches=batches))
        each = np.array([times[labels == c] for c in range(len(counts)) if counts[c]], dtype=object)
        assert max(own.sum() for own in each) - min(own.sum() for own in each) <= 2 * 2
        assert all(own.max() - own.min() <= 1 for own in each)


def test_a_mixture_of_label_sets_counts_labels():
    has = np.zeros((1000, 5), int)
    has[:, 0] = has[900:, 1:] = 1
    parts = [samplers.RepeatFactorSampler(has, 0.0), samplers.FrequencySubsampler(has, 0.1, power=1.0)]
    parts.append(samplers.EntityRebalancingSampler(has))
    sampler = samplers.MixtureSampler(parts, [1, 1, 1])
    for epoch in range(10):
        sampler.set_epoch(epoch)
        list(sampler)
    seen = sampler.seen()
    np.testing.assert_allclose(sampler.class_distribution(), seen / seen.sum(), atol=0.01)


def test_a_mixture_s_parts_have_their_shares_and_may_change():
    parts = [samplers.ClassSampler(LABELS), samplers.LateUpsamplingSampler(LABELS, late=[0, 0, 0, 1], epochs=1, last=1)]
    sampler = samplers.MixtureSampler(parts, lambda epoch: [3, 1] if epoch == 0 else [0, 1], size=400)
    seen = np.bincount(LABELS[sampler.indices()], minlength=4)
    assert seen[3] >= 100
    assert seen.sum() == 400
    np.testing.assert_allclose(sampler.class_distribution(), 0.75 * COUNTS / 703 + [0, 0, 0, 0.25])
    sampler.set_epoch(1)
    assert set(LABELS[sampler.indices()]) == {3}


@pytest.mark.parametrize("num_replicas", [2, 4])
def test_every_process_s_own_share_is_balanced(num_replicas):
    for rank in range(num_replicas):
        sampler = samplers.ClassBalancedSampler(LABELS, num_replicas=num_replicas, rank=rank)
        seen = np.bincount(LABELS[sampler.indices()], minlength=4)
        n = len(sampler)
        assert (np.abs(seen - n / 4) < 4.5 * np.sqrt(n * 0.25 * 0.75)).all()
