"""How much training a time budget allows: rows of a classifier, iterations of boosting, epochs of a network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.validation import has_fit_parameter

from tailwise.counts import capped_counts, class_counts
from tailwise.data.splits import place_in_class, rarest_label
from tailwise.engine.stage import Task
from tailwise.estimators._cache import Cache
from tailwise.estimators._fitted import threads_for
from tailwise.estimators._learners import NetworkLearner
from tailwise.recipes import PLAIN, Recipe
from tailwise.resample import CaseControlClassifier

_PILOTS = (125, 500, 2000)  # rows that fits are timed on
_TRIED = (0.02, 0.2)  # share of boosting's iterations that are timed
_WIDER = 4  # times as many rows, on which they are timed again
_LEAST_GROWTH = 0.02  # of time with rows, as a share of what it is in proportion to them
_PILOT_EPOCH = 128  # examples that an epoch is timed on at first
_PILOT_SHARE = 0.1  # of a time budget: what takes less is timed on four times as many
_MARGIN = 0.6  # share of a time budget that fits are planned to take


@dataclass(frozen=True)
class Plan:
    """What is to be fitted, on what, and how long it may take.

    Attributes
    ----------
    inputs, labels : of the training
    task : what a recipe may know of it
    held_out : rows of one fold
    sure : recipes that are trained in any case, on a fold and on everything
    n_fits : all fits, if no recipe takes longer than plain training
    budget : seconds, or None for no limit
    seed, cache : of the fit
    each : what the labels tell apart, in words
    """

    inputs: Any
    labels: NDArray[Any]
    task: Task
    held_out: NDArray[np.intp]
    sure: Sequence[Recipe]
    n_fits: int
    budget: float | None
    seed: int
    cache: Cache
    each: str = "of a class"

    @property
    def fewest_fits(self) -> float:
        """How many plain fits take as long as those that are made in any case."""
        return 2 * sum(training.relative_cost for training in self.sure)

    @property
    def all_fits(self) -> float:
        """How many plain fits take as long as all, but for recipes that take longer than the surest.

        These are begun if there turns out to be time.
        """
        return self.n_fits * self.sure[0].relative_cost


def in_time(estimator: BaseEstimator, plan: Plan) -> tuple[BaseEstimator, list[str]]:
    """Return the estimator, or the same limited to as many rows as let all fits finish in time.

    Fits on samples that keep the tail, with their predictions for a fold's held-out rows, are timed, and time is
    assumed to grow in proportion to the rows. If not even 2,000 rows leave time for the fewest fits, there are fewer
    rows. Boosting with many classes or columns takes long even on a few rows: some of its iterations are timed on 2,000
    of them, and it gets fewer iterations instead; if there is time, they are timed on more rows, to see how it grows.

    Returns
    -------
    the estimator, and a sentence for each thing left out
    """
    inputs, labels, budget = plan.inputs, plan.labels, plan.budget
    counts, bare, most = class_counts(labels if labels.ndim == 1 else rarest_label(labels)), estimator, len(labels)
    if isinstance(estimator, CaseControlClassifier):
        bare, most = estimator.estimator, min(most, estimator.limit(inputs, len(counts)))
    if budget is None or not has_fit_parameter(estimator, "sample_weight"):
        return estimator, _rows_left_out(most, counts, plan.each)
    iterations = bare.max_iter if isinstance(bare, HistGradientBoostingClassifier) else 1

    def microseconds(sample: int, tried: int) -> int:
        pilot = clone(bare).set_params(max_iter=tried) if iterations > 1 else bare
        start = time.monotonic()
        with threads_for(sample * inputs.shape[1]):
            fitted = CaseControlClassifier(pilot, max_rows=sample, random_state=plan.seed).fit(inputs, labels)
            fitted.predict(inputs[plan.held_out])
        return int(1e6 * (time.monotonic() - start))

    pilots = [(rows, 1) for rows in _PILOTS]
    if iterations > 1:
        pilots = [(_PILOTS[-1], max(1, int(iterations * tried))) for tried in _TRIED]
    timed: list[tuple[int, float]] = []
    tried, took = 0, 0.0
    for rows, wanted in pilots:
        if iterations > 1 and timed:  # no more iterations than there is time for
            wanted = min(wanted, int(tried * _PILOT_SHARE * budget / took))
            if wanted <= tried:
                break
        tried = wanted
        sample = int(capped_counts(counts, max(len(counts), min(rows, most))).sum())
        took = plan.cache.once(f"pilot-{sample}-{tried}", partial(microseconds, sample, tried)) / 1e6
        timed.append((sample, took))
        if took > _PILOT_SHARE * budget:
            break
    fewer, less = timed[0]
    allowed, one_fit = _MARGIN * budget, took * iterations / tried
    share = allowed / (plan.fewest_fits * one_fit)
    floor, left_out = _PILOTS[-1], []
    if iterations == 1:
        growth = np.log(took / less) / np.log(sample / fewer) if sample > fewer else 1.0
        floor = min(floor, int(sample * share ** (1 / np.clip(growth, 0.5, 1))))
    with_a_row, wider = one_fit / sample, int(capped_counts(counts, min(_WIDER * sample, most)).sum())
    if iterations > 1 and _WIDER * took <= _PILOT_SHARE * budget and wider > sample:
        longer = plan.cache.once(f"pilot-{wider}-{tried}", partial(microseconds, wider, tried)) / 1e6
        measured = (longer - took) * iterations / tried / (wider - sample)
        with_a_row *= float(np.clip(measured / with_a_row, _LEAST_GROWTH, 1))
    ran = plan.cache.once("iterations", lambda: int(np.clip(iterations * share, 1, iterations)))
    if ran < iterations:
        bare = clone(bare).set_params(max_iter=ran)
        left_out.append(f"Boosting ran {ran:,} of {iterations:,} iterations, to finish in time.")
    affordable = int(sample + (allowed / plan.all_fits - one_fit) / with_a_row)
    rows = plan.cache.once("rows", lambda: min(most, max(len(counts), floor, affordable)))
    left_out += _rows_left_out(rows, counts, plan.each)
    return bare if rows == len(labels) else CaseControlClassifier(bare, max_rows=rows, random_state=plan.seed), left_out


def _rows_left_out(rows: int, counts: NDArray[np.int64], each: str) -> list[str]:
    """Return a sentence on how many rows fits see, in a list, or an empty list if they see all."""
    if rows == counts.sum():
        return []
    most = capped_counts(counts, rows).max()
    seen = f"{rows:,} of {counts.sum():,} rows, at most {most:,} {each}"
    return [f"Fits saw at most {seen}, to bound time and memory."]


def epochs_in_time(learner: NetworkLearner, plan: Plan) -> tuple[NetworkLearner, list[str]]:
    """Return the learner, with no more epochs than let all fits finish in time.

    There are at least four, since recipes divide them among stages. One epoch of plain training on a sample is timed.

    Returns
    -------
    the learner, and a list with a sentence if epochs were left out
    """
    inputs, labels, budget = plan.inputs, plan.labels, plan.budget
    if budget is None:
        return learner, []

    def affordable() -> int:
        pilot, task = replace(learner, epochs=1, progress=False), replace(plan.task, epochs=1)
        rng = np.random.default_rng(plan.seed)
        # of classes, a few of every one, so that none is missing
        place = rng.permutation(len(labels)) if task.has_sets else place_in_class(labels, rng)
        order = np.argsort(place, kind="stable")

        def seconds(rows: NDArray[np.intp]) -> float:
            start = time.monotonic()
            pilot.fit(PLAIN, task, inputs[rows], labels[rows], plan.seed)
            return learner.agreed(time.monotonic() - start)

        n = _PILOT_EPOCH
        seconds(order[:n])  # with what is loaded once
        took = seconds(order[:n])
        while took < _PILOT_SHARE * budget / 4 and n < len(labels):
            n *= 4
            took = seconds(order[:n])
        per_epoch = took * max(1, len(labels) / n)
        return int(np.clip(_MARGIN * budget / (plan.all_fits * per_epoch), 4, learner.epochs))

    epochs = plan.cache.once("epochs", affordable)
    left_out = [f"Networks were trained for {epochs} of {learner.epochs} epochs, to finish in time."]
    return replace(learner, epochs=epochs), left_out if epochs < learner.epochs else []
