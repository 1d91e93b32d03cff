"""Distances between all pairs of points: exact nearest neighbours by brute force, and what else needs them.

Products of whole numbers are exact, so that one number holds a distance and a row. Other products are rounded: those
pairs that could be among the nearest are measured again, each from its own differences, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial.distance import cdist

from tailwise.resample._blocks import spans

_BLOCK = 512  # rows and columns of an exact product: small enough for a core's cache
_PART = 1 << 12  # points to compare with at a time
_LEVEL = 64  # equal distances, beyond k, that are measured again
EQUAL = 1e-12  # relative difference of distances that rounding may make of equal ones
_DOUBT = 1e-14  # rounding error of a float64 sum of products, relative to the squared norms
_ASKED = 32  # points that are asked how many others are equally near
_FAR = np.finfo(np.float64).max  # squared distance of points without a common feature


def measured(
    points: Any, of: NDArray[np.intp], candidates: NDArray[np.intp], k: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the k nearest of each row's candidates (-1 for none) and their squared distances in float64."""
    squared = np.empty(candidates.shape)
    numbers = 1 + points.nnz // points.shape[0] if sparse.issparse(points) else points.shape[1]
    for at in spans(len(of), candidates.shape[1] * numbers):
        squared[at] = _apart(points, of[at], candidates[at])
    squared[(candidates < 0) | (candidates == of[:, None])] = np.inf
    first = np.lexsort(np.stack([candidates, squared]), axis=1)[:, :k]
    return np.take_along_axis(candidates, first, axis=1), np.take_along_axis(squared, first, axis=1)


