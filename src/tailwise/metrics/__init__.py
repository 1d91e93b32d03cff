"""Measures of a classifier on long-tailed data, each with a bootstrap interval. Without torch.

A class without test examples has no recall, so it is left out of every macro average, and a group of such classes is
absent; no measure of several classes is ever NaN.

Examples
--------
Rare classes are in sight, and every number has its interval:

>>> from tailwise.metrics import evaluate
>>> labels, predicted = [0] * 90 + [1] * 10, [0] * 95 + [1] * 5
>>> found = evaluate(labels, predicted, class_counts=[900, 15], class_names=["common", "rare"])
>>> found["accuracy"], found["balanced_accuracy"], found["few_shot_accuracy"]
(0.95, 0.75, 0.5)
>>> estimate = found.overall["balanced_accuracy"]
>>> 0.5 < estimate.low < estimate.value < estimate.high < 1
True
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
