"""How many examples of each class a resampler aims for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tailwise.errors import TailwiseError, nearest

Kind = Literal["over", "under", "clean"]
Strategy = str | float | Mapping[Any, int] | Sequence[Any] | Callable[[NDArray[Any]], Mapping[Any, int]]

_NAMED = {
    "minority": lambda counts: np.arange(len(counts)) == counts.argmin(),
    "not minority": lambda counts: np.arange(len(counts)) != counts.argmin(),
    "majority": lambda counts: np.arange(len(counts)) == counts.argmax(),
    "not majority": lambda counts: np.arange(len(counts)) != counts.argmax(),
    "all": lambda counts: np.ones(len(counts), bool),
}


def goals(
    strategy: Strategy, labels: NDArray[Any], classes: NDArray[Any], counts: NDArray[np.int64], kind: Kind
) -> NDArray[np.int64]:
    """Return the target number of examples of each class; for cleaning, 1 for a class to clean and 0 for the others.

    Parameters
    ----------
    strategy : as in imbalanced-learn. A name selects classes: ``"minority"``, ``"not minority"``, ``"majority"``,
        ``"not majority"``, ``"all"`` or ``"auto"``. They are brought to the count of the largest class (over-sampling)
        or of the smallest class (under-sampling), or they are cleaned. A number, for two classes, is the ratio of the
        smaller to the larger class after resampling. A mapping gives the count for each label, as does what a function
        returns for the labels. For cleaning, a list names the classes
    labels : (n,) labels of the training set
    classes, counts : (n_classes,) which labels there are, and how many of each, none of them zero
    kind : ``"over"``, ``"under"`` or ``"clean"``

    Raises
    ------
    TailwiseError
        If the strategy is unknown or does not suit the kind, if it names a class that does not exist, or if
        over-sampling would remove examples or under-sampling would add some.
    """
    if callable(strategy) and kind != "clean":
        strategy = strategy(labels)
    if isinstance(strategy, str):
        name = ("not majority" if kind == "over" else "not minority") if strategy == "auto" else strategy
        if name not in _NAMED:
            raise TailwiseError(f"unknown sampling_strategy {strategy!r}.{nearest(strategy, ['auto', *_NAMED])}")
        if (kind, name) in (("over", "majority"), ("under", "minority")):
            raise TailwiseError(f"{kind}-sampling leaves the {name} class as it is: use 'not {name}', or 'auto'.")
        chosen = _NAMED[name](counts)
        if kind == "clean":
            return chosen.astype(np.int64)
        return np.where(chosen, counts.max() if kind == "over" else counts.min(), counts)
    if kind == "clean":
        if isinstance(strategy, Mapping) or not isinstance(strategy, Sequence | np.ndarray):
            raise TailwiseError(f"cleaning takes a list of classes or a name such as 'all', not {strategy!r}.")
        wanted = np.zeros(len(classes), np.int64)
        wanted[[_code(label, classes) for label in strategy]] = 1
        return wanted
    if isinstance(strategy, Mapping):
        wanted = counts.copy()
        for label, count in strategy.items():
            if not (isinstance(count, Real) and np.isfinite(count) and count == int(count)):
                raise TailwiseError(f"class {label!s} cannot have {count!r} examples: give a whole number.")
            wanted[_code(label, classes)] = count
    elif isinstance(strategy, int | float | np.number):
        if len(classes) != 2 or not 0 < strategy <= 1:
            raise TailwiseError(f"sampling_strategy={strategy}: a number must be in (0, 1] and needs two classes.")
        small, large = counts.argmin(), 1 - counts.argmin()
        wanted = counts.copy()
        if kind == "over":
            wanted[small] = int(counts[large] * strategy)
        else:
            wanted[large] = int(counts[small] / strategy)
    else:
        raise TailwiseError(f"sampling_strategy must be a name, a number, a mapping or a function; got {strategy!r}.")
    wrong = np.flatnonzero(wanted < counts if kind == "over" else (wanted > counts) | (wanted < 0))
    if wrong.size:
        c = wrong[0]
        raise TailwiseError(
            f"{kind}-sampling cannot bring class {classes[c]!s} from {counts[c]} to {wanted[c]} examples."
        )
    return wanted


def _code(label: Any, classes: NDArray[Any]) -> int:
    found = np.flatnonzero(classes == label)
    if not found.size and str(label) in map(str, classes):
        kinds = f"the labels are {classes.dtype}, not {type(label).__name__}"
        raise TailwiseError(f"sampling_strategy names class {label!r}, which does not exist: {kinds}.")
    if not found.size:
        raise TailwiseError(f"sampling_strategy names class {label!r}, which does not exist.{nearest(label, classes)}")
    return int(found[0])
