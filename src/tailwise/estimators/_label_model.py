"""A fitted model for sets of labels: what is saved, loaded and deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.counts import check_counts
from tailwise.data import Dataset, encode_label_sets
from tailwise.data.label_sets import FORMS, as_form
from tailwise.data.labels import known_codes
from tailwise.errors import TailwiseError
from tailwise.estimators._chains import Chains
from tailwise.estimators._label_chains import LabelChains
from tailwise.estimators._model import Model
from tailwise.estimators._trained import Trained, is_of_sets, read
from tailwise.metrics import LabelEvaluation, evaluate_labels
from tailwise.posthoc import ConformalSets


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelModel(Trained):
    """What :class:`tailwise.TailMultilabelClassifier` learned, independent of how it was found.

    Attributes
    ----------
    classes : (n_labels,) the labels as they are in the training data
    class_counts : (n_labels,) training examples with each label
    n_examples : number of training examples
    kind, encoder, learner, card, documents : as of :class:`tailwise.Model`
    chains : from scores to sets and to probabilities
    form : form of the labels in training, which predictions take too; see :class:`tailwise.data.LabelSets`
    """

    n_examples: int
    chains: LabelChains
    form: str = "sets"

    def predict(self, inputs: Any) -> Any:
        """Return the labels of each input in the form of the training: an indicator, or lists of labels."""
        return as_form(self.answer(inputs).predicted, self.classes, self.form)

    def predict_proba(self, inputs: Any) -> NDArray[np.float64]:
        """Return (n, n_labels) calibrated probabilities, one per label; a row's need not sum to 1."""
        return self.answer(inputs).proba

    def answer(self, inputs: Any) -> LabelAnswer:
        """Return sets and probabilities for inputs, in any form that the classifier takes.

        Raises
        ------
        TailwiseError
            If the inputs do not fit the training data.
        """
        scores = self.scores(inputs)
        return LabelAnswer(self.chains.predict(scores), self.chains.predict_proba(scores))

    def labelled(self, X: Any, y: Any = None) -> Dataset:
        """Return labelled examples as a data set, with the labels of the training.

        Parameters
        ----------
        X, y : as for :meth:`tailwise.TailMultilabelClassifier.fit`; rows whose labels are unknown stay so

        Raises
        ------
        TailwiseError
            If X does not fit the training data, or a label is none of its labels.
        """
        data = self._in_form(X)
        if y is None and data.labels is None:
            raise TailwiseError("y is missing: give a set of labels for each row.")
        if y is None and not data.has_sets:
            raise TailwiseError("each row has one label, but this model predicts sets of labels.")
        if y is not None:
            rows = encode_label_sets(y, self.classes, form=self.form).rows
        else:
            rows = np.zeros((len(data), self.n_classes), np.int8)
            rows[:, known_codes(data.class_labels, self.classes, data.name)] = np.asarray(data.labels)
            rows[~data.is_labelled] = -1
        return replace(data, labels=rows, class_labels=self.classes)

    def evaluate(self, X: Any, y: Any = None) -> LabelEvaluation:
        """Return every measure of the answers to labelled examples.

        Parameters
        ----------
        X, y : as for :meth:`labelled`; rows whose labels are unknown are left out

        Raises
        ------
        TailwiseError
            As for :meth:`labelled`, or if no row has a label.
        """
        data = self.labelled(X, y)
        return self.measure(np.asarray(data.labels), self.answer(data))

    def measure(self, rows: NDArray[np.int8], answer: LabelAnswer) -> LabelEvaluation:
        """Return the same of answers that are there, for (n, n_labels) rows; -1 is unknown."""
        return evaluate_labels(
            rows, answer.predicted, answer.proba, class_counts=self.class_counts, class_names=self.class_names
        )

    def _own(self) -> dict[str, Any]:
        return {"chains": self.chains.to_dict(), "n_examples": self.n_examples, "form": self.form}


@dataclass(frozen=True, eq=False)
class LabelAnswer:
    """What a model says of a batch of examples.

    Attributes
    ----------
    predicted : (n, n_labels) int8, 1 for the labels that an example is given, else 0
    proba : (n, n_labels)
    """

    predicted: NDArray[np.int8]
    proba: NDArray[np.float64]


def load_model(path: str | Path, backbone: Any = None) -> Model | LabelModel:
    """Read a model folder, for one class per row or for sets of labels.

    Parameters
    ----------
    backbone : the function that builds the backbone, for a model trained with one of the user's own

    Raises
    ------
    TailwiseError
        If the folder is not a model that this version can read, or was damaged; nothing in it is ever executed.
    """
    return read(path, _build, backbone)


def _build(model: Mapping[str, Any], parts: dict[str, Any]) -> Model | LabelModel:
    """Return the model, whose chains have answered for some scores, or an error that says what is wrong with them."""
    check_counts(parts["class_counts"])
    scores = np.zeros((1, len(parts["classes"])))
    if is_of_sets(model):
        label_chains = LabelChains.from_dict(model["chains"])
        label_chains.predict(scores)
        label_chains.predict_proba(scores)
        if model["form"] not in FORMS:
            raise ValueError(f"unknown form {model['form']!r}")
        return LabelModel(n_examples=int(model["n_examples"]), chains=label_chains, form=model["form"], **parts)
    chains, sets = Chains.from_dict(model["chains"]), ConformalSets.from_dict(model["sets"])
    chains.predict(scores)
    sets(chains.predict_proba(scores))
    return Model(chains=chains, sets=sets, **parts)
