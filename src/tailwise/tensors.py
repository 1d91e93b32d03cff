"""Tensors as arrays."""

from __future__ import annotations

from typing import Any


def to_array(values: Any) -> Any:
    """Return a torch tensor, of any type and on any device, as an array, bfloat16 as float32; all else unchanged."""
    if not hasattr(values, "detach"):
        return values
    tensor = values.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
