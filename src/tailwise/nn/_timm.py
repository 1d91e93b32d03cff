"""Backbones from timm."""

from __future__ import annotations

from typing import Any

from torch import nn

from tailwise._optional import require
from tailwise.errors import TailwiseError, nearest


def timm_backbone(name: str, **settings: Any) -> nn.Module:
    """Return a timm model without its classifier, with ``out_features``.

    Parameters
    ----------
    name : a timm model's name
    settings : for ``timm.create_model``: ``pretrained``, ``in_chans``, ``img_size``, ...

    Raises
    ------
    MissingExtraError
        If timm or torchvision, which it needs, is not installed.
    TailwiseError
        If timm has no such model; the nearest name is suggested.
    """
    require("torchvision", "timm")
    timm = require("timm", "timm")
    if not timm.is_model(name):
        raise TailwiseError(f"timm has no model {name!r}.{nearest(name, timm.list_models())}")
    model = timm.create_model(name, num_classes=0, **settings)
    model.out_features = model.head_hidden_size  # num_features leaves out the layers before the classifier
    return model
