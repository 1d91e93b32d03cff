"""Cross-entropies with the least memory traffic: softmax of adjusted logits, and one weighted sigmoid per class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 1 << 17  # entries of a row-wise loss in work at once; measured on a CPU


@contextmanager
def unless_refused() -> Iterator[None]:
    """Go on after the block if torch refuses it: vmap, a forward derivative or a code out of range.

    Memory that does not suffice for what is lean would not do for more.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    except (IndexError, RuntimeError):
        pass


def adjust(
    logits: Tensor, targets: Tensor, scale: Tensor | float | None, margin: Tensor | None, bias: Tensor | None
) -> Tensor:
    """Return ``scale * (logits - margin of the target) + bias`` in at least float32, as one new tensor at most."""
    logits = at_least_float32(logits)
    if scale is None:
        fresh = logits if bias is None else logits + bias
    elif bias is None:
        fresh = logits * scale
    elif isinstance(scale, Tensor):
        fresh = torch.addcmul(bias, logits, scale)
    else:
        fresh = torch.add(bias, logits, alpha=scale)
    if margin is None:
        return fresh
    drop = (-margin if scale is None else margin * -scale).to(fresh.dtype)
    if targets.ndim == 2:
        return fresh + drop * targets
    index = targets.clamp(0, logits.shape[1] - 1)  # a code out of range is ignored, or an error that comes later
    drop = drop.index_select(0, index)[:, None] if drop.ndim == 1 else drop.gather(1, index[:, None])
    return (fresh.scatter_add if fresh is logits else fresh.scatter_add_)(1, index[:, None], drop)


def at_least_float32(logits: Tensor) -> Tensor:
    """Return half-precision logits in float32, others as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def finite(logits: Tensor) -> Tensor:
    """Return logits in at least float32, with a large finite number for the minus infinity of a masked class.

    A sum over classes multiplies their losses by zeros, which would make infinity NaN.
    """
    logits = at_least_float32(logits)
    return logits.clamp_min(torch.finfo(logits.dtype).min / 2**24)


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
        adjusted = adjust(logits, targets, scale, margin, bias)
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
        ctx.number = None if scale is None or isinstance(scale, Tensor) else float(scale)
        ctx.ignore_index = ignore_index

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return ``scale * (softmax - one-hot)``, weighted by the incoming gradient."""
        logits, targets, softmax, scale, margin, bias = ctx.saved_tensors
        if grads[0] is None:
            return (None,) * 6
        scale = ctx.number if scale is None else scale
        if torch.is_grad_enabled():  # a second derivative is wanted
            softmax = torch.softmax(adjust(logits, targets, scale, margin, bias), 1)
        ignored = targets == ctx.ignore_index
        row = grads[0].masked_fill(ignored, 0.0)[:, None]
        grad = (softmax * row).scatter_add_(1, targets.masked_fill(ignored, 0)[:, None], -row)
        if scale is not None:
            grad = grad.mul_(scale)
        return grad.to(logits.dtype), None, None, None, None, None


class SigmoidNLL(torch.autograd.Function):
    """``q_y softplus(-z_y) + sum_{j != y} r_j softplus(z_j)`` per example, where only the logits get a gradient.

    Backward needs nothing but the logits: one new tensor for forward and one for backward, where labels, weights and
    ``F.binary_cross_entropy_with_logits`` make four.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, targets: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the (batch,) losses for (batch,) codes and the (n_classes,) weights ``q`` and ``r``."""
        index = targets[:, None]
        own = F.softplus(-logits.gather(1, index)).squeeze(1)
        # the target's place is emptied, as taking its share from the sum would cancel; no product of matrices, which
        # autocast would round
        others = F.softplus(logits).scatter_(1, index, 0.0).mul_(negative).sum(1)
        return others + positive.index_select(0, targets) * own

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the logits for backward."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return ``r_j sigmoid(z_j)``, for the target ``-q_y sigmoid(-z_y)``, weighted by the incoming gradient."""
        logits, targets, positive, negative = ctx.saved_tensors
        index = targets[:, None]
        own = torch.sigmoid(-logits.gather(1, index)) * -positive.index_select(0, targets)[:, None]
        if torch.is_grad_enabled():  # a second derivative is wanted
            pushes = (torch.sigmoid(logits) * negative).scatter(1, index, own)
            return pushes * grad[:, None], None, None, None
        return torch.sigmoid(logits).mul_(negative).scatter_(1, index, own).mul_(grad[:, None]), None, None, None


class RowLosses(torch.autograd.Function):
    """Losses that depend on one row each, computed with their gradients, a few rows at a time.

    Backward needs nothing but the gradient: one new tensor for forward and one for backward, where the steps of such a
    loss make up to eighteen. What is in work stays in the cache, so that it takes less time, too.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the (batch,) losses ``of(logits, targets)``."""
        wanted = ctx.needs_input_grad[0]
        # in at least float32, as it is yet to be scaled
        gradient = torch.empty_like(logits, dtype=at_least_float32(logits[:0]).dtype) if wanted else None
        losses, step = [], max(1, _BLOCK // logits.shape[1])
        for start in range(0, logits.shape[0], step):
            at = slice(start, start + step)
            some = at_least_float32(logits[at]).detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                each = of(some, targets[at])
                if gradient is not None:
                    (gradient[at],) = torch.autograd.grad(each.sum(), some)
            losses.append(each.detach())
        ctx.save_for_backward(logits, targets, gradient)
        ctx.of = of
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient, weighted by the incoming one."""
        logits, targets, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            view = logits.view_as(logits)  # so that hooks on the logits run once
            return *torch.autograd.grad(ctx.of(view, targets), view, grad, create_graph=True), None, None
        return (gradient * grad[:, None]).to(logits.dtype), None, None
