"""What every sampler promises. The table of samplers must name all public ones."""

import json
import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch.utils.data import DataLoader, TensorDataset

from tailwise import samplers
from tailwise.errors import TailwiseError

LABELS = np.repeat(np.arange(4), [600, 90, 10, 3])[np.random.default_rng(0).permutation(703)]


def mixture(labels=None, *, class_counts=None, **processes):
    data = {"class_counts": class_counts} if labels is None else {"labels": labels}
    data["seed"] = processes.get("seed", 0)
    parts = [samplers.ShuffleSampler(**data), samplers.ReversedSampler(**data), samplers.HardAwareSampler(**data)]
    return samplers.MixtureSampler(parts, [5, 2, 3], **processes)


def late(labels=None, *, class_counts=None, **options):
    filled = np.bincount(labels) > 0 if labels is not None else np.asarray(class_counts) > 0
    return samplers.LateUpsamplingSampler(
        labels, class_counts=class_counts, late=filled / filled.sum(), epochs=5, **options
    )


def weighted(labels=None, *, class_counts=None, **options):
    n = len(labels) if labels is not None else int(np.sum(class_counts))
    weights = np.arange(n) % 7 + (np.arange(n) < 7)
    return samplers.WeightedSampler(labels, class_counts=class_counts, weights=weights, **options)


def hard(labels=None, **options):
    sampler = samplers.HardAwareSampler(labels, **options)
    sampler.set_difficulty(np.linspace(0.1, 0.3, sampler.class_counts.size))
    return sampler


def indicator(labels):
    has = np.zeros((len(labels), int(max(labels)) + 1), dtype=int)
    has[np.arange(len(labels)), labels] = 1
    has[::5, labels[0]] = 1
    return sparse.csr_array(has)


def several(labels, **options):
    return samplers.RepeatFactorSampler(indicator(labels), 0.1, **options)


def rebalanced(labels, **options):
    return samplers.EntityRebalancingSampler(indicator(labels), 100, **options)


ALL = {
    "ShuffleSampler": samplers.ShuffleSampler,
    "ClassSampler": samplers.ClassSampler,
    "PowerSampler": lambda labels=None, **options: samplers.PowerSampler(labels, 0.3, **options),
    "ClassBalancedSampler": samplers.ClassBalancedSampler,
    "SquareRootSampler": samplers.SquareRootSampler,
    "ReversedSampler": samplers.ReversedSampler,
    "ProgressivelyBalancedSampler": lambda labels=None, **o: samplers.ProgressivelyBalancedSampler(
        labels, epochs=5, **o
    ),
    "CooldownSampler": lambda labels=None, **options: samplers.CooldownSampler(labels, epochs=2, **options),
    "LateUpsamplingSampler": late,
    "RepeatFactorSampler": lambda labels=None, **options: samplers.RepeatFactorSampler(labels, 0.1, **options),
    "RepeatFactorSampler of an indicator": several,
    "FrequencySubsampler": lambda labels=None, **options: samplers.FrequencySubsampler(labels, 0.05, **options),
    "WeightedSampler": weighted,
    "HardAwareSampler": hard,
    "ClassBatchSampler": lambda labels=None, **o: samplers.ClassBatchSampler(labels, classes=1, examples=3, **o),
    "ClassBatchSampler of several classes": lambda labels=None, **options: samplers.ClassBatchSampler(
        labels, classes=3, examples=4, **options
    ),
    "MixtureSampler": mixture,
    "EntityRebalancingSampler of an indicator": rebalanced,
}
every = pytest.mark.parametrize("name", ALL)


def classes_of(sampler, indices):
    total = np.zeros_like(sampler.seen())
    sampler.count(np.asarray(indices, dtype=np.int64).ravel(), total)
    return total


def test_the_table_names_all_samplers():
    classes = {name for name in samplers.__all__ if isinstance(getattr(samplers, name), type)}
    assert {name.split()[0] for name in ALL} == classes - {"EpochSampler"}


