"""The common base of classifiers that train another classifier in a certain way."""

from __future__ import annotations

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

    Histogram boosting distinguishes at most 255 values per column, so columns are first rounded to as many unweighted
    quantiles, which are the bins of scikit-learn before 1.9. Since 1.9 it computes weighted quantiles, and sorts a
    column for each of them: one iteration on 2,000 rows of 300 columns takes half a minute instead of half a second.
    It also fails on columns without any value, which are filled with zeros.

    Raises
    ------
    TailwiseError
        If the estimator is no classifier, or takes no sample weights where there are any.
    """
    numbers = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "fiu"
    if numbers and isinstance(estimator, HistGradientBoostingClassifier):
        X = _filled(X)
        if sample_weight is not None and len(X) <= _WEIGHED:
            X = np.stack([_rounded(column, estimator.max_bins) for column in X.T], axis=1)
    if not classifies(estimator):
        raise TailwiseError(f"a classifier is needed; {type(estimator).__name__} is none.")
    named = {} if sample_weight is None else {weight_parameter(estimator): sample_weight}
    return estimator.fit(X, y, **named)


def _filled(X: NDArray[Any]) -> NDArray[Any]:
    """Return a table with zeros in the columns that are NaN in every row."""
    empty = [j for j in np.flatnonzero(np.isnan(X[:1]).all(axis=0)) if np.isnan(X[:, j]).all()]
    if empty:
        X = X.copy()
        X[:, empty] = 0
    return X


def _rounded(column: NDArray[Any], most: int) -> NDArray[Any]:
    """Round a column to at most ``most`` of its quantiles; NaN, and columns of few different values, stay unchanged."""
    known = np.sort(column[~np.isnan(column)])
    if np.count_nonzero(known[1:] != known[:-1]) < most:
        return column
    kept = np.unique(known[((np.arange(most) + 0.5) / most * len(known)).astype(np.intp)])
    exact = kept.astype(np.float64)  # sums of small integers would overflow
    with np.errstate(invalid="ignore"):  # between the two infinities
        middles = np.nan_to_num((exact[1:] + exact[:-1]) / 2)  # finite, so that infinity lies beyond them
    nearest = kept[np.searchsorted(middles, column)]
    return np.where(np.isnan(column), column, nearest)


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
