"""Margins that are larger for rarer classes: fixed on the logit of the target, or random on every logit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tailwise.counts import check_counts, floored_counts
from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import ClassificationLoss, check_batch, per_class
from tailwise.settings import divisor, number


class LDAMLoss(ClassificationLoss):
    """Label-distribution-aware margin, for cosine logits.

    ``-log(e^(s (z_y - m_y)) / (e^(s (z_y - m_y)) + sum_{j != y} e^(s z_j)))`` with ``m_j`` proportional to
    ``n_j^(-1/4)`` and at most ``max_margin``.

    Parameters
    ----------
    class_counts : (n_classes,)
    max_margin : margin of the rarest class, in units of the logits (cosines)
    scale : multiplies the logits after the margin
    **options : ``weight`` (for deferred re-weighting), ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019;
    scale 30 and the normalisation of the margins as in the authors' code.
    Verified: value and gradient equal that code (LDAM-DRW, losses.py) to 1e-15.
    Deviates: a class without examples has the margin of the rarest class that has some. With rows, the margin of each
    class is multiplied by its share.

    Examples
    --------
    Equal cosines, as :meth:`tailwise.nn.Network.cosine` may give them, lack the whole margin, which is costly:

    >>> import torch
    >>> loss = LDAMLoss([1600, 100], reduction="none")
    >>> loss.margin
    tensor([0.2500, 0.5000])
    >>> loss(torch.zeros(2, 2), torch.tensor([0, 1])).round(decimals=1)
    tensor([ 7.5000, 15.0000])
    """

    def __init__(self, class_counts: ArrayLike, max_margin: float = 0.5, scale: float = 30.0, **options: Any) -> None:
        counts = check_counts(class_counts)
        rarest = counts[counts > 0].min()
        margin = number("max_margin", max_margin, 0) * (np.maximum(counts, rarest) / rarest) ** -0.25
        super().__init__(margin=margin, scale=divisor("scale", scale), **options)


def _rarity(class_counts: ArrayLike, reference: float | None = None) -> NDArray[np.float64]:
    """Return ``log(reference / n_j)`` over its maximum: 1 for the rarest class; the reference is the largest count."""
    counts = floored_counts(class_counts)
    rarity = np.log(reference or counts.max()) - np.log(counts)
    return rarity / rarity.max() if rarity.any() else rarity


class _NoisyLoss(ClassificationLoss):
    """A loss that adds noise to the logits, of a size that depends on the class, during training only."""

    amplitude: Tensor

    def __init__(self, amplitude: ArrayLike, sigma: float, generator: torch.Generator | None, **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer("amplitude", per_class(amplitude))
        self.sigma, self.generator = number("sigma", sigma, 0), generator

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) logits for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets, self.amplitude)
        if not self.training:
            return super().forward(logits, targets)
        noise = torch.empty_like(logits, dtype=self.amplitude.dtype, requires_grad=False)
        noise.normal_(std=self.sigma, generator=self.generator).clamp_(-1, 1).abs_().mul_(self.amplitude)
        return super().forward(at_least_float32(logits) + noise, targets)


class GCLLoss(_NoisyLoss):
    """Gaussian-clouded logits, for cosine logits: a random amount, larger for rarer classes, is subtracted.

    Cross-entropy of ``s (z_j - |e| d_j - m [j = y])``, with ``e`` drawn from a normal of deviation ``sigma`` and
    clamped to [-1, 1], and ``d_j = (log n_max - log n_j) / (log n_max - log n_min)``.

    Parameters
    ----------
    class_counts : (n_classes,)
    margin : also subtracted, from the logit of the target
    scale : multiplies the logits after noise and margin
    sigma : deviation of the noise; none is added in ``eval()``
    generator : where the noise comes from; None is torch's own, as for dropout
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Li et al., Long-Tailed Visual Recognition via Gaussian Clouded Logit Adjustment, CVPR 2022;
    sigma 1/3, the clamp and the absolute value as in the authors' code.
    Verified: value and gradient equal that code (GCLLoss, losses.py) to 1e-15, given the same noise.
    Deviates: a class without examples counts as if it had one. The code's factor on the clamped noise is left at 1;
    its CIFAR script for the backbone has margin 0 and factor 1/2, which is ``sigma`` 1/6 but for draws beyond three
    deviations.
    """

    def __init__(
        self,
        class_counts: ArrayLike,
        margin: float = 0.5,
        scale: float = 30.0,
        sigma: float = 1 / 3,
        *,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        amplitude = -_rarity(class_counts)
        margins = np.full_like(amplitude, number("margin", margin, 0))
        super().__init__(amplitude, sigma, generator, margin=margins, scale=divisor("scale", scale), **options)


class BLVLoss(_NoisyLoss):
    """Balancing logit variation: a random amount, larger for rarer classes, is added to each logit.

    Cross-entropy of ``z_j + |e| c_j / max_k c_k``, with ``e`` drawn from a normal of deviation ``sigma`` and clamped to
    [-1, 1], and ``c_j = log(sum_k n_k / n_j)``.

    Parameters
    ----------
    class_counts : (n_classes,)
    sigma : deviation of the noise; none is added in ``eval()``
    generator : where the noise comes from; None is torch's own, as for dropout
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Raises
    ------
    TailwiseError
        If counts or settings are out of range or, when called, shapes do not fit.

    Source: Wang et al., Balancing Logit Variation for Long-tailed Semantic Segmentation, CVPR 2023;
    the clamp and the absolute value as in the authors' code.
    Verified: value and gradient equal that code (BLV, blv_loss.py) to 1e-14, given the same noise.
    Deviates: a class without examples counts as if it had one.
    """

    def __init__(
        self, class_counts: ArrayLike, sigma: float = 4.0, *, generator: torch.Generator | None = None, **options: Any
    ) -> None:
        super().__init__(_rarity(class_counts, floored_counts(class_counts).sum()), sigma, generator, **options)
