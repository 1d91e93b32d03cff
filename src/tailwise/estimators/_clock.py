"""A time budget: a duration in words, and whether what is yet to come ends in time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import numpy as np

from tailwise.errors import TailwiseError
from tailwise.recipes import Recipe

_INTERVALS = 1 / 3  # share of a time budget that is kept, at most, for intervals
_TRIFLE = 0.01  # share of a time budget that matters to nobody
_FITS = 0.95  # share of a time budget in which fits end; calibration follows them, and clocks are not that sure


def seconds(duration: float | str | None) -> float | None:
    """Return a duration such as ``90``, ``"90s"``, ``"10m"`` or ``"1.5h"`` in seconds.

    Raises
    ------
    TailwiseError
        If it is not a positive duration.
    """
    if duration is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([smh]?)\s*", str(duration))
    if match is None or float(match[1]) == 0:
        raise TailwiseError(f"a time budget is a number with s, m or h, such as 90s, 10m or 1.5h; got {duration!r}.")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


class Clock:
    """A time budget, and what is known of how long fits take.

    Parameters
    ----------
    budget : seconds, None for no limit
    start : when they began, by ``time.monotonic()``; None is now
    agreed : ``agreed(value)`` is the value that all processes go by

    Attributes
    ----------
    for_intervals : seconds to keep for intervals, at most
    """

    def __init__(self, budget: float | None, start: float | None = None, agreed: Callable[[bool], bool] = bool) -> None:
        self._end = None if budget is None else (time.monotonic() if start is None else start) + _FITS * budget
        self.for_intervals = np.inf if budget is None else _INTERVALS * budget
        self._trifle = _TRIFLE * (budget or 0)
        self._agreed = agreed
        self._took: dict[Recipe, float] = {}

    def took(self, training: Recipe, seconds: float) -> None:
        """Learn how long a fit by that recipe took."""
        self._took[training] = max(self._took.get(training, 0.0), seconds)

    def expected(self, training: Recipe) -> float:
        """Return the seconds that the recipe's next fit may take: its longest so far, or what the first's suggest."""
        first = next(iter(self._took), training)
        return self._took.get(training, self._took.get(first, 0.0) / first.relative_cost * training.relative_cost)

    def has_room(self, seconds: float, now: float = np.inf) -> bool:
        """Say whether so many more seconds end in time, or at least those that are asked for now make no difference."""
        return self._end is None or self._agreed(time.monotonic() + seconds <= self._end or now <= self._trifle)
