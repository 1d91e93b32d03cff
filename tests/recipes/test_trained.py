"""Every recipe that trains networks trains one, and those made for the tail help it."""

import inspect
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score

torch = pytest.importorskip("torch")

from engine.stopped import stopped_after  # noqa: E402
from tailwise.counts import class_counts  # noqa: E402
from tailwise.data import make_long_tailed  # noqa: E402
from tailwise.engine import _checkpoint, predict, train  # noqa: E402
from tailwise.engine.stage import Task  # noqa: E402
from tailwise.errors import TailwiseError  # noqa: E402
from tailwise.nn import MLP, Network  # noqa: E402
from tailwise.posthoc import apply  # noqa: E402
from tailwise.recipes import Recipe, recipe, recipes  # noqa: E402

NETWORKS = [
    name
    for name, cls in recipes().items()
    if "network" in cls.learners() and "class" in cls.targets and cls.__module__.startswith("tailwise.")
]

SAMPLED = [name for name in NETWORKS if recipes()[name].__module__ == "tailwise.recipes.sampling"]


@cache
def digits(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Digits with 120 of the first class down to 2 or 3 of the last (imbalance 50), and balanced ones for testing."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    rows = np.sort(
        make_long_tailed(y, np.geomspace(120, 2.4, 10).round().astype(int), random_state=seed, order="random")
    )
    rest = np.setdiff1d(np.arange(len(y)), rows)
    return x[rows], y[rows], x[rest], y[rest]


def small_task(labels: np.ndarray, epochs: int = 3) -> Task:
    return Task(
        class_counts(labels, 10),
        backbone=partial(MLP, 64, (32,)),
        epochs=epochs,
        batch_size=64,
        optimizer=partial(torch.optim.AdamW, lr=5e-3),
    )


def fit(name: str, x: np.ndarray, y: np.ndarray, seed: int = 0, epochs: int = 3, **settings: Any) -> Network:
    return train(recipe(name), small_task(y, epochs), x, y, random_state=seed, devices=1, progress=False, **settings)


@pytest.mark.parametrize("name", NETWORKS)
def test_trains_and_the_seed_decides(name: str) -> None:
    x, y, new, _ = digits()
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    network = fit(name, x, y)
    logits = predict(network, new)
    assert logits.shape == (len(new), 10)
    assert np.isfinite(logits).all()
    assert len(np.unique(logits.argmax(axis=1))) > 1
    prior = recipe(name).learned_prior(small_task(y))
    assert prior is None or (prior.shape == (10,) and prior.sum() == pytest.approx(1))
    np.testing.assert_array_equal(predict(fit(name, x, y), new), logits)
    assert not np.array_equal(predict(fit(name, x, y, seed=1), new), logits)
    assert torch.equal(torch.get_rng_state(), state[0]), "the global generators are left alone"
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002


@pytest.mark.parametrize("name", NETWORKS)
def test_learns_something_in_little_time(name: str) -> None:
    x, y, new, labels = digits()
    predicted = predict(fit(name, x, y, epochs=20), new).argmax(axis=1)
    assert balanced_accuracy_score(labels, predicted) > 0.25, "chance is a tenth"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_class_without_examples_and_one_with_one(name: str) -> None:
    x, y, new, _ = digits()
    kept = (y != 8) & ((y != 9) | (np.cumsum(y == 9) <= 1))
    assert np.isfinite(predict(fit(name, x[kept], y[kept]), new)).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_goes_on_after_interruptions_as_if_there_had_been_none(name: str, tmp_path: Path) -> None:
    x, y, new, _ = digits()
    whole = predict(fit(name, x, y, epochs=6), new)
    for epochs in (3, 2):
        with stopped_after(epochs):
            fit(name, x, y, epochs=6, checkpoint_dir=tmp_path, resume=True)
    np.testing.assert_array_equal(predict(fit(name, x, y, epochs=6, checkpoint_dir=tmp_path, resume=True), new), whole)


def test_what_a_loss_knows_goes_where_the_network_is() -> None:
    """A function cannot be moved to a device, nor kept in a checkpoint: it must hold no tensor."""
    _, y, _, _ = digits()
    stages = [stage for name in NETWORKS for stage in recipe(name).stages(small_task(y))]
    held = [inspect.getclosurevars(s.loss).nonlocals for s in stages if inspect.isfunction(s.loss)]
    assert any(held)
    for value in (value for variables in held for value in variables.values()):
        assert not isinstance(value, torch.Tensor)
        assert not (isinstance(value, torch.nn.Module) and value.state_dict())


