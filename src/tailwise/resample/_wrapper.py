"""The common base of classifiers that train another classifier in a certain way."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from tailwise.errors import TailwiseError

_WEIGHED = 200_000  # rows up to which histogram boosting uses weights when it computes its bins


class WrappedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Predicts with the classifier in ``estimator_``, which a subclass fits."""

    estimator: BaseEstimator

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the (n,) labels predicted by the fitted estimator."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the (n, n_classes) probabilities of the fitted estimator."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the (n, n_classes) log-probabilities of the fitted estimator."""
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(lambda self: hasattr(self.estimator, "decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the decision values of the fitted estimator."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def _keep(self, fitted: BaseEstimator) -> None:
        self.estimator_ = fitted
        self.classes_ = fitted.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
            elif hasattr(self, name):  # of an earlier fit
                delattr(self, name)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that inputs are whatever the wrapped estimator accepts."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def classifies(estimator: Any) -> bool:
    """Say whether an estimator is a classifier, or scores classes without saying what it is."""
    try:
        kind = get_tags(estimator).estimator_type
    except (AttributeError, TypeError):  # without scikit-learn's tags
        kind = None
    scores = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    return kind == "classifier" or (kind is None and scores)


def fit_classifier(estimator: BaseEstimator, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> BaseEstimator:
    """Fit an estimator, with sample weights if there are any.

    Histogram boosting distinguishes at most 255 values per column. Since scikit-learn 1.9 it finds them as weighted
    quantiles, and sorts a column for each of them: one iteration on 2,000 rows of 300 columns takes some fifty times as
    long as without weights. Numbers are therefore rounded to as many values beforehand. It also fails on columns
    without any value, which are filled with zeros.

    Raises
    ------
    TailwiseError
        If the estimator is no classifier, or takes no sample weights where there are any.
    """
    if isinstance(estimator, HistGradientBoostingClassifier):
        X = _filled(X)
        if sample_weight is not None and np.shape(X)[0] <= _WEIGHED:
            X = _few_values(X, estimator, np.asarray(sample_weight, dtype=np.float64))
    if not classifies(estimator):
        raise TailwiseError(f"a classifier is needed; {type(estimator).__name__} is none.")
    named = {} if sample_weight is None else {weight_parameter(estimator): sample_weight}
    return estimator.fit(X, y, **named)


def _filled(X: Any) -> Any:
    """Return an array with zeros in the columns that are NaN in every row, and anything else as it is."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind != "f":
        return X
    empty = [j for j in np.flatnonzero(np.isnan(X[:1]).all(axis=0)) if np.isnan(X[:, j]).all()]
    if empty:
        X = X.copy()
        X[:, empty] = 0
    return X


def _few_values(X: Any, booster: HistGradientBoostingClassifier, weights: NDArray[Any]) -> Any:
    """Return a table with at most as many values in each column of numbers as boosting distinguishes."""
    named = booster.categorical_features
    codes = set(np.flatnonzero(named) if np.asarray(named).dtype == bool else np.atleast_1d(named))  # or names, or None
    few = partial(_rounded, weights=weights, most=booster.max_bins)
    if isinstance(X, np.ndarray):
        numbers = X.ndim == 2 and X.dtype.kind in "fiu"
        return np.stack([c if j in codes else few(c) for j, c in enumerate(X.T)], axis=1) if numbers else X
    if hasattr(X, "isetitem"):  # pandas
        X = X.copy(deep=False)
        for j, (name, dtype) in enumerate(X.dtypes.items()):
            if isinstance(dtype, np.dtype) and dtype.kind in "fiu" and not codes & {j, name}:
                X.isetitem(j, few(X.iloc[:, j].to_numpy()))
    elif hasattr(X, "with_columns"):  # polars
        for j, (name, dtype) in enumerate(X.schema.items()):
            if dtype.is_numeric() and not codes & {j, name}:
                X = X.with_columns(type(X[name])(name, few(X[name].cast(float).to_numpy())))
    return X


def _rounded(column: NDArray[Any], weights: NDArray[Any], most: int) -> NDArray[Any]:
    """Round a column to at most ``most`` of its values; NaN, and columns of few different values, stay unchanged."""
    known = ~np.isnan(column)
    values, place = np.unique(column[known], return_inverse=True)
    if len(values) <= most:
        return column
    kept, alone = _shared(np.bincount(place, weights[known]), most)
    exact, alone = values[kept].astype(np.float64), alone[kept]  # sums of small integers would overflow
    with np.errstate(invalid="ignore"):  # between the two infinities
        ends = np.nan_to_num((exact[1:] + exact[:-1]) / 2)  # finite, so that infinity lies beyond them
    ends = np.where(alone[:-1] & ~alone[1:], exact[:-1], ends)
    ends = np.where(alone[1:] & ~alone[:-1], np.nextafter(exact[1:], -np.inf), ends)
    return np.where(known, values[kept][np.searchsorted(ends, column)], column)


def _shared(mass: NDArray[Any], most: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose ``most`` of the values in ascending order that share the weight as equally as they can.

    A value with the weight of several, such as a zero in most rows, stays alone, and on either side of it one is kept,
    little as the weight there may be, unless there are too many such values.

    Returns
    -------
    (n_values,) which are kept, and which of them stay alone
    """
    alone, more = np.zeros(len(mass), dtype=bool), True
    while more:
        rest, places = mass[~alone].sum(), most - int(np.count_nonzero(alone))
        heavy = ~alone & (mass * places > rest)
        alone, more = alone | heavy, bool(heavy.any())
    reached, kept = np.cumsum(np.where(alone, 0, mass)), alone.copy()
    if alone.any():
        between = np.bincount(np.cumsum(alone)[~alone], mass[~alone])  # them, and beyond
        largest = np.argsort(-between, kind="stable")[: min(places, int(np.count_nonzero(between)))]
        middles = np.minimum((np.cumsum(between) - between / 2)[largest], reached[-1])
        kept[np.searchsorted(reached, middles)] = True
        places -= len(largest)
    kept[np.searchsorted(reached, (np.arange(places) + 0.5) / max(places, 1) * reached[-1])] = True
    return kept, alone


def weight_parameter(estimator: BaseEstimator) -> str:
    """Return the name under which an estimator's ``fit`` takes sample weights; a pipeline's last step gets them.

    Raises
    ------
    TailwiseError
        If it takes none.
    """
    last, parameter = estimator, "sample_weight"
    if isinstance(estimator, Pipeline) and not get_config()["enable_metadata_routing"]:
        step, last = estimator.steps[-1]
        parameter = f"{step}__sample_weight"
    if not has_fit_parameter(last, "sample_weight"):
        name = type(last).__name__
        raise TailwiseError(
            f"{name} takes no sample_weight, so it cannot be weighted: choose another estimator or recipe."
        )
    return parameter
