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
from tailwise.resample._binned import binned


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


def check_classifier(estimator: Any) -> None:
    """Raise TailwiseError if an estimator is no classifier."""
    if not classifies(estimator):
        raise TailwiseError(f"a classifier is needed; {type(estimator).__name__} is none.")


def fit_classifier(estimator: BaseEstimator, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> BaseEstimator:
    """Fit an estimator, with sample weights if there are any.

    Raises
    ------
    TailwiseError
        If the estimator is no classifier, or takes no sample weights where there are any.
    """
    if isinstance(estimator, HistGradientBoostingClassifier):
        X = binned(X, estimator, sample_weight)
    check_classifier(estimator)
    named = {} if sample_weight is None else {weight_parameter(estimator): sample_weight}
    estimator.fit(X, y, **named)
    return estimator


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
