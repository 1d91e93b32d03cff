"""A module that remembers what it was last given."""

from __future__ import annotations

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

    def forward(self, features: Tensor) -> Tensor:
        """Return the head's logits."""
        self.features = features
        return self.head(features)
