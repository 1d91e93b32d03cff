"""Per-class thresholds, as biases on the scores, tuned on held-out examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.counts import log_prior
from tailwise.data.splits import place_in_class
from tailwise.errors import TailwiseError
from tailwise.metrics.confusion import counted
from tailwise.metrics.objectives import Score
from tailwise.metrics.objectives import objective as find_objective
from tailwise.metrics.resampling import resampled_rows
from tailwise.posthoc._steps import Step, held_out

_TAUS = np.linspace(0, 2, 41)
_CUTS = 32  # candidate thresholds of a class: quantiles of the margins by which it loses or wins
_PASSES = 3
_RESAMPLES = 100
_MOST_CLASSES = 100  # with more classes, tuning them one by one would take longer than training


def tune_bias(scores: ArrayLike, labels: ArrayLike, objective: str | Score, class_counts: ArrayLike) -> Step:
    """Return the step whose biases maximise an objective of the decisions on held-out examples.

    The search starts from ``-tau * log(prior)`` with the best tau, then moves the threshold of one class after another
    as long as that helps. Individual thresholds over-fit classes with few held-out examples. They are kept only if,
    tuned on one half of the examples, they help on the other half by more than chance.

    Parameters
    ----------
    scores : (n, n_classes) of examples that were not trained on
    labels : (n,) class codes
    objective : a name, or ``objective(confusion, class_counts)``, greater is better; see
        :func:`tailwise.metrics.objective`
    class_counts : (n_classes,) of the training set

    Source: threshold moving, Collell, Prelec and Patil, Neurocomputing 2018; the one-dimensional family is post-hoc
    logit adjustment (Menon et al., ICLR 2021, equation 9).

    Raises
    ------
    TailwiseError
        If scores, labels and class counts do not have matching shapes, or have invalid values, or there is no objective
        of that name.

    Examples
    --------
    >>> import numpy as np
    >>> scores, labels = np.log([[0.9, 0.1]] * 8 + [[0.6, 0.4]] * 2), [0] * 8 + [1] * 2
    >>> step = tune_bias(scores, labels, "balanced_accuracy", class_counts=[80, 20])
    >>> scores.argmax(axis=1).tolist(), step(scores).argmax(axis=1).tolist()
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    """
    (z, y, _), counts = held_out(scores, labels), np.asarray(class_counts)
    if counts.shape != z.shape[1:]:
        raise TailwiseError(f"scores of {z.shape[1]} classes need as many class counts; got shape {counts.shape}.")
    tuner = _Tuner(objective if callable(objective) else find_objective(objective), counts)
    bias = tuner.analytic(z, y)
    if 1 < counts.size <= _MOST_CLASSES and tuner.own_thresholds_help(z, y):
        bias = tuner.ascend(z, y, bias)
    return Step.of("tuned thresholds", bias)


class _Tuner:
    """Searches for the biases with the best decisions."""

    def __init__(self, objective: Score, counts: NDArray[Any]) -> None:
        self._objective, self._counts, self._k = objective, counts, counts.size
        self._log_prior = log_prior(counts)

    def score(self, z: NDArray[Any], y: NDArray[Any], bias: NDArray[Any]) -> float:
        """Return the objective of the decisions under a bias."""
        return self._objective(self._confusion(y, (z + bias).argmax(axis=1)), self._counts)

    def analytic(self, z: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        """Return ``-tau * log(prior)`` with the best tau; in a tie, the one closest to 1."""
        taus = sorted(_TAUS, key=lambda tau: abs(tau - 1))
        return -max(taus, key=lambda tau: self.score(z, y, -tau * self._log_prior)) * self._log_prior

    def own_thresholds_help(self, z: NDArray[Any], y: NDArray[Any]) -> bool:
        """Return whether individual thresholds help on the half of the examples on which they were not tuned.

        They must help in 95 % of resamples of the examples, stratified by class.
        """
        half = place_in_class(y) % 2 == 0
        plain, moved = np.empty(len(y), dtype=np.int64), np.empty(len(y), dtype=np.int64)
        for tune, check in ((half, ~half), (~half, half)):
            if not tune.any():
                return False
            bias = self.analytic(z[tune], y[tune])
            plain[check] = (z[check] + bias).argmax(axis=1)
            moved[check] = (z[check] + self.ascend(z[tune], y[tune], bias)).argmax(axis=1)
        if np.array_equal(moved, plain):
            return False
        gains = []
        for rows in resampled_rows(y, _RESAMPLES, np.random.default_rng(0)):
            better, worse = (self._confusion(y[rows], predicted[rows]) for predicted in (moved, plain))
            gains.append(self._objective(better, self._counts) - self._objective(worse, self._counts))
        return float(np.quantile(gains, 0.05)) > 0

    def ascend(self, z: NDArray[Any], y: NDArray[Any], bias: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the bias after moving each class's threshold to its best place in turn, rarest class first."""
        bias = bias.copy()
        biased = z + bias
        for _ in range(_PASSES):
            before = bias.copy()
            for c in np.argsort(self._counts, kind="stable"):
                bias[c] += self._best_move(biased, y, c)
                biased[:, c] = z[:, c] + bias[c]
            if np.array_equal(bias, before):
                break
        return bias

    def _best_move(self, z: NDArray[Any], y: NDArray[Any], c: int) -> float:
        """Return the best amount to raise the score of class ``c`` by; 0 unless the objective improves."""
        rival = z.argmax(axis=1)
        won = rival == c
        others = z[won]
        others[:, c] = -np.inf
        rival[won] = others.argmax(axis=1)
        needed = z[np.arange(len(z)), rival] - z[:, c]  # raised by more, class c wins the example
        cuts = np.unique(np.quantile(needed, np.linspace(0, 1, _CUTS)))
        moves = np.sort(np.concatenate([(cuts[1:] + cuts[:-1]) / 2, [0.0]]))
        order = np.argsort(needed)
        ends = np.searchsorted(needed[order], moves)
        confusion, scores = self._confusion(y, rival), []
        for start, end in zip([0, *ends], ends, strict=False):
            rows = order[start:end]  # those that a move wins beyond the move before
            np.subtract.at(confusion, (y[rows], rival[rows]), 1)
            confusion[:, c] += np.bincount(y[rows], minlength=self._k)
            scores.append(self._objective(confusion, self._counts))
        return float(moves[max(range(len(moves)), key=lambda m: (scores[m], -abs(moves[m])))])

    def _confusion(self, y: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.int64]:
        return counted(y, predicted, self._k, self._k)
