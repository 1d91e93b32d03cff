"""Continuous targets with rare values: relevance, resampling by relevance, and weights by density."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from tailwise.counts import Weighting, class_weights
from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.resample._base import Change, TargetResampler
from tailwise.resample._blocks import spans
from tailwise.resample._neighbours import nearest
from tailwise.resample._pairs import distances_to
from tailwise.resample._random import deviations, rounds
from tailwise.resample._smote import between
from tailwise.resample._tables import numbers
from tailwise.settings import whole
from tailwise.tensors import to_array

Relevance = Callable[[NDArray[np.float64]], ArrayLike]


def relevance(y: ArrayLike, coef: float = 1.5) -> NDArray[np.float64]:
    """Return the relevance of each target value: 0 at the median, 1 from the whiskers of the box plot on.

    Between median and whisker, relevance rises smoothly. A side without values beyond its whisker has relevance 0.

    Parameters
    ----------
    y : (n,) target
    coef : maximum length of the whiskers, as a multiple of the distance between the hinges (quartiles)

    Returns
    -------
    (n,) between 0 and 1

    Raises
    ------
    TailwiseError
        If the target is not one finite number per row, or is constant.

    Source: Ribeiro, Utility-Based Regression, PhD thesis, University of Porto 2011: the piecewise cubic Hermite
    polynomial (pchip) through (whisker, 1), (median, 0), (whisker, 1) with slope 0 at each, which is ``3 t² - 2 t³`` at
    the share t of the way from the median to the whisker.
    Verified: against scipy's Hermite splines, with hinges from Tukey's five-number summary as in R; against the package
    smogn, to 1e-15 in 23 of 24 samples. In the other sample, of 10 rows, smogn's quartiles differ from Tukey's.
    Deviates: if a whisker equals the median, relevance jumps from 0 to 1 there.
    """
    values = _finite(y)
    ordered, half = np.sort(values), (len(values) + 1) // 2
    low, middle, high = np.median(ordered[:half]), np.median(ordered), np.median(ordered[-half:])
    inside = ordered[(ordered >= low - coef * (high - low)) & (ordered <= high + coef * (high - low))]
    relevant = np.zeros(len(values))
    for side, whisker, end in [(values < middle, inside[0], ordered[0]), (values > middle, inside[-1], ordered[-1])]:
        if whisker != end:
            way = np.ones(side.sum()) if whisker == middle else (values[side] - middle) / (whisker - middle)
            share = np.minimum(way, 1)
            relevant[side] = share**2 * (3 - 2 * share)
    return relevant


class SMOGN(TargetResampler):
    """Makes rare values of a continuous target as frequent as the others: fewer normal rows, synthetic rare ones.

    Sorted by target, the rows form bins that are alternately rare (relevance of at least ``threshold``) and normal.
    Each bin is brought to n / (number of bins) rows, by removing random rows or adding new ones. A new row starts from
    a row of the bin and one of its nearest neighbours there. If the neighbour is nearer than half the median distance
    to the rows of the bin, the new row and its target lie on the line between the two (SmoteR). Otherwise the row is
    repeated with Gaussian noise. Its standard deviation is that of the bin times ``noise``, or times half that median
    distance if this is smaller.

    A bin that is too small for ``k_neighbors`` neighbours uses all of its rows, and a single row is repeated. A value
    that is missing (NaN) in a row is missing in the rows made from it. An integer target stays an integer. Time, but
    not memory, is quadratic in the size of a bin that grows.

    Parameters
    ----------
    threshold : a value is rare from this relevance on
    k_neighbors : neighbours of each row
    noise : standard deviation of the noise, as a multiple of that of the bin
    relevance : function from (n,) targets to (n,) relevance between 0 and 1; by default :func:`relevance`
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Branco, Torgo and Ribeiro, SMOGN: a Pre-processing Approach for Imbalanced Regression, LIDTA 2017, and the
    authors' code (SMOGN-LIDTA17, DIBSRegress.R), strategy "balance".
    Verified: bins, neighbours, lines and the choice between the two kinds against a plain-Python implementation; the
    noise by its standard deviation.
    Deviates: the target of a row on a line is interpolated by its position on the line; the authors' code measures this
    position by the last feature alone, and takes the middle if that feature is equal. Columns must be numeric, and
    distances are Euclidean; the authors' experiments scale features to their range. Strategy "extreme" is not
    implemented.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.arange(100.0)[:, None], np.r_[np.linspace(0, 1, 95), np.linspace(8, 9, 5)]
    >>> smogn = SMOGN(relevance=lambda y: (y > 5).astype(float), random_state=0)
    >>> X_new, y_new = smogn.fit_resample(X, y)
    >>> [int((target > 5).sum()) for target in (y, y_new)], len(y_new)
    ([5, 50], 100)
    """

    _takes = frozenset({"allow_nan"})

    def __init__(
        self,
        threshold: float = 0.8,
        *,
        k_neighbors: int = 5,
        noise: float = 0.02,
        relevance: Relevance | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.threshold = threshold
        self.k_neighbors = k_neighbors
        self.noise = noise
        self.relevance = relevance
        self.random_state = random_state

    def _target(self, y: Any) -> NDArray[np.float64]:
        return _finite(y)

    def _resample(self, X: Any, target: NDArray[np.float64]) -> Change:
        whole("k_neighbors", self.k_neighbors, 1)
        if not self.noise >= 0:
            raise TailwiseError(f"noise must not be negative; got {self.noise}.")
        points = numbers(X, "SMOGN")
        if sparse.issparse(points):
            raise TailwiseError("SMOGN's noise would fill a sparse matrix: make the matrix dense.")
        rng = generator(self.random_state)
        bins = self._bins(target)
        goal = round(len(target) / len(bins))
        none = np.empty(0, np.intp)
        kept, starts, ends, origins = [], [none], [none], [none]
        reaches, sure = [np.empty(0)], [np.empty(0, bool)]
        spread = np.zeros((len(bins), points.shape[1] + 1))
        for number, rows in enumerate(bins):
            if len(rows) >= goal:
                kept.append(rng.choice(rows, goal, replace=False))
                continue
            kept.append(rows)
            spread[number] = deviations(np.column_stack([points[rows], target[rows]]), ddof=1)
            start = rounds(np.arange(len(rows)), goal - len(rows), rng)
            end, reach, safe = self._partners(points[rows], start, rng)
            starts.append(rows[start])
            ends.append(rows[end])
            origins.append(np.full(len(start), number))
            reaches.append(reach)
            sure.append(safe)
        parents, partners, origin = (np.concatenate(parts) for parts in (starts, ends, origins))
        safe = np.concatenate(sure)
        steps = np.where(safe, rng.random(len(parents)), 0)
        widths = np.where(safe, 0, np.minimum(self.noise, np.concatenate(reaches)))
        made = target[parents] + steps * (target[partners] - target[parents])
        made += widths * spread[origin, -1] * rng.standard_normal(len(parents))
        on_lines = between(points, parents, partners, steps)

        def values(at: slice) -> NDArray[Any]:
            noise = rng.standard_normal((len(parents[at]), points.shape[1]))
            return on_lines(at) + widths[at, None] * spread[origin[at], :-1] * noise

        return Change(np.sort(np.concatenate(kept)), parents, values, targets=made[:, None])

    def _bins(self, target: NDArray[np.float64]) -> list[NDArray[np.intp]]:
        """Return the rows, ascending, of each run of rare or normal values in the order of the target."""
        phi = np.asarray((self.relevance or relevance)(target), np.float64)
        if phi.shape != target.shape or not ((phi >= 0) & (phi <= 1)).all():
            raise TailwiseError("relevance must give one number between 0 and 1 for each target.")
        rare = phi >= self.threshold
        if rare.all() or not rare.any():
            which = "every" if rare.all() else "no"
            raise TailwiseError(
                f"{which} target has a relevance of {self.threshold} or more, so none is rare among others: "
                "set another threshold, or pass a relevance function."
            )
        order = np.argsort(target, kind="stable")
        return [np.sort(rows) for rows in np.split(order, 1 + np.flatnonzero(np.diff(rare[order])))]

    def _partners(
        self, points: NDArray[Any], start: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_]]:
        """Return, for each start, a neighbour in the bin, half the median distance, and whether it is nearer."""
        k = min(self.k_neighbors, len(points) - 1)
        if k == 0:
            return start, np.zeros(len(start)), np.zeros(len(start), bool)
        used, line = np.unique(start, return_inverse=True)
        found, rank = nearest(points, k, of=used), rng.integers(k, size=len(start))
        squared_to, half = distances_to(points, np.arange(len(points))), np.empty(len(used))
        for at in spans(len(used), 4 * len(points)):
            half[at] = np.median(np.sqrt(squared_to(used[at])[0]), axis=1) / 2
        reach = half[line]
        return found.rows[line, rank], reach, found.distances[line, rank] < reach


def density_weights(
    y: ArrayLike, bins: int | ArrayLike = 100, sigma: float = 2.0, scheme: Weighting = "inverse"
) -> NDArray[np.float64]:
    """Return sample weights for regression, larger where targets are sparse: label-distribution smoothing (LDS).

    The histogram of the target is smoothed with a Gaussian kernel, because examples with similar targets inform each
    other, and the smoothed counts give the weights. For ordered classes, see :func:`tailwise.counts.smoothed_counts`
    and ``SmoothedDensityLoss``.

    Parameters
    ----------
    y : (n,) target
    bins : number of bins of equal width, or their ascending edges
    sigma : standard deviation of the kernel, in bins; 0 for no smoothing
    scheme : see :func:`tailwise.counts.class_weights`: ``"inverse"``, ``"sqrt"``, ``"effective"`` or ``"none"``

    Returns
    -------
    (n,) ``sample_weight`` with mean 1

    Raises
    ------
    TailwiseError
        If the target is not one finite number per row, is constant, or lies outside the edges.

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021 (LDS).
    Verified: against a plain-Python histogram and kernel.
    Deviates: the kernel is not truncated at two bins, and counts are reflected at the ends, so that they keep their
    sum; counts are not clipped; ``"sqrt"`` takes roots of smoothed counts, while the authors' code smooths roots. For
    the paper's feature-distribution smoothing, see ``tailwise.nn.FeatureSmoothing``.
    """
    values = _finite(y)
    try:
        edges = np.histogram_bin_edges(values, bins)
    except (TypeError, ValueError) as error:
        raise TailwiseError(f"bins must be a number, or edges that rise: {error}") from None
    if values.min() < edges[0] or values.max() > edges[-1]:
        raise TailwiseError(f"the edges of the bins, {edges[0]} to {edges[-1]}, do not cover the target.")
    codes = np.minimum(np.searchsorted(edges, values, side="right") - 1, len(edges) - 2)
    return class_weights(np.bincount(codes, minlength=len(edges) - 1), scheme, sigma=sigma)[codes]


def _finite(y: Any) -> NDArray[np.float64]:
    """Return a target as (n,) float64, or raise."""
    first = np.ravel(np.asarray(to_array(y)))[:1].tolist()
    if first and isinstance(first[0], str):
        raise TailwiseError(f"the target must be numeric; got text, {first[0]!r}.")
    try:
        values = y.to_numpy(np.float64, na_value=np.nan) if hasattr(y, "iloc") else np.asarray(to_array(y), np.float64)
    except (TypeError, ValueError):
        raise TailwiseError("the target must be numeric.") from None
    if values.ndim != 1 or not len(values):
        raise TailwiseError(f"the target must have one number per row; got shape {values.shape}.")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise TailwiseError(f"the target must be finite, but row {wrong[0]} has {values[wrong[0]]}: remove that row.")
    if values.min() == values.max():
        raise TailwiseError(f"the target is {values[0]} in every row: no value is rare.")
    return values
