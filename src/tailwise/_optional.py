"""Load packages on first use, and name the extra to install if one is missing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import lazy_loader

from tailwise.errors import MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import and return ``module``.

    Raises
    ------
    MissingExtraError
        If it is not installed, with the command that installs the extra it belongs to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"This needs {module.split('.')[0]}, which is not installed: pip install 'tailwise[{extra}]'"
        ) from None


def attach(package: str, file: str, extra: str | None = None) -> tuple[Callable[[str], Any], Any, list[str]]:
    """Make a package's public names, listed once in its ``__init__.pyi``, load on first use.

    Parameters
    ----------
    package, file : the ``__name__`` and ``__file__`` of the package's ``__init__``
    extra : the extra that the package needs, if any (``"torch"``)

    Returns
    -------
    ``__getattr__``, ``__dir__``, ``__all__`` for the package's ``__init__`` (Scientific Python SPEC 1).
    """
    load, directory, names = lazy_loader.attach_stub(package, file)

    def __getattr__(name: str) -> Any:  # noqa: N807
        if extra is not None and name in names:
            require("torch", extra)
        return load(name)

    return __getattr__, directory, names
