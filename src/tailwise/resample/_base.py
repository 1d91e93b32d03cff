"""The interface of all resamplers: checks before, and containers and types restored after."""

from __future__ import annotations

import warnings
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
from tailwise.resample._containers import collected, labelled, take
from tailwise.resample._goals import Kind, Strategy, goals
from tailwise.resample._tables import Values, with_rows, with_targets
from tailwise.settings import check_settings
from tailwise.tensors import to_array, weights_of_rows
from tailwise.wording import plural


@dataclass(frozen=True)
class Change:
    """What a resampler does to a table: the rows it keeps and the rows it makes.

    Attributes
    ----------
    kept : rows to keep, in order; a row may occur more than once
    parents : (n_new,) row that each new row started from
    values : function from a slice of the new rows to their numbers; None if there are no new rows
    sources : column -> (n_new,) row from which each new row copies the value of this column
    targets : (n_new, width) array or CSR matrix of the new rows' targets; None to copy their parents'
    """

    kept: NDArray[np.intp]
    parents: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    values: Values | None = None
    sources: Mapping[int, NDArray[np.intp]] = field(default_factory=dict)
    targets: Any = None


class TargetResampler(BaseEstimator):
    """Resamples a training table; a subclass defines the kind of target. Attributes as for :class:`Resampler`."""

    #: Computes the change from what ``_checked`` returns: the table and, after it, the target.
    _resample: Callable[..., Change]

    #: What a table may hold or be, as scikit-learn's tags have it.
    _takes: ClassVar[frozenset[str]] = frozenset({"sparse", "allow_nan"})

    #: Imbalanced-learn's Pipeline, which alone would route weights here, takes none back.
    __metadata_request__fit_resample: ClassVar[dict[str, bool]] = {"sample_weight": False}

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what a table may hold, and that a target is needed."""
        tags = super().__sklearn_tags__()
        for what in ("sparse", "allow_nan", "string", "categorical"):
            setattr(tags.input_tags, what, what in self._takes)
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any) -> TargetResampler:
        """Check the input only; :meth:`fit_resample` does the work."""
        self._checked(collected(X), y)
        return self

    def fit_resample(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> tuple[Any, ...]:
        """Resample a table.

        Parameters
        ----------
        X : (n, n_features) array, tensor, sparse matrix, list, pandas or polars frame (lazy ones are read), Arrow table
        y : (n,) labels; for methods of other kinds, an (n, n_labels) indicator or an (n,) continuous target
        sample_weight : (n,) weights, resampled with the rows; a synthetic row gets the weight of the row it started
            from

        Returns
        -------
        X, y : (n_resampled, n_features) and (n_resampled, ...), in the containers and types of the input. A pandas
            index is reset; ``sample_indices_`` maps rows to those of the input
        sample_weight : (n_resampled,), only if weights were given

        Raises
        ------
        TailwiseError
            If the table, the target or the strategy does not suit the method, or if nothing is rare.
        """
        X = collected(X)
        if hasattr(X, "column_names"):  # an Arrow table
            import polars as pl

            resampled, *rest = self.fit_resample(pl.DataFrame(X), y, sample_weight)
            return resampled.to_arrow().cast(X.schema), *rest
        rows, *target = self._checked(X, y)
        given = None if sample_weight is None else np.asarray(to_array(sample_weight))
        weights_of_rows(given, target[0].shape[0])
        change = self._resample(rows, *target)
        self.sample_indices_ = np.concatenate([change.kept, change.parents])
        self._warn_of_lost(y, *target)
        self.synthetic_ = np.arange(len(self.sample_indices_)) >= len(change.kept)
        if change.values is None:
            resampled = take(rows, change.kept)
        else:
            resampled = with_rows(rows, change.kept, len(change.parents), change.values, change.sources)
        resampled = resampled.asformat(X.format) if sparse.issparse(X) else resampled
        targets = with_targets(y, change.kept, change.parents, change.targets)
        return (resampled, targets) if given is None else (resampled, targets, given[self.sample_indices_])

    def _checked(self, X: Any, y: Any) -> tuple[Any, ...]:
        """Return the table and the (n, ...) target, or raise."""
        check_settings(self)
        rows, _ = indexable(X, y)
        target = self._target(y)
        self._remember_columns(rows)
        return rows, target

    def _remember_columns(self, rows: Any) -> None:
        names = list(rows.columns) if hasattr(rows, "iloc") and hasattr(rows, "columns") else []
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise TailwiseError(f"the table has {names.count(name)} columns named {name!r}; give each its own name.")
        validate_data(self, rows, skip_check_array=True)

    def _warn_of_lost(self, y: Any, *target: Any) -> None:
        """Warn of what nobody wanted to lose."""

    def _target(self, y: Any) -> Any:
        """Return the target in the form that ``_resample`` takes, or raise."""
        raise NotImplementedError


class Resampler(TargetResampler):
    """Resamples a training table so that its classes are less imbalanced.

    Use it inside imbalanced-learn's ``Pipeline``, which resamples for training only. If you resample before splitting,
    copies of test examples end up in the training set. A model trained on resampled data learns the new class prior:
    correct its probabilities with :func:`tailwise.posthoc.prior_shift`.

    Attributes
    ----------
    sample_indices_ : (n_resampled,) input row of each row; for a synthetic row, the row it started from
    synthetic_ : (n_resampled,) bool, whether each row is synthetic
    """

    sampling_strategy: Strategy
    _kind: ClassVar[Kind]

    #: What to do about a class that was lost.
    _remedy: ClassVar[str] = "name the classes that may lose some in sampling_strategy"

    def _checked(self, X: Any, y: ArrayLike) -> tuple[Any, NDArray[np.intp], NDArray[np.int64]]:
        """Return the table, (n,) class codes and the (n_classes,) target counts of :func:`goals`."""
        check_settings(self)
        rows, labels, classes, codes = labelled(X, y)
        if len(classes) < 2:
            raise TailwiseError(f"there is only one class, {classes[0]!s}: nothing to balance.")
        self._remember_columns(rows)
        return rows, codes, goals(self.sampling_strategy, labels, classes, np.bincount(codes), self._kind)

    def _warn_of_lost(self, y: Any, *target: Any) -> None:
        codes, wanted = target
        left = np.bincount(codes[self.sample_indices_], minlength=len(wanted))
        if lost := np.flatnonzero((left == 0) & (wanted > 0)).tolist():
            label = next(iter(take(y, np.flatnonzero(codes == lost[0])[:1])))
            more = f" and of {plural(len(lost) - 1, 'further class', 'further classes')}" if len(lost) > 1 else ""
            warnings.warn(
                f"{type(self).__name__} removed every example of class {label!s}{more}: {self._remedy}.",
                stacklevel=3,
            )
