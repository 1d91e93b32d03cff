"""Boosting on balanced samples of the training data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tailwise.random_state import RandomState, generator, seeds
from tailwise.resample._containers import take
from tailwise.resample._ensembles import AveragedClassifier, bag_size, even_rows, fitted
from tailwise.resample._wrapper import weight_parameter


class RUSBoostClassifier(AveragedClassifier):
    """Boosts the estimator; each round trains on a new sample with equally many examples of every class.

    Probabilities are shares of the classifiers' weighted votes. They assume equally frequent classes, and are coarse. A
    round whose classifier is no better than chance is discarded, but for the first, whose vote is then next to nothing;
    the weights of the examples are reset.

    Parameters
    ----------
    estimator : a scikit-learn classifier whose ``fit`` takes ``sample_weight``
    n_estimators : number of rounds
    learning_rate : factor on the weight of each round
    per_class : see :class:`BalancedBaggingClassifier`
    random_state : seed or generator for the samples and the classifiers

    Attributes
    ----------
    estimators_ : the fitted classifiers
    estimator_weights_ : (n_fitted,) weights of the votes
    classes_ : (n_classes,) labels

    Raises
    ------
    TailwiseError
        At ``fit``, if labels, weights or settings are out of range, or the estimator does not suit.

    Source: Seiffert et al., RUSBoost: A Hybrid Approach to Alleviating Class Imbalance, IEEE Transactions on Systems,
    Man, and Cybernetics A 2010, algorithm 1. Deviates: SAMME (Hastie et al., Multi-class AdaBoost, Statistics and Its
    Interface 2009) replaces AdaBoost.M2, as in imbalanced-learn, which however fails if the first classifier is no
    better than chance.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        n_estimators: int = 50,
        learning_rate: float = 1.0,
        per_class: int | str = "smallest",
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.per_class = per_class
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
            If the estimator takes no sample weights.
        """
        weight_parameter(self.estimator)
        X, labels, by_class = self._start(X, y)
        rng, size = generator(self.random_state), bag_size(self.per_class, by_class)
        chance = 1 - 1 / max(2, len(by_class))
        self.estimators_: list[BaseEstimator] = []
        votes: list[float] = []
        weights = np.ones(len(labels))
        for seed in seeds(rng, self.n_estimators):
            rows = even_rows(by_class, size, rng)
            member = fitted(self.estimator, take(X, rows), labels[rows], seed, weights[rows] / weights[rows].mean())
            wrong = np.asarray(member.predict(X)) != labels
            error = max((weights * wrong).sum() / weights.sum(), 1e-10)
            if error >= chance:
                weights[:] = 1
                if votes:
                    continue
            # log((1 - error) / error) + log(n_classes - 1) is the log-odds of being right over those of chance
            vote = self.learning_rate * (np.log((1 - error) / error) - np.log((1 - chance) / chance))
            self.estimators_.append(member)
            votes.append(max(vote, 1e-10))
            weights = weights * np.exp(np.where(wrong, max(vote, 0), 0))
            weights /= weights.mean()
        self.estimator_weights_ = np.array(votes)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return (n, n_classes) shares of the weighted votes."""
        check_is_fitted(self)
        share = self.estimator_weights_ / self.estimator_weights_.sum()
        return sum(
            weight * (np.asarray(member.predict(X))[:, None] == self.classes_)
            for weight, member in zip(share, self.estimators_, strict=True)
        )
