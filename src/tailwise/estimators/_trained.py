"""What a fitted model for one class per example and one for sets of labels have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise import storage
from tailwise.data import Dataset, as_dataset
from tailwise.data.labels import class_name
from tailwise.errors import TailwiseError
from tailwise.estimators._fitted import Fitted, FittedNetwork

_BLOCK = 1 << 21  # scores that are worked on at once


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """An encoder and a learner, fitted, and how they came about; a subclass adds what its answers follow from.

    Its attributes are those of :class:`tailwise.Model`, which says what they are.
    """

    classes: NDArray[Any]
    class_counts: NDArray[np.int64]
    kind: str
    encoder: Any
    learner: Fitted
    card: dict[str, Any]
    documents: dict[str, Any] = field(default_factory=dict)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @cached_property
    def class_names(self) -> list[str]:
        """The names of the classes, in code order."""
        return [class_name(label) for label in self.classes]

    @property
    def block(self) -> int:
        """How many examples to answer at once."""
        return max(1024, _BLOCK // self.n_classes)

    def scores(self, X: Any) -> NDArray[np.float32]:
        """Return the learner's (n, n_classes) scores; X is whatever the classifier takes."""
        inputs, encoder = self._in_form(X).inputs, self.encoder
        if inputs.shape[0] > self.block and self.kind == "table":
            encoder = encoder.judging([inputs])  # by all rows, whatever their order
        blocks = (inputs[start : start + self.block] for start in range(0, inputs.shape[0], self.block))
        return np.concatenate([self.learner.scores(encoder.transform(block)) for block in blocks])

    def _in_form(self, X: Any) -> Dataset:
        """Return inputs in the form that the encoder was fitted on; a data set keeps its labels."""
        data = as_dataset(X.inputs if isinstance(X, Dataset) else X, kind=self.kind)  # type: ignore[arg-type]
        if self.kind == "array" and data.kind == "table":  # a frame of numbers
            data = as_dataset(data.inputs.to_numpy(), kind="array")
        if data.kind != self.kind:
            hint = " If it is one row of a table, pass frame.iloc[[i]]." * (getattr(X, "ndim", 2) == 1)
            raise TailwiseError(f"the model was trained on {self.kind} data, but X is {data.kind} data.{hint}")
        if not len(data):
            raise TailwiseError("X has no rows to predict on.")
        given, wanted = data.inputs.shape[-1], getattr(self.encoder, "n_features_in_", None)
        if self.kind == "array" and given != wanted:
            name = type(self).__name__
            raise TailwiseError(f"X has {given} features, but {name} is expecting {wanted} features as input.")
        return replace(X, kind=data.kind, inputs=data.inputs) if isinstance(X, Dataset) else data

    def save(self, path: str | Path, *, force: bool = False, **documents: Mapping[str, Any]) -> None:
        """Write the model folder: JSON, safetensors and skops; no pickle. Under ``torchrun`` the first process writes.

        Parameters
        ----------
        path : a folder that does not exist or is empty
        force : overwrite a Tailwise folder that is already there
        documents : further JSON documents by name (``evaluation=...``), beside the model's own

        Raises
        ------
        TailwiseError
            If the folder is not empty, another process is writing there, the disk is full, or the network cannot be
            rebuilt from a description.
        """
        written = {
            "classes": self.classes.tolist(),
            "classes_dtype": self.classes.dtype.str if self.classes.dtype != object else "object",
            "class_counts": self.class_counts.tolist(),
            "kind": self.kind,
            "learner": self.learner.kind,
            **self._own(),
            "card": self.card,
        }
        estimators, tensors = {"encoder": self.encoder}, {}
        if isinstance(self.learner, FittedNetwork):
            written["network"], tensors["network"] = self.learner.describe()
        else:
            estimators["estimator"] = self.learner.estimator
        if taken := {"model", "manifest"} & documents.keys():
            raise TailwiseError(f"a document cannot be called {min(taken)!r}: a model's folder has one of its own.")
        everything = {"model": written, **self.documents, **documents}
        storage.write_folder(path, everything, tensors, estimators, force=force)

    def _own(self) -> dict[str, Any]:
        """Return what only this kind of model has, as plain data."""
        raise NotImplementedError
