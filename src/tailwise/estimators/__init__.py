"""What fits, compares, predicts, saves and loads: :class:`TailClassifier` and the :class:`Model` it learns."""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
