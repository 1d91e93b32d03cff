"""Weights per example that a small clean batch asks for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tailwise.errors import TailwiseError


def meta_weights(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    clean_inputs: Tensor,
    clean_targets: Tensor,
    learning_rate: float,
) -> Tensor:
    """Return the weights of a batch under which one step of training would help a clean, balanced batch most.

    ``w_i = max(-d clean loss / d e_i, 0)`` at ``e = 0``, after the step ``theta - lr grad sum_i e_i loss_i``, over
    their sum.

    Parameters
    ----------
    network : maps inputs to logits; it is left as it is, save for running statistics of normalisation layers
    loss : with ``reduction="none"``
    inputs, targets : the batch to be weighted
    clean_inputs, clean_targets : a batch that is trusted and balanced
    learning_rate : of the virtual step

    Returns
    -------
    (batch,) weights that sum to 1, or all 0 where no example helps.

    Source: Ren et al., Learning to Reweight Examples for Robust Deep Learning, ICML 2018, algorithm 1.

    Raises
    ------
    TailwiseError
        If the loss does not give one number per example.
    """
    parameters: dict[str, Tensor] = {name: p for name, p in network.named_parameters() if p.requires_grad}
    losses = loss(functional_call(network, parameters, (inputs,)), targets)
    if losses.shape != inputs.shape[:1]:
        raise TailwiseError(f'meta_weights needs a loss with reduction="none"; this one gave {tuple(losses.shape)}.')
    pull = torch.zeros_like(losses, requires_grad=True)
    step = torch.autograd.grad((losses * pull).sum(), list(parameters.values()), create_graph=True)
    moved = {name: p - learning_rate * g for (name, p), g in zip(parameters.items(), step, strict=True)}
    clean = loss(functional_call(network, moved, (clean_inputs,)), clean_targets).mean()
    weights = (-torch.autograd.grad(clean, pull)[0]).clamp_min(0)
    return weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
