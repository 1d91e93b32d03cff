"""Boosting on balanced samples."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from tailwise._optional import require
from tailwise.resample._containers import RandomState, labelled, seeds
from tailwise.resample._wrapper import WrappedClassifier, require_sample_weight


class RUSBoostClassifier(WrappedClassifier):
    """Boosts the estimator on a new balanced sample in every round, by imbalanced-learn.

    Probabilities are those of a population in which the classes are equally frequent, and as rough as AdaBoost's are.

    Parameters
    ----------
    estimator : a scikit-learn classifier whose ``fit`` takes ``sample_weight``; missing values cannot be boosted
    n_estimators : rounds, at most
    learning_rate : weight of a round
    random_state : of the samples and the classifiers

    Attributes
    ----------
    estimator_ : the fitted ``imblearn.ensemble.RUSBoostClassifier``
    classes_ : (n_classes,) labels

    Source: Seiffert et al., RUSBoost: A Hybrid Approach to Alleviating Class Imbalance, IEEE Transactions on Systems,
    Man, and Cybernetics A 2010, algorithm 1, with SAMME (Hastie et al. 2009) for AdaBoost.M2.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        n_estimators: int = 50,
        learning_rate: float = 1.0,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike) -> RUSBoostClassifier:
        """Fit clones of the estimator.

        Parameters
        ----------
        X : (n, n_features), as the estimator takes it
        y : (n,) labels

        Raises
        ------
        TailwiseError
            If imbalanced-learn is not installed, or the estimator takes no sample weights.
        """
        require_sample_weight(self.estimator)
        ensemble = require("imblearn.ensemble", "resample")
        X, labels, _, _ = labelled(X, y)
        boosted = ensemble.RUSBoostClassifier(
            clone(self.estimator),
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            random_state=seeds(self.random_state, 1)[0],
        )
        self._keep(boosted.fit(X, labels))
        return self

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that AdaBoost takes no missing values."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags
