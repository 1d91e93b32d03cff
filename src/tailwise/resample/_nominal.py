"""SMOTE for tables with categorical columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.resample._base import Change
from tailwise.resample._containers import rows_by_class
from tailwise.resample._goals import Strategy
from tailwise.resample._neighbours import nearest
from tailwise.resample._smote import SMOTE, between
from tailwise.resample._tables import is_number, n_columns, numbers
from tailwise.settings import whole
from tailwise.tensors import to_array

_WIDE = 256  # with more columns of numbers and one-hot categories, distances use sparse matrices


class SMOTENC(SMOTE):
    """SMOTE for tables with both numeric and categorical columns.

    Numbers are interpolated between an example and one of its neighbours. A category is the most frequent one among all
    of the neighbours; ties are broken at random. In distances, each category that differs counts as the median standard
    deviation of the class's numeric columns. A missing category counts as a category of its own; a missing number is
    replaced by the class mean in distances only.

    Parameters
    ----------
    categorical_features : names, positions (which whole numbers always are) or a mask of the categorical columns;
        ``"auto"`` selects the columns of a frame that are not numeric
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: two-sample tests against imbalanced-learn's distribution of new examples.
    Source: Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, Journal of Artificial Intelligence
    Research 2002, section 6.1.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"weight": [150.0, 160.0, 170.0, 3.0, 4.0], "colour": ["red", "green", "red", "red", "red"]})
    >>> X_new, y_new = SMOTENC(random_state=0).fit_resample(X, ["apple", "apple", "apple", "cherry", "cherry"])
    >>> X_new["colour"].to_list(), y_new
    (['red', 'green', 'red', 'red', 'red', 'red'], ['apple', 'apple', 'apple', 'cherry', 'cherry', 'cherry'])
    """

    _takes = frozenset({"allow_nan", "string", "categorical"})

    def __init__(
        self,
        categorical_features: str | Sequence[str | int] = "auto",
        *,
        sampling_strategy: Strategy = "auto",
        k_neighbors: int = 5,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(sampling_strategy, k_neighbors=k_neighbors, random_state=random_state)
        self.categorical_features = categorical_features

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        whole("k_neighbors", self.k_neighbors, 1)
        most = min(self.k_neighbors, len(codes))  # neighbours that there can be
        d = n_columns(X, type(self).__name__)
        nominal = _positions(X, self.categorical_features)
        numeric = np.setdiff1d(np.arange(d), nominal)
        if not len(nominal):
            raise TailwiseError("SMOTENC needs categories, but the table has only numbers: use SMOTE.")
        if not len(numeric):
            return SMOTEN(
                self.sampling_strategy, k_neighbors=self.k_neighbors, random_state=self.random_state
            )._resample(X, codes, wanted)
        points, kinds = numbers(X, type(self).__name__, numeric), _factors(X, nominal)
        rng = generator(self.random_state)
        lines = []
        for start, near in _growing(codes, wanted, lambda rows: _encoded(points[rows], kinds[rows]), most, rng):
            others = near if near.shape[1] else start[:, None]  # one that is alone is repeated
            end = others[np.arange(len(start)), rng.integers(others.shape[1], size=len(start))]
            lines.append((start, end, rng.random(len(start)), _padded(others, most)))
        if not lines:
            return Change(np.arange(len(codes)))
        parents, ends, steps, voters = map(np.concatenate, zip(*lines, strict=True))
        line = between(points, parents, ends, steps)

        def values(at: slice) -> NDArray[Any]:
            made = np.zeros((len(parents[at]), d), points.dtype)
            made[:, numeric] = line(at)
            return made

        sources = {int(column): elected(kinds[:, j], voters, rng) for j, column in enumerate(nominal)}
        return Change(np.arange(len(codes)), parents, values, sources)


class SMOTEN(SMOTE):
    """SMOTE for categorical tables: each value is the most frequent one of an example and its neighbours.

    Two categories are close if the class shares within them are similar. An example is described by the class shares
    within each of its categories, and neighbours are found by Euclidean distance between these, which needs memory for
    a class's rows times the classes, not for pairs of rows. A missing category counts as a category of its own.

    Parameters
    ----------
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Chawla et al. 2002 (see :class:`SMOTE`), section 6.2, with the value difference metric of Stanfill and
    Waltz, Toward Memory-Based Reasoning, Communications of the ACM 1986. Deviates: squared differences of shares are
    summed (imbalanced-learn squares the sum of absolute differences), and ties are broken at random.
    """

    _takes = frozenset({"allow_nan", "string", "categorical"})

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        whole("k_neighbors", self.k_neighbors, 1)
        most = min(self.k_neighbors, len(codes))  # neighbours that there can be
        d = n_columns(X, type(self).__name__)
        kinds = _factors(X, np.arange(d))
        shares = []
        for column in kinds.T:
            counts = np.bincount(column * len(wanted) + codes, minlength=(column.max() + 1) * len(wanted))
            table = counts.reshape(-1, len(wanted))
            shares.append((table / table.sum(axis=1, keepdims=True)).astype(np.float32))
        rng = generator(self.random_state)

        def described(rows: NDArray[np.intp]) -> NDArray[np.float32]:
            return np.concatenate([table[kinds[rows, j]] for j, table in enumerate(shares)], axis=1)

        lines = [
            (start, _padded(np.column_stack([start, near]), most + 1))
            for start, near in _growing(codes, wanted, described, most, rng)
        ]
        if not lines:
            return Change(np.arange(len(codes)))
        parents, voters = map(np.concatenate, zip(*lines, strict=True))
        sources = {j: elected(kinds[:, j], voters, rng) for j in range(d)}
        return Change(np.arange(len(codes)), parents, lambda at: np.zeros((len(parents[at]), d)), sources)


def _growing(
    codes: NDArray[np.intp],
    wanted: NDArray[np.int64],
    described: Callable[[NDArray[np.intp]], Any],
    most: int,
    rng: np.random.Generator,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield, class by class, the (n_new,) rows where new examples start, and the (n_new, k) neighbours of each.

    Parameters
    ----------
    described : function from the rows of a class to the points among which neighbours are found
    most : neighbours that are wanted, of which small classes have fewer
    """
    for rows, target in zip(rows_by_class(codes, len(wanted)), wanted, strict=True):
        if (count := int(target) - len(rows)) > 0:
            start = rng.integers(len(rows), size=count)
            k = min(most, len(rows) - 1)
            near = nearest(described(rows), k).rows if k else np.empty((len(rows), 0), np.intp)
            yield rows[start], rows[near[start]]


