"""SMOTE that starts from the support vectors of a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tailwise.random_state import RandomState
from tailwise.resample._goals import Strategy
from tailwise.resample._smote import SMOTE, Lines, Rows, Table, near_all
from tailwise.resample._tables import complete
from tailwise.settings import whole


class SVMSMOTE(SMOTE):
    """SMOTE from the support vectors of a class: it interpolates near other classes and extrapolates elsewhere.

    If at least half of a support vector's neighbours belong to other classes, new examples lie between it and one of
    its nearest neighbours in the class. Otherwise they lie beyond it, at most half as far in the opposite direction.
    Support vectors whose neighbours all belong to other classes count as noise and are not used. A class without usable
    support vectors is over-sampled as by :class:`SMOTE`. Missing values are not allowed.

    Parameters
    ----------
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`
    m_neighbors : neighbours among all classes that decide between interpolation and extrapolation

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Verified: against imbalanced-learn's distribution of new examples in either direction, by two-sample tests.
    Source: Nguyen, Cooper and Kamei, Borderline Over-sampling for Imbalanced Data Classification, International Journal
    of Knowledge Engineering and Soft Data Paradigms 2011. The classifier is scikit-learn's ``SVC``, fitted once; its
    time grows with the square of the number of rows. Noise is defined as in imbalanced-learn.
    Deviates from imbalanced-learn: all usable support vectors are equally likely to be the start, as in the paper;
    imbalanced-learn draws at random how many new examples are interpolated.
    """

    _takes = frozenset({"sparse"})

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        *,
        k_neighbors: int = 5,
        m_neighbors: int = 10,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(sampling_strategy, k_neighbors=k_neighbors, random_state=random_state)
        self.m_neighbors = m_neighbors

    def _around(self, table: Table, asked: Rows) -> NDArray[np.int32]:
        from sklearn.svm import SVC

        whole("m_neighbors", self.m_neighbors, 1)
        support = SVC().fit(complete(table.points, type(self).__name__), table.codes).support_
        return near_all(table.points, self.m_neighbors, np.intersect1d(support, asked))

    def _lines(self, table: Table, rows: Rows, count: int) -> Lines:
        support = rows[table.around[rows, 0] >= 0]
        foreign = (table.codes[table.around[support]] != table.codes[rows[0]]).sum(axis=1)
        useful = np.flatnonzero(foreign < self.m_neighbors)
        if not len(useful):
            return super()._lines(table, rows, count)
        chosen = table.rng.choice(useful, count)
        start, step = support[chosen], table.rng.random(count)
        inwards = foreign[chosen] >= self.m_neighbors / 2
        return start, self._own_neighbour(table, rows, start), np.where(inwards, step, -step / 2)
