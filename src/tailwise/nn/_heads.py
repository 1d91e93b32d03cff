"""Classifier heads: linear ones with normalised or scaled weights, an ordinal one, and ones in closed form."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tailwise.errors import TailwiseError
from tailwise.settings import number


class NormedLinear(nn.Module):
    """Cosine classifier: the cosines between features and the weights of each class, in [-1, 1].

    The loss applies the scale of the logits (``LDAMLoss(scale=30)``). Even under autocast, cosines are computed in the
    type of the weights, because the scale would magnify rounding errors.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019,
    section 3.2: weights and features of unit norm.

    Shapes: (batch, in_features) → (batch, n_classes).
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw class directions uniformly from the sphere."""
        nn.init.normal_(self.weight)
        with torch.no_grad():
            self.weight.div_(self.weight.norm(dim=1, keepdim=True))

    def forward(self, features: Tensor) -> Tensor:
        """Return cosines."""
        kind = features.device.type if torch.amp.is_autocast_available(features.device.type) else "cpu"
        with torch.autocast(kind, enabled=False):
            eps = max(1e-12, torch.finfo(self.weight.dtype).tiny)
            return F.linear(F.normalize(features.to(self.weight.dtype), eps=eps), F.normalize(self.weight, eps=eps))


class ScaledLinear(nn.Module):
    """Learnable weight scaling (LWS): one learnable factor per class on the weights of a frozen linear classifier.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, eq. 4.
    Deviates: keeps the bias, which the equation omits, unscaled.

    Shapes: (batch, in_features) → (batch, n_classes). Only ``scale`` (n_classes,) requires gradients.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        bias = torch.zeros_like(linear.weight[:, 0]) if linear.bias is None else linear.bias
        self.register_buffer("weight", linear.weight.detach().clone())
        self.register_buffer("bias", bias.detach().clone())
        self.scale = nn.Parameter(torch.ones_like(self.bias))

    def forward(self, features: Tensor) -> Tensor:
        """Return scaled logits."""
        return F.linear(features, self.weight * self.scale[:, None], self.bias)


class OrderedLinear(nn.Linear):
    """Classifier for ordered classes: log-probabilities from cumulative logits; see :func:`ordered_log_softmax`.

    Shapes: (batch, in_features) → (batch, n_classes). Row 0 of weights and bias is unused.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return log-probabilities."""
        return ordered_log_softmax(super().forward(features))


def ordered_log_softmax(logits: Tensor) -> Tensor:
    """Return the log-probabilities of ordered classes, ``log(s(z_k) - s(z_{k+1}))``.

    ``s(z_k)``, with s the sigmoid, is the probability of class ``k`` or higher: 1 for class 0, and 0 beyond the last.
    Adjacent cumulative logits count as at least 1e-6 apart, so the result is finite even where they cross.

    Parameters
    ----------
    logits : (batch, n_classes), column 0 unused; half precision is computed and returned in float32

    Returns
    -------
    (batch, n_classes) log-probabilities
    """
    z = (logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits)[:, 1:]
    # s(a) - s(b) = s(a) s(-b) (1 - e^(b - a)), which is accurate even if both are tiny
    between = torch.log(-torch.expm1(-(z[:, :-1] - z[:, 1:]).clamp_min(1e-6)))
    return F.pad(F.logsigmoid(z), (1, 0)) + F.pad(F.logsigmoid(-z), (0, 1)) + F.pad(between, (1, 1))


@torch.no_grad()
def tau_normalise(linear: nn.Linear, tau: float = 1.0) -> nn.Linear:
    """Return a copy of a linear classifier with each class's weights divided by their norm to the power ``tau``.

    With ``tau`` 0, the copy is unchanged. Otherwise the bias is dropped, as in the paper.

    Source: Kang et al., ICLR 2020, eq. 3.

    Raises
    ------
    TailwiseError
        If ``tau`` is negative or NaN.

    Examples
    --------
    >>> import torch
    >>> linear = torch.nn.Linear(2, 2)
    >>> linear.weight.data = torch.tensor([[0.0, 4.0], [1.0, 0.0]])  # of a common class and a rare one
    >>> [tau_normalise(linear, tau).weight.norm(dim=1).round().tolist() for tau in (0.0, 0.5, 1.0)]
    [[4.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
    """
    keep = number("tau", tau, 0, math.inf) == 0 and linear.bias is not None
    least = max(1e-12, torch.finfo(linear.weight.dtype).tiny)  # half precision rounds the first to 0
    weight = linear.weight / linear.weight.norm(dim=1, keepdim=True).clamp(min=least) ** tau
    return _linear(weight, linear.bias if keep else None)


@torch.no_grad()
def nearest_mean(features: Tensor, labels: Tensor, n_classes: int) -> nn.Linear:
    """Return the nearest-class-mean classifier as a linear layer in closed form.

    Features at distance d from a class mean μ get the logit -d² / (2 σ²), up to a term common to all classes. This
    means weights μ / σ² and bias -|μ|² / (2 σ²), where σ² is the mean squared distance, per dimension, between features
    and their class mean. These are the logits of spherical Gaussian classes with equal variance. A class without
    examples is never predicted.

    Source: Mensink et al., Distance-Based Image Classification, TPAMI 2013, eq. 1; as NCM in Kang et al., ICLR 2020.

    Parameters
    ----------
    features : (n, width) floating point
    labels : (n,) int64 class codes, or (n, n_classes) shares of the classes in each example
    n_classes : number of classes

    Raises
    ------
    TailwiseError
        If there is not one label for each example, or a code is out of range.

    Examples
    --------
    >>> import torch
    >>> features, labels = torch.tensor([[0.0], [1.0], [2.0], [3.0], [8.0]]), torch.tensor([0, 0, 0, 0, 1])
    >>> head = nearest_mean(features, labels, n_classes=2)
    >>> head(torch.tensor([[4.0], [6.0]])).argmax(1)  # the means are 1.5 and 8
    tensor([0, 1])
    """
    x, labels = features.cpu().double(), labels.cpu()  # not every device has float64
    if labels.shape not in ((len(x),), (len(x), n_classes)):
        raise TailwiseError(f"{len(x)} features need as many labels; got shape {tuple(labels.shape)}.")
    if labels.ndim == 1:
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
            raise TailwiseError(
                f"labels must be from 0 to {n_classes - 1}; got {int(labels.min())} to {int(labels.max())}."
            )
        counts, shares = torch.bincount(labels, minlength=n_classes), x.new_ones(len(x))
        sums = x.new_zeros(n_classes, x.shape[1]).index_add_(0, labels, x)
    else:
        counts, shares, sums = labels.double().sum(0), labels.double().sum(1), labels.double().T @ x
    means, centre = sums / counts.clamp(min=1e-12)[:, None], x.mean(0)
    # the sum of squared distances to class means, from the centre, where it loses no digits
    squares = shares @ (x - centre).square().sum(1) - counts.double() @ (means - centre).square().sum(1)
    variance = (squares / (counts.sum() * x.shape[1])).clamp(min=1e-12)
    bias = -means.square().sum(1) / (2 * variance)
    bias[counts == 0] = torch.finfo(features.dtype).min / 4  # finite, so that softmax and safetensors stay finite
    return _linear((means / variance).to(features.dtype), bias.to(features.dtype))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone())
    return linear
