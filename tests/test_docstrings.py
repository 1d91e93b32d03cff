"""The examples in docstrings do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import tailwise
from tailwise.recipes import _base, recipes


def test_every_example_gives_what_it_shows(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(_base, "_REGISTRY", dict(recipes()))  # recipes that an example registers are gone after it
    names = [module.name for module in pkgutil.walk_packages(tailwise.__path__, "tailwise.")]
    results = [doctest.testmod(importlib.import_module(name)) for name in names if name != "tailwise.__main__"]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 350
