"""Training: the stages of a recipe, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from tailwise.engine import _checkpoint
from tailwise.engine._devices import launch, seeded_by
from tailwise.engine._progress import EpochProgress
from tailwise.engine._schedule import share_epochs
from tailwise.engine._stage_loop import augment_of, optimizer_of, train_stage
from tailwise.engine._tensors import as_targets, as_tensor, training_features
from tailwise.engine.stage import Stage, Task
from tailwise.errors import TailwiseError
from tailwise.identity import describe, digest
from tailwise.nn import Standardise, check_state, load_whole_state
from tailwise.processes import working_in
from tailwise.random_state import RandomState, whole_seed
from tailwise.settings import whole
from tailwise.tensors import to_array


class RecipeLike(Protocol):
    """What the engine needs of a recipe."""

    def network(self, task: Task) -> nn.Module:
        """Build the network."""

    def stages(self, task: Task) -> Any:
        """Yield the stages."""


def plan_stages(recipe: RecipeLike, task: Task) -> tuple[list[Stage], list[int]]:
    """Return a recipe's stages, and how many epochs each gets.

    Raises
    ------
    TailwiseError
        If the recipe yields anything else, or there are too few epochs for its stages.
    """
    stages = list(recipe.stages(task))
    for stage in stages:
        if not isinstance(stage, Stage):
            raise TailwiseError(f"stages() must yield tailwise.recipes.Stage objects; got {stage!r}.")
        _optimizer(stage, task)
    return stages, share_epochs([stage.share for stage in stages], task.epochs)


def _optimizer(stage: Stage, task: Task) -> Optimizer:
    """Return the stage's optimiser for a matrix, which refuses settings and shows them."""
    return optimizer_of(stage, task, [nn.Parameter(torch.zeros(1, 1))])


