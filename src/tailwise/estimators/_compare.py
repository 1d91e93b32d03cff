"""Fit recipes on the same folds, drop those that lose, and say how well each did on unseen examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tailwise.counts import class_counts
from tailwise.data.splits import keep_tail
from tailwise.engine.stage import Task
from tailwise.errors import TailwiseError
from tailwise.estimators._chains import cross_fit, halves
from tailwise.estimators._clock import Clock
from tailwise.metrics.estimates import NORMAL
from tailwise.recipes import Recipe

_SLACK = 1.1  # for fits that take longer than those before them

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
Outcome = Literal["selected", "compared", "passed over", "dropped", "out of time"]
FitFold = Callable[[Recipe, int], tuple[NDArray[np.float32], float] | None]


@dataclass
class Row:
    """One recipe in a comparison.

    Attributes
    ----------
    recipe, settings : name and hyper-parameters
    score, low, high : the objective on held-out examples with its 95 % bootstrap interval; None if never fitted, the
        interval also if there was no time for it
    folds : the objective on each fold; None where a scorer could not score it, for want of a class
    seconds : spent fitting; 0 where the learner is another recipe's
    outcome : ``"selected"``, ``"compared"``, ``"passed over"`` (better than the selected one by less than a standard
        error; see :func:`compare`), ``"dropped"`` or ``"out of time"``
    reason : in words, for the last three
    """

    recipe: str
    settings: dict[str, Any]
    score: float | None = None
    low: float | None = None
    high: float | None = None
    folds: list[float | None] = dataclass_field(default_factory=list)
    seconds: float = 0.0
    outcome: Outcome = "compared"
    reason: str = ""

    @property
    def standard_error(self) -> float:
        """Half the interval's width in units of the normal distribution's 95 %, or 0 where there is none."""
        return 0.0 if self.low is None or self.high is None else (self.high - self.low) / (2 * NORMAL)

    def ends(self, outcome: Outcome, reason: str = "") -> None:
        """Note how the comparison ended for the recipe, and why."""
        self.outcome, self.reason = outcome, reason

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """The rows of all recipes, the winner, and the scores for the examples held out of the training.

    Attributes
    ----------
    rows : in the order of the recipes, the reference first
    winner : the recipe that is chosen; see :func:`compare`
    held_out : of the winner and the reference, recipe -> (m,) indices of examples, fold after fold, and (m, n_classes)
        scores for them
    """

    rows: list[Row]
    winner: Recipe
    held_out: dict[Recipe, tuple[NDArray[np.intp], NDArray[np.float32]]]


class Entrant:
    """One recipe in the race: what it predicted of the held-out examples so far.

    Attributes
    ----------
    recipe, row : itself, and its row in the comparison
    seen : (m,) indices of the examples held out so far, fold after fold
    so_far : the objective on them; minus infinity as long as they lack a class that a scorer needs
    unscored : the error of that scorer
    asked, judged : seconds that it took to score them, and to take in the last fold
    """

    def __init__(self, recipe: Recipe, task: Task, labels: NDArray[Any], objective: Any) -> None:
        self.recipe = recipe
        self.row = Row(recipe.name, asdict(recipe))  # type: ignore[call-overload]
        self._task, self._all_labels, self._objective = task, labels, objective
        self._parts: list[NDArray[np.intp]] = []

    def add_fold(self, held_out: NDArray[np.intp], scores: NDArray[np.float32]) -> None:
        """Take in another fold, and predict everything held out so far again, from the scores for all of it."""
        start = time.monotonic()
        self._parts.append(held_out)
        self.seen = np.concatenate(self._parts)
        self.labels = self._all_labels[self.seen]
        fold = np.repeat(np.arange(len(self._parts)), [len(part) for part in self._parts])
        self._predict(scores, fold)
        self.row.folds = [self._known_score(np.flatnonzero(fold == f)) for f in range(len(self._parts))]
        before = time.monotonic()
        so_far = self._known_score()
        self.so_far = -np.inf if so_far is None else so_far
        now = time.monotonic()
        self.asked, self.judged = now - before, now - start

    @property
    def merit(self) -> tuple[float, ...]:
        """What the choice goes by: the objective, and what decides a tie."""
        return (self.so_far,)

    @property
    def interval_seconds(self) -> float:
        """How long the interval of what was seen so far may take: the objective is asked many times."""
        return self._objective.interval_work(len(self.seen), len(self._task.class_counts)) * self.asked

    def _predict(self, scores: NDArray[np.float32], fold: NDArray[np.int64]) -> None:
        """Predict each fold, or each half of one, by what is fitted on the others."""
        groups = fold if fold.any() else halves(self.labels)
        self.predicted, self.proba = cross_fit(self.recipe, self._task, scores, self.labels, groups, self._objective)
        self.hits = self.predicted == self.labels

    def score(self, rows: NDArray[np.intp] | slice = slice(None)) -> float:
        """Return the objective on some of the examples seen."""
        proba = None if self.proba is None else self.proba[rows]
        return self._objective.score(self.labels[rows], self.predicted[rows], proba, self._task.class_counts)

    def _known_score(self, rows: NDArray[np.intp] | slice = slice(None)) -> float | None:
        """Return the score of some of the examples seen; None if they lack a class, and the scorer needs it."""
        try:
            return self.score(rows)
        except TailwiseError as error:
            if not self._unseen(self.labels[rows]):
                raise
            self.unscored = error
            return None

    def _unseen(self, labels: NDArray[Any]) -> int:
        """Return how many classes that may be held out these examples lack."""
        return int(np.count_nonzero((self._task.class_counts > 1) & (self._counted(labels) == 0)))

    def _counted(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class counts of examples."""
        return class_counts(labels, len(self._task.class_counts))

    def loses_to(self, other: Entrant) -> bool:
        """Say whether it scores less on the examples that both have seen, by more than chance explains."""
        n = min(len(self.seen), len(other.seen))
        own, theirs = (entrant._known_score(slice(n)) for entrant in (self, other))
        if own is None or theirs is None or own >= theirs:
            return False
        return _beaten(self.hits[:n], other.hits[:n], self.labels[:n], self._unseen(self.labels[:n]))

    def summarise(self, rng: np.random.Generator | None) -> None:
        """Write the score into the row, if there is one, and, unless there is no time to draw any, its interval."""
        if self.so_far == -np.inf:
            return
        self.row.score = self.so_far
        if rng is not None:
            self.row.score, self.row.low, self.row.high = self._objective.estimate(
                self.labels, self.predicted, self.proba, self._task.class_counts, rng
            )


