"""Where training runs, and what seeds its random numbers."""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from tailwise.engine.stage import PRECISIONS
from tailwise.errors import TailwiseError
from tailwise.processes import together

T = TypeVar("T")

_GENERATORS = threading.RLock()  # those of torch, which threads share


def launch(devices: int | str, precision: Any) -> Fabric:
    """Return a launched Fabric: on one device, or under torchrun on this process's share of all.

    Raises
    ------
    TailwiseError
        If there are more or fewer processes than ``devices``, or the precision is unknown or needs a GPU.
    """
    world = together()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world)) if world > 1 else 1
    if devices != "auto" and (not isinstance(devices, int) or isinstance(devices, bool) or devices < 1):
        raise TailwiseError(f"devices must be a number of them, or 'auto'; got {devices!r}.")
    if devices not in ("auto", local):
        raise TailwiseError(f"devices={devices!r} needs as many processes: run torchrun --nproc-per-node {devices} ...")
    if precision not in PRECISIONS:
        raise TailwiseError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    if precision == "16-mixed" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        raise TailwiseError("training with precision '16-mixed' needs a GPU: use 'bf16-mixed' here.")
    # running statistics are shared once an epoch: at every forward pass they would change under those of a companion
    sharing: dict[str, Any] = {_sharing_buffers(): False}
    strategy = DDPStrategy(**sharing) if world > 1 else "auto"
    log = logging.getLogger("lightning_fabric")
    level = log.level
    log.setLevel(logging.WARNING)  # otherwise it reports its precision at every fit
    try:
        fabric = Fabric(devices=local, num_nodes=world // local, strategy=strategy, precision=precision)
    finally:
        log.setLevel(level)
    fabric.launch()
    return fabric


def _sharing_buffers() -> str:
    """Return torch's name for sharing buffers at every forward pass, which newer versions have renamed."""
    known = inspect.signature(DistributedDataParallel).parameters
    return "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"


def computes_bfloat16() -> bool:
    """Say whether the GPU, or else the processor, has instructions for bfloat16 and so is faster than in float32."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # since torch 2.10
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def meet() -> None:
    """Wait until all processes of this training are here."""
    _together(together()).barrier()


def of_first(value: T) -> T:
    """Return the first process's value; every process of this training has to call this."""
    return _together(together()).broadcast(value)


@cache
def _together(world: int) -> Fabric:
    """Return what the processes of this training talk by."""
    return launch("auto", "32-true")


@contextmanager
def seeded_by(device: torch.device, *key: int) -> Iterator[torch.Generator]:
    """Seed torch's generators by ``key`` inside the context, and yield a CPU generator with the same seed.

    Those of the CPU and of the device are seeded, and go on afterwards as if nothing had been. They are the process's,
    so that other threads wait to enter.
    """
    # The length is part of the key, since (1,) and (1, 0) are the same seed to NumPy.
    seed = int(np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)[0] >> 1)
    with _GENERATORS, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        before = torch.mps.get_rng_state() if device.type == "mps" else None
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif before is not None:
            torch.mps.manual_seed(seed)
        try:
            yield torch.Generator().manual_seed(seed)
        finally:
            if before is not None:
                torch.mps.set_rng_state(before)
