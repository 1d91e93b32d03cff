"""Standardisation of inputs by statistics of the training set, which are saved with the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_NUMBERS = 1 << 22  # in a chunk


class Standardise(nn.Module):
    """Subtract the mean and divide by the standard deviation, per channel or feature (dimension 1).

    Mean and scale are buffers, so a saved network standardises new inputs as it did the training set. Before
    :meth:`fit`, the module only converts inputs to floating point.

    Shapes: (batch, features) or (batch, channels, height, width), uint8 or floating point → float of the same shape.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("scale", torch.ones(1))

    @torch.no_grad()
    def fit(self, inputs: Tensor, chunk: int | None = None) -> Standardise:
        """Compute mean and scale of a training set in float64, chunk by chunk; constant features keep scale 1."""
        chunk = chunk or max(1, _NUMBERS // max(1, inputs[:1].numel()))
        first = inputs[:chunk].double().transpose(0, 1).flatten(1)
        shift = first.mean(1, keepdim=True)  # close to the mean, which avoids cancellation in the sums of squares below
        total, squares, n = torch.zeros_like(shift[:, 0]), torch.zeros_like(shift[:, 0]), 0
        for part in inputs.split(chunk):
            centred = part.double().transpose(0, 1).flatten(1) - shift
            total, squares, n = total + centred.sum(1), squares + centred.square().sum(1), n + centred.shape[1]
        mean = total / n
        deviation = (squares / n - mean.square()).clamp(min=0).sqrt()
        negligible = deviation <= 1e-7 * (mean + shift[:, 0]).abs()
        self.mean = (mean + shift[:, 0]).float()
        self.scale = torch.where(negligible, torch.ones_like(deviation), 1 / deviation).float()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the standardised inputs."""
        shape = (-1,) + (1,) * (inputs.ndim - 2)
        x = inputs if inputs.is_floating_point() else inputs.float()
        return (x - self.mean.view(shape)) * self.scale.view(shape)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The constructor does not know the number of channels; the data or the file does.
        stored = {name: state_dict[prefix + name] for name in ("mean", "scale") if prefix + name in state_dict}
        for name, values in stored.items():
            setattr(self, name, getattr(self, name).new_empty(values.shape))
        shapes = {tuple(values.shape) for values in stored.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            args[-1].append(f"{prefix}mean and {prefix}scale are not one number each per channel or feature.")
        super()._load_from_state_dict(state_dict, prefix, *args)
