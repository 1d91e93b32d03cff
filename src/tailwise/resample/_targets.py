"""What resamplers do around each one's work where a row's target is not one class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import indexable
from sklearn.utils.validation import validate_data

from tailwise.resample._base import Change
from tailwise.resample._containers import take
from tailwise.resample._tables import Values, with_rows
from tailwise.settings import check_settings


class TargetResampler(BaseEstimator):
    """Changes a table whose target is not one class per row, for the training set only; see :class:`Resampler`.

    Attributes
    ----------
    sample_indices_ : (n_resampled,) row of the input that each row is, or that a synthetic one started from
    synthetic_ : (n_resampled,) bool, whether it is new
    """

    def fit(self, X: Any, y: Any) -> TargetResampler:
        """Do nothing but check the input; ``fit_resample`` does the work."""
        self._checked(X, y, None)
        return self

    def fit_resample(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> tuple[Any, ...]:
        """Resample a table.

        Parameters
        ----------
        X : (n, n_features) array, sparse matrix, list, or pandas or polars frame
        y : (n, n_labels) or (n,) target, of the kind that the method is for
        sample_weight : (n,) weights, which go with their rows; a synthetic row has that of the row it started from

        Returns
        -------
        X, y : the rows and their targets in the containers and with the types they came in
        sample_weight : (n_resampled,), only where weights were given

        Raises
        ------
        TailwiseError
            If the table or the target does not suit the method, or there is nothing rare.
        """
        rows, target = self._checked(X, y, sample_weight)
        change, made = self._resample(rows, target)
        n_new = len(change.parents)
        self.sample_indices_ = np.concatenate([change.kept, change.parents])
        self.synthetic_ = np.arange(len(self.sample_indices_)) >= len(change.kept)
        resampled = _grown(rows, change.kept, n_new, change.values)
        resampled = resampled.asformat(X.format) if sparse.issparse(X) else resampled
        targets = _targets(y, change.kept, n_new, made)
        if sample_weight is None:
            return resampled, targets
        return resampled, targets, np.asarray(sample_weight)[self.sample_indices_]

    def _checked(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> tuple[Any, Any]:
        check_settings(self)
        rows, _, _ = indexable(X, y, sample_weight)
        target = self._target(y)
        validate_data(self, rows, skip_check_array=True)
        return rows, target

    def _target(self, y: Any) -> Any:
        """Return the target in the form that ``_resample`` takes, or raise."""
        raise NotImplementedError

    def _resample(self, X: Any, target: Any) -> tuple[Change, Any]:
        """Compute the change, and the (n_new, width) array or CSR matrix of the new rows' targets, None for none."""
        raise NotImplementedError


def _grown(table: Any, kept: NDArray[np.intp], n_new: int, values: Values | None) -> Any:
    return take(table, kept) if values is None else with_rows(table, kept, n_new, values, {})


def _targets(y: Any, kept: NDArray[np.intp], n_new: int, made: Any) -> Any:
    """Return the kept targets and then the new ones, in the container of ``y``."""
    if made is None:
        return take(y.tocsr(), kept).asformat(y.format) if sparse.issparse(y) else take(y, kept)
    if sparse.issparse(y):
        rows = y.tocsr()
        return with_rows(rows, kept, n_new, lambda at: type(rows)(made[at]), {}).asformat(y.format)

    def values(at: slice) -> NDArray[Any]:
        return made[at].toarray() if sparse.issparse(made) else made[at]

    if hasattr(y, "to_frame"):  # a series
        grown = with_rows(y.to_frame(), kept, n_new, values, {})
        return grown.iloc[:, 0].rename(y.name) if hasattr(y, "iloc") else grown.to_series()
    if hasattr(y, "columns") or np.ndim(y) == 2:
        return with_rows(y, kept, n_new, values, {})
    grown = with_rows(np.asarray(y)[:, None], kept, n_new, values, {})[:, 0]
    return grown.tolist() if isinstance(y, list) else grown
