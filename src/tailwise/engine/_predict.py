"""Prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tailwise.engine._tensors import as_tensor, outputs
from tailwise.settings import whole


def predict(network: nn.Module, inputs: Any, *, batch_size: int = 1024) -> NDArray[np.float32]:
    """Return a network's logits, computed batch by batch on the device that its parameters are on.

    Parameters
    ----------
    network : maps a batch of inputs to logits
    inputs : (n, height, width, channels) images or (n, features) numbers
    batch_size : how many inputs at a time; memory grows with it

    Returns
    -------
    (n, n_classes) float32

    Raises
    ------
    TailwiseError
        If the inputs are sparse, not numbers or hold NaN or infinity, or the batch size is below 1.

    Examples
    --------
    >>> from tailwise.nn import MLP, Network
    >>> network = Network.linear(MLP(8), n_classes=5)
    >>> predict(network, [[0.0] * 8] * 3, batch_size=2).shape
    (3, 5)
    """
    any_parameter = next(network.parameters(), torch.empty(0))
    data = as_tensor(inputs, any_parameter.dtype)
    parts = outputs(network, network, data, whole("batch_size", batch_size, 1), any_parameter.device)
    return np.concatenate([part.float().cpu().numpy() for part in parts])
