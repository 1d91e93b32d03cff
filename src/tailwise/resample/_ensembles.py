"""Averages of classifiers, each trained on a class-balanced sample of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.ensemble import AdaBoostClassifier
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator, seeds
from tailwise.resample._containers import labelled, rows_by_class, take
from tailwise.resample._wrapper import check_classifier, fit_classifier
from tailwise.settings import check_settings, whole


class AveragedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Averages the probabilities of the classifiers in ``estimators_``, which a subclass trains.

    A classifier without ``predict_proba`` contributes its vote.
    """

    estimator: BaseEstimator
    n_jobs: int | None

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return (n, n_classes) probabilities under equally frequent classes."""
        check_is_fitted(self)
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")(
            delayed(_probabilities)(member, X, self.classes_) for member in self.estimators_
        )
        return sum(parts) / len(self.estimators_)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return (n,) the most probable labels."""
        most = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most]

    def _start(self, X: Any, y: ArrayLike) -> tuple[Any, NDArray[Any], list[NDArray[np.intp]]]:
        """Check the input; return the rows, the labels and the rows of each class."""
        check_settings(self)
        whole("n_estimators", self.n_estimators, 1)
        X, labels, self.classes_, codes = labelled(X, y)
        validate_data(self, X, skip_check_array=True)
        return X, labels, rows_by_class(codes, len(self.classes_))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that inputs are whatever the wrapped estimator accepts."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


