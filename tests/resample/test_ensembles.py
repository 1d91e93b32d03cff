"""Ensembles on even bags: what is in a bag, what the probabilities mean, and that the rare class is found."""

import numpy as np
import pandas as pd
import pytest
from imblearn.ensemble import BalancedBaggingClassifier as Reference
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from tailwise.errors import TailwiseError
from tailwise.resample import (
    BalancedBaggingClassifier,
    EasyEnsembleClassifier,
    RUSBoostClassifier,
    SelfPacedEnsembleClassifier,
)
from tailwise.resample._ensembles import self_paced

ALL = [BalancedBaggingClassifier, EasyEnsembleClassifier, RUSBoostClassifier, SelfPacedEnsembleClassifier]
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)


def table(counts, seed=0, spread=1.2):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    return rng.normal(size=(len(labels), 4)) + spread * np.eye(len(counts), 4)[labels], labels


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks pass odd data on purpose
@pytest.mark.parametrize("ensemble", ALL)
def test_scikit_learns_contract(ensemble):
    check_estimator(ensemble(TREE, n_estimators=3, random_state=0))


@pytest.mark.parametrize("ensemble", ALL)
def test_the_rare_classes_are_found(ensemble):
    X, y = table([2000, 100, 15])
    unseen, truth = table([300, 300, 300], seed=1)
    plain = balanced_accuracy_score(truth, TREE.fit(X, y).predict(unseen))
    fitted = ensemble(TREE, random_state=0).fit(X, y)
    assert balanced_accuracy_score(truth, fitted.predict(unseen)) > plain + 0.1
    np.testing.assert_allclose(fitted.predict_proba(unseen).sum(axis=1), 1)


@pytest.mark.parametrize("ensemble", ALL)
def test_same_seed_same_answer_whatever_the_number_of_jobs(ensemble):
    X, y = table([200, 50, 10])
    first = ensemble(TREE, n_estimators=3, random_state=1).fit(X, y).predict_proba(X)
    again = ensemble(TREE, n_estimators=3, random_state=1)
    again.set_params(**{"n_jobs": 2} if "n_jobs" in again.get_params() else {})
    np.testing.assert_array_equal(first, again.fit(X, y).predict_proba(X))
    other = ensemble(TREE, n_estimators=3, random_state=2).fit(X, y).predict_proba(X)
    assert (first != other).any()


def test_every_step_of_a_pipeline_is_seeded():
    X, y = table([200, 50, 10])
    piped = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=3, splitter="random"))
    first, again = (
        BalancedBaggingClassifier(piped, n_estimators=3, random_state=0).fit(X, y).predict_proba(X) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("ensemble", [BalancedBaggingClassifier, SelfPacedEnsembleClassifier])
def test_every_bag_is_even(ensemble):
    X, y = table([300, 60, 7])
    for per_class, size in [("smallest", 7), (40, 40)]:
        members = (
            ensemble(KNeighborsClassifier(1), n_estimators=4, per_class=per_class, random_state=0).fit(X, y).estimators_
        )
        for member in members:
            np.testing.assert_array_equal(np.bincount(member._y), [size] * 3)
            head = member._fit_X[member._y == 0]
            assert len(np.unique(head, axis=0)) == size  # all different where there are enough
    assert (members[0]._fit_X != members[1]._fit_X).any()


def test_every_bag_is_boosted_as_often_as_asked():
    X, y = table([60, 30])
    ensemble = EasyEnsembleClassifier(DecisionTreeClassifier(max_depth=1), n_estimators=2, n_boosts=7, random_state=0)
    assert [len(member.estimators_) for member in ensemble.fit(X, y).estimators_] == [7, 7]


def test_probabilities_assume_equal_classes():
    X, y = table([20_000, 500], spread=1.0)
    fitted = BalancedBaggingClassifier(LogisticRegression(C=1e6), random_state=0).fit(X, y)
    # equal covariance, means one unit apart on two axes: the boundary for equal priors is where x0 = x1
    on_boundary = np.array([[0.5, 0.5, 0, 0]])
    assert fitted.predict_proba(on_boundary)[0, 0] == pytest.approx(0.5, abs=0.05)


def test_balanced_bags_do_as_well_as_imbalanced_learns():
    unseen, truth = table([400, 400], seed=9)
    ours, theirs = [], []
    for seed in range(4):
        X, y = table([1500, 60], seed=seed)
        ours.append(BalancedBaggingClassifier(TREE, random_state=seed).fit(X, y).score(unseen, truth))
        theirs.append(Reference(TREE, random_state=seed).fit(X, y).score(unseen, truth))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.03)


def test_classifiers_without_probabilities_vote():
    X, y = table([200, 30])
    fitted = BalancedBaggingClassifier(LinearSVC(), n_estimators=4, random_state=0).fit(X, y)
    votes = fitted.predict_proba(X) * 4
    np.testing.assert_allclose(votes, votes.round(), atol=1e-12)


def test_frames_and_missing_values():
    X, y = table([200, 30])
    X[::7, 1] = np.nan
    frame = pd.DataFrame(X, columns=list("abcd"))
    fitted = SelfPacedEnsembleClassifier(
        HistGradientBoostingClassifier(max_iter=3), n_estimators=3, random_state=0
    ).fit(frame, y)
    assert list(fitted.feature_names_in_) == list("abcd")
    assert fitted.predict(frame).shape == y.shape


