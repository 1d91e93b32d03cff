"""Training on a part of the rows that keeps the tail whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from tailwise.counts import capped_counts
from tailwise.errors import TailwiseError
from tailwise.resample._containers import RandomState, generator, labelled, rows_by_class, take
from tailwise.resample._wrapper import WrappedClassifier, fit_weighted, require_sample_weight

#: Values per row and class that gradient boosting holds while it trains (a raw prediction in float64, a gradient and a
#: hessian in float32), in bytes.
_BOOSTING_BYTES = 16


class CaseControlClassifier(WrappedClassifier):
    """Fits a classifier on all rows of the rare classes and a sample of the others, weighted so that it stays unbiased.

    A kept row of class c weighs ``n_c / kept_c``, so that every class weighs what it does in the whole data and the
    probabilities are those of the whole. Memory and time are bounded, at little loss: a head class of a million rows
    says hardly more than ten thousand of them.

    Parameters
    ----------
    estimator : a scikit-learn classifier whose ``fit`` takes ``sample_weight``
    max_rows : rows to train on; ``"auto"`` is as many as let gradient boosting's own arrays, ``16 * n_classes`` bytes a
        row, take no more memory than the data, and at least 20,000. All rows where there are no more
    random_state : of the sample

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : (n_classes,) labels
    n_rows_used_ : rows trained on

    Source: choice-based (case-control) sampling with weights, King and Zeng, Logistic Regression in Rare Events Data,
    Political Analysis 2001, section 4.2.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        max_rows: int | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.max_rows = max_rows
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> CaseControlClassifier:
        """Fit a clone of the estimator.

        Parameters
        ----------
        X : (n, n_features) array, sparse matrix or frame
        y : (n,) labels
        sample_weight : (n,) further weights, multiplied with those of the sample

        Raises
        ------
        TailwiseError
            If the estimator takes no sample weights, ``sample_weight`` is not one per row, or ``max_rows`` is not a
            number or less than one row per class.
        """
        X, labels, classes, codes = labelled(X, y)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        if weights is not None and weights.shape != labels.shape:
            raise TailwiseError(f"sample_weight must be one per row; got shape {weights.shape}.")
        counts = np.bincount(codes)
        kept = capped_counts(counts, self.limit(X, len(classes)))
        self.n_rows_used_ = int(kept.sum())
        fresh = clone(self.estimator)
        if self.n_rows_used_ == len(labels):
            self._keep(fit_weighted(fresh, X, labels, weights))
            return self
        require_sample_weight(self.estimator)
        rng = generator(self.random_state)
        by_class = zip(rows_by_class(codes, len(classes)), kept, strict=True)
        rows = np.sort(np.concatenate([rng.permutation(own)[:n] for own, n in by_class]))
        sampled = (counts / kept)[codes[rows]]
        if weights is not None:
            sampled = sampled * weights[rows]
        self._keep(fit_weighted(fresh, take(X, rows), labels[rows], sampled))
        return self

    def limit(self, X: Any, n_classes: int) -> int:
        """Return on how many rows of X to train at most."""
        if isinstance(self.max_rows, str) and self.max_rows != "auto":
            raise TailwiseError(f"max_rows must be a number or 'auto'; got {self.max_rows!r}.")
        return affordable_rows(X, n_classes) if self.max_rows == "auto" else int(self.max_rows)


def affordable_rows(X: Any, n_classes: int) -> int:
    """Return for how many rows 16 bytes a class take no more memory than the data, and at least 20,000."""
    return max(20_000, n_classes, _bytes(X) // (_BOOSTING_BYTES * n_classes))


def _bytes(X: Any) -> int:
    """Return how many bytes the data takes, columns of objects as if they were numbers."""
    if hasattr(X, "nbytes"):
        return int(X.nbytes)
    if hasattr(X, "estimated_size"):  # polars
        return int(X.estimated_size())
    if hasattr(X, "memory_usage"):  # pandas
        return int(X.memory_usage(index=False).sum())
    return int(X.data.nbytes) if hasattr(X, "nnz") else 8 * np.size(X)
