import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwise import samplers
from tailwise.errors import TailwiseError

LABELS = np.repeat(np.arange(4), [600, 90, 10, 3])
ALL = {
    "shuffle": samplers.ShuffleSampler,
    "balanced": samplers.ClassBalancedSampler,
    "root": samplers.SquareRootSampler,
    "progressive": lambda labels, **options: samplers.ProgressivelyBalancedSampler(labels, epochs=5, **options),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("num_replicas", [1, 2, 3, 8])
def test_processes_share_one_order_in_equal_parts(name, num_replicas):
    whole = ALL[name](LABELS, num_replicas=1, rank=0, seed=3).indices()
    parts = [ALL[name](LABELS, num_replicas=num_replicas, rank=r, seed=3) for r in range(num_replicas)]
    shown = [part.indices() for part in parts]
    assert {len(indices) for indices in shown} == {len(parts[0])}
    assert [len(list(part)) for part in parts] == [len(parts[0])] * num_replicas
    together = np.stack(shown, axis=1).ravel()
    np.testing.assert_array_equal(together[: len(whole)], whole)
    np.testing.assert_array_equal(together[len(whole) :], whole[: len(together) - len(whole)])


@pytest.mark.parametrize("name", ALL)
def test_epochs_differ_and_repeat_with_the_seed(name):
    sampler = ALL[name](LABELS, seed=1)
    first = sampler.indices()
    sampler.set_epoch(1)
    assert not np.array_equal(first, sampler.indices())
    np.testing.assert_array_equal(first, ALL[name](LABELS, seed=1).indices())
    assert not np.array_equal(first, ALL[name](LABELS, seed=2).indices())


@pytest.mark.parametrize("name", ALL)
def test_resuming_inside_an_epoch_shows_exactly_the_rest(name):
    whole = list(ALL[name](LABELS, seed=5))
    sampler = ALL[name](LABELS, seed=5)
    stream = iter(sampler)
    begun = [next(stream) for _ in range(100)]
    resumed = ALL[name](LABELS, seed=5)
    resumed.load_state_dict(sampler.state_dict())
    assert begun + list(resumed) == whole


def test_shuffling_and_power_one_show_every_example_once():
    for sampler in (samplers.ShuffleSampler(LABELS), samplers.PowerSampler(LABELS, 1.0)):
        for epoch in range(3):
            sampler.set_epoch(epoch)
            np.testing.assert_array_equal(np.sort(sampler.indices()), np.arange(len(LABELS)))


def test_no_example_is_shown_twice_before_its_class_was_shown_once():
    shown = np.bincount(samplers.ClassBalancedSampler(LABELS, seed=0).indices(), minlength=len(LABELS))
    for c in range(4):
        own = shown[c == LABELS]
        assert own.max() - own.min() <= 1


@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=8).filter(lambda counts: max(counts) > 0),
    st.sampled_from([0.0, 0.25, 0.5, 1.0, -0.5]),
    st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=60)
def test_each_class_is_shown_its_share_rounded_up_or_down(counts, power, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    sampler = samplers.PowerSampler(labels, power, seed=seed)
    n = np.array(counts, dtype=float)
    expected = np.where(n > 0, np.power(np.maximum(n, 1), power), 0)
    expected *= len(labels) / expected.sum()
    seen = np.bincount(labels[sampler.indices()], minlength=len(counts))
    assert seen.sum() == len(labels)
    assert (np.abs(seen - expected) < 1 + 1e-5).all()


def test_shares_are_right_on_average():
    labels = np.repeat(np.arange(3), [10, 5, 2])
    sampler = samplers.ClassBalancedSampler(labels, seed=0)
    epochs = 3000
    total = np.zeros(3)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        total += np.bincount(labels[sampler.indices()], minlength=3)
    # 17 / 3 = 5.67 a class: each epoch is one of two neighbours, so its standard deviation is below 1/2
    assert np.abs(total / epochs - 17 / 3).max() < 4.5 * 0.5 / np.sqrt(epochs)
    np.testing.assert_allclose(sampler.class_distribution(), 1 / 3)


def test_progress_goes_from_the_prior_to_balance():
    sampler = samplers.ProgressivelyBalancedSampler(LABELS, epochs=5)
    np.testing.assert_allclose(sampler.class_distribution(), np.bincount(LABELS) / len(LABELS))
    sampler.set_epoch(4)
    np.testing.assert_allclose(sampler.class_distribution(), 0.25)
    rare = [sampler.shares(epoch)[3] for epoch in range(5)]
    assert rare == sorted(rare)


def test_epochs_of_another_size():
    sampler = samplers.ClassBalancedSampler(LABELS, size=40)
    assert len(sampler) == 40
    np.testing.assert_array_equal(np.bincount(LABELS[sampler.indices()]), 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": []}, "needs a row of integer class codes"),
        ({"labels": [0.5, 1.0]}, "needs a row of integer class codes"),
        ({"labels": [0, -1]}, "leave unlabelled examples out"),
        ({"labels": [0, 1], "num_replicas": 2, "rank": 2}, "rank 2 is not below"),
        ({"labels": [0, 1], "size": 0}, "at least one example"),
    ],
)
def test_bad_input_is_one_line(options, message):
    with pytest.raises(TailwiseError, match=message):
        samplers.ClassBalancedSampler(options.pop("labels"), **options)
