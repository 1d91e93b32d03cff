"""Counts of everything that the measures need, collected batch by batch in constant memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.metrics.bins import CALIBRATION_BINS, SCORE_BINS, calibration_bins, score_bins
from tailwise.metrics.confusion import counted
from tailwise.settings import whole
from tailwise.tensors import to_codes, unmasked

_EXACT = 10_000_000  # up to so many probabilities are kept, from which rankings are exact
_CELLS = 1 << 18  # array cells to process at a time, so that they stay in the processor's cache


class Accumulator:
    """Collects counts of predictions, batch by batch, for :func:`tailwise.metrics.evaluate`.

    Memory does not depend on the number of predictions: for a thousand classes it is 8 MB, or 27 MB with probabilities,
    and another 16 MB with prediction sets. The first ten million probabilities are kept besides, so that rankings of
    no more are exact.

    Parameters
    ----------
    n_classes : number of classes

    Examples
    --------
    >>> seen = Accumulator(2)
    >>> seen.update([0, 0, 1], [0, 1, 1])
    >>> seen.confusion.tolist()
    [[1, 1], [0, 1]]
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = whole("n_classes", n_classes, 1)
        self.confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
        self.probabilities: _Probabilities | None = None
        #: labels and probabilities, batch by batch; None when they became too many
        self.ranked: list[tuple[NDArray[Any], NDArray[Any]]] | None = []
        # (2, n_classes, n_classes + 1) misses and hits of prediction sets, by true class and size of the set
        self.sets: NDArray[np.int64] | None = None

    def update(
        self, labels: ArrayLike, predicted: ArrayLike, proba: ArrayLike | None = None, sets: ArrayLike | None = None
    ) -> None:
        """Count a batch. Rows with a negative label are unlabelled and ignored.

        Parameters
        ----------
        labels, predicted : (n,) integer class codes
        proba : (n, n_classes) probabilities; pass them in every batch or in none
        sets : (n, n_classes) boolean prediction sets; pass them in every batch or in none

        Raises
        ------
        TailwiseError
            If lengths differ, a code is out of range or not an integer, probabilities are not finite, not in [0, 1]
            or do not sum to one, or only some batches have probabilities or sets. Nothing in such a batch is counted.
        """
        y, p = _codes(labels, "labels"), _codes(predicted, "predictions")
        k, n = self.n_classes, len(y)
        q, s = _matrix(proba, k), _matrix(sets, k)
        q = q if q is None or q.dtype.kind == "f" else q.astype(np.float64)
        if s is not None and s.dtype != bool and not ((s == 0) | (s == 1)).all():
            raise TailwiseError("prediction sets are true or false, or 1 or 0, for each class; some are neither.")
        for what, rows in {"predictions": p, "probabilities": q, "prediction sets": s}.items():
            if rows is not None and len(rows) != n:
                raise TailwiseError(f"{n} labels but {len(rows)} rows of {what}.")
        known = (self.probabilities is not None, self.sets is not None)
        if self.confusion.any() and (q is not None, s is not None) != known:
            raise TailwiseError("pass probabilities and prediction sets in every batch or in none.")
        if n and (int(y.max()) >= k or int(p.max()) >= k or int(p.min()) < 0):
            wrong = int(y.max()) if int(y.max()) >= k else int(p.max()) if int(p.max()) >= k else int(p.min())
            raise TailwiseError(f"class code {wrong} is out of range for {k} classes.")
        if not n or int(y.max()) < 0:  # no label
            return
        step = _CELLS if q is None and s is None else max(_CELLS // k, 1)
        parts: list[Any] = [slice(start, start + step) for start in range(0, n, step)]
        if int(y.min()) < 0:
            labelled = np.flatnonzero(y >= 0)
            parts = [labelled[part] for part in parts]
        if q is not None:
            for part in parts:
                _check_probabilities(q[part])
            self.probabilities = self.probabilities or _Probabilities(k)
        if s is not None and self.sets is None:
            self.sets = np.zeros((2, k, k + 1), dtype=np.int64)
        for part in parts:
            self._add(y[part], p[part], None if q is None else q[part], None if s is None else s[part].astype(bool))
        if q is not None:
            self._keep((y[part].copy(), q[part].copy()) for part in parts)

    def _add(self, y: NDArray[Any], p: NDArray[Any], q: NDArray[Any] | None, s: NDArray[np.bool_] | None) -> None:
        k = self.n_classes
        if k * k <= 4 * len(y):
            self.confusion += counted(y, p, k, k)
        else:  # a large matrix and a small batch: update only the cells that occur
            np.add.at(self.confusion.ravel(), y.astype(np.intp) * k + p, 1)
        if q is not None and self.probabilities is not None:
            self.probabilities.add(y, p, q)
        if s is not None and self.sets is not None:
            np.add.at(self.sets, (s[np.arange(len(y)), y].astype(np.intp), y, s.sum(axis=1)), 1)

    def _keep(self, batches: Iterable[tuple[NDArray[Any], NDArray[Any]]] | None) -> None:
        """Remember labels and probabilities of what was just counted, unless there are too many by now."""
        if self.ranked is None or batches is None or self.confusion.sum() * self.n_classes > _EXACT:
            self.ranked = None
        else:
            self.ranked += batches

    def merge(self, other: Accumulator) -> None:
        """Add the counts of another accumulator, for example from another process or another part of the data.

        Raises
        ------
        TailwiseError
            If the numbers of classes differ, or only one of the two has probabilities or sets.
        """
        if other.n_classes != self.n_classes:
            raise TailwiseError(f"cannot merge counts of {self.n_classes} and of {other.n_classes} classes.")
        if not other.confusion.any():
            return
        if not self.confusion.any():
            self.__dict__.update({k: v.copy() if hasattr(v, "copy") else v for k, v in other.__dict__.items()})
            return
        if (self.probabilities is None, self.sets is None) != (other.probabilities is None, other.sets is None):
            raise TailwiseError("cannot merge counts with and without probabilities or prediction sets.")
        self.confusion += other.confusion
        if self.probabilities is not None and other.probabilities is not None:
            self.probabilities.merge(other.probabilities)
            self._keep(other.ranked)
        if self.sets is not None and other.sets is not None:
            self.sets += other.sets


class _Probabilities:
    """Sums and histograms of predicted probabilities.

    Attributes
    ----------
    losses : (2, 3, n_classes) log loss and Brier score of the examples of each true class: count, sum, sum of squares
    scores : (2, n_classes, SCORE_BINS) histograms of each class's probability: over examples of other classes, and over
        its own
    every : (3, n_classes, CALIBRATION_BINS) bins of each class's probability: number of examples of the class, number
        of all examples, and sum of the probability
    chosen : (4, n_classes, CALIBRATION_BINS) bins of the predicted class's probability, by predicted class: number of
        correct predictions, number of all predictions, and sum of the probability over correct and over wrong ones
    """

    def __init__(self, k: int) -> None:
        self.losses = np.zeros((2, 3, k))
        self.scores = np.zeros((2, k, SCORE_BINS), dtype=np.int64)
        self.every = np.zeros((3, k, CALIBRATION_BINS))
        self.chosen = np.zeros((4, k, CALIBRATION_BINS))

    def copy(self) -> _Probabilities:
        """Return an independent copy."""
        new = object.__new__(_Probabilities)
        new.__dict__.update({name: value.copy() for name, value in self.__dict__.items()})
        return new

    def merge(self, other: _Probabilities) -> None:
        """Add the counts of another one."""
        for name, value in self.__dict__.items():
            value += other.__dict__[name]

    def add(self, y: NDArray[Any], predicted: NDArray[Any], proba: NDArray[Any]) -> None:
        """Count a batch."""
        n, k = proba.shape
        if n == 0:
            return
        rows, classes = np.arange(n), np.arange(k)
        own = proba[rows, y].astype(np.float64)

        eps = np.finfo(proba.dtype).eps  # a probability of zero would give infinity; scikit-learn clips the same way
        log_loss = -np.log(np.clip(own, eps, 1 - eps))
        brier = np.einsum("ij,ij->i", proba, proba, dtype=np.float64) - 2 * own + 1
        for moments, loss in zip(self.losses, (log_loss, brier), strict=True):
            for moment, values in zip(moments, (None, loss, loss * loss), strict=True):
                moment += np.bincount(y, weights=values, minlength=k)

        bins = score_bins(proba)
        everyone = counted(np.broadcast_to(classes, (n, k)).ravel(), bins.ravel(), k, SCORE_BINS)
        itself = counted(y, bins[rows, y], k, SCORE_BINS)
        self.scores += np.stack([everyone - itself, itself])

        flat = calibration_bins(proba) + classes * CALIBRATION_BINS
        cells = k * CALIBRATION_BINS
        self.every += np.stack(
            [
                np.bincount(flat[rows, y], minlength=cells),
                np.bincount(flat.ravel(), minlength=cells),
                np.bincount(flat.ravel(), weights=proba.ravel(), minlength=cells),
            ],
            dtype=np.float64,
        ).reshape(self.every.shape)

        confidence, right, at = proba[rows, predicted].astype(np.float64), y == predicted, flat[rows, predicted]
        self.chosen += np.stack(
            [
                np.bincount(at, weights=weights, minlength=cells)
                for weights in (right, None, confidence * right, confidence * ~right)
            ]
        ).reshape(self.chosen.shape)


def _codes(values: ArrayLike, what: str) -> NDArray[Any]:
    codes = to_codes(values)
    if codes.ndim != 1 or (codes.dtype.kind not in "iu" and codes.size):
        raise TailwiseError(f"{what} must be (n,) integer class codes; got {codes.dtype} of shape {codes.shape}.")
    return codes if codes.size and codes.dtype != np.uint64 else codes.astype(np.int64)


def _matrix(values: ArrayLike | None, n_classes: int) -> NDArray[Any] | None:
    if values is None:
        return None
    matrix = unmasked(values)
    if matrix.ndim != 2 or matrix.shape[1] != n_classes:
        raise TailwiseError(f"probabilities and sets are (n, {n_classes}); got shape {matrix.shape}.")
    if matrix.dtype.kind not in "fiub":
        raise TailwiseError(f"probabilities must be numbers, and sets true or false; got {matrix.dtype}.")
    return matrix


def _check_probabilities(proba: NDArray[Any]) -> None:
    sums = proba.sum(axis=1, dtype=np.float64)
    if sums.size and not (np.isfinite(sums).all() and proba.min() >= 0 and np.abs(sums - 1).max() < 1e-2):
        raise TailwiseError("probabilities must be finite, not negative, and sum to one in each row.")
