"""What the choice among recipes, and their thresholds, optimise where each example has a set of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise import posthoc
from tailwise.errors import TailwiseError, nearest
from tailwise.metrics import LABEL_OBJECTIVES
from tailwise.metrics.estimates import Estimate
from tailwise.metrics.influence import ByClass, average_precision, by_class, f1

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
