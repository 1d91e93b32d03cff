"""The learner and the encoder that suit each kind of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from tailwise.errors import TailwiseError
from tailwise.estimators._learners import EstimatorLearner, NetworkLearner

if TYPE_CHECKING:
    from tailwise.estimators._classifier import TailClassifier


def default_estimator(kind: str) -> BaseEstimator:
    """Return histogram gradient boosting for tables and arrays, logistic regression for text and flat images.

    Early stopping is off: it would split off a validation set that a class with one example cannot be split over.
    """
    if kind == "text":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(early_stopping=False)


def default_encoder(kind: str, learner: EstimatorLearner | NetworkLearner) -> Any:
    """Return an unfitted transformer from inputs as the user has them to what the learner takes.

    Encoders never see the labels, so that fitting them once before the folds leaks nothing of the answers.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    from tailwise.data import TableEncoder, TextEncoder

    network = learner.kind == "network"
    dense = network or not get_tags(learner.base).input_tags.allow_nan
    if kind == "table":
        return TableEncoder(scale=dense)
    if kind == "text":
        return make_pipeline(TextEncoder(), TruncatedSVD(256, random_state=0), StandardScaler()) if network else TextEncoder()
    if kind == "array" and network:
        return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    return FunctionTransformer(None)
