"""Losses that protect rare classes from the gradients of frequent ones: equalization v1 and v2, and seesaw."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from tailwise.counts import check_counts, floored_counts
from tailwise.errors import TailwiseError
from tailwise.losses._fused import SigmoidNLL, at_least_float32, finite, unless_refused
from tailwise.losses._mechanism import (
    BatchLoss,
    ClassificationLoss,
    as_rows,
    check_batch,
    is_hard,
    per_class,
    row_losses,
)
from tailwise.settings import divisor, number, whole


def _in_tail(class_counts: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Return which classes have fewer examples than ``threshold`` times the mean class count."""
    counts = check_counts(class_counts)
    return counts < number("threshold", threshold, 0, 1) * counts.mean()


class SoftmaxEqualizationLoss(ClassificationLoss):
    """Softmax that leaves tail classes out of the denominator of other classes' examples, at random.

    ``-log(e^z_y / sum_j w_j e^z_j)`` with ``w_j = 1 - b T(f_j) (1 - [j = y])``, where ``T(f)`` is 1 for classes of the
    tail, and ``b`` is 1 with probability ``gamma``.

    Parameters
    ----------
    class_counts : (n_classes,)
    threshold : of the mean class count; classes with fewer examples belong to the tail
    gamma : probability that a tail class is left out; 0 is cross-entropy
    generator : where the choices come from; None is torch's own, as for dropout
    **options : ``weight``, ``ignore_index``, ``reduction``

    With rows, a tail class with any share in an example is kept. In ``eval()`` it is cross-entropy.

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Tan et al., Equalization Loss for Long-Tailed Object Recognition, CVPR 2020 (softmax
    equalization loss).
    Verified: value against the equation with every tail class left out, which then has no gradient; with ``gamma`` or
    ``threshold`` 0 it is cross-entropy.
    Deviates: the threshold is relative, so that it suits any number of classes, and equal counts give cross-entropy;
    the paper's are 3e-3 of all examples for 100 classes, which is the default, and 4.3e-4 for 1,000. The paper does not
    say how often ``b`` is drawn; here it is per example and class, as in public code (SoftmaxEQL).
    """

    tail: Tensor

    def __init__(
        self,
        class_counts: ArrayLike,
        threshold: float = 0.3,
        gamma: float = 0.9,
        *,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if self.label_smoothing:
            raise TailwiseError("softmax equalization takes no label smoothing: a class that is left out has no share.")
        self.register_buffer("tail", torch.as_tensor(_in_tail(class_counts, threshold)))
        self.gamma, self.generator = number("gamma", gamma, 0, 1), generator

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, self.tail)
        if not self.training:
            return super().forward(logits, targets)
        # not torch.rand, which a compiler cannot call for batches of any size
        draws = torch.empty_like(logits, dtype=torch.float32, requires_grad=False).uniform_(generator=self.generator)
        left_out = (draws < self.gamma) & self.tail
        left_out &= as_rows(targets, draws, self.ignore_index) == 0
        # the lowest finite number, as -inf would meet the zeros of rows and become nan
        lowest = torch.finfo(at_least_float32(logits[:0]).dtype).min / 4
        return super().forward(at_least_float32(logits).masked_fill(left_out, lowest), targets)


