"""What a diagnosis holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tailwise.counts import effective_classes, gini, imbalance_factor, shot_groups, shot_thresholds

Severity = Literal["problem", "warning", "note"]


class Finding(NamedTuple):
    """One sentence with the number and the next step.

    A ``"problem"`` will spoil the model or its test, a ``"warning"`` may, a ``"note"`` is good to know.
    """

    severity: Severity
    sentence: str


@dataclass(frozen=True)
class Column:
    """One feature column.

    Attributes
    ----------
    name, dtype : as in the table
    missing : rows without a value that training could use (null, NaN, "NA", a rare word among numbers), exact but for
        words that the sample lacks
    distinct : number of distinct values, not counting missing ones
    exact : whether ``distinct`` was counted; for more than 20 million values it is estimated, and may be a tenth off
    top_share : share of the most frequent value among the sampled rows that have one
    predicts : how far the column alone explains held-out labels, 0 to 1 (see
        :func:`tailwise.diagnose.leaks.held_out_lambda`); None if it could not be measured
    identifier : whether it looks like a name for the row: whole numbers or words, no value twice in the sample
    """

    name: str
    dtype: str
    missing: int
    distinct: int
    exact: bool
    top_share: float
    predicts: float | None
    identifier: bool


@dataclass(frozen=True)
class Duplicates:
    """Rows that are equal in every feature, identifiers apart.

    Attributes
    ----------
    rows : rows that repeat an earlier one
    conflicting : rows whose copies have another label
    one_in : 1 if every row was compared; m if one in m contents was, so that the numbers are estimates
    """

    rows: int
    conflicting: int
    one_in: int = 1


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What a data set looks like before training.

    Attributes
    ----------
    name, kind : of the data
    n_rows, n_unlabelled : rows, and those of them without a label
    classes : (n_classes,) names in code order
    class_counts : (n_classes,) int64
    duplicates : None if rows have no features to compare
    columns : feature columns that were examined; empty for images and texts
    sampled : number of rows that ``top_share`` and ``predicts`` are based on
    findings : most severe first
    set_sizes : where each row has a set of labels, the rows that have 0, 1, 2, ... of them; else None
    """

    name: str
    kind: str
    n_rows: int
    n_unlabelled: int
    classes: tuple[str, ...]
    class_counts: NDArray[np.int64]
    duplicates: Duplicates | None
    columns: tuple[Column, ...]
    sampled: int
    findings: tuple[Finding, ...] = ()
    set_sizes: NDArray[np.int64] | None = None

    @property
    def labels_per_row(self) -> float | None:
        """Mean number of labels of the rows whose set is known; None if each row has one label."""
        sizes = self.set_sizes
        return None if sizes is None else float(sizes @ np.arange(len(sizes)) / sizes.sum())

    @property
    def imbalance_factor(self) -> float:
        """Largest over smallest class count that is not zero."""
        return imbalance_factor(self.class_counts)

    @property
    def gini(self) -> float:
        """Gini coefficient of the class counts."""
        return gini(self.class_counts)

    @property
    def effective_classes(self) -> float:
        """Effective number of classes: the exponential of the entropy of the class prior."""
        return effective_classes(self.class_counts)

    @cached_property
    def thresholds(self) -> tuple[float, float]:
        """More examples than the first is many-shot, fewer than the second few-shot; 100 and 20 if these suit."""
        return shot_thresholds(self.class_counts)

    @cached_property
    def groups(self) -> dict[str, NDArray[np.intp]]:
        """Codes of the many-, medium- and few-shot classes; a group without classes is absent."""
        return shot_groups(self.class_counts, *self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "n_rows": self.n_rows,
            "n_unlabelled": self.n_unlabelled,
            "class_counts": dict(zip(self.classes, self.class_counts.tolist(), strict=True)),
            "imbalance_factor": self.imbalance_factor,
            "gini": self.gini,
            "effective_classes": self.effective_classes,
            "thresholds": dict(zip(("many", "few"), self.thresholds, strict=True)),
            "groups": {group: [self.classes[c] for c in codes] for group, codes in self.groups.items()},
            "duplicates": None if self.duplicates is None else asdict(self.duplicates),
            "columns": [asdict(column) for column in self.columns],
            "sampled": self.sampled,
            **({} if self.set_sizes is None else {"set_sizes": self.set_sizes.tolist()}),
            "findings": [finding._asdict() for finding in self.findings],
        }
