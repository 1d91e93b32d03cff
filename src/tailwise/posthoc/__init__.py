"""Post-processing of scores: prior shift, calibration, thresholds and prediction sets. Without torch.

A *step* is a per-class scale and bias on (n, n_classes) scores; a *chain* is a sequence of steps.

Examples
--------
A chain that is calibrated on held-out scores, and then adjusted to decide for balanced accuracy:

>>> from tailwise.posthoc import apply, fit_temperature, logit_adjustment, softmax
>>> scores, labels = [[4.0, 0.0]] * 400, [0] * 300 + [1] * 100
>>> chain = [fit_temperature(scores, labels), logit_adjustment([300, 100])]
>>> softmax(apply(chain[:1], [[4.0, 0.0]])).round(2).tolist()
[[0.75, 0.25]]
>>> apply(chain, [[1.0, 0.0], [8.0, 0.0]]).argmax(axis=1).tolist()
[1, 0]
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
