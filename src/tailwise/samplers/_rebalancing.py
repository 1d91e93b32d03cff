"""Chooses examples from data in which some entities are on far more examples than others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.errors import TailwiseError
from tailwise.random_state import RandomState, generator
from tailwise.samplers._epochs import EpochSampler
from tailwise.samplers._frequency import indicator
from tailwise.samplers._permute import permute
from tailwise.settings import whole

_TAIL = 0.1  # of all occurrences, which entities of the tail have by default


def entity_rebalancing(
    *perspectives: Any,
    thresholds: Sequence[float] | None = None,
    passes: int = 1,
    share: float = 1.0,
    random_state: RandomState = None,
) -> NDArray[np.intp]:
    """Return the rows to keep: those with only frequent entities are thinned out, and the tail stays whole.

    An entity on ``n`` examples lets each of them pass with probability ``min(1, threshold / n)``. An example passes a
    perspective if any of its entities lets it pass. If it passes at least ``passes`` perspectives, it is kept with
    probability ``share``. An example without entities passes none.

    Parameters
    ----------
    perspectives : (n, n_entities) indicators of the entities that an example has, dense or SciPy sparse; one per kind
        of entity, such as words, objects, pairs of objects and kinds of question
    thresholds : one per perspective. By default the largest count for which the entities with at most this count have a
        tenth of all occurrences, or the count of the rarest entity if that has more
    passes : number of perspectives to pass, at least one
    share : probability of keeping an example that passes

    Returns
    -------
    (n_kept,) rows, ascending

    Raises
    ------
    TailwiseError
        If a perspective is not an indicator or has another length, or a setting is out of range.

    Source: Song et al., From Head to Tail: Towards Balanced Representation in Large Vision-Language Models through
    Adaptive Data Calibration (ADR), CVPR 2025, its data rebalancing. The rule is that of the authors' code
    (reform_data_one_scope.py, mode compose_alpha, whose ``pass_num`` is one less than ``passes``); a tenth is what
    their table 1 leaves to the tail for three of their four kinds of entity.
    Verified: examples are kept as often as by a plain reading of that code, in 4,000 draws.
    Deviates: one draw decides whether an example passes a perspective, with the probability that any entity lets it.
    """
    if not perspectives:
        raise TailwiseError("give at least one perspective: an indicator of the entities that each example has.")
    indicators = [indicator(perspective) for perspective in perspectives]
    if any(has is None for has in indicators):
        raise TailwiseError("a perspective is an (n, n_entities) indicator; encode lists with MultiLabelBinarizer.")
    n = indicators[0].shape[0]
    if any(has.shape[0] != n for has in indicators):
        raise TailwiseError(f"perspectives need the same number of rows; got {[has.shape[0] for has in indicators]}.")
    if not 1 <= passes <= len(indicators) or not 0 < share <= 1:
        raise TailwiseError(
            f"passes must be from 1 to the {len(indicators)} perspectives and share from 0 to 1; got {passes}, {share}."
        )
    if thresholds is not None and (len(thresholds) != len(indicators) or not min(thresholds) > 0):
        raise TailwiseError(f"thresholds must be {len(indicators)} numbers above 0; got {thresholds!r}.")
    rng = generator(random_state)
    passed = np.zeros(n, dtype=np.int64)
    for number, has in enumerate(indicators):
        on = np.asarray(has.sum(axis=0)).ravel()
        threshold = _tail_threshold(on[on > 0]) if thresholds is None else thresholds[number]
        with np.errstate(divide="ignore"):
            stopped = np.log1p(-np.minimum(1.0, threshold / np.maximum(on, 1)))
        passed += rng.random(n) >= np.exp(has @ stopped)
    return np.flatnonzero((passed >= passes) & (rng.random(n) < share))


class EntityRebalancingSampler(EpochSampler):
    """Shows the examples that :func:`entity_rebalancing` keeps, chosen once by the seed, in random order.

    Parameters
    ----------
    labels : (n, n_classes) indicator of the classes that an example has, dense or SciPy sparse; they are its entities
    threshold : as in :func:`entity_rebalancing`
    num_replicas, rank, seed : see :class:`EpochSampler`

    Attributes
    ----------
    kept : (n_kept,) indices of the examples that are shown

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: as :func:`entity_rebalancing`.
    """

    def __init__(self, labels: Any, threshold: float | None = None, *, seed: int = 0, **processes: Any) -> None:
        thresholds = None if threshold is None else [threshold]
        self.kept = entity_rebalancing(labels, thresholds=thresholds, random_state=whole("seed", seed, 0))
        if not self.kept.size:
            raise TailwiseError("no example is kept: there are too few for rebalancing by entities.")
        self._has = indicator(labels)
        super().__init__(class_counts=[self._has.shape[0]], seed=seed, **processes)

    def size(self) -> int:
        """Return the number of places in an epoch, over all processes."""
        return int(self.kept.size)

    def pick(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices at these places of a permutation of the kept examples."""
        return self.kept[permute(places, self.size(), self.seed, epoch)]

    def labels_per_example(self) -> NDArray[np.float64]:
        """Return how many labels of each class an example shown has on average, (n_classes,)."""
        return np.asarray(self._has[self.kept].mean(axis=0)).ravel()


def _tail_threshold(on: NDArray[np.int64]) -> float:
    sizes, entities = np.unique(on, return_counts=True)
    held = np.cumsum(sizes * entities) / on.sum()
    return float(sizes[max(int(np.searchsorted(held, _TAIL, side="right")) - 1, 0)])
