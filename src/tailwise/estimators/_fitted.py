"""What learners leave behind, which gives scores: a fitted scikit-learn estimator or a trained network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.multiclass import OneVsRestClassifier
from threadpoolctl import ThreadpoolController

from tailwise.counts import class_prior
from tailwise.errors import TailwiseError
from tailwise.wording import first_line, plural

_LOG_FLOOR = float(np.log(np.finfo(np.float32).tiny))

_UNSEEN = 0.01  # of a class's share, where a classifier has no vote for it

_FEW = 1 << 19  # numbers: up to so many, several threads are hardly faster than one


@contextmanager
def threads_for(numbers: int) -> Iterator[None]:
    """Limit learners to one thread if they work on few numbers.

    Several threads would wait for each other thousands of times a second: while another process keeps a core busy,
    trees on a small table would take hundreds of times as long.
    """
    with _pools(len(sys.modules)).limit(limits=1, user_api="openmp") if numbers <= _FEW else nullcontext():
        yield


@lru_cache(maxsize=1)
def _pools(n_modules: int) -> ThreadpoolController:
    """Return what limits the threads of the libraries that are loaded; it is made anew where modules brought more.

    Making one takes longer than predicting a few rows.
    """
    return ThreadpoolController()


@contextmanager
def _scoring(estimator: BaseEstimator, inputs: Any) -> Iterator[None]:
    """Name the estimator, which may be the user's own, in whatever scoring raises; limit its threads as needed."""
    try:
        with threads_for(inputs.size):
            yield
    except TailwiseError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        raise TailwiseError(f"{type(estimator).__name__} cannot score the data: {said}") from error


def _checked(scores: NDArray[Any], shape: tuple[int, int], estimator: BaseEstimator) -> NDArray[Any]:
    """Return an estimator's scores if they are numbers and of that shape.

    Raises
    ------
    TailwiseError
        If they are not.
    """
    name = type(estimator).__name__
    if scores.shape != shape:
        raise TailwiseError(f"{name} must score {shape[0]} rows and {shape[1]} classes; it returned {scores.shape}.")
    if not np.isfinite(scores).all():
        raise TailwiseError(f"{name} returned scores that are no finite numbers, or probabilities below 0.")
    return scores


