"""Report the imbalance of a data set and problems with its labels, rows and columns, before training."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
