"""A network that is fine-tuned next to a frozen copy of itself."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


class Anchored(nn.Module):
    """A network and a frozen copy of it, which sees every batch too.

    After each call ``base_logits`` holds the copy's logits for the same inputs, without gradient.

    Parameters
    ----------
    network : any module; it keeps training, its copy does not
    """

    base_logits: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.base = deepcopy(network).requires_grad_(False)

    def train(self, mode: bool = True) -> Anchored:
        """Put the network into training or evaluation mode; its copy is always in evaluation mode."""
        super().train(mode)
        self.base.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the network's logits."""
        with torch.no_grad():
            self.base_logits = self.base(inputs)
        return self.network(inputs)
