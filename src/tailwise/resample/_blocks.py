"""Blocks of near points, and the search for nearest neighbours over pairs of blocks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

_SAMPLE = 1 << 12  # points from which the leading axes and their number are computed
_AXES = 8  # so many axes cost as much as one more measurement of each neighbour
_CELLS = 1 << 18  # numbers in a temporary array


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # cached, as finding the libraries can take longer than a search


_COUNTING = threading.Lock()
_limits: list[Any] = []  # one for each search that is under way, in whichever thread; the first is what limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let matrix products use one thread, until the last of overlapping searches is done: small ones gain nothing.

    The limit is the process's. Restored by each search alone, it would stay if two overlap.
    """
    with _COUNTING:
        _limits.append(None if _limits else _blas().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _COUNTING:
            limit = _limits[0]
            _limits.pop()
            if not _limits:
                limit.restore_original_limits()


def spans(n: int, width: int) -> Iterator[slice]:
    """Yield slices of rows, short enough that temporary arrays of the given width stay small."""
    step = max(1, _CELLS // max(1, width))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


class Shadow:
    """A map to fewer dimensions that never increases a distance.

    It keeps the coordinates along the leading principal axes, and the norm of the rest. The number of leading axes, in
    eighths of all, is the cheapest one on a sample: more axes mean longer products, fewer let more points pass as
    possible neighbours.

    Parameters
    ----------
    points : (n, n_features)
    rows : rows to search
    k : neighbours of each point

    Attributes
    ----------
    width : number of coordinates of a shadow
    """

    def __init__(self, points: NDArray[Any], rows: NDArray[np.intp], k: int) -> None:
        some = points[rows[:: -(-len(rows) // _SAMPLE)]].astype(np.float64)
        self._centre = np.median(some, axis=0)  # a mean may be far from all points, and cost them their precision
        some -= self._centre
        axes = np.linalg.eigh(some.T @ some)[1][:, ::-1]
        some = some @ axes
        step = max(1, len(some) // 64)
        truth = _squared(some[::step], some)
        reach = np.partition(truth, min(k, len(some) - 1), axis=1)[:, [min(k, len(some) - 1)]]  # itself comes first
        costs = {}
        for leading in {-(-len(axes) * eighths // 8) for eighths in range(1, 9)}:
            shadows = _folded(some, some[:, :leading])
            passing = (_squared(shadows[::step], shadows) <= reach * (1 + 1e-9)).sum(axis=1)
            costs[leading] = leading / _AXES + float(np.median(passing)) / (k + 1)
        leading = min(costs, key=lambda leading: costs[leading])
        self._axes = axes[:, :leading]
        self.width = leading + 1

    def __call__(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return (n, width) shadows."""
        centred = points - self._centre
        return _folded(centred, centred @ self._axes)


def _folded(centred: NDArray[np.float64], leading: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the leading coordinates and the norm of the remaining ones."""
    rest = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", leading, leading)
    return np.column_stack([leading, np.sqrt(np.maximum(rest, 0))])


def _squared(ones: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    return (ones**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * (ones @ others.T)


class Blocks:
    """Shadows of points in blocks, in their given order or sorted by repeated splits at the median of a principal axis.

    Parameters
    ----------
    points : (n, n_features)
    rows : rows to use
    shadow : map of the points
    size : maximum size of a block
    by_place : sort the points, so that those of a block are near each other

    Attributes
    ----------
    order : (n_rows,) the row at each position
    where : (n,) the position of each row, or -1
    starts : (n_blocks,) first position of each block
    values : (n_rows, width + 2) float32: shadows, their squared norms, and ones
    """

    def __init__(
        self, points: NDArray[Any], rows: NDArray[np.intp], shadow: Shadow, size: int, *, by_place: bool
    ) -> None:
        self.order = rows
        self.values = np.empty((len(rows), shadow.width + 2), np.float32)
        self._cast(points, shadow)
        self.starts = np.arange(0, len(rows), size)
        if by_place:
            order = np.arange(len(rows))
            self.starts = np.array(_split(self.values[:, :-2], order, 0, size))
            self.order = rows[order]
            self._cast(points, shadow)
        self.where = np.full(len(points), -1, np.int32)
        self.where[self.order] = np.arange(len(rows))
        self.low = np.minimum.reduceat(self.values[:, :-2], self.starts)
        self.high = np.maximum.reduceat(self.values[:, :-2], self.starts)

    def _cast(self, points: NDArray[Any], shadow: Shadow) -> None:
        for at in spans(len(self.order), points.shape[1]):
            self.values[at, :-2] = shadow(points[self.order[at]])
        x = self.values[:, :-2]
        self.values[:, -2] = np.einsum("ij,ij->i", x, x)
        self.values[:, -1] = 1

    def __len__(self) -> int:
        return len(self.starts)

    def within(self, block: int) -> NDArray[np.intp]:
        """Return the positions in a block."""
        stop = self.starts[block + 1] if block + 1 < len(self) else len(self.order)
        return np.arange(self.starts[block], stop)

    def gaps(self, block: int, others: Blocks) -> NDArray[np.float32]:
        """Return a lower bound on the squared distance between the points of a block and those of each other block."""
        apart = np.maximum(others.low - self.high[block], self.low[block] - others.high)
        return (np.maximum(apart, 0) ** 2).sum(axis=1)

    def nearest_first(self, block: int, others: Blocks) -> NDArray[np.intp]:
        """Return the other blocks, sorted by the distance of the centres of their bounding boxes from this one's."""
        apart = others.low + others.high - (self.low[block] + self.high[block])
        return np.argsort((apart**2).sum(axis=1), kind="stable")


def _split(points: NDArray[Any], order: NDArray[np.intp], start: int, size: int) -> list[int]:
    """Sort ``order`` into blocks, in place, and return the position where each starts."""
    if len(order) <= size:
        return [start]
    some = points[order[:: max(1, len(order) // 512)]].astype(np.float64)
    some -= some.mean(axis=0)
    axis = some[np.argmax((some**2).sum(axis=1))]
    for _ in range(5):  # power iterations: close enough to the principal axis
        axis = (some @ axis) @ some
        axis = axis / (np.abs(axis).max() or 1.0)
    axis = axis.astype(points.dtype)
    along = np.concatenate([points[order[at]] @ axis for at in spans(len(order), points.shape[1])])
    half = len(order) // 2
    order[:] = order[np.argpartition(along, half)]
    return _split(points, order[:half], start, size) + _split(points, order[half:], start + half, size)


class Best:
    """The k nearest neighbours found so far, for the points of some blocks among those of the same or other blocks.

    Attributes
    ----------
    distances, positions : (n, k) squared distances, initially infinite, and positions of the neighbours, unsorted
    worst : (n,) largest distance of each row
    """

    def __init__(self, points: NDArray[Any], of: Blocks, among: Blocks, k: int) -> None:
        self.distances = np.full((len(of.order), k), np.inf, np.float32)
        self.positions = np.full((len(of.order), k), -1, np.int32)
        self.worst = np.full(len(of.order), np.inf, np.float32)
        self._points, self._of, self._among = points, of, among
        self._lock = threading.Lock()

    def look(self, ones: NDArray[np.intp], others: NDArray[np.intp], *, both: bool) -> None:
        """Look for neighbours of ``ones`` among ``others`` and, with ``both``, vice versa."""
        bounds = self._bounds(ones, others)
        limit = self.worst[ones]
        if limit[0] == np.inf:
            limit = self._limit(bounds, ones, others)
        near = bounds < limit[:, None]
        if both:
            near |= bounds < self.worst[others]
        one, other = np.divmod(np.flatnonzero(near), len(others))
        ones, others = ones[one], others[other]
        values = self._measured(ones, others)
        self._offer(ones, others, values)
        if both:
            self._offer(others, ones, values)

    def _bounds(self, ones: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return (n_ones, n_others) squared distances of shadows by one product; infinite from a point to itself."""
        # [-2x, 1, |x|²] · [y, |y|², 1]
        left: NDArray[np.float32] = np.multiply(self._of.values[ones], -2, dtype=np.float32)
        left[:, -1] = left[:, -2] / np.float32(-2)
        left[:, -2] = 1
        bounds = left @ self._among.values[others].T
        own = self._among.where[self._of.order[ones]]
        itself = np.searchsorted(others, own)
        itself[itself == len(others)] = 0
        same = others[itself] == own
        bounds[np.flatnonzero(same), itself[same]] = np.inf
        return bounds

    def _limit(
        self, bounds: NDArray[np.float32], ones: NDArray[np.intp], others: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return an upper bound on each row's k-th distance, from k points whose bounds are small."""
        n, width = bounds.shape
        k = self.distances.shape[1]
        if width <= k:
            return np.full(n, np.inf, np.float32)
        halvings = max(1, width // (8 * k)).bit_length() - 1
        groups = width >> halvings
        least = bounds[:, : groups << halvings]
        for _ in range(halvings):
            half = least.shape[1] // 2
            least = np.minimum(least[:, :half], least[:, half:])
        group = np.argpartition(least, k - 1, axis=1)[:, :k]
        line = np.arange(n)[:, None]
        columns = group[:, :, None] + np.arange(0, groups << halvings, groups)
        columns = columns[line, np.arange(k), bounds[line[:, :, None], columns].argmin(axis=2)]
        bounds[line, columns] = -1
        return self._measured(np.repeat(ones, k), others[columns.ravel()]).reshape(n, k).max(axis=1)

    def _measured(self, ones: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the squared distances of pairs."""
        rows, columns = self._of.order[ones], self._among.order[others]
        squared = np.empty(len(rows), np.float32)
        for at in spans(len(rows), self._points.shape[1]):
            apart = self._points[rows[at]] - self._points[columns[at]]
            np.einsum("ij,ij->i", apart, apart, out=squared[at], casting="same_kind")
        squared[rows == columns] = np.inf
        return squared

    def _offer(self, ones: NDArray[np.intp], others: NDArray[np.intp], values: NDArray[np.float32]) -> None:
        closer = np.flatnonzero(values < self.worst[ones])
        if not len(closer):
            return
        by = closer[np.argsort(ones[closer], kind="stable")]
        ones, others, values = ones[by], others[by], values[by]
        k = self.distances.shape[1]
        first = np.flatnonzero(np.diff(ones, prepend=-1))
        sizes = np.diff(first, append=len(ones))
        place = np.arange(len(ones)) - np.repeat(first, sizes)
        line = np.repeat(np.arange(len(first)), sizes)
        distances = np.full((len(first), sizes.max()), np.inf, np.float32)
        positions = np.full(distances.shape, -1, np.int32)
        distances[line, place] = values
        positions[line, place] = others
        owner = ones[first]
        with self._lock:
            distances = np.concatenate([self.distances[owner], distances], axis=1)
            positions = np.concatenate([self.positions[owner], positions], axis=1)
            keep = np.argpartition(distances, k - 1, axis=1)[:, :k]
            self.distances[owner] = distances = np.take_along_axis(distances, keep, axis=1)
            self.positions[owner] = np.take_along_axis(positions, keep, axis=1)
            self.worst[owner] = distances.max(axis=1)
