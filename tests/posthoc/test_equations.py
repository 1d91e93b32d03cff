"""Each step against an independent float64 reading of its equation, its limits, and what it recovers by simulation."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.stats import binom, chi2

from tailwise import posthoc
from tailwise.errors import TailwiseError
from tailwise.metrics import OBJECTIVES

COUNTS = np.array([1000, 300, 40, 5])
finite = st.floats(-30, 30, width=32)
scores_of = arrays(np.float64, st.tuples(st.integers(1, 12), st.just(4)), elements=finite)


def simulated(n, prior, seed, sharpness=1.5):
    """Draw labels and scores that are exactly log p(y | x) up to a constant, for Gaussian classes."""
    rng = np.random.default_rng(seed)
    k = len(prior)
    labels = rng.choice(k, n, p=prior)
    x = rng.normal(size=(n, k)) + sharpness * np.eye(k)[labels]
    return sharpness * x + np.log(prior), labels


def test_logit_adjustment_is_its_equation():
    scores = np.random.default_rng(0).normal(size=(20, 4))
    adjusted = posthoc.logit_adjustment(COUNTS, tau=0.7)(scores)
    total = sum(float(n) for n in COUNTS)
    for row, found in zip(scores, adjusted, strict=True):
        for c in range(4):
            assert found[c] == pytest.approx(row[c] - 0.7 * np.log(COUNTS[c] / total), rel=1e-12)


def test_rarer_classes_gain_more():
    assert (np.diff(posthoc.logit_adjustment(COUNTS).bias) > 0).all()
    assert (np.diff(posthoc.prior_shift(COUNTS, np.ones(4)).bias) > 0).all()


@given(scores_of)
@settings(max_examples=40)
def test_limits_leave_decisions_and_probabilities_as_they_were(scores):
    before = posthoc.softmax(scores)
    for step in (
        posthoc.logit_adjustment(COUNTS, tau=0),
        posthoc.logit_adjustment([7, 7, 7, 7]),
        posthoc.prior_shift(COUNTS, COUNTS),
    ):
        np.testing.assert_allclose(posthoc.softmax(step(scores)), before, atol=1e-12)


@given(scores_of, st.floats(-100, 100))
@settings(max_examples=40)
def test_a_shift_of_all_scores_changes_nothing(scores, shift):
    np.testing.assert_allclose(posthoc.softmax(scores + shift), posthoc.softmax(scores), atol=1e-10)


def test_a_shift_there_and_back_is_the_identity():
    scores = np.random.default_rng(1).normal(size=(50, 4))
    there, back = posthoc.prior_shift(COUNTS, [1, 2, 3, 4]), posthoc.prior_shift([1, 2, 3, 4], COUNTS)
    np.testing.assert_allclose(
        posthoc.softmax(posthoc.apply([there, back], scores)), posthoc.softmax(scores), atol=1e-12
    )


def test_a_prior_shift_is_bayes_rule():
    source, target = np.array([0.7, 0.2, 0.08, 0.02]), np.array([0.1, 0.2, 0.3, 0.4])
    p = posthoc.softmax(np.random.default_rng(2).normal(size=(30, 4)))
    expected = p * target / source
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(posthoc.softmax(posthoc.prior_shift(source, target)(np.log(p))), expected, rtol=1e-10)


@pytest.mark.parametrize("counts", [[10**6, 1], [10**6, 0, 1], [0, 0, 5]])
def test_extreme_and_empty_classes_stay_finite(counts):
    for step in (posthoc.logit_adjustment(counts), posthoc.prior_shift(counts, np.ones(len(counts)))):
        assert np.isfinite(step.bias).all()
    assert np.isfinite(posthoc.prior_shift(np.ones(len(counts)), counts).bias).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_half_precision_scores_are_computed_in_float64(dtype):
    scores = np.random.default_rng(3).normal(size=(5, 4)).astype(dtype)
    assert posthoc.logit_adjustment(COUNTS)(scores).dtype == np.float64
    np.testing.assert_allclose(posthoc.softmax(scores).sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found_again(temperature):
    scores, labels = simulated(20_000, np.array([0.6, 0.3, 0.1]), 0)
    step = posthoc.fit_temperature(scores * temperature, labels)
    assert 1 / step.scale == pytest.approx(temperature, rel=0.05)
    assert not any(step.bias)


def test_the_temperature_of_few_scores_in_a_small_unit_is_the_best_of_all():
    for seed in range(5):
        scores, labels = simulated(40, np.array([0.6, 0.3, 0.1]), seed)

        def total(log_scale, z=scores / 300, y=labels):
            likelihood = posthoc.log_softmax(z * np.exp(log_scale))[np.arange(len(y)), y].sum()
            return log_scale**2 / 2 - likelihood  # which has a minimum near 0, too

        found = np.log(posthoc.fit_temperature(scores / 300, labels).scale)
        assert total(found) <= min(map(total, np.linspace(-4.6, 4.6, 200))) + 1e-3


@pytest.mark.parametrize("scores", [np.zeros((5, 2)), [[1.0, 1.0], [3.0, 3.0], [-2.0, -2.0], [0.0, 0.0], [9.0, 9.0]]])
def test_scores_that_say_nothing_keep_their_temperature(scores):
    assert posthoc.fit_temperature(scores, [0, 1, 0, 1, 1]).scale == 1
    assert posthoc.fit_class_wise(scores, [0, 1, 0, 1, 1]).scale == 1


def test_class_wise_calibration_corrects_a_class_with_many_examples_and_hardly_one_with_few():
    scores, labels = simulated(20_000, np.array([0.6, 0.3999, 0.0001]), 1)
    moved = scores + np.array([0, 1.0, 1.0])
    step = posthoc.fit_class_wise(moved, labels)
    bias = np.array(step.bias) - step.bias[0]
    assert bias[1] == pytest.approx(-1, abs=0.1)
    assert abs(bias[2]) < 1
    proba = posthoc.softmax(posthoc.fit_class_wise(moved, labels, strength=1)(moved))
    np.testing.assert_allclose(proba.sum(axis=0), np.bincount(labels, minlength=3), atol=2)


@pytest.mark.parametrize("strength", [0.5, 10.0])
def test_calibration_is_the_likeliest_under_its_priors(strength):
    scores, labels = simulated(40, np.array([0.5, 0.3, 0.2]), 2)
    weights = np.random.default_rng(0).uniform(0.1, 3, 40)

    def loss(log_scale, bias):
        log_p = posthoc.log_softmax(scores * np.exp(log_scale) + bias)
        return -weights @ log_p[np.arange(40), labels] + log_scale**2 / 2 + strength / 2 * (bias**2).sum()

    best = minimize(lambda x: loss(x[0], x[1:]), np.zeros(4), method="BFGS", options={"gtol": 1e-7}).x
    step = posthoc.fit_class_wise(scores, labels, weights, strength=strength)
    np.testing.assert_allclose([np.log(step.scale), *step.bias], best, atol=0.005)
    alone = minimize(lambda x: loss(x[0], np.zeros(3)), [0.0], options={"gtol": 1e-7}).x
    assert np.log(posthoc.fit_temperature(scores, labels, weights).scale) == pytest.approx(alone[0], abs=1e-4)


def test_expectation_maximisation_finds_the_prior():
    source, target = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    rng = np.random.default_rng(4)
    labels = rng.choice(3, 20_000, p=target)
    x = rng.normal(size=(20_000, 3)) + 2 * np.eye(3)[labels]
    proba = posthoc.softmax(2 * x + np.log(source))
    np.testing.assert_allclose(posthoc.estimate_prior_em(proba, source), target, atol=0.015)


def test_a_row_that_is_sure_of_a_class_without_share_says_nothing():
    proba = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    found = posthoc.estimate_prior_em(proba, [3, 1, 0])
    np.testing.assert_allclose(found, posthoc.estimate_prior_em(proba[:2], [3, 1, 0]), atol=1e-6)
    assert found[2] == 0


def test_em_is_held_by_examples_of_the_source() -> None:
    """Added examples are as if so many rows were certain, in the shares of the source."""
    source, proba = np.array([0.7, 0.2, 0.1]), np.random.default_rng(0).dirichlet([1, 1, 1], 25)
    held = posthoc.estimate_prior_em(proba, source, strength=20.0)
    certain = np.repeat(np.eye(3), [14, 4, 2], axis=0)
    np.testing.assert_allclose(held, posthoc.estimate_prior_em(np.vstack([proba, certain]), source), atol=1e-6)
    np.testing.assert_allclose(posthoc.estimate_prior_em(proba, source, strength=1e9), source, atol=1e-6)


def test_a_shift_to_nothing_beside_next_to_nothing_is_finite() -> None:
    assert np.isfinite(posthoc.prior_shift([0.5, 0.5, 1e-9], [1, 0, 1e-30]).bias).all()


def test_a_shift_is_told_from_chance() -> None:
    """Of well calibrated probabilities, one in a hundred samples of the same prior is taken for a shift at 0.01."""
    rng, source = np.random.default_rng(0), np.array([0.7, 0.25, 0.05])
    centres, found = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]]), []

    def posterior(labels: np.ndarray) -> np.ndarray:
        x = centres[labels] + rng.normal(size=(len(labels), 2))
        return posthoc.softmax(np.log(source) - ((x[:, None] - centres) ** 2).sum(axis=2) / 2)

    for _ in range(400):
        proba = posterior(rng.choice(3, 200, p=source))
        found.append(posthoc.shift_p_value(proba, source, posthoc.estimate_prior_em(proba, source)))
    assert np.mean(np.array(found) < 0.01) < 0.03
    assert np.mean(np.array(found) < 0.5) == pytest.approx(0.5, abs=0.1)
    shifted = posterior(rng.choice(3, 200, p=[0.4, 0.4, 0.2]))
    assert posthoc.shift_p_value(shifted, source, posthoc.estimate_prior_em(shifted, source)) < 1e-4
    assert posthoc.shift_p_value(shifted, source, source) == 1


def test_a_class_without_share_in_the_source_is_no_degree_of_freedom():
    proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    wider = np.column_stack([proba, np.zeros(3)])
    found = posthoc.shift_p_value(wider, [3, 1, 0], [1, 1, 0])
    assert found == pytest.approx(posthoc.shift_p_value(proba, [3, 1], [1, 1]))
    assert found == pytest.approx(chi2.sf(2 * np.log(proba @ [2 / 3, 2]).sum(), 1))


def test_a_class_without_share_in_the_target_is_out() -> None:
    scores = np.log(np.random.default_rng(0).dirichlet([1, 1, 1], 500))
    moved = posthoc.softmax(posthoc.prior_shift([0.98, 0.01, 0.01], [0.999, 0.001, 0])(scores))
    assert np.isfinite(moved).all()
    assert moved[:, 2].max() < 1e-250
    np.testing.assert_allclose(moved.sum(axis=1), 1)


def test_black_box_shift_estimation_inverts_the_confusion_of_each_label():
    labels, predicted = np.repeat([0, 1], [10, 5]), np.repeat([0, 1, 0, 1], [8, 2, 1, 4])
    new = np.repeat([0, 1], [38, 62])  # 0.8 * 0.3 + 0.2 * 0.7 are taken for the first
    np.testing.assert_allclose(posthoc.estimate_prior_bbse(labels, predicted, new, 2), [0.3, 0.7], atol=1e-6)


def test_black_box_shift_estimation_finds_the_prior_and_survives_a_class_never_predicted():
    source, target = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    held, labels = simulated(20_000, source, 5, sharpness=2.5)
    new, _ = simulated(20_000, target, 6, sharpness=2.5)
    new = new - np.log(target) + np.log(source)
    found = posthoc.estimate_prior_bbse(labels, held.argmax(1), new.argmax(1), 3)
    np.testing.assert_allclose(found, target, atol=0.03)
    two = posthoc.estimate_prior_bbse([0, 0, 1, 1, 2], [0, 0, 1, 1, 1], [0, 1, 1, 1], 4)
    assert two.sum() == pytest.approx(1)
    assert (two >= 0).all()
    assert two[3] == 0


def test_black_box_shift_estimation_is_the_nearest_prior_where_none_fits():
    labels, predicted = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 0, 1, 2, 1, 2], [8, 2, 2, 6, 2, 2, 8])
    new = np.repeat([0, 1, 2], [28, 2, 10])  # class 1 is predicted less than for any label
    first, last, seen = np.array([[0.8, 0.2, 0], [0, 0.2, 0.8], [0.7, 0.05, 0.25]])
    share = (seen - last) @ (first - last) / ((first - last) @ (first - last))
    np.testing.assert_allclose(posthoc.estimate_prior_bbse(labels, predicted, new, 3), [share, 0, 1 - share], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16])
def test_the_labels_type_does_not_matter(dtype):
    scores, labels = simulated(2000, np.full(20, 0.05), 13)
    counts, predicted = np.bincount(labels) * 10, scores.argmax(1)
    small, small_predicted = labels.astype(dtype), predicted.astype(dtype)
    for fit in (
        lambda y, _: posthoc.tune_bias(scores, y, OBJECTIVES["balanced_accuracy"], counts),
        lambda y, h: posthoc.estimate_prior_bbse(y, h, h[:500], 20).tolist(),
    ):
        assert fit(small, small_predicted) == fit(labels, predicted)


@pytest.mark.parametrize("fit", [posthoc.fit_temperature, posthoc.fit_class_wise])
def test_answers_that_happen_to_be_all_right_are_not_made_certain(fit):
    scores, labels = simulated(30, np.full(3, 1 / 3), 3)
    labels = scores.argmax(axis=1)
    step = fit(scores, labels)
    assert step.scale < 10  # the likelihood alone rises without end
    many, truth = simulated(5000, np.full(3, 1 / 3), 4)
    assert fit(4 * many, truth).scale == pytest.approx(fit(many, truth).scale / 4, rel=2e-3)


def test_prediction_sets_keep_their_promise_for_every_class():
    prior = np.array([0.8, 0.15, 0.05])
    scores, labels = simulated(8000, prior, 7, sharpness=1.0)
    fresh, truth = simulated(40_000, prior, 8, sharpness=1.0)
    sets = posthoc.ConformalSets.fit(posthoc.softmax(scores), labels, 0.9)
    inside = sets(posthoc.softmax(fresh))[np.arange(len(truth)), truth]
    for c in range(3):
        calibration, test = (labels == c).sum(), (truth == c).sum()
        # coverage given the calibration set is Beta distributed around 0.9; test noise is binomial
        spread = np.sqrt(0.09 / calibration + 0.09 / test)
        assert inside[truth == c].mean() > 0.9 - 4 * spread
    assert inside[truth == 2].mean() < 0.9 + 4 * spread + 1 / calibration, "nor is it exceeded where it need not be"
    marginal = sets(posthoc.softmax(fresh), class_conditional=False)[np.arange(len(truth)), truth]
    assert abs(marginal.mean() - 0.9) < 4 * np.sqrt(0.09 / 8000 + 0.09 / 40_000)
    assert marginal[truth == 2].mean() < 0.7, "with one threshold, the rare class pays"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("coverage", [0.7, 0.8, 0.9])
def test_tied_probabilities_are_in_the_set_whatever_their_type(dtype, coverage):
    rng = np.random.default_rng(14)
    first = rng.integers(1, 10, 4000) / 10
    proba, labels = np.stack([first, 1 - first], axis=1).astype(dtype), (rng.random(4000) > first).astype(int)
    inside = posthoc.ConformalSets.fit(proba, labels, coverage)(proba)
    assert inside[np.arange(4000), labels].mean() >= coverage


def test_sets_of_many_rows_are_those_of_each_row():
    proba = posthoc.softmax(np.random.default_rng(15).normal(size=(3000, 300)))
    sets = posthoc.ConformalSets.fit(proba, proba.argmax(axis=1), 0.5)
    inside = sets(proba)
    np.testing.assert_array_equal(inside[::97], [sets(row[None])[0] for row in proba[::97]])
    assert sets(proba[:0]).shape == (0, 300)


def test_rare_classes_share_a_threshold():
    labels = np.repeat([0, 1, 2], [50, 5, 6])
    proba = np.full((61, 3), 0.1)
    proba[np.arange(61), labels] = 0.8 - 0.01 * np.arange(61) / 61
    sets = posthoc.ConformalSets.fit(proba, labels, 0.9)
    assert sets.pooled == (1, 2)
    assert sets.thresholds[1] == sets.thresholds[2]
    expected = np.sort(1 - proba[np.arange(61), labels][labels > 0])[int(np.ceil(12 * 0.9)) - 1]
    assert sets.thresholds[1] == pytest.approx(expected)
    lonely = posthoc.ConformalSets.fit(proba[:52], labels[:52], 0.9)
    assert lonely.thresholds[1] == lonely.marginal


def test_the_most_probable_class_is_always_in_the_set():
    sets = posthoc.ConformalSets.fit(np.full((20, 2), [0.9, 0.1]), np.zeros(20, dtype=int), 0.5)
    assert sets([[0.6, 0.4], [0.3, 0.7]]).tolist() == [[True, False], [False, True]]


def test_the_rank_of_the_threshold_is_the_finite_sample_one():
    proba = np.stack([np.linspace(0.5, 1, 19), 1 - np.linspace(0.5, 1, 19)], axis=1)
    sets = posthoc.ConformalSets.fit(proba, np.zeros(19, dtype=int), 0.9)
    assert sets.thresholds[0] == pytest.approx(np.sort(1 - proba[:, 0])[17])  # ceil(20 * 0.9) = 18th smallest
    for n, pooled in ((8, (0, 1)), (9, (1,))):  # ceil(9 * 0.9) = 9 is more than there are, ceil(10 * 0.9) = 9 is not
        assert posthoc.ConformalSets.fit(proba[:n], np.zeros(n, dtype=int), 0.9).pooled == pooled
    assert binom.sf(17, 19, 0.9) > 0.4  # a guard on the numbers above: 18 of 19 is what 90 % coverage asks for


def test_a_weight_is_as_good_as_that_many_examples() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    scores = rng.normal(size=(200, 3)) + 2 * np.eye(3)[labels]
    weights = np.array([1, 4, 2])[labels]
    rows = np.repeat(np.arange(200), weights)
    weighted, repeated = (
        posthoc.fit_temperature(scores, labels, weights),
        posthoc.fit_temperature(scores[rows], labels[rows]),
    )
    assert weighted.scale == pytest.approx(repeated.scale, rel=1e-5)
    proba = posthoc.softmax(scores)
    weighted, repeated = (
        posthoc.ConformalSets.fit(proba, labels, 0.8, weights),
        posthoc.ConformalSets.fit(proba[rows], labels[rows], 0.8),
    )
    assert weighted.marginal == pytest.approx(repeated.marginal, abs=0.02)  # which has more examples
    for unit in (100.0, 1 / 200, 0.9, 1.3):
        equal = posthoc.ConformalSets.fit(proba, labels, 0.8, np.full(200, unit))
        assert equal == posthoc.ConformalSets.fit(proba, labels, 0.8), "the unit of weights does not matter"
    assert weighted.thresholds == posthoc.ConformalSets.fit(proba, labels, 0.8).thresholds


@pytest.mark.parametrize("name", OBJECTIVES)
def test_tuned_thresholds_are_never_worse_than_none_where_they_were_tuned(name):
    scores, labels = simulated(1500, COUNTS / COUNTS.sum(), 9)
    objective = OBJECTIVES[name]
    step = posthoc.tune_bias(scores, labels, objective, COUNTS)

    def score(z):
        return objective(np.bincount(labels * 4 + z.argmax(1), minlength=16).reshape(4, 4), COUNTS)

    assert score(step(scores)) >= score(scores)


def test_thresholds_are_tuned_by_shares_as_by_counts():
    scores, labels = simulated(1500, COUNTS / COUNTS.sum(), 9)
    by_counts, by_shares = (
        posthoc.tune_bias(scores, labels, OBJECTIVES["balanced_accuracy"], given).bias
        for given in (COUNTS, COUNTS / COUNTS.sum())
    )
    np.testing.assert_allclose(by_counts, by_shares, atol=1e-9)


def test_thresholds_of_their_own_are_found_where_the_scores_are_biased_and_refused_where_they_are_not():
    prior = np.full(3, 1 / 3)
    scores, labels = simulated(3000, prior, 10)
    equal = np.array([1000, 1000, 1000])
    objective = OBJECTIVES["balanced_accuracy"]
    assert np.ptp(posthoc.tune_bias(scores, labels, objective, equal).bias) < 1e-12
    moved = posthoc.tune_bias(scores + np.array([0, 2.0, 0]), labels, objective, equal)
    assert moved.bias[1] - moved.bias[0] == pytest.approx(-2, abs=0.4)


def test_thresholds_of_their_own_are_seldom_kept_where_only_chance_speaks_for_them():
    kept, prior = 0, np.array([0.5, 0.3, 0.2])
    for seed in range(20):
        scores, labels = simulated(100, prior, seed)
        bias = posthoc.tune_bias(scores, labels, OBJECTIVES["accuracy"], 100 * prior).bias
        kept += np.abs(np.cross(bias, np.log(prior))).max() > 1e-9  # more than a factor on the log prior
    assert kept <= 2


def test_of_factors_on_the_log_prior_that_do_equally_well_the_one_nearest_to_one_is_taken():
    labels = np.repeat(np.arange(4), 5)
    step = posthoc.tune_bias(100 * np.eye(4)[labels], labels, OBJECTIVES["accuracy"], COUNTS)
    np.testing.assert_allclose(step.bias, posthoc.logit_adjustment(COUNTS).bias)


def test_classes_may_be_permuted():
    scores, labels = simulated(800, COUNTS / COUNTS.sum(), 11)
    order = np.array([2, 0, 3, 1])
    place = np.argsort(order)
    for fit in (
        lambda z, y, n: posthoc.logit_adjustment(n),
        lambda z, y, n: posthoc.fit_temperature(z, y),
        lambda z, y, n: posthoc.tune_bias(z, y, OBJECTIVES["balanced_accuracy"], n),
    ):
        step, other = fit(scores, labels, COUNTS), fit(scores[:, order], place[labels], COUNTS[order])
        np.testing.assert_allclose(np.array(step.bias)[order], other.bias, atol=1e-6)
    sets = posthoc.ConformalSets.fit(posthoc.softmax(scores), labels)
    swapped = posthoc.ConformalSets.fit(posthoc.softmax(scores[:, order]), place[labels])
    np.testing.assert_allclose(np.array(sets.thresholds)[order], swapped.thresholds, atol=1e-12)


def test_steps_and_sets_survive_json():
    scores, labels = simulated(300, np.array([0.5, 0.3, 0.2]), 12)
    for step in (posthoc.logit_adjustment([5, 3, 2]), posthoc.fit_class_wise(scores, labels)):
        again = posthoc.Step.from_dict(json.loads(json.dumps(step.to_dict())))
        assert again == step
        assert hash(again) == hash(step)
    sets = posthoc.ConformalSets.fit(posthoc.softmax(scores), labels)
    assert posthoc.ConformalSets.from_dict(json.loads(json.dumps(sets.to_dict()))) == sets


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: posthoc.logit_adjustment([3, 2], tau=-1), "tau must be at least 0"),
        (lambda: posthoc.logit_adjustment([3, 2], tau="a"), "tau must be a number; got 'a'"),
        (lambda: posthoc.logit_adjustment([3, -2]), "not negative"),
        (lambda: posthoc.logit_adjustment([3, 2])(np.zeros((2, 3))), "is for 2 classes"),
        (lambda: posthoc.Step.of("x", [np.nan]), "finite"),
        (
            lambda: posthoc.tune_bias(np.eye(3), [0, 1, 2], "gmean", [3, 2, 1]),
            "no objective 'gmean'. Did you mean 'g_mean'",
        ),
        (
            lambda: posthoc.fit_class_wise(np.eye(3), [0, 1, 2], shift=posthoc.logit_adjustment([1, 2])),
            "the shift is for 2 classes, but the scores are of 3",
        ),
        (lambda: posthoc.estimate_prior_bbse([0, 1], [0, 0], [0], "2"), "n_classes must be a whole number"),
        (lambda: posthoc.Step.of("x", [0.0], -1.0), "positive"),
        (lambda: posthoc.fit_temperature(np.zeros((0, 2)), []), "n at least 1"),
        (lambda: posthoc.fit_temperature([[0.0, np.inf]], [0]), "scores must be finite"),
        (lambda: posthoc.fit_temperature([[0.0, 1.0]], [2]), "class codes from 0 to 1"),
        (lambda: posthoc.estimate_prior_em(np.zeros((0, 2)), [1, 1]), "at least one row"),
        (lambda: posthoc.estimate_prior_em([[0.5, 0.5]], [1, 1], strength=-1), "strength must be at least 0"),
        (lambda: posthoc.estimate_prior_em([[0.0, 1.0], [0.0, 1.0]], [1, 0]), "no row .* class of the source prior"),
        (lambda: posthoc.estimate_prior_bbse([0], [0, 1], [0], 2), "must pair up"),
        (lambda: posthoc.estimate_prior_bbse([0], [0], [2], 2), "between 0 and 1"),
        (lambda: posthoc.estimate_prior_bbse([0], [0], [0.5], 2), "whole numbers between 0 and 1"),
        (lambda: posthoc.ConformalSets.fit([[1.0]], [0], 1.0), "coverage must lie"),
        (lambda: posthoc.ConformalSets.fit(np.zeros((0, 2)), [], 0.9), "n labels"),
        (lambda: posthoc.ConformalSets.fit([[0.5, 0.5]], [0])([[0.2, 0.3, 0.5]]), "are for 2 classes; .* \\(1, 3\\)"),
        (lambda: posthoc.ConformalSets.fit([[0.5, 0.5]], [0])([0.2, 0.8]), "are for 2 classes; .* \\(2,\\)"),
        (lambda: posthoc.ConformalSets.fit([[0.5, 0.5]], [0])([[0.2, np.nan]]), "from 0 to 1: apply softmax"),
        (lambda: posthoc.shift_p_value([[0.5, 0.5]], [1, 1], [1, 1, 1]), "same number of classes; got 2 and 3"),
        (lambda: posthoc.tune_bias(np.zeros((2, 3)), [0, 1], OBJECTIVES["accuracy"], [1, 1]), "as many class counts"),
        (
            lambda: posthoc.tune_bias(np.zeros((2, 2)), [0, 5], OBJECTIVES["accuracy"], [1, 1]),
            "class codes from 0 to 1",
        ),
        (lambda: posthoc.ConformalSets.fit([[0.5, np.nan]], [0]), "scores must be finite"),
        (lambda: posthoc.ConformalSets.fit([[2.5, -1.0]], [0]), "from 0 to 1: apply softmax"),
        (lambda: posthoc.ConformalSets.fit([[1.01, 0.0]], [0]), "from 0 to 1: apply softmax"),
        (lambda: posthoc.ConformalSets.fit([[0.5, 0.5]], [0.0]), "whole class codes"),
        (lambda: posthoc.fit_temperature([[0.0, 1.0]], ["a"]), "whole class codes"),
        (lambda: posthoc.fit_temperature([[0.0, 1.0]], [0], [0]), "sample_weight must not be all zero"),
        (
            lambda: posthoc.fit_class_wise([[0.0, 1.0]], [0], [1, 2]),
            "sample_weight must be one number for each of 1 rows",
        ),
        (lambda: posthoc.fit_class_wise([[0.0, 1.0]], [0], strength=-10), "strength must be at least 0"),
        (lambda: posthoc.fit_class_wise([[0.0, 1.0]], [0], strength=None), "strength must be a number; got None"),
        (lambda: posthoc.ConformalSets.fit([[0.0, 1.0]], [1], coverage="90 %"), "coverage must be a number"),
        (lambda: posthoc.estimate_prior_em([[3.0, -1.0]], [1, 1]), "must be probabilities"),
        (lambda: posthoc.prior_shift([3, 2], "uniform"), "must be numbers"),
        (lambda: posthoc.prior_shift([3, 2], [1, 1, 1]), "the source has 2, the target 3"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(TailwiseError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_one_class_needs_no_threshold():
    step = posthoc.tune_bias(np.zeros((5, 1)), np.zeros(5, int), OBJECTIVES["macro_f1"], [5])
    assert step.bias == (0,)


@pytest.mark.parametrize("proba", [[[np.nan, 0.5]], [[2, 3]], [0.5, 0.5]])
def test_a_test_of_shift_needs_probabilities(proba):
    with pytest.raises(TailwiseError, match="probabilities"):
        posthoc.shift_p_value(proba, [1, 1], [1, 2])


def test_a_prior_shift_has_a_factor_of_its_own_beside_the_temperature():
    prior, flat = COUNTS / COUNTS.sum(), 0.4
    scores, labels = simulated(20000, prior, 5)
    learned = np.full(4, 0.25)
    shift = posthoc.prior_shift(learned, prior)
    seen = flat * (posthoc.log_softmax(scores) - np.array(shift.bias))  # what training on even classes would give
    step = posthoc.fit_class_wise(seen, labels, shift=shift)
    kept = np.array(step.bias) - np.mean(step.bias)
    np.testing.assert_allclose(kept, np.array(shift.bias) - np.mean(shift.bias), atol=0.25)
    assert step.scale == pytest.approx(1 / flat, rel=0.05)

    def loss(parameters):
        scale, factor, bias = np.exp(parameters[0]), parameters[1], parameters[2:]
        log_p = posthoc.log_softmax(seen * scale + factor * np.array(shift.bias) + bias)
        return (-log_p[np.arange(len(labels)), labels].sum() + 5 * (bias**2).sum()) / len(labels)

    found = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-8}).x
    assert step.scale == pytest.approx(np.exp(found[0]), rel=1e-3)
    np.testing.assert_allclose(step.bias, found[1] * np.array(shift.bias) + found[2:], atol=1e-2)


@pytest.mark.parametrize("apart", [0.5, 0.1, 0.05])
def test_the_prior_is_the_likeliest_where_classes_are_hard_to_tell_apart(apart):
    rng, source = np.random.default_rng(0), np.array([0.9, 0.1])
    x = rng.normal(size=50_000) + apart * (rng.random(50_000) < 0.7)
    density = np.exp(-0.5 * (x[:, None] - [0, apart]) ** 2)
    proba = density * source / (density @ source)[:, None]
    found = posthoc.estimate_prior_em(proba, source)
    best = minimize(lambda q: -np.log(density @ [1 - q[0], q[0]]).mean(), [0.5], bounds=[(0, 1)], tol=1e-14).x
    assert found[1] == pytest.approx(best[0], abs=1e-4)


@pytest.mark.parametrize("most", [1, 2, 3, 10])
def test_a_prior_may_be_estimated_in_few_steps(most):
    found = posthoc.estimate_prior_em(np.array([[0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]), [3, 1], max_iterations=most)
    assert found.sum() == pytest.approx(1)
    assert found[1] > 0.25


def test_an_objective_may_be_named_and_scores_be_of_one_example():
    scores, labels = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
    named = posthoc.tune_bias(scores, labels, "g_mean", [100, 10, 5])
    given = posthoc.tune_bias(scores, labels, OBJECTIVES["g_mean"], [100, 10, 5])
    np.testing.assert_array_equal(named.bias, given.bias)
    np.testing.assert_allclose(posthoc.softmax([1, 2]), posthoc.softmax([[1, 2]])[0])
