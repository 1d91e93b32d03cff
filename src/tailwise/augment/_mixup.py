"""Mixup: train on weighted means of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Mixup:
    """Mix the batch with a permutation of itself, with one weight drawn from Beta(alpha, alpha).

    Parameters
    ----------
    n_classes : number of classes
    alpha : small values mix little, large values mix half and half

    Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, section 2 and the algorithm in figure 1.

    Shapes: inputs (batch, ...), targets (batch,) class codes or (batch, n_classes) label rows → float32 inputs (batch,
    ...) and float32 rows (batch, n_classes).
    """

    n_classes: int
    alpha: float = 1.0

    def __call__(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return mixed inputs and mixed target rows."""
        order = torch.randperm(len(inputs), generator=generator).to(inputs.device, non_blocking=True)
        # torch cannot draw from a Beta distribution with a given generator; NumPy can.
        seed = int(torch.randint(2**62, (), generator=generator))
        weight = float(np.random.default_rng(seed).beta(self.alpha, self.alpha))
        rows = (F.one_hot(targets.long(), self.n_classes) if targets.ndim == 1 else targets).float()
        x = inputs.float()
        return x.lerp(x[order], 1 - weight), rows.lerp(rows[order], 1 - weight)
