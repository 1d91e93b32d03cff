"""Targets that are rows: sets of classes, or shares of them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.stopped import stopped_after  # noqa: E402
from tailwise.engine import predict, train  # noqa: E402
from tailwise.engine.stage import Stage, Task  # noqa: E402
from tailwise.errors import TailwiseError  # noqa: E402
from tailwise.losses import CrossEntropyLoss  # noqa: E402
from tailwise.nn import MLP, Network  # noqa: E402
from tailwise.recipes import Recipe, recipe, recipes  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 6)).astype(np.float32)
ROWS = (X[:, :5] + 0.5 * RNG.normal(size=(240, 5)) > [0, 0.3, 1, 1.5, 2]).astype(np.int8)
FOR_SETS = [n for n, cls in recipes().items() if "network" in cls.learners() and "labels" in cls.targets]


def task(rows: np.ndarray = ROWS, epochs: int = 4) -> Task:
    return Task(
        rows.sum(axis=0, dtype=np.int64),
        backbone=partial(MLP, 6, (16,)),
        epochs=epochs,
        batch_size=32,
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
        n_sets=len(rows),
    )


def fit(name: str | Recipe, rows: np.ndarray = ROWS, epochs: int = 4, **settings: object) -> Network:
    return train(recipe(name), task(rows, epochs), X, rows, devices=1, progress=False, **settings)


@pytest.mark.parametrize("name", FOR_SETS)
def test_learns_sets(name: str) -> None:
    scores = predict(fit(name, epochs=30), X)
    for label in range(5):
        with_label = ROWS[:, label] == 1
        assert scores[with_label, label].mean() > scores[~with_label, label].mean() + 0.3


@pytest.mark.parametrize("name", FOR_SETS)
def test_a_label_that_no_example_has_one_that_one_has_and_one_that_all_have(name: str) -> None:
    rows = ROWS.copy()
    rows[:, 0], rows[:, 3], rows[:, 4] = 1, 0, np.arange(240) == 7
    assert np.isfinite(predict(fit(name, rows), X)).all()


@pytest.mark.parametrize("name", FOR_SETS)
def test_goes_on_after_an_interruption_as_if_there_had_been_none(name: str, tmp_path: Path) -> None:
    whole = predict(fit(name), X)
    with stopped_after(2):
        fit(name, checkpoint_dir=tmp_path)
    np.testing.assert_array_equal(predict(fit(name, checkpoint_dir=tmp_path, resume=True), X), whole)
    with pytest.raises(TailwiseError, match="belongs to another training: it differs in class_counts, labels"):
        fit(name, 1 - ROWS, checkpoint_dir=tmp_path, resume=True)


def test_the_network_begins_with_the_mean_share() -> None:
    for name in FOR_SETS:
        bias = recipe(name).network(task()).head.bias
        np.testing.assert_allclose(torch.sigmoid(bias).detach().numpy(), ROWS.mean(), rtol=1e-5)
    codes = Task(np.array([50, 30, 20]), backbone=partial(MLP, 6, (16,)))
    assert torch.sigmoid(recipe("asymmetric").network(codes).head.bias).tolist() == pytest.approx([1 / 3] * 3)


def test_plain_training_is_cross_entropy_of_each_label() -> None:
    (stage,) = recipe("cross-entropy").stages(task())
    logits = torch.randn(8, 5, dtype=torch.float64)
    rows = torch.from_numpy(ROWS[:8]).double()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, rows, reduction="none").sum(1).mean()
    assert float(stage.loss(logits, rows)) == pytest.approx(float(expected))


def test_rare_labels_are_shown_more_often() -> None:
    (stage,) = recipe("repeat-factor-sampling").stages(task())
    sampler = stage.sampler(ROWS.astype(np.float32), num_replicas=1, rank=0, seed=0)
    shown = ROWS[sampler.indices()].mean(axis=0)
    assert (shown[3:] > 1.2 * ROWS.mean(axis=0)[3:]).all()


def test_rows_of_one_class_each_train_as_codes_do() -> None:
    class Plain:
        def network(self, task: Task) -> Network:
            return Network.linear(task.build_backbone(), 5)

        def stages(self, task: Task) -> list[Stage]:
            return [Stage("learn", loss=CrossEntropyLoss())]

    codes = np.arange(240) % 5
    by_codes, by_rows = (train(Plain(), task(), X, y, devices=1, progress=False) for y in (codes, np.eye(5)[codes]))
    np.testing.assert_allclose(predict(by_rows, X), predict(by_codes, X), atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:, :4], "label rows must be 240 inputs × 5 classes; got shape"),
        (2 * ROWS, "hold 1 for an example"),
        (np.where(ROWS, np.nan, 0.0), "hold 1 for"),
        (np.ones_like(ROWS), "all 240 label rows are alike"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_one_line(rows: np.ndarray, message: str) -> None:
    with pytest.raises(TailwiseError, match=message):
        train(recipe("cross-entropy"), task(), X, rows, progress=False)
