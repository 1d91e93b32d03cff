"""Feature-distribution smoothing, against a plain reading of its equations."""

import math

import numpy as np
import pytest
import torch

from tailwise.errors import TailwiseError
from tailwise.nn import FeatureSmoothing

BINS, WIDTH, SIGMA = 7, 3, 1.5  # of the last bin there is never an example


def epoch(seed: int, empty: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    bins = rng.choice([b for b in range(BINS - 1) if b != empty], p=[0.5, 0.3, 0.1, 0.07, 0.03], size=80)
    return torch.from_numpy(rng.normal(bins[:, None] * [1.0, -0.5, 0.2], 1 + bins[:, None])), torch.from_numpy(bins)


def module(**settings: float) -> FeatureSmoothing:
    return FeatureSmoothing(WIDTH, BINS, sigma=SIGMA, **settings).double()


def plainly(epochs: list[tuple[torch.Tensor, torch.Tensor]], momentum: float) -> np.ndarray:
    """Smooth the last epoch's features by the statistics of all, one number after the other."""
    mean: dict[tuple[int, int], float] = {}
    variance: dict[tuple[int, int], float] = {}
    for features, bins in epochs:
        for b in set(bins.tolist()):
            for j in range(WIDTH):
                values = [float(x[j]) for x, own in zip(features, bins, strict=True) if own == b]
                m = sum(values) / len(values)
                v = sum((x - m) ** 2 for x in values) / max(len(values) - 1, 1)
                mean[b, j] = momentum * mean[b, j] + (1 - momentum) * m if (b, j) in mean else m
                variance[b, j] = momentum * variance[b, j] + (1 - momentum) * v if (b, j) in variance else v
    seen = sorted({b for b, _ in mean})
    features, bins = epochs[-1]
    out = features.numpy().copy()
    for i, b in enumerate(bins.tolist()):
        weights = {c: math.exp(-((b - c) ** 2) / (2 * SIGMA**2)) for c in seen}
        total = sum(weights.values())
        for j in range(WIDTH):
            if variance[b, j] > 0:
                m, v = (sum(w * of[c, j] for c, w in weights.items()) / total for of in (mean, variance))
                out[i, j] = math.sqrt(min(max(v / variance[b, j], 0.1), 10)) * (out[i, j] - mean[b, j]) + m
    return out


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_equals_the_equation_over_epochs(momentum: float) -> None:
    smoothing, epochs = module(momentum=momentum), [epoch(0), epoch(1, empty=5), epoch(2)]
    for features, bins in epochs:
        smoothing.update(features, bins)
    np.testing.assert_allclose(smoothing(*epochs[-1]), plainly(epochs, momentum), rtol=1e-12)


def test_changes_nothing_before_an_update_and_in_evaluation() -> None:
    smoothing, (features, bins) = module(), epoch(0)
    torch.testing.assert_close(smoothing(features, bins), features, rtol=0, atol=0)
    smoothing.update(features, bins)
    assert not torch.allclose(smoothing(features, bins), features)
    torch.testing.assert_close(smoothing.eval()(features, bins), features, rtol=0, atol=0)


def test_bins_that_are_alike_stay_as_they_are() -> None:
    features = torch.randn(50, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    everywhere, bins = features.repeat(BINS, 1), torch.arange(BINS).repeat_interleave(50)
    smoothing = module()
    smoothing.update(everywhere, bins)
    torch.testing.assert_close(smoothing(everywhere, bins), everywhere)


def test_a_bin_with_one_example_or_a_constant_feature_stays_finite() -> None:
    features, bins = epoch(0, empty=5)
    features[:, 1], bins[:] = 2.0, 0
    bins[0] = 5
    smoothing = module()
    smoothing.update(features, bins)
    out = smoothing(features.requires_grad_(), bins)
    assert out.isfinite().all()
    torch.testing.assert_close(out[0], features[0], rtol=0, atol=0)
    torch.testing.assert_close(out[:, 1], features[:, 1], rtol=0, atol=0)
    out.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_statistics_come_back_with_the_weights() -> None:
    smoothing, (features, bins) = module(), epoch(0)
    smoothing.update(features, bins)
    again = module()
    again.load_state_dict(smoothing.state_dict())
    torch.testing.assert_close(again(features, bins), smoothing(features, bins), rtol=0, atol=0)


def test_says_in_a_line_what_is_wrong() -> None:
    with pytest.raises(TailwiseError, match="from 0 to 6; got 0 to 7"):
        module().update(torch.zeros(2, WIDTH), torch.tensor([0, 7]))
    with pytest.raises(TailwiseError, match="sigma must be above 0"):
        FeatureSmoothing(WIDTH, BINS, sigma=0)


def test_features_without_a_bin_stay_as_they_are():
    torch.manual_seed(0)
    features, bins = torch.randn(40, 3), torch.arange(40) % 4
    smoothing = FeatureSmoothing(3, 4).train()
    smoothing.update(features, bins)
    some = bins.clone()
    some[::3] = -1
    moved = smoothing(features, some)
    torch.testing.assert_close(moved[::3], features[::3], rtol=0, atol=0)
    torch.testing.assert_close(moved[some >= 0], smoothing(features, bins)[some >= 0])
    assert smoothing(features.bfloat16(), bins).dtype == torch.bfloat16
    with pytest.raises(TailwiseError, match="bins must be below 4; got 4"):
        smoothing(features, bins + 1)
