"""Blocks of near points, and the nearest neighbours that are found by going through pairs of them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Blocks:
    """Points sorted into blocks of near ones, by splitting at the median of a principal axis again and again.

    Parameters
    ----------
    points : (n, n_features)
    size : of a block, at most

    Attributes
    ----------
    order : (n,) the point at each position
    starts : (n_blocks,) first position of each block
    values : (n, n_features + 2) float32, in that order: centred points, their squared norms, and ones
    """

    def __init__(self, points: NDArray[Any], size: int) -> None:
        n = len(points)
        self.order = np.arange(n)
        self.starts = np.array(_split(points, self.order, 0, size))
        self.values = np.empty((n, points.shape[1] + 2), np.float32)
        centre = points.mean(axis=0, dtype=np.float64)
        for at in range(0, n, 1 << 14):
            part = points[self.order[at : at + (1 << 14)]]
            self.values[at : at + len(part), :-2] = part - centre
        x = self.values[:, :-2]
        self.values[:, -2] = np.einsum("ij,ij->i", x, x)
        self.values[:, -1] = 1
        self.low = np.minimum.reduceat(x, self.starts)
        self.high = np.maximum.reduceat(x, self.starts)

    def __len__(self) -> int:
        return len(self.starts)

    def distances(self, ones: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return (n_ones, n_others) squared distances between positions, by one product; that to itself is infinite."""
        left = self.values[ones] * np.float32(-2)  # [-2x, 1, |x|²] · [y, |y|², 1]
        left[:, -1] = left[:, -2] / np.float32(-2)
        left[:, -2] = 1
        distances = left @ self.values[others].T
        itself = np.searchsorted(others, ones)
        itself[itself == len(others)] = 0
        same = others[itself] == ones
        distances[np.flatnonzero(same), itself[same]] = np.inf
        return distances

    def gaps(self, block: int) -> NDArray[np.float32]:
        """Return a lower bound of the squared distance between the points of a block and those of each block."""
        apart = np.maximum(self.low - self.high[block], self.low[block] - self.high)
        return (np.maximum(apart, 0) ** 2).sum(axis=1)

    def gaps_of(self, positions: NDArray[np.intp], block: int) -> NDArray[np.float32]:
        """Return a lower bound of the squared distance between each position and the points of a block."""
        x = self.values[positions, :-2]
        apart = np.maximum(self.low[block] - x, x - self.high[block])
        return (np.maximum(apart, 0) ** 2).sum(axis=1)

    def nearest_first(self, block: int) -> NDArray[np.intp]:
        """Return all blocks by the distance of their boxes' centres from that of a block."""
        centres = self.low + self.high
        return np.argsort(((centres - centres[block]) ** 2).sum(axis=1), kind="stable")


def _split(points: NDArray[Any], order: NDArray[np.intp], start: int, size: int) -> list[int]:
    """Sort ``order``, which is changed, into blocks and return the position where each starts."""
    if len(order) <= size:
        return [start]
    some = points[order[:: max(1, len(order) // 512)]].astype(np.float64)
    some -= some.mean(axis=0)
    axis = some[np.argmax((some**2).sum(axis=1))]
    for _ in range(5):  # power iterations: near enough to the principal axis
        axis = (some @ axis) @ some
        axis = axis / (np.abs(axis).max() or 1.0)
    along = np.concatenate([points[order[at : at + (1 << 14)]] @ axis for at in range(0, len(order), 1 << 14)])
    half = len(order) // 2
    order[:] = order[np.argpartition(along, half)]
    return _split(points, order[:half], start, size) + _split(points, order[half:], start + half, size)


class Best:
    """The k nearest found so far for each position.

    Attributes
    ----------
    distances, positions : (n, k) squared distances, infinite at first, and whose they are, in no order
    worst : (n,) largest of a row's distances
    """

    def __init__(self, n: int, k: int) -> None:
        self.distances = np.full((n, k), np.inf, np.float32)
        self.positions = np.full((n, k), -1, np.int32)
        self.worst = np.full(n, np.inf, np.float32)
        self._lock = threading.Lock()

    def look(self, blocks: Blocks, ones: NDArray[np.intp], others: NDArray[np.intp], *, both: bool) -> None:
        """Look for neighbours of ``ones`` among ``others`` and, with ``both``, the other way round."""
        distances = blocks.distances(ones, others)
        near = distances < self.worst[ones][:, None]
        if self.worst[ones[0]] == np.inf:  # nothing is known: rank only what can be among the best
            k = min(self.distances.shape[1], len(others))
            near &= distances <= np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
        if both:
            near |= distances < self.worst[others]
        found = np.flatnonzero(near)
        one, other = np.divmod(found, len(others))
        values = distances.ravel()[found]
        self._offer(ones[one], others[other], values)
        if both:
            self._offer(others[other], ones[one], values)

    def _offer(self, ones: NDArray[np.intp], others: NDArray[np.intp], values: NDArray[np.float32]) -> None:
        closer = values < self.worst[ones]
        if not closer.any():
            return
        ones, others, values = ones[closer], others[closer], values[closer]
        k = self.distances.shape[1]
        by = np.lexsort((values, ones))
        ones, others, values = ones[by], others[by], values[by]
        first = np.flatnonzero(np.diff(ones, prepend=-1))
        sizes = np.diff(first, append=len(ones))
        place = np.arange(len(ones)) - np.repeat(first, sizes)
        line = np.repeat(np.arange(len(first)), sizes)
        fits = place < k
        distances = np.full((len(first), k), np.inf, np.float32)
        positions = np.full((len(first), k), -1, np.int32)
        distances[line[fits], place[fits]] = values[fits]
        positions[line[fits], place[fits]] = others[fits]
        owner = ones[first]
        with self._lock:
            distances = np.concatenate([self.distances[owner], distances], axis=1)
            positions = np.concatenate([self.positions[owner], positions], axis=1)
            keep = np.argpartition(distances, k - 1, axis=1)[:, :k]
            self.distances[owner] = distances = np.take_along_axis(distances, keep, axis=1)
            self.positions[owner] = np.take_along_axis(positions, keep, axis=1)
            self.worst[owner] = distances.max(axis=1)
