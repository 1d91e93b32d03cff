"""Steps: a scale and bias per class on scores. A fitted model keeps a chain of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tailwise.errors import TailwiseError
from tailwise.tensors import to_array, to_codes, weights_of_rows


@dataclass(frozen=True)
class Step:
    """``scale * scores + bias``, per class.

    Attributes
    ----------
    name : description of the step, for display
    bias : (n_classes,) numbers
    scale : one number, or (n_classes,) numbers
    """

    name: str
    bias: tuple[float, ...]
    scale: float | tuple[float, ...] = 1.0

    @classmethod
    def of(cls, name: str, bias: ArrayLike, scale: ArrayLike = 1.0) -> Step:
        """Return a step from arrays.

        Raises
        ------
        TailwiseError
            If a number is not finite, a scale is not positive, or the shapes differ.
        """
        b, s = np.asarray(bias, dtype=np.float64), np.asarray(scale, dtype=np.float64)
        if b.ndim != 1 or s.shape not in ((), b.shape):
            raise TailwiseError(f"step {name!r}: bias {b.shape} and scale {s.shape} must have one number per class.")
        if not (np.isfinite(b).all() and np.isfinite(s).all() and (s > 0).all()):
            raise TailwiseError(f"step {name!r} must have finite biases and finite positive scales.")
        return cls(name, tuple(b.tolist()), float(s) if s.ndim == 0 else tuple(s.tolist()))

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return (n, n_classes) scores after the step, in float64.

        Raises
        ------
        TailwiseError
            If the scores have another number of classes than the step.
        """
        array = np.asarray(to_array(scores), dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(self.bias):
            raise TailwiseError(
                f"step {self.name!r} is for {len(self.bias)} classes; got scores of shape {array.shape}."
            )
        return array * np.asarray(self.scale) + np.asarray(self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Return the step as plain data for JSON."""
        scale = self.scale if isinstance(self.scale, float) else list(self.scale)
        return {"name": self.name, "bias": list(self.bias), "scale": scale}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Step:
        """Return the step that :meth:`to_dict` described, checked again."""
        return cls.of(data["name"], data["bias"], data["scale"])


def apply(chain: Iterable[Step], scores: ArrayLike) -> NDArray[np.float64]:
    """Return (n, n_classes) scores after all steps, in order."""
    result = np.asarray(to_array(scores), dtype=np.float64)
    for step in chain:
        result = step(result)
    return result


def held_out(
    scores: ArrayLike, labels: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return (n, n_classes) scores, (n,) labels and (n,) weights (1 by default) after checking them.

    Raises
    ------
    TailwiseError
        If there is no example, lengths differ, a score is not finite, a label is not a class code, or weights are
        negative or all zero.
    """
    z, y = np.asarray(to_array(scores), dtype=np.float64), to_codes(labels)
    if z.ndim != 2 or y.shape != z.shape[:1] or not len(y):
        raise TailwiseError(f"need (n, n_classes) scores and n labels, n at least 1; got {z.shape} and {y.shape}.")
    if not np.isfinite(z).all():
        raise TailwiseError("scores must be finite; some are NaN or infinite.")
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= z.shape[1]:
        raise TailwiseError(f"labels must be whole class codes from 0 to {z.shape[1] - 1}.")
    weights = weights_of_rows(sample_weight, len(y))
    if weights is not None and not weights.any():
        raise TailwiseError("sample_weight must not be all zero.")
    return z, y.astype(np.int64, copy=False), np.ones(len(y)) if weights is None else weights


def log_softmax(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the (..., n_classes) log-probabilities of scores."""
    return special.log_softmax(np.asarray(to_array(scores), dtype=np.float64), axis=-1)


def softmax(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the (..., n_classes) probabilities of scores."""
    return np.exp(log_softmax(scores))
