"""Training: the stages of a recipe, one after another."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from tailwise.engine import _checkpoint
from tailwise.engine._moving import select_moving, set_modes
from tailwise.engine._progress import EpochProgress
from tailwise.engine._schedule import learning_rate, share_epochs
from tailwise.engine._tensors import as_labels, as_tensor, outputs, take
from tailwise.engine.stage import Stage, Task
from tailwise.errors import TailwiseError
from tailwise.nn import Standardise


class RecipeLike(Protocol):
    """What the engine needs of a recipe."""

    def network(self, task: Task) -> nn.Module:
        """Build the network."""

    def stages(self, task: Task) -> Any:
        """Yield the stages."""


def train(
    recipe: RecipeLike,
    task: Task,
    inputs: Any,
    labels: Any,
    *,
    random_state: int = 0,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    devices: int | str = "auto",
    precision: Any = "32-true",
    compile: bool = False,
    progress: bool = True,
) -> nn.Module:
    """Train a recipe's network through its stages and return it, in evaluation mode.

    Everything random follows from ``random_state``, the stage and the epoch; the global generators are left alone. The
    learning rate of each stage rises linearly over its first twentieth and then falls to zero along half a cosine.

    Parameters
    ----------
    recipe : has ``network(task)`` and ``stages(task)``
    task : what the recipe may know, and how long and with what to train
    inputs : (n, height, width, channels) uint8 images or (n, features) numbers; kept whole on the device
    labels : (n,) class codes
    random_state : seed of weights, order, augmentation and dropout
    checkpoint_dir : folder whose checkpoint is replaced after every epoch; on CPU a training that was killed at any
        moment and resumed ends with the very weights of one that was not
    resume : go on from the folder's checkpoint, if it has one
    devices : how many; "auto" is one, or under ``torchrun`` as many as it started. The batch is shared among them
    precision : as in Lightning Fabric, ``"bf16-mixed"`` for instance
    compile : compile the network; takes about a minute at the start of each stage
    progress : show a progress bar where there is a terminal

    Raises
    ------
    TailwiseError
        If inputs or labels cannot be trained on, training diverges, or the folder's checkpoint is of another training.
    """
    data = as_tensor(inputs)
    codes = as_labels(labels, len(data), task.n_classes)
    fabric = _fabric(devices, precision)
    device = fabric.device
    seeded = partial(_seeded, device, random_state)
    stages = list(recipe.stages(task))
    epochs = share_epochs([stage.share for stage in stages], task.epochs)
    with seeded():
        network = recipe.network(task).to(device)
    for module in network.modules():
        if isinstance(module, Standardise):
            module.fit(data)
    if data.ndim == 4:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    folder = None if checkpoint_dir is None else Path(checkpoint_dir)
    start = None
    identity: dict[str, Any] = {}
    if folder is not None:
        if not resume and _checkpoint.exists(folder):
            raise TailwiseError(f"{folder} has a checkpoint already: resume it, choose another folder, or remove it.")
        identity = {
            "recipe": [_checkpoint.describe(recipe), *(stage.name for stage in stages)],
            "network": {name: list(value.shape) for name, value in network.state_dict().items()},
            "inputs": _checkpoint.digest(np.asarray(inputs)),
            "labels": _checkpoint.digest(codes),
            "epochs": epochs,
            "batch_size": task.batch_size,
            "optimizer": [repr(_optimizer(stage, task, [nn.Parameter(torch.zeros(1))])) for stage in stages],
            "augment": [_checkpoint.describe(_augment(stage, task)) for stage in stages],
            "random_state": random_state,
            "precision": str(precision),
            "processes": fabric.world_size,
        }
        start = _checkpoint.read(folder, identity)
    data, targets = data.to(device), torch.from_numpy(codes).to(device)

    with EpochProgress(sum(epochs), enabled=progress and fabric.is_global_zero) as bar:
        for number, (stage, length) in enumerate(zip(stages, epochs, strict=True)):
            if stage.prepare is not None:  # on resuming, for the structure it gives; the weights are then read
                with seeded(number, 0):
                    network = _prepare(stage, network, data, targets, task.batch_size).to(device)
            at = -1 if start is None else start.stage
            if number < at:
                continue
            if start is not None and number == at:
                network.load_state_dict(start.weights)
            done = start.epoch if start is not None and number == at else 0
            bar.epoch(stage.name, sum(epochs[:number]) + done)

            save = partial(_save, fabric, folder, identity, number, network)
            if length == 0:
                save(0, None)
            elif done < length:
                _train_stage(
                    fabric, stage, task, network, data, targets,
                    epochs=range(done, length),
                    optimizer_state=start.optimizer if start is not None and number == at else {},
                    seeded=partial(seeded, number),
                    compile=compile,
                    save=save,
                    bar=bar,
                    before=sum(epochs[:number]),
                )  # fmt: skip
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return network.eval()


def _save(
    fabric: Fabric,
    folder: Path | None,
    identity: dict[str, Any],
    stage: int,
    network: nn.Module,
    epoch: int,
    optimizer: Optimizer | None,
) -> None:
    """Write a checkpoint from the first process, if there is a folder for it."""
    if folder is None:
        return
    if fabric.is_global_zero:
        _checkpoint.write(folder, identity, stage, epoch, network, optimizer)
    fabric.barrier()


def _fabric(devices: int | str, precision: Any) -> Fabric:
    """Return Fabric launched: one device, or under torchrun this process's share of all."""
    world = int(os.environ.get("WORLD_SIZE", 1)) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world)) if world > 1 else 1
    if devices not in ("auto", local):
        raise TailwiseError(f"devices={devices!r} needs as many processes: torchrun --nproc-per-node {devices} ...")
    strategy = "ddp" if world > 1 else "auto"
    log = logging.getLogger("lightning_fabric")
    level = log.level
    log.setLevel(logging.WARNING)  # otherwise it tells of its precision at every fit
    try:
        fabric = Fabric(devices=local, num_nodes=world // local, strategy=strategy, precision=precision)
    except ValueError as error:
        said = " ".join(str(error).split())
        raise TailwiseError(f"training cannot start with precision {precision!r}: {said}") from None
    finally:
        log.setLevel(level)
    fabric.launch()
    return fabric


@contextmanager
def _seeded(device: torch.device, *key: int) -> Iterator[torch.Generator]:
    """Seed torch's generators by ``key`` for a while, and give a CPU generator that is seeded so too."""
    # Its length is part of the key, since NumPy takes (1,) and (1, 0) for the same seed.
    seed = int(np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)[0] >> 1)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def _prepare(stage: Stage, network: nn.Module, data: Tensor, targets: Tensor, batch_size: int) -> nn.Module:
    def features() -> tuple[Tensor, Tensor]:
        parts = outputs(network, network.features, data, batch_size, data.device)
        return torch.cat(list(parts)).clone(), targets

    return (stage.prepare and stage.prepare(network, features)) or network


