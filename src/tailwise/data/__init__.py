"""Read tables, images and texts, check them, encode them, split them, and make them long-tailed.

Examples
--------
>>> from tailwise.data import as_dataset, longtail, make_long_tailed, stratified_split
>>> balanced = as_dataset([[float(i)] for i in range(60)], ["a", "b", "c"] * 20)
>>> counts = longtail.exponential(n_max=20, imbalance_factor=4, n_classes=3)
>>> tailed = balanced.take(make_long_tailed(balanced.labels, counts))
>>> train, test = stratified_split(tailed.labels, test_size=0.2, random_state=0)
>>> tailed.class_counts.tolist(), tailed.take(test).class_counts.tolist()
([20, 10, 5], [4, 2, 1])
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