@dataclass(frozen=True)
class FittedEstimator:
    """A fitted scikit-learn classifier that gives scores for all classes.

    Attributes
    ----------
    estimator : fitted on codes of some or all of the classes
    class_counts : (n_classes,) examples of each class that it was fitted on
    """

    estimator: BaseEstimator
    class_counts: NDArray[np.int64]
    kind = "estimator"

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_classes) log-probabilities, or decision values where there are no probabilities.

        A probability of exactly zero, as from a forest or from neighbours, means that none of a few votes was for the
        class: it counts as a hundredth of the class's share.

        Raises
        ------
        TailwiseError
            If the estimator fails, or does not say or score its classes.
        """
        codes, n = self._codes(), inputs.shape[0]
        with _scoring(self.estimator, inputs):
            known = self._known(inputs, codes)
        scores = np.full((n, len(self.class_counts)), _LOG_FLOOR, dtype=np.float32)
        scores[:, codes] = _checked(known, (n, len(codes)), self.estimator)
        return scores

    def _codes(self) -> NDArray[np.intp]:
        """Return the codes of the classes that the estimator knows."""
        codes = np.asarray(getattr(self.estimator, "classes_", ()))
        if not codes.size or not np.isin(codes, np.arange(len(self.class_counts))).all():
            name = type(self.estimator).__name__
            raise TailwiseError(f"{name} must have classes_ once it is fitted: those of y, sorted, as np.unique(y) is.")
        return codes.astype(np.intp)

    def _known(self, inputs: Any, codes: NDArray[np.intp]) -> NDArray[Any]:
        """Return the scores of the classes with these codes, a column each."""
        if not hasattr(self.estimator, "predict_proba"):
            values = np.asarray(self.estimator.decision_function(inputs))
            return np.stack([-values / 2, values / 2], axis=1) if values.ndim == 1 else values
        with np.errstate(divide="ignore", invalid="ignore"):
            if hasattr(self.estimator, "predict_log_proba"):  # finer where probabilities underflow
                known = np.asarray(self.estimator.predict_log_proba(inputs))
            else:
                known = np.log(np.asarray(self.estimator.predict_proba(inputs)))
        none = np.isneginf(known)
        if not none.any():
            return known
        little = np.log(_UNSEEN * class_prior(self.class_counts)[codes])
        least = np.where(none, 0, known).min(axis=1, keepdims=True)  # nothing comes before what got a vote
        return np.where(none, np.minimum(little, least), known)


@dataclass(frozen=True)
class FittedLabelSets:
    """A fitted scikit-learn classifier that gives every example a score for each of a set of labels.

    Attributes
    ----------
    estimator : fitted on rows of 0 and 1, a column a label
    class_counts : (n_labels,) examples with each label that it was fitted on
    n_examples : all that it was fitted on
    """

    estimator: BaseEstimator
    class_counts: NDArray[np.int64]
    n_examples: int
    kind = "estimator"

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_labels) log odds, or decision values where there are no probabilities.

        A probability is at least a hundredth of the label's share, and at most 1 minus a hundredth of the others'. A
        label that no training example had, or that all had, gets the odds of its share.

        Raises
        ------
        TailwiseError
            If the estimator fails, or does not score all labels.
        """
        with _scoring(self.estimator, inputs):
            known = _checked(self._known(inputs), (inputs.shape[0], len(self.class_counts)), self.estimator)
        n, counts = self.n_examples, self.class_counts
        odds = np.log((counts + 0.5) / (n - counts + 0.5))
        return np.where((counts == 0) | (counts == n), odds, known).astype(np.float32)

    def _known(self, inputs: Any) -> NDArray[np.float64]:
        each = self.estimator.estimators_ if isinstance(self.estimator, OneVsRestClassifier) else [self.estimator]
        if all(hasattr(own, "decision_function") for own in each):  # log odds that do not underflow, if they are such
            return np.asarray(self.estimator.decision_function(inputs), dtype=np.float64)
        proba = self.estimator.predict_proba(inputs)
        if isinstance(proba, list):  # a table for each label, of 0 and 1 or of the one that occurs
            tables = zip(proba, self.estimator.classes_, strict=True)
            proba = np.stack([p[:, list(c).index(1)] if 1 in c else np.zeros(len(p)) for p, c in tables], axis=1)
        share = (self.class_counts + 0.5) / (self.n_examples + 1)
        some = np.clip(proba, _UNSEEN * share, 1 - _UNSEEN * (1 - share))
        return np.log(some) - np.log1p(-some)


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network that gives scores.

    Attributes
    ----------
    network : in evaluation mode
    architecture : name and arguments of its backbone; None if a function of the user's built it
    """

    network: Any
    architecture: dict[str, Any] | None
    kind = "network"

    def scores(self, inputs: Any) -> NDArray[np.float32]:
        """Return (n, n_classes) logits.

        Raises
        ------
        TailwiseError
            If the images have a different number of channels from those of the training set.
        """
        from tailwise.engine import predict
        from tailwise.nn import Standardise

        given = inputs.shape[-1]
        known = next((len(part.mean) for part in self.network.modules() if isinstance(part, Standardise)), given)
        if inputs.ndim == 4 and given != known:
            mode = "L" if known == 1 else "RGB"
            raise TailwiseError(
                f"the images have {plural(given, 'channel')}, but {known} in training: convert them, for "
                f"example with Pillow's image.convert({mode!r})."
            )
        return predict(self.network, inputs)

    def describe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the network's description in plain data, and its weights.

        Raises
        ------
        TailwiseError
            If it could not be built again.
        """
        from tailwise.nn import Network, describe_head, whole_state

        if not isinstance(self.network, Network):
            kind = type(self.network).__name__
            raise TailwiseError(f"a network of type {kind} cannot be saved: only a tailwise.nn.Network, with a head.")
        description = {"backbone": self.architecture, "head": describe_head(self.network.head)}
        return description, {
            name: value.contiguous().clone()
            for name, value in whole_state(self.network).items()  # tied ones, too
        }

    @classmethod
    def rebuild(
        cls, description: Mapping[str, Any], weights: Mapping[str, Any], backbone: Callable[[], Any] | None
    ) -> FittedNetwork:
        """Return the network that :meth:`describe` described.

        Raises
        ------
        TailwiseError
            If the user's own backbone is needed and not given, or the weights do not fit.
        """
        from tailwise.nn import build_network, describe_backbone, rebuild_backbone

        architecture = description["backbone"]
        if architecture is not None:
            built = rebuild_backbone(architecture)
        elif backbone is not None:
            built = backbone()
        else:
            raise TailwiseError("this model has a backbone of your own: pass the function that builds it as backbone=.")
        network = build_network(built, description["head"], weights)
        if architecture and architecture != describe_backbone(architecture["name"], len(network.inputs.mean)):
            raise TailwiseError("the saved weights are for inputs of another width than the saved backbone.")
        return cls(network, architecture)


Fitted = FittedEstimator | FittedLabelSets | FittedNetwork
