"""What resamples or weighs sets of labels and continuous targets, beside what a user would pick: time and memory.

    python benchmarks/resample_targets_speed.py [--mlsmote FOLDER --python OTHER] [--rows 2000 5000 50000] [--limit 300]
        [--only density_weights ...] > benchmarks/results/resample_targets_speed.md

FOLDER has mlsmote.py of github.com/niteshsukhwani/MLSMOTE; SMOGN's other side is the package ``smogn`` from PyPI, which
needs NumPy before 1.25: OTHER is the interpreter of an environment with both. Without them these two are left out. What
stands beside the others is written out below, as their authors publish it: a loop, or a few lines of SciPy. The sides
get the same table of 20 features. Every measurement is a process of its own; memory is its peak over what it took with
the table loaded and everything imported. A side that takes longer than ``--limit`` seconds is stopped.
"""

import argparse
import json
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from memory import forget_peak, resident


def labels(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features, and a long-tailed label set of ten labels for each row, which follows them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 20))
    shares = np.geomspace(0.4, 0.01, 10)
    scores = X[:, :10] + rng.normal(size=(rows, 10))
    return X, (scores > np.quantile(scores, 1 - shares, axis=0).diagonal()).astype(int)


def target(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features, and a continuous target with a long tail on the right."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 20))
    return X, np.exp(X[:, 0] + 0.5 * rng.normal(size=rows))


def mlsmote(X, y):
    import mlsmote
    import pandas as pd

    few = mlsmote.get_minority_instace(pd.DataFrame(X), pd.DataFrame(y))
    added = int(y[:, y.sum(0).max() / y.sum(0) > (y.sum(0).max() / y.sum(0)).mean()].sum())  # as many as ours adds
    return np.empty(len(X) + len(mlsmote.MLSMOTE(*few, added)[0]) - len(few[0]))


def smogn(X, y):
    import pandas as pd
    import smogn

    return smogn.smoter(pd.DataFrame(X).assign(target=y).rename(columns=str), "target", rel_thres=0.8)


def repeated(X, y):
    """Repeat rows of minority labels in turn, after the paper's algorithm."""
    draw, counts, clones = random.Random(0), y.sum(0), []
    mean = (counts.max() / counts).mean()
    bags = {label: np.flatnonzero(y[:, label]) for label in np.flatnonzero(counts.max() / counts > mean)}
    while bags and len(clones) < len(y) // 4:
        for label in list(bags):
            clones.append(draw.choice(bags[label]))
            counts = counts + y[clones[-1]]
            if counts.max() / counts[label] <= mean:
                del bags[label]
    return np.concatenate([X, X[clones]])


def left_out(X, y):
    """Leave out rows of majority labels in turn, after the paper's algorithm."""
    draw, counts, gone = random.Random(0), y.sum(0), set()
    ratios = counts.max() / counts
    mean, safe = ratios.mean(), y[:, ratios > ratios.mean()].any(1)
    bags = {label: np.flatnonzero(y[:, label] & ~safe).tolist() for label in np.flatnonzero(ratios < mean)}
    for rows in bags.values():
        draw.shuffle(rows)
    while bags and len(gone) < len(y) // 4:
        for label in list(bags):
            rows = bags[label]
            while rows and rows[-1] in gone:
                rows.pop()
            if rows:
                gone.add(rows[-1])
                counts = counts - y[rows.pop()]
            if not rows or counts.max() / counts[label] >= mean:
                del bags[label]
    return np.delete(X, list(gone), axis=0)


def smoothed(X, y):
    """Weigh by the smoothed density, a loop over the rows, as the authors of label-distribution smoothing do."""
    from scipy.ndimage import gaussian_filter1d

    edges = np.linspace(y.min(), y.max(), 101)
    counts = dict.fromkeys(range(100), 0)
    bins = [min(int(np.searchsorted(edges, value, side="right")) - 1, 99) for value in y]
    for at in bins:
        counts[at] += 1
    density = gaussian_filter1d(np.array(list(counts.values()), float), 2.0, mode="reflect")
    weights = [1 / density[at] for at in bins]
    scale = len(weights) / sum(weights)
    return np.array([scale * weight for weight in weights])


def hermite(X, y):
    """Interpolate the relevance by SciPy's spline."""
    from scipy.interpolate import CubicHermiteSpline

    low, middle, high = np.percentile(y, [25, 50, 75])
    ends = max(y.min(), low - 1.5 * (high - low)), middle, min(y.max(), high + 1.5 * (high - low))
    return CubicHermiteSpline(ends, [1, 0, 1], [0, 0, 0])(np.clip(y, ends[0], ends[2]))


#: What makes the targets, and what stands beside ours.
METHODS = {
    "MLSMOTE": (labels, mlsmote),
    "MLRandomOverSampler": (labels, repeated),
    "MLRandomUnderSampler": (labels, left_out),
    "SMOGN": (target, smogn),
    "density_weights": (target, smoothed),
    "relevance": (target, hermite),
}
ELSEWHERE = {"MLSMOTE", "SMOGN"}


def run(method: str, whose: str, X: np.ndarray, y: np.ndarray) -> int:
    """Resample or weigh, and return how many rows come out."""
    if whose == "theirs":
        return len(METHODS[method][1](X, y))
    from tailwise import resample

    if method in ("density_weights", "relevance"):
        return len(getattr(resample, method)(y))
    return len(getattr(resample, method)(random_state=0).fit_resample(X, y)[0])


def measure(method: str, whose: str, rows: int) -> dict:
    warnings.simplefilter("ignore")
    make = METHODS[method][0]
    run(method, whose, *make(300))  # imports and threads
    X, y = make(rows)
    forget_peak()
    base, start = resident("VmRSS"), time.process_time()
    came = run(method, whose, X, y)
    return {"cpu": time.process_time() - start, "memory": (resident("VmHWM") - base) / 1e6, "rows": came}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlsmote", type=Path, default="")
    parser.add_argument("--python", default="")
    parser.add_argument("--only", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--rows", nargs="+", type=int, default=[2000, 5000, 50_000])
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.path.insert(0, str(options.mlsmote))
        print(json.dumps(measure(options.one[0], options.one[1], int(options.one[2]))))
        return
    print("# Speed of the resamplers for sets of labels and continuous targets\n")
    print("Tables of 20 features, float64; CPU seconds and memory at the peak. Its: see the script.\n")
    print("| method | rows | ours, s | its, s | ratio | ours, MB | its, MB | rows that come out, ours and its |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for method in [method for method in options.only if options.python or method not in ELSEWHERE]:
        for rows in options.rows:
            sides = []
            for whose in ("ours", "theirs"):
                python = options.python if whose == "theirs" and method in ELSEWHERE else sys.executable
                own = ["--mlsmote", str(options.mlsmote), "--python", "", "--one", method, whose, str(rows)]
                try:
                    done = subprocess.run(
                        [python, __file__, *own], capture_output=True, text=True, timeout=options.limit
                    )
                    if done.returncode:
                        raise SystemExit(done.stderr)
                    sides.append(json.loads(done.stdout.splitlines()[-1]))
                except subprocess.TimeoutExpired:
                    sides.append(None)
            cells = [f"{side['cpu']:.2g}" if side else f"over {options.limit:.0f}" for side in sides]
            cells.append(f"{sides[1]['cpu'] / sides[0]['cpu']:.2g}" if all(sides) else "–")
            cells += [f"{side['memory']:.0f}" if side else "–" for side in sides]
            came = " and ".join(f"{side['rows']:,}" if side else "–" for side in sides)
            print(f"| {method} | {rows:,} | {' | '.join(cells)} | {came} |", flush=True)


if __name__ == "__main__":
    main()
