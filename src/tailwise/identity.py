"""Stable descriptions of what a result depends on, to check whether saved work can be resumed."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

_VERSIONED = {"builtins", "abc", "numpy", "sklearn", "tailwise", "torch", "imblearn", "skrub"}


def describe(value: Any) -> str:
    """Return a text that is the same in every process for the same value.

    An estimator is described by all its parameters, some of which its ``repr`` omits; a function by its code, defaults
    and closure; a class of the user's, and what is made of it, also by its methods.
    """
    return _text(value, ())


def _text(value: Any, around: tuple[int, ...]) -> str:
    """Return the text of a value; ``around`` holds the ids of those that contain it, against endless recursion."""
    if id(value) in around:
        return "..."

    def inner(part: Any) -> str:
        return _text(part, (*around, id(value)))

    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{inner(k)}: {inner(v)}' for k, v in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"set({', '.join(sorted(map(inner, value)))})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(inner, value))})"
    if isinstance(value, BaseEstimator):
        params, methods = inner(value.get_params(deep=False)), inner(list(_methods(type(value))))
        return f"{type(value).__name__}({params}) {methods}"
    if isinstance(value, partial):
        return f"partial({inner(value.func)}, {inner(value.args)}, {inner(value.keywords)})"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"array({digest(value)})"
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name, None) for field in fields(value)}
        cls = type(value)
        return f"{cls.__module__}.{cls.__qualname__}({inner(held)}) {inner(list(_methods(cls)))}"
    if inspect.isclass(value) and _is_own(value):
        return f"{value.__module__}.{value.__qualname__} {inner(list(_methods(value)))}"
    if inspect.isfunction(value):
        given = [value.__code__, value.__defaults__, value.__kwdefaults__, *_enclosed(value)]
        return f"{value.__module__}.{value.__qualname__}({', '.join(map(inner, given))})"
    if inspect.iscode(value):
        return f"{value.co_code.hex()} {inner(value.co_names)} {inner(value.co_consts)}"
    if _is_own(type(value)) and inspect.getattr_static(type(value), "__repr__") is object.__repr__:
        return f"{inner(type(value))} {inner(getattr(value, '__dict__', {}))}"
    return re.sub(r"( at 0x|\(MT19937\) at 0x|\(MT19937\))[0-9a-fA-F]*", "", repr(value))


def _is_own(cls: type) -> bool:
    """Say whether a class is one of the user's, whose code may change while no version does."""
    return cls.__module__.partition(".")[0] not in _VERSIONED


def _methods(cls: type) -> Iterator[Any]:
    """Yield what a class of the user's does, without what ``dataclass`` writes."""
    for base in filter(_is_own, cls.__mro__):
        for name, value in vars(base).items():
            if inspect.isfunction(value) and (not name.startswith("__") or name == "__call__"):
                yield value


def _enclosed(function: Any) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return the sorted names of what a result depends on that are different in two descriptions of it."""
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def digest(*arrays: Any) -> str:
    """Return a SHA-256 of the shapes, types and contents of arrays, sparse matrices, lists or frames of one type."""
    sha = hashlib.sha256()
    for array in arrays:
        matrix = array.tocsr() if hasattr(array, "tocsr") else None
        for part in (array,) if matrix is None else (matrix.indptr, matrix.indices, matrix.data):
            content = np.ascontiguousarray(part)
            sha.update(f"{content.shape} {content.dtype}".encode())
            sha.update(content.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()
