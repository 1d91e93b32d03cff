"""Directions, and the traps that public code of this field fell into."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from losses import oracles
from tailwise import losses
from tailwise.counts import smoothed_counts
from tailwise.errors import TailwiseError

COUNTS = np.array([1000, 100, 10])
PRIOR = COUNTS / COUNTS.sum()


def population_gradient(loss, p, logits):
    """Gradient of the expected loss at one point whose label has distribution ``p``."""
    z = torch.tensor(np.array([logits]), dtype=torch.float64, requires_grad=True)
    value = sum(p[y] * loss(z, torch.tensor([y])) for y in range(len(p)))
    value.backward()
    return z.grad.numpy()[0]


@pytest.mark.parametrize(
    "build", [losses.BalancedSoftmaxLoss, losses.LogitAdjustedLoss, partial(losses.VSLoss, gamma=0)]
)
def test_the_prior_is_divided_out_not_multiplied_in(build):
    """Where the inputs say nothing, the labels follow the prior, and balanced logits must be all equal."""
    loss = build(COUNTS, reduction="sum").double()
    np.testing.assert_allclose(population_gradient(loss, PRIOR, [0.3, 0.3, 0.3]), 0, atol=1e-7)
    assert population_gradient(loss, PRIOR, np.log(PRIOR)).max() > 0.05  # logits that hold the prior: too high


def test_rarer_classes_get_larger_margins_and_weights():
    assert (np.diff(losses.LDAMLoss(COUNTS).margin.numpy()) > 0).all()
    assert losses.LDAMLoss(COUNTS).margin.max() == pytest.approx(0.5)
    for scheme in ("inverse", "sqrt", "effective"):
        assert (np.diff(losses.ClassBalancedLoss(COUNTS, scheme).weight.numpy()) > 0).all()
    assert (np.diff(losses.InfluenceBalancedLoss(COUNTS).lambdas.numpy()) > 0).all()


@pytest.mark.parametrize(
    "build",
    [losses.BalancedSoftmaxLoss, losses.LogitAdjustedLoss, losses.VSLoss, losses.CDTLoss, losses.LDAMLoss],
)
def test_at_equal_logits_a_rarer_label_pulls_harder(build):
    loss = build(COUNTS, reduction="none")
    z = torch.full((3, 3), 0.5, requires_grad=True)
    value = loss(z, torch.arange(3))
    assert (value.diff() > 0).all()


def test_seesaw_spares_the_rare_class():
    loss = losses.SeesawLoss(COUNTS, q=0)
    z = torch.zeros(1, 3, requires_grad=True)
    loss(z, torch.tensor([0])).backward()
    assert z.grad[0, 2] < z.grad[0, 1]  # the head's example pushes the tail least


def test_weighted_focal_is_not_the_focal_of_a_weighted_loss():
    """The trap: exp(-w nll) is p^w. The modulating factor must see the true probability."""
    z, y, weight = torch.tensor([[0.3, -0.2, 1.0]]), torch.tensor([1]), [1.0, 5.0, 2.0]
    p = torch.softmax(z, 1)[0, 1]
    expected = -5 * (1 - p) ** 2 * p.log()
    trap = (1 - p**5) ** 2 * -5 * p.log()
    value = losses.FocalLoss(2.0, weight=weight, reduction="sum")(z, y)
    torch.testing.assert_close(value, expected)
    assert abs(value - trap) > 0.1


@pytest.mark.parametrize("loss", [losses.FocalLoss, losses.DFTLoss])
def test_a_weight_multiplies_what_it_does_not_enter(loss):
    """The same trap, for every loss that turns examples down by their probability."""
    z, y, weight = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0]), torch.tensor([1.0, 5.0, 0.2])
    weighted, rows = loss(weight=weight, reduction="none"), F.one_hot(y, 3).float()
    torch.testing.assert_close(weighted(z, y), weight[y] * loss(reduction="none")(z, y))
    torch.testing.assert_close(weighted(z, rows), weighted(z, y))


def test_class_weights_do_not_multiply_the_smoothing_of_other_classes():
    """The trap: weights a million apart, and a head example is told to be of the tail class."""
    weight, smoothing = np.array([1e-3, 1.0, 1e3]), 0.1
    smoothed = np.array([1 - smoothing + smoothing / 3, smoothing / 3, smoothing / 3])
    ours = losses.CrossEntropyLoss(weight, label_smoothing=smoothing, reduction="sum").double()
    np.testing.assert_allclose(population_gradient(ours, [1, 0, 0], np.log(smoothed)), 0, atol=1e-12)
    theirs = torch.nn.CrossEntropyLoss(torch.tensor(weight), label_smoothing=smoothing, reduction="sum")
    assert population_gradient(theirs, [1, 0, 0], np.log(smoothed))[2] < -10


@pytest.mark.parametrize("targets", [torch.tensor([0, 2, -100, 1]), torch.softmax(torch.randn(4, 3), 1)])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("weight", "smoothing"), [(None, 0.0), ([1.0, 3.0, 0.5], 0.0), (None, 0.2)])
def test_cross_entropy_is_torchs(targets, reduction, weight, smoothing):
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    ours = losses.CrossEntropyLoss(weight, reduction=reduction, label_smoothing=smoothing)
    theirs = torch.nn.CrossEntropyLoss(
        None if weight is None else torch.tensor(weight), reduction=reduction, label_smoothing=smoothing
    )
    torch.testing.assert_close(ours(logits, targets), theirs(logits, targets))


@pytest.mark.parametrize("loss", [losses.CrossEntropyLoss, losses.FocalLoss, losses.DFTLoss])
def test_the_weighted_mean_is_divided_by_the_weights(loss):
    logits, y, weight = torch.randn(4, 3), torch.tensor([0, 2, -100, 1]), torch.tensor([1.0, 3.0, 0.5])
    each = loss(weight=weight, reduction="none")(logits, y)
    torch.testing.assert_close(loss(weight=weight)(logits, y), each.sum() / weight[y[y >= 0]].sum())


def test_weights_and_smoothing_agree_between_codes_and_rows():
    loss = losses.CrossEntropyLoss([1.0, 3.0, 0.5], label_smoothing=0.2, reduction="none")
    logits, y = torch.randn(4, 3), torch.tensor([0, 2, 2, 1])
    torch.testing.assert_close(loss(logits, y), loss(logits, F.one_hot(y, 3).float()))


def test_effective_numbers_at_their_limits():
    even = losses.ClassBalancedLoss(COUNTS, beta=0.0).weight
    torch.testing.assert_close(even, torch.ones(3))
    inverse = losses.ClassBalancedLoss(COUNTS, "inverse").weight
    torch.testing.assert_close(losses.ClassBalancedLoss(COUNTS, beta=1 - 1e-9).weight, inverse, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("general", "special"),
    [
        (losses.VSLoss(COUNTS, gamma=0, tau=0.7), losses.LogitAdjustedLoss(COUNTS, tau=0.7)),
        (losses.VSLoss(COUNTS, gamma=0.4, tau=0), losses.CDTLoss(COUNTS, gamma=0.4)),
        (losses.LogitAdjustedLoss(COUNTS, tau=1), losses.BalancedSoftmaxLoss(COUNTS)),
        (losses.LADELoss(COUNTS, alpha=0), losses.BalancedSoftmaxLoss(COUNTS)),
        (losses.VSLoss(COUNTS, gamma=0, tau=0), losses.CrossEntropyLoss()),
        (losses.LogitAdjustedLoss(COUNTS, tau=0), losses.CrossEntropyLoss()),
        (losses.CDTLoss(COUNTS, gamma=0), losses.CrossEntropyLoss()),
        (losses.LDAMLoss(COUNTS, max_margin=0, scale=1), losses.CrossEntropyLoss()),
        (losses.SeesawLoss(COUNTS, p=0, q=0), losses.CrossEntropyLoss()),
        (losses.SoftmaxEqualizationLoss(COUNTS, threshold=0.5, gamma=0), losses.CrossEntropyLoss()),
        (losses.SoftmaxEqualizationLoss(COUNTS, threshold=0), losses.CrossEntropyLoss()),
        (losses.GCLLoss(COUNTS, margin=0, scale=1, sigma=0), losses.CrossEntropyLoss()),
        (losses.BLVLoss(COUNTS, sigma=0), losses.CrossEntropyLoss()),
        (losses.ClassBalancedLoss(COUNTS, "none"), losses.CrossEntropyLoss()),
        (losses.ClassBalancedLoss(COUNTS, beta=0), losses.CrossEntropyLoss()),
        (losses.SmoothedDensityLoss(COUNTS, sigma=0), losses.ClassBalancedLoss(COUNTS, "inverse")),
        (losses.SmoothedDensityLoss(COUNTS, sigma=1e3), losses.CrossEntropyLoss()),
        (losses.InfluenceBalancedLoss(np.ones(3), alpha=3e8, eps=1e8), losses.CrossEntropyLoss()),
        (losses.InstanceWeightedLoss(temperature=1e9), losses.CrossEntropyLoss()),
        (losses.NormalisedSoftmaxLoss(temperature=1), losses.CrossEntropyLoss()),
        (losses.TSimilarityLoss(kappa=1e-3, temperature=2e-3), losses.CrossEntropyLoss()),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_limits(general, special):
    """At its limit, one loss is another, whatever the class counts."""
    logits, y = torch.rand(6, 3).double() - 0.5, torch.tensor([0, 1, 2, 2, 1, 0])
    extra = (torch.ones(6, 2),) if isinstance(general, losses.InfluenceBalancedLoss) else ()
    rtol = 1e-2 if isinstance(general, losses.TSimilarityLoss) else 1e-5
    for targets in (y, torch.softmax(torch.randn(6, 3).double(), 1)):
        torch.testing.assert_close(general(logits, targets, *extra), special(logits, targets), rtol=rtol, atol=1e-6)


def test_tversky_with_even_costs_is_dice_without_squares():
    logits, y = torch.randn(6, 3).double(), torch.tensor([0, 1, 2, 2, 1, 0])
    expected = oracles.dice(logits.tolist(), F.one_hot(y).tolist(), None, alpha=0.6, power=1).mean()
    found = losses.TverskyLoss(smooth=0.5, focus=0.6)(logits, y)
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_two_ordered_classes_are_logistic_regression():
    z, y = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    expected = F.binary_cross_entropy_with_logits(z[:, 1], y.float())
    torch.testing.assert_close(losses.CumulativeLoss()(z, y), expected)


def test_a_steep_z_loss_is_a_hinge():
    z, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    standard = (z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True, correction=0)
    hinge = (1 - standard.gather(1, y[:, None])).clamp_min(0).mean()
    torch.testing.assert_close(losses.ZLoss(a=1e5, b=1.0)(z, y), hinge, rtol=1e-4, atol=1e-4)


def test_smoothed_density_borrows_from_neighbours():
    counts = np.array([100.0, 0.0, 40.0, 0.0, 3.0, 1.0])
    density = smoothed_counts(counts, 2.0)
    np.testing.assert_allclose(density, oracles.smoothed_density(counts), rtol=1e-6)
    assert density.sum() == pytest.approx(counts.sum())
    np.testing.assert_array_equal(smoothed_counts(counts, 0), counts)


def test_smoothed_density_weights_average_one_over_the_training_examples():
    """As in the authors' code (agedb-dir/datasets.py), which scales the examples' weights by their sum."""
    counts = np.array([100, 0, 40, 0, 3, 1])
    of_examples = 1 / oracles.smoothed_density(counts)[np.repeat(np.arange(6), counts)]
    scaled = of_examples * len(of_examples) / of_examples.sum()
    found = losses.SmoothedDensityLoss(counts).weight.numpy()
    np.testing.assert_allclose(found[np.repeat(np.arange(6), counts)], scaled, rtol=1e-6)
    assert found[1] > 0, "a class without examples has its neighbours'"
    with pytest.raises(TailwiseError, match="sigma must be at least 0"):
        smoothed_counts(counts, -1)


@pytest.mark.parametrize("loss", [losses.TverskyLoss(smooth=0), losses.TverskyLoss(alpha=0, smooth=0)])
def test_overlap_without_smoothing_is_finite_where_a_class_has_no_probability(loss):
    logits = torch.tensor([[300.0, -300.0, 0.0], [1.0, 2.0, -300.0]], requires_grad=True)
    value = loss(logits, torch.tensor([0, 1]))
    assert value >= 0
    (1e5 * value).backward()
    assert logits.grad.isfinite().all()


def test_presto_penalty():
    weight = torch.tensor([[9.0, 9.0], [1.0, -2.0], [1.0, -2.0], [0.0, 1.0]])
    assert losses.presto_penalty(weight) == 3 + 0 + 4
    with pytest.raises(TailwiseError, match="n_classes, width"):
        losses.presto_penalty(weight[0])


def test_cumulative_loss_keeps_very_rare_outcomes():
    z = torch.tensor([[0.0, -20.0, -40.0]], requires_grad=True)
    value = losses.CumulativeLoss()(z, torch.tensor([2]))
    value.backward()
    torch.testing.assert_close(value, torch.tensor(40.0))
    torch.testing.assert_close(z.grad, torch.tensor([[0.0, 0.0, -1.0]]))


@pytest.mark.parametrize("scale", [0.01, 7.0, 1000.0])
def test_z_loss_does_not_see_the_scale(scale):
    z, y = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])
    torch.testing.assert_close(losses.ZLoss()(scale * z, y), losses.ZLoss()(z, y))


@pytest.mark.parametrize(
    "loss",
    [
        losses.AsymmetricLoss(0, 0, 0),
        losses.EqualizationLoss(COUNTS, threshold=0),
        losses.EqualizationLossV2(3).eval(),
        losses.DistributionBalancedLoss(COUNTS, 5000, alpha=2.5, beta=0, lam=1, kappa=0, gamma=0),  # 3 classes, a mean
    ],
)
def test_sigmoid_losses_at_their_limit(loss):
    z, rows = torch.randn(4, 3), torch.tensor([[1.0, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]])
    expected = F.binary_cross_entropy_with_logits(z, rows, reduction="none").sum(1).mean()
    torch.testing.assert_close(loss(z, rows), expected)


def test_equalization_lets_only_the_background_tell_the_tail_no():
    loss = losses.EqualizationLoss(COUNTS, threshold=0.05)  # of which the last class is below
    z = torch.zeros(3, 3, requires_grad=True)
    loss(z, torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0, 0]])).backward()
    pushed_down = torch.tensor([[False, True, False], [True, True, False], [True, True, True]])
    assert torch.equal(z.grad > 0, pushed_down)


def test_distribution_balanced_serves_examples_without_any_class():
    loss = losses.DistributionBalancedLoss(COUNTS, 5000)
    z = torch.zeros(1, 3, requires_grad=True)
    value = loss(z, torch.zeros(1, 3))
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()
    with pytest.raises(TailwiseError, match="more than the 500"):
        losses.DistributionBalancedLoss(COUNTS, 500)


@pytest.mark.parametrize("strategy", ["linear", "quadratic", "extremes"])
def test_instance_weights_follow_their_strategy(strategy):
    z = torch.randn(8, 3, dtype=torch.float64)
    y = torch.arange(8) % 3
    expected = oracles.instance_weighted(z.numpy(), np.eye(3)[y], COUNTS, strategy)
    value = losses.InstanceWeightedLoss(strategy, reduction="none")(z, y)
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-9)
    assert losses.InstanceWeightedLoss(strategy)(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])).isfinite()
    with pytest.raises(TailwiseError, match="unknown strategy"):
        losses.InstanceWeightedLoss("hardest")


def test_dft_holds_its_factor_constant_and_anchors():
    z, base, y = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3), torch.tensor([0, 1, 2, -100])
    losses.DFTLoss(reduction="sum")(z, y).backward()
    p = torch.softmax(z.detach(), 1)
    expected = (p - F.one_hot(y.clamp_min(0), 3)) * p.gather(1, y.clamp_min(0)[:, None]) * (y >= 0)[:, None]
    torch.testing.assert_close(z.grad, expected)
    loss = losses.DFTLoss(anchor=0.5, reduction="none")
    kl = (torch.softmax(base, 1) * (torch.log_softmax(base, 1) - torch.log_softmax(z, 1))).sum(1) * (y >= 0)
    torch.testing.assert_close(loss(z, y, base), loss(z, y) + 0.5 * kl)
    torch.testing.assert_close(loss(z, y, z.detach()), loss(z, y))


def test_an_anchor_weighs_what_its_example_weighs_whatever_form_its_label_has():
    z, base, y = torch.randn(6, 3), torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    rows, weight = F.one_hot(y, 3).float(), torch.tensor([1.0, 5.0, 0.2])
    loss = losses.DFTLoss(anchor=0.5, weight=weight, reduction="none")
    torch.testing.assert_close(loss(z, rows, base), loss(z, y, base))
    torch.testing.assert_close(loss(z, y, base), weight[y] * losses.DFTLoss(anchor=0.5, reduction="none")(z, y, base))


@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (6, 2), (3,)])
def test_an_anchor_needs_logits_of_the_same_examples(shape):
    with pytest.raises(TailwiseError, match="base logits must be"):
        losses.DFTLoss()(torch.zeros(6, 3), torch.tensor([0, 1, 2, 2, 1, 0]), torch.zeros(shape))


def test_influence_balanced_needs_the_features():
    with pytest.raises(TailwiseError, match="features must be"):
        losses.InfluenceBalancedLoss(COUNTS)(torch.zeros(2, 3), torch.tensor([0, 1]), torch.zeros(3, 4))


def test_class_counts_of_another_number_of_classes():
    with pytest.raises(TailwiseError, match="built for 3 classes, but the logits have 5"):
        losses.BalancedSoftmaxLoss(COUNTS)(torch.zeros(2, 5), torch.tensor([0, 1]))
    for loss in (losses.FocalLoss, losses.CrossEntropyLoss, losses.DFTLoss):
        with pytest.raises(TailwiseError, match="built for 5 classes, but the logits have 3"):
            loss(weight=np.ones(5))(torch.zeros(2, 3), torch.tensor([0, 1]))
    with pytest.raises(TailwiseError, match="unknown reduction 'average'"):
        losses.adjusted_cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), reduction="average")
    with pytest.raises(TailwiseError, match="unknown reduction 'average'"):
        losses.ChunkedSoftmaxLoss(4, 3, reduction="average")


@pytest.mark.parametrize("n_classes", [3, 1000])
def test_equalization_of_equal_counts_is_plain_however_many_classes(n_classes):
    counts, z, codes = np.full(n_classes, 50), torch.randn(8, n_classes), torch.arange(8) % n_classes
    torch.testing.assert_close(losses.SoftmaxEqualizationLoss(counts)(z, codes), F.cross_entropy(z, codes))
    rows = F.one_hot(codes, n_classes).float()
    expected = F.binary_cross_entropy_with_logits(z, rows, reduction="none").sum(1).mean()
    torch.testing.assert_close(losses.EqualizationLoss(counts)(z, codes), expected)


def test_a_tiny_margin_of_the_asymmetric_loss_is_none():
    z, rows = torch.tensor([[30.0, -30.0]]), torch.tensor([[0.0, 1.0]])
    torch.testing.assert_close(losses.AsymmetricLoss(clip=1e-9)(z, rows), losses.AsymmetricLoss(clip=0)(z, rows))


@pytest.mark.parametrize("loss", [losses.LDAMLoss([10, 5, 1]), losses.CrossEntropyLoss()])
def test_a_weight_that_is_set_later_is_kept_moved_and_checked(loss):
    """As for the second stage of LDAM-DRW in a loop of one's own."""
    assert "weight" not in loss.state_dict()
    loss.weight = np.array([1.0, 2.0, 4.0])
    assert loss.state_dict()["weight"].tolist() == [1, 2, 4]
    assert loss.half().weight.dtype == torch.float32
    z, y = torch.randn(6, 3), torch.arange(6) % 3
    each = type(loss)(*[[10, 5, 1]] * (type(loss) is losses.LDAMLoss), reduction="none")(z, y)
    torch.testing.assert_close(loss(z, y), (each * loss.weight[y]).sum() / loss.weight[y].sum())
    for bad in ([1.0, -5.0, 1.0], [1.0, float("nan"), 1.0]):
        with pytest.raises(TailwiseError, match="class weights must be finite and not negative"):
            loss.weight = torch.tensor(bad)
    assert loss.weight.tolist() == [1, 2, 4]
    assert loss.to("meta").weight.device.type == "meta"
    loss.weight = [1.0, 3.0, 9.0]
    assert loss.weight.device.type == "meta", "where the module is"
    loss.weight = None
    assert "weight" not in loss.state_dict()


def test_z_loss_leaves_masked_classes_out():
    z, y = torch.randn(5, 4, dtype=torch.float64), torch.arange(5) % 4
    masked = torch.cat([z[:, :2], torch.full((5, 2), -torch.inf, dtype=torch.float64), z[:, 2:]], 1).requires_grad_()
    value = losses.ZLoss()(masked, torch.where(y < 2, y, y + 2))
    torch.testing.assert_close(value, losses.ZLoss()(z, y))
    value.backward()
    assert masked.grad.isfinite().all()
