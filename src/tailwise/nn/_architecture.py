"""Descriptions of networks as plain data, from which they are rebuilt before their weights are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from tailwise.errors import MissingExtraError, TailwiseError, nearest
from tailwise.nn._heads import NormedLinear, OrderedLinear, ScaledLinear
from tailwise.nn._mlp import MLP
from tailwise.nn._network import Identity, Network
from tailwise.nn._resnet import resnet32
from tailwise.nn._state import BEYOND, load_whole_state
from tailwise.nn._timm import timm_backbone

_BACKBONES: dict[str, Callable[..., nn.Module]] = {"mlp": MLP, "resnet32": resnet32, "identity": Identity}
_HEADS = {head.__name__: head for head in (nn.Linear, NormedLinear, OrderedLinear, ScaledLinear)}
#: The argument that sets the width of the inputs.
_WIDTHS = {"mlp": "in_features", "resnet32": "in_channels", "identity": "out_features"}


def build_backbone(name: str, **arguments: Any) -> nn.Module:
    """Return a new backbone by name.

    Parameters
    ----------
    name : ``"mlp"``, ``"resnet32"``, ``"identity"``, or the name of a timm model
    arguments : arguments of :class:`MLP`, :func:`resnet32`, :class:`Identity` or :func:`timm_backbone`

    Raises
    ------
    MissingExtraError
        If it is not one of Tailwise's own backbones and timm is not installed.
    TailwiseError
        If timm has no such model.
    """
    if name in _BACKBONES:
        return _BACKBONES[name](**arguments)
    try:
        return timm_backbone(name, **arguments)
    except MissingExtraError as error:
        own = f"{name!r} is not one of Tailwise's own backbones ({', '.join(_BACKBONES)}).{nearest(name, _BACKBONES)}"
        raise MissingExtraError(f"{own} {error}") from None


def describe_backbone(name: str, width: int) -> dict[str, Any]:
    """Return a model folder's description of a backbone for inputs of ``width`` features or channels."""
    return {"name": name, _WIDTHS.get(name, "in_chans"): width}


def rebuild_backbone(description: Mapping[str, Any]) -> nn.Module:
    """Return a new backbone from a model folder's description, which is not trusted.

    Raises
    ------
    TailwiseError
        If it has anything but a name and a width: some settings of timm read files, which may run code.
    """
    name, *widths = description.get("name"), *(value for key, value in description.items() if key != "name")
    if not isinstance(name, str) or [type(width) for width in widths] != [int]:
        raise TailwiseError(
            "a saved backbone must have a name and a whole number as its width; this one does not, so it was not built."
        )
    if description != describe_backbone(name, widths[0]):
        raise TailwiseError(f"the saved backbone {name!r} has settings that Tailwise does not write: it was not built.")
    return build_backbone(**description)


def describe_head(head: nn.Module) -> dict[str, Any]:
    """Return a description of a head, from which :func:`build_head` builds one of the same shape.

    Raises
    ------
    TailwiseError
        If it is neither one of Tailwise's heads nor torch's own ``Linear``.
    """
    if type(head) not in _HEADS.values():
        raise TailwiseError(f"a head of type {type(head).__name__} cannot be saved: use one of {', '.join(_HEADS)}.")
    return {
        "type": type(head).__name__,
        "in_features": head.in_features,
        "out_features": head.out_features,
        "bias": getattr(head, "bias", None) is not None,
    }


def build_head(description: Mapping[str, Any]) -> nn.Module:
    """Return a new head from a description of :func:`describe_head`; its weights must still be loaded.

    Raises
    ------
    TailwiseError
        If there is no head of that type.
    """
    name, shape = description["type"], (description["in_features"], description["out_features"])
    if name not in _HEADS:
        raise TailwiseError(f"there is no head of type {name!r}.{nearest(name, _HEADS)}")
    if name == "NormedLinear":
        return NormedLinear(*shape)
    if name == "ScaledLinear":
        return ScaledLinear(nn.Linear(*shape))
    linear = OrderedLinear if name == "OrderedLinear" else nn.Linear
    return linear(*shape, bias=description["bias"])


def build_network(backbone: nn.Module, head: Mapping[str, Any], weights: Mapping[str, Any]) -> Network:
    """Return a network in evaluation mode with these weights, in float64 if they are, else in float32.

    Raises
    ------
    TailwiseError
        If the weights do not fit the backbone and the head, or are no finite numbers.
    """
    is_double = any(values.dtype == torch.float64 for name, values in weights.items() if not name.startswith(BEYOND))
    network = Network(backbone, build_head(head)).to(torch.float64 if is_double else torch.float32)
    try:
        load_whole_state(network, weights)
    except RuntimeError as error:
        problem = str(error).splitlines()[-1].strip()
        raise TailwiseError(
            f"the saved weights do not fit a network with backbone {type(backbone).__name__}: {problem}"
        ) from None
    odd = next((name for name, values in network.state_dict().items() if not values.isfinite().all()), None)
    if odd is not None:
        raise TailwiseError(f"the saved weights {odd!r} are not all finite numbers: train the network again.")
    return network.eval()
