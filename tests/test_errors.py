import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tailwise
from tailwise import _optional
from tailwise.errors import MissingExtraError, TailwiseError, nearest


def test_errors_are_value_errors_of_one_line():
    assert issubclass(TailwiseError, ValueError)
    assert issubclass(MissingExtraError, ImportError)


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("focl", ["focal", "ldam"], " Did you mean 'focal'?"),
        ("FOCAL", ["focal", "ldam"], " Did you mean 'focal'?"),
        ("zzz", ["focal", "ldam"], ""),
        ("logit", ["bit", "crt", "cross-entropy", "logit-adjustment"], " Did you mean 'logit-adjustment'?"),
        ("LOG", ["lag", "logit-adjustment"], " Did you mean 'logit-adjustment'?"),
        ("lo", ["log", "logit-adjustment"], " Did you mean 'log'?"),
        ("x", [], ""),
    ],
)
def test_the_nearest_name_is_suggested(name, known, said):
    assert nearest(name, known) == said


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(MissingExtraError, match=r"This needs nosuchpackage, .* pip install 'tailwise\[torch\]'"):
        _optional.require("nosuchpackage.part", "torch")
    assert _optional.require("json", "torch").dumps(1) == "1"


def test_a_package_that_is_broken_inside_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "brokenpackage.py").write_text("import nosuchdependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nosuchdependency"):
        _optional.require("brokenpackage", "torch")


WITHOUT_TORCH = """
import sys
from importlib.abc import MetaPathFinder

class NoTorch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
import numpy as np, tailwise, tailwise.losses
"""


@pytest.mark.parametrize(
    "call",
    [
        "tailwise.losses.LDAMLoss",
        "tailwise.TailClassifier(backbone='mlp').fit(np.eye(6), [0, 1] * 3)",
        "tailwise.TailClassifier().fit(np.zeros((6, 4, 4, 3), np.uint8), [0, 1] * 3)",
    ],
)
def test_rooms_and_networks_say_in_one_line_that_torch_is_missing(call):
    # In a process of its own: once torch is loaded, nothing asks for it again.
    ended = subprocess.run([sys.executable, "-c", WITHOUT_TORCH + call], capture_output=True, text=True)
    assert ended.returncode == 1
    assert re.fullmatch(
        r"tailwise.errors.MissingExtraError: This needs torch, which is not installed: pip install .*",
        ended.stderr.splitlines()[-1],
    )


def test_public_names_are_those_of_the_stub():
    assert set(tailwise.__all__) == {
        "MissingExtraError",
        "LabelModel",
        "Model",
        "TailClassifier",
        "TailMultilabelClassifier",
        "TailwiseError",
        "load_model",
    }
    for room in pkgutil.iter_modules(tailwise.__path__):
        module = importlib.import_module(f"tailwise.{room.name}") if room.ispkg else None
        stub = Path(module.__file__).with_suffix(".pyi") if module else Path("none")
        if stub.exists():
            assert set(module.__all__) == set(re.findall(r" as (\w+)$", stub.read_text(), re.MULTILINE))
            for name in module.__all__:
                assert hasattr(module, name)
