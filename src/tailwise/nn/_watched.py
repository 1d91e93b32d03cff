"""A module that remembers what it was last given."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Watched(nn.Module):
    """A head that keeps the features of the last batch, for losses that need them.

    Attributes
    ----------
    head : the head itself
    features : (batch, in_features) that it was last called on

    Shapes: those of the head.
    """

    features: Tensor

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the features, which belong to a graph and cannot be copied."""
        return {name: value for name, value in super().__getstate__().items() if name != "features"}  # type: ignore[union-attr]

    def forward(self, features: Tensor) -> Tensor:
        """Return the head's logits."""
        self.features = features
        return self.head(features)
