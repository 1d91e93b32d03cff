"""A multi-layer perceptron for tables."""

from __future__ import annotations

from torch import nn

from tailwise.errors import TailwiseError


class MLP(nn.Sequential):
    """Blocks of linear layer, layer normalisation, ReLU and dropout, for standardised inputs as in ``Network``.

    It uses layer normalisation because batch statistics would be dominated by the head classes.

    Parameters
    ----------
    in_features : number of inputs
    widths : number of outputs of each layer
    dropout : probability of dropping an activation

    Shapes: (batch, in_features) float → (batch, ``out_features``), the last of ``widths``.

    Raises
    ------
    TailwiseError
        If there is no layer, or a width is not positive.

    Examples
    --------
    >>> import torch
    >>> from tailwise.nn import Network
    >>> backbone = MLP(8, widths=(32, 16))
    >>> backbone(torch.randn(4, 8)).shape, backbone.out_features
    (torch.Size([4, 16]), 16)
    >>> Network.linear(backbone, n_classes=5)(torch.randn(4, 8)).shape
    torch.Size([4, 5])
    """

    def __init__(self, in_features: int, widths: tuple[int, ...] = (256, 128), *, dropout: float = 0.1) -> None:
        if not widths or min(widths) < 1 or in_features < 1:
            raise TailwiseError(f"an MLP needs positive widths; got {in_features} inputs and layers {tuple(widths)}.")
        layers: list[nn.Module] = []
        for before, after in zip((in_features, *widths), widths, strict=False):
            layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        super().__init__(*layers)
        self.out_features = widths[-1]
