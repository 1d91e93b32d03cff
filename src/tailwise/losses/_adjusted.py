"""A bias and a scale per class: the prior belongs to the training loss, so that the logits themselves are balanced."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.losses._mechanism import ClassificationLoss, floored_counts


def _log_prior(class_counts: ArrayLike) -> NDArray[np.float64]:
    counts = floored_counts(class_counts)
    return np.log(counts) - np.log(counts.sum())


class BalancedSoftmaxLoss(ClassificationLoss):
    """Softmax in which every class counts as often as it has examples, ``-log(n_y e^z_y / sum_j n_j e^z_j)``.

    Parameters
    ----------
    class_counts : (n_classes,)
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Source: Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020, equation 4.
    Deviates: a class without examples counts as if it had one, so that its loss stays finite.
    """

    def __init__(self, class_counts: ArrayLike, **options: Any) -> None:
        super().__init__(bias=_log_prior(class_counts), **options)


class LogitAdjustedLoss(ClassificationLoss):
    """Softmax of the logits plus tau times the log prior.

    ``-log(e^(z_y + tau log pi_y) / sum_j e^(z_j + tau log pi_j))``

    Parameters
    ----------
    class_counts : (n_classes,)
    tau : 0 is cross-entropy, 1 is balanced softmax
    **options : ``weight``, ``ignore_index``, ``reduction``, ``label_smoothing``

    Source: Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021, equation 10.
    Deviates: a class without examples counts as if it had one, so that its loss stays finite.
    """

    def __init__(self, class_counts: ArrayLike, tau: float = 1.0, **options: Any) -> None:
        super().__init__(bias=tau * _log_prior(class_counts), **options)
