"""The learner and the encoder that suit each kind of data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import get_tags

from tailwise._optional import require
from tailwise.data import Dataset
from tailwise.data.paths import existing
from tailwise.errors import TailwiseError
from tailwise.estimators._learners import AUGMENTATIONS, NetworkLearner
from tailwise.estimators._linear import OneVsRestLogisticRegression
from tailwise.resample import CaseControlClassifier

_TREES = 10_000  # of boosting, all classes and iterations together

_EPOCHS = 60
_SGD_RATE = 0.1  # at batches of 128 images, as in He et al. 2016; smaller ones in proportion (Goyal et al. 2017)
_ADAMW_RATE = 2e-3


def learner_kind(estimator: BaseEstimator | None, backbone: Any, data_kind: str) -> str:
    """Return ``"estimator"`` or ``"network"``.

    Raises
    ------
    TailwiseError
        If both an estimator and a backbone are given.
    MissingExtraError
        If a network is wanted and torch or Lightning Fabric is not installed.
    """
    if estimator is not None and backbone is not None:
        raise TailwiseError("give an estimator or a backbone, not both.")
    if backbone is None and (data_kind != "image" or estimator is not None):
        return "estimator"
    for package in ("torch", "lightning_fabric"):
        require(package, "image" if data_kind == "image" else "torch")
    return "network"


def default_estimator(data: Dataset) -> BaseEstimator:
    """Return histogram gradient boosting, or for texts and sparse arrays a logistic regression per class.

    Three of boosting's defaults fail on long tails. Early stopping needs a validation set, which a class with one
    example cannot be split into. Without a penalty the leaves of rare classes, whose hessians are nearly zero, grow
    until the whole model diverges: on a table of 58 classes the default reached a balanced accuracy of 0.03, with the
    penalty 0.54. And leaves of at least 20 examples leave a small table without a tree: below 200 rows it is a tenth of
    them, which raises balanced accuracy on 30 to 65 rows of iris, wine and breast cancer from 0.33 to 0.70 to 0.79 to
    0.93 (benchmarks/results/small_tables.md). In larger tables, smaller leaves lost 0.00 to 0.02. Small trees with half
    of the features per split lost nothing on the table of 58 classes and took half the time. An iteration grows a tree
    for each class, so many classes get fewer iterations and larger steps (with 200 maintainers of packages as the
    classes, half and a quarter of the iterations lost 0.005 and 0.02 of 0.50 balanced accuracy). Large tables are
    trained on in part, with the whole tail; see :class:`tailwise.resample.CaseControlClassifier`.
    """
    if data.kind == "text" or issparse(data.inputs):
        return OneVsRestLogisticRegression(C=10.0)
    iterations = int(np.clip(_TREES // data.n_classes, 10, 100))
    return CaseControlClassifier(
        HistGradientBoostingClassifier(
            learning_rate=float(0.1 * np.sqrt(100 / iterations)),
            max_iter=iterations,
            early_stopping=False,
            l2_regularization=1.0,
            max_leaf_nodes=15,
            min_samples_leaf=int(np.clip(len(data) // 10, 2, 20)),
            max_features=0.5,
        )
    )


def fit_encoder(data: Dataset, kind: str, base: BaseEstimator, text_model: str | Path | None = None) -> tuple[Any, Any]:
    """Return a fitted transformer from the user's inputs to what the learner takes, and the transformed inputs.

    Numbers are encoded alike whether they came as a frame or as an array. Encoders never see the labels, so fitting
    them once, before the folds, leaks no answers.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    from tailwise.data import PixelEncoder, SentenceEncoder, TableEncoder, TextEncoder
    from tailwise.data.encode import dense

    takes = get_tags(base).input_tags
    scale = kind == "network" or not (takes.allow_nan or takes.positive_only)
    encoder: Any = FunctionTransformer()
    if data.kind == "array" and not issparse(data.inputs):
        encoder = TableEncoder(scale=True) if scale else FunctionTransformer(dense)
    elif data.kind == "text" and text_model is not None:
        encoder = SentenceEncoder(str(existing(text_model).resolve()), unit_length=True)
    elif data.kind == "text":
        encoder = TextEncoder()
    elif data.kind == "table":
        encoder = TableEncoder(scale=scale)
    elif data.kind == "image" and kind == "estimator":
        encoder = PixelEncoder()
    inputs = _plain(encoder).fit_transform(data.inputs)
    if kind == "estimator" and isinstance(encoder, TableEncoder):
        _check_positions(base, list(encoder.feature_names_in_), list(encoder.get_feature_names_out()))
    if kind == "estimator" and takes.positive_only and not takes.allow_nan:
        _check_positive(base, encoder, inputs)
    if kind == "network" and issparse(inputs):
        reduction = _plain(TruncatedSVD(min(256, inputs.shape[1]), random_state=0))
        inputs = reduction.fit_transform(inputs)
        encoder = make_pipeline(encoder, reduction)
    return encoder, inputs


def _check_positive(base: BaseEstimator, encoder: Any, inputs: Any) -> None:
    """Raise TailwiseError if numbers are missing or negative, and the estimator takes neither."""
    lowest = inputs.min(axis=0).toarray().ravel() if issparse(inputs) else inputs.min(axis=0)
    wrong = np.flatnonzero(~(lowest >= 0))
    if len(wrong):
        names = encoder.get_feature_names_out() if hasattr(encoder, "get_feature_names_out") else np.arange(len(lowest))
        what, do = ("missing", "fill them in") if np.isnan(lowest[wrong[0]]) else ("negative", "make them positive")
        raise TailwiseError(
            f"{type(base).__name__} takes no {what} numbers, which column {names.tolist()[wrong[0]]!r} has: {do} "
            "before, or choose another estimator."
        )


