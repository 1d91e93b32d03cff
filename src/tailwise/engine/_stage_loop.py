"""The training of one stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from tailwise.engine._progress import EpochProgress
from tailwise.engine._schedule import learning_rate
from tailwise.engine._tensors import take, training_features
from tailwise.engine._trainable import set_modes, set_trainable
from tailwise.engine.stage import Stage, Task
from tailwise.errors import TailwiseError


def train_stage(
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
    """Train one stage, from its first epoch or from where a checkpoint left off.

    Raises
    ------
    TailwiseError
        If the stage has no loss, trains no parameter, diverges, or has parameters that several processes cannot share.
    """
    if stage.loss is None:
        raise TailwiseError(f"stage {stage.name!r} has a share of the epochs but no loss.")
    samplers = _samplers(fabric, stage, targets, seeded)
    steps = _steps(fabric, samplers[0], task.batch_size)
    if not steps or any(len(sampler) < steps for sampler in samplers):
        raise TailwiseError(f"a sampler of stage {stage.name!r} has less than one example for each of {steps} batches.")

    optimizer = optimizer_of(stage, task, set_trainable(stage, network))
    if optimizer_state:
        fresh = optimizer.state_dict()
        optimizer.load_state_dict({"state": optimizer_state, "param_groups": fresh["param_groups"]})
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    shape = partial(learning_rate, steps=steps * epochs.stop)
    schedule = LambdaLR(optimizer, shape, last_epoch=steps * epochs.start - 1)
    compiled: Any = torch.compile(network, dynamic=False) if compile else network
    wrapped, stepper = fabric.setup(compiled, optimizer)
    set_modes(wrapped)
    loss_of = _loss_of_batches(fabric, stage, wrapped)
    augment = augment_of(stage, task)

    def batch(indices: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.from_numpy(indices).to(fabric.device, non_blocking=True)
        x, y = take(data, chosen), targets[chosen]
        return (x, y) if augment is None else augment(x, y, generator)

    features = partial(training_features, network, data, targets, task.batch_size)

    for epoch in epochs:
        if stage.before_epoch is not None:
            with torch.no_grad():
                stage.before_epoch(samplers[0], network, features)
        total = torch.zeros((), device=fabric.device)
        with seeded(1 + epoch, fabric.global_rank) as generator:
            for together in zip(*(_batches(sampler, epoch, steps) for sampler in samplers), strict=True):
                loss = loss_of(*(tensor for indices in together for tensor in batch(indices, generator)))
                if stage.penalty is not None:
                    loss = loss + stage.penalty(network)
                if loss.ndim:
                    raise TailwiseError(
                        f"the loss of stage {stage.name!r} must be one number for a batch; got {tuple(loss.shape)}: "
                        "use its mean."
                    )
                stepper.zero_grad()
                fabric.backward(loss)
                if fabric.world_size > 1:
                    _require_gradients(stage, network)
                stepper.step()
                schedule.step()
                total += loss.detach()
                bar.batch(stage.name, 1 / steps)
        mean = float(_sum(fabric, total)) / (steps * fabric.world_size)
        if not math.isfinite(mean) or not _are_finite(network):
            rate = max(group["initial_lr"] for group in optimizer.param_groups)
            what = f"the loss is {mean}" if not math.isfinite(mean) else "weights are NaN or infinite"
            raise TailwiseError(
                f"training diverged: {what} in stage {stage.name!r}, epoch {epoch + 1} of {epochs.stop};"
                f" lower the learning rate, which was {rate:g}, and train again."
            )
        for module in (network, stage.loss):
            _share_buffers(fabric, module)
        bar.epoch(stage.name, before + epoch + 1, mean)
        save(epoch + 1, optimizer)


def optimizer_of(stage: Stage, task: Task, parameters: list[nn.Parameter]) -> Optimizer:
    """Return the stage's optimiser at its peak learning rate."""
    optimizer = (stage.optimizer or task.optimizer or _sgd)(parameters)
    for group in optimizer.param_groups:
        group["lr"] *= stage.peak
    return optimizer


def augment_of(stage: Stage, task: Task) -> Callable[..., tuple[Tensor, Tensor]] | None:
    """Return the stage's augmentation, or None."""
    return task.augment if stage.augment is None else stage.augment or None


def _loss_of_batches(fabric: Fabric, stage: Stage, network: nn.Module) -> Callable[..., Tensor]:
    """Return the stage's loss as a function of a batch, or of a batch and its companion."""
    loss = cast(Callable[..., Tensor], stage.loss)
    if stage.companion is None:
        return lambda inputs, targets: loss(network(inputs), targets)

    def loss_of_both(*batches: Tensor) -> Tensor:
        with fabric.autocast():  # for passes of the loss's own through the bare network
            return loss(network, *batches)

    return loss_of_both


def _samplers(fabric: Fabric, stage: Stage, targets: Tensor, seeded: Callable[..., Any]) -> list[Any]:
    """Build the stage's sampler, and the companion's if it has one, each with a seed of its own."""
    with seeded() as generator:
        seed = generator.initial_seed()
    builders: list[Callable[..., Any]] = [stage.sampler or _shuffle]
    if stage.companion is not None:
        builders.append(stage.companion)
    labels = targets.cpu().numpy()
    return [
        build(labels, num_replicas=fabric.world_size, rank=fabric.global_rank, seed=(seed + number) % 2**32)
        for number, build in enumerate(builders)
    ]


def _steps(fabric: Fabric, sampler: Any, batch_size: int) -> int:
    """Return how many batches an epoch has, which is the same number in every process."""
    if getattr(sampler, "batched", False):
        return len(sampler)
    examples = int(_sum(fabric, torch.tensor(len(sampler), device=fabric.device)))
    return min(math.ceil(examples / batch_size), len(sampler))  # with more processes than examples in a batch


def _batches(sampler: Any, epoch: int, steps: int) -> Iterator[NDArray[np.int64]]:
    """Yield a sampler's own batches, or its epoch as a number of batches that differ by one example at most."""
    sampler.set_epoch(epoch)
    if getattr(sampler, "batched", False):
        yield from (np.array(batch, dtype=np.int64) for batch in sampler)
        return
    yield from np.array_split(np.fromiter(sampler, dtype=np.int64, count=len(sampler)), steps)


def _require_gradients(stage: Stage, network: nn.Module) -> None:
    """Raise TailwiseError if a parameter got no gradient, for which the other processes would wait in vain."""
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            raise TailwiseError(
                f"the loss of stage {stage.name!r} does not depend on the parameter {name}, which several processes "
                "cannot share: leave it out of the network, or freeze it with requires_grad_(False)."
            )


def _sum(fabric: Fabric, number: Tensor) -> Tensor:
    """Return the sum of every process's number."""
    return cast(Tensor, fabric.all_reduce(number, reduce_op="sum"))


def _are_finite(network: nn.Module) -> bool:
    """Say whether all weights are finite."""
    return bool(torch.stack([weights.isfinite().all() for weights in network.parameters()]).all())


def _share_buffers(fabric: Fabric, module: Any) -> None:
    """Give every process the first one's running statistics, so that all get the same from the same examples."""
    if fabric.world_size > 1 and isinstance(module, nn.Module):
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, 0)


def _sgd(parameters: Iterable[nn.Parameter]) -> Optimizer:
    return SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)


def _shuffle(labels: NDArray[Any], **settings: Any) -> Any:
    from tailwise.samplers import ShuffleSampler

    return ShuffleSampler(class_counts=[len(labels)], **settings)
