"""Boosting on tables of a few dozen rows: the default learner, and the same with leaves of at least 20 examples.

    python benchmarks/small_tables.py > benchmarks/results/small_tables.md

Data sets of scikit-learn, made exponentially long-tailed; which class is rare changes with the seed. Half of the rows
(of the digits two fifths) are held out for the test, and a part of the others is trained on. Plain boosting, and the
same with logit adjustment after training.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.metrics import balanced_accuracy_score

from tailwise.data import as_dataset, longtail, make_long_tailed, stratified_split
from tailwise.estimators._defaults import default_estimator
from tailwise.posthoc import logit_adjustment

CASES: list[tuple[str, Callable[..., tuple[np.ndarray, np.ndarray]], int, float]] = [
    ("iris", load_iris, 25, 5),
    ("iris", load_iris, 25, 12),
    ("wine", load_wine, 24, 6),
    ("wine", load_wine, 24, 12),
    ("breast cancer", load_breast_cancer, 60, 15),
    ("breast cancer", load_breast_cancer, 100, 10),
    ("digits", load_digits, 30, 10),
    ("digits", load_digits, 60, 20),
    ("digits", load_digits, 105, 50),
]


def scores(x: np.ndarray, y: np.ndarray, most: int, factor: float, seed: int) -> tuple[int, dict[str, list[float]]]:
    """Return the number of rows trained on, and balanced accuracy by leaf, plain and adjusted."""
    k = int(y.max()) + 1
    y = np.random.default_rng(seed).permutation(k)[y]
    learn, test = stratified_split(y, 0.4 if k == 10 else 0.5, seed)
    largest = min(most, int(np.bincount(y[learn]).min()))
    rows = learn[make_long_tailed(y[learn], longtail.exponential(largest, factor, k), "random", random_state=seed)]
    found = {}
    booster = default_estimator(as_dataset(x[rows], y[rows])).estimator
    for leaf, fewest in (("default", booster.min_samples_leaf), ("20", 20)):
        fitted = clone(booster).set_params(min_samples_leaf=fewest, random_state=seed).fit(x[rows], y[rows])
        log_p = np.log(fitted.predict_proba(x[test]) + 1e-12)
        adjusted = logit_adjustment(np.bincount(y[rows], minlength=k))(log_p)
        found[leaf] = [balanced_accuracy_score(y[test], s.argmax(axis=1)) for s in (log_p, adjusted)]
    return len(rows), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    print(f"# Boosting on small tables\n\n`python benchmarks/small_tables.py`, means of {len(seeds)} seeds: balanced")
    print("accuracy, plain and with logit adjustment, by the fewest examples of a leaf.\n")
    print("| data | rows | imbalance factor | plain, default | plain, 20 | adjusted, default | adjusted, 20 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, read, most, factor in CASES:
        x, y = read(return_X_y=True)
        runs: dict[str, list[list[float]]] = defaultdict(list)
        for seed in seeds:
            n, found = scores(x, y, most, factor, seed)
            for leaf, pair in found.items():
                runs[leaf].append(pair)
        (plain, adjusted), (plain20, adjusted20) = (np.mean(runs[leaf], axis=0) for leaf in ("default", "20"))
        print(f"| {name} | {n} | {factor:g} | {plain:.3f} | {plain20:.3f} | {adjusted:.3f} | {adjusted20:.3f} |")


if __name__ == "__main__":
    main()