@every
@pytest.mark.parametrize("num_replicas", [1, 2, 3, 8])
def test_processes_share_one_order_in_equal_parts(name, num_replicas):
    whole = ALL[name](LABELS, num_replicas=1, rank=0, seed=3).indices()
    parts = [ALL[name](LABELS, num_replicas=num_replicas, rank=r, seed=3) for r in range(num_replicas)]
    shown = [part.indices() for part in parts]
    assert {len(indices) for indices in shown} == {len(parts[0])}
    for part, indices in zip(parts, shown, strict=True):
        assert list(part) == indices.tolist()
    together = np.stack(shown, axis=1).reshape(-1, *whole.shape[1:])
    np.testing.assert_array_equal(together[: len(whole)], whole)
    np.testing.assert_array_equal(together[len(whole) :], whole[: len(together) - len(whole)])
    assert 0 <= len(together) - len(whole) < num_replicas


@every
def test_epochs_differ_and_repeat_with_the_seed(name):
    sampler = ALL[name](LABELS, seed=1)
    first = sampler.indices()
    sampler.set_epoch(1)
    second = sampler.indices()
    assert not np.array_equal(first, second)
    again = ALL[name](LABELS, seed=1)
    np.testing.assert_array_equal(first, again.indices())
    again.set_epoch(1)
    np.testing.assert_array_equal(second, again.indices())
    assert not np.array_equal(first, ALL[name](LABELS, seed=2).indices())


@every
@pytest.mark.parametrize("begun", [0, 1, 40])
def test_resuming_inside_an_epoch_shows_exactly_the_rest(name, begun):
    def build():
        return ALL[name](LABELS, seed=5, num_replicas=2, rank=1)

    through = build()
    orders = []
    for epoch in range(4):
        through.set_epoch(epoch)
        orders.append(list(through))

    stopped = build()
    list(stopped)
    for epoch in (1, 2):
        stopped.set_epoch(epoch)
        stream = iter(stopped)
        shown = [next(stream) for _ in range(min(begun, len(stopped)) if epoch == 2 else len(stopped))]
    state = json.loads(json.dumps(stopped.state_dict()))

    resumed = build()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    for epoch in (2, 3):  # the loop that a training has
        resumed.set_epoch(epoch)
        shown += list(resumed)
    assert shown == orders[2] + orders[3]
    np.testing.assert_array_equal(resumed.seen(), through.seen())


@every
def test_what_training_saw_is_what_the_processes_showed(name):
    parts = [ALL[name](LABELS, seed=2, num_replicas=3, rank=rank) for rank in range(3)]
    total = np.zeros_like(parts[0].seen())
    for epoch in range(3):
        for part in parts:
            part.set_epoch(epoch)
            stream = iter(part)
            own = [next(stream) for _ in range(len(part) if epoch < 2 else 15)]
            total += classes_of(part, own)
        if epoch == 1:
            np.testing.assert_array_equal(parts[0].seen(), total)
    for part in parts:
        np.testing.assert_array_equal(part.seen(), total)


@pytest.mark.parametrize("name", [name for name in ALL if "Rebalancing" not in name])  # whose seed chooses examples
def test_classes_and_their_examples_are_shown_as_often_as_promised(name):
    """Over many seeds; epochs are independent draws, so the mean of what they show has a standard error."""
    times = 80
    epoch = 1
    classes, examples = [], []
    for seed in range(times):
        sampler = ALL[name](LABELS, seed=seed)
        sampler.set_epoch(epoch)
        indices = sampler.indices()
        classes.append(classes_of(sampler, indices))
        examples.append(np.bincount(indices.ravel(), minlength=LABELS.size))
    classes, examples = np.array(classes, dtype=float), np.array(examples, dtype=float)
    promised = sampler.class_distribution() * classes.sum(axis=1).mean()
    error = classes.std(axis=0, ddof=1) / np.sqrt(times)
    assert (np.abs(classes.mean(axis=0) - promised) <= 4.5 * error + 1e-9).all()
    if name not in ("WeightedSampler", "RepeatFactorSampler of an indicator"):
        for c in range(4):  # a class's examples are alike
            own = examples[:, c == LABELS]
            spread = np.sqrt(own.var(axis=0, ddof=1).mean() / times)
            rare = 3 / times  # where an example is shown a few times in all, their number is Poisson's
            assert np.abs(own.mean(axis=0) - own.mean()).max() <= 4.5 * spread + rare


def test_rebalancing_shows_what_it_keeps_and_says_so():
    sampler = rebalanced(LABELS, seed=2)
    assert sorted(sampler.indices()) == sampler.kept.tolist()
    shown = classes_of(sampler, sampler.indices())
    np.testing.assert_allclose(sampler.class_distribution(), shown / shown.sum())
    assert shown[0] < 400
    np.testing.assert_array_equal(shown[2:], classes_of(sampler, range(len(LABELS)))[2:], "the tail stays whole")