class BalancedBaggingClassifier(AveragedClassifier):
    """Trains each classifier on a new bag with equally many examples of every class.

    Probabilities assume equally frequent classes; :func:`tailwise.posthoc.prior_shift` converts them to another prior.

    Parameters
    ----------
    estimator : a scikit-learn classifier
    n_estimators : number of classifiers
    per_class : examples of each class in a bag: ``"smallest"``, the count of the smallest class, or a number. Classes
        with fewer examples are drawn with replacement
    n_jobs : bags to train in parallel, see joblib
    random_state : seed or generator for the bags and the classifiers

    Attributes
    ----------
    estimators_ : the fitted classifiers
    classes_ : (n_classes,) labels

    Raises
    ------
    TailwiseError
        At ``fit``, if labels or settings are out of range, or the estimator does not suit.

    Source: Chen, Liaw and Breiman, Using Random Forest to Learn Imbalanced Data, 2004, section 2.1, for any classifier;
    Wallace et al., Class Imbalance, Redux, ICDM 2011.
    Deviates: both draw with replacement; here a class is only drawn so if it has too few examples, so that every bag
    has all of the smallest class.

    Examples
    --------
    Where the features say nothing, a tree gives a class its share, and balanced bags give all classes the same:

    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = [[0.0]] * 100, [0] * 90 + [1] * 10
    >>> DecisionTreeClassifier().fit(X, y).predict_proba([[0.0]]).tolist()
    [[0.9, 0.1]]
    >>> bags = BalancedBaggingClassifier(DecisionTreeClassifier(), n_estimators=3, random_state=0).fit(X, y)
    >>> bags.predict_proba([[0.0]]).tolist()
    [[0.5, 0.5]]
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        n_estimators: int = 10,
        per_class: int | str = "smallest",
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.per_class = per_class
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike) -> BalancedBaggingClassifier:
        """Fit clones of the estimator.

        Parameters
        ----------
        X : (n, n_features), as the estimator takes it
        y : (n,) labels
        """
        X, labels, by_class = self._start(X, y)
        rng = generator(self.random_state)
        size = bag_size(self.per_class, by_class)
        bags = [even_rows(by_class, size, rng) for _ in range(self.n_estimators)]
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(fitted)(self._member(), take(X, rows), labels[rows], seed)
            for rows, seed in zip(bags, seeds(rng, len(bags)), strict=True)
        )
        return self

    def _member(self) -> BaseEstimator:
        return self.estimator


class EasyEnsembleClassifier(BalancedBaggingClassifier):
    """Trains an AdaBoost classifier on each of several bags with equally many examples of every class.

    Probabilities assume equally frequent classes.

    Parameters
    ----------
    estimator : a scikit-learn classifier whose ``fit`` takes ``sample_weight``. AdaBoost takes no missing values
    n_estimators : number of bags
    per_class, n_jobs, random_state : see :class:`BalancedBaggingClassifier`
    n_boosts : rounds of AdaBoost in each bag

    Raises
    ------
    TailwiseError
        At ``fit``, if labels, weights or settings are out of range, or the estimator does not suit.

    Source: Liu, Wu and Zhou, Exploratory Undersampling for Class-Imbalance Learning, IEEE Transactions on Systems, Man,
    and Cybernetics B 2009, algorithm 1. Deviates: averages the probabilities of the AdaBoost classifiers instead of
    the votes of their weak learners.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        n_estimators: int = 10,
        per_class: int | str = "smallest",
        n_jobs: int | None = None,
        random_state: RandomState = None,
        n_boosts: int = 10,
    ) -> None:
        super().__init__(
            estimator, n_estimators=n_estimators, per_class=per_class, n_jobs=n_jobs, random_state=random_state
        )
        self.n_boosts = n_boosts

    def _start(self, X: Any, y: ArrayLike) -> tuple[Any, NDArray[Any], list[NDArray[np.intp]]]:
        X, labels, by_class = super()._start(X, y)
        whole("n_boosts", self.n_boosts, 1)
        values = X.data if sparse.issparse(X) else X
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and np.isnan(values).any():
            raise TailwiseError("the table holds NaN, but boosting takes no missing values: fill them in or use bags.")
        return X, labels, by_class

    def fit(self, X: Any, y: ArrayLike) -> EasyEnsembleClassifier:
        """Fit clones of the estimator; see :meth:`BalancedBaggingClassifier.fit`.

        Raises
        ------
        TailwiseError
            If the estimator does not learn from so small a bag, which boosting needs, or as for the other ensembles.
        """
        try:
            super().fit(X, y)
        except ValueError as error:
            if "worse than random" not in str(error):
                raise
            raise TailwiseError(
                f"{type(self.estimator).__name__} learns nothing from a bag, so it cannot be boosted: raise per_class, "
                "or let it have smaller leaves."
            ) from None
        return self

    def _member(self) -> BaseEstimator:
        check_classifier(self.estimator)
        if not has_fit_parameter(self.estimator, "sample_weight"):  # AdaBoost passes it on under this name
            name = type(self.estimator).__name__
            raise TailwiseError(f"{name} takes no sample_weight, so it cannot be boosted: choose another estimator.")
        return AdaBoostClassifier(self.estimator, n_estimators=self.n_boosts)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that AdaBoost takes no missing values."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags


