"""A second batch that comes along with each batch, and losses that gather statistics while they train."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_train import LOSS, Y, fit
from torch import nn

from engine.killable import jitter
from tailwise.engine.stage import Stage
from tailwise.losses import EqualizationLossV2
from tailwise.samplers import ClassBalancedSampler, ShuffleSampler


class StopError(Exception):
    pass


def both(network: nn.Module, *batches: torch.Tensor) -> torch.Tensor:
    x, y, companion_x, companion_y = batches
    return LOSS(network(x), y) + LOSS(network(companion_x), companion_y)


def stopped_after(calls: int, loss: Callable) -> Callable:
    left = iter(range(calls))

    def stopping(*args: object) -> torch.Tensor:
        if next(left, None) is None:
            raise StopError
        return loss(*args)

    return stopping


def assert_same(network: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_the_companion_has_its_own_distribution_and_is_augmented() -> None:
    seen: dict[str, list[torch.Tensor]] = {"batch": [], "companion": [], "augmented": []}

    def watch(network: nn.Module, *batches: torch.Tensor) -> torch.Tensor:
        seen["batch"].append(batches[1])
        seen["companion"].append(batches[3])
        return both(network, *batches)

    def augment(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        seen["augmented"].append(y)
        return x, y

    fit(Stage("learn", loss=watch, companion=ClassBalancedSampler), epochs=10, augment=augment)
    np.testing.assert_array_equal(np.bincount(torch.cat(seen["batch"])), 10 * np.bincount(Y))
    np.testing.assert_allclose(np.bincount(torch.cat(seen["companion"])) / 660, 1 / 3, atol=0.01)
    assert len(seen["augmented"]) == 2 * len(seen["batch"]) == 2 * 5 * 10


def test_the_batches_differ_when_both_are_shuffled() -> None:
    def unlike(network: nn.Module, x: torch.Tensor, y: torch.Tensor, *companion: torch.Tensor) -> torch.Tensor:
        assert not torch.equal(x, companion[0])
        return both(network, x, y, *companion)

    fit(Stage("learn", loss=unlike, companion=ShuffleSampler), epochs=1)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_stopped_and_resumed_with_a_companion_is_bit_identical(tmp_path: Path, precision: str) -> None:
    def run(loss: Callable, **options: object) -> nn.Module:
        return fit(
            Stage("learn", loss=loss, companion=ClassBalancedSampler), augment=jitter, precision=precision, **options
        )

    whole = run(both)
    with pytest.raises(StopError):
        run(stopped_after(12, both), checkpoint_dir=tmp_path)  # in the third epoch of five batches
    assert_same(run(both, checkpoint_dir=tmp_path, resume=True), whole)


def test_the_bare_network_computes_in_the_chosen_precision() -> None:
    def loss(network: nn.Module, *batches: torch.Tensor) -> torch.Tensor:
        assert network.module(batches[2]).dtype == torch.bfloat16
        return both(network, *batches)

    fit(Stage("learn", loss=loss, companion=ClassBalancedSampler), epochs=1, precision="bf16-mixed")


@pytest.mark.parametrize("stop", [12, 32], ids=["in the first stage", "in the second"])
def test_what_a_loss_gathered_is_resumed(tmp_path: Path, stop: int) -> None:
    """One loss in two stages: its sums go on from the first into the second."""

    def run(loss: nn.Module, **options: object) -> nn.Module:
        return fit(Stage("learn", loss=loss), Stage("go on", loss=loss), epochs=8, **options)

    whole = run(expected := EqualizationLossV2(3))
    stopped = EqualizationLossV2(3)
    stopped.forward = stopped_after(stop, stopped.forward)  # type: ignore[method-assign]
    with pytest.raises(StopError):
        run(stopped, checkpoint_dir=tmp_path)
    assert_same(run(resumed := EqualizationLossV2(3), checkpoint_dir=tmp_path, resume=True), whole)
    assert_same(resumed, expected)
    assert (expected.positive > 0).all()
