"""What a user's own recipe may get wrong is said in one line that names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from tailwise import TailClassifier
from tailwise.errors import TailwiseError
from tailwise.recipes import Recipe, Stage, _base, recipe, recipes, register

if TYPE_CHECKING:
    from decimal import Decimal

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
