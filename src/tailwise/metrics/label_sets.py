"""Measures of multi-label classifiers, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import check_counts, shot_groups, shot_thresholds
from tailwise.errors import AbsentError, TailwiseError, nearest
from tailwise.metrics import confusion
from tailwise.metrics.estimates import Estimate
from tailwise.tensors import to_array

_BORROWED = 2  # pseudo-examples with the mean variance of all labels, added to each label
_NORMAL = 1.96  # standard errors on either side of a 95 % interval


@dataclass(frozen=True, eq=False)
class LabelEvaluation:
    """The quality of predicted label sets: overall, by group of labels, and by label.

    Attributes
    ----------
    classes : (n_labels,) names
    class_counts : (n_labels,) number of *training* examples with each label, which define the groups
    n_examples : number of test examples
    groups : ``"many"``, ``"medium"``, ``"few"`` -> label codes; groups without labels are absent
    margins : for each label, the number of test examples that have it and were given it, that have it, and that were
        given it
    overall : measure -> estimate
    by_group : group -> measure -> estimate; groups whose labels do not occur in the test set are absent
    average_precision : (n_labels, 3) average precision of each label with its interval; NaN for labels that do not
        occur in the test set
    """

    classes: tuple[str, ...]
    class_counts: NDArray[np.float64]
    n_examples: int
    groups: dict[str, NDArray[np.intp]]
    margins: confusion.Margins
    overall: dict[str, Estimate]
    by_group: dict[str, dict[str, Estimate]]
    average_precision: NDArray[np.float64]

    def __getitem__(self, measure: str) -> float:
        """Return the value of an overall measure.

        Raises
        ------
        AbsentError
            If there is no such measure, or its group of labels is absent. Also a KeyError.
        """
        if measure not in self.overall:
            raise AbsentError(
                f"there is no {measure} here: the measures are {', '.join(self.overall)}."
                f"{nearest(measure, self.overall)}"
            )
        return self.overall[measure].value

    def __contains__(self, measure: object) -> bool:
        """Return whether there is such an overall measure."""
        return measure in self.overall

    @property
    def thresholds(self) -> tuple[float, float]:
        """Training counts above the first are many-shot, below the second few-shot."""
        return shot_thresholds(self.class_counts)

    def per_class(self) -> list[dict[str, Any]]:
        """Return one row per label, in code order; undefined values are None."""
        group_of = {int(c): name for name, members in self.groups.items() for c in members}
        columns = {
            "average_precision": self.average_precision[:, 0],
            "average_precision_low": self.average_precision[:, 1],
            "average_precision_high": self.average_precision[:, 2],
            "f1": confusion.f1s(self.margins),
            "recall": confusion.recalls(self.margins),
            "precision": confusion.precisions(self.margins),
        }
        return [
            {
                "class": name,
                "group": group_of[code],
                "train": int(self.class_counts[code]),
                "support": int(self.margins.support[code]),
                "predicted": int(self.margins.predicted[code]),
                **{m: None if np.isnan(values[code]) else float(values[code]) for m, values in columns.items()},
            }
            for code, name in enumerate(self.classes)
        ]

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


def evaluate_labels(
    rows: ArrayLike,
    given: ArrayLike,
    proba: ArrayLike,
    *,
    class_counts: ArrayLike,
    class_names: Sequence[str] | None = None,
) -> LabelEvaluation:
    """Measure multi-label predictions.

    Parameters
    ----------
    rows : (n, n_labels) indicator, 1 if a test example has a label, else 0
    given : (n, n_labels) indicator, 1 if a label was predicted, else 0
    proba : (n, n_labels) probabilities, or other scores between 0 and 1
    class_counts : (n_labels,) number of *training* examples with each label, which define the many-, medium- and
        few-shot groups (:func:`tailwise.counts.shot_thresholds`)
    class_names : (n_labels,) names; by default the codes

    Notes
    -----
    *Macro* measures are means over the labels that occur in the test set; *micro* measures treat every pair of example
    and label as a decision of its own. Average precision, ``sum_k (R_k - R_{k-1}) P_k``, and F1 are scikit-learn's.
    ``log_loss`` is the mean over examples and labels of the binary log loss.

    *Intervals* are 95 % intervals of the bootstrap over examples, in the normal approximation: each measure is nearly
    linear in the weights of the examples, so its standard error is the root of the sum over examples of their squared
    influence, all labels of an example together (the infinitesimal jackknife; Efron, The Jackknife, the Bootstrap and
    Other Resampling Plans, SIAM 1982, chapter 6). A label with a few examples shows too little variation or none, so
    its variance is shrunk towards that of all labels, with the weight of two examples. On simulated long tails with one
    to hundreds of examples per label, the interval of macro average precision covered its expectation 93 to 96 % of the
    time with ten or more labels, and 85 % with eight.

    Raises
    ------
    TailwiseError
        If the shapes differ, a probability is not between 0 and 1, or no test example has a label.
    """
    counts = check_counts(class_counts)
    has, got, p = (np.asarray(to_array(values)) for values in (rows, given, proba))
    has, got = has > 0, got > 0
    shape = (len(has), counts.size)
    for what, array in (("rows", has), ("given labels", got), ("probabilities", p)):
        if array.shape != shape:
            raise TailwiseError(f"{what} must be of shape {shape}, one column per label; got {array.shape}.")
    if p.size and not ((p >= 0) & (p <= 1)).all():
        raise TailwiseError("probabilities must be between 0 and 1, and not NaN.")
    if not has.any():
        raise TailwiseError("no test example has a label: there is nothing to evaluate on.")
    groups = shot_groups(counts, *shot_thresholds(counts))
    answers = has, got, p
    ranked = {name: by_label("average_precision", *answers, codes) for name, codes in groups.items()}
    first, *others = ranked.values()
    ranking_of_all = first.with_others(others)
    overall = {
        "macro_average_precision": ranking_of_all.estimate(),
        **{
            name: LABEL_OBJECTIVES[name](*answers, counts)
            for name in ("micro_average_precision", "macro_f1", "micro_f1")
        },
        "log_loss": _log_loss(has, p),
    }
    by_group = {
        name: {
            "average_precision": found.estimate(),
            "f1": by_label("f1", *answers, groups[name]).estimate(),
        }
        for name, found in ranked.items()
        if found.codes.size
    }
    overall |= {f"{name}_shot_average_precision": found["average_precision"] for name, found in by_group.items()}
    names = tuple(str(c) for c in (range(counts.size) if class_names is None else class_names))
    margins = confusion.Margins((has & got).sum(axis=0), has.sum(axis=0), got.sum(axis=0))
    table = ranking_of_all.table(counts.size)
    return LabelEvaluation(names, counts, len(has), groups, margins, overall, by_group, table)


def macro_average_precision(rows: Any, given: Any, proba: Any, class_counts: Any) -> Estimate:
    """Return the mean average precision of the labels that occur; arguments as for :func:`evaluate_labels`."""
    return by_label("average_precision", rows, given, proba).estimate()


def micro_average_precision(rows: Any, given: Any, proba: Any, class_counts: Any) -> Estimate:
    """Return the average precision of all pairs of example and label in one ranking."""
    return _micro(ranking, rows, proba)


def few_shot_average_precision(rows: Any, given: Any, proba: Any, class_counts: Any) -> Estimate:
    """Return the mean average precision of the few-shot labels or, if none of them occurs, of the next group."""
    groups = shot_groups(class_counts, *shot_thresholds(class_counts))
    few = [codes for codes in groups.values() if (rows[:, codes] > 0).any()][-1]
    return by_label("average_precision", rows, given, proba, few).estimate()


def macro_f1(rows: Any, given: Any, proba: Any, class_counts: Any) -> Estimate:
    """Return the mean F1 of the labels that occur."""
    return by_label("f1", rows, given, proba).estimate()


def micro_f1(rows: Any, given: Any, proba: Any, class_counts: Any) -> Estimate:
    """Return the F1 of all pairs of example and label."""
    return _micro(f1, rows, given)


#: Objectives for choosing a multi-label model, by name; greater is better. Arguments as for :func:`evaluate_labels`.
LABEL_OBJECTIVES: dict[str, Callable[..., Estimate]] = {
    "macro_average_precision": macro_average_precision,
    "micro_average_precision": micro_average_precision,
    "few_shot_average_precision": few_shot_average_precision,
    "macro_f1": macro_f1,
    "micro_f1": micro_f1,
}


def ranking(has: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
    """Return the average precision of a ranking, and the (n,) influence of each example on it.

    Precision at a score is ``C / R``: the weight of the examples with the label over the weight of all examples, at
    that score or above. Average precision is its mean over the examples with the label. The derivative with respect to
    an example's weight has two parts: its own term in that mean, and its effect on ``C / R`` at its score and below.
    """
    from sklearn.metrics import average_precision_score

    order = np.argsort(scores)[::-1]
    label, ranked = has[order].astype(np.float64), scores[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # the first example with each score
    with_label = np.add.reduceat(label, first)
    above = np.r_[first[1:], len(label)]
    precision = np.cumsum(with_label) / above
    value, total = average_precision_score(has, scores), with_label.sum()
    lifted, lowered = (np.cumsum((with_label * part / above)[::-1])[::-1] for part in (1.0, precision))
    place = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(label)]))
    moved = np.empty(len(label))
    moved[order] = (label * (precision - value + lifted)[place] - lowered[place]) / total
    return float(value), moved


def f1(has: NDArray[np.bool_], got: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Return F1, ``2 hits / (has + got)``, and the (n,) influence of each example on it."""
    hits, either = 2.0 * (has & got), has.astype(np.float64) + got
    value = hits.sum() / either.sum() if either.any() else 0.0
    return float(value), (hits - value * either) / max(either.sum(), 1)


