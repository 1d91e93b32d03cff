"""The one mechanism: scale, margin and bias on the logits, then one fused cross-entropy with weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from tailwise.errors import TailwiseError
from tailwise.losses._fused import AdjustedNLL, RowLosses, adjust, at_least_float32, unless_refused
from tailwise.settings import number

Reduction = Literal["none", "mean", "sum"]
_REDUCTIONS = ("none", "mean", "sum")
_LARGE = 1 << 20  # entries; measured on a CPU, see benchmarks/losses_speed.py


def adjusted_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    scale: Tensor | float | None = None,
    margin: Tensor | None = None,
    bias: Tensor | None = None,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of ``scale * (logits - margin of the target) + bias``.

    Parameters
    ----------
    logits : (batch, n_classes) floating point; half precision is computed and returned in float32
    targets : (batch,) class codes, or (batch, n_classes) rows of probabilities
    scale : number, (n_classes,) or (batch, n_classes)
    margin : (n_classes,), subtracted from the logit of the target; with rows, each class by its share
    bias : (n_classes,) or (batch, n_classes)
    weight : (n_classes,), as in ``torch.nn.functional.cross_entropy``
    ignore_index, reduction, label_smoothing : as in ``torch.nn.functional.cross_entropy``

    Raises
    ------
    TailwiseError
        If shapes do not fit, or a class code is out of range (checked on the CPU only, where that needs no
        synchronisation).

    Verified: without adjustments it equals ``torch.nn.functional.cross_entropy``; with them, float64 readings of every
    published loss that is a setting of it.
    Deviates: ``weight`` with ``label_smoothing`` weights an example, smoothed part included, by the weight of its
    label. Torch weights each smoothed entry by its own class, so that a rare class with a large weight can outweigh
    the label itself.
    """
    check_batch(logits, targets, weight, bias, margin, scale)
    check_reduction(reduction)
    if _is_large(logits) and _fusible(scale, margin, bias) and label_smoothing == 0 and is_hard(targets):
        with unless_refused():
            nll, _ = AdjustedNLL.apply(logits, targets, scale, margin, bias, ignore_index)
            return reduce(nll, reduction, example_weight(nll, weight, targets, ignore_index))
    try:
        adjusted = adjust(logits, targets, scale, margin, bias)
        if weight is None or label_smoothing == 0:
            return F.cross_entropy(
                adjusted,
                targets if is_hard(targets) else targets.to(adjusted.dtype),
                weight=None if weight is None else weight.to(adjusted.dtype),
                ignore_index=ignore_index,
                reduction=reduction,
                label_smoothing=label_smoothing,
            )
        if is_hard(targets):
            smoothed = F.cross_entropy(
                adjusted, targets, ignore_index=ignore_index, reduction="none", label_smoothing=label_smoothing
            )
            return reduce(smoothed, reduction, example_weight(smoothed, weight, targets, ignore_index))
        log_p = F.log_softmax(adjusted, dim=1)
        weighted = targets * weight
        sharp = (weighted * log_p).sum(1)
        return reduce(-(1 - label_smoothing) * sharp - label_smoothing * weighted.sum(1) * log_p.mean(1), reduction)
    except (IndexError, RuntimeError):  # torch met a code out of range: find out which
        check_range(targets, logits.shape[1], ignore_index)
        if any(values is not None and not values.ndim for values in (margin, weight)):
            raise TailwiseError("margin and weight must have a number for each class; got one number.") from None
        raise


def _is_large(logits: Tensor) -> bool:
    """Say whether a batch is worth a backward of its own; one that is being compiled is not: the compiler fuses it."""
    return not torch.compiler.is_compiling() and logits.numel() >= _LARGE


def _fusible(*adjustments: Tensor | float | None) -> bool:
    """Say whether there is an adjustment, and none of them is learned."""
    if all(values is None for values in adjustments):
        return False
    return not any(isinstance(values, Tensor) and values.requires_grad for values in adjustments)


def is_hard(targets: Tensor) -> bool:
    """Say whether targets are class codes rather than rows of probabilities."""
    return targets.ndim == 1


def example_weight(losses: Tensor, weight: Tensor | None, targets: Tensor, ignore_index: int) -> Tensor:
    """Return the weight of each example's class code, 0 where it is ignored, in the losses' dtype."""
    ignored = targets == ignore_index
    kept = (~ignored).to(losses.dtype)
    return kept if weight is None else weight.to(losses.dtype)[targets.masked_fill(ignored, 0)] * kept


