"""Evaluate ten million predictions: Tailwise beside scikit-learn's classification_report, with the same numbers.

    python benchmarks/evaluate_ten_million.py [--rows 10000000] [--repeat 3] [--write]

Both are given the same int64 arrays; each is timed in turn, and the median and the ratio are reported. The floor is
the time to read both arrays from memory once, measured as the sum of each.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.metrics import classification_report

from tailwise.metrics import evaluate


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def predictions(rows: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training counts, labels and predictions of a classifier that is worse on rarer classes."""
    rng = np.random.default_rng(0)
    counts = np.geomspace(5000, 5, k).astype(np.int64)
    labels = rng.integers(0, k, rows)
    wrong = np.minimum((rng.random(rows) ** 3 * k).astype(np.int64), k - 1)
    right = rng.random(rows) < np.linspace(0.95, 0.4, k)[labels]
    return counts, labels, np.where(right, labels, wrong)


def check(ours: Any, theirs: dict[str, Any]) -> None:
    """Stop unless every number of the report is ours too."""
    for row in ours.per_class():
        expected = theirs[row["class"]]
        assert row["support"] == expected["support"]
        for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert abs(row[name] - expected[key]) < 1e-12, (row, expected)
    assert abs(ours["accuracy"] - theirs["accuracy"]) < 1e-12
    assert abs(ours["balanced_accuracy"] - theirs["macro avg"]["recall"]) < 1e-12
    assert abs(ours["macro_f1"] - theirs["macro avg"]["f1-score"]) < 1e-12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/evaluate_ten_million.md")
    options = parser.parse_args()
    lines = [
        "| classes | scikit-learn, s | Tailwise, s | ratio | floor, s | Tailwise with intervals, s |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for k in (100, 1000):
        counts, labels, predicted = predictions(options.rows, k)
        times: dict[str, list[float]] = {"theirs": [], "ours": [], "floor": [], "intervals": []}
        for _ in range(options.repeat):
            theirs, seconds = timed(lambda y=labels, p=predicted: classification_report(y, p, output_dict=True))
            times["theirs"].append(seconds)
            ours, seconds = timed(lambda y=labels, p=predicted, c=counts: evaluate(y, p, class_counts=c, n_bootstrap=0))
            times["ours"].append(seconds)
            times["floor"].append(timed(lambda y=labels, p=predicted: (y.sum(), p.sum()))[1])
            times["intervals"].append(timed(lambda y=labels, p=predicted, c=counts: evaluate(y, p, class_counts=c))[1])
            check(ours, theirs)
        m = {name: statistics.median(values) for name, values in times.items()}
        lines.append(
            f"| {k} | {m['theirs']:.2f} | {m['ours']:.3f} | {m['theirs'] / m['ours']:.0f}× | {m['floor']:.3f} | "
            f"{m['intervals']:.2f} |"
        )
        print(lines[-1], flush=True)
    megabytes = options.rows * 16 / 1e6
    text = "\n".join(
        [
            "# Evaluation of ten million predictions",
            "",
            f"`python benchmarks/evaluate_ten_million.py --write`: {options.rows:,} rows, int64 codes,",
            f"median of {options.repeat} runs in turn in one process.",
            f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, NumPy "
            f"{np.__version__}, scikit-learn {sklearn.__version__}.",
            "Every precision, recall, F1, support and mean was checked to equal scikit-learn's to 1e-12.",
            "",
            *lines,
            "",
            f"The floor is one pass over the {megabytes:,.0f} MB of labels and predictions (their sums). Tailwise",
            "counts them into the confusion matrix in blocks that stay in cache; all else follows from the matrix.",
            "Intervals are 95 % bootstrap intervals of every overall, group and per-class number: 1000 resamples,",
            "or as many (at least 100) as 50 million resampled cells of the matrix allow.",
            "",
        ]
    )
    print(text)
    if options.write:
        result = Path(__file__).parent / "results" / "evaluate_ten_million.md"
        result.parent.mkdir(exist_ok=True)
        result.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
