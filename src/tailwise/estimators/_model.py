"""A fitted model: encoder, learner, chains and prediction sets; what is saved, loaded and deployed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise import metrics, posthoc
from tailwise.counts import class_prior
from tailwise.data import Dataset
from tailwise.data.labels import by_name, class_name, codes_among, encode_labels, known_codes, warn_of_words
from tailwise.errors import TailwiseError
from tailwise.estimators._chains import Chains
from tailwise.estimators._objective import Objective, as_objective, decisions
from tailwise.estimators._trained import Trained
from tailwise.metrics import OBJECTIVES, Evaluation
from tailwise.metrics.estimates import Estimate
from tailwise.wording import some

_PRIOR_STRENGTH = 100  # examples of the training prior that are added to those it is estimated from
_SURE = 1e-3  # how seldom what is taken for a shift of the class shares may be chance

Prior = Literal["train", "uniform", "estimate"] | ArrayLike | Mapping[Any, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(Trained):
    """What :class:`tailwise.TailClassifier` learned, independent of how it was found.

    Attributes
    ----------
    classes : (n_classes,) the labels as they are in the training data
    class_counts : (n_classes,) training examples of each
    kind : kind of data: ``"table"``, ``"image"``, ``"text"`` or ``"array"``
    encoder : from the user's inputs to arrays
    learner : from arrays to scores
    chains : from scores to decisions and to probabilities
    sets : from probabilities to prediction sets
    card : recipe, parameter count, epochs, augmentation, subset hash, package versions, held-out scores
    documents : further JSON documents by name, which :meth:`save` writes beside the model
    """

    chains: Chains
    sets: posthoc.ConformalSets

    @property
    def objective(self) -> Objective | None:
        """What the recipe was chosen by; None if it was a scorer of the user's own, which is not saved."""
        what = self.card["objective"] if self.chains.cost is None else self.chains.cost
        try:
            return as_objective(what, self.n_classes, self.class_names, self.class_counts)
        except TailwiseError:
            return None

    def predict_proba(self, inputs: Any, prior: Prior = "train") -> NDArray[np.float64]:
        """Return (n, n_classes) probabilities under a class prior; see :meth:`answer`."""
        return self.answer(inputs, prior).proba

    def predict(self, inputs: Any, prior: Prior = "train") -> NDArray[Any]:
        """Return (n,) labels; see :meth:`answer`."""
        return self.classes[self.answer(inputs, prior).predicted]

    def predict_sets(self, inputs: Any) -> NDArray[np.bool_]:
        """Return (n, n_classes): which classes are in each example's prediction set."""
        return self.answer(inputs).sets

    def answer(self, inputs: Any, prior: Prior = "train") -> Answer:
        """Return decisions, probabilities and prediction sets for inputs.

        Parameters
        ----------
        inputs : in any form that the classifier takes
        prior : the class prior of the population that the inputs come from. ``"train"``: as in training; the recipe
            decides. With any other, the probabilities are moved to that prior, and the decision is the likeliest class
            (or the cheapest, if the objective was a cost matrix): ``"uniform"``, ``"estimate"`` (from these inputs by
            expectation maximisation, Saerens et al. 2002), (n_classes,) numbers in the order of the classes, or a
            mapping from every class to its number, or a pandas series with the classes as index. Prediction sets hold
            class by class, whatever the prior

        Raises
        ------
        TailwiseError
            If the inputs do not fit the training data, or the prior is not one.
        """
        scores = self.scores(inputs)
        answer = self._answer(scores, self.chains)
        chains = self._chains_under(prior, scores)
        if chains is self.chains:
            return answer
        moved = self._answer(scores, chains)
        return replace(moved, sets=_with_decisions(answer.sets, moved.predicted))

    def predict_log_proba(self, inputs: Any, prior: Prior = "train") -> NDArray[np.float64]:
        """Return the logarithms of :meth:`predict_proba`, finite where a probability rounds to 0."""
        scores = self.scores(inputs)
        return posthoc.log_softmax(posthoc.apply(self._chains_under(prior, scores).probability, scores))

    def _chains_under(self, prior: Prior, scores: NDArray[np.float32]) -> Chains:
        """Return the chains for a class prior, which may be estimated from the scores."""
        if isinstance(prior, str) and prior == "train":
            return self.chains
        return self.chains.under(posthoc.prior_shift(class_prior(self.class_counts), self._prior(prior, scores)))

    def _answer(self, scores: NDArray[np.float32], chains: Chains) -> Answer:
        answer = Answer(np.empty(len(scores), np.int64), np.empty(scores.shape), np.empty(scores.shape, bool))
        step = self.block
        for start in range(0, len(scores), step):
            at = slice(start, start + step)
            answer.predicted[at] = chains.predict(scores[at])
            answer.proba[at] = chains.predict_proba(scores[at])
            answer.sets[at] = _with_decisions(self.sets(answer.proba[at]), answer.predicted[at])
        return answer

    def labelled(self, X: Any, y: ArrayLike | None = None) -> Dataset:
        """Return labelled examples as a data set, with the classes of the training.

        Parameters
        ----------
        X, y : as for :meth:`tailwise.TailClassifier.fit`; rows without a label keep none

        Raises
        ------
        TailwiseError
            If X does not fit the training data, or a label is none of its classes.
        """
        data = self._in_form(X)
        if y is not None:
            codes, _ = encode_labels(y, self.classes, "y")
            warn_of_words(y, codes)
        elif data.labels is None:
            raise TailwiseError("y is missing: give a label for each row.")
        elif data.has_sets:
            raise TailwiseError("each row has a set of labels, but this model predicts one class.")
        else:
            known = known_codes(data.class_labels, self.classes, data.name)
            codes = np.append(known, -1)[data.labels]
        return replace(data, labels=codes, class_labels=self.classes)

    def evaluate(self, X: Any, y: ArrayLike | None = None, prior: Prior = "train") -> Evaluation:
        """Return every measure of the answers to labelled examples, and what the recipe was chosen by.

        Parameters
        ----------
        X, y : as for :meth:`labelled`; rows without a label are left out
        prior : as for :meth:`answer`

        Raises
        ------
        TailwiseError
            As for :meth:`labelled` and :meth:`answer`, or if no row has a label.
        """
        data = self.labelled(X, y)
        return self.measure(np.asarray(data.labels), self.answer(data, prior))

    def measure(self, labels: NDArray[np.int64], answer: Answer) -> Evaluation:
        """Return the same of answers that are there, for examples with these class codes; -1 is no label."""
        found = metrics.evaluate(
            labels,
            answer.predicted,
            class_counts=self.class_counts,
            proba=answer.proba,
            sets=answer.sets,
            class_names=self.class_names,
        )
        known = labels >= 0
        self.measure_objective(found, labels[known], answer.predicted[known], answer.proba[known])
        return found

    def measure_objective(self, found: Evaluation, *answers: NDArray[Any]) -> None:
        """Add what the recipe was chosen by, unless it is among the measures, or a group or class it needs is absent.

        It has an interval if there was time for one in the comparison: a scorer is asked hundreds of times.

        Parameters
        ----------
        answers : (n,) class codes, (n,) predicted ones, and (n, n_classes) probabilities; needed only if the objective
            looks at probabilities
        """
        objective = self.objective
        if objective is None or objective.name in found or objective.name in OBJECTIVES:
            return
        in_time = any(row["low"] is not None for row in self.card["comparison"])
        labels, predicted, proba = answers or (*decisions(found.confusion), None)
        with suppress(TailwiseError):
            given, rng = (labels, predicted, proba, self.class_counts), np.random.default_rng(0)
            found.overall[objective.name] = (
                objective.estimate(*given, rng) if in_time else Estimate(objective.score(*given))
            )

    def estimate_prior(self, batches: Iterable[Any], most: int = 100_000) -> NDArray[np.float64]:
        """Return the class prior of unlabelled data, by expectation maximisation (Saerens et al. 2002).

        A hundred examples of the training prior are added, so that a few rows, or classes that are hard to tell apart,
        do not move it far. It is the training prior itself unless the difference has a p-value below one in a thousand.

        Parameters
        ----------
        batches : of inputs; of more than ``most`` examples, so many are drawn at random

        Raises
        ------
        TailwiseError
            If there are no inputs.

        Returns
        -------
        (n_classes,)
        """
        rng = np.random.default_rng(0)
        scores, places = np.empty((0, self.n_classes), np.float32), np.empty(0)
        for inputs in batches:
            more = self.scores(inputs)
            scores, places = np.concatenate([scores, more]), np.concatenate([places, rng.random(len(more))])
            if len(places) > most:  # those with the lowest of random numbers stay
                rows = np.sort(np.argpartition(places, most)[:most])
                scores, places = scores[rows], places[rows]
        if not len(scores):
            raise TailwiseError("there are no examples to estimate the class prior from.")
        return self._estimated(scores)

    def _estimated(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        source, proba = class_prior(self.class_counts), posthoc.softmax(posthoc.apply(self.chains.share, scores))
        prior = posthoc.estimate_prior_em(proba, source, strength=_PRIOR_STRENGTH)
        return prior if posthoc.shift_p_value(proba, source, prior) < _SURE else source

    def _prior(self, prior: Prior, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        if isinstance(prior, str):
            if prior == "uniform":
                return np.full(self.n_classes, 1 / self.n_classes)
            if prior == "estimate":
                return self._estimated(scores)
            raise TailwiseError(f"unknown prior {prior!r}: use train, uniform, estimate or {self.n_classes} numbers.")
        names = self.class_names
        prior = by_name(prior, names)
        if isinstance(prior, Mapping):
            codes = codes_among(prior, self.classes)
            lacking = set(range(self.n_classes)).difference(codes)
            if -1 in codes or lacking:
                odd = class_name(list(prior)[codes.index(-1)]) if -1 in codes else names[min(lacking)]
                what = "names an unknown" if -1 in codes else "lacks"
                raise TailwiseError(f"a prior by name needs a number for every class; this one {what} class {odd!r}.")
            prior = np.array(list(prior.values()), dtype=object)[np.argsort(codes)]
        try:
            given = np.asarray(prior, dtype=np.float64)
        except (TypeError, ValueError):
            raise TailwiseError("a prior must be numbers, one for each class.") from None
        if given.shape != (self.n_classes,):
            raise TailwiseError(
                f"a prior for {self.n_classes} classes needs {self.n_classes} numbers, in the order {some(names, 10)}; "
                f"got shape {given.shape}."
            )
        if not np.isfinite(given).all() or given.min() < 0 or not given.any():
            raise TailwiseError("a prior's numbers must be finite and not negative, and at least one above 0.")
        return class_prior(given)

    def _own(self) -> dict[str, Any]:
        return {"targets": "class", "chains": self.chains.to_dict(), "sets": self.sets.to_dict()}


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of a batch of examples.

    Attributes
    ----------
    predicted : (n,) class codes
    proba : (n, n_classes)
    sets : (n, n_classes) membership in the prediction sets
    """

    predicted: NDArray[np.int64]
    proba: NDArray[np.float64]
    sets: NDArray[np.bool_]


def _with_decisions(sets: NDArray[np.bool_], codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the sets with each example's decision added, however it was made; a larger set covers no less."""
    sets = sets.copy()
    sets[np.arange(len(sets)), codes] = True
    return sets
