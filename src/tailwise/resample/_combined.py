"""Over-sampling followed by cleaning."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from numpy.typing import ArrayLike

from tailwise.random_state import RandomState
from tailwise.resample._base import Resampler
from tailwise.resample._clean import EditedNearestNeighbours, TomekLinks
from tailwise.resample._containers import collected
from tailwise.resample._goals import Kind, Strategy
from tailwise.resample._smote import SMOTE


class SMOTETomek(Resampler):
    """SMOTE, then removal of all examples in Tomek links, whatever their class.

    Parameters
    ----------
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`
    recall : see :class:`TomekLinks`

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Batista, Bazzan and Monard, Balancing Training Data for Automated Annotation of Keywords, WOB 2003.
    """

    _kind: ClassVar[Kind] = "over"
    _remedy = "use SMOTE, and then TomekLinks with a sampling_strategy of its own"

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        *,
        k_neighbors: int = 5,
        random_state: RandomState = None,
        recall: float = 1.0,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.k_neighbors = k_neighbors
        self.random_state = random_state
        self.recall = recall

    def fit_resample(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> tuple[Any, ...]:
        """Resample a table; see :meth:`Resampler.fit_resample`."""
        X = collected(X)
        _, *target = self._checked(X, y)
        over, clean = (
            SMOTE(self.sampling_strategy, k_neighbors=self.k_neighbors, random_state=self.random_state),
            self._cleaning(),
        )
        resampled = over.fit_resample(X, y, sample_weight)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* removed every example")  # told below
            result = clean.fit_resample(*resampled)
        self.sample_indices_ = over.sample_indices_[clean.sample_indices_]
        self.synthetic_ = over.synthetic_[clean.sample_indices_]
        self._warn_of_lost(y, *target)
        return result

    def _cleaning(self) -> Resampler:
        return TomekLinks("all", recall=self.recall)


class SMOTEENN(SMOTETomek):
    """SMOTE, then removal of all examples with a neighbour of another class, whatever their class.

    Parameters
    ----------
    sampling_strategy, k_neighbors, random_state : see :class:`SMOTE`
    recall : see :class:`TomekLinks`
    n_neighbors : see :class:`EditedNearestNeighbours`, whose ``kind`` is ``"all"``

    Raises
    ------
    TailwiseError
        At ``fit_resample``: as :meth:`Resampler.fit_resample`, or if a setting is out of range.

    Source: Batista, Prati and Monard, A Study of the Behavior of Several Methods for Balancing Machine Learning
    Training Data, SIGKDD Explorations 2004.
    """

    _remedy = "use SMOTE, and then EditedNearestNeighbours with a sampling_strategy of its own"

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        *,
        k_neighbors: int = 5,
        random_state: RandomState = None,
        recall: float = 1.0,
        n_neighbors: int = 3,
    ) -> None:
        super().__init__(sampling_strategy, k_neighbors=k_neighbors, random_state=random_state, recall=recall)
        self.n_neighbors = n_neighbors

    def _cleaning(self) -> Resampler:
        return EditedNearestNeighbours("all", n_neighbors=self.n_neighbors, recall=self.recall)
