"""Reports of two, of many, and of hostile classes."""

from dataclasses import replace

import numpy as np
import pytest

from tailwise.metrics import evaluate, evaluate_labels
from tailwise.report import Example, Report, thumbnail

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def make(k, n=600, names=None, baseline=True, probabilities=True):
    rng = np.random.default_rng(k)
    counts = np.round(np.geomspace(5000, 3, k)).astype(int)
    labels = rng.integers(0, k, n)
    scores = rng.normal(size=(n, k))
    scores[np.arange(n), labels] += 3
    names = names or [f"class {i}" for i in range(k)]

    def measured(s):
        proba = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        p = proba if probabilities else None
        return evaluate(labels, s.argmax(1), class_counts=counts, proba=p, class_names=names, n_bootstrap=20).to_dict()

    plain = scores + 0.5 * np.log(counts / counts.sum())
    rows = [
        {
            "recipe": "plain",
            "score": 0.6,
            "low": 0.55,
            "high": 0.65,
            "folds": [0.58, 0.62],
            "outcome": "compared",
            "reason": "",
        },
        {
            "recipe": names[0],
            "score": 0.7,
            "low": 0.66,
            "high": 0.74,
            "folds": [0.7, 0.7],
            "outcome": "selected",
            "reason": "",
        },
        {
            "recipe": "late",
            "score": None,
            "low": None,
            "high": None,
            "folds": [],
            "outcome": "out of time",
            "reason": "no time left to start",
        },
    ]
    image = thumbnail(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    return Report(
        f"Report of {names[0]}",
        measured(scores),
        measured(plain) if baseline else None,
        diagnosis={"findings": [{"severity": "warning", "sentence": f"Mind {names[0]}."}]},
        comparison=rows,
        examples=[
            Example(names[0], names[1], 0.9, "7", image=image),
            Example(names[0], names[1], 0.8, names[0], text=names[0] * 30, fields={names[0]: names[1], "n": 3.5}),
        ],
        notes=(f"Trained on {names[0]}.", "Prior corrected."),
        model_card={"recipe": names[0], "settings": {"tau": 1.0}, "nothing": None},
    )


def make_sets(k, n=400, names=None):
    rng = np.random.default_rng(k)
    share = np.geomspace(0.4, 0.008, k)
    rows = (rng.random((n, k)) < share).astype(int)
    rows[np.arange(k), np.arange(k)] = 1
    rows[:, k // 2] = 0
    names = names or [f"label {i}" for i in range(k)]

    def measured(shift):
        proba = 1 / (1 + np.exp(-(shift * rows - 2 + rng.normal(size=rows.shape))))
        counts = np.maximum(5000 * share, 1).astype(int)
        return evaluate_labels(rows, proba > 0.5, proba, class_counts=counts, class_names=names).to_dict()

    whole = make(2, names=[names[0], names[1]])
    return replace(whole, evaluation=measured(3), baseline=measured(2.5), examples=[])


@pytest.fixture(params=["two", "ten", "hundreds", "hostile", "bare", "sets", "hundreds of labels", "hostile labels"])
def report(request):
    match request.param:
        case "two":
            return make(2)
        case "ten":
            return make(10)
        case "hundreds":
            return make(300)
        case "hostile":
            return make(3, names=[HOSTILE, "longwordwithoutanyspace" * 8, "</style></svg><img src=x onerror=alert(1)>"])
        case "sets":
            return make_sets(8)
        case "hundreds of labels":
            return make_sets(200)
        case "hostile labels":
            return make_sets(3, names=[HOSTILE, "longwordwithoutanyspace" * 8, "</style>"])
        case "bare":
            whole = make(4, baseline=False, probabilities=False)
            return Report(whole.title, whole.evaluation)
