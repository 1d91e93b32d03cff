"""Weights that a clean batch asks for: against finite differences, and on labels that were flipped."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tailwise import losses
from tailwise.errors import TailwiseError


def problem():
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1])
    clean_x, clean_y = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1])
    return nn.Linear(3, 2).double(), x, y, clean_x, clean_y


def half_flipped():
    torch.manual_seed(0)
    x = torch.randn(40, 2)
    y = (x[:, 0] > 0).long()
    flipped = y.clone()
    flipped[:10] = 1 - flipped[:10]
    return x, y, flipped


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_weighting_network_learns_in_half_precision(dtype):
    network, x, y, clean_x, clean_y = problem()
    network.module, network.forward = (bare := nn.Linear(3, 2)), bare.forward
    loss, network = losses.MetaWeightedLoss(learning_rate=0.1).to(dtype), network.to(dtype)
    before = [p.clone() for p in loss.weigh.parameters()]
    for _ in range(3):
        assert loss(network, x.to(dtype), y, clean_x.to(dtype), clean_y).isfinite()
    assert loss.moments.dtype == loss.steps.dtype == torch.float32
    assert all(p.isfinite().all() for p in loss.weigh.parameters())
    assert any((p != q).any() for p, q in zip(before, loss.weigh.parameters(), strict=True))


def test_meta_weights_are_the_gradient_of_the_clean_loss():
    network, x, y, clean_x, clean_y = problem()
    loss = losses.FocalLoss(reduction="none")
    weights = losses.meta_weights(network, loss, x, y, clean_x, clean_y, 0.1)

    def clean_after(pull):
        step = torch.autograd.grad((loss(network(x), y) * pull).sum(), list(network.parameters()))
        w, b = (p - 0.1 * g for p, g in zip(network.parameters(), step, strict=True))
        return loss(clean_x @ w.T + b, clean_y).mean().item()

    slopes = []
    for i in range(4):
        e = torch.zeros(4, dtype=torch.float64)
        e[i] = 1e-5
        slopes.append(max((clean_after(-e) - clean_after(e)) / 2e-5, 0.0))
    np.testing.assert_allclose(weights.numpy(), np.array(slopes) / sum(slopes), rtol=1e-5)
    assert all(p.grad is None for p in network.parameters())


def test_the_network_is_left_as_it_is():
    _, x, y, clean_x, clean_y = problem()
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)).double()
    before = copy.deepcopy(network.state_dict())
    weights = losses.meta_weights(network, losses.CrossEntropyLoss(reduction="none"), x, y, clean_x, clean_y, 0.1)
    assert weights.isfinite().all()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(p.grad is None for p in network.parameters())


def test_a_parameter_that_the_network_does_not_use_changes_nothing():
    network, x, y, clean_x, clean_y = problem()
    loss = losses.CrossEntropyLoss(reduction="none")
    expected = losses.meta_weights(network, loss, x, y, clean_x, clean_y, 0.1)
    network.register_parameter("spare", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    torch.testing.assert_close(losses.meta_weights(network, loss, x, y, clean_x, clean_y, 0.1), expected)


def test_meta_weights_distrust_a_flipped_label():
    x, y, flipped = half_flipped()
    network = nn.Linear(2, 2)
    loss = losses.CrossEntropyLoss(reduction="none")
    weights = losses.meta_weights(network, loss, x, flipped, x[10:], y[10:], 0.1)
    assert weights[:10].mean() < 0.2 * weights[10:].mean()
    with pytest.raises(TailwiseError, match='reduction="none"'):
        losses.meta_weights(network, losses.CrossEntropyLoss(), x, y, x, y, 0.1)


def test_meta_loss_is_the_clean_loss_after_a_real_step():
    network, x, y, clean_x, clean_y = problem()
    loss, weigh = losses.CrossEntropyLoss(reduction="none"), losses.MetaWeightNet(6).double()
    value = losses.meta_loss(network, loss, weigh, x, y, clean_x, clean_y, 0.3)
    stepped = copy.deepcopy(network)
    each = loss(stepped(x), y)
    w = weigh(each)
    torch.testing.assert_close(w.sum(), torch.tensor(1.0, dtype=torch.float64))
    (each * w.detach()).sum().backward()
    torch.optim.SGD(stepped.parameters(), lr=0.3).step()
    torch.testing.assert_close(value, loss(stepped(clean_x), clean_y).mean())


def test_the_gradient_of_meta_loss_reaches_the_weight_network_alone():
    network, x, y, clean_x, clean_y = problem()
    loss, weigh = losses.FocalLoss(reduction="none"), losses.MetaWeightNet(6).double()
    losses.meta_loss(network, loss, weigh, x, y, clean_x, clean_y, 0.3).backward()
    assert all(p.grad is None for p in network.parameters())
    for p in weigh.parameters():
        slopes = torch.zeros_like(p)
        for i in range(p.numel()):
            ends = []
            for move in (1e-6, -1e-6):
                moved = copy.deepcopy(weigh)
                dict(zip(weigh.parameters(), moved.parameters(), strict=True))[p].data.view(-1)[i] += move
                ends.append(losses.meta_loss(network, loss, moved, x, y, clean_x, clean_y, 0.3).item())
            slopes.view(-1)[i] = (ends[0] - ends[1]) / 2e-6
        torch.testing.assert_close(p.grad, slopes, rtol=1e-4, atol=1e-9)


def test_a_weight_network_learns_to_distrust_large_losses():
    x, y, flipped = half_flipped()
    network, weigh = nn.Linear(2, 2), losses.MetaWeightNet()
    loss = losses.CrossEntropyLoss(reduction="none")
    optimiser = torch.optim.SGD(network.parameters(), lr=2.0)
    weigh_optimiser = torch.optim.Adam(weigh.parameters(), lr=0.01)
    for _ in range(200):
        weigh_optimiser.zero_grad()
        losses.meta_loss(network, loss, weigh, x, flipped, x[10:], y[10:], 2.0).backward()
        weigh_optimiser.step()
        optimiser.zero_grad()
        each = loss(network(x), flipped)
        (each * weigh(each).detach()).sum().backward()
        optimiser.step()
    weights = weigh(loss(network(x), flipped))
    assert weights[:10].mean() < 0.3 * weights[10:].mean()


def test_the_weighted_loss_steps_as_adam_does_and_only_in_training():
    x, y, flipped = half_flipped()
    network = nn.Linear(2, 2)
    weighted = losses.MetaWeightedLoss(0.01, 0.3, width=6)
    weigh = copy.deepcopy(weighted.weigh)
    optimiser = torch.optim.Adam(weigh.parameters(), lr=0.01)
    loss = losses.CrossEntropyLoss(reduction="none")
    for _ in range(5):
        value = weighted(network, x, flipped, x[10:], y[10:])
        optimiser.zero_grad()
        losses.meta_loss(network, loss, weigh, x, flipped, x[10:], y[10:], 0.3).backward()
        optimiser.step()
        for mine, theirs in zip(weighted.weigh.parameters(), weigh.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    each = loss(network(x), flipped)
    torch.testing.assert_close(value, (each * weigh(each)).sum())
    before = copy.deepcopy(weighted.eval().state_dict())
    weighted(network, x, flipped, x[10:], y[10:])
    torch.testing.assert_close(weighted.state_dict(), before, rtol=0, atol=0)


def test_weights_of_losses_in_double_precision():
    weights = losses.MetaWeightNet()(torch.rand(5, dtype=torch.float64))
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


def test_a_bare_network_is_weighted_like_a_wrapped_one_and_nothing_is_learned_without_gradients():
    torch.manual_seed(0)
    network, loss = nn.Linear(3, 2), losses.MetaWeightedLoss()
    other = copy.deepcopy(loss)
    batches = torch.randn(6, 3), torch.arange(6) % 2, torch.randn(4, 3), torch.arange(4) % 2
    torch.testing.assert_close(loss(network, *batches), other(nn.DataParallel(network), *batches))
    before = copy.deepcopy(loss.state_dict())
    with torch.no_grad():
        assert loss(network, *batches).isfinite()
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_a_part_of_a_network_may_be_called_module():
    class Backbone(nn.Module):
        def __init__(self, name):
            super().__init__()
            torch.manual_seed(0)
            setattr(self, name, nn.Linear(3, 8))
            self.head, self.name = nn.Linear(8, 2), name

        def forward(self, x):
            return self.head(torch.relu(getattr(self, self.name)(x)))

    loss = losses.MetaWeightedLoss(0.1)
    other = copy.deepcopy(loss)
    batches = torch.randn(6, 3), torch.arange(6) % 2, torch.randn(4, 3), torch.arange(4) % 2
    torch.testing.assert_close(loss(Backbone("module"), *batches), other(Backbone("trunk"), *batches))
    torch.testing.assert_close(loss.state_dict(), other.state_dict())


def test_ignored_examples_have_no_weight():
    torch.manual_seed(0)
    network, loss = nn.Linear(4, 3).double(), losses.MetaWeightedLoss(0.1).double()
    other = copy.deepcopy(loss)
    x, y = torch.randn(20, 4, dtype=torch.float64), torch.randint(0, 3, (20,))
    clean = x[:6], y[:6]
    y[10:] = -100
    torch.testing.assert_close(loss(network, x, y, *clean), other(network, x[:10], y[:10], *clean))
    torch.testing.assert_close(loss.state_dict(), other.state_dict())
    assert loss(network, x[10:], y[10:], *clean) == 0


def test_a_network_of_weights_has_a_hidden_unit():
    with pytest.raises(TailwiseError, match="width must be a whole number of at least 1; got -1"):
        losses.MetaWeightNet(-1)
