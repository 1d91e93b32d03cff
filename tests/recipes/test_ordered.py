"""Recipes for ordered labels, on an outcome whose last steps are rare."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tailwise import TailClassifier, load_model  # noqa: E402
from tailwise.nn import OrderedLinear  # noqa: E402
from tailwise.recipes import recipe  # noqa: E402


def grades(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Five grades of a hidden score that ten features carry; each is reached by a third of those before."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 10)).astype(np.float32)
    score = x @ np.linspace(1, 0.2, 10) / 2 + rng.logistic(size=n) * 0.5
    return x, np.digitize(score, [0.6, 1.4, 2.1, 2.9])


def log_loss(name: str, **settings: float) -> float:
    """Return the mean log loss on new examples."""
    x, y = grades(600, 0)
    new, labels = grades(20_000, 100)
    classifier = TailClassifier(recipe(name, **settings), backbone="mlp", epochs=15, cv=0.2, random_state=0)
    proba = classifier.fit(x, y).predict_proba(new)
    return float(-np.log(proba[np.arange(len(labels)), labels]).mean())


def test_presto_estimates_better_than_softmax_and_than_steps_of_their_own() -> None:
    found = log_loss("presto")
    assert found < log_loss("cross-entropy")
    assert found < log_loss("presto", penalty=0.0)


def test_presto_comes_back_with_probabilities_that_sum_to_one(tmp_path: Path) -> None:
    x, y = grades(400, 0)
    fitted = TailClassifier("presto", backbone="mlp", epochs=3, cv=0.2, random_state=0).fit(x, y)
    proba = fitted.predict_proba(x)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict_proba(x), proba)


def test_a_large_penalty_keeps_proportional_odds() -> None:
    def parted(penalty: float) -> float:
        x, y = grades(400, 0)
        classifier = TailClassifier(recipe("presto", penalty=penalty), backbone="identity", epochs=10, cv=0.2)
        head = classifier.set_params(random_state=0).fit(x, y).model_.learner.network.head
        assert isinstance(head, OrderedLinear)
        return float((head.weight[2:] - head.weight[1:-1]).detach().abs().sum())

    assert parted(1.0) < 0.2 * parted(0.0)
