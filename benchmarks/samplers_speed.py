"""Samplers beside what one would take instead: time to start, time for an epoch, and memory beyond the labels.

    python benchmarks/samplers_speed.py [--sizes 1000000 10000000] [--dtypes int32] [--only ShuffleSampler] [--runs 1]
        > benchmarks/results/samplers_speed.md

Every measurement is a process of its own, on labels of 1,000 classes (128 where they are int8) whose sizes fall by a
factor of 1,000, shuffled. Times are the process's CPU time, which other work on the machine changes less than the
clock: until the sampler is built, until it gave its first index, and until it gave all of an epoch's, one by one.
Memory is the rise of the resident size, at its peak, over what it was with the labels loaded and everything imported
(Linux): after the first index, and after the epoch.

What stands beside a sampler of classes is torch's WeightedRandomSampler with a weight for each example, made from the
labels; which weights does not matter for its time. WeightedSampler and the torch sampler beside it get one weight for
each example, one over its class's count, in float64; these are there before, like the labels. torch's sampler refuses
more than 2^24 examples. Where it has no such sampler, a few lines of NumPy stand there.

``--entities EXAMPLES`` measures those that go by the entities of an example instead, of which it has some ten among
10,000, beside loops over the examples and their entities, as the authors of such samplers publish them.
"""

import argparse
import collections
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy import sparse

from memory import forget_peak, resident
from tailwise import samplers

CLASSES, EXAMPLES = 16, 4  # of a batch of classes
THRESHOLD = 1e-3


def random_order(labels, weights):
    from torch.utils.data import RandomSampler

    return RandomSampler(labels)


def weighted_draws(labels, weights):
    import torch
    from torch.utils.data import WeightedRandomSampler

    weights = (1 / np.bincount(labels))[labels] if weights is None else weights
    return WeightedRandomSampler(torch.from_numpy(weights), len(weights))


class Repeats:
    """As many copies of every example as its factor says, rounded at random, in random order."""

    def __init__(self, factors):
        self.factors, self.rng = factors, np.random.default_rng(0)

    def __iter__(self):
        copies = np.floor(self.factors + self.rng.random(self.factors.size)).astype(np.int64)
        indices = np.repeat(np.arange(copies.size), copies)
        self.rng.shuffle(indices)
        return iter(indices.tolist())


def root_factors(labels, weights):
    return Repeats(np.sqrt(np.maximum(1, THRESHOLD * labels.size / np.bincount(labels)))[labels])


def least_factors(labels, weights):
    return Repeats(np.sqrt(np.minimum(1, THRESHOLD * labels.size / np.bincount(labels)))[labels])


class Batches:
    """Batches of some examples of each of some classes, a loop."""

    def __init__(self, labels, weights):
        order = np.argsort(labels, kind="stable")
        rows = np.split(order, np.cumsum(np.bincount(labels))[:-1])
        self.rows = [own for own in rows if own.size]
        self.batches, self.rng = labels.size // (CLASSES * EXAMPLES), np.random.default_rng(0)

    def __iter__(self):
        for _ in range(self.batches):
            chosen = self.rng.choice(len(self.rows), CLASSES, replace=False)
            yield np.concatenate([self.rng.choice(self.rows[c], EXAMPLES) for c in chosen]).tolist()


def hard_aware(labels, weights):
    sampler = samplers.HardAwareSampler(labels)
    sampler.set_difficulty(np.linspace(0, 0.3, sampler.class_counts.size))
    return sampler


