"""A bias and a scale per class: the loss accounts for the class prior, so that the logits themselves are balanced."""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tailwise.counts import class_prior, floored_counts, log_prior
from tailwise.losses._fused import finite
from tailwise.losses._mechanism import ClassificationLoss, as_rows, check_batch, is_hard, per_class, reduce
from tailwise.settings import number


class BalancedSoftmaxLoss(ClassificationLoss):
    """Softmax in which each class is weighted by its count, ``-log(n_y e^z_y / sum_j n_j e^z_j)``.

    Parameters
    ----------
    class_counts : (n_classes,)
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020.
    Verified: value against the equation in float64; for labels that follow the prior, equal logits have no gradient.
    Deviates: a class without examples counts as if it had one, so that its loss stays finite.

    Examples
    --------
    Of two equal logits, the one of the rare class is to become larger:

    >>> import torch
    >>> logits = torch.zeros(2, 2, requires_grad=True)
    >>> BalancedSoftmaxLoss([90, 10], reduction="sum")(logits, torch.tensor([0, 1])).backward()
    >>> logits.grad[:, 1]  # from an example of the common class, and from one of the rare class
    tensor([ 0.1000, -0.9000])
    """

    def __init__(self, class_counts: ArrayLike, **options: Any) -> None:
        super().__init__(bias=log_prior(class_counts), **options)


class LogitAdjustedLoss(ClassificationLoss):
    """Softmax of the logits plus tau times the log prior.

    ``-log(e^(z_y + tau log pi_y) / sum_j e^(z_j + tau log pi_j))``

    Parameters
    ----------
    class_counts : (n_classes,)
    tau : 0 is cross-entropy, 1 is balanced softmax
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021, equation 10.
    Verified: value against the equation in float64; for labels that follow the prior, equal logits have no gradient.
    Deviates: a class without examples counts as if it had one, so that its loss stays finite.

    Examples
    --------
    >>> import torch
    >>> logits, targets = torch.zeros(2, 2), torch.tensor([0, 1])
    >>> LogitAdjustedLoss([90, 10], reduction="none")(logits, targets)
    tensor([0.1054, 2.3026])
    >>> LogitAdjustedLoss([90, 10], tau=0.0, reduction="none")(logits, targets)  # cross-entropy
    tensor([0.6931, 0.6931])
    """

    def __init__(self, class_counts: ArrayLike, tau: float = 1.0, **options: Any) -> None:
        super().__init__(bias=number("tau", tau) * log_prior(class_counts), **options)


class VSLoss(ClassificationLoss):
    """Vector scaling: a multiplicative and an additive adjustment per class.

    ``-log(e^(D_y z_y + i_y) / sum_j e^(D_j z_j + i_j))`` with ``D_j = (n_j / n_max)^gamma`` and ``i_j = tau log pi_j``

    Parameters
    ----------
    class_counts : (n_classes,)
    gamma : 0 is logit adjustment
    tau : 0 is class-dependent temperatures; both 0 is cross-entropy
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Kini et al., Label-Imbalanced and Group-Sensitive Classification under Overparameterization, NeurIPS
    2021 (VS-loss); the scale is the inverse of ``(n_max / n_j)^gamma`` in the authors' code
    (class_imbalance/losses.py), which also gives the defaults.
    Verified: value and gradient equal that code to 1e-15.
    Deviates: a class without examples counts as if it had one.
    """

    def __init__(self, class_counts: ArrayLike, gamma: float = 0.3, tau: float = 1.0, **options: Any) -> None:
        counts = floored_counts(class_counts)
        scale = (counts / counts.max()) ** number("gamma", gamma)
        super().__init__(scale=scale, bias=number("tau", tau) * log_prior(class_counts), **options)


class CDTLoss(ClassificationLoss):
    """Class-dependent temperatures: the logit of a rarer class is divided by a larger number during training.

    ``-log(e^(z_y / a_y) / sum_j e^(z_j / a_j))`` with ``a_j = (n_max / n_j)^gamma``

    Parameters
    ----------
    class_counts : (n_classes,)
    gamma : 0 is cross-entropy
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Ye et al., Identifying and Compensating for Feature Deviation in Imbalanced Deep Learning, arXiv
    2001.01385, 2020 (CDT).
    Verified: value and gradient equal VS-Loss, class_imbalance/losses.py, with tau 0 to 1e-15.
    Deviates: a class without examples counts as if it had one.
    """

    def __init__(self, class_counts: ArrayLike, gamma: float = 0.3, **options: Any) -> None:
        counts = floored_counts(class_counts)
        super().__init__(scale=(counts / counts.max()) ** number("gamma", gamma), **options)


class LADELoss(BalancedSoftmaxLoss):
    """Balanced softmax plus a regulariser that pulls the logits towards the log of density ratios.

    ``alpha`` times the regulariser of the batch is added to the balanced softmax of each example. It is
    ``sum_c pi_c (-mean_{y_i = c} z_ic + L_c + lambda L_c^2)`` with
    ``L_c = log mean_i(e^z_ic / (n_classes pi_c))``.

    Parameters
    ----------
    class_counts : (n_classes,)
    alpha : 0 is balanced softmax
    lam : lambda, the weight of the square that keeps the estimate from drifting
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Hong et al., Disentangling Label Distribution for Long-tailed Visual Recognition, CVPR 2021 (LADER
    and LADE).
    Verified: value and gradient of the regulariser equal the authors' loss/LADELoss.py to 1e-7, which adds 1e-9 in
    logs.
    Deviates: a class absent from a batch contributes no mean, as in the authors' code; a class without training
    examples has share 0 of the regulariser.
    """

    prior: Tensor
    bias: Tensor

    def __init__(self, class_counts: ArrayLike, alpha: float = 0.1, lam: float = 0.1, **options: Any) -> None:
        super().__init__(class_counts, **options)
        self.alpha, self.lam = number("alpha", alpha, 0), number("lam", lam, 0)
        self.register_buffer("prior", per_class(class_prior(class_counts)))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets)
        logits = finite(logits)
        loss = super().forward(logits, targets)
        rows = as_rows(targets, logits, self.ignore_index)
        seen = rows.sum(0)
        mean_of_own = (rows * logits).sum(0) / torch.where(seen > 0, seen, 1.0)
        weights = (rows if self.weight is None else rows * self.weight).sum(1)
        if is_hard(targets):
            ignored = targets == self.ignore_index
            logits = logits.masked_fill((ignored & ~ignored.all())[:, None], -torch.inf)
        n_kept = rows.sum().clamp_min(1)
        log_ratio = logits.logsumexp(0) - n_kept.log() - self.bias - math.log(logits.shape[1])
        masked = log_ratio < torch.finfo(logits.dtype).min / 2**25  # a class that is masked in the whole batch
        log_ratio = log_ratio.masked_fill(masked, 0.0)
        drift = self.alpha * (self.prior * (log_ratio + self.lam * log_ratio**2 - mean_of_own)).sum() * rows.any()
        if self.reduction == "mean":
            return loss + drift
        return loss + reduce(drift.expand(weights.shape), self.reduction, weights)
