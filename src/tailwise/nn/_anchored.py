"""A network that is fine-tuned beside a frozen copy of itself."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


class Anchored(nn.Module):
    """A network beside a frozen copy of it, which also sees every batch.

    After each call, ``base_logits`` holds the copy's logits for the same inputs, without gradients.

    Parameters
    ----------
    network : any module; it is trained, its copy is not
    """

    base_logits: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.base = deepcopy(network).requires_grad_(False)

    def train(self, mode: bool = True) -> Anchored:
        """Set the network to training or evaluation mode; its copy stays in evaluation mode."""
        super().train(mode)
        self.base.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the network's logits."""
        with torch.no_grad():
            self.base_logits = self.base(inputs)
        return self.network(inputs)
