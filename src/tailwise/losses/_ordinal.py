"""Ordered classes: counts smoothed along the order, and cumulative logits shrunk towards proportional odds."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tailwise.counts import Weighting, class_weights
from tailwise.errors import TailwiseError
from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import (
    BatchLoss,
    at_target,
    check_batch,
    is_hard,
    row_losses,
)
from tailwise.losses._weighted import CountWeightedLoss
from tailwise.nn import ordered_log_softmax


class SmoothedDensityLoss(CountWeightedLoss):
    """Cross-entropy weighted by label-distribution smoothing: counts are smoothed over neighbouring classes.

    Parameters
    ----------
    class_counts : (n_classes,) in the order of the classes
    sigma : see :func:`tailwise.counts.smoothed_counts`
    scheme : see :func:`tailwise.counts.class_weights`
    **options : ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021 (LDS).
    Verified: the weights of the training examples equal those of a plain-Python kernel, scaled as in the authors' code
    (agedb-dir/datasets.py).
    The mean divides by the number of examples, not by the weights in the batch.
    Deviates: see :func:`tailwise.counts.smoothed_counts`. With ``scheme`` ``"sqrt"`` the root is that of the smoothed
    counts; the authors smooth the roots.
    """

    def __init__(
        self, class_counts: ArrayLike, sigma: float = 2.0, scheme: Weighting = "inverse", **options: Any
    ) -> None:
        super().__init__(weight=class_weights(class_counts, scheme, sigma=sigma), **options)


class CumulativeLoss(BatchLoss):
    """Negative log-likelihood of an ordered outcome under cumulative logits.

    ``-log(s(z_y) - s(z_{y+1}))`` where ``s(z_k)`` is the probability of reaching class ``k`` or beyond; it is 1 for
    class 0 and 0 past the last. Rare last classes thus benefit from the examples of earlier ones.

    Parameters
    ----------
    **options : ``weight``, ``ignore_index``, ``reduction``

    The logits are (batch, n_classes) with column 0 unused, so that column ``k`` belongs to class ``k``.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Faletto and Bien, Predicting Rare Events by Shrinking Towards Proportional Odds (PRESTO), ICML 2023;
    its penalty is :func:`presto_penalty`.
    Verified: equals the log of the probabilities of the authors' presto_func.R, read in NumPy, to 1e-15; their
    cumulative logits have the opposite sign.
    Deviates: adjacent cumulative logits count as at least 1e-6 apart, so that the loss is finite where they cross.

    Examples
    --------
    Column k holds the log odds of class k or beyond, so that a likely class 1 of three has a high column 1 and a low
    column 2:

    >>> import torch
    >>> logits = torch.tensor([[0.0, 5.0, -5.0]]).expand(3, 3)
    >>> CumulativeLoss(reduction="none")(logits, torch.tensor([0, 1, 2])).round(decimals=1)
    tensor([5., 0., 5.])
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) cumulative logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, self.weight)
        losses = self._of_codes(logits, targets) if is_hard(targets) else row_losses(self._of_rows, logits, targets)
        return self.reduced(losses, targets, self.weight)

    def _of_codes(self, logits: Tensor, targets: Tensor) -> Tensor:
        return -ordered_log_softmax(self._neighbours(logits, targets))[:, 1]

    def _of_rows(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = ordered_log_softmax(logits)
        return -(targets.to(log_p.dtype) * log_p).sum(1)

    def _neighbours(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the two logits that an example's loss is made of, as the logits of three classes."""
        last = logits.shape[1] - 1
        reached = at_least_float32(at_target(logits, targets, self.ignore_index))
        following = targets.masked_fill(targets == self.ignore_index, 0) + 1
        beyond = at_least_float32(at_target(logits, following.clamp_max(last), -1))
        surely = torch.finfo(reached.dtype).max / 4
        reached, beyond = reached.masked_fill(following == 1, surely), beyond.masked_fill(following > last, -surely)
        return torch.stack([reached, reached, beyond], 1)


def presto_penalty(weight: Tensor) -> Tensor:
    """Return the L1 norm of the first transition's weights plus those of the differences between adjacent ones.

    Parameters
    ----------
    weight : (n_classes, width) of the linear layer under :class:`CumulativeLoss`; row 0 is unused

    Raises
    ------
    TailwiseError
        If the weight has another shape, or fewer than two classes.

    Source: Faletto and Bien, Predicting Rare Events by Shrinking Towards Proportional Odds (PRESTO), ICML 2023.
    With all differences 0, the odds are proportional. The norm is that of the authors' presto_func.R (``alpha_param``
    1).
    Verified: against a sum by hand.

    Examples
    --------
    It is added to the loss. Transitions with the same weights as the one before cost nothing:

    >>> import torch
    >>> from tailwise.losses import CumulativeLoss
    >>> head, features, targets = torch.nn.Linear(2, 3), torch.randn(4, 2), torch.tensor([0, 1, 1, 2])
    >>> loss = CumulativeLoss()(head(features), targets) + 0.01 * presto_penalty(head.weight)
    >>> [float(presto_penalty(torch.tensor([[0.0, 0.0], [1.0, -2.0], [1.0, last]]))) for last in (-2.0, -1.5)]
    [3.0, 3.5]
    """
    if weight.ndim != 2 or len(weight) < 2:
        raise TailwiseError(f"weight must be (n_classes, width) with two classes or more; got {tuple(weight.shape)}.")
    return weight[1].abs().sum() + (weight[2:] - weight[1:-1]).abs().sum()
