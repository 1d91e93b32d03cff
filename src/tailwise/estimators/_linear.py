"""The linear classifier for texts and other sparse features."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from scipy.special import log_expit, logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data


class OneVsRestLogisticRegression(ClassifierMixin, BaseEstimator):
    """One logistic regression per class, that class against all others, fitted by LIBLINEAR's dual coordinate descent.

    A pass over the data costs its non-zero values times the classes, however many features there are, where a step of
    multinomial logistic regression by L-BFGS moves ten vectors of classes times features. On texts it took a ninth to a
    twentieth of the time, with a slightly better balanced accuracy (benchmarks/results/linear_texts.md).

    scikit-learn's ``OneVsRestClassifier`` takes no ``sample_weight``, which recipes need.

    Parameters
    ----------
    C : inverse strength of the L2 penalty, which the intercepts share
    tol : of the stopping rule; LIBLINEAR's own default for this solver
    max_iter : passes over the data, at most. Single regressions with large weights may need more, which hardly changes
        their log odds; if more than a tenth do, there is a warning
    random_state : of the order in which examples are visited

    Attributes
    ----------
    classes_ : (n_classes,) labels
    coef_ : (n_classes, n_features), or (1, n_features) for two classes; float32 for float32 features
    intercept_, n_iter_ : (n_classes,), or (1,)

    Source: Yu, Huang and Lin, Dual coordinate descent methods for logistic regression and maximum entropy models,
    Machine Learning 2011, Algorithm 5.
    """

    def __init__(
        self,
        C: float = 1.0,
        tol: float = 0.1,
        max_iter: int = 200,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> OneVsRestLogisticRegression:
        """Fit a binary classifier for each class.

        Parameters
        ----------
        X : (n, n_features) sparse matrix or array
        y : (n,) labels
        sample_weight : (n,) weights from 0; None weighs all alike. Rows of weight 0, and classes with no others, are
            left out

        Raises
        ------
        ValueError
            If fewer than two classes have weight, or as scikit-learn's LogisticRegression does.
        """
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32])
        check_classification_targets(y)
        if sample_weight is not None:  # LIBLINEAR cannot fit a class without weight
            weights = column_or_1d(sample_weight, dtype=np.float64)
            check_consistent_length(X, weights)
            weighed = weights > 0
            X, y, sample_weight = X[weighed], np.asarray(y)[weighed], weights[weighed]
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            found = f"1 class, {self.classes_[0]}" if len(self.classes_) else "none"
            raise ValueError(f"a classifier needs rows of weight above zero in at least two classes; there is {found}.")
        binary = LogisticRegression(
            C=self.C,
            solver="liblinear",
            dual=True,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        doubles = X.astype(np.float64, copy=False)  # LIBLINEAR's own type, converted once for all classes
        if issparse(X) and X.nnz <= np.iinfo(np.int32).max:  # and its own type of indices
            places = (indices.astype(np.int32, copy=False) for indices in (X.indices, X.indptr))
            doubles = type(X)((doubles.data, *places), shape=X.shape)
        coefficients, intercepts, passes = [], [], []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one for each class
            for positive in self.classes_[-1:] if len(self.classes_) == 2 else self.classes_:
                binary.fit(doubles, y == positive, sample_weight)
                coefficients.append(binary.coef_.astype(X.dtype))
                intercepts.append(binary.intercept_.astype(X.dtype))
                passes.append(binary.n_iter_)
        self.coef_ = np.asfortranarray(np.concatenate(coefficients))  # each prediction would copy it otherwise
        self.intercept_ = np.concatenate(intercepts)
        self.n_iter_ = np.concatenate(passes)
        late = np.count_nonzero(self.n_iter_ >= self.max_iter)
        if late > 0.1 * len(self.n_iter_):
            warnings.warn(
                f"{late} of {len(self.n_iter_)} regressions did not converge in {self.max_iter} passes: scale the "
                "features, with MaxAbsScaler for example, or raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return (n, n_classes) log odds of each class against the rest; (n,) of the second class if there are two."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        odds = np.asarray(X @ self.coef_.T) + self.intercept_
        return odds[:, 0] if len(self.classes_) == 2 else odds

    def predict(self, X: Any) -> NDArray[Any]:
        """Return (n,) labels."""
        odds = self.decision_function(X)
        return self.classes_[(odds > 0).astype(np.intp) if odds.ndim == 1 else odds.argmax(axis=1)]

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithms of :meth:`predict_proba`, exact where probabilities underflow."""
        odds = self.decision_function(X)
        if odds.ndim == 1:
            return log_expit(np.stack([-odds, odds], axis=1))
        binary = log_expit(odds)
        return binary - logsumexp(binary, axis=1, keepdims=True)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return (n, n_classes): each class's probability against the rest, divided by the sum of all."""
        return np.exp(self.predict_log_proba(X))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that sparse matrices are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