@dataclass(frozen=True)
class ByLabel:
    """A measure of each of some labels that occur.

    Attributes
    ----------
    codes, values : (m,) codes of the labels, and the measure of each
    moved : (n,) influence of each example, summed over the labels
    squares : (m,) squared influence, summed over the examples
    positive : (m,) number of examples with each label
    deviations : (m,) summed squared deviations, over these examples, of their influence times their number
    """

    codes: NDArray[np.intp]
    values: NDArray[np.float64]
    moved: NDArray[np.float64]
    squares: NDArray[np.float64]
    positive: NDArray[np.int64]
    deviations: NDArray[np.float64]

    def estimate(self) -> Estimate:
        """Return the mean over the labels."""
        if not self.codes.size:
            raise TailwiseError("no example has one of these labels: there is nothing to measure.")
        variance = np.square(self.moved).sum() + self._lacking().sum()
        return _interval(float(self.values.mean()), variance / self.codes.size**2)

    def table(self, n_labels: int) -> NDArray[np.float64]:
        """Return (n_labels, 3) values and their intervals; NaN for labels that are not measured."""
        table = np.full((n_labels, 3), np.nan)
        for code, value, variance in zip(self.codes, self.values, self.squares + self._lacking(), strict=True):
            table[code] = _interval(float(value), variance)
        return table

    def with_others(self, others: Sequence[ByLabel]) -> ByLabel:
        """Return the measure of these labels and those of others, on the same examples."""
        parts = [self, *others]
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("codes", "values", "squares", "positive", "deviations")
        }
        return ByLabel(moved=np.sum([part.moved for part in parts], axis=0), **joined)

    def _lacking(self) -> NDArray[np.float64]:
        """Return the (m,) variance to add for labels with too few examples to show it."""
        n = self.positive
        usual = self.deviations.sum() / max(int((n - 1).sum()), 1)
        leaning = (self.deviations + _BORROWED * usual) / (n - 1 + _BORROWED) / n
        return np.maximum(leaning - self.deviations / n**2, 0)


