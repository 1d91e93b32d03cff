"""Augmentations of whole batches: ``augment(inputs, targets, generator) -> (inputs, targets)``."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
