"""Resamplers and ensembles beside imbalanced-learn's: time, and memory at the peak beyond what the data takes.

    python benchmarks/resample_speed.py [--sizes 500000x20 100000x200] [--only SMOTE ...] [--runs 1] [--packages FOLDER]
        > benchmarks/results/resample_speed.md

Every measurement is a process of its own. Both get the same float32 table of five classes whose sizes fall by a factor
of 100. Time is the process's CPU time, which other work on the machine changes less than the clock; memory is the
rise of the resident size, at its peak, over what it was with the table loaded and everything imported (Linux).
A side that takes longer than ``--limit`` seconds is stopped. Of a classifier it is fitting, and the probabilities of
all rows. Sparse tables keep the values that are far from 0, a twentieth; tables of 0 and 1 say which three tenths are
large.

Where imbalanced-learn has no such method, what stands beside ours is the package imbalanced-ensemble (``--packages``
names the ``site-packages`` that it is installed in, apart from its requirements) or a few lines of NumPy, at the end of
this file.

The floor is what exact neighbours by brute force cost: the distances to compute, two operations a pair and feature, at
the rate of a matrix product measured in the same run. Trees compute fewer where there are few features; products that
serve both sides, and bounds along a few axes, compute fewer anywhere.
"""

import argparse
import importlib
import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from imblearn.under_sampling import RandomUnderSampler
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight

from memory import forget_peak, resident
from tailwise import resample

NOMINAL = {"categorical_features": list(range(5))}
TREE = {"estimator": DecisionTreeClassifier(max_depth=10, random_state=0)}
STUMP = DecisionTreeClassifier(max_depth=3, random_state=0)
FOREST = {"estimator": RandomForestClassifier(10, max_depth=10, random_state=0)}
CASES = {
    "SMOTE": ("SMOTE", {}, "imblearn.over_sampling.SMOTE", {}),
    "BorderlineSMOTE": ("BorderlineSMOTE", {}, "imblearn.over_sampling.BorderlineSMOTE", {}),
    "ADASYN": ("ADASYN", {}, "imblearn.over_sampling.ADASYN", {}),
    "TomekLinks": ("TomekLinks", {}, "imblearn.under_sampling.TomekLinks", {}),
    "TomekLinks, recall 0.99": ("TomekLinks", {"recall": 0.99}, "imblearn.under_sampling.TomekLinks", {}),
    "EditedNearestNeighbours": ("EditedNearestNeighbours", {}, "imblearn.under_sampling.EditedNearestNeighbours", {}),
    "EditedNearestNeighbours, recall 0.99": (
        "EditedNearestNeighbours",
        {"recall": 0.99},
        "imblearn.under_sampling.EditedNearestNeighbours",
        {},
    ),
    "SMOTENC": ("SMOTENC", NOMINAL, "imblearn.over_sampling.SMOTENC", NOMINAL),
    "SMOTEN": ("SMOTEN", {}, "imblearn.over_sampling.SMOTEN", {}),
    # with its defaults imbalanced-learn finds no cluster in which a small class is frequent, or its powers overflow
    "KMeansSMOTE": (
        "KMeansSMOTE",
        {"threshold": 0.005},
        "imblearn.over_sampling.KMeansSMOTE",
        {"cluster_balance_threshold": 0.005, "density_exponent": 1},
    ),
    "SVMSMOTE": ("SVMSMOTE", {}, "imblearn.over_sampling.SVMSMOTE", {}),
    "NearMiss 1": ("NearMiss", {}, "imblearn.under_sampling.NearMiss", {}),
    "NearMiss 2": ("NearMiss", {"version": 2}, "imblearn.under_sampling.NearMiss", {"version": 2}),
    "RandomOverSampler": ("RandomOverSampler", {}, "imblearn.over_sampling.RandomOverSampler", {}),
    "RandomUnderSampler": ("RandomUnderSampler", {}, "imblearn.under_sampling.RandomUnderSampler", {}),
    "GaussianOverSampler": (
        "GaussianOverSampler",
        {},
        "imblearn.over_sampling.RandomOverSampler",
        {"shrinkage": 1.0},
    ),
    "MixupOverSampler": ("MixupOverSampler", {}, "resample_speed.Mixup", {}),
    "SMOTE, sparse": ("SMOTE", {}, "imblearn.over_sampling.SMOTE", {}),
    "RandomOverSampler, sparse": ("RandomOverSampler", {}, "imblearn.over_sampling.RandomOverSampler", {}),
    "RandomUnderSampler, sparse": ("RandomUnderSampler", {}, "imblearn.under_sampling.RandomUnderSampler", {}),
    "SMOTETomek": ("SMOTETomek", {}, "imblearn.combine.SMOTETomek", {}),
    "SMOTEENN": ("SMOTEENN", {}, "imblearn.combine.SMOTEENN", {}),
    "ClusterCentroids": ("ClusterCentroids", {}, "imblearn.under_sampling.ClusterCentroids", {}),
    "InstanceHardnessThreshold": (
        "InstanceHardnessThreshold",
        FOREST,
        "imblearn.under_sampling.InstanceHardnessThreshold",
        FOREST,
    ),
    "BalancedBagging": ("BalancedBaggingClassifier", TREE, "imblearn.ensemble.BalancedBaggingClassifier", TREE),
    "EasyEnsemble": (
        "EasyEnsembleClassifier",
        {"estimator": STUMP},
        "imblearn.ensemble.EasyEnsembleClassifier",
        {"estimator": AdaBoostClassifier(STUMP, n_estimators=10)},
    ),
    # with less of a tree imbalanced-learn's is no better than chance after a round or two, and it stops
    "RUSBoost": ("RUSBoostClassifier", TREE, "imblearn.ensemble.RUSBoostClassifier", TREE),
    "SelfPacedEnsemble": (
        "SelfPacedEnsembleClassifier",
        TREE | {"n_estimators": 10},
        "imbens.ensemble.SelfPacedEnsembleClassifier",
        TREE | {"n_estimators": 10},
    ),
    "ResampledClassifier": (
        "ResampledClassifier",
        TREE | {"resampler": resample.RandomUnderSampler()},
        "imblearn.pipeline.Pipeline",
        {"steps": [("sampler", RandomUnderSampler()), ("tree", TREE["estimator"])]},
    ),
    "WeightedClassifier": ("WeightedClassifier", TREE, "resample_speed.Weighted", TREE),
    "NearMiss 3": ("NearMiss", {"version": 3}, "imblearn.under_sampling.NearMiss", {"version": 3}),
    "TomekLinks, 0 and 1": ("TomekLinks", {}, "imblearn.under_sampling.TomekLinks", {}),
    "EditedNearestNeighbours, 0 and 1": (
        "EditedNearestNeighbours",
        {},
        "imblearn.under_sampling.EditedNearestNeighbours",
        {},
    ),
}
FORMS = ", sparse", ", 0 and 1"  # of the table


