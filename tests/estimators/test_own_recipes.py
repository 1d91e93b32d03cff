"""What a user's own recipe may get wrong is said in one line that names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from tailwise import TailClassifier, TailMultilabelClassifier
from tailwise.errors import TailwiseError, UnsavableWarning
from tailwise.recipes import Recipe, Stage, _base, recipe, recipes, register

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), np.repeat([0, 1, 2], [40, 15, 5])


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "_REGISTRY", dict(recipes()))


def registered(**methods: Any) -> Recipe:
    """Return a recipe called mine with such methods."""
    cls = register("mine", paper="none")(dataclass(frozen=True)(type("Mine", (Recipe,), methods)))
    return cls()


def fails(task: Any) -> Any:
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (lambda self, task: None, "recipe 'mine' cannot be used: TypeError"),
        (
            lambda self, task: ["learn"],
            "recipe 'mine': stages() must yield tailwise.recipes.Stage objects; got 'learn'",
        ),
        (lambda self, task: fails(task), "recipe 'mine' cannot be used: KeyError: 'weights'"),
        (lambda self, task: [Stage("learn", share=-1.0)], "recipe 'mine': the shares"),
    ],
)
def test_stages_that_are_none(stages: Any, message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(TailwiseError) as error:
        TailClassifier(registered(stages=stages), backbone="mlp", epochs=1).fit(X, Y)
    assert str(error.value).startswith(message)


def test_a_loss_of_each_example() -> None:
    torch = pytest.importorskip("torch")
    loss = torch.nn.CrossEntropyLoss(reduction="none")
    mine = registered(stages=lambda self, task: [Stage("learn", loss=loss)])
    with pytest.raises(TailwiseError, match=r"the loss of stage 'learn' must be one number for a batch; got \(1\d,\)"):
        TailClassifier(mine, backbone="mlp", epochs=1).fit(X, Y)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            lambda self, base, task: None,
            r"recipe 'mine': estimator\(\) must return a scikit-learn classifier; got None",
        ),
        (lambda self, base, task: fails(task), "recipe 'mine' cannot be used: KeyError: 'weights'"),
    ],
)
def test_an_estimator_that_is_none(estimator: Any, message: str) -> None:
    with pytest.raises(TailwiseError, match=message):
        TailClassifier(registered(estimator=estimator), estimator=DecisionTreeClassifier()).fit(X, Y)


def test_a_setting_whose_type_is_known_to_type_checkers_only() -> None:
    @register("mine", paper="none")
    @dataclass(frozen=True)
    class Mine(Recipe):
        """Mine."""

        strength: Decimal | None = None

        def estimator(self, base: Any, task: Any) -> Any:
            return base

    assert recipe("mine", strength=3).strength == 3


class Raising:
    """A loss, and whatever else, that fails when it is used."""

    def __call__(self, *given: Any) -> Any:
        raise ZeroDivisionError("one by\nnone")


def test_what_fails_in_training_names_the_recipe() -> None:
    torch = pytest.importorskip("torch")
    wrong = torch.nn.CrossEntropyLoss(weight=torch.ones(2))
    for loss, message in ((Raising(), "ZeroDivisionError: one by none"), (wrong, "RuntimeError: weight tensor")):
        mine = registered(stages=lambda self, task, loss=loss: [Stage("learn", loss=loss)])
        with pytest.raises(TailwiseError, match=f"recipe 'mine' cannot be used: {message}") as error:
            TailClassifier(mine, backbone="mlp", epochs=1).fit(X, Y)
        assert "\n" not in str(error.value)


def test_a_network_of_other_classes_is_told() -> None:
    torch = pytest.importorskip("torch")
    from tailwise.nn import Network

    mine = registered(
        network=lambda self, task: Network.linear(task.build_backbone(), 5),
        stages=lambda self, task: [Stage("learn", loss=torch.nn.CrossEntropyLoss())],
    )
    with pytest.raises(TailwiseError, match="recipe 'mine' scores 5 classes, but the data has 3"):
        TailClassifier(mine, backbone="mlp", epochs=1).fit(X, Y)


@pytest.mark.parametrize("steps", [None, lambda scores: scores, (None,)])
def test_posthoc_steps_that_are_none(steps: Any) -> None:
    mine = registered(estimator=lambda self, base, task: base, posthoc=lambda self, task, scores, labels: steps)
    with pytest.raises(
        TailwiseError, match=r"recipe 'mine': posthoc\(\) must return a tuple of tailwise\.posthoc\.Step"
    ):
        TailClassifier(mine, estimator=DecisionTreeClassifier()).fit(X, Y)


def test_an_estimator_that_is_a_class() -> None:
    mine = registered(estimator=lambda self, base, task: DecisionTreeClassifier)
    with pytest.raises(TailwiseError, match=r"recipe 'mine': estimator\(\) must return a scikit-learn classifier"):
        TailClassifier(mine, estimator=DecisionTreeClassifier()).fit(X, Y)


def needs(rows: int, tried: list[int] | None = None) -> Any:
    """Return the method of a recipe whose classifier cannot be fitted to fewer rows; those tried are noted."""

    class Large(DecisionTreeClassifier):
        def fit(self, X: Any, y: Any) -> Any:
            if tried is not None:
                tried.append(len(X))
            if len(X) < rows:
                raise ValueError("too few rows")
            return super().fit(X, y)

    return lambda self, base, task: Large()


def test_what_fails_late_is_told_before_anything_else_is_trained() -> None:
    told: list[str] = []
    mine = registered(estimator=lambda self, base, task: base, posthoc=lambda self, task, scores, labels: fails(task))
    with pytest.raises(TailwiseError, match="recipe 'mine' cannot be used: KeyError: 'weights'"):
        TailClassifier(["cross-entropy", mine], estimator=DecisionTreeClassifier(), verbose=told.append).fit(X, Y)
    assert told == ["mine, on a few examples"]


def test_what_fails_in_a_later_stage_is_told_before_anything_else_is_trained() -> None:
    torch = pytest.importorskip("torch")
    told: list[str] = []
    first = Stage("first", share=0.5, loss=torch.nn.CrossEntropyLoss())
    mine = registered(stages=lambda self, task: [first, Stage("second", share=0.5, loss=Raising())])
    with pytest.raises(TailwiseError, match="recipe 'mine' cannot be used: ZeroDivisionError"):
        TailClassifier(["cross-entropy", mine], backbone="mlp", epochs=2, verbose=told.append).fit(X, Y)
    assert told[0] == "mine, on a few examples"
    assert not any("cross-entropy" in line for line in told)


def test_a_recipe_that_needs_many_rows_gets_them(tmp_path: Path) -> None:
    x, y = np.tile(X, (10, 1)), np.tile(Y, 10)
    mine = registered(estimator=needs(300))
    with pytest.warns(UnsavableWarning, match="recipe 'mine': a model that holds .*Large cannot be saved") as warned:
        fitted = TailClassifier(mine, estimator=DecisionTreeClassifier(), work_dir=tmp_path / "work").fit(x, y)
    assert warned[0].filename == __file__
    assert fitted.score(x, y) > 0.9
    assert sorted(file.suffix for file in (tmp_path / "work").iterdir()) == [".json", ".json", ".npz", ".npz", ".npz"]
    with pytest.raises(TailwiseError, match=r"recipe 'mine': DecisionTreeClassifier cannot be fitted.*: too few rows"):
        TailClassifier(registered(estimator=needs(10_000)), estimator=DecisionTreeClassifier()).fit(x, y)


def test_a_recipe_that_always_fails_is_not_tried_on_ever_more_rows() -> None:
    x, y = np.tile(X, (100, 1)), np.tile(Y, 100)
    tried: list[int] = []
    with pytest.raises(TailwiseError, match=r"recipe 'mine': DecisionTreeClassifier cannot be fitted.*: too few rows"):
        TailClassifier(registered(estimator=needs(10**6, tried)), estimator=DecisionTreeClassifier()).fit(x, y)
    *few, fold = tried
    assert len(few) > 1
    assert max(few) <= 2048 < fold


def test_classifiers_that_cannot_be_saved_are_told_before_long_fits() -> None:
    x, y = np.tile(X, (35, 1)), np.tile(Y, 35)
    neighbours = TailClassifier("cross-entropy", estimator=KNeighborsClassifier())
    with pytest.warns(UnsavableWarning, match="recipe 'cross-entropy': a model that holds .* cannot be saved"):
        neighbours.fit(x, y)
    neighbours.fit(x[:300], y[:300])


def test_sets_of_labels_are_rehearsed_too() -> None:
    told: list[str] = []
    rows = np.stack([Y == 0, Y == 1, X[:, 0] > 0], axis=1).astype(int)
    mine = registered(targets=("labels",), estimator=lambda self, base, task: base)
    fitted = TailMultilabelClassifier(
        mine, estimator=DecisionTreeClassifier(max_depth=3), objective="macro_f1", verbose=told.append
    ).fit(X, rows)
    assert told[0] == "mine, on a few examples"
    assert fitted.recipe_ == mine


def wider(self: Any, task: Any) -> Any:
    from tailwise.nn import MLP, Network

    return Network.linear(MLP(3, (5,)), task.n_classes)


def bare(self: Any, task: Any) -> Any:
    import torch

    return torch.nn.Linear(3, 3)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (bare, "recipe 'mine': a network of type Linear cannot be saved: only a tailwise.nn.Network"),
        (wider, "recipe 'mine': the saved weights do not fit a network with backbone MLP"),
    ],
)
def test_networks_that_would_not_come_back_are_told(network: Any, message: str) -> None:
    torch = pytest.importorskip("torch")
    mine = registered(network=network, stages=lambda self, task: [Stage("learn", loss=torch.nn.CrossEntropyLoss())])
    with pytest.warns(UnsavableWarning, match=message):
        TailClassifier(mine, backbone="mlp", epochs=1).fit(X, Y)
