"""Losses for examples that may have several classes: one sigmoid per class."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from tailwise.counts import floored_counts
from tailwise.errors import TailwiseError
from tailwise.losses._fused import finite
from tailwise.losses._mechanism import RowLoss, as_rows, per_class
from tailwise.settings import divisor, number


class AsymmetricLoss(RowLoss):
    """Sigmoid focal loss with one focus for the classes an example has and another for those it lacks.

    ``-sum_j y_j (1 - p_j)^g+ log p_j + (1 - y_j) m_j^g- log(1 - m_j)`` with the shifted probability
    ``m_j = max(p_j - clip, 0)``.

    Parameters
    ----------
    gamma_positive, gamma_negative : focus; both 0, with ``clip`` 0, is sigmoid cross-entropy
    clip : classes that the example lacks and that have a probability below this do not count
    **options : ``weight``, ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Targets are (batch,) class codes or (batch, n_classes) labels, several of which may be 1.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021 (ASL); the defaults are those of
    the authors' train.py.
    Verified: value and gradient equal the authors' src/loss_functions/losses.py to 1e-15, where that lets the
    gradient through the focus.
    Deviates: that train.py holds the focus constant in the gradient; here, as in the paper, it is differentiated.

    Examples
    --------
    Targets are indicators. A label that is there counts for more than one that is not, though both are at one half:

    >>> import torch
    >>> loss = AsymmetricLoss(reduction="none")
    >>> loss(torch.tensor([[0.0, -9.0, -9.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    tensor([0.6931])
    >>> loss(torch.tensor([[0.0, -9.0, -9.0]]), torch.tensor([[0.0, 0.0, 0.0]]))
    tensor([0.0245])
    """

    def __init__(
        self, gamma_positive: float = 0.0, gamma_negative: float = 4.0, clip: float = 0.05, **options: Any
    ) -> None:
        super().__init__(**options)
        self.gamma_positive = number("gamma_positive", gamma_positive, 0)
        self.gamma_negative = number("gamma_negative", gamma_negative, 0)
        self.clip = number("clip", clip, 0, 1)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = finite(logits)
        rows = as_rows(targets, logits, self.ignore_index)
        with_class = -F.logsigmoid(logits) * _power(torch.sigmoid(-logits), self.gamma_positive)
        shifted = (torch.sigmoid(logits) - self.clip).clamp_min(0)
        # 1 - p rounds to 0 where log(1 - p) is still finite
        nll = F.softplus(logits) if self.clip < torch.finfo(logits.dtype).eps else -torch.log1p(-shifted)
        without_class = nll * _power(shifted, self.gamma_negative)
        return torch.lerp(without_class, with_class, rows).sum(1)


def _power(base: Tensor, exponent: float) -> Tensor:
    """Return ``base ** exponent`` for a base in [0, 1], with a finite gradient at 0."""
    return torch.ones_like(base) if exponent == 0 else base.clamp_min(torch.finfo(base.dtype).tiny) ** exponent


class DistributionBalancedLoss(RowLoss):
    """Sigmoid focal loss, weighted for labels that occur together, that limits the loss of the many absent ones.

    ``mean_j r_j [y_j F(z_j - v_j) + (1 - y_j) F(-lam (z_j - v_j)) / lam]`` with
    ``F(x) = (1 - s(x))^gamma (-log s(x))``, ``s`` the sigmoid, ``v_j = kappa log(1 / p_j - 1)``, ``p_j`` the share of
    the examples that have class j, and the rebalancing weight ``r_j = alpha + s(beta (w_j - mu))``,
    ``w_j = (1 / n_j) / sum_{i: y_i = 1} 1 / n_i``.

    Parameters
    ----------
    class_counts : (n_classes,) examples that have each class
    n_examples : number of training examples; an example may have several classes
    alpha, beta, mu : shape of the weights
    lam, kappa : tolerance: how flat absent classes are, and how far logits are shifted
    gamma : focus; 0 is the loss without it
    **options : ``weight``, ``ignore_index``, ``reduction``; the mean is over examples and classes

    Targets are (batch,) class codes or (batch, n_classes) labels, several of which may be 1.

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Wu et al., Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets, ECCV 2020. Of
    the authors' configurations, ``lam`` is that for VOC, where ``mu`` is 0.3, and ``mu`` that for COCO, where ``lam``
    is 2; all else is the same in both.
    Verified: value and gradient equal the authors' mllt/models/losses/resample_loss.py to 1e-14, with ``kappa`` over
    ``lam`` for ``kappa`` and twice the loss.
    Deviates: that code divides the shift by ``lam`` and doubles the focal loss, this does not. A class without
    examples counts as if it had one, and a class that all examples have as if one lacked it. An example
    without any class has the weights of ``w_j = 1``.
    """

    inverse: Tensor
    shift: Tensor

    def __init__(
        self,
        class_counts: ArrayLike,
        n_examples: int,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.2,
        lam: float = 5.0,
        kappa: float = 0.05,
        gamma: float = 2.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        counts = floored_counts(class_counts)
        if counts.max() > n_examples:
            raise TailwiseError(f"a class has {counts.max():g} examples, more than the {n_examples} in n_examples.")
        self.register_buffer("inverse", per_class(1 / counts))
        self.register_buffer(
            "shift", per_class(number("kappa", kappa) * np.log(np.maximum(n_examples - counts, 1) / counts))
        )
        self.alpha, self.beta, self.mu = number("alpha", alpha, 0), number("beta", beta), number("mu", mu)
        self.lam, self.gamma = divisor("lam", lam), number("gamma", gamma, 0)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = finite(logits)
        rows = as_rows(targets, logits, self.ignore_index)
        inverse, shift = self.inverse.to(logits.dtype), self.shift.to(logits.dtype)
        repeats = (rows * inverse).sum(1, keepdim=True)
        ratio = torch.where(repeats > 0, inverse / repeats.clamp_min(torch.finfo(logits.dtype).tiny), 1.0)
        weights = self.alpha + torch.sigmoid(self.beta * (ratio - self.mu))
        shifted = logits - shift
        absent = self._focal(-self.lam * shifted) / self.lam
        return (weights * torch.lerp(absent, self._focal(shifted), rows)).mean(1)

    def _focal(self, x: Tensor) -> Tensor:
        return -F.logsigmoid(x) * _power(torch.sigmoid(-x), self.gamma)
