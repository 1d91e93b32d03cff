"""Heads, against their equations in float64."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tailwise.errors import TailwiseError
from tailwise.nn import (
    NormedLinear,
    ScaledLinear,
    Watched,
    build_head,
    describe_head,
    nearest_mean,
    ordered_log_softmax,
    tau_normalise,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 5))


def linear() -> nn.Linear:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(5, 3).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def test_normed_linear_gives_cosines() -> None:
    head = NormedLinear(5, 3).double()
    w = head.weight.detach().numpy()
    expected = X @ w.T / np.linalg.norm(X, axis=1)[:, None] / np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(head(torch.from_numpy(X)).detach(), expected, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 1, rtol=1e-6)


def test_cosines_are_not_rounded_under_autocast() -> None:
    head, features = NormedLinear(5, 3), torch.from_numpy(X).float()
    expected = head(features)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head(features), expected, rtol=0, atol=0)
        assert head(features.bfloat16()).dtype == torch.float32


def test_scaled_linear_starts_as_the_classifier_and_moves_only_its_scales() -> None:
    layer = linear()
    head = ScaledLinear(layer)
    torch.testing.assert_close(head(torch.from_numpy(X)), layer(torch.from_numpy(X)))
    assert [name for name, _ in head.named_parameters()] == ["scale"]
    with torch.no_grad():
        head.scale.copy_(torch.tensor([1.0, 2.0, 0.5]))
    w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    np.testing.assert_allclose(head(torch.from_numpy(X)).detach(), X @ w.T * [1, 2, 0.5] + b)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_tau_normalise_divides_by_the_norm_to_the_power_tau(tau: float) -> None:
    layer = linear()
    w = layer.weight.detach().numpy()
    expected = X @ (w / np.linalg.norm(w, axis=1)[:, None] ** tau).T
    np.testing.assert_allclose(tau_normalise(layer, tau)(torch.from_numpy(X)).detach(), expected)


def test_tau_zero_is_the_classifier_and_negative_is_refused() -> None:
    layer = linear()
    torch.testing.assert_close(tau_normalise(layer, 0.0)(torch.from_numpy(X)), layer(torch.from_numpy(X)))
    with pytest.raises(TailwiseError, match="tau must be at least 0"):
        tau_normalise(layer, -1)


def test_tau_normalise_leaves_a_class_without_weights_at_zero() -> None:
    layer = linear()
    nn.init.zeros_(layer.weight[0])
    assert (tau_normalise(layer)(torch.from_numpy(X))[:, 0] == 0).all()


def test_ordered_log_probabilities_are_the_equation_and_finite_where_cumulative_logits_cross() -> None:
    z = torch.tensor([[9.0, 2.0, 0.5, -1.0], [9.0, -1.0, 1.0, 1.0]], dtype=torch.float64)
    reached = [1, *torch.sigmoid(z[0, 1:]).tolist(), 0]
    found = ordered_log_softmax(z)
    np.testing.assert_allclose(found[0].exp(), -np.diff(reached))
    assert found.isfinite().all()


def test_nearest_mean_predicts_the_nearest_and_never_an_empty_class() -> None:
    labels = np.arange(20) % 3
    head = nearest_mean(torch.from_numpy(X), torch.from_numpy(labels), 4)
    means = np.stack([X[labels == c].mean(0) for c in range(3)])
    distance = ((X[:, None] - means) ** 2).sum(2)
    variance = ((X - means[labels]) ** 2).mean()
    logits = head(torch.from_numpy(X)).detach().numpy()
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(logits.argmax(1), distance.argmin(1))
    np.testing.assert_allclose(np.diff(logits[:, :3]), -np.diff(distance) / (2 * variance))


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 1, -1], "from 0 to 1; got -1 to 1"), ([0, 1, 2], "from 0 to 1; got 0 to 2"), ([0, 1], "3 features need")],
)
def test_nearest_mean_says_in_a_line_which_labels_it_cannot_take(labels: list[int], message: str) -> None:
    with pytest.raises(TailwiseError, match=message):
        nearest_mean(torch.from_numpy(X[:3]), torch.tensor(labels), 2)


def test_cosines_of_zero_features_are_zero_in_half_precision():
    assert NormedLinear(4, 3).half()(torch.zeros(2, 4, dtype=torch.float16)).eq(0).all()


def test_a_class_of_zeros_stays_finite_in_half_precision():
    half = nn.Linear(2, 2).half()
    nn.init.zeros_(half.weight)
    assert tau_normalise(half).weight.isfinite().all()


def test_a_watched_head_can_be_copied_while_it_trains():
    watched = Watched(nn.Linear(3, 2))
    watched(torch.randn(4, 3, requires_grad=True) * 2)
    assert not hasattr(copy.deepcopy(watched), "features")
    assert watched.features.shape == (4, 3)


def test_cosines_have_a_shape_without_a_device():
    assert NormedLinear(4, 3).to("meta")(torch.zeros(2, 4, device="meta")).shape == (2, 3)


def test_tau_must_be_a_number():
    with pytest.raises(TailwiseError, match="tau must be at least 0"):
        tau_normalise(nn.Linear(2, 2), float("nan"))


def test_a_head_of_an_own_type_is_not_taken_for_its_base() -> None:
    class Doubled(torch.nn.Linear):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(features)

    with pytest.raises(TailwiseError, match="a head of type Doubled cannot be saved: use one of Linear"):
        describe_head(Doubled(3, 2))
    with pytest.raises(TailwiseError, match="there is no head of type 'Liner'"):
        build_head({"type": "Liner", "in_features": 3, "out_features": 2, "bias": True})


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_nearest_mean_takes_shares_of_classes(offset: float) -> None:
    features, codes = torch.from_numpy(X) + offset, torch.arange(20) % 3
    means = torch.stack([features[codes == c].mean(0) for c in range(3)])
    variance = (features - means[codes]).square().mean()
    torch.testing.assert_close(nearest_mean(features, codes, 4).weight[:3], means / variance, rtol=1e-6, atol=0)
    ours, theirs = nearest_mean(features, codes, 4), nearest_mean(features, torch.nn.functional.one_hot(codes, 4), 4)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)
    soft = nearest_mean(features, torch.full((20, 4), 0.25), 4)
    torch.testing.assert_close(soft.weight[0], soft.weight[3])
