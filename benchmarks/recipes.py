"""Every recipe beside the plain learner, over several seeds, on data with a long tail: does it do what its paper says?

    python benchmarks/recipes.py digits-mlp cifar-mlp digits-forest cifar-forest sizes packages --output recipes.jsonl
    python benchmarks/recipes.py --table recipes.jsonl > benchmarks/results/recipes.md

- digits-mlp: scikit-learn's handwritten digits, 100 down to 2 a class, a small MLP on the pixels, 60 epochs.
- cifar-mlp: CIFAR-10-LT (imbalance factor 100: 12,406 images, the protocol's own, so that seeds differ in the training
  only), an MLP for 15 epochs on features that know no labels: 64 k-means patches, pooled over quadrants (Coates, Lee
  and Ng, AISTATS 2011).
- digits-forest: the digits again, a random forest of 100 trees.
- cifar-forest: the features of cifar-mlp, a random forest of 50 trees.
- sizes: 12,000 of Debian's packages into the power of ten of their installed size, six classes that are ordered
  (20,000 others for testing), a small MLP, 15 epochs.
- packages: Debian's packages into their archive sections, a messy table with categories (58 classes, imbalance factor
  447), a random forest of 50 trees with at least two rows a leaf.

A recipe is fitted by ``TailClassifier(recipe, cv=0.2)``: a fifth of the training data tunes thresholds and calibrates.
Gains are paired, seed by seed, and never chosen on test data. Settings are each recipe's defaults, not tuned for
anything here. Probabilities, whose log loss this is, are under the training prior, which the balanced tests of digits
and CIFAR do not follow. Those of packages are of earlier versions: without a prior on the temperature, which matters
where few examples are held out, and (but self-paced ensembles) with the temperature multiplying the correction of the
prior, where a formula gives it. Those of sizes are of an earlier version too, but for the three recipes of class
weights and label-distribution smoothing, beside which plain training has 0.997. Seconds were measured beside other
work.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from cifar import cifar10_lt
from label_sets import gain
from tailwise import TailClassifier
from tailwise.data import Dataset, as_dataset, longtail, make_long_tailed
from tailwise.errors import TailwiseError
from tailwise.metrics import evaluate
from tailwise.recipes import recipes

MEASURES = ("balanced_accuracy", "few_shot_accuracy", "accuracy", "log_loss")
Case = tuple[Dataset, Dataset, dict[str, Any]]


def digits(seed: int) -> tuple[Dataset, Dataset]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    kept = make_long_tailed(y, longtail.exponential(100, 50, 10), order="random", random_state=seed)
    rest = np.setdiff1d(np.arange(len(y)), kept)
    x = (x / 16).astype(np.float32)
    return as_dataset(x[kept], y[kept]), as_dataset(x[rest], y[rest])


def digits_mlp(seed: int) -> Case:
    return *digits(seed), {"backbone": "mlp", "epochs": 60}


def digits_forest(seed: int) -> Case:
    return *digits(seed), {"estimator": RandomForestClassifier(100)}


@cache
def cifar_features() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return features and labels of CIFAR-10-LT's training images and of the test images."""
    import torch
    from sklearn.cluster import MiniBatchKMeans
    from torch.nn import functional as F

    train, test = cifar10_lt()
    pixels = train.inputs
    rng = np.random.default_rng(0)
    corner = rng.integers(0, 27, (50_000, 2))
    rows = rng.integers(0, len(pixels), 50_000)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (6, 6), axis=(1, 2))
    patches = windows[rows, corner[:, 0], corner[:, 1]].reshape(50_000, -1).astype(np.float32)

    def normalise(p: Any) -> Any:
        return (p - p.mean(1)[:, None]) / np.sqrt(p.var(1)[:, None] + 10)

    patches = normalise(patches)
    mean = patches.mean(0)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    whiten = (vectors / np.sqrt(values + 0.1)) @ vectors.T
    centres = MiniBatchKMeans(64, random_state=0, n_init=1).fit((patches - mean) @ whiten).cluster_centers_
    centres = torch.from_numpy(centres.astype(np.float32))
    mean, whiten = torch.from_numpy(mean), torch.from_numpy(whiten.astype(np.float32))

    def features(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), 100):
            batch = torch.from_numpy(images[start : start + 100]).permute(0, 3, 1, 2).float()
            own = F.unfold(batch, 6).transpose(1, 2)  # (batch, 27 * 27, 108), channel first as the patches are
            own = (own - own.mean(2, keepdim=True)) / (own.var(2, unbiased=False, keepdim=True) + 10).sqrt()
            far = torch.cdist((own - mean) @ whiten, centres)
            near = F.relu(far.mean(2, keepdim=True) - far).transpose(1, 2).reshape(len(batch), -1, 27, 27)
            parts.append(F.adaptive_avg_pool2d(near, 2).flatten(1))
        return torch.cat(parts).numpy()

    return features(pixels), train.labels, features(test.inputs), test.labels


