"""What a classifier that trains another one in a certain way has in common with others like it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from tailwise.errors import TailwiseError


class WrappedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Answers as the classifier in ``estimator_``, which a subclass fits."""

    estimator: BaseEstimator

    def predict(self, X: Any) -> NDArray[Any]:
        """Return (n,) labels, as the fitted estimator does."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return (n, n_classes) probabilities, as the fitted estimator does."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of :meth:`predict_proba`, as the fitted estimator does."""
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(lambda self: hasattr(self.estimator, "decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return decision values, as the fitted estimator does."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def _keep(self, fitted: BaseEstimator) -> None:
        self.estimator_ = fitted
        self.classes_ = fitted.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that inputs are what the wrapped estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def require_sample_weight(estimator: BaseEstimator) -> None:
    """Raise TailwiseError if the estimator's ``fit`` takes no ``sample_weight``."""
    if not has_fit_parameter(estimator, "sample_weight"):
        name = type(estimator).__name__
        raise TailwiseError(
            f"{name} takes no sample_weight, so it cannot be weighted: choose another estimator or recipe."
        )
