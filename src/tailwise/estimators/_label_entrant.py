"""A recipe in the comparison where each example has a set of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tailwise.data.splits import label_set_halves
from tailwise.estimators._compare import Entrant
from tailwise.estimators._label_chains import LabelChains
from tailwise.estimators._label_objective import LabelObjective


class LabelEntrant(Entrant):
    """One recipe in the race where each example has a set of labels."""

    _objective: LabelObjective
    predicted: NDArray[Any]
    proba: NDArray[Any]

    def _predict(self, scores: NDArray[np.float32], fold: NDArray[np.int64]) -> None:
        """Predict each fold, or each half of one, by chains that are fitted on the others, if the objective asks.

        If only rankings count, scores become shares of the fold that are scored less: each fold has a model of its own,
        and their scores, side by side, would rank by which model gave them.
        """
        if self._objective.of_each_ranking:
            ranks = np.empty(scores.shape)
            for one in np.unique(fold):
                inside = fold == one
                ranks[inside] = rankdata(scores[inside], axis=0) / np.count_nonzero(inside)
            self.predicted, self.proba = ranks, ranks
            return
        groups = fold if fold.any() else label_set_halves(self.labels)
        self.predicted, self.proba = np.empty(scores.shape, np.int8), np.empty(scores.shape)
        for group in np.unique(groups):
            inside = groups == group
            chains = LabelChains.fit(self.recipe, scores[~inside], self.labels[~inside], self._objective)
            self.predicted[inside], self.proba[inside] = (
                chains.predict(scores[inside]),
                chains.predict_proba(scores[inside]),
            )

    @property
    def merit(self) -> tuple[float, ...]:
        """Where rankings alone count, tuned thresholds change nothing, and decide better."""
        return self.so_far, not self.recipe.decides_plainly

    def _counted(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return how many examples have each label."""
        return np.count_nonzero(labels > 0, axis=0)

    def loses_to(self, other: Entrant) -> bool:
        """Say whether it scores less on the examples that both have seen, by more than chance explains.

        That is, whether the mean over labels of F1 or average precision is lower by more than two standard errors of
        the paired difference, estimated from how much each example moves it. Labels that no example has yet are
        uncertain.
        """
        assert isinstance(other, LabelEntrant)
        shared = slice(min(len(self.seen), len(other.seen)))
        if self.score(shared) >= other.score(shared):
            return False
        own, theirs = (
            self._objective.by_label(self.labels[shared], e.predicted[shared], e.proba[shared]) for e in (self, other)
        )
        variance = float(np.square(theirs.moved - own.moved).sum()) + self._unseen(self.labels[shared])
        return bool((theirs.values - own.values).sum() > 2 * np.sqrt(variance))
