"""A classifier trained on a resampled table."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from tailwise.resample._base import Resampler
from tailwise.resample._wrapper import WrappedClassifier, fit_classifier


class ResampledClassifier(WrappedClassifier):
    """Resamples the training table, fits a classifier on the result, and predicts on tables as they are.

    Its probabilities assume the class prior of the resampled table; :func:`tailwise.posthoc.prior_shift` converts them
    back.

    Parameters
    ----------
    estimator : a scikit-learn classifier
    resampler : any resampler of this package or of imbalanced-learn

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : (n_classes,) labels

    Raises
    ------
    TailwiseError
        At ``fit``, if labels or settings are out of range, or the estimator does not suit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from tailwise.posthoc import prior_shift, softmax
    >>> from tailwise.resample import RandomUnderSampler
    >>> classifier = ResampledClassifier(DecisionTreeClassifier(), RandomUnderSampler(random_state=0))
    >>> proba = classifier.fit([[0.0]] * 100, [0] * 90 + [1] * 10).predict_proba([[0.0]])
    >>> proba.tolist(), softmax(prior_shift([1, 1], [90, 10])(np.log(proba))).round(2).tolist()
    ([[0.5, 0.5]], [[0.9, 0.1]])
    """

    def __init__(self, estimator: BaseEstimator, resampler: Resampler) -> None:
        self.estimator = estimator
        self.resampler = resampler

    def fit(self, X: Any, y: ArrayLike) -> ResampledClassifier:
        """Fit a clone of the estimator.

        Parameters
        ----------
        X : (n, n_features), as the resampler takes it
        y : (n,) labels
        """
        resampled, labels = clone(self.resampler).fit_resample(X, y)[:2]
        self._keep(fit_classifier(clone(self.estimator), resampled, labels))
        return self
