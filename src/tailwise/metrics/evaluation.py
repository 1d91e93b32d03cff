"""All measures of a classifier at once, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import check_counts, shot_groups, shot_thresholds
from tailwise.errors import TailwiseError
from tailwise.metrics import confusion, influence
from tailwise.metrics.accumulate import Accumulator
from tailwise.metrics.estimates import Estimate, Measuring
from tailwise.metrics.measured import Measured
from tailwise.random_state import RandomState, generator
from tailwise.settings import whole


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation(Measured):
    """The quality of a classifier: overall, by group of classes, and by class.

    Attributes
    ----------
    confusion : (n_classes, n_classes) counts of test examples, true × predicted
    recall : (n_classes, 3) recall of each class with its interval; NaN for classes without test examples
    reliability : group (and ``"all"``) -> (3, n_bins) number of predictions in each confidence bin, number of correct
        ones, and sum of their confidences; empty without probabilities
    """

    confusion: NDArray[np.int64]
    recall: NDArray[np.float64]
    reliability: dict[str, NDArray[np.float64]]

    _of_group = "accuracy"

    @property
    def worst(self) -> str:
        """The class with the lowest recall."""
        return self.classes[int(np.nanargmin(self.recall[:, 0]))]

    def _measures_of_classes(self) -> dict[str, NDArray[np.float64]]:
        recall, low, high = self.recall.T
        precision, f1 = confusion.precisions(self.margins), confusion.f1s(self.margins)
        return {"recall": recall, "recall_low": low, "recall_high": high, "precision": precision, "f1": f1}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON, the confusion matrix as its non-zero (true, predicted, count)."""
        true, predicted = np.nonzero(self.confusion)
        return {
            **super().to_dict(),
            "worst_class": self.worst,
            "reliability": {
                group: dict(zip(("count", "right", "confidence"), cells.tolist(), strict=True))
                for group, cells in self.reliability.items()
            },
            "confusion": np.column_stack([true, predicted, self.confusion[true, predicted]]).tolist(),
        }