class SelfPacedEnsembleClassifier(AveragedClassifier):
    """Trains classifiers one after another, each on a sample that depends on how hard the earlier ones find examples.

    The hardness of an example is one minus the ensemble's probability of its true class. A class with more than
    ``per_class`` examples is divided into hardness bins of equal width. Each bin's share of the next bag is
    proportional to ``1 / (mean hardness + α)`` with ``α = tan(π/2 · i/(n - 1))`` in round i, from 0. In early rounds
    all bins contribute the same total hardness, in the last the same number of examples, so neither the many easy
    examples nor outliers dominate.

    Probabilities assume equally frequent classes.

    Parameters
    ----------
    estimator : a scikit-learn classifier
    n_estimators : number of classifiers
    n_bins : number of hardness bins, k in the paper
    per_class : see :class:`BalancedBaggingClassifier`
    n_jobs : threads for ``predict_proba``
    random_state : seed or generator for the bags and the classifiers

    Attributes
    ----------
    estimators_ : the fitted classifiers
    classes_ : (n_classes,) labels

    Raises
    ------
    TailwiseError
        At ``fit``, if labels or settings are out of range, or the estimator does not suit.

    Source: Liu et al., Self-paced Ensemble for Highly Imbalanced Massive Data Classification, ICDE 2020, algorithm 1.
    Deviates: handles any number of classes, each sampled like the paper's majority class; the first classifier, trained
    on a random bag, is part of the average.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        n_estimators: int = 10,
        n_bins: int = 20,
        per_class: int | str = "smallest",
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.n_bins = n_bins
        self.per_class = per_class
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike) -> SelfPacedEnsembleClassifier:
        """Fit clones of the estimator.

        Parameters
        ----------
        X : (n, n_features), as the estimator takes it
        y : (n,) labels
        """
        X, labels, by_class = self._start(X, y)
        whole("n_bins", self.n_bins, 1)
        rng = generator(self.random_state)
        size = bag_size(self.per_class, by_class)
        member_seeds = seeds(rng, self.n_estimators)
        rows = even_rows(by_class, size, rng)
        self.estimators_: list[BaseEstimator] = []
        total = np.zeros(len(labels))
        for round_, seed in enumerate(member_seeds):
            if round_:
                probabilities = _probabilities(self.estimators_[-1], X, self.classes_)
                for c, own in enumerate(by_class):
                    total[own] += probabilities[own, c]
                alpha = np.tan(np.pi / 2 * round_ / (self.n_estimators - 1))
                hardness = 1 - total / round_
                rows = np.concatenate(
                    [
                        own[self_paced(hardness[own], size, self.n_bins, alpha, rng)]
                        if len(own) > size
                        else _some(own, size, rng)
                        for own in by_class
                    ]
                )
            self.estimators_.append(fitted(self.estimator, take(X, rows), labels[rows], seed))
        return self


def self_paced(
    hardness: NDArray[np.float64], size: int, n_bins: int, alpha: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the indices of ``size`` examples, drawn so that each hardness bin gets its self-paced share.

    Examples are drawn without replacement, with weights that give each bin its share. A bin that is too small gives all
    it has, and the others make up for it in proportion to their shares.

    Parameters
    ----------
    hardness : (n,) with n greater than ``size``
    alpha : self-paced factor, 0 or more
    """
    low, high = hardness.min(), hardness.max()
    if high - low < 1e-12:
        return rng.choice(len(hardness), size, replace=False)
    bins = np.minimum(((hardness - low) / (high - low) * n_bins).astype(np.intp), n_bins - 1)
    population = np.bincount(bins, minlength=n_bins)
    mean = np.bincount(bins, hardness, n_bins) / np.maximum(population, 1)
    share = np.where(population > 0, 1 / (mean + alpha + 1e-12), 0)
    # an example's key is exponential with its bin's rate per example: the smallest keys are a weighted sample
    rate = (share / np.maximum(population, 1))[bins]
    return np.argpartition(rng.exponential(size=len(bins)) / rate, size - 1)[:size]


def bag_size(per_class: int | str, by_class: list[NDArray[np.intp]]) -> int:
    """Return the number of examples of each class in a bag."""
    if per_class == "smallest":
        return min(map(len, by_class))
    if isinstance(per_class, str) or per_class < 1:
        raise TailwiseError(f"per_class must be 'smallest' or a number of at least 1; got {per_class!r}.")
    return int(per_class)


def even_rows(by_class: list[NDArray[np.intp]], size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``size`` rows of each class, without repetition if the class has enough."""
    return np.concatenate([_some(rows, size, rng) for rows in by_class])


def _some(rows: NDArray[np.intp], size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return rng.choice(rows, size, replace=len(rows) < size)


def fitted(
    estimator: BaseEstimator, X: Any, y: NDArray[Any], seed: int, sample_weight: NDArray[np.float64] | None = None
) -> BaseEstimator:
    """Return a fitted clone with every ``random_state`` set to the seed."""
    fresh = clone(estimator)
    named = {name: seed for name in fresh.get_params() if name.split("__")[-1] == "random_state"}
    return fit_classifier(fresh.set_params(**named), X, y, sample_weight)


def _probabilities(member: BaseEstimator, X: Any, classes: NDArray[Any]) -> NDArray[np.float64]:
    if hasattr(member, "predict_proba"):
        return member.predict_proba(X)
    return (np.asarray(member.predict(X))[:, None] == classes).astype(np.float64)