def compare(
    recipes: Sequence[Recipe],
    fit_fold: FitFold,
    task: Task,
    labels: NDArray[Any],
    folds: Sequence[Fold],
    objective: Any,
    *,
    enter: Callable[..., Entrant] = Entrant,
    plain: Recipe,
    reference: Recipe | None = None,
    seed: int = 0,
    clock: Clock,
    whole: float = 1.0,
) -> Comparison:
    """Fit every recipe on the same folds and choose by the held-out objective.

    After each fold, recipes that lose by more than chance explains are dropped, but never the baseline: the reference,
    or else plain training. Recipes with the same ``training`` share one learner. A fit starts only if there is time for
    it and, afterwards, for judging it, for intervals and for training on everything; a recipe that had no time for as
    many folds as others is chosen only if it beats them on its own folds by more than chance explains. What takes next
    to no time is judged in any case.

    The best is chosen, unless a recipe with plain training is within one standard error of it: then the best
    of those. Whether another training ends up better on the few examples of the tail is partly luck, of which a
    correction after the same training is free. This is the one-standard-error rule of Breiman et al., Classification
    and Regression Trees, 1984, with plain training for the simplest; benchmarks/results/selection.md has what it gains.

    Parameters
    ----------
    recipes : to choose from
    fit_fold : trains a recipe on a fold's training part and returns its scores for the fold's held-out part, and the
        seconds it took; or None if it failed and is to be left out
    task, labels, objective : of the whole, as ``enter`` takes them
    enter : makes an entrant of a recipe, the task, the labels and the objective
    plain : the recipe of plain training
    reference : a recipe to compare with; it is chosen only if it is among the recipes
    seed : of the intervals' bootstrap
    clock : the time budget
    whole : how many times as long as on a fold the training on everything takes

    Raises
    ------
    TailwiseError
        If there was no time to fit any recipe, or a scorer cannot score what was held out.
    """
    field = [recipe for recipe in recipes if recipe != reference]
    if reference is not None:
        field.insert(0, reference)
    entrants = [enter(recipe, task, labels, objective) for recipe in field]
    sure = entrants[: 1 + (field[0] not in recipes)]  # to be fitted once, however short the time
    scores: dict[Recipe, list[NDArray[np.float32]]] = {}  # of the folds so far

    def intervals(entrant: Entrant) -> float:
        """Return the seconds to keep for intervals in the end if the entrant sees another fold."""
        seen = [e for e in entrants if e.row.folds]
        each = [e.interval_seconds * len(folds) / len(e.row.folds) for e in seen]
        return min(sum(each) + (0.0 if entrant in seen else max(each, default=0.0)), clock.for_intervals)

    def after(entrant: Entrant) -> float:
        """Return the seconds that training it on everything may take, and the reference too."""
        fits = {entrant.recipe.training} if reference is None else {entrant.recipe.training, reference.training}
        return sum(map(clock.expected, fits)) * whole

    def contenders() -> list[Entrant]:
        """Return those that may be chosen."""
        return [e for e in entrants if e.recipe in recipes and e.row.folds and e.row.outcome != "dropped"]

    def rule_out_late() -> None:
        """Drop those that have no time left to be trained on everything, unless none has it."""
        late = [e for e in contenders() if not clock.has_room(after(e))]
        for entrant in late if len(late) < len(contenders()) else ():
            entrant.row.ends("dropped", "no time left to train on everything")

    for number, (_, held_out) in enumerate(folds):
        for entrant in filter(_running, entrants):
            training = entrant.recipe.training
            known = scores.setdefault(training, [])
            fits = len(known) == number
            rule_out_late()
            leader = max(contenders(), key=lambda e: e.so_far, default=entrant)
            now = fits * clock.expected(training) + max((e.judged for e in entrants if e.row.folds), default=0.0)
            needed = now + intervals(entrant) + max(after(entrant), after(leader))
            if (number or entrant not in sure) and not clock.has_room(_SLACK * needed, now):
                entrant.row.ends(
                    "out of time", f"no time left after fold {number}" if number else "no time left to start"
                )
                continue
            if fits:
                fitted = fit_fold(training, number)
                if fitted is None:
                    entrant.row.ends("dropped", "it failed")
                    continue
                answer, seconds = fitted
                known.append(answer)
                clock.took(training, seconds)
                entrant.row.seconds += seconds
            entrant.add_fold(held_out, np.concatenate(known))
        if number + 1 < len(folds):
            rule_out_late()
            _drop_losers(list(filter(_running, contenders())), spared=plain if reference is None else reference)
    rule_out_late()
    last = max(map(after, contenders()), default=0.0)
    for entrant in sorted((e for e in entrants if e.row.folds), key=lambda e: -e.so_far):
        in_time = clock.has_room(entrant.interval_seconds + last)
        entrant.summarise(np.random.default_rng(seed) if in_time else None)
    rule_out_late()
    finalists = contenders()
    if not finalists:
        raise TailwiseError("there was no time to fit any recipe on a fold: give more time, or fewer rows.")
    surest = _surest(finalists, plain)
    if surest.so_far == -np.inf:
        raise surest.unscored
    late = [e for e in finalists if len(e.row.folds) < len(surest.row.folds) and surest.loses_to(e)]
    winner = max(late, key=lambda e: e.so_far, default=surest)
    for entrant in finalists if winner is surest else ():
        if entrant.so_far > winner.so_far and len(entrant.row.folds) == len(winner.row.folds):
            entrant.row.ends("passed over", "better by less than a standard error")
    winner.row.ends("selected")
    answers = {
        e.recipe: (e.seen, np.concatenate(scores[e.recipe.training][: len(e.row.folds)]))
        for e in entrants
        if e.row.folds and e.recipe in (winner.recipe, reference)
    }
    return Comparison([e.row for e in entrants], winner.recipe, answers)


