import dataclasses
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.identity import describe
from tailwise.recipes import Recipe, _base, load_recipes_from, recipe, recipes, register, unknown_prior

COUNTS = np.array([500, 100, 20, 3])


def test_every_recipe_is_documented_and_hashable():
    for name, cls in recipes().items():
        assert cls.name == name
        assert cls.paper
        assert cls.__doc__
        assert cls.__doc__.strip().splitlines()[0].endswith(".")
        assert hash(cls()) == hash(cls()), "recipes that train alike share a learner, so they must compare equal"
        assert dataclasses.replace(cls()) == cls()
        assert cls.learners() <= {"network", "estimator"}
        assert cls.targets
        assert set(cls.targets) <= {"class", "labels"}
        assert cls().relative_cost >= 1
        assert cls.learners()


def test_every_recipe_of_the_package_says_what_was_verified():
    for name, cls in recipes().items():
        if cls.__module__.startswith("tailwise.recipes."):
            assert "Verified: " in cls.__doc__, name


RESULTS = {
    "digits": "digits-mlp",
    "digits (forest)": "digits-forest",
    "CIFAR-10-LT": "cifar-mlp",
    "CIFAR-10-LT (forest)": "cifar-forest",
    "packages (forest)": "packages",
    "package sizes": "sizes",
}


def test_what_docstrings_say_was_measured_is_in_the_results():
    results = Path(__file__).parents[2] / "benchmarks" / "results" / "recipes.md"
    if not results.exists():
        pytest.skip("the results are not beside the tests")
    gains = {}
    for section in results.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = re.findall(r"^\| ([\w-]+) \| [\d.]+ \| ([+-][\d.]+) ", section, re.MULTILINE)
        gains |= {(section.split(",")[0], name): gain for name, gain in rows}
    said = {
        (RESULTS[data], name): gain
        for name, cls in recipes().items()
        for gain, data in re.findall(
            r"([+-]\d\.\d{3}) on ((?:digits|CIFAR-10-LT|packages) \(forest\)|digits|CIFAR-10-LT|package sizes)",
            " ".join(cls.__doc__.split("where dft")[0].split()),
        )
    }
    assert len(said) > 100
    assert said.items() <= gains.items()


@pytest.mark.parametrize("name", list(recipes()))
def test_learned_prior_is_a_prior_and_follows_the_classes(name):
    counts = COUNTS
    order = np.array([2, 0, 3, 1])
    prior = recipe(name).learned_prior(Task(counts))
    if prior is None:
        return  # calibration fits it; see tests/estimators
    assert prior.shape == counts.shape
    assert prior.sum() == pytest.approx(1)
    assert (prior > 0).all()
    np.testing.assert_allclose(recipe(name).learned_prior(Task(counts[order])), prior[order], rtol=1e-12)


def test_a_kind_of_recipe_may_have_another_prior():
    class Odd(type(recipe("power-sampling"))):
        learned_prior = unknown_prior

    assert Odd().learned_prior(Task(COUNTS)) is None
    assert Odd().rebalances(Task(COUNTS))


@pytest.mark.parametrize("name", list(recipes()))
def test_learned_prior_is_uniform_when_the_classes_are_equal(name):
    prior = recipe(name).learned_prior(Task(np.full(5, 40)))
    if prior is not None:
        np.testing.assert_allclose(prior, 0.2, rtol=1e-12)


def test_learned_prior_of_the_weighted_recipes_is_what_weighting_leaves():
    task = Task(COUNTS)
    np.testing.assert_allclose(recipe("class-weighted").learned_prior(task), 0.25)
    roots = np.sqrt(COUNTS)
    np.testing.assert_allclose(recipe("class-weighted-sqrt").learned_prior(task), roots / roots.sum())
    np.testing.assert_allclose(recipe("logit-adjusted-loss", tau=0.0).learned_prior(task), COUNTS / COUNTS.sum())
    np.testing.assert_allclose(recipe("logit-adjusted-loss").learned_prior(task), 0.25)


def test_settings_are_set_and_misspelt_ones_are_suggested():
    assert recipe("focal", gamma=1.0).gamma == 1.0
    with pytest.raises(TailwiseError, match=r"no setting 'gama'; it has gamma. Did you mean 'gamma'"):
        recipe("focal", gama=1.0)
    with pytest.raises(TailwiseError, match="Did you mean 'balanced-softmax'"):
        recipe("balanced_softmax")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("effective-number", {"beta": "oops"}, "recipe 'effective-number': beta must be a number; got 'oops'."),
        ("effective-number", {"beta": True}, "beta must be a number; got True."),
        ("effective-number", {"beta": None}, "beta must be a number; got None."),
        ("smote", {"k_neighbors": 2.5}, "k_neighbors must be a whole number; got 2.5."),
        ("loss-reweighting", {"strategy": 3}, "strategy must be 'linear' or 'quadratic' or 'extremes'; got 3."),
    ],
)
def test_a_setting_of_the_wrong_type_is_one_line(name, settings, message):
    with pytest.raises(TailwiseError, match=re.escape(message)):
        recipe(name, **settings)


