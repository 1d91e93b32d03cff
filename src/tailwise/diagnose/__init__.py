"""Report how long the tail is, and what is wrong with labels, rows and columns, before anything is trained."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
