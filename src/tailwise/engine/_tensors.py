"""Inputs as tensors: checked once, kept whole on the device, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tailwise.counts import class_counts
from tailwise.errors import TailwiseError
from tailwise.tensors import to_codes, unmasked


def as_tensor(inputs: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return inputs as a tensor that networks take, without a copy where possible.

    Parameters
    ----------
    inputs : (n, height, width, channels) images, which become channels-last (n, channels, height, width), or
        (n, features) numbers
    dtype : of numbers, and of images that are not uint8

    Raises
    ------
    TailwiseError
        If they are sparse, masked, of another shape or not numbers, or hold NaN or infinity.
    """
    if hasattr(inputs, "toarray"):
        raise TailwiseError("networks take dense inputs; reduce sparse ones first, for example with TruncatedSVD.")
    array = unmasked(inputs)
    if array.ndim not in (2, 4) or array.dtype.kind not in "fiub":
        raise TailwiseError(
            "inputs must be numbers of shape (n, features) or images (n, height, width, channels);"
            f" got {array.dtype} of shape {array.shape}."
        )
    if array.dtype != np.uint8 or array.ndim == 2:
        with np.errstate(over="ignore"):  # becomes infinity
            array = array.astype(np.float64 if dtype == torch.float64 else np.float32, copy=False)
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1)) if array.size else array
        if bad.size:
            raise TailwiseError(
                f"inputs have NaN, infinity or numbers that are too large in {bad.size} of {len(array)} rows, first in "
                f"row {bad[0]}; impute or drop them first."
            )
    tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def as_targets(labels: Any, n: int, n_classes: int) -> NDArray[Any]:
    """Return checked targets: (n,) int64 class codes, or (n, n_classes) float32 rows of what each example has.

    Raises
    ------
    TailwiseError
        If there are none, some are missing or out of range, or all are one class or one row.
    """
    codes = to_codes(labels)
    if codes.ndim == 2:
        return _rows(codes, n, n_classes)
    if codes.shape != (n,):
        raise TailwiseError(f"labels must be one code for each of the {n} inputs; got shape {codes.shape}.")
    counts = class_counts(codes, n_classes)
    if n == 0:
        raise TailwiseError("there are no examples to train on.")
    if counts.sum() < n:
        raise TailwiseError(
            f"{n - counts.sum()} of {n} labels are missing (negative); train on the labelled rows only."
        )
    if np.count_nonzero(counts) < 2:
        raise TailwiseError(f"all {n} labels are of class {codes[0]}: at least two classes are needed.")
    return codes.astype(np.int64)


def _rows(rows: NDArray[Any], n: int, n_classes: int) -> NDArray[np.float32]:
    if rows.shape != (n, n_classes):
        raise TailwiseError(f"label rows must be {n} inputs × {n_classes} classes; got shape {rows.shape}.")
    if n == 0:
        raise TailwiseError("there are no examples to train on.")
    if rows.dtype.kind not in "biuf" or not ((rows >= 0) & (rows <= 1)).all():
        raise TailwiseError("label rows must hold 1 for an example's classes and 0 for others, or shares between.")
    if (rows == rows[0]).all():
        raise TailwiseError(f"all {n} label rows are alike: there is nothing to tell apart.")
    return rows.astype(np.float32)


def take(inputs: Tensor, indices: Tensor) -> Tensor:
    """Return the inputs at ``indices``; images stay channels-last."""
    if inputs.ndim == 4:
        return inputs.permute(0, 2, 3, 1).index_select(0, indices).permute(0, 3, 1, 2)
    return inputs.index_select(0, indices)


@torch.inference_mode()
def outputs(
    module: nn.Module, function: Any, inputs: Tensor, batch_size: int, device: torch.device
) -> Iterator[Tensor]:
    """Yield ``function`` of the inputs, batch by batch and in order, with the module in evaluation mode."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        for batch in inputs.split(batch_size):
            yield function(batch.to(device))
    finally:
        for part, training in modes.items():
            part.training = training


def training_features(network: Any, data: Tensor, targets: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Return the (n, out_features) features of the training set as the backbone is now, and its targets."""
    parts = outputs(network, network.features, data, batch_size, data.device)
    return torch.cat(list(parts)), targets
