"""Losses that measure overlap instead of likelihood, so that easy examples of frequent classes count little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import ClassificationLoss, as_rows, check_batch, kept_examples, reduce


class DiceLoss(ClassificationLoss):
    """Self-adjusting dice loss.

    ``sum_j 1 - (2 d_j y_j + smooth) / (d_j + y_j + smooth)`` with ``d_j = (1 - p_j)^alpha p_j``

    Parameters
    ----------
    alpha : how much a probability near 1 is turned down; 0 is the plain dice loss
    smooth : keeps classes that the example has not in the loss
    **options : ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Source: Li et al., Dice Loss for Data-imbalanced NLP Tasks, ACL 2020 (DSC), summed over the classes of a
    softmax.
    """

    def __init__(self, alpha: float = 0.6, smooth: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha, self.smooth = alpha, smooth

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, reduction=self.reduction)
        p = torch.softmax(at_least_float32(logits), 1)
        rows = as_rows(targets, p, self.ignore_index)
        # a power below 1 has no gradient at 0
        d = p if self.alpha == 0 else p * (1 - p).clamp_min(torch.finfo(p.dtype).eps) ** self.alpha
        losses = (1 - (2 * d * rows + self.smooth) / (d + rows + self.smooth)).sum(1)
        return reduce(losses, self.reduction, kept_examples(targets, losses, self.ignore_index))


class TverskyLoss(ClassificationLoss):
    """Overlap in which false positives and false negatives cost differently.

    ``sum_j 1 - (p_j y_j + smooth) / (p_j y_j + alpha p_j (1 - y_j) + beta (1 - p_j) y_j + smooth)``

    Parameters
    ----------
    alpha : price of a false positive
    beta : price of a false negative; 1/2 both, with half the ``smooth``, is the plain dice loss
    smooth : keeps classes that the example has not in the loss
    **options : ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Source: Li et al., Dice Loss for Data-imbalanced NLP Tasks, ACL 2020, after Tversky, Psychological
    Review 1977.
    """

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, smooth: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha, self.beta, self.smooth = alpha, beta, smooth

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, reduction=self.reduction)
        p = torch.softmax(at_least_float32(logits), 1)
        rows = as_rows(targets, p, self.ignore_index)
        hit = p * rows
        missed = self.alpha * (p - hit) + self.beta * (rows - hit)
        losses = (1 - (hit + self.smooth) / (hit + missed + self.smooth)).sum(1)
        return reduce(losses, self.reduction, kept_examples(targets, losses, self.ignore_index))
