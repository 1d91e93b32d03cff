"""Margins on the logit of the target: larger for rarer classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tailwise.counts import check_counts
from tailwise.losses._mechanism import ClassificationLoss


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

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019,
    equations 13 (margins) and 15 (loss); scale 30 and the normalisation of the margins as in the authors' code.
    Deviates: a class without examples has the margin of the rarest that has some.
    """

    def __init__(self, class_counts: ArrayLike, max_margin: float = 0.5, scale: float = 30.0, **options: Any) -> None:
        counts = check_counts(class_counts)
        rarest = counts[counts > 0].min()
        super().__init__(margin=max_margin * (np.maximum(counts, rarest) / rarest) ** -0.25, scale=scale, **options)
