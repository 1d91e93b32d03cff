"""How long each stage lasts, and its learning-rate schedule."""

from __future__ import annotations

import math

import numpy as np

from tailwise.errors import TailwiseError
from tailwise.wording import plural

_WARM_UP = 0.05  # share of a stage's steps in which the learning rate rises


def share_epochs(shares: list[float], epochs: int) -> list[int]:
    """Divide epochs among stages so that they add up; a stage with a positive share gets at least one.

    Raises
    ------
    TailwiseError
        If a share is negative or not finite, none is positive, or there are fewer epochs than stages that train.
    """
    if not all(0 <= share < math.inf for share in shares) or not any(shares):
        raise TailwiseError(f"the shares of a recipe's stages must be 0 or more, and one positive; got {shares}.")
    training = sum(share > 0 for share in shares)
    if epochs < training:
        raise TailwiseError(
            f"{plural(training, 'stage')} cannot share {plural(epochs, 'epoch')}: give at least {training}."
        )
    ends = np.round(np.cumsum(shares) / sum(shares) * epochs).astype(int)
    lengths = np.diff(ends, prepend=0)
    for number in np.flatnonzero((lengths == 0) & (np.asarray(shares) > 0)):
        lengths[np.argmax(lengths)] -= 1
        lengths[number] = 1
    return lengths.tolist()


def learning_rate(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, then half a cosine."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
