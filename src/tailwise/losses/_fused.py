"""The cross-entropy of adjusted logits with half the memory traffic: worth it once logits are large."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def adjust(
    logits: Tensor,
    targets: Tensor,
    scale: Tensor | float | None,
    margin: Tensor | None,
    bias: Tensor | None,
    ignore_index: int,
) -> Tensor:
    """Return ``scale * (logits - margin of the target) + bias`` in at least float32, as one new tensor at most."""
    logits = at_least_float32(logits)
    fresh = logits if scale is None else logits * scale
    if margin is not None:
        margin = margin.to(logits.dtype) if scale is None else margin.to(logits.dtype) * scale
        if targets.ndim == 1:
            index = targets.masked_fill(targets == ignore_index, 0)
            drop = -(margin[index] if margin.ndim == 1 else margin.gather(1, index[:, None])[:, 0])[:, None]
            fresh = (fresh.scatter_add if fresh is logits else fresh.scatter_add_)(1, index[:, None], drop)
        else:
            fresh = fresh - margin * targets
    if bias is not None:
        fresh = fresh + bias if fresh is logits else fresh.add_(bias)
    return fresh


def at_least_float32(logits: Tensor) -> Tensor:
    """Return half-precision logits in float32, others as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


class AdjustedNLL(torch.autograd.Function):
    """``-log softmax(adjusted)[target]`` per example, where only the logits get a gradient.

    The softmax is written over the adjusted logits, which nobody else sees, and is all that backward needs: two new
    tensors for forward and backward together, where adding a bias before ``F.cross_entropy`` makes four.
    """

    @staticmethod
    def forward(
        logits: Tensor,
        targets: Tensor,
        scale: Tensor | float | None,
        margin: Tensor | None,
        bias: Tensor | None,
        ignore_index: int,
    ) -> tuple[Tensor, Tensor]:
        """Return the (batch,) losses, 0 where ignored, and the softmax."""
        adjusted = adjust(logits, targets, scale, margin, bias, ignore_index)
        ignored = targets == ignore_index
        target = adjusted.gather(1, targets.masked_fill(ignored, 0)[:, None])
        top = adjusted.amax(1, keepdim=True)
        softmax = torch.softmax(adjusted, 1, out=adjusted)
        # the largest probability is at least 1 / n_classes, so its log is safe where the target's would not be
        losses = top - target - softmax.amax(1, keepdim=True).log_()
        return losses.squeeze(1).masked_fill_(ignored, 0.0), softmax

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep the softmax for backward; the logits too, in case backward is differentiated in its turn."""
        logits, targets, scale, margin, bias, ignore_index = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        per_class = [scale if isinstance(scale, Tensor) else None, margin, bias]
        ctx.save_for_backward(logits, targets, output[1], *per_class)
        ctx.number, ctx.ignore_index = scale if isinstance(scale, float | int) else None, ignore_index

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return ``scale * (softmax - one-hot)``, weighted by the incoming gradient."""
        logits, targets, softmax, scale, margin, bias = ctx.saved_tensors
        if grads[0] is None:
            return (None,) * 6
        scale = ctx.number if scale is None else scale
        if torch.is_grad_enabled():  # a second derivative is wanted
            softmax = torch.softmax(adjust(logits, targets, scale, margin, bias, ctx.ignore_index), 1)
        ignored = targets == ctx.ignore_index
        row = grads[0].masked_fill(ignored, 0.0)[:, None]
        grad = (softmax * row).scatter_add_(1, targets.masked_fill(ignored, 0)[:, None], -row)
        if scale is not None:
            grad = grad.mul_(scale)
        return grad.to(logits.dtype), None, None, None, None, None
