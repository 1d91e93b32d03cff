"""Words for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # control characters but tabs and line feeds
_FEW, _SHOWN = 5, 3  # columns of a kind that get a sentence each: all up to so many, and of more the first ones


def plural(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun, and a verb if it comes with one."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def times(ratio: float) -> str:
    """Return a ratio with four digits, or with all of the whole number if that has more."""
    return f"{ratio:,.0f}" if ratio >= 1000 else f"{ratio:.4g}"


def some(names: Iterable[str], most: int = 5) -> str:
    """Return names in a row, but of more than ``most`` the first ones and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def spoken(measure: str) -> str:
    """Return the name of a measure in words; the class that it is of, if any, stays as it is written."""
    name, of, label = measure.partition(" of ")
    return f"{name.replace('_', ' ')}{of}{label}"


def printable(text: str) -> str:
    """Return text with a mark in place of each character that would steer a terminal, which data may hold."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def one_line(said: object) -> str:
    """Return an error, or what else was said, in one line."""
    return " ".join(str(said).split())


def few_of_each(notes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return sentences about columns, but of many that say the same the first ones and how many more there are.

    Parameters
    ----------
    notes : pairs of a sentence about one column, and what is to be said of all columns like it
    """
    alike: dict[str, list[str]] = {}
    for sentence, rest in notes:
        alike.setdefault(rest, []).append(sentence)
    few: list[str] = []
    for rest, sentences in alike.items():
        more = len(sentences) - _SHOWN
        few += sentences if len(sentences) <= _FEW else [*sentences[:_SHOWN], f"{more:,} more columns {rest}."]
    return tuple(few)
