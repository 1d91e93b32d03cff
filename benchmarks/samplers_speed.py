"""Samplers beside torch's WeightedRandomSampler: time to start, time for an epoch, and memory beyond the labels.

    python benchmarks/samplers_speed.py [--sizes 1000000 10000000] [--dtypes int32] [--only ShuffleSampler] [--runs 1]
        > benchmarks/results/samplers_speed.md

Every measurement is a process of its own, on labels of 1,000 classes whose sizes fall by a factor of 1,000, shuffled.
Times are the process's CPU time, which other work on the machine changes less than the clock: until the sampler is
built, until it gave its first index, and until it gave all of an epoch's, one by one. Memory is the rise of the
resident size, at its peak, over what it was with the labels loaded and everything imported (Linux): after the first
index, and after the epoch. WeightedSampler and torch's sampler get one weight for each example, one over its class's
count, in float64; these are there before, like the labels. torch's sampler refuses more than 2^24 examples.
``--rebalancing EXAMPLES`` times entity_rebalancing instead, beside the loop over examples and their entities that its
authors publish.
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
from pathlib import Path

import numpy as np

CASES = {
    "ShuffleSampler": {},
    "ClassBalancedSampler": {},
    "SquareRootSampler": {},
    "ProgressivelyBalancedSampler": {"epochs": 10},
    "CooldownSampler": {"epochs": 10},
    "LateUpsamplingSampler": {"epochs": 10, "last": 0.2, "late": np.arange(1000) // 100 == 5},
    "RepeatFactorSampler": {},
    "FrequencySubsampler": {"threshold": 1e-3},
    "ClassBatchSampler": {"classes": 16, "examples": 4},
    "WeightedSampler": {},
    "torch WeightedRandomSampler": {},
}


def labels_of(n: int, dtype: str) -> np.ndarray:
    """Return shuffled labels of an exponential profile."""
    shares = 1000.0 ** -(np.arange(1000) / 999)
    counts = np.floor(n * shares / shares.sum()).astype(np.int64)
    counts[0] += n - counts.sum()
    labels = np.repeat(np.arange(1000, dtype=dtype), counts)
    np.random.default_rng(0).shuffle(labels)
    return labels


def resident(what: str) -> int:
    """Return ``VmRSS``, the resident size, or ``VmHWM``, its peak, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{what}:")[1].split()[0])


def build(case: str, labels: np.ndarray, weights: np.ndarray | None):
    if case.startswith("torch"):
        import torch
        from torch.utils.data import WeightedRandomSampler

        return WeightedRandomSampler(torch.from_numpy(weights), labels.size)
    from tailwise import samplers

    settings = dict(CASES[case]) if weights is None else {"weights": weights}
    if "late" in settings:
        settings["late"] = settings["late"][: labels.max() + 1]
    return getattr(samplers, case)(labels, **settings)


def measure(case: str, path: str) -> dict:
    labels = np.load(path)
    weights = (1 / np.bincount(labels))[labels] if "Weighted" in case else None
    next(iter(build(case, labels[:100_000], None if weights is None else weights[:100_000])))  # imports
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    base, begin = resident("VmRSS"), time.process_time()
    sampler = build(case, labels, weights)
    built = time.process_time() - begin
    stream = iter(sampler)
    next(stream)
    first, started = time.process_time() - begin, resident("VmHWM") - base
    collections.deque(stream, maxlen=0)
    whole = time.process_time() - begin
    return {
        "built": built,
        "first": first,
        "whole": whole,
        "started": started / labels.nbytes,
        "memory": (resident("VmHWM") - base) / labels.nbytes,
    }


def rebalancing(n: int) -> None:
    """Print how long it takes to choose among n examples with some ten of 10,000 entities each."""
    from scipy import sparse

    from tailwise.samplers import entity_rebalancing

    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, 10_001)
    drawn = rng.choice(10_000, 10 * n, p=shares / shares.sum())
    has = sparse.csr_array((np.ones(10 * n, np.int8), (np.repeat(np.arange(n), 10), drawn)), shape=(n, 10_000))
    has.data[:] = 1  # an entity drawn twice for an example is one of its entities
    lists = np.split(has.indices, has.indptr[1:-1])
    begin = time.process_time()
    kept = entity_rebalancing(has, thresholds=[500], random_state=0)
    ours = time.process_time() - begin
    begin = time.process_time()
    chances = dict(enumerate(500 / np.maximum(has.sum(axis=0), 1).astype(float)))
    draw = random.Random(0).random
    looped = [row for row, entities in enumerate(lists) if any(draw() < chances[entity] for entity in entities)]
    theirs = time.process_time() - begin
    print(
        f"\n`entity_rebalancing` of {n:,} examples with {has.nnz / n:.1f} of 10,000 entities each: {ours:.2f} s, ",
        end="",
    )
    print(f"in a loop {theirs:.2f} s, {theirs / ours:.0f} times as long; {len(kept):,} and {len(looped):,} are kept.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--dtypes", nargs="+", default=["int64", "int32", "int16"])
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--rebalancing", type=int, metavar="EXAMPLES")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one)))
        return
    if args.rebalancing:
        rebalancing(args.rebalancing)
        return
    print("# Speed and memory of the samplers\n")
    print(f"`python {' '.join(sys.argv)}`: {platform.machine()}, Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, a shared machine of 2 cores; CPU seconds, median of {args.runs}.\n")
    print("Memory is beyond the labels, in multiples of what they take.", flush=True)
    for n in args.sizes:
        for dtype in args.dtypes:
            with tempfile.TemporaryDirectory() as folder:
                labels = labels_of(n, dtype)
                path = f"{folder}/labels.npy"
                np.save(path, labels)
                print(f"\n## {n:,} labels, {dtype} ({labels.nbytes / 1e6:.0f} MB)\n")
                del labels
                print("| sampler | built, s | first index, s | whole epoch, s | memory to start | memory |")
                print("|---|---:|---:|---:|---:|---:|", flush=True)
                for case in args.only:
                    print(row(case, [run(case, path) for _ in range(args.runs)]), flush=True)


def run(case: str, path: str) -> dict:
    done = subprocess.run([sys.executable, __file__, "--one", case, path], capture_output=True, text=True)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:80]}
    return json.loads(done.stdout)


def row(case: str, results: list[dict]) -> str:
    failed = [result["failed"] for result in results if "failed" in result]
    if failed:
        return f"| {case} | {failed[0]} | | | | |"
    numbers = [statistics.median(result[key] for result in results) for key in results[0]]
    return f"| {case} | " + " | ".join(f"{number:.2f}" for number in numbers) + " |"


if __name__ == "__main__":
    main()
