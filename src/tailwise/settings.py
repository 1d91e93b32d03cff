"""Check settings, against their type hints or a range, so that a wrong one is reported before any work starts."""

from __future__ import annotations

import sys
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from tailwise.errors import TailwiseError

_HUGE = sys.float_info.max
_NAMES = {float: "a number", int: "a whole number", bool: "true or false", str: "text", NoneType: "None"}


def must_be(hint: Any, value: Any) -> str | None:
    """Describe what a value must be, or return None if it is valid; hints that cannot be checked accept anything."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        wanted = [must_be(option, value) for option in get_args(hint)]
        return None if None in wanted else " or ".join(filter(None, wanted))
    if origin is Literal:
        return None if value in get_args(hint) else " or ".join(map(repr, get_args(hint)))
    kind: Any = {float: Real, int: Integral}.get(hint, hint)
    if hint not in _NAMES or (isinstance(value, kind) and isinstance(value, bool) == (hint is bool)):
        return None
    return _NAMES[hint]


def hints_of(owner: Any) -> dict[str, Any]:
    """Return the type hints of a class or function; none if some are imported for type checkers only."""
    try:
        return get_type_hints(owner)
    except NameError:
        return {}


def check_settings(owner: Any) -> None:
    """Check the parameters of a scikit-learn estimator against the type hints of its constructor.

    Raises
    ------
    TailwiseError
        If a parameter has the wrong type.
    """
    hints = hints_of(type(owner).__init__)
    for name, value in owner.get_params(deep=False).items():
        if (must := must_be(hints.get(name, Any), value)) is not None:
            raise TailwiseError(f"{type(owner).__name__}: {name} must be {must}; got {value!r}.")


def number(name: str, value: Any, least: float = -_HUGE, most: float = _HUGE) -> float:
    """Return a hyper-parameter that is one number in a range; infinity is in none that does not name it.

    Class counts, which many functions take first, are refused.

    Raises
    ------
    TailwiseError
        If it is none.
    """
    _check_single(name, value)
    try:
        inside = least <= value <= most
    except TypeError:
        raise TailwiseError(f"{name} must be a number; got {value!r}.") from None
    if not inside:
        bounds = [f"at least {least:g}"] * (least > -_HUGE) + [f"at most {most:g}"] * (most < _HUGE)
        bounds += ["finite"] * (most == _HUGE and not abs(value) <= _HUGE)
        raise TailwiseError(f"{name} must be {' and '.join(bounds)}; got {value}.")
    return float(value)


def divisor(name: str, value: Any, most: float = _HUGE) -> float:
    """Return a hyper-parameter that is one number above 0; raise TailwiseError if it is none."""
    if not number(name, value, -_HUGE, most) > 0:
        raise TailwiseError(f"{name} must be above 0; got {value}.")
    return float(value)


def whole(name: str, value: Any, least: int) -> int:
    """Return a setting that is a whole number; raise TailwiseError if it is none, or below the least."""
    _check_single(name, value)
    if not isinstance(value, Integral) or value < least:
        raise TailwiseError(f"{name} must be a whole number of at least {least}; got {value!r}.")
    return int(value)


def _check_single(name: str, value: Any) -> None:
    """Raise TailwiseError for several numbers, such as the class counts that many functions take first."""
    if np.ndim(value):
        raise TailwiseError(f"{name} must be one number; got {np.shape(value)}. Does this take class counts?")