def row_losses(
    of: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor, per_class: Iterable[Tensor | None] = ()
) -> Tensor:
    """Return the (batch,) losses ``of(logits, targets)``, each of which depends on its own row alone.

    Large batches are computed in parts, unless the targets or what else the losses depend on is learned.
    """
    learned = targets.requires_grad or any(values is not None and values.requires_grad for values in per_class)
    if learned or not _is_large(logits):
        return of(logits, targets)
    with unless_refused():
        return RowLosses.apply(logits if torch.is_grad_enabled() else logits.detach(), targets, of)
    return of(logits, targets)


def reduce(losses: Tensor, reduction: Reduction, weights: Tensor | None = None) -> Tensor:
    """Weight and reduce per-example losses; the mean divides by the sum of the weights, as in torch."""
    weighted = losses if weights is None else losses * weights
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return weighted.sum()
    return weighted.mean() if weights is None else weighted.sum() / weights.sum()


def check_batch(logits: Tensor, targets: Tensor, *per_class: Tensor | float | None) -> None:
    """Raise TailwiseError if logits, targets and per-class tensors do not fit together."""
    if not isinstance(logits, Tensor) or not isinstance(targets, Tensor):
        given = f"{type(logits).__name__} and {type(targets).__name__}"
        raise TailwiseError(f"logits and targets must be tensors; got {given}.")
    shape, of_targets = logits.shape, targets.shape  # each asked for once, as small batches take but microseconds
    if len(shape) != 2 or not logits.dtype.is_floating_point:
        hint = " Flatten the places of an image or a text: logits.movedim(1, -1).flatten(0, -2)." * (logits.ndim > 2)
        raise TailwiseError(
            f"logits must be (batch, n_classes) in floating point; got {tuple(shape)} {logits.dtype}.{hint}"
        )
    batch, n_classes = shape
    if len(of_targets) == 1:
        if targets.dtype is not torch.int64 or of_targets[0] != batch:
            hint = " Use targets.long()." * (not targets.is_floating_point() and targets.dtype != torch.int64)
            raise TailwiseError(
                f"class codes must be {batch} of type torch.int64, one per row of logits; "
                f"got {tuple(of_targets)} {targets.dtype}.{hint}"
            )
    elif of_targets != shape or not targets.dtype.is_floating_point:
        raise TailwiseError(
            f"targets must be ({batch},) class codes or ({batch}, {n_classes}) rows of probabilities; "
            f"got {tuple(of_targets)} {targets.dtype}."
        )
    for values in per_class:
        if values is not None and isinstance(values, Tensor) and values.ndim and values.shape[-1] != n_classes:
            raise TailwiseError(f"the loss was built for {values.shape[-1]} classes, but the logits have {n_classes}.")


def check_reduction(reduction: str) -> None:
    """Raise TailwiseError if there is no reduction of that name."""
    if reduction not in _REDUCTIONS:
        raise TailwiseError(f"unknown reduction {reduction!r}: use none, mean or sum.")


def check_range(targets: Tensor, n_classes: int, ignore_index: int) -> None:
    """Raise TailwiseError if a class code is out of range; checked on the CPU only, as it would synchronise others."""
    if not is_hard(targets) or targets.device.type != "cpu" or torch.compiler.is_compiling():
        return
    try:
        bad = targets[((targets < 0) | (targets >= n_classes)) & (targets != ignore_index)]
    except RuntimeError:  # inside vmap, where nobody can look
        return
    if bad.numel():
        raise TailwiseError(
            f"class code {int(bad[0])} is out of range for {n_classes} classes; "
            f"examples with code ignore_index (now {ignore_index}) are left out."
        ) from None


def per_class(values: ArrayLike | Tensor) -> Tensor:
    """Return numbers per class as a tensor of torch's default dtype, or float32, to be registered as a buffer."""
    dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
    if isinstance(values, Tensor):
        return values.detach().to(dtype)
    return torch.as_tensor(np.asarray(values, dtype=np.float64), dtype=dtype)


class Precise(nn.Module):
    """A module whose buffers never become half precision, in which weights overflow and sums soon stop growing."""

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        before = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)
        for name, buffer in before.items():
            moved = getattr(self, name)
            if moved.is_floating_point() and at_least_float32(moved) is not moved:
                self._buffers[name] = buffer.to(moved.device)
        return self