def evaluate(
    labels: ArrayLike | Accumulator,
    predicted: ArrayLike | None = None,
    *,
    class_counts: ArrayLike,
    proba: ArrayLike | None = None,
    sets: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    n_bootstrap: int = 1000,
    random_state: RandomState = 0,
) -> Evaluation:
    """Measure predictions, from arrays or from an :class:`Accumulator`.

    Parameters
    ----------
    labels : (n,) true class codes; rows with a negative code have no label and are ignored. Or an accumulator, which
        replaces all the arrays
    predicted : (n,) predicted class codes
    class_counts : (n_classes,) counts of the *training* set, which define the many-, medium- and few-shot groups
        (:func:`tailwise.counts.shot_thresholds`)
    proba : (n, n_classes) probabilities, for AUROC, AUPRC, log loss, Brier score and calibration
    sets : (n, n_classes) boolean prediction sets, for their coverage and size
    class_names : (n_classes,) names; by default the codes
    n_bootstrap : number of resamples for the 95 % percentile intervals; 0 for no intervals. Very large tables of counts
        get fewer, but at least 100, to limit the time
    random_state : seed or generator of the resamples

    Notes
    -----
    *Intervals.* The bootstrap is stratified by true class, so that no rare class is lost, and it resamples counts: one
    multinomial draw per row of the confusion matrix has exactly the distribution of resampled examples. A class with a
    few examples often shows too little variation or none, so its variation is shrunk towards that of all classes.
    Calibration is resampled in its bins as it is, without shrinking; class-wise calibration class by class as if
    classes were independent, which makes intervals up to a quarter too narrow if there are few classes. Log loss, Brier
    score, coverage and set size use the normal approximation of their resampled means, AUROC and AUPRC that of the
    influence of each example (from an accumulator as if classes were independent), all with variances shrunk likewise.
    In a simulation with ten classes, six of them with one test example, the intervals of AUROC and AUPRC covered their
    means 96 % and 71 % of the time, with two test examples 95 % and 85 %, and with 200 to 2 examples 96 % and 94 %.
    Percentiles are shifted by how far the mean of the resamples is from what they would give without their noise,
    which lowers a minimum (worst class) and raises an absolute error (calibration). That of a single class's recall is
    Wilson's (JASA 1927).
    In simulations of twelve long tails, with 2 to 300 classes of 400 to one test examples, whose recalls fall or are
    alike, the intervals of accuracy, balanced and few-shot accuracy and macro F1 held the truth 84 to 100 % of the
    time (benchmarks/results/intervals.md). Those of the worst class and the geometric mean held it 82 to 100 % with up
    to ten classes. With more, of which many have one or two test examples, some are missed by chance and seem to be
    the worst: with fifty, the worst class's interval held the truth less than half of the time, and 0 to 17 % of the
    time where recalls are alike; with twenty classes whose recalls are 0.4 to 0.8, it held it 48, 24, 65 and 88 % of
    the time, and that of the geometric mean 52, 35, 100 and 94 %, with one, two, five and forty test examples each.
    An interval describes the measure on test sets of this size. Calibration errors and AUPRC are larger on small test
    sets than on large ones, and so are their intervals: in those simulations the interval of class-wise ECE covered its
    mean over such test sets 99 % of the time, which is not its limit for an infinite test set.

    *Groups.* Group accuracy is the mean recall of the group's classes (Liu et al., Large-Scale Long-Tailed Recognition
    in an Open World, CVPR 2019); coverage and set size are means over classes too. Group calibration error (``ece``)
    groups by *predicted* class: given the true class, even a perfectly calibrated classifier looks miscalibrated.

    *AUROC and AUPRC* are means over classes, one against the rest. Of up to ten million probabilities they are
    scikit-learn's. Of more they are computed from binned scores; ``auroc_error`` is then the largest possible
    error of AUROC, and its interval is wider by as much. *Class-wise ECE*: Kull et al., Beyond Temperature Scaling,
    NeurIPS 2019, equation 4. *Brier score*: summed over classes, from 0 to 2 (Brier, Monthly Weather Review 1950).

    Raises
    ------
    TailwiseError
        If arrays do not match (see :meth:`Accumulator.update`) or there is no labelled example.

    Examples
    --------
    >>> labels, predicted = [0] * 90 + [1] * 10, [0] * 95 + [1] * 5
    >>> found = evaluate(labels, predicted, class_counts=[900, 15], class_names=["common", "rare"])
    >>> found["balanced_accuracy"], found.by_group["few"]["accuracy"].value, found.worst
    (0.75, 0.5, 'rare')
    >>> low, high = found.overall["balanced_accuracy"][1:]  # of the 95 % interval
    >>> 0.5 < low < 0.75 < high < 1
    True
    >>> [(row["class"], row["recall"]) for row in found.per_class()]
    [('common', 1.0), ('rare', 0.5)]
    """
    counts = check_counts(class_counts)
    rng = generator(random_state)
    whole("n_bootstrap", n_bootstrap, 0)
    if isinstance(labels, Accumulator):
        if any(array is not None for array in (predicted, proba, sets)):
            raise TailwiseError("an accumulator holds everything: give no predictions, probabilities or sets as well.")
        seen = labels
    else:
        if predicted is None:
            raise TailwiseError("evaluate needs predictions as well as labels.")
        seen = Accumulator(counts.size)
        seen.update(labels, predicted, proba, sets)
    names = tuple(str(c) for c in (range(counts.size) if class_names is None else class_names))
    for what, length in (("an accumulator", seen.n_classes), ("class names", len(names))):
        if length != counts.size:
            raise TailwiseError(f"there are class counts of {counts.size} classes, but {what} of {length}.")
    if not seen.confusion.any():
        raise TailwiseError("there is no labelled example to evaluate on.")

    measure = Measuring(seen, shot_groups(counts, *shot_thresholds(counts)), n_bootstrap, rng)
    ranking: dict[str, Estimate] = {}
    if seen.probabilities is not None:
        if seen.ranked is None:
            ranking = _binned_ranking(*seen.probabilities.scores)
        else:
            ranking = _ranking(*map(np.concatenate, zip(*seen.ranked, strict=True)))
    if not n_bootstrap:
        ranking = {name: Estimate(found.value) for name, found in ranking.items()}
    overall = measure.decisions() | measure.probabilities() | ranking
    by_group = measure.by_group()
    for group, measures in by_group.items():
        overall[f"{group}_shot_accuracy"] = measures["accuracy"]
    overall |= measure.sets(np.arange(counts.size))
    return Evaluation(
        classes=names,
        class_counts=counts,
        groups=measure.groups,
        margins=measure.margins,
        n_examples=int(seen.confusion.sum()),
        overall=overall,
        by_group=by_group,
        confusion=seen.confusion.copy(),
        recall=measure.recall(),
        reliability=measure.reliability(),
    )


