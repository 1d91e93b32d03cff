"""How to choose among recipes by a few held-out examples: the best score, or the best within a standard error?

    python benchmarks/selection.py digits-mlp digits-forest --seeds 12 --output selection.jsonl
    python benchmarks/selection.py digits-logistic --seeds 20 --output selection.jsonl
    python benchmarks/selection.py text packages-forest --seeds 8 --output selection.jsonl
    python benchmarks/selection.py digits-boosting --seeds 6 --output selection.jsonl
    python benchmarks/selection.py --table selection.jsonl > benchmarks/results/selection.md

Every recipe that auto compares is fitted by itself, on the same folds, and tested on other data. From their held-out
scores, intervals and test scores follows what each rule would have chosen and how good that is:

- best: the highest held-out score
- within a standard error: the best of the recipes with plain training, unless the best of all is more than one standard
  error above it (half the width of the best one's 95 % interval over 1.96)
- plain training only: the best of those with plain training

The data: scikit-learn's digits with 100 down to 2 examples a class (an MLP, logistic regression, a random forest,
boosting), and 2,500 random packages of Debian's, tested on 8,000 others (logistic regression on descriptions, a random
forest of 50 trees on the messy table).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

import debian
import recipes
from tailwise import TailClassifier
from tailwise.data import as_dataset
from tailwise.estimators._classifier import CANDIDATES
from tailwise.recipes import recipe

N_TRAIN, N_TEST = 2500, 8000


@cache
def index() -> Any:
    return debian.frame(debian.index())


def packages(seed: int) -> recipes.Case:
    frame = index().drop("description").sample(N_TRAIN + N_TEST, seed=seed)
    data = as_dataset(frame.drop("section", "package"), frame["section"])
    options = {"estimator": RandomForestClassifier(50, min_samples_leaf=2)}
    return data.take(np.arange(N_TRAIN)), data.take(np.arange(N_TRAIN, len(data))), options


def text(seed: int) -> recipes.Case:
    frame = index().sample(N_TRAIN + N_TEST, seed=seed)
    data = as_dataset(frame["description"].fill_null("").to_list(), frame["section"])
    return data.take(np.arange(N_TRAIN)), data.take(np.arange(N_TRAIN, len(data))), {}


def digits(estimator: Any) -> Callable[[int], recipes.Case]:
    return lambda seed: (*recipes.digits(seed), {"estimator": estimator})


CASES = {
    "digits-mlp": recipes.digits_mlp,
    "digits-logistic": digits(LogisticRegression(max_iter=500)),
    "digits-forest": digits(RandomForestClassifier(100)),
    "digits-boosting": digits(None),
    "text": text,
    "packages-forest": packages,
}


def measured(name: str, seed: int) -> list[dict[str, Any]]:
    """Fit each recipe by itself; the seed makes the folds the same."""
    train, test, options = CASES[name](seed)
    rows = []
    for candidate in CANDIDATES["network" if "backbone" in options else "estimator"]:
        fitted = TailClassifier([candidate], **options, random_state=seed).fit(train)
        (row,) = fitted.comparison_
        tested = balanced_accuracy_score(test.class_labels[test.labels], fitted.predict(test.inputs))
        row = {key: getattr(row, key) for key in ("recipe", "score", "low", "high")}
        rows.append({**row, "test": tested})
        print(name, seed, rows[-1], flush=True)
    return rows


def choices(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what each rule chooses."""
    plain = recipe("cross-entropy")
    best = max(rows, key=lambda row: row["score"])
    corrected = max((r for r in rows if recipe(r["recipe"]).training == plain), key=lambda row: row["score"])
    near = best["score"] - corrected["score"] <= (best["high"] - best["low"]) / (2 * 1.96)
    return {
        "best": best,
        "within a standard error": corrected if near else best,
        "plain training only": corrected,
        "the best in the test": max(rows, key=lambda row: row["test"]),
    }


def table(file: Path) -> None:
    runs: dict[str, list[list[dict[str, Any]]]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        runs.setdefault(run["data"], []).append(run["recipes"])
    print("# Choosing among recipes by a few held-out examples\n")
    print("`python benchmarks/selection.py`: mean balanced accuracy on test data of what each rule chooses.\n")
    rules = list(choices(next(iter(runs.values()))[0]))
    print("The last column is the second rule's gain over the first, with its standard error over the seeds.\n")
    print("| data, learner | seeds | plain | " + " | ".join(rules) + " | gain |")
    print("|---|" + "---:|" * (3 + len(rules)))
    for name, seeds in runs.items():
        plain = np.mean([row["test"] for rows in seeds for row in rows if row["recipe"] == "cross-entropy"])
        scores = np.array([[choices(rows)[rule]["test"] for rule in rules] for rows in seeds])
        gain = scores[:, 1] - scores[:, 0]
        gained = f"{gain.mean():+.3f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.3f}"
        cells = [f"{plain:.3f}", *(f"{score:.3f}" for score in scores.mean(axis=0)), gained]
        print(f"| {name} | {len(seeds)} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    for name in options.cases or CASES:
        for seed in range(options.seeds):
            line = {"data": name, "seed": seed, "recipes": measured(name, seed)}
            if options.output:
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
