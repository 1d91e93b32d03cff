"""One case per public loss: how to build it, its oracle, and which laws hold for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from losses import oracles
from tailwise import losses

COUNTS = np.array([400.0, 90.0, 30.0, 8.0, 2.0])


def features(n: int) -> torch.Tensor:
    return torch.sin(1.0 + torch.arange(n * 3.0)).reshape(n, 3)


class WithFeatures(nn.Module):
    """The influence-balanced loss, always called with the same features."""

    def __init__(self, counts: Any, **options: Any) -> None:
        super().__init__()
        self.loss = losses.InfluenceBalancedLoss(counts, **options)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.loss(logits, targets, features(len(logits)).to(logits))


@dataclass(frozen=True)
class Case:
    build: Callable[..., nn.Module]  # build(counts, **options)
    oracle: Callable[..., Any]
    plain: Callable[..., nn.Module] | None = None  # a setting that is cross-entropy, given equal counts
    weighted: bool = False  # has a weight per class built from the counts
    shift: bool = True  # a shift of the logits changes nothing
    permutation: bool = True  # neither does permuting the classes
    smooth: bool = True  # the gradient is the derivative of the value: no factor is held constant
    hard_only: bool = False  # rows have a meaning of their own, which the oracle does not write

    @property
    def takes_counts(self) -> bool:
        return not getattr(self.build, "__name__", "").startswith("without_counts")


def free(cls: type, **fixed: Any) -> Callable[..., nn.Module]:
    """Build a loss that takes no class counts."""

    def without_counts(counts: Any, **options: Any) -> nn.Module:
        return cls(**fixed, **options)

    return without_counts


def without_counts_but_number(counts: Any, **options: Any) -> nn.Module:
    return losses.EqualizationLossV2(len(counts), **options)


L = losses
CASES = {
    "CrossEntropyLoss": Case(free(L.CrossEntropyLoss), oracles.softmax_loss(oracles.plain), free(L.CrossEntropyLoss)),
    "ClassBalancedLoss": Case(
        L.ClassBalancedLoss, oracles.softmax_loss(oracles.plain), L.ClassBalancedLoss, weighted=True
    ),
    "SmoothedDensityLoss": Case(
        L.SmoothedDensityLoss,
        oracles.softmax_loss(oracles.plain),
        L.SmoothedDensityLoss,
        weighted=True,
        permutation=False,
    ),
    "FocalLoss": Case(free(L.FocalLoss), oracles.focal, free(L.FocalLoss, gamma=0)),
    "LDAMLoss": Case(L.LDAMLoss, oracles.softmax_loss(oracles.ldam), partial(L.LDAMLoss, max_margin=0, scale=1)),
    "BalancedSoftmaxLoss": Case(
        L.BalancedSoftmaxLoss, oracles.softmax_loss(oracles.balanced_softmax), L.BalancedSoftmaxLoss
    ),
    "LogitAdjustedLoss": Case(L.LogitAdjustedLoss, oracles.softmax_loss(oracles.logit_adjusted), L.LogitAdjustedLoss),
    "VSLoss": Case(L.VSLoss, oracles.softmax_loss(oracles.vector_scaling), L.VSLoss, shift=False),
    "CDTLoss": Case(L.CDTLoss, oracles.softmax_loss(oracles.class_dependent_temperature), L.CDTLoss, shift=False),
    "LADELoss": Case(L.LADELoss, oracles.lade, partial(L.LADELoss, alpha=0), shift=False),
    "SoftmaxEqualizationLoss": Case(
        L.SoftmaxEqualizationLoss, oracles.softmax_loss(oracles.plain), partial(L.SoftmaxEqualizationLoss, gamma=0)
    ),
    "SeesawLoss": Case(
        L.SeesawLoss, oracles.softmax_loss(oracles.seesaw), partial(L.SeesawLoss, q=0), smooth=False, hard_only=True
    ),
    "EqualizationLoss": Case(L.EqualizationLoss, oracles.sigmoid_sum(oracles.equalization), shift=False),
    "EqualizationLossV2": Case(
        without_counts_but_number,
        oracles.sigmoid_sum(lambda j, n: 1.0),
        shift=False,
    ),
    "InfluenceBalancedLoss": Case(WithFeatures, lambda z, q, n: oracles.influence(z, q, n, features(len(z)).numpy())),
    "InstanceWeightedLoss": Case(
        free(L.InstanceWeightedLoss),
        oracles.instance_weighted,
        free(L.InstanceWeightedLoss, temperature=float("inf")),
        smooth=False,
    ),
    "DFTLoss": Case(free(L.DFTLoss), oracles.dft, smooth=False),
    "GCLLoss": Case(
        L.GCLLoss,
        oracles.softmax_loss(lambda z, q, n: [30 * (z[j] - 0.5 * q[j]) for j in range(len(z))]),
        partial(L.GCLLoss, margin=0, scale=1),
    ),
    "BLVLoss": Case(L.BLVLoss, oracles.softmax_loss(oracles.plain), partial(L.BLVLoss, sigma=0)),
    "AsymmetricLoss": Case(free(L.AsymmetricLoss), oracles.asymmetric, shift=False),
    "DistributionBalancedLoss": Case(
        lambda counts, **options: L.DistributionBalancedLoss(counts, int(np.sum(counts)), **options),
        lambda z, q, n: oracles.distribution_balanced(z, q, n, sum(n)),
        shift=False,
    ),
    "DiceLoss": Case(free(L.DiceLoss), oracles.dice),
    "TverskyLoss": Case(free(L.TverskyLoss), oracles.tversky),
    "NormalisedSoftmaxLoss": Case(
        free(L.NormalisedSoftmaxLoss),
        oracles.softmax_loss(oracles.normalised),
        free(L.NormalisedSoftmaxLoss, temperature=1.0),
    ),
    "TSimilarityLoss": Case(free(L.TSimilarityLoss), oracles.softmax_loss(oracles.t_similarity), shift=False),
    "ZLoss": Case(free(L.ZLoss), oracles.z_loss),
    "CumulativeLoss": Case(free(L.CumulativeLoss), oracles.cumulative, shift=False, permutation=False),
}
HEADS = {"ChunkedSoftmaxLoss", "SampledSoftmaxLoss"}  # take features, not logits: test_million.py
