"""Rebalance the training data of a scikit-learn classifier, by weighting rows or by resampling them."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
