"""Augmentations of whole batches: ``augment(inputs, targets, generator) -> (inputs, targets)``.

Examples
--------
>>> import torch
>>> from tailwise.augment import FlipCrop, Mixup
>>> generator = torch.Generator().manual_seed(0)
>>> images, targets = torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.tensor([0, 0, 0, 1])
>>> FlipCrop(padding=4)(images, targets, generator)[0].shape
torch.Size([4, 3, 32, 32])
>>> mixed, rows = Mixup(n_classes=2)(images, targets, generator)  # rows: shares of the classes
>>> rows.sum(0).round()
tensor([3., 1.])
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
