"""Resamplers beside imbalanced-learn's: time, and memory at the peak beyond what the data takes.

    python benchmarks/resample_speed.py [--sizes 500000x20 100000x200] [--only SMOTE ...] [--runs 1]
        > benchmarks/results/resample_speed.md

Every measurement is a process of its own. Both get the same float32 table of five classes whose sizes fall by a factor
of 100. Time is the process's CPU time, which other work on the machine changes less than the clock; memory is the rise
of the resident size, at its peak, over what it was with the table loaded and everything imported (Linux).
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

CASES = {
    "SMOTE": ("SMOTE", {}, "over_sampling.SMOTE", {}),
    "BorderlineSMOTE": ("BorderlineSMOTE", {}, "over_sampling.BorderlineSMOTE", {}),
    "ADASYN": ("ADASYN", {}, "over_sampling.ADASYN", {}),
    "TomekLinks": ("TomekLinks", {}, "under_sampling.TomekLinks", {}),
    "TomekLinks, recall 0.99": ("TomekLinks", {"recall": 0.99}, "under_sampling.TomekLinks", {}),
    "EditedNearestNeighbours": ("EditedNearestNeighbours", {}, "under_sampling.EditedNearestNeighbours", {}),
    "EditedNearestNeighbours, recall 0.99": (
        "EditedNearestNeighbours",
        {"recall": 0.99},
        "under_sampling.EditedNearestNeighbours",
        {},
    ),
    "NearMiss 1": ("NearMiss", {}, "under_sampling.NearMiss", {}),
    "NearMiss 2": ("NearMiss", {"version": 2}, "under_sampling.NearMiss", {"version": 2}),
    "NearMiss 3": ("NearMiss", {"version": 3}, "under_sampling.NearMiss", {"version": 3}),
}


def table(n: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_classification

    shares = 100.0 ** -(np.arange(5) / 4)
    X, y = make_classification(
        n,
        n_features,
        n_informative=n_features // 2,
        n_redundant=n_features // 4,
        n_classes=5,
        n_clusters_per_class=2,
        weights=list(shares / shares.sum()),
        random_state=0,
    )
    return X.astype(np.float32), y


def method(case: str, whose: str):
    ours, our_settings, theirs, their_settings = CASES[case]
    if whose == "ours":
        from tailwise import resample

        return getattr(resample, ours)(**our_settings)
    import imblearn.over_sampling
    import imblearn.under_sampling

    module, name = theirs.split(".")
    return getattr(getattr(imblearn, module), name)(**their_settings)


def resident(what: str) -> int:
    """Return ``VmRSS``, the resident size, or ``VmHWM``, its peak, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{what}:")[1].split()[0])


def measure(case: str, whose: str, folder: str) -> dict:
    warnings.simplefilter("ignore")
    X, y = np.load(f"{folder}/X.npy"), np.load(f"{folder}/y.npy")
    few = np.concatenate([np.flatnonzero(y == c)[:200] for c in range(5)])
    method(case, whose).fit_resample(X[few], y[few])  # imports and threads
    resampler = method(case, whose)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    base = resident("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    new_X, _ = resampler.fit_resample(X, y)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    kept = getattr(resampler, "sample_indices_", None)
    return {
        "cpu": cpu,
        "wall": wall,
        "memory": resident("VmHWM") - base,
        "rows": len(new_X),
        "result": new_X.nbytes,
        "recall": getattr(resampler, "recall_", None),
        "kept": int(np.bitwise_xor.reduce(np.sort(kept) * 2654435761)) if kept is not None else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["500000x20", "100000x200"])
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one)))
        return
    print("# Speed of the resamplers\n")
    print(f"`python {' '.join(sys.argv)}`: {platform.machine()}, Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, a shared machine of 2 cores; CPU seconds, median of {args.runs}.\n", flush=True)
    for size in args.sizes:
        n, n_features = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            X, y = table(n, n_features)
            np.save(f"{folder}/X.npy", X)
            np.save(f"{folder}/y.npy", y)
            print(f"## {n:,} × {n_features}\n\nThe table takes {X.nbytes / 1e6:.0f} MB.\n")
            del X
            print("| method | ours, s | imbalanced-learn, s | ratio | memory, MB | its, MB | result, MB | notes |")
            print("|---|---:|---:|---:|---:|---:|---:|---|", flush=True)
            done: dict[str, list[dict]] = {}
            for case in args.only:
                theirs = repr(CASES[case][2:])  # the same for both of ours
                for whose, key in [("ours", case), ("theirs", theirs)]:
                    if key not in done:
                        done[key] = [run(case, whose, folder) for _ in range(args.runs)]
                print(row(case, done[case], done[theirs]), flush=True)
        print()


def run(case: str, whose: str, folder: str) -> dict:
    command = [sys.executable, __file__, "--one", case, whose, folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:80]}
    return json.loads(done.stdout)


def row(case: str, ours: list[dict], theirs: list[dict]) -> str:
    failed = [result["failed"] for result in ours + theirs if "failed" in result]
    if failed:
        return f"| {case} | | | | | | | {failed[0]} |"
    our, their = (statistics.median(result["cpu"] for result in results) for results in (ours, theirs))
    notes = []
    if ours[0]["recall"] is not None:
        notes.append(f"recall {ours[0]['recall']:.3f}")
    if ours[0]["kept"] is not None and theirs[0]["kept"] is not None:
        notes.append("same rows" if ours[0]["kept"] == theirs[0]["kept"] else "other rows")
    memory = [statistics.median(result["memory"] for result in results) / 1e6 for results in (ours, theirs)]
    numbers = f"{our:.1f} | {their:.1f} | {their / our:.1f} | {memory[0]:.0f} | {memory[1]:.0f}"
    return f"| {case} | {numbers} | {ours[0]['result'] / 1e6:.0f} | {', '.join(notes)} |"


if __name__ == "__main__":
    main()
