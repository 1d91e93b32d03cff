"""Random numbers from any seed that scikit-learn's and NumPy's users pass."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from tailwise.errors import TailwiseError

RandomState = int | np.random.Generator | np.random.RandomState | None


def generator(random_state: RandomState) -> np.random.Generator:
    """Return a generator; one made from a ``RandomState`` advances it, as drawing from it would.

    Raises
    ------
    TailwiseError
        If it is no seed.
    """
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31 - 1))
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise TailwiseError(
            f"random_state must be a whole number from 0, a Generator, a RandomState or None; got {random_state!r}."
        ) from None


def whole_seed(random_state: RandomState) -> int:
    """Return a whole number as it is, and one drawn from any other seed."""
    if isinstance(random_state, Integral) and random_state >= 0:
        return int(random_state)
    return seeds(random_state, 1)[0]


def seeds(random_state: RandomState, n: int) -> list[int]:
    """Return seeds for n estimators."""
    return generator(random_state).integers(2**31 - 1, size=n).tolist()
