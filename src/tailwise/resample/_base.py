"""What all resamplers do around what each one computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import indexable
from sklearn.utils.validation import validate_data

from tailwise.errors import TailwiseError
from tailwise.resample._containers import labelled, take
from tailwise.resample._goals import Kind, Strategy, goals
from tailwise.resample._tables import Values, with_rows, with_targets
from tailwise.settings import check_settings


@dataclass(frozen=True)
class Change:
    """What a resampler makes of a table.

    Attributes
    ----------
    kept : rows that stay, in order; a row may be there more than once
    parents : (n_new,) row that each new row started from
    values : from a slice of the new rows to their numbers; None where there are no new rows
    sources : column -> (n_new,) row that each new row has this column's value from
    targets : (n_new, width) array or CSR matrix of the new rows' targets; None where they are their parents'
    """

    kept: NDArray[np.intp]
    parents: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    values: Values | None = None
    sources: Mapping[int, NDArray[np.intp]] = field(default_factory=dict)
    targets: Any = None


class TargetResampler(BaseEstimator):
    """Changes a table, for the training set only; the subclass says what a target is. Attributes as below."""

    #: Computes the change from the table, whose rows can be taken, and what ``_checked`` returns after it.
    _resample: Callable[..., Change]

    def fit(self, X: Any, y: Any) -> TargetResampler:
        """Do nothing but check the input; ``fit_resample`` does the work."""
        self._checked(X, y)
        return self

    def fit_resample(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> tuple[Any, ...]:
        """Resample a table.

        Parameters
        ----------
        X : (n, n_features) array, tensor, sparse matrix, list, pandas or polars frame, or Arrow table
        y : (n,) labels, or (n, n_labels) or (n,) target of the kind that the method is for
        sample_weight : (n,) weights, which go with their rows; a synthetic row has that of the row it started from

        Returns
        -------
        X, y : (n_resampled, n_features) and (n_resampled, ...) in the containers and with the types they came in; an
            index of pandas starts anew, since ``sample_indices_`` says which row is which
        sample_weight : (n_resampled,), only where weights were given

        Raises
        ------
        TailwiseError
            If the table, the target or the strategy does not suit the method, or there is nothing rare.
        """
        if hasattr(X, "column_names"):  # an Arrow table
            import polars as pl

            resampled, *rest = self.fit_resample(pl.DataFrame(X), y, sample_weight)
            return resampled.to_arrow().cast(X.schema), *rest
        rows, *target = self._checked(X, y)
        weights, n = None if sample_weight is None else np.asarray(sample_weight), target[0].shape[0]
        if weights is not None and weights.shape != (n,):
            raise TailwiseError(f"sample_weight must be one number for each of {n} rows; got {weights.shape}.")
        change = self._resample(rows, *target)
        self.sample_indices_ = np.concatenate([change.kept, change.parents])
        self.synthetic_ = np.arange(len(self.sample_indices_)) >= len(change.kept)
        if change.values is None:
            resampled = take(rows, change.kept)
        else:
            resampled = with_rows(rows, change.kept, len(change.parents), change.values, change.sources)
        resampled = resampled.asformat(X.format) if sparse.issparse(X) else resampled
        targets = with_targets(y, change.kept, change.parents, change.targets)
        return (resampled, targets) if weights is None else (resampled, targets, weights[self.sample_indices_])

    def _checked(self, X: Any, y: Any) -> tuple[Any, ...]:
        """Return the table and (n, ...) the target, or raise."""
        check_settings(self)
        rows, _ = indexable(X, y)
        target = self._target(y)
        self._remember_columns(rows)
        return rows, target

    def _remember_columns(self, rows: Any) -> None:
        names = list(rows.columns) if hasattr(rows, "iloc") else []
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise TailwiseError(f"the table has {names.count(name)} columns named {name!r}; give each its own name.")
        validate_data(self, rows, skip_check_array=True)

    def _target(self, y: Any) -> Any:
        """Return the target in the form that ``_resample`` takes, or raise."""
        raise NotImplementedError


class Resampler(TargetResampler):
    """Changes a table so that its classes are less uneven, for the training set only.

    Use it in imbalanced-learn's ``Pipeline``, which leaves the rows alone when it predicts; resampled before the split,
    copies of test examples train the model. A model that is trained on the result has learned the new shares of the
    classes: :func:`tailwise.posthoc.prior_shift` corrects its probabilities.

    Attributes
    ----------
    sample_indices_ : (n_resampled,) row of the input that each row is, or that a synthetic one started from
    synthetic_ : (n_resampled,) bool, whether it is new
    """

    sampling_strategy: Strategy
    _kind: ClassVar[Kind]

    def _checked(self, X: Any, y: ArrayLike) -> tuple[Any, NDArray[np.intp], NDArray[np.int64]]:
        """Return the table, (n,) class codes, and for each class what :func:`tailwise.resample._goals.goals` says."""
        check_settings(self)
        rows, _, classes, codes = labelled(X, y)
        if len(classes) < 2:
            raise TailwiseError(f"there is only one class, {classes[0]!s}: nothing to balance.")
        self._remember_columns(rows)
        return rows, codes, goals(self.sampling_strategy, classes, np.bincount(codes), self._kind)