class Sure(ClassifierMixin, BaseEstimator):
    """A classifier that learns nothing: the probability of class 1 is the first column."""

    def fit(self, X, y):
        self.seen_, self.classes_ = X[y == 0, 0], np.unique(y)
        return self

    def predict_proba(self, X):
        return np.stack([1 - X[:, 0], X[:, 0]], axis=1)


def test_self_paced_shares_follow_the_equation_in_every_round():
    rng = np.random.default_rng(0)
    bins = np.repeat([0, 1, 2], [50_000, 30_000, 20_000])
    hardness = rng.uniform([0, 0.4, 0.9], [0.04, 0.6, 1], (100_000, 3))[np.arange(100_000), bins]
    mean = np.array([hardness[bins == b].mean() for b in range(3)])
    X = np.append(hardness, np.full(3000, 0.5))[:, None]
    y = np.repeat([0, 1], [100_000, 3000])
    members = SelfPacedEnsembleClassifier(Sure(), n_estimators=4, n_bins=3, random_state=0).fit(X, y).estimators_
    shares = [np.array([0.5, 0.3, 0.2]), *(1 / (mean + np.tan(np.pi / 2 * i / 3)) for i in (1, 2)), np.ones(3)]
    for member, share in zip(members, shares, strict=True):
        drawn = np.histogram(member.seen_, [0, 0.3, 0.7, 1])[0]
        np.testing.assert_allclose(drawn, 3000 * share / share.sum(), atol=4 * np.sqrt(3000 / 3 * 2 / 3))


def test_self_paced_draws_no_example_twice_and_always_enough():
    rng = np.random.default_rng(0)
    hardness = np.array([0.0] * 30 + [1.0] * 2)
    drawn = self_paced(hardness, 20, 5, 100.0, rng)
    assert len(set(drawn)) == 20
    assert len(set(self_paced(np.zeros(30), 20, 5, 1.0, rng))) == 20


def test_one_line_for_what_cannot_be():
    X, y = table([20, 5])
    with pytest.raises(TailwiseError, match="per_class must be 'smallest' or a number"):
        BalancedBaggingClassifier(TREE, per_class="mean").fit(X, y)
    with pytest.raises(TailwiseError, match="n_estimators must be a whole number of at least 1; got 0"):
        SelfPacedEnsembleClassifier(TREE, n_estimators=0).fit(X, y)
    with pytest.raises(TailwiseError, match="HistGradientBoostingClassifier learns nothing from a bag"):
        EasyEnsembleClassifier(HistGradientBoostingClassifier(), random_state=0).fit(X, y)
    with pytest.raises(TailwiseError, match="n_bins must be a whole number; got '5'"):
        SelfPacedEnsembleClassifier(TREE, n_bins="5").fit(X, y)
    with pytest.raises(TailwiseError, match="n_bins must be a whole number of at least 1; got 0"):
        SelfPacedEnsembleClassifier(TREE, n_bins=0).fit(X, y)
    with pytest.raises(TailwiseError, match="n_boosts must be a whole number of at least 1; got 0"):
        EasyEnsembleClassifier(TREE, n_boosts=0).fit(X, y)
    with pytest.raises(TailwiseError, match="n_estimators must be a whole number"):
        BalancedBaggingClassifier(TREE, n_estimators=2.5).fit(X, y)
    with pytest.raises(TailwiseError, match="KNeighborsClassifier takes no sample_weight"):
        RUSBoostClassifier(KNeighborsClassifier()).fit(X, y)


class Noted(DecisionTreeClassifier):
    """A tree that notes what it was fitted to."""

    def fit(self, X, y, sample_weight=None):
        self.seen_, self.weights_ = X[:, 0], sample_weight
        return super().fit(X, y, sample_weight)


def test_boosting_leaves_out_rounds_of_noise_and_starts_again_with_equal_weights():
    X, y = np.random.default_rng(0).normal(size=(300, 4)), np.repeat([0, 1, 2], [200, 80, 20])
    boosted = RUSBoostClassifier(Noted(max_depth=3), n_estimators=20, random_state=0).fit(X, y)
    assert 1 < len(boosted.estimators_) < 20
    assert boosted.estimator_weights_[1:].min() > 1e-9
    assert any(np.ptp(member.weights_) == 0 for member in boosted.estimators_[2:])
    assert np.isfinite(boosted.predict_proba(X)).all()


@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_votes_and_weights_of_boosting_follow_samme(rate):
    X, y = table([300, 60, 30])
    order = X[:, 0].argsort()
    X, y = X[order], y[order]
    boosted = RUSBoostClassifier(Noted(max_depth=3), n_estimators=4, learning_rate=rate, random_state=0).fit(X, y)
    weights, shares = np.full(len(y), 1 / len(y)), np.zeros((len(y), 3))
    for member, vote in zip(boosted.estimators_, boosted.estimator_weights_, strict=True):
        seen = weights[np.searchsorted(X[:, 0], member.seen_)]
        np.testing.assert_allclose(member.weights_ / member.weights_.sum(), seen / seen.sum())
        predicted = member.predict(X)
        error = weights[predicted != y].sum()
        assert vote == pytest.approx(rate * (np.log((1 - error) / error) + np.log(3 - 1)))
        weights[predicted != y] *= np.exp(vote)
        weights /= weights.sum()
        shares[np.arange(len(y)), predicted] += vote
    assert len(boosted.estimators_) == 4, "no round was discarded"
    np.testing.assert_allclose(boosted.predict_proba(X), shares / boosted.estimator_weights_.sum())
