"""What a training does within one process."""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engine.stopped import stopped_after
from tailwise.counts import class_counts
from tailwise.engine import predict, train
from tailwise.engine._devices import seeded_by
from tailwise.engine._schedule import learning_rate, share_epochs
from tailwise.engine.stage import Stage, Task
from tailwise.errors import TailwiseError
from tailwise.nn import MLP, CIFARResNet, Network, nearest_mean
from tailwise.processes import working_in
from tailwise.samplers import ClassBatchSampler, HardAwareSampler, ShuffleSampler

X = np.concatenate([np.random.default_rng(c).normal(c * 2, 1, (n, 4)) for c, n in enumerate((40, 20, 6))])
Y = np.repeat([0, 1, 2], (40, 20, 6))
LOSS = nn.CrossEntropyLoss()


class Recipe:
    def __init__(self, *stages: Stage) -> None:
        self._stages = stages

    def network(self, task: Task) -> nn.Module:
        return Network.linear(task.build_backbone(), task.n_classes)

    def stages(self, task: Task) -> tuple[Stage, ...]:
        return self._stages

    def __repr__(self) -> str:  # by which it is known again, whatever its stages do
        return "Recipe()"


def task(**settings: object) -> Task:
    given = {
        "backbone": lambda: MLP(4, (8,)),
        "epochs": 3,
        "batch_size": 16,
        "optimizer": partial(torch.optim.SGD, lr=0.05, momentum=0.9),
    }
    return Task(class_counts(Y), **(given | settings))


def fit(*stages: Stage, x: object = X, y: object = Y, **settings: object) -> nn.Module:
    options = {
        name: settings.pop(name)
        for name in ("random_state", "checkpoint_dir", "resume", "precision")
        if name in settings
    }
    return train(Recipe(*(stages or (Stage("learn", loss=LOSS),))), task(**settings), x, y, progress=False, **options)


def test_learns_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    network = fit(epochs=30)
    assert torch.equal(before, torch.get_rng_state())
    logits = predict(network, X)
    assert logits.dtype == np.float32
    assert logits.shape == (66, 3)
    assert (logits.argmax(1) == Y).mean() > 0.9


def test_the_seed_decides() -> None:
    first, again, other = (predict(fit(random_state=seed), X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_seed_decides_in_every_thread() -> None:
    """Dropout draws from torch's own generator, which threads share."""

    def trained(seed: int) -> np.ndarray:
        backbone = partial(MLP, 4, (8,), dropout=0.5)
        return predict(fit(random_state=seed, backbone=backbone, epochs=6), X)

    alone = [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(trained, range(4)))
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_batches_of_prediction_do_not_matter() -> None:
    network = fit()
    np.testing.assert_allclose(predict(network, X, batch_size=7), predict(network, X), rtol=1e-5, atol=1e-6)


def test_the_batches_of_a_sampler_are_taken_as_they_are() -> None:
    seen: list[list[int]] = []

    def remember(inputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        seen.append(targets.tolist())
        return inputs, targets

    fit(Stage("learn", loss=LOSS, sampler=partial(ClassBatchSampler, classes=2, examples=5)), augment=remember)
    assert len(seen) == 3 * 7, "as many batches of 10 as show 66 examples, in 3 epochs"
    for targets in seen:
        assert sorted(np.bincount(targets, minlength=3)) == [0, 5, 5]


def test_what_does_not_move_is_frozen_with_its_statistics() -> None:
    images = np.random.default_rng(0).integers(0, 256, (66, 8, 8, 3), dtype=np.uint8)
    seen: dict[str, torch.Tensor] = {}

    def remember(network: Network, features: object) -> None:
        seen.update({name: value.clone() for name, value in network.state_dict().items()})

    network = train(
        Recipe(
            Stage("learn", share=0.5, loss=LOSS),
            Stage("head", share=0.5, loss=LOSS, prepare=remember, parameters=lambda net: net.head.parameters()),
        ),
        Task(class_counts(Y), backbone=lambda: CIFARResNet(8, width=4), epochs=2, batch_size=32),
        images,
        Y,
        progress=False,
    )
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, seen[name])}
    assert changed == {"head.weight", "head.bias"}


def test_what_the_backbone_froze_stays_as_it_is() -> None:
    seen: dict[str, torch.Tensor] = {}

    def remember(network: Network, features: object) -> None:
        seen.update({name: value.clone() for name, value in network.state_dict().items()})

    def half_frozen() -> nn.Module:
        backbone = nn.Sequential(nn.BatchNorm1d(4).requires_grad_(False), nn.Linear(4, 8))
        backbone.out_features = 8
        return backbone

    head = Stage("head", share=0.5, loss=LOSS, prepare=remember, parameters=lambda network: network.head.parameters())
    network = fit(head, Stage("all", share=0.5, loss=LOSS), backbone=half_frozen)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, seen[name])}
    assert changed == {"backbone.1.weight", "backbone.1.bias", "head.weight", "head.bias"}
    assert {name for name, value in network.named_parameters() if value.requires_grad} == changed


