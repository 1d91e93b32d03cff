"""Random over- and under-sampling, and over-sampling with noise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.resample._base import Change, Resampler
from tailwise.resample._containers import rows_by_class
from tailwise.resample._goals import Kind, Strategy
from tailwise.resample._tables import measurable, numbers


class RandomOverSampler(Resampler):
    """Repeats examples of the smaller classes, all of a class equally often, up to a random remainder.

    Accepts any table.

    Parameters
    ----------
    sampling_strategy : see :class:`SMOTE`
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Batista, Prati and Monard, A Study of the Behavior of Several Methods for Balancing Machine Learning
    Training Data, SIGKDD Explorations 2004. Deviates: draws without replacement, round after round, which has less
    variance.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.array([["red"], ["red"], ["green"], ["blue"]]), np.array(["a", "a", "a", "b"])
    >>> sampler = RandomOverSampler(random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> y_new.tolist(), sampler.sample_indices_.tolist()
    (['a', 'a', 'a', 'b', 'b', 'b'], [0, 1, 2, 3, 3, 3])
    """

    _takes = frozenset({"sparse", "allow_nan", "string", "categorical"})

    _kind: ClassVar[Kind] = "over"

    def __init__(self, sampling_strategy: Strategy = "auto", *, random_state: RandomState = None) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        rng = generator(self.random_state)
        kept = [np.arange(len(codes))]
        for rows, count in zip(rows_by_class(codes, len(wanted)), wanted, strict=True):
            kept.append(rounds(rows, int(count) - len(rows), rng))
        return Change(np.concatenate(kept))


class RandomUnderSampler(Resampler):
    """Removes random examples of the larger classes.

    Accepts any table.

    Parameters
    ----------
    sampling_strategy : see :class:`NearMiss`
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: as for :class:`RandomOverSampler`.
    """

    _takes = frozenset({"sparse", "allow_nan", "string", "categorical"})

    _kind: ClassVar[Kind] = "under"

    def __init__(self, sampling_strategy: Strategy = "auto", *, random_state: RandomState = None) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        rng = generator(self.random_state)
        by_class = rows_by_class(codes, len(wanted))
        kept = [rng.choice(rows, int(n), replace=False) for rows, n in zip(by_class, wanted, strict=True)]
        return Change(np.sort(np.concatenate(kept)))


class GaussianOverSampler(Resampler):
    """Repeats examples of the smaller classes with Gaussian noise: draws from a kernel density estimate of the class.

    In a class of n examples, the noise on feature j has standard deviation
    ``shrinkage · (4 / ((d + 2) n))^(1 / (d + 4)) · σ_j``, where d is the number of features and σ_j the standard
    deviation of the feature in the class. Missing values stay missing. A class with a single example is repeated
    without noise.

    Parameters
    ----------
    sampling_strategy : see :class:`SMOTE`
    shrinkage : factor on the noise; 0 for none
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        If the table is sparse, which noise would fill, or ``shrinkage`` is negative.

    Source: Menardi and Torelli, Training and Assessing Classification Rules with Imbalanced Data, Data Mining and
    Knowledge Discovery 2014 (ROSE). Deviates from imbalanced-learn, whose ``shrinkage`` takes the number of all
    examples for n, which makes the noise narrower.
    """

    _takes = frozenset({"allow_nan"})

    _kind: ClassVar[Kind] = "over"

    def __init__(
        self, sampling_strategy: Strategy = "auto", *, shrinkage: float = 1.0, random_state: RandomState = None
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.shrinkage = shrinkage
        self.random_state = random_state

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        if not self.shrinkage >= 0:
            raise TailwiseError(f"shrinkage must not be negative; got {self.shrinkage}.")
        points = measurable(numbers(X, type(self).__name__))
        if hasattr(points, "nnz"):
            raise TailwiseError("noise would fill a sparse matrix: use another over-sampler, or make it dense.")
        rng = generator(self.random_state)
        by_class = rows_by_class(codes, len(wanted))
        new = [rounds(rows, int(n) - len(rows), rng) for rows, n in zip(by_class, wanted, strict=True)]
        parents, d = np.concatenate(new), points.shape[1]
        widths = np.zeros((len(wanted), d), points.dtype)
        for c, rows in enumerate(by_class):
            if len(new[c]):
                factor = self.shrinkage * (4 / ((d + 2) * len(rows))) ** (1 / (d + 4))
                widths[c] = factor * deviations(points[rows])

        def values(at: slice) -> NDArray[Any]:
            rows = parents[at]
            noise = rng.standard_normal((len(rows), d), dtype=points.dtype)
            return points[rows] + noise * widths[codes[rows]]

        return Change(np.arange(len(codes)), parents, values)


def deviations(table: NDArray[Any], ddof: int = 0) -> NDArray[np.float64]:
    """Return the standard deviation of each column over its known values, in float64; 0 where there are none."""
    known = (~np.isnan(table)).sum(axis=0)
    apart = table - np.nansum(table, axis=0, dtype=np.float64) / np.maximum(known, 1)
    return np.sqrt(np.nansum(apart**2, axis=0) / np.maximum(known - ddof, 1))


def rounds(rows: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``count`` of the rows, each equally often up to a random remainder."""
    if count <= 0:
        return rows[:0]
    whole, rest = divmod(count, len(rows))
    return np.concatenate([np.tile(rows, whole), rng.choice(rows, rest, replace=False)])
