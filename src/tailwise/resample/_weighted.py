"""Class weights for any classifier that takes sample weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from tailwise.counts import Weighting, class_weights
from tailwise.errors import TailwiseError
from tailwise.resample._containers import labelled
from tailwise.resample._wrapper import WrappedClassifier, fit_classifier, weight_parameter
from tailwise.settings import check_settings
from tailwise.tensors import weights_of_rows


class WeightedClassifier(WrappedClassifier):
    """Fits a classifier with class weights computed from the class counts of the data passed to ``fit``.

    Its probabilities assume a class prior proportional to ``weight * count``, which is uniform for ``"inverse"``.
    :func:`tailwise.posthoc.prior_shift` converts them back.

    Parameters
    ----------
    estimator : a scikit-learn classifier whose ``fit`` takes ``sample_weight``
    scheme, beta : see :func:`tailwise.counts.class_weights`

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : (n_classes,) labels
    class_weights_ : (n_classes,) weight of each class

    Raises
    ------
    TailwiseError
        At ``fit``, if labels, weights or settings are out of range, or the estimator does not suit.
    """

    def __init__(self, estimator: BaseEstimator, *, scheme: Weighting = "inverse", beta: float = 0.9999) -> None:
        self.estimator = estimator
        self.scheme = scheme
        self.beta = beta

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> WeightedClassifier:
        """Fit a clone of the estimator.

        Parameters
        ----------
        X : (n, n_features), as the estimator takes it
        y : (n,) labels
        sample_weight : (n,) weights, multiplied by the class weights; they also count in the class counts

        Raises
        ------
        TailwiseError
            If the estimator takes no sample weights, if these are negative, all zero or not one per row, or if the
            scheme is unknown.
        """
        check_settings(self)
        weight_parameter(self.estimator)
        X, labels, _, codes = labelled(X, y)
        weights = weights_of_rows(sample_weight, len(labels))
        own = np.ones(len(labels)) if weights is None else weights
        if not own.any():
            raise TailwiseError("sample_weight must not be all zero.")
        self.class_weights_ = class_weights(np.bincount(codes, own), self.scheme, self.beta)
        self._keep(fit_classifier(clone(self.estimator), X, labels, own * self.class_weights_[codes]))
        return self