@torch.inference_mode(False)
@torch.enable_grad()
def train(
    recipe: RecipeLike,
    task: Task,
    inputs: Any,
    labels: Any,
    *,
    random_state: RandomState = 0,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    devices: int | str = "auto",
    precision: Any = "32-true",
    compile: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> nn.Module:
    """Train a recipe's network through its stages and return it, in evaluation mode.

    Everything random follows from ``random_state``, the stage and the epoch; global generators are not touched. The
    learning rate of each stage rises linearly over its first twentieth and then falls to zero along half a cosine.

    Parameters
    ----------
    recipe : has ``network(task)`` and ``stages(task)``
    task : what the recipe may know, and how long and with which optimiser to train
    inputs : (n, height, width, channels) uint8 images or (n, features) numbers; kept whole on the device
    labels : (n,) class codes, or (n, n_classes) rows: 1 for the classes of an example and 0 for others, or shares
    random_state : seed of weights, order, augmentation and dropout; the same whole number gives the same network
    checkpoint_dir : folder whose checkpoint is replaced after every epoch; on CPU, a training that was killed at any
        moment and resumed ends with exactly the weights of an uninterrupted one. Of several processes the first alone
        looks there
    resume : continue from the folder's checkpoint, if it has one
    devices : how many; "auto" is one, or under ``torchrun`` as many as it started. Batches are split among them
    precision : ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"`` or ``"64-true"``, as in Lightning Fabric
    compile : compile the network; takes about a minute at the start of each stage
    progress : show a progress bar if there is a terminal; or a function that is called with a line of it, twice a
        second at most

    Raises
    ------
    TailwiseError
        If inputs, labels or settings cannot be used, training diverges, the folder's checkpoint belongs to another
        training, or another process is writing there.

    Examples
    --------
    The same seed gives the same network:

    >>> import numpy as np
    >>> from tailwise.nn import MLP
    >>> from tailwise.recipes import Task, recipe
    >>> inputs, labels = np.arange(20.0).reshape(10, 2), np.repeat([0, 1], [8, 2])
    >>> task = Task(np.bincount(labels), backbone=lambda: MLP(2), epochs=2, batch_size=5)
    >>> one, other = (train(recipe("focal"), task, inputs, labels, random_state=7, progress=False) for _ in range(2))
    >>> one.head.weight.equal(other.head.weight)
    True
    """
    batch_size = whole("batch_size", task.batch_size, 1)
    whole("epochs", task.epochs, 1)
    dtype = torch.float64 if precision == "64-true" else torch.float32
    data = as_tensor(inputs, dtype)
    known = as_targets(labels, len(data), task.n_classes)
    fabric = launch(devices, precision)
    device, seed = fabric.device, fabric.broadcast(whole_seed(random_state))
    seeded = partial(seeded_by, device, seed)
    with seeded():  # some losses have weights of their own
        stages, epochs = plan_stages(recipe, task)
    losses = nn.ModuleDict({str(i): stage.loss for i, stage in enumerate(stages) if isinstance(stage.loss, nn.Module)})
    with seeded():
        network = recipe.network(task)
    check_state(network)
    for module in network.modules():
        if isinstance(module, Standardise):
            module.fit(data)
    network = network.to(device, dtype)
    if data.ndim == 4:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    # the first process keeps for all, on whichever machines they are
    folder = None if checkpoint_dir is None or not fabric.is_global_zero else Path(checkpoint_dir)
    identity: dict[str, Any] = {}
    if folder is not None:
        identity = {
            "recipe": [describe(recipe), *(stage.name for stage in stages)],
            "network": {name: list(value.shape) for name, value in network.state_dict().items()},
            "modules": describe([network, *{type(part): None for part in network.modules()}]),
            "losses": [_described(loss) for loss in losses.values()],
            "inputs": digest(np.asarray(to_array(inputs))),
            "labels": digest(known),
            "epochs": epochs,
            "class_counts": digest(task.class_counts),
            "batch_size": batch_size,
            "optimizer": [repr(_optimizer(stage, task)) for stage in stages],
            "augment": [describe(augment_of(stage, task)) for stage in stages],
            "random_state": seed,
            "precision": str(precision),
            "processes": fabric.world_size,
        }
    data, targets = data.to(device), torch.from_numpy(known).to(device)

    lock = nullcontext() if folder is None else working_in(folder)
    with lock, EpochProgress(sum(epochs), fabric.is_global_zero and progress) as bar:
        if folder is not None and not resume and _checkpoint.exists(folder):
            raise TailwiseError(f"{folder} already has a checkpoint: resume it, choose another folder, or remove it.")
        start = fabric.broadcast(None if folder is None else _checkpoint.read(folder, identity))
        losses.to(device)
        if start is not None:
            load_whole_state(losses, start.losses)
        for number, (stage, length) in enumerate(zip(stages, epochs, strict=True)):
            if stage.prepare is not None:  # on resuming, for the structure it gives; the weights are then read
                with seeded(number, 0):
                    features = partial(training_features, network, data, targets, task.batch_size)
                    changed = stage.prepare(network, features)
                    network = (network if changed is None else changed).to(device)
            if start is not None and number < start.stage:
                continue
            here = start if start is not None and number == start.stage else None
            if here is not None:
                load_whole_state(network, here.weights)
            done = 0 if here is None else here.epoch
            bar.epoch(stage.name, sum(epochs[:number]) + done)

            save = partial(_save, folder, identity, number, network, losses)
            if length == 0:
                save(0, None)
            elif done < length:
                before = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
                train_stage(
                    fabric, stage, task, network, data, targets,
                    epochs=range(done, length),
                    optimizer_state={} if here is None else here.optimizer,
                    seeded=partial(seeded, number),
                    compile=compile,
                    save=save,
                    bar=bar,
                    before=sum(epochs[:number]),
                )  # fmt: skip
                for parameter, was_free in before:
                    parameter.requires_grad_(was_free)
    return network.eval()


def _described(loss: nn.Module) -> str:
    """Return a text that tells apart losses, their numbers, and their numbers per class."""
    settings = {
        f"{name}.{key}": describe(value)
        for name, module in loss.named_modules()
        for key, value in sorted(vars(module).items())
        if not isinstance(value, torch.Tensor) and not callable(value) and key != "training" and not key.startswith("_")
    }
    tensors = (value.detach().cpu().reshape(-1).view(torch.uint8).numpy() for value in loss.state_dict().values())
    return f"{describe(loss)} {settings} {digest(*tensors)}"


def _save(
    folder: Path | None,
    identity: dict[str, Any],
    stage: int,
    network: nn.Module,
    losses: nn.ModuleDict,
    epoch: int,
    optimizer: Optimizer | None,
) -> None:
    """Write a checkpoint, if there is a folder for it."""
    if folder is not None:
        _checkpoint.write(folder, identity, stage, epoch, network, losses, optimizer)