#: Pairs of examples whose distances a method needs, from the class counts, the smaller classes first.
PAIRS = {
    "SMOTE": lambda counts: sum(c * c for c in counts[:-1]),
    "BorderlineSMOTE": lambda counts: sum(counts[:-1]) * sum(counts),
    "TomekLinks": lambda counts: sum(counts) ** 2,
    "NearMiss": lambda counts: sum(counts[1:]) * counts[0],
}
PAIRS |= dict.fromkeys(("SMOTENC", "SMOTEN", "KMeansSMOTE", "SVMSMOTE"), PAIRS["SMOTE"])
PAIRS |= {"ADASYN": PAIRS["BorderlineSMOTE"], "EditedNearestNeighbours": PAIRS["TomekLinks"]}


def gemm_rate() -> float:
    """Return the operations a second of a float32 matrix product."""
    a = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    seconds = []
    for _ in range(10):
        start = time.process_time()
        a @ a
        seconds.append(time.process_time() - start)
    return 2 * 2048**3 / min(seconds)


def table(n: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_classification

    shares = 100.0 ** -(np.arange(5) / 4)
    X, y = make_classification(
        n,
        n_features,
        n_informative=max(n_features // 2, 4),
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
        return getattr(resample, ours)(**our_settings)
    module, name = theirs.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(**their_settings)


def change(learner, X, y):
    """Return what a resampler makes of a table, or the probabilities that a classifier gives to its rows."""
    return learner.fit_resample(X, y)[0] if hasattr(learner, "fit_resample") else learner.fit(X, y).predict_proba(X)


def size_of(X) -> int:
    return X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes + X.indptr.nbytes


def measure(case: str, whose: str, folder: str) -> dict:
    warnings.simplefilter("ignore")
    X, y = np.load(f"{folder}/X.npy"), np.load(f"{folder}/y.npy")
    nominal = {"SMOTENC": NOMINAL["categorical_features"], "SMOTEN": slice(None)}.get(case)
    if nominal is not None:
        X[:, nominal] = np.clip(X[:, nominal] * 2, -4, 4).round()
    if "sparse" in case:
        X = sparse.csr_array(np.where(np.abs(X) > np.quantile(np.abs(X[:10_000]), 0.95), X, 0))
    if "0 and 1" in case:
        X = (np.quantile(X[:10_000], 0.7) < X).astype(np.float32)
    few = np.concatenate([np.flatnonzero(y == c)[:200] for c in range(5)])
    change(method(case, whose), X[few], y[few])  # imports and threads
    resampler = method(case, whose)
    forget_peak()
    base = resident("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    new_X = change(resampler, X, y)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    kept = getattr(resampler, "sample_indices_", None)
    return {
        "cpu": cpu,
        "wall": wall,
        "memory": resident("VmHWM") - base,
        "result": size_of(new_X),
        "members": len(getattr(resampler, "estimators_", [])),
        "recall": getattr(resampler, "recall_", None),
        "kept": int(np.bitwise_xor.reduce(np.sort(kept) * 2654435761)) if kept is not None else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["500000x20", "100000x200"])
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=900)
    parser.add_argument("--packages", default="", help="folder of packages, looked in last")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        sys.path.append(args.packages)
        print(json.dumps(measure(*args.one)))
        return
    print("# Speed of the resamplers\n")
    print(f"`python {' '.join(sys.argv)}`: {platform.machine()}, Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, a shared machine of 2 cores; CPU seconds, median of {args.runs}.\n", flush=True)
    rate = gemm_rate()
    print(f"A float32 matrix product: {rate / 1e9:.0f} Gflop per CPU second.\n")
    for size in args.sizes:
        n, n_features = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            X, y = table(n, n_features)
            np.save(f"{folder}/X.npy", X)
            np.save(f"{folder}/y.npy", y)
            print(f"## {n:,} × {n_features}\n\nThe table takes {X.nbytes / 1e6:.0f} MB.\n")
            counts = sorted(np.bincount(y).tolist())
            del X
            print("| method | ours, s | its, s | ratio | floor, s | memory, MB | its, MB | result, MB | notes |")
            print("|---|---:|---:|---:|---:|---:|---:|---:|---|", flush=True)
            done: dict[str, list[dict]] = {}
            for case in args.only:
                form = next((form for form in FORMS if case.endswith(form)), "")
                theirs = form + repr(CASES[case][2:])  # the same for both of ours
                for whose, key in [("ours", case), ("theirs", theirs)]:
                    if key not in done:
                        done[key] = [run(case, whose, folder, args.limit, args.packages) for _ in range(args.runs)]
                pairs = PAIRS.get(re.split("[ ,]", case)[0])
                floor = 2 * n_features * pairs(counts) / rate if pairs and "sparse" not in case else None
                print(row(case, done[case], done[theirs], floor), flush=True)
        print()


def run(case: str, whose: str, folder: str, limit: float, packages: str) -> dict:
    command = [sys.executable, __file__, "--packages", packages, "--one", case, whose, folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"stopped after {limit:.0f} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["killed, for want of memory perhaps"]
        return {"failed": said[-1][:80]}
    return json.loads(done.stdout)


def row(case: str, ours: list[dict], theirs: list[dict], floor: float | None) -> str:
    """Return the row of a case; where a side failed, that of the other."""
    notes = [f"{whose}: {r['failed']}" for whose, r in (("ours", ours[0]), ("its", theirs[0])) if "failed" in r]
    sides = [[r for r in side if "failed" not in r] for side in (ours, theirs)]
    cpu, memory = (
        [statistics.median(r[what] for r in side) if side else None for side in sides] for what in ("cpu", "memory")
    )
    cells = [
        case,
        *("–" if seconds is None else f"{seconds:.2g}" if seconds < 1 else f"{seconds:.1f}" for seconds in cpu),
    ]
    cells.append("–" if None in cpu else f"{cpu[1] / cpu[0]:.1f}")
    cells.append("–" if floor is None else f"{floor:.1f}")
    cells += ["–" if peak is None else f"{peak / 1e6:.0f}" for peak in memory]
    cells.append(f"{sides[0][0]['result'] / 1e6:.0f}" if sides[0] else "–")
    if sides[0] and sides[0][0]["recall"] is not None:
        notes.append(f"recall {sides[0][0]['recall']:.3f}")
    members = [side[0]["members"] if side else 0 for side in sides]
    if members[0] != members[1]:
        notes.append(f"{members[0]} and {members[1]} classifiers")
    kept = [side[0]["kept"] if side else None for side in sides]
    if None not in kept:
        notes.append("same rows" if kept[0] == kept[1] else "other rows")
    return f"| {' | '.join(cells)} | {', '.join(notes)} |"


class Mixup:
    """Mixup of the smaller classes' examples with any, in a few lines of NumPy."""

    def fit_resample(self, X, y):
        rng, counts = np.random.default_rng(0), np.bincount(y)
        starts = np.concatenate([rng.choice(np.flatnonzero(y == c), counts.max() - n) for c, n in enumerate(counts)])
        ends, share = rng.integers(len(X), size=len(starts)), np.minimum(*rng.dirichlet([0.2, 0.2], len(starts)).T)
        new = X[starts] + share[:, None].astype(X.dtype) * (X[ends] - X[starts])
        return np.concatenate([X, new]), np.concatenate([y, y[starts]])


class Weighted(BaseEstimator):
    """A classifier with scikit-learn's balanced weights of the examples."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        return self.estimator.fit(X, y, sample_weight=compute_sample_weight("balanced", y))


if __name__ == "__main__":
    main()