def cifar_mlp(seed: int) -> Case:
    x, y, new, labels = cifar_features()
    return as_dataset(x, y), as_dataset(new, labels), {"backbone": "mlp", "epochs": 15}


def cifar_forest(seed: int) -> Case:
    return *cifar_mlp(seed)[:2], {"estimator": RandomForestClassifier(50)}


def packages(seed: int) -> Case:
    import main_job

    train, test, _ = main_job.table(seed)
    return train, test, {"estimator": RandomForestClassifier(50, min_samples_leaf=2)}


def sizes(seed: int) -> Case:
    import polars as pl

    import debian

    frame = debian.frame(debian.index()).sample(32_000, seed=seed)
    wanted = frame["installed_kb"].cast(pl.Float64).log10().round().clip(1, 6).cast(pl.Int64)
    data = as_dataset(frame.drop("installed_kb", "size", "package", "description", "version"), wanted.fill_null(2))
    settings = {"backbone": "mlp", "epochs": 15}
    return data.take(np.arange(12_000)), data.take(np.arange(12_000, 32_000)), settings


CASES: dict[str, Callable[[int], Case]] = {
    "sizes": sizes,
    "digits-mlp": digits_mlp,
    "cifar-mlp": cifar_mlp,
    "digits-forest": digits_forest,
    "cifar-forest": cifar_forest,
    "packages": packages,
}


def measure(name: str, seed: int, train: Dataset, test: Dataset, settings: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    model = TailClassifier(name, cv=0.2, random_state=seed, **settings).fit(train).model_
    seconds = time.perf_counter() - start
    answer = model.answer(test.inputs)
    truth = np.asarray(test.labels), answer.predicted
    found = evaluate(*truth, proba=answer.proba, class_counts=model.class_counts, n_bootstrap=0).overall
    return {"seconds": round(seconds, 1), **{m: found[m].value for m in MEASURES if m in found}}


def table(lines: list[dict[str, Any]]) -> str:
    """Return a Markdown table a data set: means, and the paired gain over the plain learner with its 95 % interval."""
    out = []
    by_case: dict[str, dict[str, dict[int, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        by_case[line["data"]][line["recipe"]][line["seed"]] = line
    for case, found in by_case.items():
        plain = found["cross-entropy"]
        if not plain:
            continue
        out += [
            f"## {case}, {len(plain)} seeds\n",
            "| recipe | balanced accuracy | gain over plain (95 % interval) | better seeds | few-shot | accuracy | "
            "log loss | seconds, median |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        rows = []
        for name, seeds in found.items():
            done = [s for s in seeds if "balanced_accuracy" in seeds[s] and s in plain]
            if not done:
                rows.append((-np.inf, f"| {name} | {next(iter(seeds.values()))['failed']} | | | | | | |"))
                continue
            mean = {m: np.mean([seeds[s].get(m, np.nan) for s in done]) for m in MEASURES}
            ours, theirs = (np.array([of[s]["balanced_accuracy"] for s in done]) for of in (seeds, plain))
            said, better = gain(ours, theirs), f"{(ours > theirs).sum()} of {len(done)}"
            if name == "cross-entropy":
                said = better = "–"
            seconds = np.median([seeds[s]["seconds"] for s in done])
            cells = [name, f"{mean['balanced_accuracy']:.3f}", said, better]
            cells += [f"{mean[m]:.3f}" if not np.isnan(mean[m]) else "–" for m in MEASURES[1:]]
            rows.append((mean["balanced_accuracy"], f"| {' | '.join([*cells, f'{seconds:.0f}'])} |"))
        out += [row for _, row in sorted(rows, key=lambda pair: -pair[0])] + [""]
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+")
    parser.add_argument("--output", type=Path, default=Path("recipes.jsonl"), help="what it holds is not run again")
    parser.add_argument("--table", type=Path, help="print a table of such a file instead")
    options = parser.parse_args()
    if options.table:
        print("# Every recipe beside the plain learner\n\n" + (__doc__ or "").split("\n\n", 2)[2])
        print(table([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    done = set()
    if options.output.exists():
        for line in map(json.loads, options.output.read_text().splitlines()):
            done.add((line["data"], line["recipe"], line["seed"]))
    for case in options.cases:
        for seed in range(options.seeds):
            train, test, settings = CASES[case](seed)
            kind = "network" if "backbone" in settings else "estimator"
            names = [n for n, cls in recipes().items() if kind in cls.learners() and "class" in cls.targets]
            for name in options.recipes or names:
                if (case, name, seed) in done:
                    continue
                try:
                    found = measure(name, seed, train, test, settings)
                except (TailwiseError, ValueError) as error:
                    found = {"failed": str(error).splitlines()[0]}
                line = {"data": case, "recipe": name, "seed": seed, **found}
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(case, seed, name, found.get("balanced_accuracy", found), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
