"""Class-weighted histogram boosting beside scikit-learn's own with ``sample_weight``: time, and the same answers.

    python benchmarks/weighted_boosting.py > benchmarks/results/weighted_boosting.md

scikit-learn 1.9 sorts a column for each of its 255 quantiles as soon as there are weights. ``WeightedClassifier`` gives
it columns of as many values. The floor is the same boosting without weights.
"""

import platform
import statistics
import time

import numpy as np
import sklearn
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score

from tailwise.counts import class_weights
from tailwise.resample import WeightedClassifier

CASES = [(2_000, 300, 1), (2_000, 20, 100), (20_000, 20, 30)]


def booster(iterations):
    return HistGradientBoostingClassifier(max_iter=iterations, early_stopping=False, random_state=0)


def main():
    print("# Class-weighted histogram boosting\n")
    print(
        f"`python benchmarks/weighted_boosting.py`: {platform.machine()}, Python {platform.python_version()}, ", end=""
    )
    print(f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}, 2 cores; CPU seconds, median of 3 in turn.\n")
    print("| rows × columns, iterations | scikit-learn, s | ours, s | ratio | floor, s | balanced accuracy, both |")
    print("|---|---:|---:|---:|---:|---|")
    for n, width, iterations in CASES:
        shares = [0.7, 0.2, 0.07, 0.03]
        X, y = make_classification(
            2 * n, width, n_informative=10, n_classes=4, weights=shares, class_sep=0.8, random_state=0
        )
        X, y, test_X, test_y = X[:n], y[:n], X[n:], y[n:]
        weights = class_weights(np.bincount(y), "inverse")[y]
        fits = {
            "its": lambda X=X, y=y, i=iterations, w=weights: booster(i).fit(X, y, sample_weight=w),
            "ours": lambda X=X, y=y, i=iterations: WeightedClassifier(booster(i)).fit(X, y),
            "floor": lambda X=X, y=y, i=iterations: booster(i).fit(X, y),
        }
        taken, score = {name: [] for name in fits}, {}
        for _ in range(3):
            for name, fit in fits.items():
                start = time.process_time()
                fitted = fit()
                taken[name].append(time.process_time() - start)
                score[name] = balanced_accuracy_score(test_y, fitted.predict(test_X))
        its, ours, floor = (statistics.median(taken[name]) for name in fits)
        cells = [f"{n:,} × {width}, {iterations}", f"{its:.2f}", f"{ours:.2f}", f"{its / ours:.0f}", f"{floor:.2f}"]
        print("|", " | ".join([*cells, f"{score['its']:.3f}, {score['ours']:.3f}"]), "|", flush=True)


if __name__ == "__main__":
    main()
