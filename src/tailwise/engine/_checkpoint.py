"""Checkpoints: one safetensors file with weights, losses and optimiser; its header identifies training and epoch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from tailwise.errors import TailwiseError
from tailwise.identity import differing
from tailwise.nn import whole_state
from tailwise.storage import atomic_write

_NAME = "checkpoint.safetensors"
_FORMAT = 5


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood: after ``epoch`` epochs of stage number ``stage``."""

    stage: int
    epoch: int
    weights: dict[str, Tensor] = field(repr=False)
    losses: dict[str, Tensor] = field(repr=False)
    optimizer: dict[int, dict[str, Tensor]] = field(repr=False)


def write(
    folder: Path,
    identity: dict[str, Any],
    stage: int,
    epoch: int,
    network: nn.Module,
    losses: nn.Module,
    optimizer: Optimizer | None,
) -> None:
    """Replace the folder's checkpoint atomically: a process killed meanwhile leaves the old one or the new one.

    The losses of all stages are saved too, since some gather statistics while they train.
    """
    tensors = {
        f"{part}.{name}": value.cpu().contiguous()
        for part, module in {"network": network, "losses": losses}.items()
        for name, value in whole_state(module).items()
    }
    if optimizer is not None:
        for index, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if value is not None:
                    tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value).cpu().contiguous()
    header = {"format": _FORMAT, "stage": stage, "epoch": epoch, "identity": identity}
    first: dict[int, str] = {}  # of tied weights, which a file holds once for each name
    for name, value in tensors.items():
        if first.setdefault(value.data_ptr(), name) != name:
            tensors[name] = value.clone()
    content = save(tensors, metadata={"tailwise": json.dumps(header, sort_keys=True)})
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / _NAME, "wb") as file:
        file.write(content)


def read(folder: Path, identity: dict[str, Any]) -> Checkpoint | None:
    """Return the folder's checkpoint, or None if it has none.

    Raises
    ------
    TailwiseError
        If it cannot be read, or belongs to a training that differs in recipe, data, seed or anything else in
        ``identity``.
    """
    path = folder / _NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["tailwise"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TailwiseError(f"{path} is not a readable checkpoint ({error}); remove it to start again.") from None
    if header.get("format") != _FORMAT:
        raise TailwiseError(f"{path} was written by another version of Tailwise; remove it to start again.")
    other = differing(identity, header["identity"])
    if other:
        raise TailwiseError(
            f"the checkpoint in {folder} belongs to another training: it differs in {', '.join(other)};"
            " choose another folder, or remove it to start again."
        )
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "losses": {}, "optimizer": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    optimizer: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        index, _, key = name.partition(".")
        optimizer.setdefault(int(index), {})[key] = value
    return Checkpoint(header["stage"], header["epoch"], parts["network"], parts["losses"], optimizer)


def exists(folder: Path) -> bool:
    """Say whether the folder has a checkpoint."""
    return (folder / _NAME).exists()
