"""Tailwise: learn from long-tailed data with imperfect labels, and be honest about the rare classes."""

from tailwise._optional import attach

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = attach(__name__, __file__)
