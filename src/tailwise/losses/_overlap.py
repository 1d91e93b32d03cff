"""Losses that measure overlap instead of likelihood, in which easy examples of frequent classes count little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import RowLoss, as_rows
from tailwise.settings import number


class TverskyLoss(RowLoss):
    """Tversky loss: an overlap with separate costs for false positives and false negatives.

    ``sum_j 1 - (d_j y_j + smooth) / (d_j y_j + alpha d_j (1 - y_j) + beta (1 - d_j) y_j + smooth)`` with
    ``d_j = (1 - p_j)^focus p_j``

    Parameters
    ----------
    alpha : cost of a false positive
    beta : cost of a false negative; both at 1/2 give the dice loss without squares, with twice the ``smooth``
    smooth : above 0, classes that the example lacks have a gradient too
    focus : how much a probability near 1 is reduced; 0 not at all
    **options : ``weight``, ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Li et al., Dice Loss for Data-imbalanced NLP Tasks, ACL 2020 (TL), after Tversky, Psychological
    Review 1977.
    Verified: value against the equation in float64; with ``alpha`` and ``beta`` 1/2 it is dice without squares.
    Deviates: the paper has the dynamic weight in the dice loss alone; ``focus`` 0 is its Tversky loss.
    """

    def __init__(
        self, alpha: float = 0.5, beta: float = 0.5, smooth: float = 1.0, focus: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.alpha, self.beta = number("alpha", alpha, 0), number("beta", beta, 0)
        self.smooth, self.focus = number("smooth", smooth, 0), number("focus", focus, 0)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        d = _focused(logits, self.focus)
        rows = as_rows(targets, d, self.ignore_index)
        hit = d * rows
        missed = self.alpha * (d - hit) + self.beta * (rows - hit)
        return _share(missed, hit + missed + self.smooth).sum(1)


class DiceLoss(RowLoss):
    """Self-adjusting dice loss, with squares in the denominator.

    ``sum_j 1 - (2 d_j y_j + smooth) / (d_j^2 + y_j^2 + smooth)`` with ``d_j = (1 - p_j)^alpha p_j``

    Parameters
    ----------
    alpha : how much a probability near 1 is reduced; 0 is the plain dice loss
    smooth : above 0, classes that the example lacks have a gradient too
    **options : ``weight``, ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Without squares it is ``TverskyLoss(smooth=smooth / 2, focus=alpha)``, which hardly learns from scratch.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Li et al., Dice Loss for Data-imbalanced NLP Tasks, ACL 2020 (DSC), summed over the classes of a softmax;
    the squares are those of the paper's DL, after Milletari et al., 3DV 2016. The defaults are those of all the
    authors' scripts, which have the squares.
    Verified: value and gradient equal the authors' code (dice_loss_for_NLP, loss/dice_loss.py) to 1e-15.
    Deviates: the scripts leave out easy negatives, a share of each batch; here all examples count.
    """

    def __init__(self, alpha: float = 0.01, smooth: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha, self.smooth = number("alpha", alpha, 0), number("smooth", smooth, 0)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        d = _focused(logits, self.alpha)
        rows = as_rows(targets, d, self.ignore_index)
        return _share((d - rows).square(), d.square() + rows.square() + self.smooth).sum(1)


def _focused(logits: Tensor, focus: float) -> Tensor:
    """Return ``(1 - p)^focus p`` for the softmax ``p``; a power below 1 has no gradient at 0."""
    p = torch.softmax(at_least_float32(logits), 1)
    return p * (1 - p).clamp_min(torch.finfo(p.dtype).eps) ** focus if focus else p


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Return a part of a whole; 0 where both are: a class without label and probability, with smooth 0."""
    absent = whole < torch.finfo(whole.dtype).tiny
    return part / whole.masked_fill(absent, 1)