def test_numbers_of_any_kind_are_numbers():
    assert recipe("effective-number", beta=0).beta == 0
    assert recipe("effective-number", beta=np.float32(0.5)).beta == 0.5
    assert recipe("smote", k_neighbors=np.int64(3)).k_neighbors == 3


def float_settings():
    for name, cls in recipes().items():
        hints = get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if float in (hints[field.name], *get_args(hints[field.name])):
                yield name, field.name


def built(name, **settings):
    """Return the prior that a recipe learns, after building all that it trains with, or why that cannot be."""
    torch = pytest.importorskip("torch")
    from tailwise.nn import MLP

    task = Task(COUNTS, partial(MLP, 4, (8,)), optimizer=partial(torch.optim.AdamW, lr=1e-3))
    labels = np.repeat(np.arange(len(COUNTS)), [30, 20, 12, 3])
    inputs = np.random.default_rng(0).normal(size=(len(labels), 4)) + labels[:, None]
    try:
        tailored = recipe(name, **settings)
        if "network" in tailored.learners():
            tailored.network(task)
            for stage in tailored.stages(task):
                for sampler in filter(None, (stage.sampler, stage.companion)):
                    sampler(labels, num_replicas=1, rank=0, seed=0).indices()
        if "estimator" in tailored.learners():
            tailored.estimator(DecisionTreeClassifier(max_depth=2), task).fit(inputs, labels)
        prior = tailored.learned_prior(task)
    except TailwiseError as error:
        return str(error).replace(".0", "")
    return None if prior is None else prior.tolist()


@pytest.mark.parametrize(("name", "setting"), list(float_settings()))
@pytest.mark.parametrize("value", [1, 2, 3])
def test_a_whole_number_will_do_for_a_setting_that_is_a_number(name, setting, value):
    assert built(name, **{setting: value}) == built(name, **{setting: float(value)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau": "x"}, "recipe 'logit-adjustment': tau must be a number; got 'x'"),
        ({"tauu": 1}, "has no setting 'tauu'; it has tau. Did you mean 'tau'?"),
        ({"tau": float("inf")}, "tau must be finite"),
    ],
)
def test_settings_of_an_instance_are_checked_too(settings, message):
    with pytest.raises(TailwiseError, match=re.escape(message)):
        recipe(recipe("logit-adjustment"), **settings)
    assert recipe(recipe("logit-adjustment", tau=0.5)).tau == 0.5


def test_what_a_recipe_does_is_part_of_what_it_is():
    def mine(scale):
        return dataclasses.dataclass(frozen=True)(type("Mine", (Recipe,), {"stages": lambda self, task: [scale]}))()

    assert describe(mine(1)) == describe(mine(1))
    assert describe(mine(1)) != describe(mine(2))


def test_what_a_users_object_holds_is_part_of_what_it_is():
    class Noise:
        def __init__(self, strength):
            self.strength = [strength]

    assert describe(Noise(0.1)) == describe(Noise(0.1)) != describe(Noise(5.0))
    assert "0x" not in describe(Noise(0.1))


def test_auto_is_no_recipe():
    with pytest.raises(TailwiseError, match="'auto' is no recipe"):
        recipe("auto")


def test_a_taken_name_is_refused():
    with pytest.raises(TailwiseError, match="'focal' is taken twice"):

        @register("focal", paper="mine")
        class Mine(Recipe):
            """Mine."""


