"""Measures of a classifier on long-tailed data, each with a bootstrap interval. Without torch.

A class without test examples has no recall, so it is left out of every macro average, and a group of such classes is
absent; no measure of several classes is ever NaN.
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