def _apart(points: Any, of: NDArray[np.intp], candidates: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the (n_of, n_candidates) squared distances, each from its own differences."""
    if sparse.issparse(points):
        apart = points[candidates.ravel()].astype(np.float64) - points[np.repeat(of, candidates.shape[1])]
        return np.asarray(apart.multiply(apart).sum(axis=1)).reshape(candidates.shape)
    apart = points[candidates].astype(np.float64)
    apart -= points[of][:, None]
    squared = np.einsum("ijk,ijk->ij", apart, apart)
    if np.isnan(squared).any():
        shared = (~np.isnan(apart)).sum(axis=2)
        far = np.full(squared.shape, _FAR)
        squared = np.divide(np.nansum(apart**2, axis=2) * apart.shape[2], shared, out=far, where=shared > 0)
    return squared


def one_by_one(
    points: Any, k: int, of: NDArray[np.intp], among: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find neighbours by brute force, exactly."""
    number = _number(points)
    if number is not None:
        return _by_number(points, k, of, among, number)
    rows, squared = np.empty((len(of), 0), np.intp), np.empty((len(of), 0))
    for part in np.array_split(among, max(1, len(among) // max(_PART, 2 * k))):
        found = _compared(points, k, of, part)
        rows, squared = np.hstack([rows, found[0]]), np.hstack([squared, found[1]])
        first = np.lexsort(np.stack([rows, squared]), axis=1)[:, :k]
        rows, squared = np.take_along_axis(rows, first, axis=1), np.take_along_axis(squared, first, axis=1)
    return rows, squared


def tied(points: NDArray[Any], k: int, of: NDArray[np.intp], among: NDArray[np.intp], most: int) -> bool:
    """Say whether points are whole numbers, a quarter of which have more than ``most`` as near as their k-th."""
    if _number(points) is None:
        return False
    asked = of[:: -(-len(of) // _ASKED)]
    distances = (_differences(points, one[None], among)[0] for one in asked)
    last = min(k, len(among) - 1)  # itself comes first
    crowds = [np.count_nonzero(apart <= np.partition(apart, last)[last]) for apart in distances]
    return bool(np.quantile(crowds, 0.75) > most + 1)


def _number(points: Any) -> type[np.floating[Any]] | None:
    """Return the smallest type in which products of points are exact; None if they are not small whole numbers."""
    if sparse.issparse(points) or not all(
        np.array_equal(points[at], np.rint(points[at])) for at in spans(len(points), points.shape[1])
    ):
        return None
    spread = (points.max(axis=0) - points.min(axis=0)).astype(np.float64)
    reach = 4 * float(spread @ spread)  # more than any sum on the way to a squared distance
    if reach * len(points) >= 2**53:  # a distance and a row would not fit into one number
        return None
    return np.float32 if reach < 2**24 else np.float64


def _by_number(
    points: NDArray[Any],
    k: int,
    of: NDArray[np.intp],
    among: NDArray[np.intp],
    number: type[np.floating[Any]],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find neighbours of whole numbers, whose products are exact: of equally near ones, the first is found first."""
    n, least = len(points), points.min(axis=0)
    others = (points[among] - least).astype(number)
    right = np.vstack([others.T, np.einsum("ij,ij->i", others, others)])
    found = np.full((len(of), k), np.inf)  # squared distance, less the norm of the point, times n, plus the row

    def look(at: slice) -> None:
        ones = np.column_stack([-2 * (points[of[at]] - least).astype(number), np.ones(len(of[at]), number)])
        worst, best = np.full((len(ones), 1), np.inf, number), found[at]
        for start in range(0, len(among), _BLOCK):
            part = among[start : start + _BLOCK]
            apart = ones @ right[:, start : start + _BLOCK]
            itself = np.minimum(np.searchsorted(part, of[at]), len(part) - 1)
            same = np.flatnonzero(part[itself] == of[at])
            apart[same, itself[same]] = np.inf
            closer = np.flatnonzero((apart < worst).any(axis=1))
            known = np.hstack([best[closer], apart[closer].astype(np.float64) * n + part])
            best[closer] = np.partition(known, k - 1, axis=1)[:, :k]
            worst[closer, 0] = np.floor(best[closer].max(axis=1) / n)  # rounded up, it lets too many through at most

    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        for _ in pool.map(look, (slice(start, start + _BLOCK) for start in range(0, len(of), _BLOCK))):
            pass
    found.sort(axis=1)
    apart, rows = np.divmod(found, n)
    own = (points[of] - least).astype(np.float64)
    return rows.astype(np.intp), apart + np.einsum("ij,ij->i", own, own)[:, None]


def _compared(
    points: Any, k: int, of: NDArray[np.intp], among: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Compare all pairs by a matrix product, and measure those again that could be among the k nearest."""
    between = distances_to(points, among)
    rows, squared = np.empty((len(of), k), np.intp), np.empty((len(of), k))
    for at in spans(len(of), len(among)):
        distances, doubt = between(of[at])
        itself = np.minimum(np.searchsorted(among, of[at]), len(among) - 1)
        same = np.flatnonzero(among[itself] == of[at])
        distances[same, itself[same]] = np.inf
        chosen = distances - doubt <= np.partition(distances + doubt, k - 1, axis=1)[:, k - 1 : k]
        crowded = np.flatnonzero(chosen.sum(axis=1) > k + _LEVEL)
        if len(crowded):  # of copies, or beside huge numbers, whose rounding hides which of many are nearer
            exact = _differences(points, of[at][crowded], among)
            exact[np.isinf(distances[crowded])] = np.inf
            last = np.partition(exact, k - 1, axis=1)[:, k - 1 : k]
            level = np.abs(exact - last) <= EQUAL * last
            closer = (exact < last) & ~level
            first = np.cumsum(level, axis=1) <= k + _LEVEL - closer.sum(axis=1, keepdims=True)
            chosen[crowded] = closer | (level & first)
        line, column = np.nonzero(chosen)
        candidates = np.full((len(distances), chosen.sum(axis=1).max()), -1)
        candidates[line, np.cumsum(chosen, axis=1)[line, column] - 1] = among[column]
        rows[at], squared[at] = measured(points, of[at], candidates, k)
    return rows, squared


def _differences(points: Any, of: NDArray[np.intp], among: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the (n_of, n_among) squared distances, each from its own differences."""
    if not sparse.issparse(points) and not np.isnan(points.min()):
        return cdist(points[of], points[among], "sqeuclidean")
    found = np.empty((len(of), len(among)))
    for row, its in zip(of, found, strict=True):
        its[:] = _apart(points, row[None], among[None])
    return found


def distances_to(
    points: Any, among: NDArray[np.intp]
) -> Callable[[NDArray[np.intp]], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return a function from rows to their (n_rows, n_among) squared distances and a bound on the rounding of each."""
    others = points[among].astype(np.float64)
    if sparse.issparse(points):
        norms = np.asarray(others.multiply(others).sum(axis=1)).ravel()

        def of_sparse(rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            ones = points[rows].astype(np.float64)
            own = np.asarray(ones.multiply(ones).sum(axis=1)).reshape(-1, 1) + norms
            return np.maximum(own - 2 * (ones @ others.T).toarray(), 0), own * _DOUBT

        return of_sparse
    known = ~np.isnan(others)
    whole = bool(known.all())
    total = others.sum(axis=0, where=known)
    centre = np.divide(total, known.sum(axis=0), out=np.zeros_like(total), where=known.any(axis=0))
    others = np.where(known, others - centre, 0)
    norms = (others**2).sum(axis=1)

    def of_dense(rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ones = points[rows].astype(np.float64)
        seen = ~np.isnan(ones)
        ones = np.where(seen, ones - centre, 0)
        own = (ones**2).sum(axis=1)[:, None] + norms
        if whole and seen.all():
            return np.maximum(own - 2 * (ones @ others.T), 0), own * _DOUBT
        squared = ones**2 @ known.T + seen @ (others**2).T - 2 * (ones @ others.T)
        shared = seen.astype(np.float64) @ known.T
        far = np.full_like(squared, _FAR)
        squared = np.divide(np.maximum(squared, 0) * ones.shape[1], shared, out=far, where=shared > 0)
        return squared, own * (ones.shape[1] * _DOUBT)

    return of_dense