@every
def test_names_of_classes_do_not_matter(name):
    renamed = np.array([2, 0, 3, 1])
    difficulty = name == "HardAwareSampler"
    first, second = (ALL[name](labels) for labels in (LABELS, renamed[LABELS]))
    if difficulty:
        second.set_difficulty(first.difficulty[np.argsort(renamed)])
    for epoch in (0, 1, 4):
        first.set_epoch(epoch)
        second.set_epoch(epoch)
        np.testing.assert_allclose(second.class_distribution()[renamed], first.class_distribution())


@every
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(any), st.integers(0, 2**16), st.integers(1, 5))
@settings(max_examples=15)
def test_any_counts_work_and_classes_without_examples_are_left_out(name, counts, seed, num_replicas):
    if "several classes" in name and np.count_nonzero(counts) < 3:
        return
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    sampler = ALL[name](labels, seed=seed, num_replicas=num_replicas, rank=num_replicas - 1)
    for epoch in (0, 3):
        sampler.set_epoch(epoch)
        indices = sampler.indices()
        assert len(indices) == len(sampler) == -(-sampler.size() // num_replicas)
        assert indices.min() >= 0
        assert indices.max() < labels.size
        shares = sampler.class_distribution()
        np.testing.assert_allclose(shares.sum(), 1)
        assert not shares[np.array(counts[: shares.size]) == 0].any()


@pytest.mark.parametrize("name", [name for name in ALL if "indicator" not in name])
def test_class_counts_alone_are_data_in_the_order_of_its_classes(name):
    counts = [30, 0, 5, 12]
    by_counts = ALL[name](class_counts=counts, seed=4)
    by_labels = ALL[name](np.repeat(np.arange(4), counts), seed=4)
    np.testing.assert_array_equal(by_counts.indices(), by_labels.indices())
    np.testing.assert_allclose(by_counts.class_distribution(), by_labels.class_distribution())
    np.testing.assert_array_equal(
        classes_of(by_counts, by_counts.indices()), classes_of(by_labels, by_labels.indices())
    )


@every
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_the_labels_type_does_not_matter(name, dtype):
    expected = ALL[name](LABELS, seed=1).indices()
    np.testing.assert_array_equal(ALL[name](LABELS.astype(dtype), seed=1).indices(), expected)


@every
def test_a_data_loader_takes_it(name):
    sampler = ALL[name](LABELS)
    if "Batch" in name:
        loader = DataLoader(LABELS, batch_sampler=sampler)
    else:
        loader = DataLoader(LABELS, sampler=sampler, batch_size=32)
    assert len(loader) == len(list(loader))
    total = np.bincount(np.concatenate([batch.numpy() for batch in loader]))
    if "indicator" not in name:
        np.testing.assert_array_equal(2 * total, sampler.seen())  # the loop above was an epoch too


@pytest.mark.parametrize(
    ("name", "dtype", "allowed"),
    [
        ("ShuffleSampler", np.int32, 0.0),
        ("ClassBalancedSampler", np.int32, 1.0),
        ("ClassBalancedSampler", np.int64, 0.5),
        ("ClassBalancedSampler", np.int16, 2.0),
        ("ClassBalancedSampler", np.int8, 2.0),
        ("ClassBatchSampler", np.uint8, 2.0),
        ("RepeatFactorSampler", np.int32, 1.0),
        ("ClassBatchSampler", np.int32, 1.0),
        ("WeightedSampler", np.int32, 2.0),
    ],
)
def test_memory_beyond_the_labels(name, dtype, allowed):
    n, chunks = 1_500_000 * 8 // np.dtype(dtype).itemsize, 10e6  # computed at once, as much for any number of labels
    labels = np.resize(np.arange(min(1000, np.iinfo(dtype).max + 1), dtype=dtype), n)
    build = ALL[name]
    if name == "WeightedSampler":
        weights = np.ones(n)
        build = lambda labels: samplers.WeightedSampler(labels, weights=weights)  # noqa: E731
    tracemalloc.start()
    stream = iter(build(labels))
    for _ in range(20_000):
        next(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < allowed * labels.nbytes + chunks


def test_breaking_off_begins_the_epoch_anew():
    sampler = samplers.ShuffleSampler(LABELS)
    whole = sampler.indices().tolist()
    next(iter(sampler))
    assert list(sampler) == whole
    assert sampler.seen().sum() == 1 + LABELS.size


def test_a_position_may_be_given_when_workers_ran_ahead():
    sampler = samplers.ClassBalancedSampler(LABELS)
    whole = list(sampler)
    for counted in (False, True):
        if counted:
            sampler.seen()
        resumed = samplers.ClassBalancedSampler(LABELS)
        resumed.load_state_dict({**sampler.state_dict(), "shown": 64})
        np.testing.assert_array_equal(resumed.seen(), classes_of(sampler, whole[:64]))
        resumed.load_state_dict({**sampler.state_dict(), "shown": 64})
        assert list(resumed) == whole[64:]
        np.testing.assert_array_equal(resumed.seen(), sampler.seen())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: samplers.ShuffleSampler(), "needs either labels or class_counts"),
        (lambda: samplers.ShuffleSampler([0], class_counts=[1]), "either labels or class_counts"),
        (lambda: samplers.ShuffleSampler(class_counts=[1.5]), "whole numbers"),
        (lambda: samplers.ShuffleSampler(class_counts=[0, 0]), "all zero"),
        (lambda: samplers.ShuffleSampler([]), "one row of integer class codes"),
        (lambda: samplers.ShuffleSampler([0.5, 1.0]), "one row of integer class codes"),
        (lambda: samplers.ShuffleSampler([0, -1]), "leave unlabelled examples out"),
        (lambda: samplers.ShuffleSampler([0, 1], num_replicas=2, rank=2), "rank 2 is not below"),
        (lambda: samplers.ShuffleSampler([0, 1], seed=-1), "seed must be a whole number of at least 0; got -1"),
        (lambda: samplers.ShuffleSampler([0, 1]).set_epoch(-1), "epoch must be a whole number of at least 0; got -1"),
        (lambda: samplers.ShuffleSampler([0, 1]).set_epoch(1.5), "epoch must be a whole number of at least 0; got 1.5"),
        (lambda: samplers.EpochSampler([0, 1]).indices(), "must define pick"),
        (lambda: samplers.ClassBalancedSampler([0, 1], size=0), "size must be a whole number of at least 1"),
        (lambda: samplers.ClassBalancedSampler([0, 1], size=10.5), "size must be a whole number"),
        (lambda: samplers.ShuffleSampler([0, 1], seed=None), "seed must be a whole number"),
        (lambda: samplers.ShuffleSampler([0, 1], num_replicas=1.0), "num_replicas must be a whole number"),
        (lambda: samplers.ShuffleSampler([0, 10**12]), "label 1000000000000 of 2 labels is no class code"),
        (lambda: samplers.ShuffleSampler(np.ma.array([0, 9], mask=[False, True])), "are masked"),
        (lambda: samplers.PowerSampler([0, 1], np.nan), "power must be finite"),
        (lambda: samplers.PowerSampler([0, 1], "x"), "power must be a number; got 'x'"),
        (lambda: samplers.PowerSampler([0, 1], [3, 1]), "power must be one number; got .* class counts"),
        (lambda: samplers.ShuffleSampler([0, 1], num_replicas="2"), "num_replicas must be a whole number"),
        (lambda: samplers.CooldownSampler([0, 1], epochs=0), "epochs must be a whole number of at least 1; got 0"),
        (lambda: samplers.CooldownSampler([0, 1], epochs=2.5), "epochs must be a whole number of at least 1; got 2.5"),
        (lambda: samplers.CooldownSampler([0, 1], epochs=2, temperature=0), "temperature must be above 0"),
        (lambda: samplers.CooldownSampler([0, 1], epochs=2, share=2), "share must be at least 0 and at most 1"),
        (
            lambda: samplers.CooldownSampler([0, 1], epochs=2, temperature=None),
            "temperature must be a number; got None",
        ),
        (lambda: samplers.LateUpsamplingSampler([0, 1], epochs=2, late=[1, 1], last="x"), "last must be a number"),
        (lambda: samplers.LateUpsamplingSampler([0, 1], late=[1], epochs=2), "2 classes need 2 shares"),
        (lambda: samplers.LateUpsamplingSampler([0, 2], late=[1, 1, 1], epochs=2), "class 1 has a share but no"),
        (lambda: samplers.LateUpsamplingSampler([0, 1], late=[1, -1], epochs=2), "finite and not negative"),
        (lambda: samplers.RepeatFactorSampler([0, 1], -1), "threshold must be at least 0"),
        (lambda: samplers.RepeatFactorSampler([0, 1], np.inf), "threshold must be at least 0 and finite"),
        (lambda: samplers.RepeatFactorSampler([[0, 2]]), "must be an indicator of 0 and 1, but row "),
        (lambda: samplers.RepeatFactorSampler([[0, 0]]), "no example of the indicator"),
        (lambda: samplers.FrequencySubsampler([0, 1], 0), "threshold must be above 0"),
        (lambda: samplers.FrequencySubsampler([0, 1], 0.1, power=2), "power must be at least 0 and at most 1"),
        (lambda: samplers.WeightedSampler([0, 1], weights=[1]), "2 examples need 2 weights"),
        (lambda: samplers.WeightedSampler([0, 1], weights=[0, 0]), "one must be above 0"),
        (lambda: samplers.WeightedSampler([0, 1], weights=[1, np.inf]), "finite"),
        (lambda: samplers.WeightedSampler([0, 1], weights=[1e308, 1e308]), "too large to be added up"),
        (lambda: samplers.WeightedSampler([0, 1], weights=["a", "b"]), "weights must be numbers"),
        (lambda: samplers.HardAwareSampler([0, 1], 0), "temperature must be above 0"),
        (lambda: samplers.HardAwareSampler([0, 1]).set_difficulty([1]), "each of 2 classes"),
        (lambda: samplers.ClassBatchSampler([0, 2], classes=3, examples=1), "cannot be filled: 2 have"),
        (lambda: samplers.ClassBatchSampler([0, 1], classes=1, examples=0), "examples must be a whole number"),
        (lambda: samplers.ClassBatchSampler([0, 1], classes=2.0, examples=1), "classes must be a whole number"),
        (lambda: samplers.MixtureSampler([], []), "at least one sampler"),
        (lambda: samplers.MixtureSampler([samplers.ShuffleSampler([0])], [1, 2]), "1 .* need 1 shares"),
        (
            lambda: samplers.MixtureSampler([samplers.ShuffleSampler([0]), samplers.ShuffleSampler([0, 0])], [1, 2]),
            "of the same examples; got 1 examples",
        ),
        (
            lambda: samplers.MixtureSampler([samplers.ClassBatchSampler([0], classes=1, examples=1)], [1]),
            "yields batches",
        ),
        (lambda: samplers.ShuffleSampler([0], num_replicas=2), "give the rank, too"),
        (lambda: samplers.ShuffleSampler([0], num_replicas="2", rank="0"), "num_replicas must be a whole .* got '2'"),
        (lambda: samplers.EntityRebalancingSampler([[0, 1]], seed=-1), "seed must be a whole number of at least 0"),
        (
            lambda: samplers.ShuffleSampler([0, 0]).load_state_dict(samplers.ShuffleSampler([0]).state_dict()),
            "the saved sampler had size 1; build this one with it, not 2",
        ),
        (
            lambda: samplers.ShuffleSampler([0]).load_state_dict({"epoch": 1}),
            "it lacks labels, n_examples, num_replicas, sampler, seed, seen",
        ),
        (
            lambda: samplers.ShuffleSampler([0], seed=1).load_state_dict(samplers.ShuffleSampler([0]).state_dict()),
            "had seed 0",
        ),
        (
            lambda: samplers.ShuffleSampler([0]).load_state_dict(samplers.ShuffleSampler([1]).state_dict()),
            "had 2 classes; this one has 1",
        ),
        (
            lambda: samplers.ShuffleSampler([0]).load_state_dict(
                {**samplers.ShuffleSampler([0]).state_dict(), "shown": 9}
            ),
            "9 places shown of an epoch of 1",
        ),
        (
            lambda: samplers.MixtureSampler([samplers.ShuffleSampler([0])], [1]).load_state_dict(
                samplers.MixtureSampler([samplers.ShuffleSampler([0])] * 2, [1, 1]).state_dict()
            ),
            "the saved mixture had 2 samplers; this one has 1",
        ),
    ],
)
def test_bad_input_is_one_line(build, message):
    with pytest.raises(TailwiseError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_a_loader_that_counts_epochs_anew_cannot_undo_a_resumption():
    sampler = samplers.ClassBalancedSampler(LABELS)
    sampler.set_epoch(2)
    resumed = samplers.ClassBalancedSampler(LABELS)
    resumed.load_state_dict(sampler.state_dict())
    resumed.set_epoch(2)
    with pytest.raises(TailwiseError, match=r"set_epoch\(0\) would undo the resumption in epoch 2"):
        resumed.set_epoch(0)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "object", "float"])
