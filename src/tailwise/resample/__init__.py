"""Rebalance the training data of a scikit-learn classifier, by weighting rows or by resampling them.

Examples
--------
>>> import numpy as np
>>> from sklearn.linear_model import LogisticRegression
>>> from tailwise.resample import SMOTE, ResampledClassifier
>>> X, y = np.arange(60.0).reshape(30, 2), np.repeat([0, 1], [24, 6])
>>> X_new, y_new = SMOTE(random_state=0).fit_resample(X, y)
>>> np.bincount(y_new).tolist()
[24, 24]

To cross-validate, resample within the classifier, which predicts on tables as they are:

>>> from sklearn.model_selection import cross_val_predict
>>> classifier = ResampledClassifier(LogisticRegression(), SMOTE(random_state=0))
>>> cross_val_predict(classifier, X, y, cv=3).shape
(30,)
"""

from tailwise._optional import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
