"""What each stage of a recipe trains, with which loss and on which epochs, read from its paper a second time."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_trained import digits, fit, small_task  # noqa: E402

from losses import oracles  # noqa: E402
from tailwise.engine import _checkpoint, predict, train  # noqa: E402
from tailwise.engine.stage import Stage, Task  # noqa: E402
from tailwise.nn import MLP, Network  # noqa: E402
from tailwise.posthoc import apply  # noqa: E402
from tailwise.recipes import recipe  # noqa: E402

COUNTS = np.array([400, 90, 30, 8, 2])
K = len(COUNTS)
softmax = oracles.softmax_loss

# The loss of a stage, by its number, with the paper's settings written out.
LOSSES: dict[tuple[str, int], Callable[..., Any]] = {
    ("cross-entropy", 0): softmax(oracles.plain),
    ("focal", 0): partial(oracles.focal, gamma=2.0),
    ("balanced-softmax", 0): softmax(oracles.balanced_softmax),
    ("logit-adjusted-loss", 0): softmax(partial(oracles.logit_adjusted, tau=1.0)),
    ("ldam", 0): softmax(partial(oracles.ldam, max_margin=0.5, scale=30.0)),
    ("ldam-drw", 0): softmax(partial(oracles.ldam, max_margin=0.5, scale=30.0)),
    ("vs", 0): softmax(partial(oracles.vector_scaling, gamma=0.15, tau=1.0)),
    ("cdt", 0): softmax(partial(oracles.class_dependent_temperature, gamma=0.3)),
    ("lade", 0): partial(oracles.lade, alpha=0.1, lam=0.1),
    ("seesaw", 0): softmax(partial(oracles.seesaw, p=0.8, q_power=2.0)),
    ("asymmetric", 0): partial(oracles.asymmetric, gamma_positive=0.0, gamma_negative=4.0, clip=0.05),
    ("equalization-v2", 0): oracles.sigmoid_sum(lambda j, n: 1.0),  # before it has seen a gradient
    ("distribution-balanced", 0): lambda z, q, n: K * oracles.distribution_balanced(z, q, n, sum(n)),
    ("normalised-softmax", 0): softmax(partial(oracles.normalised, temperature=0.05)),
    ("t-similarity", 0): softmax(partial(oracles.t_similarity, kappa=16.0, temperature=0.05)),
    ("z-loss", 0): partial(oracles.z_loss, a=1.0, b=3.0),
    ("loss-reweighting", 1): partial(oracles.instance_weighted, strategy="linear", r=1.0),
    ("dft", 1): oracles.dft,
    ("dice", 1): partial(oracles.dice, alpha=0.01),
    ("tversky", 1): partial(oracles.tversky, alpha=0.5, beta=0.5),
}

WEIGHTS: dict[tuple[str, int], Callable[[Any], Any]] = {
    ("class-weighted", 0): lambda n: 1 / n,
    ("class-weighted-sqrt", 0): lambda n: 1 / np.sqrt(n),
    ("effective-number", 0): lambda n: (1 - 0.9999) / (1 - 0.9999**n),
    ("ldam-drw", 1): lambda n: (1 - 0.9999) / (1 - 0.9999**n),
}

# The share of the training before the named loss begins, with cross-entropy until then.
WARM_UPS = {"loss-reweighting": 0.2, "influence-balanced": 0.5, "dft": 0.5, "dice": 0.5, "tversky": 0.5}

# The share of each class in each of ten epochs, up to a factor.
SHARES: dict[str, Callable[[Any, int], Any]] = {
    "class-balanced-sampling": lambda n, epoch: n**0.0,
    "square-root-sampling": lambda n, epoch: n**0.5,
    "power-sampling": lambda n, epoch: n**0.3,
    "reversed-sampling": lambda n, epoch: n.max() / n,
    "progressive-sampling": lambda n, epoch: (1 - epoch / 9) * n / n.sum() + epoch / 9 / len(n),
    "cooldown": lambda n, epoch: n ** (1 / 5 if epoch < 5 else 1),
    "late-upsampling": lambda n, epoch: n ** (1.0 if epoch < 8 else 0.0),
}


@pytest.fixture
def float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def batch() -> tuple[Any, Any]:
    """Logits that could be cosines, and labels."""
    logits = np.clip(np.random.default_rng(0).normal(size=(12, K)) * 0.3, -0.95, 0.95)
    return torch.tensor(logits), torch.arange(12) % K


def stages(name: str, **settings: Any) -> list[Stage]:
    return list(recipe(name, **settings).stages(Task(COUNTS, partial(MLP, 4, (8,)), epochs=10)))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("name", "at"), list(LOSSES))
def test_the_loss_is_the_equation_at_the_settings_of_the_paper(name: str, at: int) -> None:
    logits, labels = batch()
    expected = LOSSES[name, at](logits.numpy(), np.eye(K)[labels], COUNTS.astype(float)).mean()
    assert stages(name)[at].loss(logits, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("name", "at"), list(WEIGHTS))
def test_an_example_weighs_what_the_count_of_its_class_says(name: str, at: int) -> None:
    logits, labels = batch()
    of_example = softmax(oracles.ldam if name == "ldam-drw" else oracles.plain)
    each = of_example(logits.numpy(), np.eye(K)[labels], COUNTS.astype(float))
    weights = WEIGHTS[name, at](COUNTS.astype(float))
    expected = np.average(each, weights=weights[labels])
    if name != "ldam-drw":  # as its authors have it, a batch counts the same whatever its examples weigh
        expected *= weights[labels].mean() / np.average(weights, weights=COUNTS)
    assert stages(name)[at].loss(logits, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("name", "share"), list(WARM_UPS.items()))
def test_training_starts_with_cross_entropy(name: str, share: float) -> None:
    logits, labels = batch()
    first, second, *_ = stages(name)
    assert (first.share, second.share) == (share, pytest.approx(1 - share))
    expected = softmax(oracles.plain)(logits.numpy(), np.eye(K)[labels], COUNTS).mean()
    assert first.loss(logits, labels).item() == pytest.approx(expected, rel=1e-9)


def test_ldam_drw_reweights_the_last_fifth_and_without_beta_is_ldam() -> None:
    logits, labels = batch()
    first, second = stages("ldam-drw")
    assert (first.share, second.share) == (0.8, pytest.approx(0.2))
    assert second.loss(logits, labels) != first.loss(logits, labels)
    unweighted = stages("ldam-drw", beta=0.0)[1].loss(logits, labels)
    torch.testing.assert_close(unweighted, first.loss(logits, labels))


def test_influence_is_that_of_the_features_under_the_head() -> None:
    """The class weights sum to the number of classes, and the step is a hundredth, as in the authors' program."""
    _, balance, done = stages("influence-balanced")
    network = Network.linear(MLP(4, (8,)), K).eval()
    assert balance.prepare is not None
    balance.prepare(network, None)
    inputs, labels = torch.randn(12, 4), torch.arange(12) % K
    value = balance.loss(network(inputs), labels)
    parts = network(inputs).detach().double().numpy(), np.eye(K)[labels], COUNTS.astype(float)
    expected = oracles.influence(*parts, network.features(inputs).detach().numpy(), alpha=1000.0).mean()
    assert value.item() == pytest.approx(0.01 * K * expected, rel=1e-4)
    assert done.prepare is not None
    done.prepare(network, None)
    assert not network.head._forward_pre_hooks


