"""Recipes that protect or weight the tail in a network: they know its classes, and a saved model answers alike."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss, recall_score

torch = pytest.importorskip("torch")

from test_trained import digits, small_task  # noqa: E402

from tailwise import TailClassifier, load_model  # noqa: E402
from tailwise.engine import predict, train  # noqa: E402
from tailwise.nn import Network  # noqa: E402
from tailwise.recipes import recipe  # noqa: E402

RECIPES = (
    "asymmetric",
    "distribution-balanced",
    "equalization-v2",
    "label-distribution-smoothing",
    "learning-to-reweight",
    "softmax-equalization",
    "tau-norm",
)


@pytest.mark.parametrize("name", RECIPES)
def test_knows_the_rare_classes_and_comes_back(name: str, tmp_path: Path) -> None:
    x, y, new, labels = digits()
    fitted = TailClassifier(name, backbone="mlp", epochs=10, learning_rate=5e-3, cv=0.2, random_state=0).fit(x, y)
    rare = recall_score(labels, fitted.predict(new), labels=[6, 7, 8, 9], average="macro")
    assert rare > 0.2, "chance is a tenth, and they have 2 to 9 examples"
    fitted.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(new), fitted.predict_proba(new))


@pytest.mark.parametrize("name", ["asymmetric", "distribution-balanced", "equalization-v2"])
def test_one_versus_rest_begins_with_a_probability_of_one_over_the_classes(name: str) -> None:
    network = recipe(name).network(small_task(np.arange(10)))
    torch.testing.assert_close(torch.sigmoid(network.head.bias), torch.full((10,), 0.1))


def test_probabilities_of_lws_are_not_corrected_for_a_balance_that_its_factors_do_not_reach() -> None:
    x, y, new, labels = digits()

    def loss(name: str) -> float:
        fitted = TailClassifier(name, backbone="mlp", epochs=30, learning_rate=5e-3, cv=0.2, random_state=0).fit(x, y)
        return float(log_loss(labels, fitted.predict_proba(new)))

    assert loss("lws") < 1.1 * loss("cross-entropy")


def test_the_norms_that_tau_divides_by_follow_the_counts() -> None:
    """Which AdamW, the task's own optimiser, does not bring about."""
    x, y, _, _ = digits()

    def many_over_few(name: str, **settings: float) -> float:
        network: Network = train(recipe(name, **settings), small_task(y, 40), x, y, progress=False)
        norms = network.head.weight.detach().norm(dim=1)
        return float(norms[:3].mean() / norms[-3:].mean())

    by_sgd, by_adamw = many_over_few("tau-norm", tau=0.0, learning_rate=0.8), many_over_few("cross-entropy")
    assert by_sgd > 1.6
    assert by_adamw < 1.4


def test_smoothing_without_width_is_class_weighting() -> None:
    x, y, new, _ = digits()
    smoothed, weighted = (
        predict(train(recipe(name, **settings), small_task(y), x, y, progress=False), new)
        for name, settings in (("label-distribution-smoothing", {"sigma": 0.0}), ("class-weighted", {}))
    )
    np.testing.assert_array_equal(smoothed, weighted)
