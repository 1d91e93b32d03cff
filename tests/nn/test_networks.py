"""Backbones, the networks made of them, and the standardising of inputs."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tailwise._optional import require
from tailwise.errors import MissingExtraError, TailwiseError
from tailwise.nn import (
    MLP,
    Anchored,
    CIFARResNet,
    Identity,
    Network,
    Standardise,
    rebuild_backbone,
    resnet32,
    timm_backbone,
)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_resnet_has_the_parameters_of_the_literature() -> None:
    assert parameters(Network.linear(resnet32(), 10)) == 464_154
    # He et al. 2016, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million
    for depth, millions in ((20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)):
        digits = 1 if depth == 110 else 2
        assert round(parameters(Network.linear(CIFARResNet(depth), 10)) / 1e6, digits) == millions


def test_resnet_shapes_and_depth() -> None:
    assert resnet32()(torch.zeros(2, 3, 32, 32)).shape == (2, 64)
    assert CIFARResNet(8, in_channels=1)(torch.zeros(2, 1, 9, 9)).shape == (2, 64)
    with pytest.raises(TailwiseError, match="6 n \\+ 2"):
        CIFARResNet(33)


def test_shortcut_takes_every_second_pixel_and_pads_channels_with_zeros() -> None:
    block = CIFARResNet(8).blocks[1]
    nn.init.zeros_(block.norm2.weight)  # leaves the shortcut alone
    x = torch.rand(2, 16, 8, 8)
    y = block(x)
    torch.testing.assert_close(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


def test_mlp_shapes_and_widths() -> None:
    mlp = MLP(5, (7, 3))
    assert mlp(torch.zeros(2, 5)).shape == (2, mlp.out_features) == (2, 3)
    for bad in ((), (0,)):
        with pytest.raises(TailwiseError, match="positive widths"):
            MLP(5, bad)


def test_a_network_is_its_head_on_its_features() -> None:
    network = Network.linear(Identity(4), 3)
    x = torch.randn(5, 4)
    torch.testing.assert_close(network.features(x), x)
    torch.testing.assert_close(network(x), network.head(x))
    with pytest.raises(TailwiseError, match="out_features"):
        Network.linear(nn.ReLU(), 3)


def test_lazy_layers_are_refused_until_they_have_weights() -> None:
    backbone = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    backbone.out_features = 4  # type: ignore[assignment]
    with pytest.raises(TailwiseError, match="backbone Sequential has a LazyLinear, which has no weights"):
        Network.linear(backbone, 3)
    backbone(torch.zeros(1, 5))
    assert Network.linear(backbone, 3)(torch.zeros(2, 5)).shape == (2, 3)


@settings(max_examples=20)
@given(n=st.integers(2, 60), chunk=st.integers(1, 70), offset=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
def test_standardise_is_numpy_s_mean_and_deviation(n: int, chunk: int, offset: float, seed: int) -> None:
    x = (np.random.default_rng(seed).normal(size=(n, 3)) + offset).astype(np.float32)
    x[:, 2] = offset  # constant
    module = Standardise().fit(torch.from_numpy(x), chunk=chunk)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(module.mean, wide.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(module.scale[:2], 1 / wide.std(0)[:2], rtol=1e-4)
    assert module.scale[2] == 1


def test_standardise_tells_small_differences_of_large_numbers_from_rounding() -> None:
    x = np.float32([2**30 + 128 * np.array([0, 1, 3]), 1 + 2.0**-23 * np.array([0, 1, 0])]).T
    scale = Standardise().fit(torch.from_numpy(x)).scale
    np.testing.assert_allclose(scale, [1 / x[:, 0].astype(np.float64).std(), 1], rtol=1e-6)


def test_standardise_images_per_channel_and_travels_with_the_weights() -> None:
    x = torch.randint(0, 256, (9, 3, 4, 5), dtype=torch.uint8)
    network = Network.linear(CIFARResNet(8, width=2), 2)
    network.inputs.fit(x, chunk=4)
    y = network.inputs(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    other = Network.linear(CIFARResNet(8, width=2), 2)
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.eval()(x), network.eval()(x))


def test_timm_says_what_to_install_where_it_is_missing() -> None:
    try:
        require("torchvision", "timm")
        require("timm", "timm")
    except MissingExtraError:
        with pytest.raises(MissingExtraError, match=r"pip install 'tailwise\[timm\]'"):
            timm_backbone("resnet18")
    else:
        assert timm_backbone("resnet18", pretrained=False).out_features == 512


def test_a_timm_backbone_is_as_wide_as_what_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """MobileNetV3, VGG and others have a layer between what timm calls features and the classifier."""
    model = nn.Linear(3, 5)
    model.num_features, model.head_hidden_size = 3, 5
    timm = SimpleNamespace(is_model=lambda name: True, create_model=lambda name, num_classes: model)
    monkeypatch.setattr("tailwise.nn._timm.require", lambda package, extra: timm)
    assert timm_backbone("mobilenetv3_small_050").out_features == 5


def test_the_anchor_stands_still_in_any_loop() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    anchored, x = Anchored(layers).train(), torch.randn(8, 3)
    before = {name: value.clone() for name, value in anchored.base.state_dict().items()}
    anchored(x)
    first = anchored.base_logits
    anchored(x)
    assert torch.equal(anchored.base_logits, first)
    assert all(torch.equal(value, before[name]) for name, value in anchored.base.state_dict().items())
    assert not torch.equal(layers[1].running_mean, before["1.running_mean"])


@pytest.mark.parametrize(
    ("given", "made"),
    [(torch.zeros(2, 4), "(2, 4)"), (torch.zeros(2, 3, 1, 1), "(2, 3, 1, 1)"), ((torch.zeros(2, 3),), "a tuple")],
)
def test_a_backbone_that_gives_something_else_than_it_says(given: object, made: str) -> None:
    class Backbone(nn.Module):
        out_features = 3

        def forward(self, inputs: torch.Tensor) -> object:
            return given

    wanted = f"backbone Backbone must return features of shape (batch, 3); it returned {made}."
    with pytest.raises(TailwiseError, match=re.escape(wanted)):
        Network.linear(Backbone(), 2)(torch.zeros(2, 5))


@pytest.mark.parametrize(
    "description",
    [{"name": "mlp", "in_features": "3"}, {"name": "mlp", "in_features": True}, {"name": "mlp"}, {"in_features": 3}],
)
def test_a_saved_backbone_is_a_name_and_a_whole_number(description: dict[str, object]) -> None:
    with pytest.raises(TailwiseError, match="a name and a whole number as its width"):
        rebuild_backbone(description)


@pytest.mark.parametrize("description", [{"name": "mlp", "dropout": 3}, {"name": "resnet18", "checkpoint_path": 3}])
def test_a_saved_backbone_with_other_settings_is_not_built(description: dict[str, object]) -> None:
    with pytest.raises(TailwiseError, match="has settings that Tailwise does not write"):
        rebuild_backbone(description)
