"""A fitted model for sets of labels: what is saved, loaded and deployed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.data import Dataset, encode_label_sets
from tailwise.data.label_sets import as_form
from tailwise.data.labels import known_codes
from tailwise.errors import TailwiseError
from tailwise.estimators._label_chains import LabelChains
from tailwise.estimators._trained import Trained
from tailwise.metrics import LabelEvaluation, evaluate_labels


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
        own = {"chains": self.chains.to_dict(), "n_examples": self.n_examples, "form": self.form}
        return {"targets": "labels", **own}


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
