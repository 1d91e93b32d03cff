"""What a result depends on, as texts that are the same in another process: who goes on with work compares them."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


def describe(value: Any) -> str:
    """Return a text that is the same for the same option in another process, to tell one training from another.

    An estimator is its settings, whose own text leaves some out; a function is its code and what it was given.
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{describe(k)}: {describe(v)}' for k, v in value.items())}}}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    if isinstance(value, BaseEstimator):
        return f"{type(value).__name__}({describe(value.get_params(deep=False))})"
    if isinstance(value, partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if inspect.isfunction(value):
        inner = inspect.getclosurevars(value).nonlocals  # a function among them may hold this one in its turn
        held = {name: f.__code__ if inspect.isfunction(f) else f for name, f in inner.items()}
        given = value.__code__, value.__defaults__, value.__kwdefaults__, held
        return f"{value.__module__}.{value.__qualname__}{describe(given)}"
    if inspect.iscode(value):
        return f"{value.co_code.hex()}{describe(value.co_names)}{describe(value.co_consts)}"
    with np.printoptions(threshold=sys.maxsize):
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def digest(*arrays: Any) -> str:
    """Return a hash of the shapes, types and contents of arrays, sparse matrices, lists or frames."""
    sha = hashlib.sha256()
    for array in arrays:
        matrix = array.tocsr() if hasattr(array, "tocsr") else None
        for part in (array,) if matrix is None else (matrix.indptr, matrix.indices, matrix.data):
            content = np.ascontiguousarray(part)
            sha.update(f"{content.shape} {content.dtype}".encode())
            sha.update(content.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()
