"""Post-processing of scores: prior shift, calibration, thresholds and prediction sets. Without torch.

A *step* is a per-class scale and bias on (n, n_classes) scores; a *chain* is a sequence of steps.
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
