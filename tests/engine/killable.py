"""A small training, for the tests that kill it or share it among processes."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tailwise.counts import class_counts
from tailwise.engine import train
from tailwise.engine.stage import Stage, Task
from tailwise.errors import TailwiseError
from tailwise.nn import MLP, Network, tau_normalise
from tailwise.samplers import ClassBalancedSampler, HardAwareSampler


def data(n: int = 192) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [n // 2, n // 4, n // 4])
    return (rng.normal(size=(n, 6)) + 2 * np.eye(6)[labels]).astype(np.float32), labels


def jitter(inputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator) -> tuple:
    return inputs + 0.1 * torch.randn(inputs.shape, generator=generator), targets


def new_head(network: Network, features: object) -> None:
    network.head.reset_parameters()


def normalise(network: Network, features: object) -> None:
    network.head = tau_normalise(network.head)


def both(network: nn.Module, x: torch.Tensor, y: torch.Tensor, *companion: torch.Tensor) -> torch.Tensor:
    """Take a batch and its companion, and gradients of the bare network, which nothing shares."""
    loss = nn.CrossEntropyLoss()
    own = torch.autograd.grad(loss(network.module(companion[0]), companion[1]), network.module.head.bias)[0]
    return loss(network(x), y) + 0.5 * loss(network(companion[0]), companion[1]) + 0 * own.sum()


def tell(sampler: HardAwareSampler, network: Network, features: Callable) -> None:
    """Tell the sampler the mean loss of each class, and let no process tell its own another."""
    inputs, targets = features()
    losses = nn.functional.cross_entropy(network.head(inputs), targets, reduction="none")
    difficulty = torch.zeros(3).index_add_(0, targets, losses.detach()) / targets.bincount()
    if torch.distributed.is_initialized():
        everyone = [torch.empty_like(difficulty) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(everyone, difficulty)
        assert all(torch.equal(difficulty, other) for other in everyone)
    sampler.set_difficulty(difficulty)


class FourStages:
    """Everything, hard classes most, then with a companion, then a new head on the frozen backbone, then a formula."""

    def network(self, task: Task) -> nn.Module:
        return Network.linear(task.build_backbone(), task.n_classes)

    def stages(self, task: Task) -> list[Stage]:
        loss = nn.CrossEntropyLoss()
        return [
            Stage("learn", share=0.5, loss=loss, sampler=partial(HardAwareSampler, temperature=1.0), before_epoch=tell),
            Stage("both", share=0.2, loss=both, companion=ClassBalancedSampler),
            Stage("head", share=0.3, loss=loss, prepare=new_head, parameters=lambda net: net.head.parameters()),
            Stage("normalise", share=0, prepare=normalise),
        ]


def normalised() -> nn.Module:
    """Return an MLP after batch normalisation, whose running statistics differ among processes."""
    network = nn.Sequential(nn.BatchNorm1d(6), MLP(6, (16, 8)))
    network.out_features = 8
    return network


def partly_used() -> nn.Module:
    """Return an MLP with a layer that nothing uses."""
    network = MLP(6, (16, 8))
    network.forward = partial(nn.Sequential.forward, nn.Sequential(*network))
    network.unused = nn.Linear(2, 2)
    return network


def task(labels: np.ndarray, epochs: int = 40, *, dropout: float = 0.2, augment: object = jitter) -> Task:
    return Task(
        class_counts(labels),
        backbone=partial(MLP, 6, (16, 8), dropout=dropout),
        epochs=epochs,
        batch_size=32,
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
        augment=augment,
    )


def train_in(folder: Path, out: Path) -> None:
    """Train with checkpoints in a folder, and write the network."""
    torch.set_num_threads(1)
    x, y = data()
    network = train(FourStages(), task(y), x, y, checkpoint_dir=folder, resume=True, progress=False)
    save_file(network.state_dict(), out)


def train_apart(machines: Path, out: Path) -> None:
    """Train on two machines, each with a folder of its own, and write the first one's network."""
    torch.set_num_threads(1)
    x, y = data()
    folder = machines / os.environ["RANK"]
    network = train(FourStages(), task(y), x, y, checkpoint_dir=folder, resume=True, progress=False)
    if torch.distributed.get_rank() == 0:
        save_file(network.state_dict(), out)
    torch.distributed.destroy_process_group()


def train_alone_or_together(out: Path, mode: str) -> None:
    """Train by what is shared, and write the network."""
    torch.set_num_threads(1)
    x, y = data()
    tasks = {  # the first with nothing random per process, so that any number of processes gives one result
        "shared": task(y, 4, dropout=0.0, augment=None),
        "told": replace(task(y, 4), backbone=normalised),
    }
    network = train(FourStages(), tasks[mode], x, y, progress=False)
    if not torch.distributed.is_initialized():
        save_file(network.state_dict(), out)
        return
    for value in network.state_dict().values():  # every process ends with the same network, running statistics included
        everyone = [torch.empty_like(value) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(everyone, value)
        assert all(torch.equal(value, other) for other in everyone)
    if torch.distributed.get_rank() == 0:
        save_file(network.state_dict(), out)
    torch.distributed.destroy_process_group()


def train_with_a_part_unused() -> None:
    """Train a network with a layer that no loss depends on, which has no gradients to share."""
    x, y = data()
    with pytest.raises(TailwiseError, match=r"the parameter backbone\.unused\.weight, which several processes"):
        train(FourStages(), replace(task(y, 4), backbone=partly_used), x, y, progress=False)
