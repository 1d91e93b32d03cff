"""How much memory does fitting a table of a million rows take, beside the same booster on all rows?

    python benchmarks/fit_million_rows.py --write

1,000,000 rows × 20 float32 columns, 50 classes with imbalance factor 1,000: Gaussian classes around random centres.
Each fit runs in a process of its own; memory is the peak of the process over what it had before the fit, as a multiple
of the table's own 80 MB. The floor of training on all rows is 16 bytes per row and class (a raw prediction in float64,
gradient and hessian in float32): 800 MB, ten times the table.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score

from tailwise import TailClassifier
from tailwise.data import longtail
from tailwise.resample import CaseControlClassifier

ROWS, COLUMNS, CLASSES, FACTOR, ITERATIONS = 1_000_000, 20, 50, 1000, 5
RESULT = Path(__file__).parent / "results" / "fit_million_rows.md"


def draw(counts: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(CLASSES, COLUMNS)).astype(np.float32)
    y = np.repeat(np.arange(CLASSES), counts)
    x = rng.standard_normal((len(y), COLUMNS), dtype=np.float32)
    for start in range(0, len(y), 65536):
        x[start : start + 65536] += 0.7 * centres[y[start : start + 65536]]
    order = rng.permutation(len(y))
    return x[order], y[order]


def memory(field: str) -> int:
    """Return a figure of this process's memory in bytes, as Linux keeps it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def fit(which: str) -> dict[str, float]:
    profile = longtail.exponential(100_000, FACTOR, CLASSES)
    x, y = draw((profile * (ROWS / profile.sum())).astype(int) + 1, 1)
    booster = HistGradientBoostingClassifier(early_stopping=False, l2_regularization=1.0, max_iter=ITERATIONS)
    model = {
        "all rows": booster,
        "CaseControlClassifier": CaseControlClassifier(booster, random_state=0),
        "TailClassifier": TailClassifier("logit-adjustment", estimator=CaseControlClassifier(booster), random_state=0),
        "TailClassifier, four recipes": TailClassifier(
            ["cross-entropy", "tuned-thresholds", "class-weighted", "balanced-bagging"],
            estimator=CaseControlClassifier(booster),
            random_state=0,
        ),
    }[which]
    model.fit(x[:2000], y[:2000] % 5)  # imports and thread pools are not the fit's memory
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here, not from drawing the data
    base = memory("VmRSS")
    start = time.perf_counter()
    model.fit(x, y)
    seconds = time.perf_counter() - start
    peak = memory("VmHWM") - base
    test, truth = draw(np.full(CLASSES, 200), 2)
    return {
        "which": which,
        "table_mb": x.nbytes / 1e6,
        "tables": peak / x.nbytes,
        "seconds": seconds,
        "balanced_accuracy": balanced_accuracy_score(truth, model.predict(test)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(fit(options.only)))
        return
    lines = []
    for which in ("TailClassifier", "TailClassifier, four recipes", "CaseControlClassifier", "all rows"):
        command = [sys.executable, __file__, "--only", which]
        r = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        lines.append(f"| {which} | {r['tables']:.1f} | {r['seconds']:.0f} | {r['balanced_accuracy']:.3f} |")
        print(lines[-1], flush=True)
    text = "\n".join(
        [
            "# Fitting a million rows",
            "",
            f"`python benchmarks/fit_million_rows.py --write`: {ROWS:,} rows × {COLUMNS} float32 columns",
            f"({r['table_mb']:.0f} MB), {CLASSES} classes, imbalance factor {FACTOR:,}; histogram gradient boosting",
            f"with {ITERATIONS} iterations. {platform.machine()}, 2 cores shared with other work, Python",
            f"{platform.python_version()}, scikit-learn {sklearn.__version__}. One run each.",
            "",
            "| fit | peak memory over base, in tables | seconds | balanced accuracy |",
            "|---|---:|---:|---:|",
            *lines,
            "",
            "`TailClassifier` compares on three folds, then trains on everything and calibrates; its one recipe is",
            "post-hoc logit adjustment. It scores a part of the held-out rows only, the tail whole and the others",
            "weighted. The floor of all rows is ten tables (see the script).",
            "",
        ]
    )
    if options.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