@pytest.mark.parametrize("name", ["lab/mine", "", "../mine", "my own"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(TailwiseError, match="a recipe cannot be called"):
        register(name, paper="none")


def test_files_of_one_name_do_not_replace_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(_base, "_REGISTRY", dict(recipes()))
    text = "from tailwise.recipes import Recipe, register\nfrom dataclasses import dataclass\n\n"
    text += "@register('mine', paper='none')\n@dataclass(frozen=True)\nclass Mine(Recipe):\n"
    text += "    def estimator(self, base, task):\n        return base\n"
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(text)
    load_recipes_from(tmp_path / "one" / "own.py")
    load_recipes_from(tmp_path / "one" / "own.py")
    with pytest.raises(TailwiseError, match="'mine' is taken twice"):
        load_recipes_from(tmp_path / "other" / "own.py")


@pytest.mark.parametrize(
    "cls",
    [
        type("Mine", (Recipe,), {}),
        dataclasses.dataclass(type("Mine", (Recipe,), {})),
        type("Mine", (type(recipe("focal")),), {}),
    ],
)
def test_a_class_that_is_no_frozen_dataclass_is_refused(cls):
    with pytest.raises(TailwiseError, match="recipe 'mine': make its class a frozen dataclass"):
        register("mine", paper="none")(cls)
    assert "mine" not in recipes()


def test_the_recipe_in_the_readme_is_that_of_the_package(tmp_path, monkeypatch):
    readme = Path(__file__).parents[2] / "README.md"
    if not readme.exists():
        pytest.skip("README.md is not beside the tests")
    torch = pytest.importorskip("torch")
    section = readme.read_text(encoding="utf-8").split("## A recipe of your own")[1].split("\n## ")[0]
    (tmp_path / "mine.py").write_text(section.split("```python\n")[1].split("```")[0])
    monkeypatch.setattr(_base, "_REGISTRY", dict(recipes()))
    load_recipes_from(tmp_path / "mine.py")
    own, packaged = recipe("my-ldam-drw"), recipe("ldam-drw")
    assert dataclasses.asdict(own) == dataclasses.asdict(packaged)
    logits, labels = torch.linspace(-1, 1, 16).reshape(4, 4), torch.arange(4)
    for mine, theirs in zip(own.stages(Task(COUNTS)), packaged.stages(Task(COUNTS)), strict=True):
        assert dataclasses.replace(mine, loss=None) == dataclasses.replace(theirs, loss=None)
        assert mine.loss(logits, labels) == theirs.loss(logits, labels)


def test_a_user_file_registers_its_recipe(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from tailwise.recipes import Recipe, register\n\n"
        "@register('mine-from-a-file', paper='none yet')\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Recipe):\n"
        "    '''My own.'''\n"
        "    strength: float = 2.0\n"
        "    def estimator(self, base, task):\n"
        "        return base\n"
    )
    load_recipes_from(file)
    assert recipe("mine-from-a-file", strength=3.0).strength == 3.0
    assert recipes()["mine-from-a-file"].learners() == {"estimator"}
    with pytest.raises(TailwiseError, match="there is no recipe file"):
        load_recipes_from(tmp_path / "absent.py")


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("y = 1\nx = (\n", 2, SyntaxError),
        ("y = 1\n\nx = 1 / 0\n", 3, ZeroDivisionError),
        ("def broken():\n    raise KeyError('a')\n\nbroken()\n", 2, KeyError),
        ("import json\njson.loads('{')\n", 2, ValueError),
        ("import nosuchmodule\n", 1, ModuleNotFoundError),
    ],
)
def test_a_user_file_that_cannot_be_run_is_one_line(tmp_path, text, line, cause):
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(TailwiseError, match=rf"broken.py, line {line} cannot be run: \w+: .+\.$") as error:
        load_recipes_from(file)
    assert isinstance(error.value.__cause__, cause)
    assert "\n" not in str(error.value)


def test_a_package_whose_recipes_are_broken_is_named_and_the_others_are_there(tmp_path):
    (tmp_path / "broken_recipes.py").write_text("import what_is_not_installed\n")
    info = tmp_path / "broken_recipes-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-recipes\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tailwise.recipes]\nx = broken_recipes\n")
    code = "from tailwise.recipes import recipes; print('focal' in recipes())"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert ran.stdout == "True\n"
    assert "the recipes of package 'broken-recipes' cannot be used: ModuleNotFoundError: No module" in ran.stderr


def test_recipes_are_listed_without_loading_torch():
    code = "import sys; from tailwise.recipes import recipes; print('ldam-drw' in recipes(), 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True False\n"


def test_a_class_that_cannot_be_a_recipe_is_told_when_it_registers():
    @dataclasses.dataclass(frozen=True)
    class Foreign:
        a: int = 3

    @dataclasses.dataclass(frozen=True)
    class Idle(Recipe):
        pass

    @dataclasses.dataclass(frozen=True)
    class Demanding(Recipe):
        a: int

        def stages(self, task):
            return []

    for cls, message in (
        (Foreign, "a subclass of tailwise.recipes.Recipe with stages"),
        (Idle, "with stages"),
        (Demanding, "give its setting a a default"),
    ):
        with pytest.raises(TailwiseError, match=message):
            register("cannot-be", paper="none")(cls)
    assert "cannot-be" not in recipes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_settings_are_finite(value):
    with pytest.raises(TailwiseError, match="recipe 'crt': retrain must be finite"):
        recipe("crt", retrain=value)
