"""The large-batch path gives what the plain path gives: values, gradients, second derivatives, memory."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tailwise import losses
from tailwise.errors import TailwiseError
from tailwise.losses import _fused, _mechanism
from tailwise.losses._fused import AdjustedNLL, SigmoidNLL, adjust
from tailwise.losses._million import ChunkedNLL

K = 6
SETTINGS = {
    "bias": {"bias": torch.linspace(-2, 0, K, dtype=torch.float64)},
    "scale": {"scale": 3.0},
    "scale of NumPy's": {"scale": np.float32(3)},
    "scale per class": {"scale": torch.linspace(0.5, 2, K, dtype=torch.float64)},
    "margin and scale": {"margin": torch.linspace(0.1, 0.5, K, dtype=torch.float64), "scale": 30.0},
    "margin": {"margin": torch.linspace(0.1, 0.5, K, dtype=torch.float64)},
    "all": {
        "scale": torch.linspace(0.5, 2, K, dtype=torch.float64),
        "margin": torch.linspace(0.1, 0.5, K, dtype=torch.float64),
        "bias": torch.randn(5, K, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    },
}
each_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, K, dtype=torch.float64, generator=generator, requires_grad=True), torch.tensor(
        [0, 5, 2, -100, 2]
    )


def fused(logits, targets, *, scale=None, margin=None, bias=None):
    return AdjustedNLL.apply(logits, targets, scale, margin, bias, -100)[0]


def plain(logits, targets, *, scale=None, margin=None, bias=None):
    return F.cross_entropy(adjust(logits, targets, scale, margin, bias), targets, reduction="none")


@pytest.mark.parametrize("cls", ["LogitAdjustedLoss", "ZLoss", "EqualizationLoss", "ChunkedSoftmaxLoss"])
def test_memory_that_runs_out_is_said_instead_of_taking_more(cls, monkeypatch):
    def full(*_):
        raise torch.cuda.OutOfMemoryError("out of memory")

    for function in (AdjustedNLL, SigmoidNLL, _fused.RowLosses, ChunkedNLL):
        monkeypatch.setattr(function, "apply", full)
    monkeypatch.setattr(_mechanism, "_LARGE", 0)
    counts, targets = [9, 4, 3, 2, 1, 1], batch()[1]
    if cls == "ChunkedSoftmaxLoss":
        loss, inputs = losses.ChunkedSoftmaxLoss(K, K), batch()[0].float()
    else:
        loss, inputs = getattr(losses, cls)(*[counts] * (cls != "ZLoss")), batch()[0]
    with pytest.raises(torch.cuda.OutOfMemoryError):
        loss(inputs, targets)


@each_setting
def test_fused_equals_plain(setting):
    logits, targets = batch()
    torch.testing.assert_close(fused(logits, targets, **setting), plain(logits, targets, **setting))
    weights = torch.linspace(1, 2, len(targets), dtype=torch.float64)
    (mine,) = torch.autograd.grad((fused(logits, targets, **setting) * weights).sum(), logits)
    (theirs,) = torch.autograd.grad((plain(logits, targets, **setting) * weights).sum(), logits)
    torch.testing.assert_close(mine, theirs)


@each_setting
def test_first_and_second_derivatives(setting):
    logits, targets = batch()
    assert torch.autograd.gradcheck(lambda z: fused(z, targets, **setting), logits)
    assert torch.autograd.gradgradcheck(lambda z: fused(z, targets, **setting), logits)


def test_logits_are_left_as_they_were():
    logits, targets = batch()
    before = logits.detach().clone()
    fused(logits, targets, bias=SETTINGS["bias"]["bias"]).sum().backward()
    torch.testing.assert_close(logits.detach(), before, rtol=0, atol=0)


def test_backward_can_be_repeated():
    logits, targets = batch()
    value = fused(logits, targets, bias=SETTINGS["bias"]["bias"]).sum()
    value.backward(retain_graph=True)
    once = logits.grad.clone()
    value.backward()
    torch.testing.assert_close(logits.grad, 2 * once)


def test_tiny_probabilities_keep_their_loss_and_gradient():
    logits = torch.tensor([[0.0, 300.0, -1e4]], requires_grad=True)
    value = fused(logits, torch.tensor([0]), bias=torch.zeros(3))
    value.sum().backward()
    torch.testing.assert_close(value, torch.tensor([300.0]))
    torch.testing.assert_close(logits.grad, torch.tensor([[-1.0, 1.0, 0.0]]))


@pytest.mark.parametrize("build", [losses.BalancedSoftmaxLoss, losses.LDAMLoss, losses.VSLoss, losses.SeesawLoss])
def test_large_batches_agree_with_small(build, monkeypatch):
    draw = np.random.default_rng(0)
    logits = torch.tensor(draw.uniform(-1, 1, size=(64, 50)), dtype=torch.float32)
    codes = torch.tensor(draw.integers(50, size=64))
    loss = build(draw.integers(1, 100, size=50), weight=np.linspace(1, 2, 50))
    small, large = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss(small, codes).backward()
    monkeypatch.setattr(_mechanism, "_LARGE", 1)
    value = loss(large, codes)
    value.backward()
    torch.testing.assert_close(value, loss(logits, codes))
    torch.testing.assert_close(large.grad, small.grad)
    with pytest.raises(TailwiseError, match="class code 50 is out of range for 50 classes"):
        loss(logits, codes.clone().fill_(50))
    with pytest.raises(TailwiseError, match="class code -1"):
        loss(logits, codes.clone().fill_(-1))


@pytest.mark.parametrize("build", [losses.BalancedSoftmaxLoss, losses.LDAMLoss, losses.VSLoss, losses.EqualizationLoss])
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_large_batches_can_be_mapped_and_differentiated_forward(build, monkeypatch):
    monkeypatch.setattr(_mechanism, "_LARGE", 1)
    draw = torch.Generator().manual_seed(0)
    logits, way = torch.randn(2, 3, 8, K, generator=draw, dtype=torch.float64)
    codes = torch.randint(K, (3, 8), generator=draw)
    loss = build(np.arange(1, K + 1)).double()
    gradients = torch.stack([torch.func.grad(loss)(*one) for one in zip(logits, codes, strict=True)])
    torch.testing.assert_close(torch.vmap(torch.func.grad(loss))(logits, codes), gradients)
    value, slope = torch.func.jvp(lambda z: loss(z, codes[0]), (logits[0],), (way[0],))
    torch.testing.assert_close(value, loss(logits[0], codes[0]))
    torch.testing.assert_close(slope, (gradients[0] * way[0]).sum())


def test_a_code_out_of_range_inside_vmap_is_named():
    with pytest.raises((IndexError, RuntimeError), match="index 6 is out of bounds"):
        torch.vmap(losses.BalancedSoftmaxLoss(np.arange(1, K + 1)))(torch.zeros(2, 5, K), torch.full((2, 5), K))


def test_a_large_half_precision_batch_gets_a_half_precision_gradient(monkeypatch):
    monkeypatch.setattr(_mechanism, "_LARGE", 1)
    logits = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)
    losses.BalancedSoftmaxLoss([5, 3, 1])(logits, torch.tensor([0, 1, 2, 0])).backward()
    assert logits.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("large", [1, 1 << 20])
def test_a_learned_scale_and_bias_get_their_gradient(large, monkeypatch):
    monkeypatch.setattr(_mechanism, "_LARGE", large)
    logits, targets = batch()
    scale = torch.ones(K, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(K, dtype=torch.float64, requires_grad=True)
    margin = SETTINGS["margin"]["margin"]
    assert torch.autograd.gradcheck(
        lambda z, s, b: losses.adjusted_cross_entropy(z, targets, scale=s, margin=margin, bias=b), (logits, scale, bias)
    )


def sigmoid_batch():
    generator = torch.Generator().manual_seed(2)
    q, r = (torch.rand(K, dtype=torch.float64, generator=generator) + 0.5 for _ in range(2))
    logits = torch.randn(5, K, dtype=torch.float64, generator=generator, requires_grad=True)
    return logits, torch.tensor([0, 5, 2, 1, 2]), q, r


def test_weighted_sigmoids_are_torchs():
    logits, targets, q, r = sigmoid_batch()
    rows = F.one_hot(targets, K).double()
    expected = F.binary_cross_entropy_with_logits(logits, rows, q * rows + r * (1 - rows), reduction="none").sum(1)
    value = SigmoidNLL.apply(logits, targets, q, r)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value[1], logits), torch.autograd.grad(expected[1], logits))
    assert torch.autograd.gradcheck(lambda z: SigmoidNLL.apply(z, targets, q, r), logits)
    assert torch.autograd.gradgradcheck(lambda z: SigmoidNLL.apply(z, targets, q, r), logits)


def test_a_sure_example_does_not_cancel():
    logits = torch.tensor([[1e4, -20.0]], requires_grad=True)
    value = SigmoidNLL.apply(logits, torch.tensor([0]), torch.ones(2), torch.ones(2))
    torch.testing.assert_close(value, torch.tensor([20.0]).neg().exp(), rtol=1e-5, atol=0)


class Allocations(TorchDispatchMode):
    """Counts the storages of at least ``size`` entries that operations make new."""

    def __init__(self, size, *known):
        super().__init__()
        self.size = size
        self.tensors = {t.untyped_storage().data_ptr(): t for t in known}  # alive, so that no address is used twice

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.numel() >= self.size:
                self.tensors.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return out


ROWWISE = {
    "asymmetric": losses.AsymmetricLoss,
    "distribution-balanced": lambda: losses.DistributionBalancedLoss(np.arange(1, K + 1), 100),
    "dice": losses.DiceLoss,
    "tversky": lambda: losses.TverskyLoss(0.3, 0.7, focus=0.5),
    "z-loss": losses.ZLoss,
    "cumulative": losses.CumulativeLoss,
    "focal": losses.FocalLoss,
    "equalization": lambda: losses.EqualizationLoss(np.arange(1, K + 1)),
    "equalization v2": lambda: losses.EqualizationLossV2(K).eval(),
}


@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("form", ["codes", "rows"])
def test_losses_of_rows_are_the_same_a_few_rows_at_a_time(name, form, monkeypatch):
    logits, codes = batch()
    logits = logits.detach().sort(dim=1, descending=True).values.requires_grad_()  # as cumulative ones are
    rows = torch.softmax(torch.randn(5, K, dtype=torch.float64, generator=torch.Generator().manual_seed(3)), 1)
    targets, loss = codes if form == "codes" else rows, ROWWISE[name]().double()

    def derivatives():
        value = loss(logits, targets)
        (gradient,) = torch.autograd.grad(value, logits, create_graph=True)
        return value, gradient, *torch.autograd.grad((gradient**2).sum(), logits)

    plain = derivatives()
    monkeypatch.setattr(_mechanism, "_LARGE", 1)
    monkeypatch.setattr(_fused, "_BLOCK", 2 * K)
    torch.testing.assert_close(derivatives(), plain)
    if form == "rows" or name not in ("cumulative", "focal", "equalization", "equalization v2"):  # else those of codes
        loss.reduction = "none"
        step = loss(logits, targets).grad_fn
        named = type(step).__name__ == "RowLossesBackward"
        assert named or "RowLossesBackward" in [type(before).__name__ for before, _ in step.next_functions]
        loss.reduction = "mean"
    with torch.no_grad():
        torch.testing.assert_close(loss(logits, targets), plain[0])
    half = logits.detach().bfloat16().requires_grad_()
    loss(half, targets if form == "codes" else targets.bfloat16()).backward()
    assert half.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("build", [losses.AsymmetricLoss, losses.DiceLoss, losses.ZLoss])
def test_losses_of_rows_hold_one_tensor_beside_the_gradient(build):
    n, k = 64, 1 << 15
    logits = torch.zeros(n, k, requires_grad=True)
    with Allocations(n * k, logits) as allocations:
        torch.autograd.grad(build()(logits, torch.arange(n)), logits)
    assert len(allocations.tensors) - 1 <= 2


@pytest.mark.parametrize(
    ("build", "allowed"),
    [
        (losses.BalancedSoftmaxLoss, 2),
        (losses.LogitAdjustedLoss, 2),
        (losses.VSLoss, 2),
        (losses.LDAMLoss, 2),
        (losses.EqualizationLoss, 2),
    ],
)
def test_one_tensor_of_batch_by_classes_beside_the_gradient(build, allowed):
    n, k = 64, 1 << 15
    logits = torch.zeros(n, k, requires_grad=True)
    loss = build(np.arange(1, k + 1))
    with Allocations(n * k, logits) as allocations:
        torch.autograd.grad(loss(logits, torch.arange(n)), logits)  # backward() would copy what the test holds
    assert len(allocations.tensors) - 1 <= allowed


def test_what_is_learned_beside_the_logits_keeps_its_gradient_in_large_batches(monkeypatch):
    monkeypatch.setattr(_mechanism, "_LARGE", 1)
    loss = losses.FocalLoss(weight=np.ones(K)).double()
    loss.weight.requires_grad_()
    logits, _ = batch()
    loss(logits, torch.full((5, K), 1 / K, dtype=torch.float64)).backward()
    assert loss.weight.grad.abs().sum() > 0


def test_hooks_on_the_logits_run_once(monkeypatch):
    logits, codes = batch()

    def gradient():
        z = logits.detach().requires_grad_()
        z.register_hook(lambda g: 2 * g)
        return torch.autograd.grad(losses.AsymmetricLoss()(z, codes), z, create_graph=True)[0]

    plain = gradient()
    monkeypatch.setattr(_mechanism, "_LARGE", 1)
    torch.testing.assert_close(gradient(), plain)


def test_a_scaled_loss_keeps_the_small_gradients_of_half_precision(monkeypatch):
    logits = torch.randn(8, K, generator=torch.Generator().manual_seed(0)).half()

    def zeros():
        z = logits.clone().requires_grad_()
        (65536 * losses.DiceLoss()(100 * z, torch.arange(8) % K)).backward()
        return int((z.grad == 0).sum())

    plain = zeros()
    monkeypatch.setattr(_mechanism, "_LARGE", 1)
    assert zeros() <= plain
