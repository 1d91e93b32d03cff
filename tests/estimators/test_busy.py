"""Small fits do not wait for threads on a machine that is busy with something else."""

from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_info, threadpool_limits

from estimators.cases import quick, table
from tailwise.estimators import _fitted


def openmp() -> dict[str, int]:
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}


class Counting(ClassifierMixin, BaseEstimator):
    """A classifier that notes how many threads OpenMP would take."""

    seen: ClassVar[list[int]] = []

    def fit(self, X: Any, y: Any) -> "Counting":
        self.classes_ = np.unique(y)
        return self._note()

    def predict_proba(self, X: Any) -> Any:
        self._note()
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def _note(self) -> "Counting":
        self.seen.extend(openmp().values())
        return self


@pytest.mark.parametrize("is_small", [True, False])
def test_a_small_table_takes_one_thread_and_gives_the_others_back(
    is_small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: F401  # brings OpenMP

    x, y = table((200, 60, 20))
    if not is_small:
        monkeypatch.setattr(_fitted, "_FEW", 1)
    Counting.seen.clear()
    with threadpool_limits(2, "openmp"):
        before = openmp()
        assert set(before.values()) == {2}
        quick("cross-entropy", estimator=Counting(), cv=0.3).fit(x, y).predict(x)
        assert set(Counting.seen) == {1 if is_small else 2}
        assert openmp().items() >= before.items()
