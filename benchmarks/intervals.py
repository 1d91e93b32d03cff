"""How often the intervals of `tailwise.metrics.evaluate` hold the truth, on simulated long tails.

    python benchmarks/intervals.py              # writes benchmarks/results/intervals.md
    python benchmarks/intervals.py --repeat 20  # only prints

A classifier is simulated: each class has a recall and a taste for what it is taken for. Test sets with the same class
counts are drawn again and again. The truth of what follows from recalls is theirs; that of macro F1 follows from the
expected confusion. What depends on the size of test sets (AUROC and AUPRC hardly, calibration errors a lot) is compared
with its mean over all of them. Each tail is tried twice: with recalls that fall towards the rare classes, and with
recalls that are alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tailwise.data.longtail import exponential
from tailwise.metrics import Evaluation, evaluate, evaluate_labels
from tailwise.posthoc import softmax

TAILS = [(2, 400, 20), (2, 400, 1), (5, 100, 1), (10, 200, 2), (10, 50, 1), (20, 400, 4)]
TAILS += [(20, 20, 1), (50, 100, 1), (58, 50, 1), (100, 100, 1), (100, 20, 1), (300, 40, 1)]
OF_RECALLS = ("accuracy", "balanced_accuracy", "few_shot_accuracy", "macro_f1", "worst_class", "g_mean")
OF_SETS = ("macro_average_precision", "micro_average_precision", "macro_f1", "micro_f1")
OF_SCORES = ("auroc", "auprc", "classwise_ece")
RESULTS = Path(__file__).parent / "results" / "intervals.md"


def classifier(k: int, alike: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the (k, k) chances of what each class is taken for."""
    recalls = np.full(k, 0.7) if alike else np.clip(np.linspace(0.95, 0.35, k) + rng.normal(0, 0.08, k), 0.05, 0.98)
    others = rng.dirichlet(np.full(k, 0.5), k) * (1 - np.eye(k))
    return others / others.sum(axis=1, keepdims=True) * (1 - recalls)[:, None] + np.diag(recalls)


def truth(chances: NDArray[np.float64], counts: NDArray[np.int64], few: NDArray[np.intp]) -> dict[str, float]:
    """Return the measures of a test set as large as one likes."""
    recalls, expected = chances.diagonal(), chances * counts[:, None]
    f1 = 2 * expected.diagonal() / (expected.sum(axis=0) + counts)
    return {
        "accuracy": counts @ recalls / counts.sum(),
        "balanced_accuracy": recalls.mean(),
        "few_shot_accuracy": recalls[few].mean(),
        "macro_f1": f1.mean(),
        "worst_class": recalls.min(),
        "g_mean": np.exp(np.log(recalls).mean()),
    }


def share(evaluations: Iterable[Evaluation], name: str, true: float | None = None) -> float:
    """Return the share of the intervals of a measure that hold the truth, or else the mean over test sets."""
    found = np.array([(e.value, e.low, e.high) for e in (evaluation.overall[name] for evaluation in evaluations)])
    value, low, high = found.T
    true = value.mean() if true is None else true
    return float(((low <= true + 1e-9) & (true - 1e-9 <= high)).mean())


def decisions(k: int, most: int, least: int, alike: bool, repeat: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    chances, counts = classifier(k, alike, rng), exponential(most, most / least, k)
    ends, labels = chances.cumsum(axis=1), np.repeat(np.arange(k), counts)
    evaluations = []
    for _ in range(repeat):
        predicted = (rng.random(len(labels))[:, None] > ends[labels]).sum(axis=1).clip(0, k - 1)
        evaluations.append(evaluate(labels, predicted, class_counts=4 * counts, n_bootstrap=400))
    true = truth(chances, counts, evaluations[0].groups["few"])
    cells = " | ".join(f"{100 * share(evaluations, name, true[name]):.0f} %" for name in OF_RECALLS)
    return f"| {k} | {most} to {least} | {'alike' if alike else 'fall'} | {cells} |"


def probabilities(counts: list[int], repeat: int) -> str:
    k, rng = len(counts), np.random.default_rng(0)
    labels, evaluations = np.repeat(np.arange(k), counts), []
    for _ in range(repeat):
        proba = softmax(rng.normal(size=(len(labels), k)) + 2 * np.eye(k)[labels])
        of = {"class_counts": 4 * np.array(counts), "proba": proba, "n_bootstrap": 400}
        evaluations.append(evaluate(labels, proba.argmax(axis=1), **of))
    cells = " | ".join(f"{100 * share(evaluations, name):.0f} %" for name in OF_SCORES)
    return f"| {', '.join(map(str, counts))} | {cells} |"


def label_sets(k: int, most: int, least: int, apart: float, repeat: int) -> str:
    """Let each example have each label by chance, so that labels have ``most`` to ``least`` examples on average.

    Their scores, of standard deviation 1, are ``apart`` from those of examples without the label.
    """
    n, rng = 2 * most, np.random.default_rng(k)
    counts, evaluations = exponential(most, most / least, k), []
    for _ in range(repeat):
        rows = rng.random((n, k)) < counts / n
        proba = expit(rng.normal(size=(n, k)) + apart * (rows - 0.5))
        evaluations.append(evaluate_labels(rows, proba > 0.5, proba, class_counts=4 * counts))
    cells = " | ".join(f"{100 * share(evaluations, name):.0f} %" for name in OF_SETS)
    return f"| {k} | {most} to {least} | {apart:g} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, help="test sets of each kind, 500 by default")
    asked = parser.parse_args().repeat
    repeat = asked or 500
    head = f"| classes | test examples | recalls | {' | '.join(OF_RECALLS)} |"
    lines = ["# How often intervals hold the truth", "", f"`python benchmarks/intervals.py`: {repeat} test sets each."]
    lines += ["", head, "|---:|---:|---|" + "---:|" * len(OF_RECALLS)]
    for alike in (False, True):
        for seed, tail in enumerate(TAILS):
            lines.append(decisions(*tail, alike, repeat, seed))
            print(lines[-1], flush=True)
    lines += ["", f"| test examples | {' | '.join(OF_SCORES)} |", "|---|" + "---:|" * len(OF_SCORES)]
    for counts in ([100, 50, 20, 5, *[1] * 6], [100, 50, 20, 5, *[2] * 6], exponential(200, 100, 10).tolist()):
        lines.append(probabilities(counts, repeat))
        print(lines[-1], flush=True)
    lines += [
        "",
        f"| labels | test examples | apart | {' | '.join(OF_SETS)} |",
        "|---:|---:|---:|" + "---:|" * len(OF_SETS),
    ]
    for tail in (*((k, 200, 1, 2) for k in (8, 10, 30, 100)), (100, 400, 20, 2), (5, 15, 3, 5), (5, 15, 3, 7)):
        lines.append(label_sets(*tail, repeat))
        print(lines[-1], flush=True)
    if asked is None:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
