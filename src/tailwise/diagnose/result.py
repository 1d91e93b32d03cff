"""The result of a diagnosis."""

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

    A ``"problem"`` will spoil the model or its test, a ``"warning"`` may do so, and a ``"note"`` is for information.
    """

    severity: Severity
    sentence: str


@dataclass(frozen=True)
class Column:
    """One feature column.

    Attributes
    ----------
    name, dtype : as in the table
    missing : number of rows without a value that training can use (null, NaN, infinity, "NA", a rare word among
        numbers); exact, except for words that are not in the sample
    distinct : number of distinct values, not counting missing ones
    exact : whether ``distinct`` was counted; in tables with more than 20 million values it is estimated, with an error
        of up to a tenth
    top_share : share of the most frequent value among the sampled rows
    predicts : how well the column alone predicts held-out labels, 0 to 1 (see
        :func:`tailwise.diagnose.leaks.held_out_lambda`); None if it could not be measured
    identifier : whether the column looks like an identifier of the rows, and is not the only feature: whole numbers or
        short words with digits, without repetition in the sample
    names_class : whether its texts hold the name of the class as a word, as the path of an image may
    tells : the class that the column alone tells from all others on held-out rows, or the label of a set; None if there
        is none (see :func:`tailwise.diagnose.leaks.told_class`)
    """

    name: str
    dtype: str
    missing: int
    distinct: int
    exact: bool
    top_share: float
    predicts: float | None
    identifier: bool
    names_class: bool = False
    tells: str | None = None


@dataclass(frozen=True)
class Duplicates:
    """Rows that are equal in every feature except identifiers.

    Attributes
    ----------
    rows : number of rows that repeat an earlier one
    conflicting : number of rows with copies that have another label
    one_in : 1 if all rows were compared; m if one in m distinct contents was, which makes the numbers estimates
    """

    rows: int
    conflicting: int
    one_in: int = 1


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The state of a data set before training.

    Attributes
    ----------
    name, kind : name and kind of the data
    n_rows, n_unlabelled : number of rows, and of rows without a label
    classes : (n_classes,) names in code order
    class_counts : (n_classes,) int64
    duplicates : duplicate rows; None if there are no features to compare
    columns : the feature columns that were examined; empty for images and texts
    sampled : number of rows used for ``top_share`` and ``predicts``
    findings : findings, most severe first
    set_sizes : for sets of labels, number of rows with 0, 1, 2, ... labels; otherwise None
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
        """Mean number of labels of the rows whose labels are known; None if each row has one label."""
        sizes = self.set_sizes
        return None if sizes is None else float(sizes @ np.arange(len(sizes)) / sizes.sum())

    @property
    def imbalance_factor(self) -> float:
        """Largest class count divided by the smallest positive one."""
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
        """Counts above the first are many-shot, below the second few-shot; 100 and 20 if these suit the data."""
        return shot_thresholds(self.class_counts)

    @cached_property
    def groups(self) -> dict[str, NDArray[np.intp]]:
        """Codes of the many-, medium- and few-shot classes; groups without classes are absent."""
        return shot_groups(self.class_counts, *self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
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
