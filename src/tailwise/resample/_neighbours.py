"""Nearest neighbours in Euclidean distance, exact or to a given recall, by matrix products over blocks of near points.

One float32 product along the leading principal axes gives a lower bound on all distances between two blocks. Only pairs
whose bound beats a point's worst neighbour so far are measured. Distances are symmetric, so one product serves both
blocks. Blocks that are too far apart are skipped. Both steps save more, the more structure the data has. The best few
candidates of each point are then measured in float64. A point for which rounding could have hidden a neighbour, or
that has more equally near ones than were kept, is searched again in float64, so the result is exact. Among equal
distances, the point that comes first wins. In a few dimensions a k-d tree does all this faster, and so does comparing
all pairs where many points have equally near ones, as in tables of 0 and 1.

The bounds cost n²/2 distances of one multiplication per leading axis, minus the blocks that are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import KDTree

from tailwise.errors import TailwiseError
from tailwise.resample._blocks import Best, Blocks, Shadow, one_thread, spans
from tailwise.resample._pairs import EQUAL, measured, one_by_one, tied
from tailwise.resample._tables import largest, measurable

_SPARE = 2  # neighbours kept beyond k, so that rounding seldom matters
_TRIED = 2000  # points whose true neighbours determine how many blocks a recall needs
# rows and columns of a product: small enough for a core's cache, large enough to outweigh the overhead of a NumPy call
_BLOCK = 512
_TOGETHER = 2048
_SMALL = 1 << 22  # up to so many distances, comparing all pairs is faster than sorting points into blocks
_TURNS = 16  # the same, per entry of the matrix of principal axes
_FEW = 1 << 13  # up to so many points, sorting does not pay
SHALLOW, _DEEP = 6, 15  # features up to which a tree beats blocks, and up to which it beats comparing all pairs
_CROWD = 1 << 10  # neighbours to ask a tree for, at most
_FLOAT32 = -30, 55  # powers of two between which the largest number must be for float32 to hold all squares


class Neighbours(NamedTuple):
    """The result of a search.

    Attributes
    ----------
    rows : (n_of, k) rows of the points, nearest first
    distances : (n_of, k) Euclidean, float64
    recall : share of the true neighbours found: 1 for an exact search, otherwise an estimate
    """

    rows: NDArray[np.intp]
    distances: NDArray[np.float64]
    recall: float


def nearest(
    points: Any,
    k: int,
    of: NDArray[np.intp] | None = None,
    among: NDArray[np.intp] | None = None,
    recall: float = 1.0,
) -> Neighbours:
    """Find the k nearest neighbours of points, not counting the points themselves.

    Parameters
    ----------
    points : (n, n_features) array, which may hold NaN, or sparse matrix in CSR format without NaN. If values are
        missing, a distance uses the features that both points have, scaled up to all features (Dixon, Pattern
        Recognition with Partly Missing Data, IEEE Transactions on Systems, Man, and Cybernetics 1979)
    k : neighbours of each point
    of, among : rows to find neighbours for, and rows that may be neighbours, both sorted; all by default
    recall : share of the true neighbours to find; below 1, blocks that are unlikely to hold any are skipped. Sparse
        matrices and points with NaN are searched exactly

    Raises
    ------
    TailwiseError
        If there are fewer than k other points, or numbers are too large for distances.
    """
    n = points.shape[0]
    of = np.arange(n) if of is None else of
    among = np.arange(n) if among is None else among
    answers = np.zeros(n, bool)
    answers[among] = True
    inside = answers[of]
    others = len(among) - bool(inside.any())
    if others < k:
        few = "is only 1 other example" if others == 1 else f"are only {others} other examples"
        raise TailwiseError(f"{k} neighbours were asked for, but there {few}.")
    _, exponent = math.frexp(largest(measurable(points)))
    shift = exponent - min(max(exponent, _FLOAT32[0]), _FLOAT32[1])
    if shift and not sparse.issparse(points):
        scaled = nearest(np.ldexp(points.astype(np.float64), -shift), k, of, among, recall)
        return scaled._replace(distances=np.ldexp(scaled.distances, shift))
    small = max(_SMALL, _TURNS * points.shape[1] ** 2)
    dense = not sparse.issparse(points) and not np.isnan(points.min())
    shallow = points.shape[1] <= SHALLOW
    if not dense or len(of) * len(among) <= small or (not shallow and tied(points, k, of, among, k + _SPARE)):
        with one_thread():
            rows, squared = one_by_one(points, k, of, among)
        return Neighbours(rows, np.sqrt(squared), 1.0)
    if shallow:
        rows, squared = _by_tree(points, k, of, among)
        return Neighbours(rows, np.sqrt(squared), 1.0)
    wide = min(k + _SPARE, others)
    by_place = min(len(of), len(among)) > _FEW
    with one_thread():  # per product; the products run in parallel
        shadow = Shadow(points, among, wide)
        there = Blocks(points, among, shadow, _BLOCK, by_place=by_place)
        # if most points are queries, treat all as queries: then one product serves both sides
        alike = bool(inside.all()) and 2 * len(of) >= len(among)
        here = there if alike else Blocks(points, of, shadow, _BLOCK, by_place=by_place)
        best = Best(points, here, there, wide)
        estimate = _search(points, here, there, best, recall)
    rows, squared = np.empty((len(of), k), np.intp), np.empty((len(of), k))
    sure = np.ones(len(of), bool)
    for at in spans(len(of), wide * points.shape[1]):
        position = here.where[of[at]]
        found = best.positions[position]
        rows[at], squared[at] = measured(points, of[at], np.where(found < 0, -1, there.order[found]), k)
        if recall == 1:
            # the largest float32 rounding error in the distance of a point that could be among the neighbours
            norms = np.sqrt(here.values[position, -2].astype(np.float64))
            reach = 2 * norms + np.sqrt(squared[at, -1])
            error = (points.shape[1] + 16) * (2.0**-24 * reach**2 + 2.0**-149)
            sure[at] = (squared[at, -1] + error < best.worst[position]) | (wide == others)
        else:  # of equally near ones, the order of the threads would decide
            sure[at] = (squared[at, -1] < np.inf) & (squared[at, -1] * (1 + 1e-6) < best.worst[position])
    if not sure.all():
        again = _by_tree if points.shape[1] <= _DEEP else one_by_one
        with one_thread():
            rows[~sure], squared[~sure] = again(points, k, of[~sure], among)
    return Neighbours(rows, np.sqrt(squared), estimate)


def _search(points: NDArray[Any], here: Blocks, there: Blocks, best: Best, recall: float) -> float:
    """Fill ``best`` by visiting pairs of blocks, near ones first, and return the expected recall."""
    both = here is there
    together = max(1, _TOGETHER * len(there) // len(there.order))
    every = range(len(here))
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:

        def run(task: Callable[[int], None]) -> None:
            for _ in pool.map(task, every):
                pass

        near: NDArray[np.intp] | None = None
        estimate = 1.0
        if recall < 1:
            ranks = _ranks(points, here, there, max(1, best.distances.shape[1] - _SPARE))
            target = min(1.0, recall + 2 * math.sqrt(recall * (1 - recall) / len(ranks)))
            reach = int(np.quantile(ranks, target, method="higher")) + 1
            estimate = float((ranks < reach).mean())
            near = np.stack([here.nearest_first(block, there)[:reach] for block in every])

        def visit(block: int) -> None:
            order = near[block] if near is not None else here.nearest_first(block, there)
            worst = np.zeros(len(there), np.float32)
            if both:  # visit each pair only once
                twice = order < block
                if near is not None:
                    twice[twice] = (near[order[twice]] == block).any(axis=1)
                order = order[~twice & (order != block)]
                worst = np.maximum.reduceat(best.worst, there.starts)
            gaps, ones = here.gaps(block, there), here.within(block)
            for group in np.split(order, range(together, len(order), together)):
                reached = group[gaps[group] <= np.maximum(worst[group], best.worst[ones].max())]
                if len(reached):
                    best.look(ones, np.concatenate([there.within(other) for other in np.sort(reached)]), both=both)

        if both:
            run(lambda block: best.look(here.within(block), here.within(block), both=False))
        run(visit)
    return estimate


def _ranks(points: NDArray[Any], here: Blocks, there: Blocks, k: int) -> NDArray[np.intp]:
    """Return, for a sample of queries, the rank by nearness of the block of each true neighbour."""
    tried = np.arange(0, len(here.order), max(1, len(here.order) // _TRIED))
    truth = Best(points, here, there, k)
    for block in range(len(there)):  # one after another, so that of equally near ones the same are found again
        truth.look(tried, there.within(block), both=False)
    block_of = np.searchsorted(here.starts, tried, side="right") - 1
    found_in = np.searchsorted(there.starts, truth.positions[tried], side="right") - 1
    return np.array(
        [np.argsort(here.nearest_first(own, there))[found] for own, found in zip(block_of, found_in, strict=True)]
    )


def _by_tree(
    points: NDArray[Any], k: int, of: NDArray[np.intp], among: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find neighbours by a k-d tree in float64; where equal distances are many, by one of the points without copies."""
    rows, squared, sure = _asked(points, k, of, among, among[:, None], k + 1 + _SPARE)
    if not sure.all():
        first, kind = np.unique(points[among], axis=0, return_index=True, return_inverse=True)[1:]
        order = np.argsort(kind.ravel(), kind="stable")
        sizes = np.bincount(kind.ravel())
        place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        few = place <= k  # of the copies of a point, the first come into question only
        copies = np.full((len(first), k + 1), -1)
        copies[kind.ravel()[order[few]], place[few]] = among[order[few]]
        most = 2 * (k + 1)
        while not sure.all() and most <= _CROWD:
            left = np.flatnonzero(~sure)
            rows[left], squared[left], sure[left] = _asked(points, k, of[left], among[first], copies, most)
            most *= 4
    if not sure.all():
        with one_thread():
            rows[~sure], squared[~sure] = one_by_one(points, k, of[~sure], among)
    return rows, squared


def _asked(
    points: NDArray[Any], k: int, of: NDArray[np.intp], first: NDArray[np.intp], copies: NDArray[np.intp], most: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the k nearest rows, their squared distances, and whether more than ``most`` points need not be asked for.

    Parameters
    ----------
    of : rows to find neighbours for
    first, copies : (n,) row of each point in the tree, and (n, n_copies) rows that it stands for, -1 for none
    most : points of the tree to ask for
    """
    tree, most = KDTree(points[first].astype(np.float64)), min(most, len(first))
    rows, squared, sure = np.empty((len(of), k), np.intp), np.empty((len(of), k)), np.empty(len(of), bool)
    for at in spans(len(of), most * copies.shape[1] * points.shape[1]):
        apart, found = tree.query(points[of[at]].astype(np.float64), k=range(1, most + 1), workers=-1)
        known = np.where((found < len(first))[:, :, None], copies[np.minimum(found, len(first) - 1)], -1)
        rows[at], squared[at] = measured(points, of[at], known.reshape(len(known), -1), k)
        last = np.sqrt(squared[at, -1])
        sure[at] = np.isfinite(last) & ((apart[:, -1] > last * (1 + EQUAL)) | (most == len(first)))
    return rows, squared, sure
