"""What an evaluation holds, of one class per example or of sets of labels: overall, by group, and by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tailwise.counts import shot_thresholds
from tailwise.errors import AbsentError, nearest
from tailwise.metrics.confusion import Margins
from tailwise.metrics.estimates import Estimate


class Named(NamedTuple):
    """How a measure is shown: its title, what it means, and whether it is a share."""

    title: str
    meaning: str
    is_share: bool = True


#: The overall measures, but for those of groups, in the order in which they are shown.
NAMED = {
    "accuracy": Named("Accuracy", "share of all test examples"),
    "balanced_accuracy": Named("Balanced accuracy", "mean recall of the classes"),
    "macro_average_precision": Named("Macro average precision", "mean over classes"),
    "micro_average_precision": Named("Micro average precision", "of all examples and classes in one ranking"),
    "macro_f1": Named("Macro F1", "mean over classes"),
    "micro_f1": Named("Micro F1", "of all examples and classes together"),
    "g_mean": Named("G-mean", "geometric mean of the recalls"),
    "harmonic_mean": Named("Harmonic mean", "of the recalls"),
    "worst_class": Named("Worst class", "lowest recall"),
    "auroc": Named("AUROC", "mean over classes", False),
    "auprc": Named("AUPRC", "mean over classes", False),
    "log_loss": Named("Log loss", "lower is better", False),
    "brier": Named("Brier score", "lower is better, 0 to 2", False),
    "ece": Named("Calibration error", "of the predicted class; lower is better", False),
    "classwise_ece": Named("Class-wise calibration error", "lower is better", False),
    "coverage": Named("Coverage, mean over classes", "prediction sets that hold the true class"),
    "set_size": Named("Set size, mean over classes", "classes in a prediction set", False),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """Measures with their intervals.

    Attributes
    ----------
    classes : (n_classes,) names
    class_counts : (n_classes,) counts of *training* examples, which define the groups
    groups : ``"many"``, ``"medium"``, ``"few"`` -> class codes; groups without classes are absent
    margins : of each class, the number of test examples that are of it and were given it, that are of it, and that
        were given it
    n_examples : number of labelled test examples
    overall : measure -> estimate
    by_group : group -> measure -> estimate; groups without test examples are absent
    """

    classes: tuple[str, ...]
    class_counts: NDArray[np.float64]
    groups: dict[str, NDArray[np.intp]]
    margins: Margins
    n_examples: int
    overall: dict[str, Estimate]
    by_group: dict[str, dict[str, Estimate]]

    #: The measure of a group that is an overall measure, too.
    _of_group: ClassVar[str]

    def __getitem__(self, measure: str) -> float:
        """Return the value of an overall measure.

        Raises
        ------
        AbsentError
            If there is no such measure, or its group of classes is absent. Also a KeyError.
        """
        if measure not in self.overall:
            raise AbsentError(f"there is no {measure} here: {self._why_absent(measure)}")
        return self.overall[measure].value

    def __contains__(self, measure: object) -> bool:
        """Return whether there is such an overall measure."""
        return measure in self.overall

    def _why_absent(self, measure: str) -> str:
        group, _, what = str(measure).partition("_shot_")
        many, few = (f"{threshold:,.10g}" for threshold in self.thresholds)
        without = {
            "many": f"no class has more than {many} training examples.",
            "medium": f"every class has more than {many} or fewer than {few} training examples.",
            "few": f"no class has fewer than {few} training examples.",
        }
        if what != self._of_group or group not in without:
            return f"the measures are {', '.join(self.overall)}.{nearest(measure, self.overall)}"
        return f"no example of the {group}-shot classes was measured." if group in self.groups else without[group]

    @property
    def thresholds(self) -> tuple[float, float]:
        """Training counts above the first are many-shot, below the second few-shot."""
        return shot_thresholds(self.class_counts)

    def per_class(self) -> list[dict[str, Any]]:
        """Return one row per class, in code order; undefined values are None."""
        group_of = {int(c): name for name, members in self.groups.items() for c in members}
        measures = self._measures_of_classes()
        return [
            {
                "class": name,
                "group": group_of[code],
                "train": int(self.class_counts[code]),
                "support": int(self.margins.support[code]),
                "predicted": int(self.margins.predicted[code]),
                **{m: None if np.isnan(values[code]) else float(values[code]) for m, values in measures.items()},
            }
            for code, name in enumerate(self.classes)
        ]

    def _measures_of_classes(self) -> dict[str, NDArray[np.float64]]:
        """Return (n_classes,) values by measure; NaN where one is undefined."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "n_examples": self.n_examples,
            "classes": list(self.classes),
            "class_counts": [int(c) for c in self.class_counts],
            "thresholds": dict(zip(("many", "few"), self.thresholds, strict=True)),
            "groups": {name: members.tolist() for name, members in self.groups.items()},
            "overall": {name: estimate._asdict() for name, estimate in self.overall.items()},
            "by_group": {
                group: {name: estimate._asdict() for name, estimate in measures.items()}
                for group, measures in self.by_group.items()
            },
            "per_class": self.per_class(),
        }
