"""Objectives against scikit-learn, in direction, and where a class or a group is missing."""

import numpy as np
import pytest
from sklearn import metrics as sk

from tailwise.errors import TailwiseError
from tailwise.metrics import OBJECTIVES, objective

COUNTS = np.array([500, 120, 60, 12])


def test_objectives_are_scikit_learns():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 200)
    p = np.where(rng.random(200) < 0.6, y, rng.integers(0, 4, 200))
    recall = sk.recall_score(y, p, average=None)
    expected = {
        "balanced_accuracy": sk.balanced_accuracy_score(y, p),
        "macro_f1": sk.f1_score(y, p, average="macro"),
        "few_shot_accuracy": recall[3],
        "worst_class": recall.min(),
        "g_mean": recall.prod() ** 0.25,
        "accuracy": sk.accuracy_score(y, p),
    }
    assert list(expected) == list(OBJECTIVES)
    for name, value in expected.items():
        assert objective(name)(sk.confusion_matrix(y, p), COUNTS) == pytest.approx(value)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_perfect_is_one_and_a_rare_error_lowers_all(name):
    perfect = np.diag([10, 10, 10, 10])
    assert objective(name)(perfect, COUNTS) == 1
    wrong = perfect.copy()
    wrong[3] = [5, 0, 0, 5]
    assert objective(name)(wrong, COUNTS) < 1


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_class_without_examples_does_not_count(name):
    found = objective(name)(np.diag([10, 10, 10, 0]), COUNTS)
    assert found == 1
    with pytest.raises(TailwiseError, match="empty"):
        objective(name)(np.zeros((4, 4), dtype=int), COUNTS)


def test_unknown_objective_suggests():
    with pytest.raises(TailwiseError, match="mean 'balanced_accuracy'"):
        objective("balanced_acuracy")


def test_no_torch_is_imported():
    import subprocess
    import sys

    code = "import sys, tailwise.metrics as m; m.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
