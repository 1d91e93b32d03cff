"""What every public loss must do, found by discovery: nothing is public without a case, and every case is swept."""

import copy
import inspect
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.torch_version import TorchVersion

from losses.cases import CASES, COUNTS, HEADS
from tailwise import losses
from tailwise.errors import TailwiseError
from tailwise.losses._mechanism import as_rows

K = len(COUNTS)
WEIGHT = np.arange(1.0, K + 1)
every_loss = pytest.mark.parametrize("name", CASES)


def where(condition):
    return pytest.mark.parametrize("name", [name for name, case in CASES.items() if condition(case)])


@pytest.fixture(autouse=True)
def float64():
    """Build losses in float64, so that a difference from the oracle is one of the formula."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def batch(n=12, seed=0, spread=0.3):
    """Logits that could be cosines, codes that cover every class, and rows."""
    draw = np.random.default_rng(seed)
    logits = np.clip(draw.normal(size=(n, K)) * spread, -0.95, 0.95)
    logits[:, 1:] = -np.sort(-logits[:, 1:], axis=1)  # cumulative logits fall; the others do not mind
    codes = np.arange(n) % K
    rows = draw.dirichlet(np.ones(K), size=n)
    return torch.tensor(logits), torch.tensor(codes), torch.tensor(rows)


def build(name, counts=COUNTS, **options):
    return CASES[name].build(counts, **options).eval()


def class_weight(loss):
    return loss.weight if getattr(loss, "weight", None) is not None else torch.ones(K)


def test_every_public_loss_has_a_case():
    modules = {n for n in losses.__all__ if isinstance(getattr(losses, n), type)}
    assert modules == set(CASES) | HEADS | {"AdaptedLoss", "MetaWeightNet", "MetaWeightedLoss"}


def test_every_public_loss_says_what_was_verified():
    for name in [*CASES, *HEADS, "MetaWeightNet", "MetaWeightedLoss", "meta_weights", "presto_penalty"]:
        assert "Verified: " in getattr(losses, name).__doc__, name


@every_loss
def test_equals_the_equation_for_codes(name):
    logits, codes, _ = batch()
    loss = build(name, reduction="none")
    expected = CASES[name].oracle(logits.numpy(), np.eye(K)[codes], COUNTS) * class_weight(loss)[codes].numpy()
    np.testing.assert_allclose(loss(logits, codes).numpy(), expected, rtol=1e-9, atol=1e-12)


@where(lambda case: not case.hard_only and not case.weighted)
def test_equals_the_equation_for_rows(name):
    logits, _, rows = batch()
    expected = CASES[name].oracle(logits.numpy(), rows.numpy(), COUNTS)
    np.testing.assert_allclose(build(name, reduction="none")(logits, rows).numpy(), expected, rtol=1e-9, atol=1e-12)


@every_loss
def test_one_hot_rows_are_codes(name):
    logits, codes, _ = batch()
    loss = build(name, reduction="none")
    torch.testing.assert_close(loss(logits, torch.eye(K)[codes]), loss(logits, codes))


def takes_weight(case):
    """Say whether the loss takes a weight for each class."""
    try:
        case.build(COUNTS, weight=WEIGHT)
    except (TypeError, TailwiseError):
        return False
    return True


@where(takes_weight)
def test_one_hot_rows_are_codes_where_classes_have_weights(name):
    logits, codes, _ = batch()
    loss = build(name, reduction="none", weight=WEIGHT)
    torch.testing.assert_close(loss(logits, torch.eye(K)[codes]), loss(logits, codes))


def test_every_loss_without_weights_of_its_own_takes_them():
    assert {name for name, case in CASES.items() if not takes_weight(case)} == {
        name for name, case in CASES.items() if case.weighted
    }


@where(takes_weight)
def test_an_example_weighs_what_its_class_does(name):
    logits, codes, _ = batch()
    plain, of_class = build(name, reduction="none")(logits, codes), torch.tensor(WEIGHT)[codes]
    for reduction, expected in (
        ("none", plain * of_class),
        ("sum", (plain * of_class).sum()),
        ("mean", (plain * of_class).sum() / of_class.sum()),
    ):
        torch.testing.assert_close(build(name, reduction=reduction, weight=WEIGHT)(logits, codes), expected)


def test_a_row_of_labels_weighs_what_they_do_on_average():
    logits, rows = torch.randn(3, 3), torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 0, 0]])
    for cls in (losses.AsymmetricLoss, losses.EqualizationLossV2, losses.DiceLoss):
        options = {"n_classes": 3} if cls is losses.EqualizationLossV2 else {}
        plain, weighted = (cls(**options, weight=w, reduction="none").eval() for w in (None, [1.0, 2, 5]))
        torch.testing.assert_close(weighted(logits, rows), plain(logits, rows) * torch.tensor([3.0, 2, 1]))


@where(lambda case: case.smooth)
def test_gradient_is_the_derivative(name):
    logits, codes, rows = batch(n=4, seed=3)
    logits.requires_grad_()
    for targets in (codes, rows):
        assert torch.autograd.gradcheck(lambda z, t=targets: build(name)(z, t), logits)


@every_loss
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_batches_of_batches_are_mapped(name):
    logits, codes, _ = batch()
    loss, two, own = build(name), torch.stack([logits, logits.flip(0)]), torch.stack([codes, codes.flip(0)])
    torch.testing.assert_close(
        torch.vmap(loss)(two, own), torch.stack([loss(*one) for one in zip(two, own, strict=True)])
    )


@where(lambda case: case.plain is not None)
def test_the_plain_setting_is_cross_entropy(name):
    logits, codes, rows = batch()
    loss = CASES[name].plain(np.full(K, 7.0)).train()
    torch.testing.assert_close(loss(logits, codes), F.cross_entropy(logits, codes))
    torch.testing.assert_close(loss(logits, rows), F.cross_entropy(logits, rows))


@where(lambda case: case.shift)
@settings(max_examples=10)
@given(shift=st.floats(-50, 50))
def test_a_shift_of_the_logits_changes_nothing(name, shift):
    logits, codes, _ = batch()
    loss = build(name)
    torch.testing.assert_close(loss(logits + shift, codes), loss(logits, codes), rtol=1e-7, atol=1e-9)


@where(lambda case: case.permutation)
@settings(max_examples=10)
@given(order=st.permutations(range(K)))
def test_permuting_the_classes_changes_nothing(name, order):
    logits, codes, _ = batch()
    inverse = torch.tensor(np.argsort(order))
    permuted = build(name, counts=COUNTS[list(order)])
    torch.testing.assert_close(permuted(logits[:, list(order)], inverse[codes]), build(name)(logits, codes))


@every_loss
def test_reductions_agree(name):
    logits, codes, _ = batch()
    each = build(name, reduction="none")(logits, codes)
    loss = build(name, reduction="sum")
    torch.testing.assert_close(loss(logits, codes), each.sum())
    torch.testing.assert_close(build(name)(logits, codes), each.mean())


@every_loss
@pytest.mark.parametrize("ignore_index", [-100, -1, 255])
def test_ignored_examples_count_nothing(name, ignore_index):
    logits, codes, _ = batch()
    more, _, _ = batch(seed=9)
    padded = torch.cat([codes, torch.full((len(more),), ignore_index)])
    for options in [{}] + [{"weight": WEIGHT}] * takes_weight(CASES[name]):
        loss = build(name, ignore_index=ignore_index, **options)
        both = torch.cat([logits, more]).requires_grad_()
        value = loss(both, padded)
        torch.testing.assert_close(value, loss(logits, codes))
        value.backward()
        assert not both.grad[len(codes) :].any()


@every_loss
def test_a_batch_of_which_all_is_ignored_sums_to_nothing(name):
    logits, codes, _ = batch()
    logits = logits.requires_grad_()
    for value in (
        build(name, reduction="sum")(logits, codes.fill_(-100)),
        build(name, reduction="none")(logits, codes).sum(),
    ):
        assert value == 0
        assert not torch.autograd.grad(value, logits)[0].any()


@every_loss
def test_a_batch_of_which_all_is_ignored_moves_nothing(name):
    for options in [{}] + [{"weight": WEIGHT}] * takes_weight(CASES[name]):
        logits, codes, _ = batch()
        logits = logits.requires_grad_()
        value = build(name, **options)(logits, codes.fill_(-100))
        assert value.isnan() or value == 0
        assert not torch.autograd.grad(value, logits)[0].any()


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_of_a_loss_that_is_scaled_up_stay_finite(name, reduction):
    """As the scaler of half precision does, also where classes are absent."""
    logits, codes, _ = batch()
    logits = logits.float().requires_grad_()
    value = build(name, reduction=reduction).float()(logits, codes.clamp_max(1))
    (once,) = torch.autograd.grad(value, logits, retain_graph=True)
    (scaled,) = torch.autograd.grad(value * 2.0**24, logits)
    torch.testing.assert_close(scaled, once * 2.0**24)


@every_loss
@pytest.mark.parametrize("option", [{"weight": np.ones(K)}, {"label_smoothing": 0.3}])
def test_an_option_is_documented_and_heeded_or_refused(name, option):
    logits, codes, _ = batch()
    documented = re.search(r"``{0}``|{0}(, \w+)* :".format(*option), getattr(losses, name).__doc__)
    if "weight" in option:
        option["weight"][codes[0]] = 9.0
    try:
        changed = build(name, **option)(logits, codes)
    except (TypeError, TailwiseError):
        assert not documented
    else:
        assert documented
        assert changed != build(name)(logits, codes)


@every_loss
def test_an_unknown_reduction_is_refused_where_the_loss_is_made(name):
    with pytest.raises(TailwiseError, match="unknown reduction 'avg': use none, mean or sum"):
        build(name, reduction="avg")


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_leaves_the_arithmetic_alone(name, dtype):
    logits, codes, _ = batch()
    logits, loss = logits.float(), build(name).float()
    with torch.autocast("cpu", dtype=dtype):
        inside = loss(logits, codes)
    torch.testing.assert_close(inside, loss(logits, codes), rtol=1e-5, atol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_close_and_finite(name, dtype):
    torch.set_default_dtype(torch.float32)
    counts = np.array([1e6, 1e4, 100, 3, 1])
    logits, codes, rows = batch()
    half = logits.to(dtype).requires_grad_()
    loss = build(name, counts=counts)
    for targets in (codes, rows.to(dtype)):
        value = loss(half, targets)
        assert value.dtype == torch.float32
        exact = loss(half.detach().float(), targets.float() if targets.is_floating_point() else targets)
        torch.testing.assert_close(value, exact, rtol=2e-2, atol=1e-3)
        value.backward()
        assert half.grad.dtype == dtype
        assert half.grad.isfinite().all()


@every_loss
def test_a_module_of_half_precision_keeps_its_numbers(name):
    torch.set_default_dtype(torch.float32)
    logits, codes, _ = batch()
    counts, logits = np.array([1e6, 1e4, 100, 3, 1]), logits.float()
    expected = build(name, counts=counts)(logits, codes)
    torch.testing.assert_close(build(name, counts=counts).half()(logits, codes), expected)
    torch.set_default_dtype(torch.bfloat16)
    loss = build(name, counts=counts)
    torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(loss(logits, codes), expected)


@every_loss
@pytest.mark.parametrize("size", [0.0, 1e2, 1e4])
def test_extreme_logits_stay_finite(name, size):
    torch.set_default_dtype(torch.float32)
    _, codes, rows = batch()
    logits = (size * torch.tensor(np.random.default_rng(0).choice([-1.0, 0.0, 1.0], size=(len(codes), K)))).float()
    for targets in (codes, rows.float()):
        z = logits.clone().requires_grad_()
        value = build(name, counts=np.array([1e6, 1e4, 100, 3, 1]))(z, targets)
        value.backward()
        assert value.isfinite()
        assert z.grad.isfinite().all()


@every_loss
def test_a_class_without_examples_stays_finite(name):
    logits, codes, rows = batch()
    loss = build(name, counts=np.array([50, 20, 0, 5, 0]), reduction="sum")
    assert loss(logits, codes).isfinite()
    assert loss(logits, rows).isfinite()


@every_loss
def test_numbers_per_class_are_buffers(name):
    loss = build(name)
    twin = build(name, counts=COUNTS[::-1].copy())
    twin.load_state_dict(loss.state_dict())
    logits, codes, _ = batch()
    torch.testing.assert_close(twin(logits, codes), loss(logits, codes))
    assert not list(loss.parameters())
    assert isinstance(repr(loss), str)


@every_loss
def test_bad_batches_are_one_clear_line(name):
    logits, codes, _ = batch()
    loss = build(name)
    for bad_logits, bad_targets in [
        (logits, codes[:-1]),
        (logits, codes + 0.5),
        (logits, codes.int()),
        (logits, codes.byte()),
        (logits, torch.eye(K + 1)[codes]),
        (logits[0], codes),
        (logits.long(), codes),
        (logits, codes.clone().fill_(K)),
        (logits, codes.clone().fill_(-1)),
    ]:
        with pytest.raises(TailwiseError) as caught:
            loss(bad_logits, bad_targets)
        assert "\n" not in str(caught.value)


@where(lambda case: case.takes_counts)
@pytest.mark.parametrize("counts", [[5, -1, 3], [0, 0, 0], [[1, 2], [3, 4]]])
def test_bad_counts_are_one_clear_line(name, counts):
    with pytest.raises(TailwiseError, match="class counts"):
        build(name, counts=np.array(counts))


@every_loss
def test_compiles_whole(name):
    torch.compiler.reset()  # else the cases before count as recompilations of this one
    logits, codes, _ = batch()
    loss = build(name)
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    z, twin = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    compiled(z, codes).backward()
    loss(twin, codes).backward()
    torch.testing.assert_close(z.grad, twin.grad)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.skipif(TorchVersion(torch.__version__) < "2.13", reason="an older torch exports for one size of batch")
def test_can_be_exported_for_batches_of_any_size(name, rows):
    if name == "InfluenceBalancedLoss":
        pytest.skip("takes features besides")
    logits, codes, soft = batch()
    batches = torch.export.Dim("batch")
    loss = build(name).eval()
    targets = soft if rows else codes
    program = torch.export.export(loss, (logits, targets), dynamic_shapes=({0: batches}, {0: batches}))
    torch.testing.assert_close(program.module()(logits[:3], targets[:3]), loss(logits[:3], targets[:3]))


@pytest.mark.parametrize(
    "name", ["AsymmetricLoss", "DistributionBalancedLoss", "EqualizationLoss", "EqualizationLossV2", "LADELoss"]
)
def test_classes_that_are_masked_leave_values_and_gradients_finite(name):
    logits, codes, _ = batch()
    masked = logits.clone()
    masked[:, 0] = -torch.inf
    codes = codes.clamp_min(1)
    codes[0] = -100
    for targets in (codes, as_rows(codes, logits, -100)):
        z = masked.clone().requires_grad_()
        value = build(name)(z, targets)
        value.backward()
        assert value.isfinite()
        assert z.grad.isfinite().all()


def test_losses_with_weights_are_built_without_a_device():
    with torch.device("meta"):
        assert losses.CrossEntropyLoss(weight=[1.0, 2, 3]).weight.is_meta
    with pytest.raises(TailwiseError, match=r"class weights must be a number for each class; got shape \(\)"):
        losses.FocalLoss(weight=0.25)


def test_settings_and_batches_of_another_type_are_one_line():
    with pytest.raises(TailwiseError, match="tau must be a number; got '1'"):
        losses.LogitAdjustedLoss([3, 1], tau="1")
    with pytest.raises(TailwiseError, match=r"of type torch.int64, .* torch.uint8. Use targets.long\(\)."):
        losses.CrossEntropyLoss()(torch.zeros(2, 3), torch.tensor([0, 1], dtype=torch.uint8))
    with pytest.raises(TailwiseError, match="logits and targets must be tensors; got ndarray and list"):
        losses.CrossEntropyLoss()(np.zeros((2, 3)), [0, 1])


def test_a_loss_that_gathers_learns_nothing_while_it_is_validated():
    logits, codes, _ = batch()
    loss = losses.EqualizationLossV2(K)
    with torch.inference_mode():
        loss(logits, codes)
    assert not loss.positive.any()
    loss.load_state_dict(losses.EqualizationLossV2(K).state_dict())


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_a_transformation_leaves_nothing_in_a_loss_that_gathers():
    logits, codes, _ = batch()
    loss = losses.EqualizationLossV2(K)
    torch.vmap(torch.func.grad(lambda z, y: loss(z[None], y[None])))(logits, codes)
    torch.func.grad(lambda z: loss(z, codes))(logits)
    assert not copy.deepcopy(loss).positive.any()
    loss(logits.requires_grad_(), codes).backward()
    assert loss.positive.any()


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_noise_may_differ_from_example_to_example():
    logits, codes, _ = batch()
    for loss in (losses.BLVLoss(COUNTS), losses.SoftmaxEqualizationLoss(COUNTS)):

        def alone(z, y, loss=loss):
            return loss(z[None], y[None])

        each = torch.vmap(torch.func.grad(alone), randomness="different")(logits, codes)
        assert each.shape == logits.shape


def test_what_a_loss_gathers_while_it_is_compiled_does_not_reach_this_batch():
    torch.compiler.reset()
    logits, codes, _ = batch()
    gathering, twin = losses.EqualizationLossV2(K), losses.EqualizationLossV2(K)
    compiled = torch.compile(gathering, backend="aot_eager", fullgraph=True)
    for _ in range(3):
        z, same = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        compiled(z, codes).backward()
        twin(same, codes).backward()
        torch.testing.assert_close(z.grad, same.grad)
        torch.testing.assert_close(gathering.state_dict(), twin.state_dict())


TAKES_NO_COUNTS = [
    "FocalLoss",
    "NormalisedSoftmaxLoss",
    "TSimilarityLoss",
    "ZLoss",
    "TverskyLoss",
    "DiceLoss",
    "AsymmetricLoss",
    "DFTLoss",
    "InstanceWeightedLoss",
    "EqualizationLossV2",
]


@pytest.mark.parametrize("loss", TAKES_NO_COUNTS)
def test_class_counts_given_to_a_loss_that_takes_none_are_refused(loss):
    with pytest.raises(TailwiseError, match=r"Does this take class counts|unknown strategy"):
        getattr(losses, loss)(np.array([100, 10, 1]))


@pytest.mark.parametrize("loss", ["NormalisedSoftmaxLoss", "TSimilarityLoss", "InstanceWeightedLoss"])
def test_a_temperature_of_nothing_is_refused(loss):
    with pytest.raises(TailwiseError, match="temperature must be above 0"):
        getattr(losses, loss)(temperature=0)


@pytest.mark.parametrize(
    ("name", "build"),
    [("a", lambda: losses.ZLoss(a=0)), ("lam", lambda: losses.DistributionBalancedLoss(COUNTS, 1000, lam=0))],
)
def test_what_the_loss_is_divided_by_must_be_above_nothing(name, build):
    with pytest.raises(TailwiseError, match=f"{name} must be above 0; got 0"):
        build()


def numbers_of(cls):
    """Names of the settings that are single numbers."""
    return [p.name for p in inspect.signature(cls).parameters.values() if isinstance(p.default, float)]


def made(cls, **settings):
    first = {"in_features": 3, "n_classes": K, "n_examples": int(COUNTS.sum()), "class_counts": COUNTS}
    needed = {name: value for name, value in first.items() if name in inspect.signature(cls).parameters}
    return cls(**needed, **settings)


LOSSES = [cls for name in losses.__all__ if isinstance(cls := getattr(losses, name), type)]


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls in LOSSES for name in numbers_of(cls)])
def test_a_setting_that_is_no_number_is_one_clear_line(cls, name):
    assert made(cls)
    for odd in (np.nan, -np.inf, np.inf):
        if (cls, name, odd) == (losses.InstanceWeightedLoss, "temperature", np.inf):
            continue  # is cross-entropy
        with pytest.raises(TailwiseError, match=f"^{name} must be .*; got -?(nan|inf).*$"):
            made(cls, **{name: odd})


@pytest.mark.parametrize(
    ("cls", "name", "value", "message"),
    [
        (losses.FocalLoss, "gamma", -1, "gamma must be at least 0; got -1"),
        (losses.SeesawLoss, "eps", 0, "eps must be above 0; got 0"),
        (losses.SoftmaxEqualizationLoss, "gamma", 1.5, "gamma must be at least 0 and at most 1; got 1.5"),
        (losses.DiceLoss, "alpha", -1, "alpha must be at least 0; got -1"),
        (losses.LDAMLoss, "scale", 0, "scale must be above 0; got 0"),
        (losses.BalancedSoftmaxLoss, "label_smoothing", 2, "label_smoothing must be at least 0 and at most 1; got 2"),
    ],
)
def test_a_setting_out_of_range_is_one_clear_line(cls, name, value, message):
    with pytest.raises(TailwiseError, match=message):
        made(cls, **{name: value})


def test_a_loss_of_no_classes_is_one_clear_line():
    with pytest.raises(TailwiseError, match="n_classes must be a whole number of at least 1; got 0"):
        losses.EqualizationLossV2(0)


@where(takes_weight)
@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_class_weights_are_finite_and_not_negative(name, bad):
    with pytest.raises(TailwiseError, match="class weights must be finite and not negative"):
        build(name, weight=np.append(WEIGHT[:-1], bad))


def test_logits_of_images_are_refused_with_what_makes_a_batch_of_them():
    with pytest.raises(TailwiseError, match=r"got \(2, 5, 4, 4\) .* Flatten .*movedim\(1, -1\)\.flatten\(0, -2\)\."):
        losses.CrossEntropyLoss()(torch.zeros(2, 5, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64))


def test_counts_that_are_no_numbers_are_refused():
    for counts in (["a", "b"], {"a": 1, "b": 2}):
        with pytest.raises(TailwiseError, match="class counts must be numbers in the order of the classes"):
            losses.LDAMLoss(counts)


def test_counts_may_be_a_tensor_of_any_type():
    counts = torch.tensor([100.0, 10, 1], dtype=torch.bfloat16, requires_grad=True)
    expected = losses.BalancedSoftmaxLoss([100, 10, 1]).bias
    torch.testing.assert_close(losses.BalancedSoftmaxLoss(counts).bias, expected)


def test_seesaw_has_a_forward_derivative():
    loss, y = losses.SeesawLoss([100, 10, 1]).double(), torch.tensor([2, 1, 0, 0])
    z, t = torch.randn(2, 4, 3, dtype=torch.float64)
    jvp = torch.func.jvp(lambda logits: loss(logits, y), (z,), (t,))[1]
    torch.testing.assert_close(jvp, (torch.func.grad(lambda logits: loss(logits, y))(z) * t).sum())


def test_a_margin_or_weight_is_one_for_each_class():
    z, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    for one in ({"margin": torch.tensor(0.5)}, {"weight": torch.tensor(0.5)}):
        with pytest.raises(TailwiseError, match="margin and weight must have a number for each class"):
            losses.adjusted_cross_entropy(z, y, **one)
    scaled = losses.adjusted_cross_entropy(z, y, scale=torch.tensor(2.0))
    torch.testing.assert_close(scaled, F.cross_entropy(2 * z, y))


def test_softmax_equalization_can_be_traced_for_batches_of_any_size():
    loss = torch.compile(losses.SoftmaxEqualizationLoss([100, 10, 1]), backend="eager", dynamic=True)
    for n in (8, 5, 3):
        z = torch.randn(n, 3, requires_grad=True)
        loss(z, torch.arange(n) % 3).backward()
        assert z.grad.isfinite().all()
        assert (z.grad.gather(1, (torch.arange(n) % 3)[:, None]) <= 0).all()


def test_sums_of_a_half_precision_model_go_on_growing():
    torch.set_default_dtype(torch.bfloat16)
    loss = losses.EqualizationLossV2(3).train()
    torch.set_default_dtype(torch.float32)
    for _ in range(400):
        loss(torch.zeros(64, 3), torch.zeros(64, dtype=torch.long))
    assert loss.positive[0] == pytest.approx(400 * 64 / 2, rel=0.01), "of which bfloat16 would reach a few hundred"


def test_masked_classes_of_an_anchored_loss_count_for_nothing():
    logits, codes, _ = batch()
    base, codes = logits.roll(1, 0), codes.clamp(max=K - 2)
    hidden = torch.full_like(logits[:, :1], -torch.inf)
    fewer = losses.DFTLoss()(logits[:, :-1], codes, base[:, :-1])
    assert fewer == losses.DFTLoss()(
        torch.cat([logits[:, :-1], hidden], 1), codes, torch.cat([base[:, :-1], hidden], 1)
    )
