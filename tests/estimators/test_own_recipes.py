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
