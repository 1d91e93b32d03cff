"""What a recipe is, and the registry that finds one by name."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import math
import pkgutil
import re
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from tailwise.engine.stage import Stage as Stage
from tailwise.engine.stage import Task as Task
from tailwise.errors import TailwiseError, nearest
from tailwise.settings import hints_of, must_be
from tailwise.wording import one_line

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from torch import nn

    from tailwise.posthoc import Step

R = TypeVar("R", bound="type[Recipe]")


class Recipe:
    """A published system: how a learner is trained, and what its scores mean.

    A subclass is a frozen dataclass whose fields are the paper's hyper-parameters. It defines ``stages`` if it can
    train a network, ``estimator`` if it can train any scikit-learn classifier, or both.

    Its docstring says what was verified (in the tests), where and why it deviates from the paper, and what was
    measured: the gain in balanced accuracy over plain training (benchmarks/results/recipes.md).
    """

    name: ClassVar[str]
    paper: ClassVar[str]

    #: What an example may have: ``"class"``, one of the classes, or ``"labels"``, a set of them.
    targets: ClassVar[tuple[str, ...]] = ("class",)

    #: Whether an example gets those of a set of labels whose scores are above 0, rather than above tuned thresholds.
    decides_plainly: ClassVar[bool] = False

    @property
    def training(self) -> Recipe:
        """The recipe that trains the learner: this one, unless it is purely post hoc."""
        return self

    @property
    def relative_cost(self) -> float:
        """How many times as long as plain training this takes, approximately; time budgets are planned with it."""
        return 1.0

    def network(self, task: Task) -> nn.Module:
        """Build the network: by default the task's backbone under a linear classifier."""
        from tailwise.nn import Network

        network = Network.linear(task.build_backbone(), task.n_classes)
        return begin_at_mean_share(network, task) if task.has_sets else network

    def stages(self, task: Task) -> Iterable[Stage]:
        """Yield the stages that train the network.

        Raises
        ------
        TailwiseError
            If the recipe is not for networks.
        """
        raise TailwiseError(f"recipe {self.name!r} is not for networks.")

    def estimator(self, base: BaseEstimator, task: Task) -> BaseEstimator:
        """Return the scikit-learn classifier that trains ``base`` in this recipe's way.

        Raises
        ------
        TailwiseError
            If the recipe needs a network, or does not suit the base or the task.
        """
        raise TailwiseError(f"recipe {self.name!r} needs a network, not a scikit-learn estimator.")

    def learned_prior(self, task: Task) -> NDArray[np.float64] | None:
        """Return the class prior that the scores assume, by default that of the training data.

        None means that no formula gives it; calibration then finds it, class by class, on held-out scores.
        """
        return task.class_prior

    def rebalances(self, task: Task) -> bool:
        """Say whether the scores assume another class prior than that of the training data."""
        learned = self.learned_prior(task)
        return learned is None or not np.allclose(learned, task.class_prior)

    def posthoc(self, task: Task, scores: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[Step, ...]:
        """Return the steps between the learner's scores and the decision, fitted on held-out scores and labels.

        The scores are log-probabilities, up to a constant per example, or what comes closest.
        """
        return ()

    @classmethod
    def learners(cls) -> frozenset[str]:
        """Say what this recipe can train: ``"network"``, ``"estimator"`` or both."""
        written = {
            "network": cls.stages is not Recipe.stages,
            "estimator": cls.estimator is not Recipe.estimator,
        }
        return frozenset(learner for learner, is_written in written.items() if is_written)


def uniform_prior(recipe: Recipe, task: Task) -> NDArray[np.float64]:
    """Return the uniform prior; the :meth:`Recipe.learned_prior` of recipes that make up for the class counts."""
    return task.uniform_prior


def unknown_prior(recipe: Recipe, task: Task) -> None:
    """Return None; the :meth:`Recipe.learned_prior` of recipes of which no formula says how they change the prior."""


class CosineRecipe(Recipe):
    """A recipe whose networks have a cosine classifier."""

    def network(self, task: Task) -> nn.Module:
        """Build the backbone under a cosine classifier."""
        from tailwise.nn import Network

        return Network.cosine(task.build_backbone(), task.n_classes)


def begin_at_mean_share(network: nn.Module, task: Task) -> nn.Module:
    """Set the bias of a network's linear head so that each sigmoid starts at the mean probability of a class.

    Linear classifiers start at one half; with many classes, most of the training would be spent on lowering that.
    """
    network.head.bias.data.fill_(math.log(task.mean_share) - math.log1p(-task.mean_share))  # type: ignore[union-attr, operator]
    return network


_REGISTRY: dict[str, type[Recipe]] = {}


def register(name: str, *, paper: str) -> Callable[[R], R]:
    """Register a recipe class, a frozen dataclass, under ``name`` with the paper it comes from.

    Raises
    ------
    TailwiseError
        If the name is taken or has other signs than letters, digits, ``.``, ``_`` and ``-``, or the class itself is not
        a frozen dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from sklearn.base import clone
    >>> from tailwise.recipes import Recipe, recipes
    >>> @register("my-weights", paper="King and Zeng, Political Analysis 2001")
    ... @dataclass(frozen=True)
    ... class MyWeights(Recipe):
    ...     def estimator(self, base, task):
    ...         return clone(base).set_params(class_weight="balanced")
    >>> "my-weights" in recipes(), sorted(MyWeights.learners())
    (True, ['estimator'])
    """

    if not re.fullmatch(r"\w[\w.-]*", name):
        raise TailwiseError(f"a recipe cannot be called {name!r}: use letters, digits, ., _ and -.")

    def add(cls: R) -> R:
        known = _REGISTRY.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            both = " and ".join(f"{of.__module__}.{of.__qualname__}" for of in (known, cls))
            raise TailwiseError(f"recipe name {name!r} is taken twice, by {both}: choose another.")
        params = vars(cls).get("__dataclass_params__")  # not a base's: its fields would stand for those of this class
        if params is None or not params.frozen:
            raise TailwiseError(
                f"recipe {name!r}: make its class a frozen dataclass, by @dataclass(frozen=True) under @register."
            )
        if not issubclass(cls, Recipe) or not cls.learners():
            raise TailwiseError(
                f"recipe {name!r}: make its class a subclass of tailwise.recipes.Recipe with stages() for networks, "
                "estimator() for scikit-learn classifiers, or both."
            )
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.default is dataclasses.MISSING:
                raise TailwiseError(f"recipe {name!r}: give its setting {field.name} a default, one that is no list.")
        cls.name, cls.paper = name, paper
        _REGISTRY[name] = cls
        return cls

    return add


@cache
def _load_all() -> None:
    """Import every recipe of this package and every package entry point in the group ``tailwise.recipes``.

    A package whose recipes cannot be imported is told by a warning.
    """
    import tailwise.recipes as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    for entry in importlib.metadata.entry_points(group="tailwise.recipes"):
        try:
            entry.load()
        except Exception as error:  # whatever another package raises
            why = f"{type(error).__name__}: {one_line(error).rstrip('.')}"
            package_name = entry.dist.name if entry.dist else entry.value
            warnings.warn(f"the recipes of package {package_name!r} cannot be used: {why}.", stacklevel=2)


def load_recipes_from(path: str | Path) -> None:
    """Run a user's own Python file, which registers its recipes.

    Raises
    ------
    TailwiseError
        If there is no such file, or it cannot be run; the original exception is its cause.
    """
    file = Path(path)
    if not file.is_file():
        raise TailwiseError(f"there is no recipe file {file}.")
    name = f"tailwise_user_{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    loader = importlib.machinery.SourceFileLoader(name, str(file))
    module = types.ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        loader.exec_module(module)
    except TailwiseError:
        raise
    except Exception as error:  # whatever a user's file raises
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
        reason = getattr(error, "msg", None) or one_line(error)
        where = f"{file}, line {line}" if line else str(file)
        raise TailwiseError(f"{where} cannot be run: {type(error).__name__}: {reason.rstrip('.')}.") from error


def recipes() -> Mapping[str, type[Recipe]]:
    """Return every registered recipe class by name."""
    _load_all()
    return dict(sorted(_REGISTRY.items()))


def recipe(name: str | Recipe, **settings: Any) -> Recipe:
    """Return a recipe by name with some of its hyper-parameters set.

    Raises
    ------
    TailwiseError
        If no recipe has that name, or it has no such hyper-parameter (the nearest name is suggested); or a value is of
        the wrong type.

    Examples
    --------
    >>> recipe("ldam", max_margin=0.3).max_margin
    0.3
    >>> recipe("ldan")
    Traceback (most recent call last):
    ...
    tailwise.errors.TailwiseError: there is no recipe 'ldan'. Did you mean 'ldam'? `tailwise recipes` lists them all.
    """
    if isinstance(name, Recipe):
        _check_settings(type(name), settings)
        return dataclasses.replace(name, **settings)  # type: ignore[type-var]
    known = recipes()
    if name == "auto":
        raise TailwiseError("'auto' is no recipe: it names those that suit the data, for fit to compare.")
    if name not in known:
        raise TailwiseError(f"there is no recipe {name!r}.{nearest(name, known)} `tailwise recipes` lists them all.")
    _check_settings(known[name], settings)
    return known[name](**settings)


def _check_settings(cls: type[Recipe], settings: Mapping[str, Any]) -> None:
    name, hints = cls.name, hints_of(cls)
    fields = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for setting, value in settings.items():
        if setting not in fields:
            has = f"it has {', '.join(fields)}" if fields else "it has none"
            raise TailwiseError(f"recipe {name!r} has no setting {setting!r}; {has}.{nearest(setting, fields)}")
        if (must := must_be(hints.get(setting, Any), value)) is not None:
            raise TailwiseError(f"recipe {name!r}: {setting} must be {must}; got {value!r}.")
        if isinstance(value, float) and not math.isfinite(value):  # which no model card can hold
            raise TailwiseError(f"recipe {name!r}: {setting} must be finite; got {value!r}.")
