"""Weights: per class (plain, inverse, effective number) and per example (focal)."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from tailwise.counts import Weighting, class_weights
from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import (
    BatchLoss,
    ClassificationLoss,
    Reduction,
    adjusted_cross_entropy,
    check_batch,
    example_weight,
    is_hard,
    reduce,
    row_losses,
)
from tailwise.settings import number


class CrossEntropyLoss(ClassificationLoss):
    """Cross-entropy with optional class weights, ``-w_y log p_y``.

    Parameters
    ----------
    weight : (n_classes,) or None; see :func:`tailwise.counts.class_weights`
    ignore_index, reduction, label_smoothing : as in ``torch.nn.CrossEntropyLoss``

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Verified: value equals ``torch.nn.CrossEntropyLoss``, for every reduction, with weights or smoothing.
    Deviates: with both ``weight`` and ``label_smoothing``, an example is weighted by its label's weight alone; see
    :func:`adjusted_cross_entropy`.
    """

    def __init__(
        self,
        weight: ArrayLike | Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)


class CountWeightedLoss(ClassificationLoss):
    """Cross-entropy with weights that follow from class counts; its mean is over the examples.

    By the sum of the weights, as torch has it, a batch without rare examples would count as much as one with some, and
    a rare example, which most batches lack, for less than its weight.
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        if self.reduction != "mean":
            return super().forward(logits, targets)
        return self.reduced(self.loss(logits, targets, "none"), targets)


class ClassBalancedLoss(CountWeightedLoss):
    """Cross-entropy weighted by class counts: by default by the inverse of the effective number of examples.

    ``-(1 - beta) / (1 - beta^n_y) log p_y``, the weights scaled so that a training example weighs 1 on average.

    Parameters
    ----------
    class_counts : (n_classes,)
    scheme, beta : see :func:`tailwise.counts.class_weights`
    **options : ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, equation 4.
    Verified: with ``beta`` 0 it is cross-entropy, and for ``beta`` near 1 the weights are the inverse counts.
    Deviates: the weights are scaled over the training examples, the authors' over the classes. A class without examples
    has weight 0. The mean divides by the number of examples, as theirs, not by the weights in the batch.

    Examples
    --------
    By the inverse of its count, the rare class would weigh a hundred times as much as the other:

    >>> import torch
    >>> losses = ClassBalancedLoss([10_000, 100], reduction="none")(torch.zeros(2, 2), torch.tensor([0, 1]))
    >>> (losses[1] / losses[0]).round()
    tensor(64.)
    """

    def __init__(
        self, class_counts: ArrayLike, scheme: Weighting = "effective", beta: float = 0.9999, **options: Any
    ) -> None:
        super().__init__(weight=class_weights(class_counts, scheme, beta), **options)


class FocalLoss(BatchLoss):
    """Cross-entropy that is reduced for well-classified examples, ``-w_y (1 - p_y)^gamma log p_y``.

    Parameters
    ----------
    gamma : 0 is cross-entropy
    **options : ``weight``, the paper's alpha, ``ignore_index``, ``reduction``

    For rows of probabilities, the focal losses of the classes are averaged by their shares.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5, with softmax for sigmoid.
    Verified: value against the equation in float64; a weight multiplies the loss and leaves its focus alone.
    Deviates: the mean divides by the weights of the batch, as in torch, not by the number of positive anchors.

    Examples
    --------
    An example at 0.9 counts a hundredth of its cross-entropy, one at 0.1 four fifths:

    >>> import torch
    >>> logits, targets = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).log(), torch.tensor([0, 0])
    >>> FocalLoss(reduction="none")(logits, targets) / FocalLoss(0, reduction="none")(logits, targets)
    tensor([0.0100, 0.8100])
    """

    def __init__(self, gamma: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.gamma = number("gamma", gamma, 0)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, self.weight)
        if is_hard(targets):
            nll = adjusted_cross_entropy(logits, targets, ignore_index=self.ignore_index, reduction="none")
            return reduce(
                focal(nll, self.gamma),
                self.reduction,
                example_weight(nll, self.weight, targets, self.ignore_index),
            )
        return reduce(row_losses(self._of_rows, logits, targets, [self.weight]), self.reduction)

    def _of_rows(self, logits: Tensor, targets: Tensor) -> Tensor:
        rows = targets if self.weight is None else targets * self.weight
        nll = -F.log_softmax(at_least_float32(logits), dim=1)
        return (rows * focal(nll, self.gamma)).sum(1)


def focal(nll: Tensor, gamma: float) -> Tensor:
    """Return ``(1 - p)^gamma * nll`` for ``nll = -log p``."""
    if gamma == 0:
        return nll
    # p rounds to 1 long before nll reaches 0, and a power below 1 has no gradient at 0
    return (-torch.expm1(-nll)).clamp_min(torch.finfo(nll.dtype).tiny) ** gamma * nll