@pytest.mark.parametrize("name", list(SHARES))
def test_epochs_have_the_shares_of_the_paper(name: str) -> None:
    labels = np.repeat(np.arange(K), COUNTS)
    (stage,) = stages(name)
    assert stage.sampler is not None
    sampler: Any = stage.sampler(labels, num_replicas=1, rank=0, seed=0)
    for epoch in range(10):
        sampler.set_epoch(epoch)
        expected = SHARES[name](COUNTS.astype(float), epoch)
        np.testing.assert_allclose(sampler.class_distribution(), expected / expected.sum())


def states(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the stage, and the network's weights, after each of ten epochs."""
    written = []

    def write(folder: Path, identity: object, stage: int, epoch: int, network: torch.nn.Module, *rest: object) -> None:
        written.append((stage, {key: value.clone() for key, value in network.state_dict().items()}))

    monkeypatch.setattr(_checkpoint, "write", write)
    x, y, _, _ = digits()
    fit(name, x, y, epochs=10, checkpoint_dir=folder)
    return written


@pytest.mark.parametrize("name", ["crt", "lws", "gcl"])
def test_the_last_tenth_trains_the_classifier_alone_on_balanced_batches(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    after = states(name, monkeypatch, tmp_path)
    assert [stage for stage, _ in after] == [0] * 9 + [1]
    before, last = after[-2][1], after[-1][1]
    for key in before:
        if not key.startswith("head."):
            assert torch.equal(last[key], before[key]), key
    frozen = name == "lws"
    assert torch.equal(last["head.weight"], before["head.weight"]) == frozen
    if frozen:
        assert torch.equal(last["head.bias"], before["head.bias"])
        assert (last["head.scale"] != 1).all()
    labels = np.repeat(np.arange(K), COUNTS)
    sampler: Any = stages(name)[1].sampler(labels, num_replicas=1, rank=0, seed=0)  # type: ignore[misc]
    np.testing.assert_allclose(sampler.class_distribution(), 1 / K)


def test_the_factors_of_lws_move_in_a_short_stage() -> None:
    """By the paper's SGD: a few steps of AdamW, the task's own, move each by its learning rate at most."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [1000, 200, 40])
    x = (np.eye(3)[y] + rng.normal(size=(len(y), 3))).astype(np.float32)
    task = Task(np.bincount(y), partial(MLP, 3, (16,)), 10, 64, partial(torch.optim.AdamW, lr=1e-3))
    network = train(recipe("lws"), task, x, y, random_state=0, devices=1, progress=False)
    assert (network.head.scale - 1).abs().max() > 0.1


def test_crt_forgets_the_classifier_and_lws_starts_from_it() -> None:
    inputs = torch.randn(6, 4)

    def prepared(name: str) -> tuple[Any, Any]:
        network = Network.linear(MLP(4, (8,)), K).eval()
        with torch.no_grad():
            network.head.weight.fill_(9.0)
        before = network(inputs)
        prepare = stages(name)[1].prepare
        assert prepare is not None
        network = (prepare(network, None) or network).eval()
        return before, network

    _, network = prepared("crt")
    assert network.head.weight.abs().max() <= 8**-0.5
    before, network = prepared("lws")
    torch.testing.assert_close(network(inputs), before)


@pytest.mark.parametrize("empty", [False, True])
def test_distribution_balanced_shows_all_classes_equally_often(empty: bool) -> None:
    rng = np.random.default_rng(0)
    has = rng.random((300, 4)) < [0.6, 0.2, 0.1, 0.05]
    has[~has.any(axis=1), 0] = not empty
    expected = np.zeros(300)
    sets = [*has.T, *([~has.any(axis=1)] if empty else [])]
    for members in sets:
        expected += members / members.sum() / len(sets)  # a class, and then one of its examples
    (stage,) = stages("distribution-balanced")
    assert stage.sampler is not None
    sampler: Any = stage.sampler(has.astype(np.float32), num_replicas=1, rank=0, seed=0)
    times = np.zeros(300)
    for epoch in range(200):
        sampler.set_epoch(epoch)
        times += np.bincount(sampler.indices(), minlength=300)
    np.testing.assert_allclose(times / 200, 300 * expected, atol=4.5 * 0.5 / np.sqrt(200))
    codes: Any = stage.sampler(np.repeat(np.arange(K), COUNTS), num_replicas=1, rank=0, seed=0)
    np.testing.assert_allclose(codes.class_distribution(), 1 / K)


def test_ncm_is_plain_training_and_then_the_nearest_class_mean() -> None:
    x, y, new, _ = digits()
    network, plain = fit("ncm", x, y), fit("cross-entropy", x, y)
    for key, value in plain.backbone.state_dict().items():
        assert torch.equal(network.backbone.state_dict()[key], value)
    with torch.no_grad():
        known, asked = (network.features(torch.from_numpy(rows)).double().numpy() for rows in (x, new))
    means = np.stack([known[y == c].mean(axis=0) for c in range(10)])
    nearest = ((asked[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (predict(network, new).argmax(axis=1) == nearest).mean() > 0.999  # float32 may part what is as near


def test_logit_adjustment_is_plain_training_and_then_its_equation() -> None:
    x, y, new, labels = digits()
    task, scores = small_task(y), predict(fit("logit-adjustment", x, y), new)
    np.testing.assert_array_equal(scores, predict(fit("cross-entropy", x, y), new))
    for tau in (0.0, 0.5, 1.0):
        adjusted = apply(recipe("logit-adjustment", tau=tau).posthoc(task, scores, labels), scores)
        expected = scores - tau * np.log(task.class_prior)
        differences = adjusted - expected
        np.testing.assert_allclose(differences, differences[:, :1] * np.ones(10), atol=1e-5)
