"""A random permutation that is computed place by place, and never stored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROUNDS = 12
_MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd, their bits well spread
_SHIFT = np.uint64(32)


def permute(places: NDArray[Any], size: ArrayLike, *key: int, stream: ArrayLike = 0) -> NDArray[np.int64]:
    """Return where a permutation of ``range(size)`` sends ``places``.

    Parameters
    ----------
    places : (m,) each at least 0 and less than its ``size``
    size : number of things that are permuted, one number or one per place
    key : whole numbers, none negative, that choose the permutation
    stream : also chooses it, one number or one per place, so that one call can serve many permutations

    Returns
    -------
    (m,) int64

    Source: a Feistel network on pairs of numbers below ``a = ceil(sqrt(size))``, repeated until the result is below
    ``size`` (Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002, sections 3 and 4; Luby and Rackoff,
    How to Construct Pseudorandom Permutations from Pseudorandom Functions, SIAM Journal on Computing 1988).
    Verified: a bijection for every size tried; all permutations of up to five things equally often, and pairs of
    neighbours as in ``numpy.random.Generator.permutation`` (chi-square). It is not cryptographic: the rounds mix by
    multiplication.
    """
    keys = np.asarray(np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64), dtype=np.uint64)
    shape = np.shape(places)
    limit = np.broadcast_to(np.asarray(size).astype(np.uint64), shape)
    tweak = np.broadcast_to(_mix(np.atleast_1d(stream).astype(np.uint64)), shape)
    result = _network(np.asarray(places).astype(np.uint64), limit, tweak, keys)
    outside = np.flatnonzero(result >= limit)
    while outside.size:
        again = _network(result[outside], limit[outside], tweak[outside], keys)
        result[outside] = again
        outside = outside[again >= limit[outside]]
    return result.view(np.int64)


def _network(
    places: NDArray[np.uint64], size: NDArray[np.uint64], tweak: NDArray[np.uint64], keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    side = 2 * np.ceil(np.sqrt(size) / 2).astype(np.uint64)  # even: an odd one reaches even permutations only
    left, right = np.divmod(places, side)
    for key in keys:
        mixed = _mix(right + tweak ^ key)
        mixed >>= _SHIFT
        mixed *= side
        mixed >>= _SHIFT  # below side
        mixed += left
        left, right = right, np.minimum(mixed, mixed - side)  # modulo side: below it, the difference wraps round
    left = left * side
    left += right
    return left


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers whose upper bits depend on all the bits they came from."""
    mixed = np.multiply(numbers, _MIX[0])
    mixed ^= mixed >> _SHIFT
    mixed *= _MIX[1]
    mixed ^= mixed >> _SHIFT
    return np.multiply(mixed, _MIX[0])