def by_label(
    measure: Literal["average_precision", "f1"], rows: Any, given: Any, proba: Any, codes: Any = None
) -> ByLabel:
    """Return the average precision or F1 of each label that occurs, among ``codes`` if they are given."""
    of, answers = (f1, given > 0) if measure == "f1" else (ranking, proba)
    has = rows > 0
    codes = np.flatnonzero(has.any(axis=0)) if codes is None else codes[has[:, codes].any(axis=0)]
    moved, found = np.zeros(len(has)), np.zeros((len(codes), 4))
    for row, code in zip(found, codes, strict=True):
        value, by_example = of(has[:, code], answers[:, code])
        moved += by_example
        own = by_example[has[:, code]] * np.count_nonzero(has[:, code])
        row[:] = value, np.square(by_example).sum(), own.size, np.square(own - own.mean()).sum()
    values, squares, positive, deviations = found.T
    return ByLabel(codes, values, moved, squares, positive.astype(np.int64), deviations)


def _micro(of: Callable[..., tuple[float, NDArray[np.float64]]], rows: Any, answers: Any) -> Estimate:
    value, moved = of((rows > 0).ravel(), answers.ravel())
    return _interval(value, np.square(moved.reshape(rows.shape).sum(axis=1)).sum())


def _log_loss(has: NDArray[np.bool_], proba: NDArray[Any]) -> Estimate:
    likely = np.where(has, proba, 1 - proba).astype(np.float64)
    losses = -np.log(np.maximum(likely, np.finfo(np.float64).eps)).mean(axis=1)
    return _interval(float(losses.mean()), losses.var() / len(losses), np.inf)


def _interval(value: float, variance: float, at_most: float = 1.0) -> Estimate:
    half = _NORMAL * float(np.sqrt(variance))
    return Estimate(value, max(value - half, 0.0), min(value + half, at_most))
