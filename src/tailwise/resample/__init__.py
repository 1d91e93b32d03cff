"""Re-balance what a scikit-learn classifier is trained on: by weights, or by which rows it sees."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