def _train_stage(
    fabric: Fabric,
    stage: Stage,
    task: Task,
    network: nn.Module,
    data: Tensor,
    targets: Tensor,
    *,
    epochs: range,
    optimizer_state: dict[int, dict[str, Tensor]],
    seeded: Callable[..., Any],
    compile: bool,
    save: Callable[[int, Optimizer | None], None],
    bar: EpochProgress,
    before: int,
) -> None:
    """Train one stage, from its first epoch or from where a checkpoint left it."""
    if stage.loss is None:
        raise TailwiseError(f"stage {stage.name!r} has a share of the epochs but no loss.")
    loss_of = stage.loss.to(fabric.device) if isinstance(stage.loss, nn.Module) else stage.loss
    augment = _augment(stage, task)
    with seeded() as generator:
        seed = generator.initial_seed() % 2**32
    sampler: Any = (stage.sampler or _shuffle)(
        targets.cpu().numpy(), num_replicas=fabric.world_size, rank=fabric.global_rank, seed=seed
    )
    examples = int(_sum(fabric, torch.tensor(len(sampler), device=fabric.device)))
    steps = math.ceil(examples / task.batch_size)

    optimizer = _optimizer(stage, task, select_moving(stage, network))
    if optimizer_state:
        fresh = optimizer.state_dict()
        optimizer.load_state_dict({"state": optimizer_state, "param_groups": fresh["param_groups"]})
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    shape = partial(learning_rate, steps=steps * epochs.stop)
    schedule = LambdaLR(optimizer, shape, last_epoch=steps * epochs.start - 1)
    compiled: Any = torch.compile(network) if compile else network
    wrapped, stepper = fabric.setup(compiled, optimizer)
    set_modes(wrapped)

    for epoch in epochs:
        sampler.set_epoch(epoch)
        order = np.fromiter(sampler, dtype=np.int64, count=len(sampler))
        total = torch.zeros((), device=fabric.device)
        with seeded(1 + epoch, fabric.global_rank) as generator:
            for indices in np.array_split(order, steps):
                chosen = torch.from_numpy(indices).to(fabric.device)
                x, y = take(data, chosen), targets[chosen]
                if augment is not None:
                    x, y = augment(x, y, generator)
                loss = loss_of(wrapped(x), y)
                stepper.zero_grad()
                fabric.backward(loss)
                stepper.step()
                schedule.step()
                total += loss.detach()
                bar.batch(stage.name, 1 / steps)
        mean = float(_sum(fabric, total)) / (steps * fabric.world_size)
        if not math.isfinite(mean):
            rate = max(group["initial_lr"] for group in optimizer.param_groups)
            raise TailwiseError(
                f"training diverged: the loss is {mean} in stage {stage.name!r}, epoch {epoch + 1} of {epochs.stop};"
                f" lower the learning rate, which was {rate:g}, and train again."
            )
        bar.epoch(stage.name, before + epoch + 1, mean)
        save(epoch + 1, optimizer)


def _sum(fabric: Fabric, number: Tensor) -> Tensor:
    """Return the sum of every process's number."""
    return cast(Tensor, fabric.all_reduce(number, reduce_op="sum"))


def _optimizer(stage: Stage, task: Task, parameters: list[nn.Parameter]) -> Optimizer:
    optimizer = (stage.optimizer or task.optimizer or _sgd)(parameters)
    for group in optimizer.param_groups:
        group["lr"] *= stage.peak
    return optimizer


def _sgd(parameters: Iterable[nn.Parameter]) -> Optimizer:
    return SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)


def _augment(stage: Stage, task: Task) -> Callable[..., tuple[Tensor, Tensor]] | None:
    return task.augment if stage.augment is None else stage.augment or None


def _shuffle(labels: NDArray[np.int64], **settings: Any) -> Any:
    from tailwise.samplers import ShuffleSampler

    return ShuffleSampler(labels, **settings)
