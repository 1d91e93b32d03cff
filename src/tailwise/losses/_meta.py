"""Weights per example that help a small clean batch: one number each, or a function of the loss, a small network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from tailwise.errors import TailwiseError
from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import Precise
from tailwise.settings import number, whole

_IGNORED = -100  # as by default in torch
_WRAPPERS = ("torch.nn.parallel.", "lightning_fabric.", "lightning.fabric.")


def meta_loss(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    weigh: Callable[[Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    clean_inputs: Tensor,
    clean_targets: Tensor,
    learning_rate: float,
) -> Tensor:
    """Return the loss of a clean, balanced batch after one step of training on a weighted batch.

    The mean clean loss at ``theta - lr grad sum_i w_i loss_i(theta)`` with ``w = weigh(losses)`` held constant in
    ``theta``. Its gradient reaches the parameters of ``weigh``, and not the network.

    Parameters
    ----------
    network : maps inputs to logits; it does not change, nor do the running statistics of normalisation layers
    loss : with ``reduction="none"``
    weigh : maps (batch,) losses to (batch,) weights, such as :class:`MetaWeightNet`
    inputs, targets : the batch to weight
    clean_inputs, clean_targets : a trusted, balanced batch
    learning_rate : of the virtual step

    Raises
    ------
    TailwiseError
        If the loss does not give one number per example.
    """
    parameters = {name: p.detach().requires_grad_() for name, p in network.named_parameters() if p.requires_grad}
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    losses = loss(functional_call(network, {**parameters, **buffers}, (inputs,)), targets)
    if losses.shape != inputs.shape[:1]:
        raise TailwiseError(f'meta-weights need a loss with reduction="none"; this one gave {tuple(losses.shape)}.')
    total = (losses * weigh(losses.detach())).sum()
    step = torch.autograd.grad(total, list(parameters.values()), create_graph=True, materialize_grads=True)
    moved = {name: p - learning_rate * g for (name, p), g in zip(parameters.items(), step, strict=True)}
    return loss(functional_call(network, {**moved, **buffers}, (clean_inputs,)), clean_targets).mean()


def meta_weights(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    clean_inputs: Tensor,
    clean_targets: Tensor,
    learning_rate: float,
) -> Tensor:
    """Return weights of a batch, by how much a step of training on each example would help a clean, balanced batch.

    ``w_i = max(-d clean loss / d e_i, 0)`` at ``e = 0``, divided by their sum; the clean loss is :func:`meta_loss` with
    weights ``e``.

    Parameters
    ----------
    network, loss, inputs, targets, clean_inputs, clean_targets, learning_rate : as for :func:`meta_loss`

    Returns
    -------
    (batch,) weights that sum to 1, or all 0 where no example helps.

    Source: Ren et al., Learning to Reweight Examples for Robust Deep Learning, ICML 2018, algorithm 1.
    Verified: equals finite differences of the clean loss after a step; flipped labels get little weight.

    Examples
    --------
    The third label of the batch is wrong, as the clean examples show:

    >>> import torch
    >>> from tailwise.losses import CrossEntropyLoss
    >>> network, loss = torch.nn.Linear(1, 2), CrossEntropyLoss(reduction="none")
    >>> inputs, clean = torch.tensor([[-1.0], [1.0], [1.0]]), torch.tensor([[-1.0], [1.0]])
    >>> weights = meta_weights(network, loss, inputs, torch.tensor([0, 1, 0]), clean, torch.tensor([0, 1]), 0.1)
    >>> weights > 0
    tensor([ True,  True, False])
    """
    pull: list[Tensor] = []

    def weigh(losses: Tensor) -> Tensor:
        pull.append(torch.zeros_like(losses, requires_grad=True))
        return pull[0]

    clean = meta_loss(network, loss, weigh, inputs, targets, clean_inputs, clean_targets, learning_rate)
    weights = (-torch.autograd.grad(clean, pull[0])[0]).clamp_min(0)
    return weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


class MetaWeightNet(nn.Module):
    """A small network that maps a loss to a weight, and learns from a clean batch.

    ``w_i = s(v . relu(u loss_i + a) + b)`` over their sum, ``s`` the logistic function.

    Parameters
    ----------
    width : of the hidden layer

    A step of training, with ``weigh = MetaWeightNet()`` and an optimiser of its own::

        weigh_optimiser.zero_grad()
        meta_loss(network, loss, weigh, x, y, clean_x, clean_y, learning_rate).backward()
        weigh_optimiser.step()
        losses = loss(network(x), y)
        (losses * weigh(losses).detach()).sum().backward()

    Raises
    ------
    TailwiseError
        If the width is below 1.

    Source: Shu et al., Meta-Weight-Net: Learning an Explicit Mapping For Sample Weighting, NeurIPS 2019, equations 3
    to 5; the width and the normalisation as in the authors' code (Meta-weight-net_class-imbalance).
    Verified: :func:`meta_loss` and its gradient equal that code's to 1e-15 on a linear network, with the losses that
    enter the weights held constant, as in the paper and in their code for noisy labels.
    """

    def __init__(self, width: int = 100) -> None:
        super().__init__()
        whole("width", width, 1)
        self.layers = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 1), nn.Sigmoid())

    def forward(self, losses: Tensor) -> Tensor:
        """Return (batch,) weights that sum to 1 for (batch,) losses, which are held constant."""
        own = next(self.layers.parameters()).dtype
        weights = self.layers(losses.detach()[:, None].to(own)).squeeze(1)
        return weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


class MetaWeightedLoss(Precise):
    """Cross-entropy with the weights of a :class:`MetaWeightNet`, which takes a step of Adam at every batch.

    Parameters
    ----------
    learning_rate : of the weighting network
    virtual_learning_rate : of the virtual step of the main network, whose effect on the clean batch is measured
    width : of the hidden layer of the weighting network

    It steps in ``train()`` only, and across processes its gradients are averaged. Adam's moments are buffers, so that
    they are kept in checkpoints.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: as :class:`MetaWeightNet`, algorithm 1; Adam and its learning rate as in the authors' code for noisy labels
    (MW-Net.py).
    Verified: steps equal ``torch.optim.Adam``'s on the gradient of :func:`meta_loss`.
    Deviates: no weight decay, and a constant virtual learning rate, where theirs is that of the network.

    Examples
    --------
    It takes the network, and a balanced batch beside the other. The weighting network takes its own step:

    >>> import torch
    >>> network, loss = torch.nn.Linear(3, 2), MetaWeightedLoss()
    >>> inputs, targets = torch.randn(8, 3), torch.tensor([0, 0, 0, 0, 0, 0, 0, 1])
    >>> loss(network, inputs, targets, torch.randn(2, 3), torch.tensor([0, 1])).backward()
    >>> loss.steps, network.weight.grad.shape  # for an optimiser of the network alone
    (tensor(1.), torch.Size([2, 3]))
    """

    moments: Tensor
    steps: Tensor

    def __init__(self, learning_rate: float = 1e-3, virtual_learning_rate: float = 0.1, *, width: int = 100) -> None:
        super().__init__()
        self.weigh = MetaWeightNet(width)
        self.learning_rate = number("learning_rate", learning_rate, 0)
        self.virtual_learning_rate = number("virtual_learning_rate", virtual_learning_rate, 0)
        self.register_buffer(
            "moments", at_least_float32(torch.zeros(2, sum(p.numel() for p in self.weigh.parameters())))
        )
        self.register_buffer("steps", at_least_float32(torch.zeros(())))

    def forward(
        self, network: Any, inputs: Tensor, targets: Tensor, clean_inputs: Tensor, clean_targets: Tensor
    ) -> Tensor:
        """Return the weighted loss of a batch, given one that is balanced; DDP or Fabric may wrap the network.

        Targets of -100 are ignored in the batch; all examples of the balanced one need a label.
        """
        each = nn.CrossEntropyLoss(reduction="none", ignore_index=_IGNORED)
        if self.training and torch.is_grad_enabled():
            batches = inputs, targets, clean_inputs, clean_targets
            wrapped = type(network).__module__.startswith(_WRAPPERS)
            bare = network.module if wrapped else network  # as its gradients are not shared
            self._step(meta_loss(bare, each, partial(self._weights, targets), *batches, self.virtual_learning_rate))
        losses = each(network(inputs), targets)
        return (losses * self._weights(targets, losses).detach()).sum()

    def _weights(self, targets: Tensor, losses: Tensor) -> Tensor:
        """Return weights that sum to 1; ignored examples have none."""
        weights = self.weigh(losses) * (targets != _IGNORED)
        return weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)

    def _step(self, clean: Tensor) -> None:
        parameters = list(self.weigh.parameters())
        gradient = parameters_to_vector(torch.autograd.grad(clean, parameters)).to(self.moments.dtype)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(gradient)
            gradient /= torch.distributed.get_world_size()
        self.steps += 1
        mean, square = self.moments
        mean.lerp_(gradient, 0.1)
        square.lerp_(gradient**2, 0.001)
        move = mean / (1 - 0.9**self.steps) / ((square / (1 - 0.999**self.steps)).sqrt() + 1e-8)
        with torch.no_grad():
            moved = parameters_to_vector(parameters) - self.learning_rate * move
            vector_to_parameters(moved.to(parameters[0].dtype), parameters)
