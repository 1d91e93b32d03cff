"""Heads that never hold batch × classes: exact by chunks, estimated by samples."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tailwise import losses
from tailwise.errors import TailwiseError

K, D, N = 37, 5, 8


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N, D, generator=generator, dtype=torch.float64), torch.arange(N) * 4 % K


def counts():
    return np.random.default_rng(0).integers(1, 100, K)


def head(cls=losses.ChunkedSoftmaxLoss, **options):
    torch.manual_seed(3)
    return cls(D, K, counts(), **options).double()


@pytest.mark.parametrize("chunk_size", [1, 10, 37, 100])
def test_chunks_equal_the_whole(chunk_size):
    features, codes = batch()
    codes[2] = -100
    features.requires_grad_()
    loss = head(chunk_size=chunk_size)
    value = loss(features, codes)
    whole = losses.BalancedSoftmaxLoss(counts()).double()(features @ loss.weight.T, codes)
    torch.testing.assert_close(value, whole, rtol=1e-6, atol=0)
    mine = torch.autograd.grad(value, [features, loss.weight])
    torch.testing.assert_close(mine, torch.autograd.grad(whole, [features, loss.weight]), rtol=1e-5, atol=1e-9)


def test_chunked_gradient_is_the_derivative():
    features, codes = batch()
    loss = head(chunk_size=10, reduction="none")
    assert torch.autograd.gradcheck(lambda h: loss(h, codes), features.requires_grad_())


def test_chunks_without_counts_are_cross_entropy():
    features, codes = batch()
    loss = losses.ChunkedSoftmaxLoss(D, K, chunk_size=10).double()
    torch.testing.assert_close(loss(features, codes), F.cross_entropy(features @ loss.weight.T, codes))


@pytest.mark.parametrize("chunk_size", [1, 10, 100])
def test_the_largest_logits_are_found_by_chunks(chunk_size):
    features, _ = batch()
    loss = head(chunk_size=chunk_size)
    logits = features @ loss.weight.T
    for k in (1, 5, K + 3):
        best, codes = loss.topk(features, k)
        torch.testing.assert_close(best, logits.topk(min(k, K)).values.detach())
        torch.testing.assert_close(logits.gather(1, codes), best)
    with pytest.raises(TailwiseError, match="k must be a whole number of at least 1; got 0"):
        loss.topk(features, 0)


def test_chunks_are_transformed_as_the_whole_is():
    features, codes = batch()
    loss = head(chunk_size=10)

    def whole(h, y):
        return F.cross_entropy(h @ loss.weight.T + loss.bias, y)

    def transformed(of):
        each = torch.vmap(torch.func.grad(lambda h, y: of(h[None], y[None])))(features, codes)
        return each, *torch.func.jvp(lambda h: of(h, codes), (features,), (features,))

    torch.testing.assert_close(transformed(loss), transformed(whole), rtol=1e-6, atol=1e-9)


def test_half_precision_chunks_are_close():
    features, codes = batch()
    loss = head(chunk_size=10)
    exact = loss(features, codes)
    half = features.bfloat16().requires_grad_()
    loss = loss.to(torch.bfloat16)
    value = loss(half, codes)
    value.backward()
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value.double(), exact, rtol=3e-2, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_confident_answers_in_half_precision_are_those_of_a_plain_classifier(dtype, autocast):
    torch.manual_seed(0)
    codes = torch.arange(64) % 37
    loss = losses.ChunkedSoftmaxLoss(64, 37, chunk_size=10, reduction="none")
    features = 6 * loss.weight.detach()[codes] + 0.1 * torch.randn(64, 64)
    exact = loss(features, codes)
    exact_gradient = torch.autograd.grad(exact.sum(), loss.weight)[0]
    if autocast:
        with torch.autocast("cpu", dtype=dtype):
            value = loss(features, codes)
    else:
        loss = loss.to(dtype)
        value = loss(features.to(dtype), codes)
    assert value.min() >= 0
    torch.testing.assert_close(value, exact, rtol=0.1, atol=2e-2)
    gradient = torch.autograd.grad(value.sum(), loss.weight)[0].float()
    assert (gradient - exact_gradient).norm() < 0.03 * exact_gradient.norm()


def test_the_sampled_sum_has_the_right_expectation():
    features, codes = batch()
    loss = head(losses.SampledSoftmaxLoss, n_samples=16, reduction="none", generator=torch.Generator().manual_seed(0))
    z = features @ loss.weight.T + loss.bias
    own = z.gather(1, codes[:, None])[:, 0]
    with torch.no_grad():
        sums = torch.stack([loss(features, codes).add(own).exp() for _ in range(3000)])
    exact = z.exp().sum(1)
    error = (sums.mean(0) - exact) / (sums.std(0) / len(sums) ** 0.5)
    assert error.abs().max() < 4
    torch.testing.assert_close(loss.eval()(features, codes), z.logsumexp(1) - own)


def test_many_samples_come_close_to_the_exact_gradient():
    features, codes = batch()
    loss = head(losses.SampledSoftmaxLoss, n_samples=200_000, generator=torch.Generator().manual_seed(0))
    sampled = torch.autograd.grad(loss(features, codes), loss.weight)[0]
    exact = torch.autograd.grad(loss.eval()(features, codes), loss.weight)[0]
    torch.testing.assert_close(sampled, exact, rtol=0, atol=0.02 * exact.abs().max().item())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_sampled_head_in_half_precision_draws_all_classes_and_answers_in_float32(dtype):
    n_classes, n_samples = 20_000, 4_000
    loss = losses.SampledSoftmaxLoss(D, n_classes, np.ones(n_classes), n_samples, power=0.0)
    features, codes = torch.randn(3, D), torch.arange(3)
    rounded = copy.deepcopy(loss).to(dtype)
    value = rounded(features.to(dtype), codes)
    value.backward()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss.eval()(features, codes), rtol=0.02, atol=0)
    drawn = (rounded.weight.grad != 0).any(1).sum().item()
    expected = n_classes * (1 - np.exp(-n_samples / n_classes))
    assert abs(drawn - expected) < 5 * expected**0.5


def test_a_sampled_head_takes_features_of_another_precision_as_the_chunked_one_does():
    features, codes = batch()
    loss = head(losses.SampledSoftmaxLoss, n_samples=200_000, generator=torch.Generator().manual_seed(0)).float()
    sampled, exact = loss(features.bfloat16(), codes), loss.eval()(features.bfloat16(), codes)
    torch.testing.assert_close(sampled, exact, rtol=0.01, atol=0)


def test_the_chunked_head_has_second_derivatives_and_takes_function_transforms():
    features, codes = batch()
    chunked = head().double()
    features = features.double().requires_grad_()

    def plain(x, weight):
        return F.cross_entropy(x @ weight.T + chunked.bias, codes)

    def penalised(value, x, weight):
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        return torch.autograd.grad(value + 10 * gradient.square().sum(), (x, weight))

    ours = penalised(chunked(features, codes), features, chunked.weight)
    torch.testing.assert_close(ours, penalised(plain(features, chunked.weight), features, chunked.weight))
    by_function = torch.func.grad(lambda x: chunked(x, codes))(features.detach())
    torch.testing.assert_close(by_function, torch.func.grad(lambda x: plain(x, chunked.weight))(features.detach()))


@pytest.mark.parametrize("head", [losses.ChunkedSoftmaxLoss, losses.SampledSoftmaxLoss])
def test_heads_are_not_moved_by_a_batch_of_which_all_is_ignored(head):
    loss, features = head(3, 5, [5, 4, 3, 2, 1]), torch.ones(4, 3, requires_grad=True)
    loss(features, torch.full((4,), -100)).backward()
    assert not loss.weight.grad.any()
    assert not features.grad.any()


def test_heads_say_what_is_wrong():
    features, codes = batch()
    with pytest.raises(TailwiseError, match=r"features must be floating point .* torch.int64"):
        head()(features.long(), codes)
    with pytest.raises(TailwiseError, match=r"features must be floating point of shape \(batch, 5\)"):
        head()(features[:, :2], codes)
    with pytest.raises(TailwiseError, match="class codes must be 8 of type"):
        head()(features, codes[:3])
    with pytest.raises(TailwiseError, match="class code 37 is out of range"):
        head()(features, codes.fill_(K))
    with pytest.raises(TailwiseError, match="n_samples must be a whole number of at least 1; got 0"):
        losses.SampledSoftmaxLoss(D, K, np.ones(K), 0)
    with pytest.raises(TailwiseError, match="3 class counts for 37 classes"):
        losses.ChunkedSoftmaxLoss(D, K, [1, 2, 3])


def test_backward_computes_its_products_in_autocasts_type_and_only_what_is_needed():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Products(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.mm.default:
                seen.append(args[0].dtype)
            return func(*args, **(kwargs or {}))

    loss, x, y = losses.ChunkedSoftmaxLoss(8, 20, chunk_size=10), torch.randn(6, 8), torch.arange(6)
    for frozen, needed in ((False, 3), (True, 2)):
        seen = []
        loss.weight.requires_grad_(not frozen)
        features = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(features, y)
        with Products():
            value.backward()
        assert seen == [torch.bfloat16] * 2 * needed, "logits again, and a product for each gradient, of two chunks"
        assert features.grad is not None


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.bool])
def test_codes_of_another_type_are_refused(dtype):
    loss = losses.SampledSoftmaxLoss(5, 4, [100, 10, 5, 1], n_samples=3)
    with pytest.raises(TailwiseError, match=r"class codes must be 4 of type torch.int64; got \(4,\) torch\."):
        loss(torch.randn(4, 5), torch.tensor([1, 0, 1, 1]).to(dtype))