class SeesawLoss(ClassificationLoss):
    """Softmax that reduces the penalty of a frequent class's examples on rarer classes, unless those are predicted.

    ``-log(e^z_y / (e^z_y + sum_{j != y} M_yj C_yj e^z_j))`` with the mitigation factor
    ``M_yj = min(1, (n_j / n_y)^p)`` and the compensation factor ``C_yj = max(1, (p_j / p_y)^q)``.

    Parameters
    ----------
    class_counts : (n_classes,)
    p, q : strength of mitigation and compensation; both 0 is cross-entropy
    eps : ``p_y`` is taken to be at least this in the compensation factor
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Wang et al., Seesaw Loss for Long-Tailed Instance Segmentation, CVPR 2021; ``eps`` as in
    the authors' code (mmdetection, seesaw_loss.py).
    Verified: value and gradient equal that code to 1e-15, given the counts.
    Deviates: the class counts are known beforehand, where the authors count during training; a class without
    examples counts as if it had one, as in their code. The factors of rows are averaged over the row.
    """

    log_counts: Tensor

    def __init__(
        self, class_counts: ArrayLike, p: float = 0.8, q: float = 2.0, eps: float = 1e-2, **options: Any
    ) -> None:
        super().__init__(**options)
        self.register_buffer("log_counts", per_class(np.log(floored_counts(class_counts))))
        self.p, self.q, self.eps = number("p", p, 0), number("q", q, 0), divisor("eps", eps)

    @torch.no_grad()
    def bias_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the logarithms of both factors."""
        check_batch(logits, targets, self.log_counts)
        targets = targets.detach()  # which a forward derivative needs, too
        logits = at_least_float32(logits.detach())
        log_p_floor = logits.logsumexp(1, keepdim=True) + np.log(self.eps)
        if targets.ndim == 1:
            index = targets.clamp(0, logits.shape[1] - 1)
            own, own_count = logits.gather(1, index[:, None]), self.log_counts[index][:, None]
        else:
            own, own_count = (targets * logits).sum(1, keepdim=True), (targets * self.log_counts).sum(1, keepdim=True)
        factors = (logits - torch.maximum(own, log_p_floor)).clamp_(min=0).mul_(self.q)
        return factors.add_((self.log_counts - own_count).clamp_(max=0), alpha=self.p)


class EqualizationLoss(BatchLoss):
    """Sigmoid cross-entropy that protects tail classes from the examples of other classes.

    ``-sum_j y_j log p_j + (1 - E T(f_j)) (1 - y_j) log(1 - p_j)``, where ``T(f)`` is 1 for classes of the tail, and
    ``E`` is 0 for an example that has no class at all, the background.

    Parameters
    ----------
    class_counts : (n_classes,)
    threshold : of the mean class count; classes with fewer examples belong to the tail. 0 is sigmoid cross-entropy
    **options : ``weight``, ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    Targets are (batch,) class codes or (batch, n_classes) labels, several of which may be 1. Only the background counts
    against a tail class; without any, as with class codes, nothing does.

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Tan et al., Equalization Loss for Long-Tailed Object Recognition, CVPR 2020, equations 3 to 5.
    Verified: value and gradient equal the authors' code (eql.detectron2, projects/EQL/eql/fast_rcnn.py) to 1e-15, given
    the tail.
    Deviates: the threshold is relative, so that it suits any number of classes, and equal counts give sigmoid
    cross-entropy; the paper protects the classes of LVIS in 100 images or fewer, three fifths of the mean.
    """

    spared: Tensor

    def __init__(self, class_counts: ArrayLike, threshold: float = 0.6, **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer("spared", per_class(_in_tail(class_counts, threshold)))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) labels."""
        check_batch(logits, targets, self.spared, self.weight)
        if is_hard(targets):
            losses = sigmoid_nll(logits, targets, torch.ones_like(self.spared), 1 - self.spared, self.ignore_index)
        else:
            losses = row_losses(self._of_rows, logits, targets)
        return self.reduced(losses, targets, self.weight)

    def _of_rows(self, logits: Tensor, targets: Tensor) -> Tensor:
        spared = self.spared * (targets > 0).any(1, keepdim=True)
        return sigmoid_rows(logits, targets, torch.ones_like(self.spared), 1 - spared)


