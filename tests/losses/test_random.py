"""Losses that draw: noise on the logits, classes left out, gradients gathered while training."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from losses import oracles
from tailwise import losses

COUNTS = np.array([400.0, 90.0, 30.0, 8.0])


def seeded():
    return torch.Generator().manual_seed(7)


def batch(n=6):
    draw = np.random.default_rng(0)
    return torch.tensor(draw.uniform(-1, 1, (n, 4)), dtype=torch.float32), torch.arange(n) % 4


def noise(shape, sigma):
    return np.abs(np.clip(torch.empty(shape).normal_(std=sigma, generator=seeded()).numpy(), -1, 1)).astype(float)


def test_gcl_takes_more_from_rarer_classes():
    logits, codes = batch()
    e = noise(logits.shape, 1 / 3)
    expected = []
    for i, y in enumerate(codes):
        adjusted = [
            30
            * (
                float(logits[i, j])
                - e[i, j] * np.log(COUNTS.max() / COUNTS[j]) / np.log(COUNTS.max() / COUNTS.min())
                - 0.5 * (j == int(y))
            )
            for j in range(4)
        ]
        expected.append(-oracles.log_softmax(adjusted)[int(y)])
    value = losses.GCLLoss(COUNTS, generator=seeded(), reduction="none")(logits, codes)
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_blv_adds_more_to_rarer_classes():
    logits, codes = batch()
    e = noise(logits.shape, 4.0)
    c = np.log(COUNTS.sum() / COUNTS)
    expected = [
        -oracles.log_softmax(list(logits[i].numpy().astype(float) + e[i] * c / c.max()))[int(y)]
        for i, y in enumerate(codes)
    ]
    value = losses.BLVLoss(COUNTS, generator=seeded(), reduction="none")(logits, codes)
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("build", [losses.GCLLoss, losses.BLVLoss, losses.SoftmaxEqualizationLoss])
def test_draws_come_from_the_generator_and_stop_in_eval(build):
    logits, codes = batch()
    options = {"threshold": 0.5} if build is losses.SoftmaxEqualizationLoss else {}
    first, second = (build(COUNTS, generator=seeded(), **options) for _ in range(2))
    state = torch.random.get_rng_state()
    torch.testing.assert_close(first(logits, codes), second(logits, codes), rtol=0, atol=0)
    assert not torch.equal(first(logits, codes), second.eval()(logits, codes))
    torch.testing.assert_close(second(logits, codes), second(logits, codes), rtol=0, atol=0)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("soft", [False, True])
def test_softmax_equalization_leaves_the_tail_out_of_the_denominator(soft):
    logits, codes = batch()
    rows = torch.tensor(np.eye(4, dtype=np.float32))[codes]
    z = logits.clone().requires_grad_()
    loss = losses.SoftmaxEqualizationLoss(COUNTS, threshold=0.4, gamma=1.0, reduction="none")
    value = loss(z, rows if soft else codes)
    expected = []
    for i, y in enumerate(codes):
        w = [0 if COUNTS[j] < 0.4 * COUNTS.mean() and j != int(y) else 1 for j in range(4)]
        total = sum(w[j] * np.exp(float(logits[i, j])) for j in range(4))
        expected.append(np.log(total) - float(logits[i, int(y)]))
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-5)
    value.sum().backward()
    assert not z.grad[0, 2:].any()  # a head example does not touch the tail
    assert z.grad.isfinite().all()


def test_equalization_v2_turns_down_what_it_has_seen_too_much_of():
    logits, codes = batch()
    loss = losses.EqualizationLossV2(4, gamma=12, mu=0.8, alpha=4.0, reduction="none")
    rows = np.eye(4)[codes]
    z = logits.numpy().astype(float)
    positive, negative = np.zeros(4), np.zeros(4)
    for step in range(3):
        value = loss(logits, codes)
        expected = np.zeros(len(z))
        grown = positive.copy(), negative.copy()
        for j in range(4):
            f = 1.0 if step == 0 else 1 / (1 + np.exp(-12 * (positive[j] / negative[j] - 0.8)))
            for i in range(len(z)):
                w = 1 + 4 * (1 - f) if rows[i, j] else f
                p = oracles.sigmoid(z[i, j])
                expected[i] += w * -np.log(p if rows[i, j] else 1 - p)
                grown[0 if rows[i, j] else 1][j] += w * abs(p - rows[i, j])
        positive, negative = grown
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5)
        np.testing.assert_allclose(loss.positive.numpy(), positive, rtol=1e-5)
        np.testing.assert_allclose(loss.negative.numpy(), negative, rtol=1e-5)
    before = loss.state_dict()["negative"].clone()
    loss.eval()(logits, codes)
    torch.testing.assert_close(loss.negative, before)


def test_equalization_v2_ignores_examples_in_its_sums():
    logits, codes = batch()
    one, other = losses.EqualizationLossV2(4), losses.EqualizationLossV2(4)
    one(logits, codes)
    other(torch.cat([logits, logits]), F.pad(codes, (0, len(codes)), value=-100))
    torch.testing.assert_close(one.negative, other.negative)


def test_gathered_gradients_survive_nan_and_half_precision():
    """A batch that failed must not unbalance all later ones, and sums must not stop growing."""
    loss, half = losses.EqualizationLossV2(3), losses.EqualizationLossV2(3).to(torch.bfloat16)
    logits, targets = torch.zeros(4, 3), torch.tensor([0, 1, 2, -100])
    broken = logits.clone()
    broken[3] = torch.nan
    loss(broken, targets)
    once = loss.negative.clone()
    torch.testing.assert_close(once, torch.ones(3))
    loss(torch.full((4, 3), torch.nan), targets)
    assert torch.equal(loss.negative, once)
    assert half.to("cpu").negative.dtype == torch.float32
    half.negative.fill_(1000)
    half(logits.bfloat16(), targets)
    assert (half.negative > 1000).all()
    assert half.double().negative.dtype == torch.float64
