"""The residual networks for 32 × 32 images, as the long-tailed literature uses them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tailwise.errors import TailwiseError


class CIFARResNet(nn.Module):
    """Residual network for small images: 3 groups of ``(depth - 2) / 6`` blocks with 16, 32 and 64 channels.

    Shortcuts have no parameters (option A): where a block halves the resolution, they take every second pixel and fill
    the new channels with zeros. Depth 32 has 463,504 parameters, or 464,154 with a linear classifier for 10 classes.

    Parameters
    ----------
    depth : number of layers, 6 n + 2
    width : channels of the first group
    in_channels : channels of the images

    Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2; initial
    weights from He et al., Delving Deep into Rectifiers, ICCV 2015, eq. 10 (fan in).

    Verified: parameter count against the paper's 0.46 M.

    Shapes: (batch, in_channels, height, width) float → (batch, ``out_features``), which is 4 × width, 64 by default.

    Raises
    ------
    TailwiseError
        If the depth is not 6 n + 2.

    Examples
    --------
    >>> import torch
    >>> backbone = CIFARResNet(depth=8, width=8, in_channels=1)
    >>> backbone(torch.zeros(2, 1, 28, 28)).shape, backbone.out_features
    (torch.Size([2, 32]), 32)
    """

    def __init__(self, depth: int = 32, *, width: int = 16, in_channels: int = 3) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise TailwiseError(f"a CIFAR ResNet has 6 n + 2 layers (20, 32, 44, 56, 110), not {depth}.")
        blocks = (depth - 2) // 6
        self.out_features = 4 * width
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        widths = [width] * blocks + [2 * width] * blocks + [4 * width] * blocks
        self.blocks = nn.Sequential(
            *(_Block(before, after) for before, after in zip([width, *widths], widths, strict=False))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features: the mean over the pixels of the last group."""
        x = F.relu(self.norm(self.conv(inputs)), inplace=True)
        return self.blocks(x).mean((2, 3))


class _Block(nn.Module):
    """Two 3 × 3 convolutions and a shortcut without parameters."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.stride = 1 if before == after else 2
        self.pad = after - before
        self.conv1 = nn.Conv2d(before, after, 3, stride=self.stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad // 2, self.pad - self.pad // 2))
        return F.relu(y + x, inplace=True)


def resnet32(in_channels: int = 3) -> CIFARResNet:
    """Return the ResNet-32 with 0.46 M parameters that is usual for results on long-tailed CIFAR.

    Examples
    --------
    >>> import torch
    >>> from tailwise.nn import Network
    >>> network = Network.linear(resnet32(), n_classes=10)
    >>> sum(parameter.numel() for parameter in network.parameters())
    464154
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return CIFARResNet(32, in_channels=in_channels)