def _check_positions(base: BaseEstimator, before: list[str], after: list[str]) -> None:
    """Raise TailwiseError if an estimator names columns by position, and encoding moves them."""
    if before == after:
        return
    for name, value in base.get_params().items():
        if name.endswith("transformers"):
            value = [each[-1] for each in value]
        if name.endswith(("transformers", "categorical_features", "monotonic_cst")) and _has_positions(value):
            raise TailwiseError(
                f"{name} of {type(base).__name__} has positions of columns, which encoding moves: encode the table "
                "before TailClassifier, in a pipeline, or name what selects the columns."
            )


def _has_positions(value: Any) -> bool:
    """Say whether there are numbers, masks or slices of numbers among columns."""
    if isinstance(value, slice):
        return isinstance(value.start, Integral) or isinstance(value.stop, Integral)
    if isinstance(value, list | tuple | np.ndarray):
        return any(map(_has_positions, value))
    return isinstance(value, Integral | np.bool_)


def _plain(transformer: Any) -> Any:
    """Return a transformer whose output is an array, whatever scikit-learn's global ``transform_output`` is."""
    return transformer.set_output(transform="default") if hasattr(transformer, "set_output") else transformer


def network_learner(
    backbone: str | Callable[[], Any] | None,
    inputs: Any,
    *,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    augment: str | Callable[..., Any],
    precision: str,
    **engine: Any,
) -> NetworkLearner:
    """Return the learner for a backbone given by name, or by a function that builds it.

    Parameters
    ----------
    inputs : the encoded training inputs, which say how many channels or features there are
    augment : one of :data:`AUGMENTATIONS`, or a function; see :class:`tailwise.engine.stage.Task`
    precision : ``"auto"`` or as in :func:`tailwise.engine.train`
    engine : devices, progress

    Raises
    ------
    TailwiseError
        If a number is not above 0, or the backbone does not take such inputs.
    """
    from torch import nn
    from torch.optim import SGD, AdamW

    from tailwise.nn import build_backbone, describe_backbone

    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("learning_rate", learning_rate)):
        if value is not None and not value > 0:
            raise TailwiseError(f"{name} must be above 0; got {value}.")
    if isinstance(backbone, nn.Module) or not (backbone is None or isinstance(backbone, str) or callable(backbone)):
        raise TailwiseError(
            "backbone must be a name, or a function that returns a new network for every fit; got "
            f"{type(backbone).__name__}."
        )
    is_image = inputs.ndim == 4
    # an epoch of a small set needs enough steps to learn from: about 32, in batches of 16 to 128
    batch = (
        batch_size if batch_size is not None else int(np.clip(2 ** round(np.log2(max(len(inputs), 1) / 32)), 16, 128))
    )
    default_rate = _SGD_RATE * batch / 128 if is_image else _ADAMW_RATE
    rate = default_rate if learning_rate is None else learning_rate
    backbone = backbone if backbone is not None else "resnet32"
    architecture: dict[str, Any] | None = None
    if isinstance(backbone, str):
        if (backbone in ("mlp", "identity")) == is_image:
            what, use = ("images", "resnet32 or a timm name") if is_image else ("rows of numbers", "mlp or identity")
            raise TailwiseError(f"backbone {backbone!r} does not take {what}: use {use}.")
        architecture = describe_backbone(backbone, inputs.shape[-1])
        backbone = partial(build_backbone, **architecture)
    return NetworkLearner(
        backbone=backbone,
        architecture=architecture,
        epochs=_EPOCHS if epochs is None else epochs,
        batch_size=batch,
        optimizer=(
            partial(SGD, lr=rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
            if is_image
            else partial(AdamW, lr=rate, weight_decay=0.01, fused=True)
        ),
        augment=augment if callable(augment) else _augmentation(augment, inputs.shape[1]) if is_image else None,
        precision=_precision(is_image) if precision == "auto" else precision,
        **engine,
    )


def check_text_model(folder: str | Path, data_kind: str) -> None:
    """Raise TailwiseError if there are no texts for a language model, or it is not there, or its extra is missing."""
    if data_kind != "text":
        raise TailwiseError("text_model encodes texts, and this data has none: drop it, or name the column of texts.")
    require("sentence_transformers", "text")
    existing(folder)


def check_backbone(build: Any) -> None:
    """Raise TailwiseError if a user's function does not build a new network at every call: folds would train the same.

    Names of backbones are passed over.
    """
    import torch

    from tailwise.engine import seeded_by
    from tailwise.nn import check_state

    if not callable(build):
        return
    with seeded_by(torch.device("cpu")):
        try:
            first, second = build(), build()
            check_state(first)
            shared = {id(part) for part in first.parameters()} & {id(part) for part in second.parameters()}
        except (AttributeError, TypeError) as error:
            raise TailwiseError(
                f"backbone must be a function that is called without arguments and returns a network: {error}."
            ) from error
    if shared:
        raise TailwiseError(
            "backbone returned parts of a network that it had returned before, so that all fits would train the same: "
            "build them inside the function, or copy what is there with copy.deepcopy()."
        )


def _precision(is_image: bool) -> str:
    """Return mixed precision if it is faster and costs no accuracy; see benchmarks/results/throughput_resnet32.md.

    The layers of networks for tables are too small to gain from it.
    """
    from tailwise.engine import computes_bfloat16

    return "bf16-mixed" if is_image and computes_bfloat16() else "32-true"


def _augmentation(name: str, side: int) -> Callable[..., Any] | None:
    from tailwise.augment import FlipCrop

    settings = AUGMENTATIONS[name]
    padding = max(1, side // 8)  # 4 for 32 pixels, as in He et al. 2016
    return None if settings is None else FlipCrop(padding, **settings)