class EqualizationLossV2(BatchLoss):
    """Sigmoid cross-entropy that balances, class by class, the gradients from examples with and without it.

    ``-sum_j q_j y_j log p_j + r_j (1 - y_j) log(1 - p_j)`` with ``r_j = f(g_j)``, ``q_j = 1 + alpha (1 - f(g_j))``,
    ``f(x) = 1 / (1 + e^(-gamma (x - mu)))`` and ``g_j`` the ratio of the gradients summed so far over examples with
    the class to those over examples without it.

    Parameters
    ----------
    n_classes : number of classes
    gamma, mu, alpha : shape of the mapping
    **options : ``weight``, ``ignore_index``, ``reduction``; the mean is over examples, the classes are summed

    The sums are buffers, kept in checkpoints, and grow in ``train()`` only; across processes they are summed. They stay
    in float32 in a module of half precision, where they would soon stop growing. A class whose gradient is NaN in a
    batch adds nothing, nor does a batch inside ``vmap`` or another transformation of ``torch.func``.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Tan et al., Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object Detection, CVPR
    2021.
    Verified: value and gradient equal the authors' code (eqlv2, mmdet/models/losses/eqlv2.py) to 1e-11 over three
    steps, where the ratios have an epsilon of 1e-10.
    Deviates: a class has weights 1 until it has seen a gradient; there is no background class.
    """

    positive: Tensor
    negative: Tensor

    def __init__(
        self, n_classes: int, gamma: float = 12.0, mu: float = 0.8, alpha: float = 4.0, **options: Any
    ) -> None:
        super().__init__(**options)
        whole("n_classes", n_classes, 1)
        self.register_buffer("positive", at_least_float32(torch.zeros(n_classes)))
        self.register_buffer("negative", at_least_float32(torch.zeros(n_classes)))
        self.gamma, self.mu, self.alpha = number("gamma", gamma), number("mu", mu), number("alpha", alpha, 0)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) labels."""
        check_batch(logits, targets, self.positive, self.weight)
        ratio = self.positive / self.negative.clamp_min(1e-10)
        turned_down = torch.sigmoid(self.gamma * (ratio - self.mu))
        turned_down = torch.where(self.negative + self.positive > 0, turned_down, 1.0)
        turned_up = 1 + self.alpha * (1 - turned_down)
        losses = sigmoid_nll(logits, targets, turned_up, turned_down, self.ignore_index)
        if self.training and torch.is_grad_enabled():  # not while a loop validates under no_grad
            self._collect(logits, targets, turned_up, turned_down)
        return self.reduced(losses, targets, self.weight)

    @torch.no_grad()
    def _collect(self, logits: Tensor, targets: Tensor, turned_up: Tensor, turned_down: Tensor) -> None:
        p = torch.sigmoid(at_least_float32(logits))
        if is_hard(targets):
            ignored = targets == self.ignore_index
            index = targets.masked_fill(ignored, 0)
            p.masked_fill_(ignored[:, None], 0)  # in place: one tensor is enough
            own = p.gather(1, index[:, None]).squeeze(1)
            nothing = p.new_zeros(p.shape[1])
            with_class = nothing.scatter_add(0, index, (1 - own).masked_fill(ignored, 0))
            without_class = (p.sum(0) - nothing.scatter_add(0, index, own)).clamp_min(0)
        else:
            with_class, without_class = ((1 - p) * targets).sum(0), (p * (1 - targets)).sum(0)
        sums = torch.stack([turned_up * with_class, turned_down * without_class]).to(self.positive.dtype).nan_to_num(0)
        if not torch.compiler.is_compiling() and _is_transformed(sums):
            return
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        # not in place: what was compiled would take the new sums for its gradient
        self.positive = self.positive + sums[0]
        self.negative = self.negative + sums[1]


def _is_transformed(values: Tensor) -> bool:
    """Say whether a tensor belongs to ``vmap`` or another transformation, which it must not outlive."""
    try:
        values.data_ptr()
    except RuntimeError:
        return True
    return False


def sigmoid_nll(logits: Tensor, targets: Tensor, positive: Tensor, negative: Tensor, ignore_index: int) -> Tensor:
    """Return the (batch,) sums of ``-q_j y_j log p_j - r_j (1 - y_j) log(1 - p_j)``, ``q`` and ``r`` (n_classes,)."""
    if is_hard(targets):
        logits = at_least_float32(logits)
        if not torch.compiler.is_compiling():
            weights, ignored = (positive.to(logits.dtype), negative.to(logits.dtype)), targets == ignore_index
            with unless_refused():
                losses = SigmoidNLL.apply(logits, targets.masked_fill(ignored, 0), *weights)
                return losses.masked_fill(ignored, 0)  # class 0 may be masked, and its loss infinite
        return sigmoid_rows(logits, as_rows(targets, logits, ignore_index), positive, negative)
    return row_losses(partial(sigmoid_rows, positive=positive, negative=negative), logits, targets)


def sigmoid_rows(logits: Tensor, rows: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the same for (batch, n_classes) rows; ``r`` may differ from row to row."""
    logits = finite(logits)
    rows, positive, negative = (values.to(logits.dtype) for values in (rows, positive, negative))
    return (positive * rows * F.softplus(-logits) + negative * (1 - rows) * F.softplus(logits)).sum(1)
