"""Calibration and thresholds where each example has a set of labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.metrics import f1_score

from tailwise.errors import TailwiseError
from tailwise.posthoc import fit_label_wise, tune_f1


def make(n=4000, share=(0.4, 0.1, 0.03, 0.005), seed=0):
    """Log odds that are honest, and rows drawn from them."""
    rng = np.random.default_rng(seed)
    log_odds = 1.5 * rng.normal(size=(n, len(share))) + np.log(share) - np.log1p(-np.array(share))
    return log_odds, (rng.random(log_odds.shape) < expit(log_odds)).astype(int)


def test_takes_back_what_was_done_to_the_odds():
    log_odds, rows = make(40_000)
    step = fit_label_wise(2 * log_odds + [3.0, 0.0, 5.0, 2.0], rows)
    assert step.scale == pytest.approx(0.5, rel=0.03)
    np.testing.assert_allclose(step.bias, [-1.5, 0, -2.5, -1], atol=0.15)


@pytest.mark.parametrize("strength", [0.3, 1.0, 20.0])
def test_is_the_likeliest_under_its_prior(strength):
    log_odds, rows = make(300)
    z = 0.7 * log_odds + [1.0, 0.0, -1.0, 2.0]

    def loss(parameters):  # the definition, in float64
        scale, bias = np.exp(parameters[0]), parameters[1:]
        margin = (2 * rows - 1) * (z * scale + bias)
        return np.log1p(np.exp(-margin)).sum() + strength / 2 * ((bias - bias.mean()) ** 2).sum()

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-6})
    step = fit_label_wise(z, rows, strength=strength)
    assert loss(np.r_[np.log(step.scale), step.bias]) == pytest.approx(best.fun, abs=1e-3)
    np.testing.assert_allclose(step.bias, best.x[1:], atol=0.02)


def test_rare_labels_lean_on_the_others():
    log_odds, rows = make(2000)
    z = log_odds + 2.0
    rows[:, 3] = 0
    step = fit_label_wise(z, rows)
    assert np.isfinite(step.bias).all()
    assert -9 < step.bias[3] < -2  # no example has it: less likely than the others say, and not impossible
    np.testing.assert_allclose(step.bias[:2], -2, atol=0.3)


@given(st.permutations(range(4)), st.integers(0, 50))
@settings(max_examples=20)
def test_the_order_of_the_labels_does_not_matter(order, seed):
    log_odds, rows = make(200, seed=seed)
    order = list(order)
    for fit in (fit_label_wise, tune_f1):
        step, turned = fit(log_odds, rows), fit(log_odds[:, order], rows[:, order])
        np.testing.assert_allclose(turned.bias, np.array(step.bias)[order], atol=0.02)


def best_cut(log_odds, expected):
    """Return the best F1 of the examples above a cut, and where it is: in the middle between two scores."""
    order = (-log_odds).argsort()
    f1 = 2 * expected[order].cumsum() / (expected.sum() + np.arange(1, len(order) + 1))
    return f1.max(), log_odds[order[f1.argmax() :][:2]].mean()


def test_thresholds_are_where_f1_is_best():
    log_odds, rows = make(400, (0.5, 0.02))
    log_odds += 1  # which the probabilities and the examples do not agree on
    bias = tune_f1(log_odds, rows).bias
    for label, n in enumerate(rows.sum(axis=0)):
        expected = (n * rows[:, label] + 20 * expit(log_odds[:, label])) / (n + 20)
        assert -bias[label] == pytest.approx(best_cut(log_odds[:, label], expected)[1])
    pooled = tune_f1(log_odds, rows, pooled=True)
    best, cut = best_cut(log_odds.ravel(), rows.ravel())
    assert pooled.bias == pytest.approx((-cut, -cut))
    assert f1_score(rows, pooled(log_odds) > 0, average="micro") == pytest.approx(best)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_threshold_stays_at_one_half_if_no_other_is_better(pooled):
    log_odds = np.array([-90.0, -80.0, -70.0, 5.0])[:, None]
    assert tune_f1(log_odds, log_odds > 0, pooled=pooled).bias == (0,)
    assert tune_f1(np.abs(log_odds), log_odds < 99, pooled=pooled).bias == (0,)


def test_one_held_out_example_does_not_decide_alone():
    """Its threshold would be just below it, be it the likeliest of all or the least likely."""
    log_odds, _ = make(1000, (0.02,))
    best = log_odds[:, 0].argsort()
    thresholds = []
    for place in (best[-1], best[0]):
        rows = np.zeros((1000, 1), int)
        rows[place] = 1
        thresholds.append(-tune_f1(log_odds, rows).bias[0])
    assert thresholds[1] > log_odds.min() + 1
    assert thresholds[0] < log_odds.max()


def test_a_label_without_held_out_examples_keeps_one_half():
    log_odds, rows = make(300)
    rows[:, 1] = 0
    assert tune_f1(log_odds, rows).bias[1] == 0
    assert set(tune_f1(log_odds, 0 * rows, pooled=True).bias) == {0}


@pytest.mark.parametrize(("log_odds", "positive"), [([-2.0] * 60, [1] * 30 + [0] * 30), ([0.0] * 3, [1] * 3)])
def test_examples_with_one_score_are_not_parted(log_odds, positive):
    log_odds = np.array(log_odds)[:, None]
    assert (tune_f1(log_odds, np.array(positive)[:, None])(log_odds) > 0).all()


def test_what_cannot_be_fitted_is_one_line():
    log_odds, rows = make(10)
    with pytest.raises(TailwiseError, match=r"must both be \(n, n_labels\)"):
        fit_label_wise(log_odds, rows[:, :2])
    with pytest.raises(TailwiseError, match="scores must be finite"):
        tune_f1(np.where(log_odds > 0, np.inf, log_odds), rows)
    with pytest.raises(TailwiseError, match="strength must be at least 0"):
        fit_label_wise(log_odds, rows, strength=-1)
    for odd in (rows * 0.3, rows - 1, np.where(rows > 0, np.nan, 0.0)):
        with pytest.raises(TailwiseError, match="rows must be an indicator of 0 and 1"):
            tune_f1(log_odds, odd)


def test_sparse_indicators_are_as_good_as_dense_ones():
    log_odds, rows = make(200)
    for fit in (fit_label_wise, tune_f1):
        np.testing.assert_array_equal(fit(log_odds, csr_array(rows)).bias, fit(log_odds, rows).bias)
