"""All that a network remembers, to write it down and to put it back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tailwise.errors import TailwiseError

#: Before the names of buffers that a state_dict leaves out.
BEYOND = "~"


def check_state(module: nn.Module) -> None:
    """Raise TailwiseError if a module keeps something that is no tensor, by ``get_extra_state``."""
    odd = next((name for name, value in module.state_dict().items() if not isinstance(value, Tensor)), None)
    if odd is not None:
        raise TailwiseError(
            f"{type(module).__name__} keeps {odd!r}, which is no tensor and cannot be saved: make it a buffer."
        )


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a module by name, also the buffers that are not persistent."""
    state = module.state_dict()
    buffers = module.named_buffers(remove_duplicate=False)
    return {**state, **{BEYOND + name: buffer for name, buffer in buffers if name not in state}}


@torch.no_grad()
def load_whole_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what :func:`whole_state` returned; buffers that a module makes anew as it needs them are passed over.

    Raises
    ------
    RuntimeError
        As ``module.load_state_dict``.
    """
    module.load_state_dict({name: value for name, value in state.items() if not name.startswith(BEYOND)})
    buffers = dict(module.named_buffers(remove_duplicate=False))
    for name, value in state.items():
        own = buffers.get(name.removeprefix(BEYOND)) if name.startswith(BEYOND) else None
        if own is not None and own.shape == value.shape:
            own.copy_(value)
