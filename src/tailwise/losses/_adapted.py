"""Adapts a loss with further arguments to one of logits and targets."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class AdaptedLoss(nn.Module):
    """Calls a loss through a function, and keeps it as a submodule: it moves to devices and is saved in checkpoints.

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
