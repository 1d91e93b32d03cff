"""The report: one HTML file with the verdict, the pictures and the numbers. It needs no network and no script."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
