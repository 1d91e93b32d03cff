"""A loss of more than logits and targets, as one of these two."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class AdaptedLoss(nn.Module):
    """Calls a loss in a way of one's own, and takes it along to devices and into checkpoints, as no closure would.

    Parameters
    ----------
    loss : any module
    call : ``call(loss, logits, targets)`` returns the loss of a batch
    """

    def __init__(self, loss: nn.Module, call: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.loss = loss
        self.call = call

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return self.call(self.loss, logits, targets)