def elected(kinds: NDArray[np.intp], voters: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return, for each line, one of its voters that has the line's most frequent kind.

    Parameters
    ----------
    kinds : (n,) kind of each row
    voters : (n_lines, k) rows, -1 for none
    rng : breaks ties
    """
    chosen = np.empty(len(voters), np.intp)
    for start in range(0, len(voters), 1 << 16):
        rows = voters[start : start + (1 << 16)]
        mine = np.where(rows < 0, -1, kinds[rows])
        votes = (mine[:, :, None] == mine[:, None]).sum(axis=2).astype(np.float64)
        votes[rows < 0] = -1
        first = (votes + rng.random(votes.shape) / 2).argmax(axis=1)
        chosen[start : start + len(rows)] = np.take_along_axis(rows, first[:, None], axis=1)[:, 0]
    return chosen


def _positions(X: Any, features: str | Sequence[str | int]) -> NDArray[np.intp]:
    if sparse.issparse(X):
        raise TailwiseError("SMOTENC takes a frame or an array, not a sparse matrix.")
    names = list(X.columns) if hasattr(X, "columns") else []
    if features is None or isinstance(features, str):
        if features != "auto":
            raise TailwiseError(f"categorical_features must be a list of columns or 'auto', not {features!r}.")
        if not names:
            raise TailwiseError(
                "an array does not say which columns are categories: list them in categorical_features."
            )
        return np.array([j for j, name in enumerate(names) if not is_number(X[name].dtype)], np.intp)
    if not np.iterable(features):
        raise TailwiseError(f"categorical_features must be a list of columns or 'auto', not {features!r}.")
    width = len(names) or np.shape(X)[1]
    if len(features) and all(isinstance(feature, bool | np.bool_) for feature in features):  # a mask
        if len(features) != width:
            raise TailwiseError(f"categorical_features is a mask of {len(features)} columns, but there are {width}.")
        return np.flatnonzero(features)
    found = [
        feature if isinstance(feature, Integral) else names.index(feature) if feature in names else None
        for feature in features
    ]
    for feature, position in zip(features, found, strict=True):
        if position is None or not 0 <= position < width:
            raise TailwiseError(f"categorical_features names column {feature!r}, which does not exist.")
    return np.unique(np.array(found, np.intp))


def _factors(X: Any, columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return (n, n_columns) integer codes of the values of each column."""
    import pandas as pd

    if sparse.issparse(X):
        raise TailwiseError("SMOTEN takes a frame or an array, not a sparse matrix.")
    made = []
    for column in columns:
        values = X[X.columns[column]] if hasattr(X, "columns") else np.asarray(to_array(X))[:, column]
        if not hasattr(values, "iloc"):
            values = np.asarray(values)
            values = values.astype(values.dtype.newbyteorder("="), copy=False)  # pandas needs native byte order
        try:
            made.append(pd.factorize(values, use_na_sentinel=False)[0])
        except (TypeError, ValueError, NotImplementedError):  # of pandas or Arrow
            name = repr(X.columns[column]) if hasattr(X, "columns") else column
            raise TailwiseError(f"column {name} holds values that are no categories, such as lists.") from None
    if not made:
        raise TailwiseError("SMOTEN needs categories, but the table has no column.")
    return np.stack(made, axis=1).astype(np.intp)


def _encoded(points: NDArray[Any], kinds: NDArray[np.intp]) -> Any:
    """Return a class's numbers beside its one-hot categories, scaled to be a median deviation apart."""
    known = ~np.isnan(points)
    n = np.maximum(known.sum(axis=0), 1)
    mean = points.sum(axis=0, where=known, dtype=np.float64) / n
    points = np.where(known, points - mean, 0).astype(points.dtype)
    apart = np.median(np.sqrt((points.astype(np.float64) ** 2).sum(axis=0) / n)) / np.sqrt(2)
    blocks: list[Any] = [points]
    for column in kinds.T:
        kind = np.unique(column, return_inverse=True)[1]
        one = np.full(len(kind), apart or 1.0, points.dtype)
        blocks.append(sparse.csr_array((one, (np.arange(len(kind)), kind))))
    if sum(block.shape[1] for block in blocks) > _WIDE:
        return sparse.hstack([sparse.csr_array(points), *blocks[1:]], format="csr")
    return np.concatenate([points, *(block.toarray() for block in blocks[1:])], axis=1)


def _padded(rows: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    return np.pad(rows, ((0, 0), (0, k - rows.shape[1])), constant_values=-1)
