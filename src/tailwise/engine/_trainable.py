"""Which parameters a stage trains, and which are frozen."""

from __future__ import annotations

from torch import nn

from tailwise.engine.stage import Stage
from tailwise.errors import TailwiseError


def set_trainable(stage: Stage, network: nn.Module) -> list[nn.Parameter]:
    """Make the stage's parameters, and only those, require gradients; return them.

    Unless the stage picks any, these are all that require gradients already.

    Raises
    ------
    TailwiseError
        If the stage picks none.
    """
    free = [parameter for parameter in network.parameters() if parameter.requires_grad]
    chosen = free if stage.parameters is None else list(stage.parameters(network))
    if not chosen:
        raise TailwiseError(
            f"stage {stage.name!r} trains no parameter of the network; check what its `parameters` picks."
        )
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for parameter in chosen:
        parameter.requires_grad_(True)
    return chosen


def set_modes(module: nn.Module) -> None:
    """Put every part whose parameters are all frozen into evaluation mode, and the rest into training mode.

    A frozen backbone so keeps its batch-normalisation statistics and applies no dropout.
    """
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    module.training = True
    for child in module.children():
        set_modes(child)
