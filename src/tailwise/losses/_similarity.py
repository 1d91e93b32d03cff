"""Losses on normalised scores: cosines over a temperature, heavy-tailed similarities, standardised logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tailwise.losses._fused import at_least_float32
from tailwise.losses._mechanism import ClassificationLoss, RowLoss, at_target, check_batch, is_hard
from tailwise.settings import divisor, number


class NormalisedSoftmaxLoss(ClassificationLoss):
    """Cross-entropy of cosines over a temperature, ``-log(e^(cos_y / T) / sum_j e^(cos_j / T))``.

    Parameters
    ----------
    temperature : 1 is cross-entropy
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    The logits are cosines between features and class vectors, those of a cosine classifier without scale.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Zhai and Wu, Classification is a Strong Baseline for Deep Metric Learning, BMVC 2019
    (normalised softmax, temperature 0.05), after Wang et al., NormFace, ACM Multimedia 2017; used for unseen classes by
    Pereira et al., Hyperspherical Embedding for Novel Class Classification, arXiv 2102.03243, 2021.
    Verified: value against the equation in float64; with temperature 1 it is cross-entropy.
    """

    def __init__(self, temperature: float = 0.05, **options: Any) -> None:
        super().__init__(scale=1 / divisor("temperature", temperature), **options)


class TSimilarityLoss(ClassificationLoss):
    """Cross-entropy of heavy-tailed similarities, ``2 / (1 + kappa (1 - cos_j)) / temperature``.

    Parameters
    ----------
    kappa : concentration; the similarity is that of a t-distribution on the sphere
    temperature : divides the similarities
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    The logits are cosines between features and class vectors, those of a cosine classifier without scale.

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: Yang et al., Adapting Multi-modal Large Language Model to Concept Drift From Pre-training Onwards, ICLR
    2025; the similarity and ``kappa`` 16 as in the authors' code (lavis/models/embeddings.py), where a learned scale
    replaces one over the temperature. Up to a factor it is the t-vMF similarity of Kobayashi, CVPR 2021.
    Verified: value and gradient equal that code at its initial scale, exactly.
    """

    def __init__(self, kappa: float = 16.0, temperature: float = 0.05, **options: Any) -> None:
        super().__init__(scale=2 / divisor("temperature", temperature), **options)
        self.kappa = number("kappa", kappa, 0)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (batch, n_classes) cosines for (batch,) codes or (batch, n_classes) rows."""
        check_batch(logits, targets)
        # a cosine rounded to a little over 1 must not come near the pole at 1 + 1 / kappa
        distance = (1 - at_least_float32(logits)).clamp_min(0)
        return super().forward(1 / (1 + self.kappa * distance), targets)


class ZLoss(RowLoss):
    """Softplus of the target's standardised logit, ``softplus(a (b - (z_y - mean z) / std z)) / a``.

    Neither a shift nor a positive scale of the logits changes it. Classes masked with minus infinity are left out.

    Parameters
    ----------
    a, b : steepness, and the standardised logit beyond which an example counts little
    **options : ``weight``, ``ignore_index``, ``reduction``

    Raises
    ------
    TailwiseError
        If settings are out of range or, when called, shapes do not fit.

    Source: de Brébisson and Vincent, The Z-loss: a shift and scale invariant classification loss belonging to the
    Spherical Family, arXiv 1604.08859, 2016. The paper tunes ``a`` and ``b`` to the rank that matters; with
    k classes no standardised logit exceeds the root of k - 1, so ``b`` should stay below that.
    Verified: value against the equation in float64, and value and gradient equal the authors' example
    (factored_output_layer, example/timing_example.py, which has ``a`` 1 and ``b`` 0) to 1e-13; the scale of the logits
    changes nothing, and with a large ``a`` it is a hinge.
    Deviates: about 1e-6 is added to the deviation. For a row, the losses of the classes are averaged by their shares.
    """

    def __init__(self, a: float = 1.0, b: float = 3.0, **options: Any) -> None:
        super().__init__(**options)
        self.a, self.b = divisor("a", a), number("b", b)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = at_least_float32(logits)
        masked = logits == -torch.inf
        n = (~masked).sum(1, keepdim=True).clamp_min(1)
        centred = (logits - logits.masked_fill(masked, 0).sum(1, keepdim=True) / n).masked_fill(masked, 0)
        largest = centred.abs().amax(1, keepdim=True).detach().clamp_min(1e-6)
        centred = centred / largest  # the square of a large logit would overflow
        per_deviation = (centred.square().sum(1, keepdim=True) / n + (1e-6 / largest) ** 2).rsqrt()
        if is_hard(targets):  # one logit is enough
            return self._each(at_target(centred, targets, self.ignore_index) * per_deviation.squeeze(1))
        return (self._each(centred * per_deviation) * targets.to(logits.dtype)).sum(1)

    def _each(self, standard: Tensor) -> Tensor:
        return F.softplus(self.a * (self.b - standard)) / self.a