def _ranking(labels: NDArray[Any], proba: NDArray[Any]) -> dict[str, Estimate]:
    """Return macro AUROC and AUPRC over the classes that some examples are of, but not all."""
    has = labels[:, None] == np.arange(proba.shape[1])
    codes = np.flatnonzero(has.any(axis=0) & ~has.all(axis=0))
    measures = {"auroc": influence.roc_auc, "auprc": influence.average_precision} if codes.size else {}
    return {name: influence.by_class(of, has, proba, codes).estimate() for name, of in measures.items()}


def _binned_ranking(negative: NDArray[Any], positive: NDArray[Any]) -> dict[str, Estimate]:
    """Return the same from (n_classes, n_bins) counts, with the largest possible error of AUROC in its interval."""
    codes = np.flatnonzero(positive.any(axis=1) & negative.any(axis=1))
    if not codes.size:
        return {}
    ours, others = positive[codes], negative[codes]
    pairs = positive.sum(axis=1)[codes] * negative.sum(axis=1, dtype=np.float64)[codes]
    tied = (ours * others.astype(np.float64)).sum(axis=1)  # pairs in one bin, each of which counts one half
    error = float((tied / 2 / pairs).mean())
    return {
        "auroc": influence.by_class_at(influence.roc_auc_at, ours, others).estimate(error),
        "auroc_error": Estimate(error),
        "auprc": influence.by_class_at(influence.average_precision_at, ours, others).estimate(),
    }


def relative_accuracy(accuracy: float, vanilla_balanced: float, method_balanced: float) -> tuple[float, float]:
    """Return the relative accuracy and the reference accuracy it is relative to.

    ``A_r = A_t / A_u`` with ``A_u = max(A_v, A_b)``: the share of the accuracy on a balanced training set of the same
    size that is kept on the long-tailed one. Report both numbers, because a weak reference flatters the method.

    Source: Zhang et al., Deep Long-Tailed Learning: A Survey, TPAMI 2023, section 4.1.
    Verified: against the definition in the paper's text and rows of its table 4.

    Parameters
    ----------
    accuracy : A_t, accuracy of the method trained on the long-tailed set
    vanilla_balanced : A_v, accuracy of plain cross-entropy trained on the balanced set
    method_balanced : A_b, accuracy of the method trained on the balanced set

    Raises
    ------
    TailwiseError
        If a number is not between 0 and 1, or both references are zero.

    Examples
    --------
    >>> relative_accuracy(0.3, vanilla_balanced=0.6, method_balanced=0.5)
    (0.5, 0.6)
    """
    for value in (accuracy, vanilla_balanced, method_balanced):
        if not 0 <= value <= 1:
            raise TailwiseError(f"an accuracy lies between 0 and 1; got {value}.")
    reference = max(vanilla_balanced, method_balanced)
    if reference == 0:
        raise TailwiseError("relative accuracy needs a reference accuracy above zero.")
    return accuracy / reference, reference
