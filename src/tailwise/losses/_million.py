"""A classifier and its loss for very many classes, which never build a batch × classes tensor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from tailwise.counts import floored_counts, log_prior
from tailwise.errors import TailwiseError
from tailwise.losses._fused import at_least_float32, unless_refused
from tailwise.losses._mechanism import BatchLoss, Reduction, check_range, per_class
from tailwise.settings import number, whole

_FINE = 1 << 53  # parts of the proposal's whole, as many as float64 tells apart


class ChunkedSoftmaxLoss(BatchLoss):
    """A linear classifier with cross-entropy, exact, over a chunk of classes at a time.

    ``-log(e^(w_y h + b_y) / sum_j e^(w_j h + b_j))``, with ``b_j = tau log pi_j`` where class counts are given.

    Parameters
    ----------
    in_features, n_classes : shape of the classifier, whose ``weight`` is the parameter (n_classes, in_features)
    class_counts : (n_classes,) or None
    tau : 1 is balanced softmax, 0 is cross-entropy
    chunk_size : classes at a time
    ignore_index, reduction : as in torch

    Called with features instead of logits: ``loss(features, targets)``, (batch, in_features) and (batch,) codes.

    Memory, beside features, weight and their gradients: two tensors of batch × chunk_size in float32, whatever the
    number of classes. Time: backward computes the logits again, 4/3 of the products of a plain classifier.

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Verified: value and gradient equal those of the same loss on all logits at once, for any chunk size.

    Examples
    --------
    The loss holds the weights of the classifier: it takes features, and the optimiser takes its parameters too:

    >>> import torch
    >>> loss = ChunkedSoftmaxLoss(in_features=4, n_classes=1000, chunk_size=100)
    >>> features, targets = torch.randn(8, 4), torch.arange(8)
    >>> loss(features, targets).isclose(torch.nn.functional.cross_entropy(features @ loss.weight.T, targets))
    tensor(True)
    >>> values, classes = loss.topk(features, k=3)
    >>> classes.shape
    torch.Size([8, 3])
    """

    weight: nn.Parameter
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        class_counts: ArrayLike | None = None,
        *,
        tau: float = 1.0,
        chunk_size: int = 8192,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(ignore_index=ignore_index, reduction=reduction)
        whole("chunk_size", chunk_size, 1)
        self.weight = nn.Parameter(torch.empty(n_classes, in_features))
        nn.init.normal_(self.weight, std=in_features**-0.5)
        bias = None
        if class_counts is not None:
            prior = log_prior(class_counts)
            if prior.size != n_classes:
                raise TailwiseError(f"there are {prior.size} class counts for {n_classes} classes.")
            bias = per_class(number("tau", tau) * prior)
        self.register_buffer("bias", bias)
        self.chunk_size = chunk_size

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, in_features) features for (batch,) class codes."""
        n_classes, width = self.weight.shape
        if features.ndim != 2 or features.shape[1] != width or not features.is_floating_point():
            given = f"{tuple(features.shape)} {features.dtype}"
            raise TailwiseError(f"features must be floating point of shape (batch, {width}); got {given}.")
        if targets.shape != features.shape[:1] or targets.dtype != torch.int64:
            raise TailwiseError(
                f"class codes must be {features.shape[0]} of type torch.int64; got {tuple(targets.shape)} "
                f"{targets.dtype}."
            )
        check_range(targets, n_classes, self.ignore_index)
        index = targets.masked_fill(targets == self.ignore_index, 0)
        losses = self._losses(features, index)
        return self.reduced(losses, targets)

    def _losses(self, features: Tensor, targets: Tensor) -> Tensor:
        inputs = features, self.weight, self.bias, targets, self.chunk_size
        with unless_refused():
            return ChunkedNLL.apply(*inputs)[0]
        return ChunkedNLL.forward(*inputs)[0]

    @torch.no_grad()
    def topk(self, features: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
        """Return the (batch, k) largest logits ``w h`` and their classes, a chunk of classes at a time.

        They are without the class prior: with class counts and tau 1, those of a uniform prior.
        """
        best = features.new_full((features.shape[0], 0), -torch.inf, dtype=torch.float32)
        codes = best.long()
        k = min(whole("k", k, 1), self.weight.shape[0])
        for start, logits in _chunks(features, self.weight, None, self.chunk_size, _product_dtype(features)):
            here = torch.arange(start, start + logits.shape[1], device=codes.device).expand_as(logits)
            best, places = torch.cat([best.to(logits.dtype), logits], 1).topk(min(k, best.shape[1] + logits.shape[1]))
            codes = torch.cat([codes, here], 1).gather(1, places)
        return best, codes


class SampledSoftmaxLoss(ChunkedSoftmaxLoss):
    """A linear classifier with cross-entropy whose sum over the classes is estimated from a sample of them.

    ``-log(e^z_y / (e^z_y + sum_{s in S, s != y} e^z_s / (|S| q_s)))`` with ``z = w h + b`` and ``S`` drawn with
    replacement from ``q_j`` proportional to ``n_j^power``; the sum has the right expectation.

    Parameters
    ----------
    in_features, n_classes, class_counts : as for :class:`ChunkedSoftmaxLoss`; class counts are needed
    n_samples : classes drawn, the same for all examples of a batch
    power : 0 draws all classes equally often, 1 as often as they occur
    generator : where the draws come from; None is torch's own, as for dropout
    **options : as for :class:`ChunkedSoftmaxLoss`

    In ``eval()`` it is :class:`ChunkedSoftmaxLoss`.

    Memory, beside features, weight and its gradient: a few tensors of batch × n_samples and n_samples × in_features.

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Bengio and Senécal, Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
    Model, IEEE Transactions on Neural Networks 2008, section 3.
    Verified: the sampled sum has the exact expectation, over 3,000 draws, and many samples give the exact gradient.

    Examples
    --------
    A step changes the classes that were drawn and those of the batch, and no others:

    >>> import torch
    >>> loss = SampledSoftmaxLoss(4, n_classes=1000, class_counts=range(1000, 0, -1), n_samples=50)
    >>> loss(torch.randn(8, 4), torch.arange(8)).backward()
    >>> loss.weight.grad.any(dim=1).sum() <= 50 + 8
    tensor(True)
    """

    log_expected: Tensor
    cumulative: Tensor

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        class_counts: ArrayLike,
        n_samples: int = 8192,
        power: float = 0.75,
        *,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        whole("n_samples", n_samples, 1)
        super().__init__(in_features, n_classes, class_counts, **options)
        proposal = floored_counts(class_counts) ** number("power", power)
        proposal = proposal / proposal.sum()
        self.register_buffer("log_expected", per_class(np.log(n_samples * proposal)))
        # whole numbers, which no change of precision rounds: a million classes have steps too small for float32
        self.register_buffer("cumulative", torch.from_numpy((np.cumsum(proposal) * _FINE).astype(np.int64)))
        self.n_samples, self.generator = n_samples, generator

    def _losses(self, features: Tensor, targets: Tensor) -> Tensor:
        if not self.training:
            return super()._losses(features, targets)
        draws = torch.randint(_FINE, (self.n_samples,), device=features.device, generator=self.generator)
        sample = torch.searchsorted(self.cumulative, draws, right=True).clamp_max(self.weight.shape[0] - 1)
        # one look-up, so that backward makes one gradient of the size of the weight
        looked_up = F.embedding(torch.cat([targets, sample]), self.weight).to(features.dtype)
        own_vectors, vectors = looked_up.split([targets.shape[0], sample.shape[0]])
        own = at_least_float32((features * own_vectors).sum(1, keepdim=True))
        others = at_least_float32(features @ vectors.T) - self.log_expected[sample]
        if self.bias is not None:
            own, others = own + self.bias[targets][:, None], others + self.bias[sample]
        others = others.masked_fill(sample == targets[:, None], -torch.inf)
        return torch.cat([own, others], 1).logsumexp(1) - own.squeeze(1)


class ChunkedNLL(torch.autograd.Function):
    """Cross-entropy of a linear classifier; forward and backward process a chunk of classes at a time.

    Under autocast, products are computed in its type, as in a linear classifier, in backward too.
    """

    @staticmethod
    def forward(
        features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, chunk_size: int
    ) -> tuple[Tensor, Tensor]:
        """Return the (batch,) losses, and the logarithm of the sum over the classes."""
        dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
        total = torch.full((features.shape[0],), -torch.inf, dtype=dtype, device=features.device)
        own = torch.zeros_like(total)
        for start, logits in _chunks(features, weight, bias, chunk_size, _product_dtype(features)):
            inside, column = _place(targets, start, logits)
            own = own + torch.where(inside, logits.gather(1, column[:, None]).squeeze(1), 0.0)
            total = torch.logaddexp(total, logits.logsumexp(1))
        return total - own, total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep what the logits follow from."""
        features, weight, bias, targets, chunk_size = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(features, weight, bias, targets, output[1])
        ctx.chunk_size, ctx.dtype = chunk_size, _product_dtype(features)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of features and weight, as far as they are needed."""
        features, weight, bias, targets, total = ctx.saved_tensors
        grad, (of_features, of_weight, *_) = grads[0], ctx.needs_input_grad
        if grad is None:
            return (None,) * 5
        chunks = partial(_chunks, features, weight, bias, ctx.chunk_size, ctx.dtype)
        if torch.is_grad_enabled():  # a second derivative is wanted
            total = torch.stack([logits.logsumexp(1) for _, logits in chunks()]).logsumexp(0)
        grad_features = torch.zeros_like(features, dtype=grad.dtype) if of_features else None
        grad_weight = torch.empty_like(weight) if of_weight else None
        for start, logits in chunks():
            inside, column = _place(targets, start, logits)
            error, hit = logits.sub_(total[:, None]).exp_(), -inside.to(logits.dtype)[:, None]
            if torch.is_grad_enabled():
                error = error.scatter_add(1, column[:, None], hit) * grad[:, None]
            else:
                error = error.scatter_add_(1, column[:, None], hit).mul_(grad[:, None])
            error = error.to(ctx.dtype)
            here = slice(start, start + error.shape[1])
            if grad_features is not None:  # summed over the chunks, so kept in float32
                grad_features += error @ weight[here].to(ctx.dtype)
            if grad_weight is not None:
                grad_weight[here] = error.T @ features.to(ctx.dtype)
        return None if grad_features is None else grad_features.to(features.dtype), grad_weight, None, None, None


def _product_dtype(features: Tensor) -> torch.dtype:
    """Return the type in which a linear classifier would multiply."""
    kind = features.device.type
    autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if autocast and features.dtype != torch.float64 else features.dtype


def _chunks(
    features: Tensor, weight: Tensor, bias: Tensor | None, size: int, dtype: torch.dtype
) -> Iterator[tuple[int, Tensor]]:
    """Yield the first class of each chunk, and the logits of its classes, in at least float32."""
    for start in range(0, weight.shape[0], size):
        here = slice(start, start + size)
        logits = features.to(dtype) @ weight[here].to(dtype).T
        logits = logits if logits.dtype == torch.float64 else logits.float()
        yield start, logits if bias is None else logits.add_(bias[here])


def _place(targets: Tensor, start: int, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return which targets are in a chunk, and their columns in it; those of other targets mean nothing."""
    column = targets - start
    return (column >= 0) & (column < logits.shape[1]), column.clamp(0, logits.shape[1] - 1)
