"""Bins of probabilities, so that rankings and calibration need no memory for each prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Equal-width confidence bins (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, use 15).
CALIBRATION_BINS = 15

_STEPS = 4  # leading bits of the mantissa to keep: 16 bins between consecutive powers of two
_SMALLEST, _HALF = 127 - 48, 126  # biased exponents of 2**-48 and 2**-1 in a float32
_NEAREST_ONE = 127 - 24  # 1 - p of a float32 below one is at least 2**-24
_LOW = (_HALF - _SMALLEST) << _STEPS
_HIGH = (_HALF - _NEAREST_ONE) << _STEPS
#: Number of bins that :func:`score_bins` sorts probabilities into.
SCORE_BINS = _LOW + _HIGH + 1


def score_bins(proba: NDArray[Any]) -> NDArray[np.int32]:
    """Sort probabilities into bins that are narrow near 0 and 1, where rankings are decided.

    A bin spans a factor of at most 17/16 in ``p`` (below one half) or in ``1 - p`` (above). Bin numbers are taken from
    the bits of the float32 number, which avoids logarithms.

    Parameters
    ----------
    proba : probabilities, any shape

    Returns
    -------
    int32 bin numbers from 0 to ``SCORE_BINS - 1``, increasing with the probability, of the same shape
    """
    upper = proba > 0.5
    distance = np.where(upper, 1 - proba, proba).astype(np.float32)
    step = (distance.view(np.int32) >> (23 - _STEPS)) - np.int32(_HALF << _STEPS)  # 0 at one half, falling outwards
    return np.where(upper, _LOW - np.maximum(step, -_HIGH), _LOW + np.maximum(step, -_LOW)).astype(np.int32)


def calibration_error(hits: NDArray[Any], counts: NDArray[Any], confidence: NDArray[Any]) -> NDArray[np.float64]:
    """Return expected calibration errors: the mean over examples of |accuracy - mean confidence| of their bin.

    Parameters
    ----------
    hits, counts : (..., n_bins) correct predictions, and all predictions, in each bin
    confidence : (..., n_bins) *sum* of the probabilities in each bin

    Returns
    -------
    (...,); NaN if there are no examples

    Source: Guo et al., ICML 2017, equation 3.
    """
    total = counts.sum(axis=-1)
    gap = np.abs(hits - confidence).sum(axis=-1)
    return np.divide(gap, total, out=np.full(np.shape(total), np.nan), where=total > 0)


def calibration_bins(proba: NDArray[Any]) -> NDArray[np.intp]:
    """Return the equal-width bin of each probability."""
    return np.minimum((proba * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
