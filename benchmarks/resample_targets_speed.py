"""MLSMOTE and SMOGN beside the public code that a user would pick: time and memory.

    python benchmarks/resample_targets_speed.py --mlsmote FOLDER --python OTHER [--rows 2000 5000 50000] [--limit 300]
        > benchmarks/results/resample_targets_speed.md

FOLDER has mlsmote.py of github.com/niteshsukhwani/MLSMOTE; SMOGN's other side is the package ``smogn`` from PyPI, which
needs NumPy before 1.25: OTHER is the interpreter of an environment with both. The sides get the same table of 20
features. Every measurement is a process of its own; memory is its peak over what it took with the table loaded and
everything imported. A side that takes longer than ``--limit`` seconds is stopped.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from resample_speed import resident


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


def run(method: str, whose: str, X: np.ndarray, y: np.ndarray) -> int:
    """Resample, and return how many rows come out."""
    if whose == "ours":
        from tailwise import resample

        return len(getattr(resample, method)(random_state=0).fit_resample(X, y)[0])
    import pandas as pd

    if method == "SMOGN":
        import smogn

        return len(smogn.smoter(pd.DataFrame(X).assign(target=y).rename(columns=str), "target", rel_thres=0.8))
    import mlsmote

    few = mlsmote.get_minority_instace(pd.DataFrame(X), pd.DataFrame(y))
    added = int(y[:, y.sum(0).max() / y.sum(0) > (y.sum(0).max() / y.sum(0)).mean()].sum())  # as many as ours adds
    return len(X) + len(mlsmote.MLSMOTE(*few, added)[0]) - len(few[0])


def measure(method: str, whose: str, rows: int) -> dict:
    warnings.simplefilter("ignore")
    make = {"MLSMOTE": labels, "SMOGN": target}[method]
    run(method, whose, *make(300))  # imports and threads
    X, y = make(rows)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    base, start = resident("VmRSS"), time.process_time()
    came = run(method, whose, X, y)
    return {"cpu": time.process_time() - start, "memory": (resident("VmHWM") - base) / 1e6, "rows": came}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlsmote", type=Path, required=True)
    parser.add_argument("--python", required=True)
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
    for method in ("MLSMOTE", "SMOGN"):
        for rows in options.rows:
            sides = []
            for whose in ("ours", "theirs"):
                python = sys.executable if whose == "ours" else options.python
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
            cells = [f"{side['cpu']:.2f}" if side else f"over {options.limit:.0f}" for side in sides]
            cells.append(f"{sides[1]['cpu'] / sides[0]['cpu']:.0f}" if all(sides) else "–")
            cells += [f"{side['memory']:.0f}" if side else "–" for side in sides]
            came = " and ".join(f"{side['rows']:,}" if side else "–" for side in sides)
            print(f"| {method} | {rows:,} | {' | '.join(cells)} | {came} |", flush=True)


if __name__ == "__main__":
    main()
