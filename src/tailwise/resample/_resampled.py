"""A classifier on a resampled table."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from tailwise.resample._base import Resampler
from tailwise.resample._wrapper import WrappedClassifier


class ResampledClassifier(WrappedClassifier):
    """Fits a classifier on what a resampler makes of the training table, and predicts on tables as they come.

    Its probabilities are those of a population in which the classes have the shares that resampling gave them.
    :func:`tailwise.posthoc.prior_shift` moves them back.

    Parameters
    ----------
    estimator : a scikit-learn classifier
    resampler : any of this package's, or of imbalanced-learn's

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : (n_classes,) labels
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
        self._keep(clone(self.estimator).fit(resampled, labels))
        return self
