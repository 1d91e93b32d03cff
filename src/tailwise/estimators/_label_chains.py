"""The steps from a learner's scores to sets of labels, fitted on held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tailwise import posthoc
from tailwise.data.splits import label_set_halves
from tailwise.errors import TailwiseError, nearest
from tailwise.estimators._compare import Entrant
from tailwise.metrics import LABEL_OBJECTIVES
from tailwise.metrics.estimates import Estimate
from tailwise.metrics.influence import ByClass, average_precision, by_class, f1
from tailwise.recipes import Recipe

#: Scikit-learn's names for scores that are available here.
_TWINS = {
    "average_precision": "macro_average_precision",
    "f1_macro": "macro_f1",
    "f1_micro": "micro_f1",
}


@dataclass(frozen=True)
class LabelObjective:
    """The objective for sets of labels: one of :data:`tailwise.metrics.LABEL_OBJECTIVES`.

    Thresholds are tuned for micro F1 if that or the micro average precision is the objective, else for macro F1.
    """

    name: str

    @property
    def of_decisions(self) -> bool:
        """Whether it looks at the sets that were given, rather than at rankings."""
        return self.name.endswith("f1")

    @property
    def of_each_ranking(self) -> bool:
        """Whether it looks at each label's ranking alone, which calibration and thresholds keep as it is."""
        return self.name in ("macro_average_precision", "few_shot_average_precision")

    def score(self, *answers: Any) -> float:
        """Return the score; arguments as :meth:`estimate`."""
        return self.estimate(*answers).value

    def interval_work(self, n: int, n_classes: int) -> int:
        """Return 0: the interval comes with the score."""
        return 0

    def estimate(
        self,
        rows: NDArray[Any],
        predicted: NDArray[Any],
        proba: NDArray[Any],
        class_counts: NDArray[Any],
        rng: np.random.Generator | None = None,
    ) -> Estimate:
        """Return the score with its 95 % interval, of which nothing is drawn.

        Arguments are as for :func:`tailwise.metrics.evaluate_labels`.
        """
        return LABEL_OBJECTIVES[self.name](rows, predicted, proba, class_counts)

    def by_label(self, rows: NDArray[Any], predicted: NDArray[Any], proba: NDArray[Any]) -> ByClass:
        """Return the F1 or the average precision of each label."""
        if self.of_decisions:
            return by_class(f1, rows > 0, predicted > 0)
        return by_class(average_precision, rows > 0, proba)

    def tune(self, log_odds: NDArray[Any], rows: NDArray[Any]) -> posthoc.Step:
        """Return the thresholds that are best on held-out examples."""
        return posthoc.tune_f1(log_odds, rows, pooled=self.name.startswith("micro"))


def as_label_objective(name: Any) -> LabelObjective:
    """Return the objective of that name.

    Raises
    ------
    TailwiseError
        If there is none; the nearest is suggested.
    """
    known = ", ".join(LABEL_OBJECTIVES)
    if not isinstance(name, str):
        raise TailwiseError(f"an objective for sets of labels is one of {known}; got a {type(name).__name__}.")
    found = _TWINS.get(name, name)
    if found not in LABEL_OBJECTIVES:
        raise TailwiseError(
            f"there is no objective {name!r} for sets of labels.{nearest(name, LABEL_OBJECTIVES)} Use {known}."
        )
    return LabelObjective(found)


@dataclass(frozen=True)
class LabelChains:
    """Chains of post-hoc steps on the same scores.

    Attributes
    ----------
    decision : scores -> scores; a label is given if its score is above 0
    probability : scores -> log odds of calibrated probabilities
    """

    decision: tuple[posthoc.Step, ...]
    probability: tuple[posthoc.Step, ...]

    @classmethod
    def fit(cls, recipe: Recipe, scores: NDArray[Any], rows: NDArray[Any], objective: LabelObjective) -> LabelChains:
        """Fit the calibration and the thresholds on held-out scores.

        The calibration undoes, label by label, whatever re-balancing did to the odds.
        """
        probability = (posthoc.fit_label_wise(scores, rows),)
        if recipe.decides_plainly:
            return cls((), probability)
        return cls((*probability, objective.tune(posthoc.apply(probability, scores), rows)), probability)

    def predict(self, scores: NDArray[Any]) -> NDArray[np.int8]:
        """Return (n, n_labels) 1 where a label is given, else 0."""
        return (posthoc.apply(self.decision, scores) > 0).astype(np.int8)

    def predict_proba(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return (n, n_labels) probabilities."""
        return expit(posthoc.apply(self.probability, scores))

    def to_dict(self) -> dict[str, Any]:
        """Return the chains as plain data."""
        return {key: [step.to_dict() for step in getattr(self, key)] for key in ("decision", "probability")}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LabelChains:
        """Return the chains that :meth:`to_dict` described."""
        return cls(*(tuple(map(posthoc.Step.from_dict, data[key])) for key in ("decision", "probability")))


class LabelEntrant(Entrant):
    """One recipe in the race where each example has a set of labels."""

    _objective: LabelObjective
    predicted: NDArray[Any]
    proba: NDArray[Any]

    def _predict(self, scores: NDArray[np.float32], fold: NDArray[np.int64]) -> None:
        """Predict each fold, or each half of one, by chains that are fitted on the others, if the objective asks."""
        if self._objective.of_each_ranking:
            self.predicted, self.proba = scores, scores
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
