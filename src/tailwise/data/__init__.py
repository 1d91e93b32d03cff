"""Read tables, images and texts, check them, encode them, split them, and make them long-tailed."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
