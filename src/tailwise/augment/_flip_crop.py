"""Random horizontal flip and random crop of a padded image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FlipCrop:
    """Flip each image with probability one half, and shift it by up to ``padding`` pixels over a black background.

    The standard augmentation of CIFAR, drawn per image and applied to the whole batch at once. It works on any type;
    uint8 moves the fewest bytes. Draws come from a CPU generator, so they are the same on every device.

    Parameters
    ----------
    padding : maximum shift in pixels, in each direction
    flip : whether to flip images horizontally

    Shapes: inputs (batch, channels, height, width), targets anything; inputs keep shape and type, targets are returned
    unchanged.

    Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.
    """

    padding: int = 4
    flip: bool = True

    def __call__(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return augmented inputs and the same targets."""
        n, _, height, width = inputs.shape
        span = 2 * self.padding + 1
        top = torch.randint(span, (n, 1), generator=generator)
        left = torch.randint(span, (n, 1), generator=generator)
        columns = torch.arange(width).expand(n, width)
        if self.flip:
            mirrored = torch.randint(2, (n, 1), generator=generator).bool()
            columns = torch.where(mirrored, columns.flip(1), columns)
        rows = (torch.arange(height) + top)[:, :, None].to(inputs.device, non_blocking=True)
        columns = (columns + left)[:, None, :].to(inputs.device, non_blocking=True)
        images = inputs.permute(0, 2, 3, 1)  # pixels last: an index then moves whole pixels
        padded = images.new_zeros(n, height + 2 * self.padding, width + 2 * self.padding, images.shape[3])
        padded[:, self.padding : self.padding + height, self.padding : self.padding + width] = images
        image = torch.arange(n, device=inputs.device)[:, None, None]
        return padded[image, rows, columns].permute(0, 3, 1, 2), targets
