"""The steps from a learner's scores to its answers, fitted on held-out scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from tailwise import posthoc
from tailwise.counts import class_counts
from tailwise.data.splits import keep_tail
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.estimators._learners import blaming
from tailwise.estimators._objective import Objective
from tailwise.recipes import Recipe

_SURE = 1e-3  # how seldom what is taken for shares of a learner's own may be chance
_CELLS = 1 << 22  # scores on which probabilities are calibrated


@dataclass(frozen=True)
class Chains:
    """Chains of post-hoc steps on the same scores.

    Attributes
    ----------
    decision : scores -> scores whose largest is the predicted class
    probability : scores -> scores whose softmax are probabilities under the training prior
    share : scores -> scores whose softmax makes every class on average as probable as it is frequent, on held-out
        examples; class shares of other data are estimated from these, as estimates from other scores would drift
    cost : if decisions are to be cheap rather than likely, the (n_classes, n_classes) cost of predicting column j when
        row i is true; the decision then follows from the probabilities
    """

    decision: tuple[posthoc.Step, ...]
    probability: tuple[posthoc.Step, ...]
    share: tuple[posthoc.Step, ...]
    cost: NDArray[np.float64] | None = None

    @property
    def shifts_decisions(self) -> bool:
        """Whether steps lead to the decision beyond those with which all chains begin."""
        return self.decision != self.share[: len(self.decision)]

    def predict(self, scores: NDArray[Any]) -> NDArray[np.int64]:
        """Return (n,) class codes."""
        if self.cost is not None:
            return (self.predict_proba(scores) @ self.cost).argmin(axis=1)
        return posthoc.apply(self.decision, scores).argmax(axis=1)

    def predict_proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return (n, n_classes) probabilities."""
        return posthoc.softmax(posthoc.apply(self.probability, scores))

    def under(self, shift: posthoc.Step) -> Chains:
        """Return the chains for another prior: probabilities moved by ``shift``, and the decisions they ask for."""
        moved = (*self.probability, shift)
        return replace(self, decision=moved, probability=moved)

    def to_dict(self) -> dict[str, Any]:
        """Return the chains as plain data."""
        return {
            "decision": [step.to_dict() for step in self.decision],
            "probability": [step.to_dict() for step in self.probability],
            "share": [step.to_dict() for step in self.share],
            "cost": None if self.cost is None else self.cost.tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Chains:
        """Return the chains that :meth:`to_dict` described.

        Raises
        ------
        TailwiseError
            If there are costs, and one is not finite.
        """
        decision, probability, share = (
            tuple(posthoc.Step.from_dict(step) for step in data[key]) for key in ("decision", "probability", "share")
        )
        cost = None if data["cost"] is None else np.asarray(data["cost"], dtype=np.float64)
        if cost is not None and not np.isfinite(cost).all():
            raise TailwiseError("the costs of decisions must be finite.")
        return cls(decision, probability, share, cost)


def fit_chains(
    recipe: Recipe, task: Task, scores: NDArray[Any], labels: NDArray[np.int64], objective: Objective
) -> Chains:
    """Fit a recipe's post-hoc steps, the prior correction and the calibration on held-out scores."""
    first = _log_probabilities(task, scores, labels, objective)
    scores = posthoc.apply(first, scores)
    few = _few(scores, labels, objective)
    share = posthoc.fit_class_wise(*few, strength=1.0, shift=_shift(recipe, task))
    decision = _decision(recipe, task, scores, labels, objective)
    probability = _probability(recipe, task, *few)
    return Chains((*first, *decision), (*first, *probability), (*first, share), objective.cost)


def _log_probabilities(
    task: Task, scores: NDArray[Any], labels: NDArray[np.int64], objective: Objective
) -> tuple[posthoc.Step, ...]:
    """Return the steps from margins, which have a unit of the learner's own, to log-probabilities; none from these."""
    if not task.margins:
        return ()
    unit = 1 / float(np.maximum(scores.std(), np.finfo(np.float32).tiny))
    scaled = posthoc.Step.of("unit deviation", np.zeros(scores.shape[1]), unit)
    return (scaled, posthoc.fit_temperature(scaled(scores), labels, objective.weights(labels)))


def _decision(
    recipe: Recipe, task: Task, scores: NDArray[Any], labels: NDArray[np.int64], objective: Objective
) -> tuple[posthoc.Step, ...]:
    """Return the recipe's steps to a decision; with costs, decisions follow from the probabilities instead."""
    if objective.cost is not None:
        return ()
    with blaming(recipe):
        steps = recipe.posthoc(task, scores, labels)
        if not isinstance(steps, tuple) or not all(map(callable, steps)):
            raise TailwiseError(f"posthoc() must return a tuple of tailwise.posthoc.Step; got {steps!r}.")
    return steps


def _few(
    scores: NDArray[Any], labels: NDArray[np.int64], objective: Objective
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
    """Return scores with the whole tail, few enough to fit all classes in seconds, their labels and their weights."""
    n_classes, weights = scores.shape[1], objective.weights(labels)
    few = keep_tail(labels, n_classes, _CELLS // n_classes, np.random.default_rng(0))
    counts, kept = class_counts(labels, n_classes), class_counts(labels[few], n_classes)
    stands_for = (counts / np.maximum(kept, 1))[labels[few]]
    return scores[few], labels[few], stands_for if weights is None else stands_for * weights[few]


def _shift(recipe: Recipe, task: Task) -> posthoc.Step | None:
    """Return the step from the prior that the scores assume to that of the training data, if a formula gives it."""
    learned = recipe.learned_prior(task)
    return None if learned is None else posthoc.prior_shift(learned, task.class_prior)


def _probability(
    recipe: Recipe, task: Task, scores: NDArray[Any], labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[posthoc.Step, ...]:
    """Return the step to probabilities: the prior correction and the calibration.

    Training that re-balanced the classes left its own prior in the scores; if a formula gives it, the probabilities are
    moved back to the prior of the training data. A learner follows such a formula only so far, so that the share of
    each class is calibrated besides. Where training did not re-balance, a temperature is all, which leaves the
    likeliest class as it is, unless votes or margins have shares of their own, beyond chance.
    """
    class_wise = posthoc.fit_class_wise(scores, labels, weights, shift=_shift(recipe, task))
    if recipe.rebalances(task):
        return (class_wise,)
    temperature = posthoc.fit_temperature(scores, labels, weights)
    rows = np.arange(len(labels))
    better, worse = (posthoc.log_softmax(step(scores))[rows, labels] for step in (class_wise, temperature))
    effective = weights.sum() ** 2 / (weights**2).sum()  # number of examples that unequal weights are worth (Kish)
    gain = effective * np.average(better - worse, weights=weights)
    return (class_wise if chi2.sf(2 * gain, scores.shape[1] - 1) < _SURE else temperature,)


def cross_fit(
    recipe: Recipe,
    task: Task,
    scores: NDArray[Any],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    objective: Objective,
) -> tuple[NDArray[np.int64], NDArray[Any] | None]:
    """Predict each group of examples with chains fitted on the other groups, so that tuning is not tested on itself.

    Returns
    -------
    (n,) predicted codes, and (n, n_classes) probabilities if the objective looks at them
    """
    predicted = np.empty(len(labels), dtype=np.int64)
    proba = np.empty(scores.shape) if objective.of_proba else None
    for group in np.unique(groups):
        inside = groups == group
        first = _log_probabilities(task, scores[~inside], labels[~inside], objective)
        others = posthoc.apply(first, scores[~inside]), labels[~inside]
        unused = proba is None and objective.cost is None
        probability = () if unused else _probability(recipe, task, *_few(*others, objective))
        chains = Chains(_decision(recipe, task, *others, objective), probability, (), objective.cost)
        here = posthoc.apply(first, scores[inside])
        predicted[inside] = chains.predict(here)
        if proba is not None:
            proba[inside] = chains.predict_proba(here)
    return predicted, proba


def halves(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split examples into two stratified groups, 0 and 1, for cross-fitting where there is one held-out set only."""
    group = np.empty(len(labels), dtype=np.int64)
    group[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % 2
    return group
