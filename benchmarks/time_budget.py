"""Does a fit end within its time budget? Long-tailed tables of 20 features, wall time over budget.

    python benchmarks/time_budget.py

For each table and budget: the wall time of `TailClassifier(time_budget=..., baseline=True).fit` with its default
recipes, over the budget; what was chosen; its balanced accuracy on as many other rows; and what was left out.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from tailwise import TailClassifier
from tailwise.data import longtail, stratified_split

IMBALANCE = 300


def table(n_rows: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shares = longtail.exponential(10_000, IMBALANCE, n_classes)
    labels = np.repeat(np.arange(n_classes), np.maximum(shares * n_rows // shares.sum(), 3))
    centres = rng.normal(size=(n_classes, 20))
    return centres[labels] + 1.2 * rng.normal(size=(len(labels), 20)), labels


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    tables = [*itertools.product((20_000, 100_000), (20, 50), (20, 60)), (20_000, 1_000, 30), (20_000, 1_000, 120)]
    for n_rows, n_classes, budget in tables:
        x, y = table(2 * n_rows, n_classes)
        learn, test = stratified_split(y, 0.5, 0)
        classifier = TailClassifier(time_budget=budget, baseline=True, random_state=0)
        start = time.monotonic()
        classifier.fit(x[learn], y[learn])
        ratio = (time.monotonic() - start) / budget
        score = balanced_accuracy_score(y[test], classifier.predict(x[test]))
        late = [row.recipe for row in classifier.comparison_ if row.outcome == "out of time"]
        print(
            f"{n_rows:,} rows, {n_classes} classes, {budget} s: {ratio:.2f} of the budget, {classifier.recipe_.name}, "
            f"{score:.3f}; out of time: {', '.join(late) or 'none'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
