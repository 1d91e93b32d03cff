"""One logistic regression per class against the rest: coefficients, weights, probabilities, and speed on texts."""

import time
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array, csr_matrix, random_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from estimators.cases import table
from tailwise.estimators import OneVsRestLogisticRegression

EXACT = {"tol": 1e-9, "max_iter": 100_000, "random_state": 0}


# Repeated rows and weights of 2 have one optimum, which is met to the tolerance; see the coefficients below.
INEXACT = {f"check_sample_weight_equivalence_on_{kind}_data": "not to seven digits" for kind in ("dense", "sparse")}


@pytest.mark.filterwarnings("ignore:.*did not converge")  # numbers around 100, not scaled
@pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning")  # of scikit-learn before 1.7
def test_keeps_scikit_learns_contract() -> None:
    check_estimator(OneVsRestLogisticRegression(random_state=0), expected_failed_checks=INEXACT, on_skip=None)


@pytest.mark.parametrize("counts", [(60, 8), (60, 20, 8)])
def test_every_class_has_the_penalised_weighted_regression_against_the_rest(counts: tuple[int, ...]) -> None:
    x, y = table(counts)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    fitted = OneVsRestLogisticRegression(C=3.0, **EXACT).fit(x, y, weights)
    with_one = np.column_stack([x, np.ones(len(x))])
    for row, positive in enumerate((1,) if len(counts) == 2 else (0, 1, 2)):
        sign = np.where(y == positive, 1.0, -1.0)

        def objective(w: np.ndarray, sign: np.ndarray = sign) -> float:
            return w @ w / 2 + 3.0 * weights @ np.logaddexp(0, -sign * (with_one @ w))

        expected = minimize(objective, np.zeros(with_one.shape[1]), options={"gtol": 1e-7}).x
        np.testing.assert_allclose(np.append(fitted.coef_[row], fitted.intercept_[row]), expected, atol=1e-4)
    odds = fitted.decision_function(x).reshape(len(x), -1)
    each = 1 / (1 + np.exp(-odds))
    each = np.column_stack([1 - each, each]) if len(counts) == 2 else each
    np.testing.assert_allclose(fitted.predict_proba(x), each / each.sum(axis=1, keepdims=True), rtol=1e-10)


def test_a_class_of_no_weight_is_left_out() -> None:
    x, y = table()
    some = OneVsRestLogisticRegression().fit(x, y, np.where(y == 2, 0.0, 1.0))
    np.testing.assert_array_equal(some.classes_, [0, 1])
    assert some.predict_proba(x).shape == (len(x), 2)


def test_features_that_need_scaling_are_said_once() -> None:
    x, y = table()
    with pytest.warns(ConvergenceWarning, match=r"3 of 3 regressions did not converge in 5 passes: scale") as said:
        OneVsRestLogisticRegression(max_iter=5).fit(1000 * x, y)
    assert len(said) == 1


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two classes; there is 1 class, a"):
        OneVsRestLogisticRegression().fit(np.eye(3), ["a", "a", "a"])


@pytest.mark.parametrize("container", [csr_matrix, csr_array, np.asarray])
def test_float32_stays_float32_and_containers_agree(container: Any) -> None:
    x, y = table()
    fitted = OneVsRestLogisticRegression(random_state=0).fit(container(x.astype(np.float32)), y)
    assert fitted.coef_.dtype == fitted.predict_proba(container(x.astype(np.float32))).dtype == np.float32
    exact = OneVsRestLogisticRegression(random_state=0).fit(x, y)
    np.testing.assert_allclose(fitted.predict_proba(container(x.astype(np.float32))), exact.predict_proba(x), atol=1e-4)


def test_long_indices_of_a_small_matrix_are_taken() -> None:
    x, y = table()
    short, long = csr_array(x), csr_array(x)
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    fits = [OneVsRestLogisticRegression(random_state=0).fit(given, y) for given in (short, long)]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    assert long.indices.dtype == np.int64


def test_many_features_cost_nothing_that_no_row_has() -> None:
    """Where L-BFGS moves vectors of classes times features, as with the n-grams of texts."""
    rng = np.random.default_rng(0)
    x = random_array((400, 40_000), density=0.002, format="csr", rng=rng)
    y = rng.integers(40, size=400)
    seconds = []
    for classifier in (OneVsRestLogisticRegression(), LogisticRegression()):
        start = time.process_time()
        classifier.fit(x, y)
        seconds.append(time.process_time() - start)
    assert seconds[0] < seconds[1] / 3
