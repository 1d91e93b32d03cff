"""A network: a backbone followed by a head."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from tailwise.errors import TailwiseError
from tailwise.nn._heads import NormedLinear
from tailwise.nn._standardise import Standardise


class Network(nn.Module):
    """Standardises inputs, then applies a backbone and a head.

    Parameters
    ----------
    backbone : any module from a batch of inputs to (batch, out_features)
    head : any module from (batch, out_features) to logits (batch, n_classes)
    """

    backbone: Any
    head: Any

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.inputs = Standardise()
        self.backbone = backbone
        self.head = head

    @classmethod
    def linear(cls, backbone: nn.Module, n_classes: int) -> Network:
        """Put a linear classifier on a backbone.

        Raises
        ------
        TailwiseError
            If the backbone has no integer attribute ``out_features``, or layers that are lazy.
        """
        return cls(backbone, nn.Linear(_width(backbone), n_classes))

    @classmethod
    def cosine(cls, backbone: nn.Module, n_classes: int) -> Network:
        """Put a cosine classifier on a backbone; otherwise like :meth:`linear`."""
        return cls(backbone, NormedLinear(_width(backbone), n_classes))

    def features(self, inputs: Tensor) -> Tensor:
        """Return (batch, out_features) features.

        Raises
        ------
        TailwiseError
            If the backbone's output does not have the shape that it declares.
        """
        features = self.backbone(self.inputs(inputs))
        width = getattr(self.backbone, "out_features", None)
        if not isinstance(features, Tensor) or features.ndim != 2 or width not in (None, features.shape[1]):
            made = tuple(features.shape) if isinstance(features, Tensor) else f"a {type(features).__name__}"
            kind = type(self.backbone).__name__
            raise TailwiseError(f"backbone {kind} must return features of shape (batch, {width}); it returned {made}.")
        return features

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits."""
        return self.head(self.features(inputs))


class Identity(nn.Module):
    """The backbone for frozen features: it returns its input, (batch, out_features)."""

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs."""
        return inputs


def _width(backbone: nn.Module) -> int:
    width, kind = getattr(backbone, "out_features", None), type(backbone).__name__
    lazy = next((type(part).__name__ for part in backbone.modules() if isinstance(part, LazyModuleMixin)), None)
    if lazy is not None:
        raise TailwiseError(
            f"backbone {kind} has a {lazy}, which has no weights before its first batch: use a layer of known width, "
            "or pass a batch through the backbone in the function that builds it."
        )
    if not isinstance(width, int):
        raise TailwiseError(f"backbone {kind} must have an int attribute out_features, the width of its features.")
    return width
