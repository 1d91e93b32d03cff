"""Weights per example, computed from its loss, its probability or its influence."""

from __future__ import annotations

from typing import Any, Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from tailwise.counts import floored_counts
from tailwise.errors import TailwiseError
from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import (
    BatchLoss,
    adjusted_cross_entropy,
    as_rows,
    check_batch,
    example_weight,
    is_hard,
    per_class,
    reduce,
)
from tailwise.settings import divisor, number

Strategy = Literal["linear", "quadratic", "extremes"]


class InfluenceBalancedLoss(BatchLoss):
    """Cross-entropy divided by the influence of the example on the decision boundary, for a last stage of training.

    ``lambda_y CE / (|p - y|_1 |h|_1 + eps)`` with ``h`` the features under the linear classifier and
    ``lambda_k = alpha / n_k / sum_j (1 / n_j)``.

    Parameters
    ----------
    class_counts : (n_classes,)
    alpha : scale of the loss
    eps : keeps the quotient finite
    **options : ``weight``, ``ignore_index``, ``reduction``

    Called with the features as well: ``loss(logits, targets, features)``. The gradient runs through the quotient.

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Park et al., Influence-Balanced Loss for Imbalanced Visual Classification, ICCV 2021;
    ``alpha`` 1000 and ``eps`` as in the authors' code.
    Verified: value and gradient equal that code (IB-Loss, losses.py) to 1e-15, with ``alpha`` times n_classes.
    Deviates: that code multiplies ``lambda`` by the number of classes, the paper does not. The mean is over examples,
    as in the code, not over class weights. A class without examples counts as if it had one. With rows, ``lambda`` is
    averaged over the row.

    Examples
    --------
    Of two examples that are equally wrong, the one with larger features has more influence, and counts for less:

    >>> import torch
    >>> loss = InfluenceBalancedLoss([90, 10], reduction="none")
    >>> features = torch.tensor([[1.0, 1.0], [2.0, 2.0]])  # what the linear classifier made the logits of
    >>> losses = loss(torch.zeros(2, 2), torch.tensor([1, 1]), features)
    >>> (losses[0] / losses[1]).round(decimals=1)
    tensor(2.)
    """

    lambdas: Tensor

    def __init__(self, class_counts: ArrayLike, alpha: float = 1000.0, eps: float = 1e-3, **options: Any) -> None:
        inverse = 1 / floored_counts(class_counts)
        super().__init__(**options)
        self.register_buffer("lambdas", per_class(number("alpha", alpha, 0) * inverse / inverse.sum()))
        self.eps = number("eps", eps, 0)

    def forward(self, logits: Tensor, targets: Tensor, features: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits on (batch, width) features."""
        check_batch(logits, targets, self.lambdas, self.weight)
        if features.ndim != 2 or features.shape[0] != logits.shape[0]:
            raise TailwiseError(f"features must be (batch, width) beside the logits; got {tuple(features.shape)}.")
        losses = adjusted_cross_entropy(logits, targets, ignore_index=self.ignore_index, reduction="none")
        logits = at_least_float32(logits)
        rows = as_rows(targets, logits, self.ignore_index)
        error = (torch.softmax(logits, 1) - rows).abs().sum(1)
        influence = error * at_least_float32(features).abs().sum(1)
        balanced = losses * (rows * self.lambdas.to(rows.dtype)).sum(1) / (influence + self.eps)
        return self.reduced(balanced, targets, self.weight)


class InstanceWeightedLoss(BatchLoss):
    """Cross-entropy that weights each example by its loss, relative to the losses of the batch.

    With ``h`` the losses stretched linearly to [-1, 1] over the batch, the weights are the softmax over the batch of
    ``strategy(h) / temperature``, times the batch size: ``linear`` (min(h + 1, 1): easy examples count less),
    ``quadratic`` (1 - h^2: the middle counts most) or ``extremes`` (|h|: easiest and hardest count most).

    Parameters
    ----------
    strategy : one of the three
    temperature : infinity is cross-entropy; the paper lowers it while training
    **options : ``weight``, ``ignore_index``, ``reduction``

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Sow et al., Dynamic Loss-Based Sample Reweighting for Improved Large Language Model Pretraining, ICLR
    2025 (LinUpper, Quadratic, Extremes), with its bound delta at 1, as the temperature has the same effect.
    Verified: value and gradient equal the authors' code (Sample-Level-Loss-Reweighting-ICLR-2025, src/trainer.py) to
    1e-15.
    Deviates: a batch whose losses are all equal has equal weights. Batches are not gathered across processes.
    """

    def __init__(self, strategy: Strategy = "linear", temperature: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(strategy, str) or strategy not in ("linear", "quadratic", "extremes"):
            raise TailwiseError(f"unknown strategy {strategy!r}: use linear, quadratic or extremes.")
        self.strategy, self.temperature = strategy, divisor("temperature", temperature, float("inf"))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, self.weight)
        losses = adjusted_cross_entropy(logits, targets, ignore_index=self.ignore_index, reduction="none")
        kept = torch.ones_like(losses) if not is_hard(targets) else (targets != self.ignore_index).to(losses.dtype)
        return self.reduced(losses * self._weights(losses.detach(), kept), targets, self.weight)

    def _weights(self, losses: Tensor, kept: Tensor) -> Tensor:
        if losses.shape[0] == 0:
            return losses
        ignored = (kept == 0) & kept.any()
        low = losses.masked_fill(ignored, torch.inf).amin()
        high = losses.masked_fill(ignored, -torch.inf).amax()
        h = (2 * losses - low - high) / (high - low).clamp_min(torch.finfo(losses.dtype).tiny)
        score = {"linear": h.clamp_max(0) + 1, "quadratic": 1 - h**2, "extremes": h.abs()}[self.strategy]
        return torch.softmax((score / self.temperature).masked_fill(ignored, -torch.inf), 0) * kept.sum()


class DFTLoss(BatchLoss):
    """Cross-entropy times the probability of the label, held constant: unlikely labels count less.

    ``-sg(p_y) log p_y + anchor KL(p_base || p)``, where the second term needs the logits of the model before
    fine-tuning: ``loss(logits, targets, base_logits)``. Without it this is dynamic fine-tuning, with it anchored.

    Parameters
    ----------
    anchor : weight of the divergence from the model before fine-tuning
    **options : ``weight``, ``ignore_index``, ``reduction``

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Wu et al., On the Generalization of SFT: A Reinforcement Learning Perspective with Reward Rectification
    (DFT), arXiv 2508.05629, 2025; Zhu et al., Anchored Supervised Fine-Tuning (ASFT), ICLR 2026; the
    direction of the divergence as in the authors' train_v2.py.
    Verified: value and gradient equal that code, modes dft and asft, to 1e-15.
    """

    def __init__(self, anchor: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        self.anchor = number("anchor", anchor, 0)

    def forward(self, logits: Tensor, targets: Tensor, base_logits: Tensor | None = None) -> Tensor:
        """Return the loss of (batch, n_classes) logits, anchored to (batch, n_classes) base logits if given."""
        check_batch(logits, targets, self.weight)
        if is_hard(targets):
            nll = adjusted_cross_entropy(logits, targets, ignore_index=self.ignore_index, reduction="none")
            losses, share = torch.exp(-nll.detach()) * nll, torch.ones_like(nll)
            weights = example_weight(losses, self.weight, targets, self.ignore_index)
        else:
            log_p = F.log_softmax(at_least_float32(logits), 1)
            rows = targets if self.weight is None else targets * self.weight
            losses, share, weights = -(rows * log_p.detach().exp() * log_p).sum(1), rows.sum(1), None
        if base_logits is not None:
            if base_logits.shape != logits.shape:
                raise TailwiseError(
                    f"base logits must be {tuple(logits.shape)}, as the logits; got {tuple(base_logits.shape)}."
                )
            base = F.log_softmax(at_least_float32(base_logits), 1)
            log_p = F.log_softmax(at_least_float32(logits), 1)
            divergence = F.kl_div(log_p, base, reduction="none", log_target=True)
            impossible = base == -torch.inf  # such as a class that is masked
            losses = losses + self.anchor * share * divergence.masked_fill(impossible, 0).sum(1)
        return reduce(losses, self.reduction, weights)