def held_out_sample(
    folds: Sequence[Fold], labels: NDArray[np.int64], n_classes: int, most: int, seed: int
) -> tuple[list[Fold], NDArray[np.float64]]:
    """Leave held-out examples of the larger classes out of the folds, so that about ``most`` remain, the tail whole.

    Returns
    -------
    the folds, and (n_classes,) how many held-out examples of a class one that remains stands for
    """
    rng = np.random.default_rng(seed)
    sampled = [(train, rows[keep_tail(labels[rows], n_classes, most // len(folds), rng)]) for train, rows in folds]
    held_out, kept = (
        class_counts(labels[np.concatenate([rows for _, rows in of])], n_classes) for of in (folds, sampled)
    )
    return sampled, held_out / np.maximum(kept, 1)


def _running(entrant: Entrant) -> bool:
    return entrant.row.outcome == "compared"


def _surest(finalists: Sequence[Entrant], plain: Recipe) -> Entrant:
    """Return the best of those with the most folds, or one of plain training if it is within a standard error of it."""
    most = max(len(e.row.folds) for e in finalists)
    whole = [e for e in finalists if len(e.row.folds) == most]
    best = max(whole, key=lambda e: e.merit)
    near = [e for e in whole if e.recipe.training == plain and best.so_far - e.so_far <= best.row.standard_error]
    return max(near, key=lambda e: e.merit, default=best)


def _drop_losers(running: Sequence[Entrant], spared: Recipe) -> None:
    """Mark as dropped every entrant but the spared recipe's that is below the leader by more than chance explains."""
    leader = max(running, key=lambda e: e.so_far, default=None)
    for entrant in running:
        if leader is not None and entrant.recipe != spared and entrant.loses_to(leader):
            entrant.row.ends("dropped", f"dropped after fold {len(entrant.row.folds)}")


def _beaten(hits: NDArray[np.bool_], best: NDArray[np.bool_], labels: NDArray[np.int64], unseen: int = 0) -> bool:
    """Say whether mean recall is below the best one's by more than two standard errors of the paired difference.

    Every class gets one further disagreement, so that a class with a few held-out examples, which often shows no spread
    at all, still counts as uncertain, and so do classes of which none was held out yet. Of two recipes that are equally
    good, either is then seldom beaten.
    """
    counts = np.bincount(labels)
    difference = best.astype(float) - hits
    present = counts > 0
    n = counts[present]
    mean = np.bincount(labels, difference)[present] / n
    squares = np.bincount(labels, difference**2)[present]
    variance = (squares - n * mean**2 + 1) / n**2
    return mean.sum() > 2 * np.sqrt(variance.sum() + unseen)