def test_a_stage_without_epochs_prepares_from_the_features() -> None:
    def means(network: Network, features: object) -> None:
        x, y = features()
        assert x.shape == (66, 8)
        np.testing.assert_array_equal(y, Y)
        network.head = nearest_mean(x, y, 3)

    network = fit(Stage("learn", loss=LOSS), Stage("means", share=0, prepare=means))
    assert (predict(network, X).argmax(1) == Y).mean() > 0.8


def test_the_sampler_can_be_told_before_every_epoch() -> None:
    told: list[np.ndarray] = []

    def tell(sampler: HardAwareSampler, network: Network, features: Callable) -> None:
        inputs, targets = features()
        assert inputs.shape == (66, 8)
        assert network.head(inputs).shape == (66, 3)
        np.testing.assert_array_equal(targets, Y)
        told.append(np.eye(3)[len(told)])
        sampler.set_difficulty(told[-1])

    seen: list[torch.Tensor] = []

    def watch(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(targets)
        return LOSS(logits, targets)

    fit(Stage("learn", loss=watch, sampler=HardAwareSampler, before_epoch=tell))
    assert len(told) == 3
    for c, epoch in enumerate(torch.cat(seen).split(66)):
        assert (epoch == c).float().mean() > 0.99


def test_every_example_once_per_epoch_and_no_tiny_batch() -> None:
    sizes, seen = [], []

    def watch(inputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator) -> tuple:
        sizes.append(len(inputs))
        seen.append(inputs[:, 0])
        return inputs, targets

    fit(epochs=1, augment=watch)
    assert sizes == [14, 13, 13, 13, 13]
    np.testing.assert_array_equal(np.sort(torch.cat(seen).numpy()), np.sort(X[:, 0].astype(np.float32)))


def test_resumes_in_every_stage_and_refuses_another_training(tmp_path: Path) -> None:
    def plainly(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return LOSS(logits, targets)

    same = Stage("learn", loss=plainly)
    whole = fit(same, epochs=4)

    class StopError(Exception):
        pass

    def stop_at(batch: int) -> object:
        left = iter(range(batch))

        def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            if next(left, None) is None:
                raise StopError
            return LOSS(logits, targets)

        return loss

    with pytest.raises(StopError):
        fit(Stage("learn", loss=stop_at(12)), epochs=4, checkpoint_dir=tmp_path)
    with pytest.raises(TailwiseError, match="already has a checkpoint"):
        fit(same, epochs=4, checkpoint_dir=tmp_path)
    for change in ({"random_state": 1}, {"epochs": 5}, {"x": X + 1}, {"batch_size": 8}):
        with pytest.raises(TailwiseError, match="belongs to another training: it differs in"):
            fit(same, **{"epochs": 4, "checkpoint_dir": tmp_path, "resume": True, **change})
    for exactly in ("32-true", "64-true"):
        folder = tmp_path / exactly
        with pytest.raises(StopError):
            fit(Stage("learn", loss=stop_at(12)), epochs=4, checkpoint_dir=folder, precision=exactly)
        resumed = fit(same, epochs=4, checkpoint_dir=folder, resume=True, precision=exactly)
        for name, value in fit(same, epochs=4, precision=exactly).state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name])
    resumed = fit(same, epochs=4, checkpoint_dir=tmp_path, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not one")
    with pytest.raises(TailwiseError, match="not a readable checkpoint"):
        fit(same, epochs=4, checkpoint_dir=tmp_path, resume=True)


class Gathering(nn.Module):
    """Cross-entropy times one more than the mean of all batches before, as losses that gather statistics have it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = LOSS(logits, targets)
        self.batches += 1
        self.mean += (loss.detach() - self.mean) / self.batches
        return (1 + self.mean) * loss


def frozen_backbone() -> list[Stage]:
    return [
        Stage("head", loss=LOSS, parameters=lambda network: network.head.parameters()),
        Stage("all", loss=LOSS, parameters=lambda network: network.parameters()),
        Stage("last", loss=LOSS),
    ]


def a_loss_that_comes_back() -> list[Stage]:
    gathering = Gathering()
    return [Stage("first", loss=gathering), Stage("between", loss=LOSS), Stage("last", loss=gathering)]


def a_loss_that_a_function_calls() -> list[Stage]:
    gathering = Gathering()
    return [Stage("first", loss=gathering), Stage("last", loss=lambda logits, targets: gathering(logits, targets))]


@pytest.mark.parametrize("stages", [frozen_backbone, a_loss_that_comes_back, a_loss_that_a_function_calls])
def test_a_training_stopped_after_any_epoch_is_resumed_to_the_same_weights(
    stages: Callable[[], list[Stage]], tmp_path: Path
) -> None:
    def run(**options: object) -> dict[str, torch.Tensor]:
        def frozen() -> nn.Module:
            return MLP(4, (8,)).requires_grad_(stages is not frozen_backbone)

        return fit(*stages(), epochs=6, backbone=frozen, **options).state_dict()

    whole = run()
    for last in range(1, 7):
        folder = tmp_path / str(last)
        with stopped_after(last):
            run(checkpoint_dir=folder)
        for name, value in run(checkpoint_dir=folder, resume=True).items():
            assert torch.equal(value, whole[name]), f"{name}, after {last} epochs"


def test_what_the_recipe_froze_is_trained_only_where_a_stage_asks_for_it() -> None:
    networks = []

    def keep(network: nn.Module, features: object) -> None:
        networks.append({name: value.clone() for name, value in network.backbone.state_dict().items()})

    stages = [replace(stage, prepare=keep) for stage in frozen_backbone()]
    network = fit(*stages, epochs=6, backbone=lambda: MLP(4, (8,)).requires_grad_(False))
    start, after_head, after_all = networks
    for name, value in network.backbone.state_dict().items():
        assert torch.equal(start[name], after_head[name])
        assert torch.equal(after_all[name], value)
    assert not all(torch.equal(after_head[name], after_all[name]) for name in start)
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())


def test_weights_that_the_last_step_made_nan_are_no_result() -> None:
    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return LOSS(logits, targets) + ((logits - logits) ** 2).sum().sqrt()  # 0, whose gradient is NaN

    with pytest.raises(TailwiseError, match="training diverged: weights are NaN or infinite in stage 'learn', epoch 1"):
        fit(Stage("learn", loss=loss), epochs=1, batch_size=66)


def test_double_precision_keeps_large_numbers_apart() -> None:
    x = np.column_stack([1.7e9 + np.random.default_rng(0).uniform(0, 100, 66), np.zeros(66)])
    y = (x[:, 0] > 1.7e9 + 50).astype(int)
    two = replace(task(epochs=60, backbone=lambda: MLP(2, (8,))), class_counts=np.bincount(y))
    network = train(Recipe(Stage("learn", loss=LOSS)), two, x, y, precision="64-true", progress=False)
    assert len(np.unique(predict(network, x)[:, 0])) > 60  # all the same in float32


class Remembering(nn.Module):
    """A layer with a mean that its state_dict leaves out."""

    out_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(X.shape[1], 4)
        self.register_buffer("mean", torch.zeros(4), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.layer(x)
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * z.detach().mean(0))
        return z - self.mean


def test_what_a_state_dict_leaves_out_is_resumed_too(tmp_path: Path) -> None:
    whole = fit(backbone=Remembering)
    with stopped_after(2):
        fit(backbone=Remembering, checkpoint_dir=tmp_path)
    resumed = fit(backbone=Remembering, checkpoint_dir=tmp_path, resume=True)
    assert resumed.backbone.mean.any()
    np.testing.assert_array_equal(predict(resumed, X), predict(whole, X))


def test_a_state_that_is_no_tensor_is_refused_before_training() -> None:
    class Odd(Remembering):
        def get_extra_state(self) -> dict[str, int]:
            return {"steps": 0}

    with pytest.raises(TailwiseError, match=r"keeps 'backbone\._extra_state', which is no tensor"):
        fit(backbone=Odd)


def test_training_without_gradients_around_it_is_training() -> None:
    plain = predict(fit(), X)
    for around in (torch.no_grad, torch.inference_mode):
        with around():
            np.testing.assert_array_equal(predict(fit(), X), plain)


def test_any_seed_will_do_and_numbers_of_any_kind_are_kept(tmp_path: Path) -> None:
    plain = predict(fit(random_state=3), X)
    same = fit(random_state=np.int64(3), batch_size=np.int64(16), checkpoint_dir=tmp_path)
    np.testing.assert_array_equal(predict(same, X), plain)
    drawn = [predict(fit(random_state=np.random.default_rng(0)), X) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)
    fit(random_state=None)
    for random_state in (-1, 1.5, "a"):
        with pytest.raises(TailwiseError, match="random_state must be a whole number from 0"):
            fit(random_state=random_state)
    for batch_size in (0, -1, 2.5):
        with pytest.raises(TailwiseError, match="batch_size must be a whole number of at least 1; got"):
            fit(batch_size=batch_size)
        with pytest.raises(TailwiseError, match="batch_size must be a whole number of at least 1; got"):
            predict(same, X, batch_size=batch_size)
    for epochs in (0, 1.5):
        with pytest.raises(TailwiseError, match="epochs must be a whole number of at least 1; got"):
            fit(epochs=epochs)


def test_a_companion_with_too_few_examples_is_named() -> None:
    def few(labels: np.ndarray, **settings: object) -> ShuffleSampler:
        return ShuffleSampler(labels[:2], **settings)

    def loss(network: nn.Module, x: torch.Tensor, y: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return LOSS(network(x), y)

    with pytest.raises(TailwiseError, match="a sampler of stage 'learn' has less than one example for each of 5 batch"):
        fit(Stage("learn", loss=loss, companion=few))


def test_a_network_or_loss_with_other_settings_is_another_training(tmp_path: Path) -> None:
    weighted = [nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, heavy])) for heavy in (3.0, 9.0)]
    fit(Stage("learn", loss=weighted[0]), checkpoint_dir=tmp_path)
    with pytest.raises(TailwiseError, match="belongs to another training: it differs in losses"):
        fit(Stage("learn", loss=weighted[1]), checkpoint_dir=tmp_path, resume=True)
    with pytest.raises(TailwiseError, match="belongs to another training: it differs in losses"):
        fit(Stage("learn", loss=nn.MultiMarginLoss()), checkpoint_dir=tmp_path, resume=True)
    smoothed = nn.CrossEntropyLoss(weight=weighted[0].weight, label_smoothing=0.5)
    with pytest.raises(TailwiseError, match="belongs to another training: it differs in losses"):
        fit(Stage("learn", loss=smoothed), checkpoint_dir=tmp_path, resume=True)
    dropping = replace(task(), backbone=lambda: MLP(4, (8,), dropout=0.9))
    with pytest.raises(TailwiseError, match=r"it differs in .*modules"):
        train(Recipe(Stage("learn", loss=weighted[0])), dropping, X, Y, checkpoint_dir=tmp_path, resume=True)


def test_one_training_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    def elsewhere(what: Callable[[], object]) -> None:
        with ThreadPoolExecutor(1) as other, pytest.raises(TailwiseError, match="is already writing to"):
            other.submit(what).result()

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        elsewhere(lambda: working_in(tmp_path).__enter__())
        return LOSS(logits, targets)

    fit(Stage("learn", loss=loss), epochs=1, checkpoint_dir=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    with working_in(tmp_path):
        elsewhere(lambda: fit(epochs=1, checkpoint_dir=tmp_path, resume=True))


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TailwiseError, match=r"the disk is full: .*checkpoint\.safetensors was not written"):
        fit(epochs=1, checkpoint_dir=tmp_path)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:0], Y[:0], "no example"),
        (X, np.zeros(66, dtype=int), "all 66 labels are of class 0"),
        (X, np.where(Y == 2, -1, Y), "6 of 66 labels are missing"),
        (
            np.where(np.arange(66)[:, None] == 5, np.nan, X),
            Y,
            "NaN, infinity or numbers that are too large in 1 of 66 rows, first in row 5",
        ),
        (X, Y[:5], "one code for each of the 66 inputs"),
        (X[:, 0], Y, "must be numbers of shape"),
    ],
)
def test_bad_input_is_one_line(x: object, y: object, message: str) -> None:
    with pytest.raises(TailwiseError, match=message) as caught:
        fit(x=x, y=y)
    assert "\n" not in str(caught.value)


def test_float16_is_refused_where_it_would_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(TailwiseError, match="use 'bf16-mixed' here"):
        fit(precision="16-mixed")
    for precision in (16, "bf16-true", "transformer-engine"):
        with pytest.raises(TailwiseError, match=f"precision must be one of 32-true, .*; got {precision!r}"):
            fit(precision=precision)


def test_divergence_names_stage_epoch_and_rate() -> None:
    with pytest.raises(TailwiseError, match=r"diverged.*stage 'learn', epoch 1 of 3; lower the learning rate.*0\.05"):
        fit(Stage("learn", loss=lambda logits, targets: LOSS(logits, targets) * float("nan")))


def test_epochs_are_shared() -> None:
    assert share_epochs([0.8, 0.2], 10) == [8, 2]
    assert share_epochs([0.9, 0.1], 3) == [2, 1]
    assert share_epochs([1.0, 0.0], 5) == [5, 0]
    with pytest.raises(TailwiseError, match="cannot share 1 epoch:"):
        share_epochs([0.5, 0.5], 1)
    for shares in ([np.nan], [1.0, np.nan], [np.inf, 1.0], [1.0, -0.1], [0.0]):
        with pytest.raises(TailwiseError, match="shares of a recipe's stages must be 0 or more, and one positive"):
            share_epochs(shares, 10)


def test_learning_rate_warms_up_and_falls() -> None:
    rates = [learning_rate(step, 100) for step in range(100)]
    np.testing.assert_allclose(rates[:6], [0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert all(np.diff(rates[5:]) < 0)
    assert rates[-1] < 1e-3


def test_a_stage_can_begin_at_a_share_of_the_learning_rate():
    rates = []

    def optimizer(parameters):
        class Watched(torch.optim.SGD):
            def step(self, closure=None):
                rates.append(self.param_groups[0]["lr"])
                return super().step(closure)

        return Watched(parameters, lr=0.2)

    stages = [
        Stage("first", loss=LOSS, share=0.5, optimizer=optimizer),
        Stage("second", loss=LOSS, share=0.5, optimizer=optimizer, peak=0.1),
    ]
    task = Task(class_counts(Y), backbone=partial(MLP, 4, (8,)), epochs=20, batch_size=8)
    train(Recipe(*stages), task, X, Y, progress=False)
    half = len(rates) // 2
    assert max(rates[:half]) == pytest.approx(0.2)
    assert max(rates[half:]) == pytest.approx(0.02)


def test_tied_weights_are_kept_too(tmp_path: Path) -> None:
    class Tied(nn.Module):
        out_features = 4

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            self.b.weight = self.a.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.relu(self.a(x)))

    class OfTied(Recipe):
        def network(self, task: Task) -> nn.Module:
            return Network.linear(Tied(), task.n_classes)

    mine = OfTied(Stage("learn", loss=LOSS))
    whole = train(mine, task(), X, Y, progress=False)
    kept = train(mine, task(), X, Y, progress=False, checkpoint_dir=tmp_path)
    again = train(mine, task(), X, Y, progress=False, checkpoint_dir=tmp_path, resume=True)
    np.testing.assert_array_equal(predict(kept, X), predict(whole, X))
    np.testing.assert_array_equal(predict(again, X), predict(whole, X))


def test_a_stage_may_have_another_augmentation_than_the_task_or_none() -> None:
    called: list[str] = []

    def noting(name: str) -> Callable:
        def augment(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            called.append(name)
            return x, y

        return augment

    stages = {
        "a": {"share": 0.5},
        "b": {"share": 0.25, "augment": noting("own")},
        "c": {"share": 0.25, "augment": False},
    }
    fit(*(Stage(name, loss=LOSS, **of) for name, of in stages.items()), augment=noting("task"), epochs=4)
    batches = len(called) // 3
    assert called == ["task"] * 2 * batches + ["own"] * batches


def test_generators_of_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[str] = []
    for place in (torch.cuda, torch.mps):
        for name in ("manual_seed", "manual_seed_all"):
            if hasattr(place, name):
                monkeypatch.setattr(place, name, lambda seed, name=name: seeded.append(name))
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded_by(torch.device("cpu"), 1, 2) as generator:
            draws.append((torch.rand(2).tolist(), torch.rand(2, generator=generator).tolist()))
    assert draws[0] == draws[1]
    assert draws[0][0] == draws[0][1]
    assert torch.equal(torch.get_rng_state(), before)
    assert not seeded
