"""Does the tail-aware choice beat plain training? Four kinds of data, several seeds, balanced accuracy on test data.

    python benchmarks/main_job.py table text digits cifar --seeds 3 --output benchmarks/results/main_job.jsonl

- table: Debian's packages into their archive sections, from a messy CSV (benchmarks/debian.py makes it): 58 classes,
  imbalance factor 447. A fifth is test data. Boosting sees 10,000 rows, all of the tail among them.
- text: the same packages from their one-line descriptions.
- digits: scikit-learn's handwritten digits as PNG files in class folders, imbalance factor 50, ResNet-32 for 60 epochs
  with the default learning rate and batch size, in float32.
- cifar: CIFAR-10 (JPEGs in Parquet, see benchmarks/cifar.py), at most 1,000 images a class, imbalance factor 50,
  ResNet-32 for 30 epochs in the default precision, bfloat16 where the processor has it; the whole balanced test set.

"plain" is the same learner, encoder and rows without any correction: gradient boosting, logistic regression on tf-idf,
or cross-entropy. Nothing is chosen on test data. Every line of the output has the model card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from cifar import cifar10
from tailwise.data import Dataset, load, longtail, make_long_tailed, stratified_split
from tailwise.estimators import Model, TailClassifier
from tailwise.metrics import evaluate
from tailwise.resample import CaseControlClassifier


def table(seed: int) -> tuple[Dataset, Dataset, dict[str, Any]]:
    import debian

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "packages.csv"
        debian.frame(debian.index()).drop("description").write_csv(file)
        data = load(file, "section", id="package")
    learn, test = stratified_split(data.labels, 0.2, seed)
    booster = HistGradientBoostingClassifier(
        early_stopping=False, l2_regularization=1.0, max_leaf_nodes=15, max_features=0.5, max_iter=50
    )
    options = {
        "estimator": CaseControlClassifier(booster, max_rows=10_000),
        "recipe": ["logit-adjustment", "tuned-thresholds", "class-weighted"],
    }
    return data.take(learn), data.take(test), options


def text(seed: int) -> tuple[Dataset, Dataset, dict[str, Any]]:
    import debian

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "descriptions.csv"
        debian.frame(debian.index()).select("package", "description", "section").write_csv(file)
        data = load(file, "section", id="package", text="description")
    learn, test = stratified_split(data.labels, 0.2, seed)
    return data.take(learn), data.take(test), {"time_budget": "4m"}


def digits(seed: int) -> tuple[Dataset, Dataset, dict[str, Any]]:
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, (row, label) in enumerate(zip(pixels, labels, strict=True)):
            target = Path(folder) / str(label) / f"{number}.png"
            target.parent.mkdir(exist_ok=True)
            Image.fromarray((row.reshape(8, 8) * 15).astype(np.uint8)).save(target)
        data = load(folder)
    learn, test = stratified_split(data.labels, 0.4, seed)
    train = data.take(learn)
    counts = longtail.exponential(100, 50, 10)
    kept = make_long_tailed(train.labels, counts, order="random", random_state=seed)
    return train.take(kept), data.take(test), {"augment": "crop", "precision": "32-true"}


def cifar(seed: int) -> tuple[Dataset, Dataset, dict[str, Any]]:
    train, test = cifar10()
    counts = longtail.exponential(1000, 50, 10)
    kept = make_long_tailed(train.labels, counts, order="random", random_state=seed)
    recipes = ["logit-adjustment", "tuned-thresholds", "balanced-softmax"]
    options = {"epochs": 30, "batch_size": 64, "learning_rate": 0.1, "recipe": recipes}
    return train.take(kept), test, options


SETS: dict[str, Callable[[int], tuple[Dataset, Dataset, dict[str, Any]]]] = {
    "table": table,
    "text": text,
    "digits": digits,
    "cifar": cifar,
}


def measured(model: Model, test: Dataset) -> dict[str, float]:
    answer = model.answer(test.inputs)
    found = evaluate(test.labels, answer.predicted, class_counts=model.class_counts, n_bootstrap=0)
    wanted = ("balanced_accuracy", "few_shot_accuracy", "worst_class", "macro_f1", "accuracy")
    return {name: found.overall[name].value for name in wanted if name in found.overall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    for name in options.sets:
        for seed in range(options.seeds):
            train, test, settings = SETS[name](seed)
            start = time.monotonic()
            fitted = TailClassifier(**settings, baseline=True, random_state=seed, verbose=1).fit(train)
            line = {
                "data": name,
                "seed": seed,
                "seconds": round(time.monotonic() - start, 1),
                "chosen": fitted.recipe_.name,
                "choice": measured(fitted.model_, test),
                "plain": measured(fitted.baseline_, test),
                "card": fitted.model_.card,
            }
            with options.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(name, seed, line["chosen"], line["choice"], line["plain"], f"{line['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
