"""The steps from a learner's scores to sets of labels, fitted on held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tailwise import posthoc
from tailwise.estimators._label_objective import LabelObjective
from tailwise.recipes import Recipe


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
