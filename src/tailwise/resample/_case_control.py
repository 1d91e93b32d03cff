"""Training on a sample of the rows that keeps the tail whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from tailwise.counts import capped_counts
from tailwise.data.splits import rarest_label
from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.resample._containers import labelled, rows_by_class, take
from tailwise.resample._wrapper import WrappedClassifier, fit_classifier, weight_parameter
from tailwise.settings import check_settings
from tailwise.tensors import to_dense, to_indicator, weights_of_rows

#: Bytes per row and class that gradient boosting needs during training: a raw prediction in float64, and a gradient and
#: a hessian in float32.
_BOOSTING_BYTES = 16


class CaseControlClassifier(WrappedClassifier):
    """Fits a classifier on all rows of the rare classes and a sample of the others, with weights that correct for it.

    A row of class c has weight ``n_c / kept_c``. Each class therefore keeps its total weight, and the probabilities are
    those of the full data. This bounds memory and time at little cost: a million rows of a head class teach hardly more
    than ten thousand of them. If a row has a set of labels, the rarest of them is taken for its class.

    Parameters
    ----------
    estimator : a scikit-learn classifier whose ``fit`` takes ``sample_weight``
    max_rows : maximum number of rows to train on. ``"auto"`` is the number for which gradient boosting's own arrays,
        ``16 * n_classes`` bytes per row, take no more memory than the data, but at least 20,000
    random_state : seed or generator for the sample

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : (n_classes,) labels
    n_rows_used_ : number of rows it was trained on

    Raises
    ------
    TailwiseError
        At ``fit``, if labels, weights or settings are out of range, or the estimator does not suit.

    Source: choice-based (case-control) sampling with weights, King and Zeng, Logistic Regression in Rare Events Data,
    Political Analysis 2001, section 4.2.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
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
        y : (n,) labels, or (n, n_labels) rows of 0 and 1, dense or SciPy sparse
        sample_weight : (n,) weights, multiplied by those of the sampling

        Raises
        ------
        TailwiseError
            If the estimator takes no sample weights, ``sample_weight`` is not one per row, rows of labels are not 0 and
            1, or ``max_rows`` is not a number or less than one row per class.
        """
        check_settings(self)
        given = to_dense(y)
        sets = to_indicator(given).toarray() if given.ndim == 2 and given.shape[1] > 1 else None
        X, labels, classes, codes = labelled(X, y if sets is None else rarest_label(sets))
        targets = labels if sets is None else sets
        weights = weights_of_rows(sample_weight, len(labels))
        counts = np.bincount(codes)
        kept = capped_counts(counts, self.limit(X, len(classes)))
        self.n_rows_used_ = int(kept.sum())
        fresh = clone(self.estimator)
        if self.n_rows_used_ == len(labels):
            self._keep(fit_classifier(fresh, X, targets, weights))
            return self
        weight_parameter(self.estimator)
        rng = generator(self.random_state)
        by_class = zip(rows_by_class(codes, len(classes)), kept, strict=True)
        rows = np.sort(np.concatenate([rng.permutation(own)[:n] for own, n in by_class]))
        sampled = (counts / kept)[codes[rows]]
        if weights is not None:
            sampled = sampled * weights[rows]
        self._keep(fit_classifier(fresh, take(X, rows), targets[rows], sampled))
        return self

    def limit(self, X: Any, n_classes: int) -> int:
        """Return the maximum number of rows of X to train on.

        Raises
        ------
        TailwiseError
            If ``max_rows`` is neither a number nor ``"auto"``.
        """
        if isinstance(self.max_rows, str) and self.max_rows != "auto":
            raise TailwiseError(f"max_rows must be a number or 'auto'; got {self.max_rows!r}.")
        return affordable_rows(X, n_classes) if self.max_rows == "auto" else int(self.max_rows)


def affordable_rows(X: Any, n_classes: int) -> int:
    """Return the number of rows for which 16 bytes per class take no more memory than the data; at least 20,000."""
    return max(20_000, n_classes, _bytes(X) // (_BOOSTING_BYTES * n_classes))


def _bytes(X: Any) -> int:
    """Return the size of the data in bytes, counting objects as if they were numbers."""
    if hasattr(X, "nbytes"):
        return int(X.nbytes)
    if hasattr(X, "estimated_size"):  # polars
        return int(X.estimated_size())
    if hasattr(X, "memory_usage"):  # pandas
        return int(X.memory_usage(index=False).sum())
    return int(X.data.nbytes) if hasattr(X, "nnz") else 8 * np.size(X)
