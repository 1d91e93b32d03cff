"""Does training in bfloat16 cost anything? ResNet-32 on CIFAR-10-LT, in float32 and mixed, by seeds.

    python benchmarks/precision_resnet32.py --seeds 3 --epochs 8 --output precision.jsonl
    python benchmarks/precision_resnet32.py --table precision.jsonl

CIFAR-10-LT has imbalance factor 100 (12,406 images) and is the protocol's own, so that seeds differ in the training
only; the test is the whole balanced test set, answered in float32. A line of the output is one training; those that are
there already are not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from cifar import cifar10_lt
from tailwise.augment import FlipCrop
from tailwise.data import Dataset
from tailwise.engine import predict, train
from tailwise.engine.stage import Task
from tailwise.metrics import evaluate
from tailwise.nn import resnet32
from tailwise.recipes import recipe

PRECISIONS = ("32-true", "bf16-mixed")
MEASURES = ("balanced_accuracy", "worst_class")


def measure(name: str, precision: str, seed: int, epochs: int, data: Dataset, test: Dataset) -> dict[str, Any]:
    task = Task(
        data.class_counts,
        backbone=resnet32,
        epochs=epochs,
        optimizer=partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True),
        augment=FlipCrop(),
    )
    start = time.perf_counter()
    network = train(
        recipe(name), task, data.inputs, data.labels, random_state=seed, precision=precision, progress=False
    )
    taken = time.perf_counter() - start
    found = evaluate(test.labels, predict(network, test.inputs).argmax(1), class_counts=data.class_counts)
    scores = {measure: float(found[measure]) for measure in MEASURES}
    return {"recipe": name, "precision": precision, "seed": seed, "epochs": epochs, "seconds": taken, **scores}


def table(rows: list[dict[str, Any]]) -> None:
    runs: dict[tuple[str, int], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        runs[row["recipe"], row["seed"]][row["precision"]] = row
    pairs = {key: run for key, run in runs.items() if len(run) == len(PRECISIONS)}
    print("| recipe | measure | float32 | bf16-mixed | difference, paired by seed (95 % interval) |")
    print("|---|---|---:|---:|---:|")
    for name in dict.fromkeys(name for name, _ in pairs):
        for measure in MEASURES:
            values = [[run[p][measure] for p in PRECISIONS] for (of, _), run in pairs.items() if of == name]
            full, mixed = np.array(values).T
            gain, half = (mixed - full).mean(), stats.t.ppf(0.975, len(full) - 1) * stats.sem(mixed - full)
            shown = f"{gain:+.3f} ({gain - half:+.3f} to {gain + half:+.3f})"
            print(f"| {name} | {measure.replace('_', ' ')} | {full.mean():.3f} | {mixed.mean():.3f} | {shown} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipes", nargs="+", default=["cross-entropy", "ldam-drw"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--output", type=Path, default=Path("precision.jsonl"))
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    if arguments.table:
        table([json.loads(line) for line in arguments.table.read_text().splitlines()])
        return
    output = arguments.output
    done = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    keys = {(row["recipe"], row["precision"], row["seed"], row["epochs"]) for row in done}
    data, test = cifar10_lt()
    for seed in range(arguments.seeds):
        for name in arguments.recipes:
            for precision in PRECISIONS:
                if (name, precision, seed, arguments.epochs) not in keys:
                    row = measure(name, precision, seed, arguments.epochs, data, test)
                    print(row, flush=True)
                    with output.open("a") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
