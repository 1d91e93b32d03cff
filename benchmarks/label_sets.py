"""Recipes for sets of labels beside plain training, over several seeds, on real tags with a long tail.

    python benchmarks/label_sets.py text-logistic text-mlp table-forest --seeds 3 --output label_sets.jsonl
    python benchmarks/label_sets.py --table label_sets.jsonl > benchmarks/results/label_sets.md

30,300 of Debian's packages have tags that people gave them (debtags): 598 of them, 3.7 a package, from 10,277 packages
(devel::library) to one. A seed draws 3,000 packages to train on and 10,000 others to measure on; tags that fewer than
ten packages have, or none of those drawn, are left out.

- text-logistic: name and one-line description, tf-idf, a logistic regression a tag (the default for text).
- text-mlp: the same text as 256 singular vectors, an MLP for 15 epochs.
- table-forest: section, maintainer, sizes, dependencies and the like; one random forest of 50 trees for all tags.

A recipe is fitted by ``TailMultilabelClassifier(recipe, cv=0.2)``: a fifth of the training data calibrates and tunes
thresholds, for macro F1. Plain training is ``cross-entropy``: the same learner, with one half as every threshold. Gains
are paired, seed by seed, with their 95 % interval (Student's t), and never chosen on test data. Settings are each
recipe's defaults, not tuned for anything here.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats
from sklearn.ensemble import RandomForestClassifier

import debian
from tailwise import TailMultilabelClassifier
from tailwise.data import encode_label_sets
from tailwise.metrics import evaluate_labels
from tailwise.recipes import recipes

TRAIN, TEST = 3000, 10_000
MEASURES = {
    "macro_average_precision": "macro AP",
    "few_shot_average_precision": "few-shot AP",
    "micro_average_precision": "micro AP",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "log_loss": "log loss",
}
CASES: dict[str, dict[str, Any]] = {
    "text-logistic": {},
    "text-mlp": {"backbone": "mlp", "epochs": 15},
    "table-forest": {"estimator": RandomForestClassifier(50, min_samples_leaf=2)},
}


@cache
def packages() -> tuple[pl.DataFrame, np.ndarray]:
    """Return the tagged packages, and rows of their tags."""
    file = debian.index()
    if file is None:
        raise SystemExit(f"there is no Packages index in {debian.LISTS}; run apt-get update on a Debian machine")
    every = debian.frame(file).unique("package", keep="first", maintain_order=True)
    tagged = every.join(debian.tags(file), on="package", maintain_order="left")
    return tagged.drop("tags"), encode_label_sets(tagged["tags"]).rows


def measure(case: str, name: str, seed: int) -> dict[str, dict[str, float]]:
    """Return the measures of a recipe; with tuned thresholds also those of plain training, whose learner they share."""
    frame, rows = packages()
    order = np.random.default_rng(seed).permutation(len(rows))
    train, test = order[:TRAIN], order[TRAIN : TRAIN + TEST]
    rows = rows[:, (rows.sum(axis=0) >= 10) & rows[train].any(axis=0)]
    text = (frame["package"] + " " + frame["description"]).to_numpy()
    inputs: Any = text if case.startswith("text") else frame.drop("package", "description", "version")
    plain = name == "tuned-thresholds"
    classifier = TailMultilabelClassifier(name, cv=0.2, random_state=seed, baseline=plain, **CASES[case])
    classifier.fit(inputs[train], rows[train])
    models = {"cross-entropy": classifier.baseline_} if plain else {}
    measured = {}
    for recipe, model in {**models, name: classifier.model_}.items():
        answer = model.answer(inputs[test])
        found = evaluate_labels(rows[test], answer.predicted, answer.proba, class_counts=model.class_counts)
        measured[recipe] = {"labels": rows.shape[1], **{m: found[m] for m in MEASURES}}
    return measured


def gain(ours: np.ndarray, plain: np.ndarray) -> str:
    """Return the mean paired gain with its interval."""
    gains = ours - plain
    if len(gains) == 1:
        return f"{gains[0]:+.3f} (one seed)"
    half = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
    return f"{gains.mean():+.3f} ({gains.mean() - half:+.3f} to {gains.mean() + half:+.3f})"


def table(lines: list[dict[str, Any]]) -> str:
    """Return a Markdown table a case: means over the seeds, and the gains over plain training."""
    out = []
    for case in dict.fromkeys(line["data"] for line in lines):
        found: dict[str, dict[int, dict[str, float]]] = {}
        for line in lines:
            if line["data"] == case:
                found.setdefault(line["recipe"], {})[line["seed"]] = line
        plain = found["cross-entropy"]
        out += [
            f"## {case}, {len(plain)} seeds\n",
            f"| recipe | {' | '.join(MEASURES.values())} | gain in macro AP | gain in macro F1 |",
            f"|---|{'---:|' * (len(MEASURES) + 2)}",
        ]
        for name, seeds in sorted(found.items(), key=lambda item: item[0] != "cross-entropy"):
            done = sorted(seeds.keys() & plain.keys())
            values = {m: np.array([seeds[s][m] for s in done]) for m in MEASURES}
            cells = [f"{values[m].mean():.3f}" for m in MEASURES]
            for m in ("macro_average_precision", "macro_f1"):
                cells.append("–" if seeds is plain else gain(values[m], np.array([plain[s][m] for s in done])))
            few = f" ({len(done)} of the seeds)" if len(done) < len(plain) else ""
            out.append(f"| {' | '.join([name + few, *cells])} |")
        out.append("")
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+")
    parser.add_argument("--output", type=Path, default=Path("label_sets.jsonl"), help="what it holds is not run again")
    parser.add_argument("--table", type=Path, help="print a table of such a file instead")
    options = parser.parse_args()
    if options.table:
        print("# Recipes for sets of labels beside plain training\n\n" + (__doc__ or "").split("\n\n", 2)[2])
        print(table([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    done = set()
    if options.output.exists():
        for line in map(json.loads, options.output.read_text().splitlines()):
            done.add((line["data"], line["recipe"], line["seed"]))
    for seed in range(options.seeds):
        for case in options.cases:
            kind = "network" if "backbone" in CASES[case] else "estimator"
            serving = [n for n, cls in recipes().items() if kind in cls.learners() and "labels" in cls.targets]
            serving.remove("cross-entropy")  # comes with tuned thresholds
            if case == "table-forest":
                serving.remove("ml-smote")  # for numbers only
            for name in options.recipes or serving:
                if (case, name, seed) in done:
                    continue
                for recipe, measured in measure(case, name, seed).items():
                    line = {"data": case, "recipe": recipe, "seed": seed, **measured}
                    with options.output.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
                    print(case, seed, recipe, line["macro_average_precision"], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