def late(labels, weights):
    n_classes = int(labels.max()) + 1
    return samplers.LateUpsamplingSampler(labels, epochs=10, last=0.2, late=np.arange(n_classes) * 10 // n_classes == 5)


def mixture(labels, weights):
    return samplers.MixtureSampler([samplers.ShuffleSampler(labels), samplers.ClassBalancedSampler(labels)], [1, 1])


def ours(name, **settings):
    """Return what builds a sampler of ours."""
    return lambda labels, weights: getattr(samplers, name)(labels, **settings)


class Passing:
    """The examples that one of their entities lets pass, a loop over them and their entities, in random order."""

    def __init__(self, has, weights):
        draw, lists = random.Random(0).random, np.split(has.indices, has.indptr[1:-1])
        chances = dict(enumerate(500 / np.maximum(has.sum(axis=0), 1).astype(float)))
        self.kept = [row for row, entities in enumerate(lists) if any(draw() < chances[entity] for entity in entities)]

    def __iter__(self):
        random.Random(0).shuffle(self.kept)
        return iter(self.kept)


def rarest_factors(has, weights):
    lists = np.split(has.indices, has.indptr[1:-1])
    factors = dict(enumerate(np.sqrt(np.maximum(1, THRESHOLD * has.shape[0] / np.maximum(has.sum(axis=0), 1)))))
    return Repeats(np.array([max((factors[entity] for entity in entities), default=1.0) for entities in lists]))


#: What builds each, and what stands beside it.
CODES = {
    "ShuffleSampler": (ours("ShuffleSampler"), "torch RandomSampler"),
    "ClassSampler": (ours("ClassSampler"), "torch WeightedRandomSampler, from labels"),
    "ClassBalancedSampler": (ours("ClassBalancedSampler"), "torch WeightedRandomSampler, from labels"),
    "SquareRootSampler": (ours("SquareRootSampler"), "torch WeightedRandomSampler, from labels"),
    "PowerSampler": (ours("PowerSampler", power=0.75), "torch WeightedRandomSampler, from labels"),
    "ReversedSampler": (ours("ReversedSampler"), "torch WeightedRandomSampler, from labels"),
    "HardAwareSampler": (hard_aware, "torch WeightedRandomSampler, from labels"),
    "ProgressivelyBalancedSampler": (
        ours("ProgressivelyBalancedSampler", epochs=10),
        "torch WeightedRandomSampler, from labels",
    ),
    "CooldownSampler": (ours("CooldownSampler", epochs=10), "torch WeightedRandomSampler, from labels"),
    "LateUpsamplingSampler": (late, "torch WeightedRandomSampler, from labels"),
    "MixtureSampler": (mixture, "torch WeightedRandomSampler, from labels"),
    "RepeatFactorSampler": (ours("RepeatFactorSampler", threshold=THRESHOLD), "NumPy, repeats"),
    "FrequencySubsampler": (ours("FrequencySubsampler", threshold=THRESHOLD), "NumPy, left out"),
    "ClassBatchSampler": (ours("ClassBatchSampler", classes=CLASSES, examples=EXAMPLES), "NumPy, batches"),
    "WeightedSampler": (
        lambda labels, weights: samplers.WeightedSampler(labels, weights=weights),
        "torch WeightedRandomSampler",
    ),
}
ENTITIES = {
    "EntityRebalancingSampler": (ours("EntityRebalancingSampler", threshold=500), "loop, passing"),
    "RepeatFactorSampler of an indicator": (ours("RepeatFactorSampler", threshold=THRESHOLD), "loop, rarest entity"),
}
INSTEAD = {
    "torch RandomSampler": random_order,
    "torch WeightedRandomSampler": weighted_draws,
    "torch WeightedRandomSampler, from labels": weighted_draws,
    "NumPy, repeats": root_factors,
    "NumPy, left out": least_factors,
    "NumPy, batches": Batches,
    "loop, passing": Passing,
    "loop, rarest entity": rarest_factors,
}
BUILD = {case: build for case, (build, _) in (CODES | ENTITIES).items()} | INSTEAD
GIVEN_WEIGHTS = {"WeightedSampler", "torch WeightedRandomSampler"}


def labels_of(n: int, dtype: str) -> np.ndarray:
    """Return shuffled labels of an exponential profile."""
    n_classes = min(1000, np.iinfo(dtype).max + 1)
    shares = 1000.0 ** -(np.arange(n_classes) / (n_classes - 1))
    counts = np.floor(n * shares / shares.sum()).astype(np.int64)
    counts[0] += n - counts.sum()
    labels = np.repeat(np.arange(n_classes, dtype=dtype), counts)
    np.random.default_rng(0).shuffle(labels)
    return labels


def entities_of(n: int) -> sparse.csr_array:
    """Return which of 10,000 entities, the k-th 1/k times as frequent as the first, are drawn for n examples in ten."""
    shares = 1 / np.arange(1, 10_001)
    drawn = np.random.default_rng(0).choice(10_000, 10 * n, p=shares / shares.sum())
    has = sparse.csr_array((np.ones(10 * n, np.int8), (np.repeat(np.arange(n), 10), drawn)), shape=(n, 10_000))
    has.data[:] = 1  # an entity drawn twice for an example is one of its entities
    return has


def measure(case: str, path: str) -> dict:
    labels = np.load(path) if path.endswith("npy") else sparse.load_npz(path)
    size = labels.nbytes if path.endswith("npy") else labels.data.nbytes + labels.indices.nbytes + labels.indptr.nbytes
    weights = (1 / np.bincount(labels))[labels] if case in GIVEN_WEIGHTS else None
    few = labels[:100_000]
    next(iter(BUILD[case](few, None if weights is None else weights[:100_000])))  # imports
    forget_peak()
    base, begin = resident("VmRSS"), time.process_time()
    sampler = BUILD[case](labels, weights)
    built = time.process_time() - begin
    stream = iter(sampler)
    next(stream)
    first, started = time.process_time() - begin, resident("VmHWM") - base
    collections.deque(stream, maxlen=0)
    whole = time.process_time() - begin
    memory = resident("VmHWM") - base
    return {"built": built, "first": first, "whole": whole, "started": started / size, "memory": memory / size}


def table(cases: dict, path: str, runs: int) -> None:
    """Print a row for each case, and one for each of those beside them."""
    print("| sampler | built, s | first index, s | whole epoch, s | memory to start | memory | ", end="")
    print("instead | its epoch over ours | its memory over ours |\n|---|" + "---:|" * 5 + "---|---:|---:|", flush=True)
    beside = {instead: run(instead, path, runs) for _, instead in cases.values()}
    for case, (_, instead) in cases.items():
        taken, its = run(case, path, runs), beside[instead]
        comparable = "failed" not in taken and "failed" not in its
        ratios = [f"{its[what] / max(taken[what], 0.01):.1f}" if comparable else "–" for what in ("whole", "memory")]
        print(row(case, taken, instead, *ratios), flush=True)
    for instead, its in beside.items():
        print(row(instead, its, "", "", ""), flush=True)


def run(case: str, path: str, runs: int) -> dict:
    """Return the medians of what processes of their own measure, or how the first of them failed."""
    results = []
    for _ in range(runs):
        done = subprocess.run([sys.executable, __file__, "--one", case, path], capture_output=True, text=True)
        if done.returncode:
            return {"failed": (done.stderr.strip().splitlines() or ["killed, for want of memory perhaps"])[-1][:80]}
        results.append(json.loads(done.stdout))
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def row(case: str, taken: dict, *beside: str) -> str:
    shown = [taken["failed"], "", "", "", ""] if "failed" in taken else [f"{number:.2f}" for number in taken.values()]
    return f"| {' | '.join([case, *shown, *beside])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--dtypes", nargs="+", default=["int64", "int32", "int16", "int8"])
    parser.add_argument("--only", nargs="+", default=list(CODES), choices=CODES)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--entities", type=int, metavar="EXAMPLES")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one)))
        return
    print("# Speed and memory of the samplers\n")
    print(f"`python {' '.join(sys.argv)}`: {platform.machine()}, Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, a shared machine of 2 cores; CPU seconds, median of {args.runs}.\n")
    print("Memory is beyond the labels, in multiples of what they take.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if args.entities:
            has = entities_of(args.entities)
            sparse.save_npz(f"{folder}/labels.npz", has, compressed=False)
            print(f"\n## {args.entities:,} examples with {has.nnz / args.entities:.1f} of 10,000 entities each\n")
            table(ENTITIES, f"{folder}/labels.npz", args.runs)
            return
        for n in args.sizes:
            for dtype in args.dtypes:
                labels = labels_of(n, dtype)
                np.save(f"{folder}/labels.npy", labels)
                print(f"\n## {n:,} labels, {dtype} ({labels.nbytes / 1e6:.0f} MB)\n")
                del labels
                table({case: CODES[case] for case in args.only}, f"{folder}/labels.npy", args.runs)


if __name__ == "__main__":
    main()