def test_an_indicator_may_be_any_frame(dtype):
    rows = np.random.default_rng(0).integers(0, 2, (50, 4))
    rows[0] = 1
    found = samplers.RepeatFactorSampler(pd.DataFrame(rows).astype(dtype), 0.5).factors
    np.testing.assert_array_equal(found, samplers.RepeatFactorSampler(rows, 0.5).factors)


def test_the_state_of_another_sampler_is_refused():
    labels = np.repeat([0, 1, 2], [60, 20, 4])
    state = samplers.ReversedSampler(labels).state_dict()
    with pytest.raises(TailwiseError, match="the state of a ReversedSampler, not of a ClassBalancedSampler"):
        samplers.ClassBalancedSampler(labels).load_state_dict(state)
    state = samplers.ClassBalancedSampler(labels).state_dict()
    for other in (np.repeat([0, 1, 2], [50, 30, 4]), labels[::-1]):
        with pytest.raises(TailwiseError, match="had other labels, or another order of them"):
            samplers.ClassBalancedSampler(other).load_state_dict(state)


@pytest.mark.parametrize(
    ("build", "setting", "values"),
    [
        (samplers.PowerSampler, "power", (1.0, 0.0)),
        (partial(samplers.CooldownSampler, epochs=5), "temperature", (5.0, 3.0)),
        (partial(samplers.FrequencySubsampler, size=50), "threshold", (None, 0.1)),
        (partial(samplers.ClassBatchSampler, classes=2, batches=9), "examples", (2, 3)),
    ],
)
def test_the_state_under_another_setting_is_refused(build, setting, values):
    saved, other = (build(LABELS, **{setting: value}) for value in values)
    with pytest.raises(TailwiseError, match=f"had {setting} {values[0]}; build this one with it, not {values[1]}"):
        other.load_state_dict(saved.state_dict())


