"""The estimators, which compare recipes and fit the best, and the models they learn, which predict, save and load."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