def test_asft_keeps_the_network_before_fine_tuning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = []

    def write(folder: Path, identity: object, stage: int, epoch: int, network: torch.nn.Module, *rest: object) -> None:
        epochs.append({name: value.clone() for name, value in network.state_dict().items()})

    monkeypatch.setattr(_checkpoint, "write", write)
    x, y, _, _ = digits()
    network = fit("asft", x, y, epochs=6, checkpoint_dir=tmp_path)
    warmed_up, first, last = epochs[2], epochs[3], epochs[5]
    for name, value in warmed_up.items():
        assert torch.equal(first[f"base.{name}"], value)
        assert torch.equal(last[f"base.{name}"], value)
    assert not torch.equal(last["network.head.weight"], warmed_up["head.weight"])
    assert torch.equal(network.state_dict()["head.weight"], last["network.head.weight"])


@pytest.mark.parametrize("epochs", [1, 2, 10])
@pytest.mark.parametrize(
    "tried",
    [
        *(recipe(name) for name in SAMPLED if name != "hard-aware-sampling"),  # known as it trains
        recipe("late-upsampling", last=0),
        recipe("cooldown", share=0.99),
    ],
)
def test_the_prior_is_what_the_last_epoch_shows(tried: Recipe, epochs: int) -> None:
    labels = np.repeat(np.arange(4), (500, 100, 20, 3))
    task = Task(class_counts(labels, 4), epochs=epochs)
    (stage,) = tried.stages(task)
    sampler = stage.sampler(labels, num_replicas=1, rank=0, seed=0)
    sampler.set_epoch(task.epochs - 1)
    np.testing.assert_allclose(tried.learned_prior(task), sampler.class_distribution(), rtol=1e-12)


@pytest.mark.parametrize("name", SAMPLED)
def test_samplers_do_without_the_last_class(name: str) -> None:
    labels = np.repeat(np.arange(2), (30, 10))
    (stage,) = recipe(name).stages(Task(class_counts(labels, 3), epochs=10))
    sampler = stage.sampler(labels, num_replicas=1, rank=0, seed=0)
    sampler.set_epoch(9)
    assert set(labels[np.ravel(list(sampler))]) == {0, 1}


@pytest.mark.parametrize(
    ("n_classes", "batch_size", "classes", "examples"),
    [(10, 128, 10, 12), (3, 16, 3, 5), (100, 64, 16, 4), (5, 2, 1, 4)],
)
def test_pk_batches_hold_as_many_classes_and_examples_as_there_is_room_for(
    n_classes: int, batch_size: int, classes: int, examples: int
) -> None:
    labels = np.repeat(np.arange(n_classes), 20)
    (stage,) = recipe("pk-sampling").stages(Task(class_counts(labels), batch_size=batch_size))
    batch = next(iter(stage.sampler(labels, num_replicas=1, rank=0, seed=0)))
    assert [len(batch), len(set(labels[batch]))] == [classes * examples, classes]


def test_processes_divide_a_pk_batch() -> None:
    labels = np.repeat(np.arange(10), 60)
    (stage,) = recipe("pk-sampling").stages(Task(class_counts(labels), batch_size=120))
    steps, sizes = zip(
        *(
            (len(sampler), len(next(iter(sampler))))
            for n in (1, 2, 3)
            for sampler in [stage.sampler(labels, num_replicas=n, rank=0, seed=0)]
        ),
        strict=True,
    )
    assert sizes == (120, 60, 40)
    assert steps == (5, 5, 5)


def test_without_retraining_crt_keeps_the_classifier() -> None:
    x, y, new, _ = digits()
    plain, kept = (predict(fit(tried, x, y, epochs=4), new) for tried in ("cross-entropy", recipe("crt", retrain=0)))
    np.testing.assert_array_equal(kept, plain)


def test_a_class_has_at_least_one_example_in_a_pk_batch() -> None:
    with pytest.raises(TailwiseError, match="at least 1; got 0"):
        list(recipe("pk-sampling", examples=0).stages(Task(np.array([5, 5]))))


@pytest.mark.slow
def test_made_for_the_tail_helps_the_tail() -> None:
    """Three seeds, other examples each; a paired gain in balanced accuracy in every one of them."""

    def balanced_accuracy(name: str, seed: int) -> float:
        x, y, new, labels = digits(seed)
        task = small_task(y, 40)
        logits = predict(fit(name, x, y, seed, epochs=40), new)
        steps = recipe(name).posthoc(task, logits, labels) if name == "logit-adjustment" else ()
        return balanced_accuracy_score(labels, apply(steps, logits).argmax(axis=1))

    plain = np.array([balanced_accuracy("cross-entropy", seed) for seed in range(3)])
    for name in ("logit-adjustment", "balanced-softmax", "logit-adjusted-loss"):
        gain = np.array([balanced_accuracy(name, seed) for seed in range(3)]) - plain
        assert (gain > 0.02).all(), f"{name}: {gain}"