class BatchLoss(Precise):
    """A loss of a batch: which examples it ignores, how it is reduced, and what its classes weigh."""

    weight: Tensor | None

    def __init__(
        self,
        *,
        weight: ArrayLike | Tensor | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction
        self.keep("weight", weight)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; class weights, also those of a later stage, become a buffer that is checked."""
        if name == "weight" and not isinstance(value, nn.Parameter | None):
            self.keep(name, value)
        else:
            super().__setattr__(name, value)

    def keep(self, name: str, values: ArrayLike | Tensor | None) -> None:
        """Keep numbers per class as a buffer, on the device of the others, and None as a plain, faster attribute."""
        if values is None:
            setattr(self, name, None)
            return
        numbers = per_class(values)
        if name == "weight":
            if numbers.ndim != 1:
                raise TailwiseError(f"class weights must be a number for each class; got shape {tuple(numbers.shape)}.")
            if not numbers.is_meta and not ((numbers >= 0) & numbers.isfinite()).all():
                raise TailwiseError("class weights must be finite and not negative.")
        self.__dict__.pop(name, None)
        self.register_buffer(name, numbers.to(next(self.buffers(), numbers).device))

    def reduced(self, losses: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
        """Reduce (batch,) losses; an ignored example counts for nothing.

        With class weights the mean divides by those of the examples, as in torch. A row weighs what its classes weigh
        on average, one without any class 1, and the mean is over rows.
        """
        if not is_hard(targets):
            return reduce(losses if weight is None else losses * _mean_weight(targets, weight), self.reduction)
        ignored = targets == self.ignore_index
        kept = losses.masked_fill(ignored, 0.0)  # a product would make NaN of its gradient where all are ignored
        if weight is not None:
            return reduce(kept, self.reduction, example_weight(kept, weight, targets, self.ignore_index))
        return kept.sum() / (~ignored).sum() if self.reduction == "mean" else reduce(kept, self.reduction)

    def extra_repr(self) -> str:
        """Show how the loss is reduced."""
        return f"reduction={self.reduction!r}"


def _mean_weight(rows: Tensor, weight: Tensor) -> Tensor:
    """Return the mean weight of the classes of each row, (batch,)."""
    total = rows.sum(1)
    return torch.where(total > 0, (rows * weight.to(rows.dtype)).sum(1) / total.clamp_min(1e-12), 1.0)


class RowLoss(BatchLoss):
    """A loss of each row alone, which a subclass defines as ``_losses``; what it has per class are its buffers."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, *self.buffers())
        return self.reduced(row_losses(self._losses, logits, targets, self.buffers()), targets, self.weight)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the (batch,) losses."""
        raise NotImplementedError


class ClassificationLoss(BatchLoss):
    """A loss that is a setting of :func:`adjusted_cross_entropy`; its numbers per class are buffers."""

    scale: Tensor | float | None
    margin: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        *,
        scale: ArrayLike | Tensor | float | None = None,
        margin: ArrayLike | Tensor | None = None,
        bias: ArrayLike | Tensor | None = None,
        weight: ArrayLike | Tensor | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction)
        if isinstance(scale, float | int):
            self.scale = scale
        else:
            self.keep("scale", scale)
        self.keep("margin", margin)
        self.keep("bias", bias)
        self.label_smoothing = number("label_smoothing", label_smoothing, 0, 1)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        return self.loss(logits, targets, self.reduction)

    def loss(self, logits: Tensor, targets: Tensor, reduction: Reduction) -> Tensor:
        """Return the same in any reduction."""
        return adjusted_cross_entropy(
            logits,
            targets,
            scale=self.scale,
            margin=self.margin,
            bias=self.bias_of(logits, targets),
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=reduction,
            label_smoothing=self.label_smoothing,
        )

    def bias_of(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return what is added to the logits of a batch."""
        return self.bias


def as_rows(targets: Tensor, logits: Tensor, ignore_index: int) -> Tensor:
    """Return targets as rows in the dtype of the logits; an ignored code becomes a row of zeros."""
    if not is_hard(targets):
        return targets.to(logits.dtype)
    kept = targets != ignore_index
    try:
        return torch.zeros_like(logits, requires_grad=False).scatter_(
            1, targets.masked_fill(~kept, 0)[:, None], kept.to(logits.dtype)[:, None]
        )
    except RuntimeError:
        check_range(targets, logits.shape[1], ignore_index)
        raise


def at_target(values: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    """Return each example's value at its class code, (batch,); where it is ignored, some value."""
    try:
        return values.gather(1, targets.masked_fill(targets == ignore_index, 0)[:, None]).squeeze(1)
    except RuntimeError:
        check_range(targets, values.shape[1], ignore_index)
        raise
