"""Over-sampling by interpolation between neighbours: SMOTE and its variants."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.resample._base import Change, Resampler
from tailwise.resample._containers import rows_by_class
from tailwise.resample._goals import Kind, Strategy
from tailwise.resample._neighbours import nearest
from tailwise.resample._tables import Values, numbers
from tailwise.settings import whole

Rows = NDArray[np.intp]
Lines = tuple[Rows, NDArray[np.signedinteger[Any]], NDArray[np.float64]]


class Table(NamedTuple):
    """All examples, their classes, what ``_around`` says of their surroundings, and the source of the draws."""

    points: Any
    codes: Rows
    rng: np.random.Generator
    around: NDArray[np.int32] = np.empty((0, 0), np.int32)


class SMOTE(Resampler):
    """Puts new examples on the lines from an example of a class to its nearest neighbours in that class.

    A class that is too small for ``k_neighbors`` neighbours uses all of its examples, and a single example is repeated.
    A value that is missing (NaN) in a row is missing in the rows made from it. Sparse matrices stay sparse; they must
    have no missing values.

    Parameters
    ----------
    sampling_strategy : ``"auto"``, ``"minority"``, ``"not minority"``, ``"not majority"`` or ``"all"`` selects the
        classes to bring to the count of the largest; a mapping gives the count for each label; a number, for two
        classes, is the ratio of the smaller to the larger class after resampling
    k_neighbors : neighbours of each example
    random_state : seed or generator

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: two-sample tests against imbalanced-learn's distribution of new examples.
    Source: Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, Journal of Artificial Intelligence
    Research 2002, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0], [7.0], [9.0]]), np.array([0, 0, 0, 0, 1, 1])
    >>> smote = SMOTE(random_state=0)
    >>> X_new, y_new = smote.fit_resample(X, y)
    >>> new = X_new[smote.synthetic_]
    >>> y_new[smote.synthetic_].tolist(), bool(new.min() >= 7 and new.max() <= 9)
    ([1, 1], True)
    """

    _kind: ClassVar[Kind] = "over"

    def __init__(
        self, sampling_strategy: Strategy = "auto", *, k_neighbors: int = 5, random_state: RandomState = None
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.k_neighbors = k_neighbors
        self.random_state = random_state

    def _resample(self, X: Any, codes: NDArray[np.intp], wanted: NDArray[np.int64]) -> Change:
        whole("k_neighbors", self.k_neighbors, 1)
        points = numbers(X, type(self).__name__)
        rng = generator(self.random_state)
        by_class = rows_by_class(codes, len(wanted))
        counts = [int(n) - len(rows) for n, rows in zip(wanted, by_class, strict=True)]
        if not any(counts):
            return Change(np.arange(len(codes)))
        asked = np.sort(np.concatenate([rows for rows, count in zip(by_class, counts, strict=True) if count]))
        table = Table(points, codes, rng)
        table = table._replace(around=self._around(table, asked))
        lines = [self._lines(table, rows, count) for rows, count in zip(by_class, counts, strict=True) if count]
        starts, ends, steps = map(np.concatenate, zip(*lines, strict=True))
        return Change(np.arange(len(codes)), starts, between(points, starts, ends, steps))

    def _around(self, table: Table, asked: Rows) -> NDArray[np.int32]:
        """Return (n, width) what ``_lines`` needs to know about the surroundings of the rows ``asked``."""
        return table.around

    def _lines(self, table: Table, rows: Rows, count: int) -> Lines:
        """Return the rows where ``count`` lines start and end, for a class with these ``rows``, and steps along them.

        A step is the share of its line at which the new example lies.
        """
        start = table.rng.choice(rows, count)
        return start, self._own_neighbour(table, rows, start), table.rng.random(count)

    def _own_neighbour(self, table: Table, rows: Rows, start: Rows) -> Rows:
        """Return, for each start, one of its nearest neighbours in its class, which has these ``rows``."""
        k = min(self.k_neighbors, len(rows) - 1)
        if k == 0:
            return start
        used, line = np.unique(start, return_inverse=True)
        found = nearest(table.points[rows], k, of=np.searchsorted(rows, used)).rows
        return rows[found[line, table.rng.integers(k, size=len(start))]]


class BorderlineSMOTE(SMOTE):
    """SMOTE from examples in danger: at least half of their neighbours, but not all, belong to other classes.

    A class without examples in danger is over-sampled as by :class:`SMOTE`.

    Parameters
    ----------
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`
    m_neighbors : neighbours among all classes that decide whether an example is in danger
    kind : ``"borderline-1"`` interpolates towards neighbours of the same class, ``"borderline-2"`` towards neighbours
        of any class, at most half way to those of another

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Han, Wang and Mao, Borderline-SMOTE, ICIC 2005, section 3. Deviates: in borderline-2 a line ends at a random
    one of the k neighbours, as in imbalanced-learn, instead of at one of each kind; the step towards another class is
    uniform in (0, 0.5), as in the paper, while imbalanced-learn multiplies it by another uniform number.
    """

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        *,
        k_neighbors: int = 5,
        m_neighbors: int = 10,
        kind: str = "borderline-1",
        random_state: RandomState = None,
    ) -> None:
        super().__init__(sampling_strategy, k_neighbors=k_neighbors, random_state=random_state)
        self.m_neighbors = m_neighbors
        self.kind = kind

    def _around(self, table: Table, asked: Rows) -> NDArray[np.int32]:
        return near_all(table.points, max(self.m_neighbors, self.k_neighbors), asked)

    def _lines(self, table: Table, rows: Rows, count: int) -> Lines:
        whole("m_neighbors", self.m_neighbors, 1)
        if self.kind not in ("borderline-1", "borderline-2"):
            raise TailwiseError(f"kind must be 'borderline-1' or 'borderline-2'; got {self.kind!r}.")
        foreign = (table.codes[table.around[rows, : self.m_neighbors]] != table.codes[rows[0]]).sum(axis=1)
        danger = np.flatnonzero((foreign >= self.m_neighbors / 2) & (foreign < self.m_neighbors))
        if not len(danger):
            return super()._lines(table, rows, count)
        chosen = table.rng.choice(danger, count)
        start, step = rows[chosen], table.rng.random(count)
        if self.kind == "borderline-1":
            return start, self._own_neighbour(table, rows, start), step
        end = table.around[start, table.rng.integers(self.k_neighbors, size=count)]
        return start, end, np.where(table.codes[end] == table.codes[start], step, step / 2)


class ADASYN(SMOTE):
    """SMOTE that makes more new examples where more of an example's neighbours belong to other classes.

    A class without neighbours of other classes is over-sampled as by :class:`SMOTE`.

    Parameters
    ----------
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: He et al., ADASYN: Adaptive Synthetic Sampling Approach for Imbalanced Learning, IJCNN 2008, section III.
    Deviates: running sums of the examples' shares are rounded rather than each share, so that a class reaches its count
    (imbalanced-learn misses it, and gives up where every share is below one half).
    """

    def _around(self, table: Table, asked: Rows) -> NDArray[np.int32]:
        return near_all(table.points, self.k_neighbors, asked)

    def _lines(self, table: Table, rows: Rows, count: int) -> Lines:
        foreign = (table.codes[table.around[rows]] != table.codes[rows[0]]).sum(axis=1)
        if not foreign.any():
            return super()._lines(table, rows, count)
        ends_at = np.rint(np.cumsum(foreign) / foreign.sum() * count).astype(np.intp)
        start = np.repeat(rows, np.diff(ends_at, prepend=0))
        return start, self._own_neighbour(table, rows, start), table.rng.random(count)


class MixupOverSampler(SMOTE):
    """Puts new examples on the lines from an example of a class to an example of any class, in the nearer half.

    With ``λ`` drawn from Beta(alpha, alpha), the example that a line starts from has weight ``max(λ, 1 - λ)``, and the
    new example gets its label: mixup with hard labels, after Remix.

    Parameters
    ----------
    sampling_strategy, random_state : see :class:`SMOTE`
    alpha : small values keep new examples near existing ones, large values move them to the middle of the line

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, equation 1; Chou et al., Remix:
    Rebalanced Mixup, ECCV Workshops 2020, whose label of a mixture is the rarer class's. Deviates: never past the
    middle.
    """

    k_neighbors = 1

    def __init__(
        self, sampling_strategy: Strategy = "auto", *, alpha: float = 0.2, random_state: RandomState = None
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.alpha = alpha
        self.random_state = random_state

    def _lines(self, table: Table, rows: Rows, count: int) -> Lines:
        if not self.alpha > 0:
            raise TailwiseError(f"alpha must be positive; got {self.alpha}.")
        share = table.rng.beta(self.alpha, self.alpha, count)
        start, end = table.rng.choice(rows, count), table.rng.integers(len(table.codes), size=count)
        return start, end, np.minimum(share, 1 - share)


def near_all(points: Any, k: int, asked: NDArray[np.intp]) -> NDArray[np.int32]:
    """Return (n, k) the nearest neighbours of the rows ``asked`` among all examples; -1 for other rows."""
    around = np.full((points.shape[0], k), -1, np.int32)
    around[asked] = nearest(points, k, of=asked).rows
    return around


def between(points: Any, starts: NDArray[np.intp], ends: NDArray[np.intp], steps: NDArray[np.float64]) -> Values:
    """Return a function from a slice to the points that lie ``steps`` of the way from ``starts`` to ``ends``.

    Where the end has no value, the point has the start's value; where the start has none, neither has the point.
    """

    def values(at: slice) -> Any:
        start, end = points[starts[at]], points[ends[at]]
        step = steps[at].astype(points.dtype)
        if sparse.issparse(points):
            return start + sparse.diags_array(step) @ (end - start)
        end -= start
        end *= step[:, None]
        np.copyto(end, 0, where=np.isnan(end))
        start += end
        return start

    return values