def test_what_was_only_begun_is_not_kept():
    sampler = samplers.ShuffleSampler(LABELS)
    for epoch in range(20):
        sampler.set_epoch(epoch)
        next(iter(sampler))
        iter(sampler)
    assert len(sampler.state_dict()["spans"]) <= 21
    assert sampler.seen().sum() == 20


def test_weights_alone_make_a_sampler():
    counts = np.array([8100, 256, 16, 1])
    words = samplers.WeightedSampler(weights=counts**0.75, size=4000)  # word2vec's negative examples
    assert set(words.indices().tolist()) <= set(range(4))
    np.testing.assert_allclose(np.bincount(words.indices()) / 4000, counts**0.75 / (counts**0.75).sum(), atol=0.01)
    for wrong in (2.0, []):
        with pytest.raises(TailwiseError, match="class"):
            samplers.WeightedSampler(weights=wrong)


def test_a_sampler_has_what_a_distributed_one_has():
    sampler = samplers.ShuffleSampler(LABELS, num_replicas=3, rank=1)
    assert (sampler.num_samples, sampler.total_size) == (len(sampler), 3 * len(sampler))
    assert sampler.shuffle
    assert not sampler.drop_last


def test_fabric_sets_the_epochs_of_batches_too():
    fabric = pytest.importorskip("lightning_fabric").Fabric(accelerator="cpu", devices=1)
    batches = samplers.ClassBatchSampler(LABELS, classes=2, examples=3)
    data = TensorDataset(torch.arange(LABELS.size))
    loader = fabric.setup_dataloaders(DataLoader(data, batch_sampler=batches))
    first, second = ([batch.tolist() for (batch,) in loader] for _ in range(2))
    assert first != second


def test_shares_may_be_tensors_of_any_precision():
    late = torch.tensor([0.25, 0.25, 0.5], dtype=torch.bfloat16)
    sampler = samplers.LateUpsamplingSampler(np.repeat([0, 1, 2], [60, 20, 4]), late=late, epochs=10)
    sampler.set_epoch(9)
    np.testing.assert_allclose(sampler.class_distribution(), late.float())
