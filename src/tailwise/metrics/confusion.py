"""Measures that follow from the confusion matrix alone.

They take its *margins*, (..., n_classes) each, so that one call measures a single matrix or a thousand bootstrap
resamples of it. Classes without examples are ignored in every mean. If no class has examples the result is NaN, which
:func:`tailwise.metrics.evaluate` never reports.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError


class Margins(NamedTuple):
    """The parts of a confusion matrix that the measures need.

    Attributes
    ----------
    hits : (..., n_classes) number of correctly predicted examples of each class
    support : (..., n_classes) number of examples of each class
    predicted : (..., n_classes) number of examples predicted as each class
    """

    hits: NDArray[Any]
    support: NDArray[Any]
    predicted: NDArray[Any]

    def take(self, classes: NDArray[np.intp]) -> Margins:
        """Return the margins of the given classes."""
        return Margins(*(margin[..., classes] for margin in self))

    def mean(self) -> Margins:
        """Return the mean margins of several confusion matrices of the same examples, (n_classes,) each."""
        return Margins(self.hits.mean(axis=0), self.support, self.predicted.mean(axis=0))


def counted(rows: NDArray[Any], columns: NDArray[Any], n_rows: int, n_columns: int) -> NDArray[np.int64]:
    """Return how often each pair of codes occurs, (n_rows, n_columns): of labels and predictions, their confusion."""
    cells = rows.astype(np.intp) * n_columns + columns
    return np.bincount(cells, minlength=n_rows * n_columns).reshape(n_rows, n_columns)


def margins(confusion: ArrayLike) -> Margins:
    """Return the margins of a confusion matrix.

    Parameters
    ----------
    confusion : (n_classes, n_classes) counts, true × predicted

    Raises
    ------
    TailwiseError
        If the matrix is not square.
    """
    matrix = np.asarray(confusion)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise TailwiseError(f"a confusion matrix is (n_classes, n_classes); got shape {matrix.shape}.")
    return Margins(matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))


def recalls(m: Margins) -> NDArray[np.float64]:
    """Return the recall of each class; NaN for a class without examples."""
    return _ratio(m.hits, m.support)


def precisions(m: Margins) -> NDArray[np.float64]:
    """Return the precision of each class; NaN for a class that was never predicted."""
    return _ratio(m.hits, m.predicted)


def f1s(m: Margins) -> NDArray[np.float64]:
    """Return the F1 of each class, ``2 hits / (support + predicted)``; NaN if it neither occurs nor was predicted."""
    return _ratio(2 * m.hits, m.support + m.predicted)


def accuracy(m: Margins) -> NDArray[np.float64]:
    """Return the share of examples that are predicted correctly; ``m`` as for :func:`balanced_accuracy`."""
    return _ratio(m.hits.sum(axis=-1), m.support.sum(axis=-1))


def balanced_accuracy(m: Margins) -> NDArray[np.float64]:
    """Return the mean recall over the classes that have examples.

    Parameters
    ----------
    m : of confusion matrices, from :func:`margins`; of labels and predictions, :func:`tailwise.metrics.evaluate` has it

    Returns
    -------
    (...,) a number for each confusion matrix, NaN if it has no example

    Source: Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, ICPR 2010.
    """
    return _mean(recalls(m))


def macro_f1(m: Margins) -> NDArray[np.float64]:
    """Return the mean of F1 over the classes that occur or were predicted, as scikit-learn's; ``m`` as above."""
    return _mean(f1s(m))


def g_mean(m: Margins) -> NDArray[np.float64]:
    """Return the geometric mean of the recalls; zero if any class is never found.

    Source: Kubat and Matwin, Addressing the Curse of Imbalanced Training Sets, ICML 1997, for two classes.
    """
    with np.errstate(divide="ignore"):
        return np.exp(_mean(np.log(recalls(m))))


def harmonic_mean(m: Margins) -> NDArray[np.float64]:
    """Return the harmonic mean of the recalls, dominated by the worst classes; zero if any class is never found."""
    with np.errstate(divide="ignore"):
        return 1 / _mean(1 / recalls(m))


def worst_class(m: Margins) -> NDArray[np.float64]:
    """Return the lowest recall."""
    found = recalls(m)
    lowest = np.where(np.isnan(found), np.inf, found).min(axis=-1)
    return np.where(np.isinf(lowest), np.nan, lowest)


#: Measures that a single class may decide.
EXTREMES = frozenset({"g_mean", "harmonic_mean", "worst_class"})

#: Overall measures of a confusion matrix, by name.
MEASURES = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "g_mean": g_mean,
    "harmonic_mean": harmonic_mean,
    "worst_class": worst_class,
}


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    return np.divide(part, whole, out=np.full(shape, np.nan), where=np.asarray(whole) > 0)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    present = ~np.isnan(values)
    return _ratio(np.where(present, values, 0).sum(axis=-1), present.sum(axis=-1))
