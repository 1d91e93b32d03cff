"""Read a model folder, as :meth:`Trained.save` wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from tailwise import storage
from tailwise.counts import check_counts
from tailwise.data.dataset import Kind
from tailwise.data.label_sets import FORMS
from tailwise.errors import TailwiseError
from tailwise.estimators._chains import Chains
from tailwise.estimators._fitted import Fitted, FittedEstimator, FittedLabelSets, FittedNetwork
from tailwise.estimators._label_chains import LabelChains
from tailwise.estimators._label_model import LabelModel
from tailwise.estimators._model import Model
from tailwise.posthoc import ConformalSets
from tailwise.wording import one_line


def load_model(path: str | Path, backbone: Any = None) -> Model | LabelModel:
    """Read a model folder, for one class per row or for sets of labels.

    Parameters
    ----------
    backbone : the function that builds the backbone, for a model trained with one of the user's own

    Raises
    ------
    TailwiseError
        If the folder is not a model that this version can read, or was damaged; nothing in it is ever executed.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from tailwise import TailClassifier
    >>> X, y = [[1.0], [1.1], [1.2], [3.0], [3.1]] * 10, ["cherry", "cherry", "cherry", "apple", "apple"] * 10
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TailClassifier("logit-adjustment", estimator=GaussianNB(), random_state=0).fit(X, y).save(f"{folder}/model")
    ...     model = load_model(f"{folder}/model")
    >>> model.predict([[1.05], [3.05]]).tolist()
    ['cherry', 'apple']
    """
    folder = storage.read_folder(path)
    try:
        return _build(folder, backbone)
    except (TailwiseError, OSError):
        raise
    except Exception as error:  # what a stranger wrote there may fail anywhere
        said = f"{type(error).__name__}: {one_line(error)}"
        raise TailwiseError(f"{folder.path / 'model.json'} is not what Tailwise writes ({said}).") from error


def _build(folder: storage.Folder, backbone: Any) -> Model | LabelModel:
    """Return the model, whose chains have answered for some scores."""
    model = folder.documents["model"]
    class_counts = np.array(model["class_counts"], dtype=np.int64)
    classes = np.array(model["classes"], dtype=np.dtype(model["classes_dtype"]))
    check_counts(class_counts)
    if classes.shape != class_counts.shape:
        raise ValueError(f"{len(class_counts)} class counts for {len(classes)} classes")
    has_sets = {"class": False, "labels": True}[model["targets"]]
    if model["kind"] not in get_args(Kind):
        raise ValueError(f"unknown kind {model['kind']!r}")
    if not isinstance(model["card"], Mapping) or "objective" not in model["card"]:
        raise ValueError("no card with an objective")
    learner: Fitted
    if model["learner"] == "network":
        learner = FittedNetwork.rebuild(model["network"], folder.tensors("network"), backbone)
    elif has_sets:
        learner = FittedLabelSets(folder.estimator("estimator"), class_counts, int(model["n_examples"]))
    else:
        learner = FittedEstimator(folder.estimator("estimator"), class_counts)
    parts = {
        "classes": classes,
        "class_counts": class_counts,
        "kind": model["kind"],
        "encoder": folder.estimator("encoder"),
        "learner": learner,
        "card": model["card"],
        "documents": {name: document for name, document in folder.documents.items() if name != "model"},
    }
    scores = np.zeros((1, len(classes)))
    if has_sets:
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
