"""Losses that measure overlap instead of likelihood, in which easy examples of frequent classes count little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import BatchLoss, as_rows, check_batch, kept_examples, number, reduce


class TverskyLoss(BatchLoss):
    """Tversky loss: an overlap with separate costs for false positives and false negatives.

    ``sum_j 1 - (d_j y_j + smooth) / (d_j y_j + alpha d_j (1 - y_j) + beta (1 - d_j) y_j + smooth)`` with
    ``d_j = (1 - p_j)^focus p_j``

    Parameters
    ----------
    alpha : cost of a false positive
    beta : cost of a false negative; both at 1/2 give the dice loss with twice the ``smooth``
    smooth : above 0, classes that the example lacks have a gradient too
    focus : how much a probability near 1 is reduced; 0 not at all
    **options : ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Li et al., Dice Loss for Data-imbalanced NLP Tasks, ACL 2020 (TL), after Tversky, Psychological
    Review 1977.
    Verified: value against the equation in float64; with ``alpha`` and ``beta`` 1/2 it is :class:`DiceLoss`.
    Deviates: the paper has the dynamic weight in the dice loss alone; ``focus`` 0 is its Tversky loss.
    """

    def __init__(
        self, alpha: float = 0.5, beta: float = 0.5, smooth: float = 1.0, focus: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.alpha, self.beta = number("alpha", alpha, 0), number("beta", beta, 0)
        self.smooth, self.focus = number("smooth", smooth, 0), number("focus", focus, 0)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets)
        d = torch.softmax(at_least_float32(logits), 1)
        rows = as_rows(targets, d, self.ignore_index)
        if self.focus:  # a power below 1 has no gradient at 0
            d = d * (1 - d).clamp_min(torch.finfo(d.dtype).eps) ** self.focus
        hit = d * rows
        missed = self.alpha * (d - hit) + self.beta * (rows - hit)
        size = hit + missed + self.smooth
        absent = size < torch.finfo(size.dtype).tiny  # with smooth 0, a class without label and probability: no loss
        losses = (missed / size.masked_fill(absent, 1)).sum(1)
        return reduce(losses, self.reduction, kept_examples(targets, losses, self.ignore_index))


class DiceLoss(TverskyLoss):
    """Self-adjusting dice loss.

    ``sum_j 1 - (2 d_j y_j + smooth) / (d_j + y_j + smooth)`` with ``d_j = (1 - p_j)^alpha p_j``

    Parameters
    ----------
    alpha : how much a probability near 1 is reduced; 0 is the plain dice loss
    smooth : above 0, classes that the example lacks have a gradient too
    **options : ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Li et al., Dice Loss for Data-imbalanced NLP Tasks, ACL 2020 (DSC), summed over the classes of a
    softmax.
    Verified: value and gradient equal the authors' code (dice_loss_for_NLP, loss/dice_loss.py) to 1e-15, on batches
    of one example.
    Deviates: on larger ones that code divides each example's overlap by the sizes of the whole batch;
    here, as in the paper, by its own.
    """

    def __init__(self, alpha: float = 0.6, smooth: float = 1.0, **options: Any) -> None:
        smooth, focus = number("smooth", smooth, 0), number("alpha", alpha, 0)
        super().__init__(alpha=0.5, beta=0.5, smooth=smooth / 2, focus=focus, **options)
