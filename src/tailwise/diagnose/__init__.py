"""Report the imbalance of a data set and problems with its labels, rows and columns, before training.

Examples
--------
>>> import polars as pl
>>> from tailwise.diagnose import diagnose
>>> weights, kinds = [0.1 * (7 * row % 50) for row in range(50)], (["apple"] * 9 + ["cherry"]) * 5
>>> found = diagnose(pl.DataFrame({"weight": weights, "shop": ["ours"] * 50, "kind": kinds}), target="kind")
>>> found.classes, found.class_counts.tolist(), found.imbalance_factor
(('apple', 'cherry'), [45, 5], 9.0)
>>> found.findings[0].sentence
"Column 'shop' has the same value in all rows: drop it."
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
