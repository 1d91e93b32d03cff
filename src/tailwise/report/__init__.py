"""The report: one HTML file with the verdict, the pictures and the numbers. It needs no network and no script.

Examples
--------
>>> from tailwise.metrics import evaluate
>>> from tailwise.report import Report, render
>>> labels, predicted = [0] * 90 + [1] * 10, [0] * 95 + [1] * 5
>>> found = evaluate(labels, predicted, class_counts=[900, 15], class_names=["apple", "cherry"])
>>> page = render(Report("Fruit", found.to_dict()))
>>> "cherry" in page, "<script" in page
(True, False)
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
