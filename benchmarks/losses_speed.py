"""Forward and backward of the losses beside torch's cross-entropy and beside the authors' own code.

    python benchmarks/losses_speed.py [--authors FOLDER] [--threads 1] [--compiled] > benchmarks/results/losses_speed.md

Runs are interleaved, so that every loss sees the same machine; each figure is the median of its runs over the median of
``F.cross_entropy``. Memory is the largest sum of live tensors that operations made, in units of batch × classes.

``--authors`` names a folder with ``ldam.py`` (github.com/kaidic/LDAM-DRW, losses.py), ``seesaw.py`` (mmdetection,
seesaw_loss.py), ``eql.py`` (eql.detectron2, projects/EQL/eql/fast_rcnn.py) and ``eqlv2.py`` (eqlv2,
mmdet/models/losses/eqlv2.py), freed from CUDA and from their frameworks' imports.
"""

import argparse
import gc
import os
import platform
import random
import resource
import statistics
import sys
import time
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tailwise import losses
from tailwise.data.longtail import exponential

NOTES = """
## Reading it

- Bias, weight, scale and margin losses are to be within 1.15 of `F.cross_entropy`. From 2^20 entries on they are
  faster than it: the softmax is written over the adjusted logits and kept for backward, so forward and backward make
  two tensors instead of three.
- At 1024 × 100 cross-entropy takes 0.1 ms in all, and what is added shows: the last table takes it apart. A pass
  over the logits and its node in the graph cost an eighth; a bias needs one, a scale two (backward has one too), a
  margin a `scatter_add_` besides. A bias is within the bound where a function is beside a function and a module beside
  a module; that of a module beside a function, as in the table above, is missed by 2 µs, which a module's call takes.
  Scale and margin miss it by hand too. A function with a backward of its own and `exp2` was tried: it takes 1.05 on one
  thread, but 1.35 on two, where its many small passes do not become faster. `torch.compile` fuses the passes.
- Losses with a factor per example and class (seesaw, noise, softmax equalization) make that factor: one tensor more.
- Equalization and its second version are more than 2 times faster than the authors' code where the batch is large: one
  pass of softplus and weights instead of labels, weights and a sigmoid cross-entropy. At 1024 × 100 softplus
  alone takes a third of the authors' whole time, and twice is out of reach: a sigmoid and its logarithm instead would
  be 1.9 times as fast, but lose what a loss below 6e-8 a class adds up to. One logarithm of a product for 64 examples,
  instead of one each, was tried for the first version: 1.6 times there, but 2.7 instead of 3.5 in larger batches.
- Overlap, multi-label and ordinal losses are plain torch, several tensors each.
- All of this is on a CPU; nothing here was measured on a GPU.
"""
SHAPES = [(1024, 100), (1024, 10_000), (256, 100_000)]
LVIS = (1024, 1230)  # proposals × classes, for which seesaw and the equalization losses were written


class PeakMemory(TorchDispatchMode):
    """Follows the bytes of all storages that operations made and that are still alive."""

    def __init__(self, *known):
        super().__init__()
        self.live, self.now, self.peak = {t.untyped_storage().data_ptr() for t in known}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                address, size = storage.data_ptr(), storage.nbytes()
                if address not in self.live and size:
                    self.live.add(address)
                    self.now += size
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._freed, address, size)
        return out

    def _freed(self, address, size):
        self.live.discard(address)
        self.now -= size


def step(loss, logits, targets):
    logits.grad = None
    loss(logits, targets).backward()


def medians(candidates, logits, targets, runs):
    times = {name: [] for name in candidates}
    order = list(candidates.items())
    draw = random.Random(0)
    for _ in range(runs):
        draw.shuffle(order)
        for name, loss in order:
            step(loss, logits, targets)  # so that it finds its own caches, not those that another loss left
            start = time.perf_counter()
            step(loss, logits, targets)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def peak(loss, logits, targets):
    logits.grad = None
    gc.collect()
    with PeakMemory(logits) as memory:
        torch.autograd.grad(loss(logits, targets), logits)
    return memory.peak / (4 * logits.numel())


def ours(counts):
    k = len(counts)
    return {
        "CrossEntropyLoss": losses.CrossEntropyLoss(),
        "ClassBalancedLoss": losses.ClassBalancedLoss(counts),
        "BalancedSoftmaxLoss": losses.BalancedSoftmaxLoss(counts),
        "BalancedSoftmaxLoss, weighted": losses.BalancedSoftmaxLoss(counts, weight=np.linspace(1, 2, k)),
        "LogitAdjustedLoss": losses.LogitAdjustedLoss(counts),
        "VSLoss": losses.VSLoss(counts),
        "CDTLoss": losses.CDTLoss(counts),
        "LDAMLoss": losses.LDAMLoss(counts),
        "NormalisedSoftmaxLoss": losses.NormalisedSoftmaxLoss(),
        "FocalLoss": losses.FocalLoss(),
        "SeesawLoss": losses.SeesawLoss(counts),
        "SoftmaxEqualizationLoss": losses.SoftmaxEqualizationLoss(counts),
        "LADELoss": losses.LADELoss(counts),
        "GCLLoss": losses.GCLLoss(counts),
        "BLVLoss": losses.BLVLoss(counts),
        "InstanceWeightedLoss": losses.InstanceWeightedLoss(),
        "DFTLoss": losses.DFTLoss(),
        "DiceLoss": losses.DiceLoss(),
        "TverskyLoss": losses.TverskyLoss(),
        "ZLoss": losses.ZLoss(),
        "TSimilarityLoss": losses.TSimilarityLoss(),
        "CumulativeLoss": losses.CumulativeLoss(),
        "EqualizationLoss": losses.EqualizationLoss(counts),
        "EqualizationLossV2": losses.EqualizationLossV2(k),
        "AsymmetricLoss": losses.AsymmetricLoss(),
        "DistributionBalancedLoss": losses.DistributionBalancedLoss(counts, int(sum(counts))),
    }


def beside_torch(quick):
    print("\n## Beside `F.cross_entropy`\n")
    print("Time over `F.cross_entropy`'s; in brackets, peak memory in batch × classes tensors (the gradient is one).\n")
    print("| loss | " + " | ".join(f"{n} × {k}" for n, k in SHAPES) + " |")
    print("|---|" + "---:|" * len(SHAPES))
    cells = {}
    for n, k in SHAPES:
        counts = exponential(5000, 100, k)
        logits = torch.rand(n, k).mul_(2).sub_(1).requires_grad_()
        targets = torch.randint(k, (n,))
        candidates = {"F.cross_entropy": F.cross_entropy, **ours(counts)}
        runs = 3 if quick else 300 if k == 100 else 5
        taken = medians(candidates, logits, targets, runs)
        base = taken["F.cross_entropy"]
        for name, loss in candidates.items():
            shown = f"{base * 1e3:.3g} ms" if loss is F.cross_entropy else f"{taken[name] / base:.2f}"
            cells.setdefault(name, []).append(f"{shown} ({peak(loss, logits, targets):.1f})")
    for name, row in cells.items():
        print(f"| {name} | " + " | ".join(row) + " |")


def small_batches(quick, compiled):
    n, k = SHAPES[0]
    counts = exponential(5000, 100, k)
    logits = torch.rand(n, k).mul_(2).sub_(1).requires_grad_()
    targets = torch.randint(k, (n,))
    bias, scale = losses.VSLoss(counts).bias, losses.VSLoss(counts).scale
    margin = losses.LDAMLoss(counts).margin

    def with_margin(z, y):
        drop = margin.mul(-30.0).index_select(0, y)[:, None]
        return F.cross_entropy((z * 30.0).scatter_add_(1, y[:, None], drop), y)

    rows = {  # the least that torch itself can do, the settings of the function, and the module
        "logits + bias": (
            lambda z, y: F.cross_entropy(z + bias, y),
            {"bias": bias},
            losses.BalancedSoftmaxLoss(counts),
        ),
        "logits * scale": (lambda z, y: F.cross_entropy(z * scale, y), {"scale": scale}, losses.CDTLoss(counts)),
        "addcmul(bias, logits, scale)": (
            lambda z, y: F.cross_entropy(torch.addcmul(bias, z, scale), y),
            {"bias": bias, "scale": scale},
            losses.VSLoss(counts),
        ),
        "scatter_add_(logits * 30, margin)": (with_margin, {"scale": 30.0, "margin": margin}, losses.LDAMLoss(counts)),
    }
    runs = 3 if quick else 600
    candidates = {"base": F.cross_entropy, "module": torch.nn.CrossEntropyLoss()}
    for name, (least, settings, loss) in rows.items():
        function = partial(losses.adjusted_cross_entropy, **settings)
        candidates |= {f"least {name}": least, f"function {name}": function, f"loss {name}": loss}
    taken = medians(candidates, logits, targets, runs)
    faster = {}
    if compiled:
        faster = {"base": torch.compile(F.cross_entropy, dynamic=False)}
        faster |= {name: torch.compile(loss, dynamic=False) for name, (_, _, loss) in rows.items()}
        faster = medians(faster, logits, targets, runs)
    print(f"\n## Where the time goes at {n} × {k}\n")
    base = f"`F.cross_entropy` takes {taken['base'] * 1e6:.0f} µs"
    base += f", compiled {faster['base'] * 1e6:.0f} µs" if compiled else ""
    print("Functions over `F.cross_entropy`, modules over `torch.nn.CrossEntropyLoss`, which itself takes")
    print(f"{taken['module'] / taken['base']:.2f} of it, and compiled over compiled. {base}.\n")
    print("| adjustment | before `F.cross_entropy`, by hand | `adjusted_cross_entropy` | module | module, compiled |")
    print("|---|---:|---:|---:|---:|")
    for name, (_, _, loss) in rows.items():
        cells = [taken[f"{kind} {name}"] / taken["base"] for kind in ("least", "function")]
        cells.append(taken[f"loss {name}"] / taken["module"])
        shown = [f"{cell:.2f}" for cell in cells]
        shown.append(f"{faster[name] / faster['base']:.2f}" if compiled else "not measured")
        print(f"| `{name}`, {type(loss).__name__} | {' | '.join(shown)} |")


def beside_authors(folder, quick):
    sys.path.insert(0, str(folder))
    import eql
    import eqlv2
    import ldam
    import seesaw

    def their_equalization(counts):
        outputs = eql.EQLFastRCNNOutputs.__new__(eql.EQLFastRCNNOutputs)
        outputs.lambda_, outputs.freq_info = 1.76e-3, torch.tensor(counts / counts.sum())

        def loss(logits, targets):
            outputs.pred_class_logits, outputs.gt_classes = logits, targets
            return outputs.eql_loss()

        return loss

    def their_equalization_v2(k):
        # their last column is the background, of which no example is
        module = eqlv2.EQLv2(num_classes=k - 1)
        return lambda logits, targets: module(logits, targets.clamp_max(k - 2))

    shapes = sorted([*SHAPES, LVIS], key=lambda shape: shape[1])
    print("\n## Beside the authors' code\n")
    print("Time of theirs over ours; in brackets, peak memory of theirs and ours in batch × classes tensors.\n")
    print("| loss | " + " | ".join(f"{n} × {k}" for n, k in shapes) + " |")
    print("|---|" + "---:|" * len(shapes))
    cells = {}
    for n, k in shapes:
        counts = exponential(5000, 100, k)
        logits = torch.rand(n, k).mul_(2).sub_(1).requires_grad_()
        targets = torch.randint(k, (n,))
        pairs = {
            "LDAM": (lambda c: ldam.LDAMLoss(c.tolist()), losses.LDAMLoss),
            "seesaw": (lambda c, k=k: seesaw.Seesaw(k, torch.tensor(c).float()), losses.SeesawLoss),
            "equalization": (their_equalization, losses.EqualizationLoss),
            "equalization v2": (
                lambda c, k=k: their_equalization_v2(k),
                lambda c: losses.EqualizationLossV2(len(c)),
            ),
        }
        for name, (their_build, our_build) in pairs.items():
            if name == "seesaw" and k > 10_000:  # they make a classes × classes matrix
                cells.setdefault(name, []).append(f"theirs needs {4 * k * k / 2**30:.0f} GiB")
                continue
            theirs, mine = their_build(counts), our_build(counts)
            runs = 3 if quick else 200 if k == 100 else 40 if k < 10_000 else 5
            taken = medians({"theirs": theirs, "ours": mine}, logits, targets, runs)
            memory = f"{peak(theirs, logits, targets):.1f}, {peak(mine, logits, targets):.1f}"
            cells.setdefault(name, []).append(f"{taken['theirs'] / taken['ours']:.1f} ({memory})")
    for name, row in cells.items():
        print(f"| {name} | " + " | ".join(row) + " |")


def a_million_classes(quick):
    n, width, k = 256, 64, 20_000 if quick else 1_000_000
    print(f"\n## {k:,} classes, batch {n}, width {width}\n")
    whole, parameters = 4 * n * k / 2**20, 8 * k * width / 2**20
    print(f"A batch × classes tensor has {whole:.0f} MiB, weights and gradient have {parameters:.0f} MiB.\n")
    print("| head | forward and backward | memory beside weights and gradient |\n|---|---:|---:|")
    counts = exponential(5000, 1000, k)
    features, targets = torch.randn(n, width, requires_grad=True), torch.randint(k, (n,))
    for name, head in {
        "ChunkedSoftmaxLoss (8192 classes at a time)": losses.ChunkedSoftmaxLoss(width, k, counts),
        "SampledSoftmaxLoss (8192 classes)": losses.SampledSoftmaxLoss(width, k, counts),
    }.items():
        taken = []
        for _ in range(3):
            head.weight.grad = None
            start = time.perf_counter()
            head(features, targets).backward()
            taken.append(time.perf_counter() - start)
        head.weight.grad = None
        with PeakMemory(features, head.weight) as memory:
            torch.autograd.grad(head(features, targets), [head.weight, features])
        beside = (memory.peak - 4 * k * width) / 2**20
        print(f"| {name} | {statistics.median(taken):.2f} s | {beside:.0f} MiB |")
    whole_process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak of the whole process, torch included, which has done nothing else yet: {whole_process:.1f} GiB.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--authors", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, which needs a C++ compiler")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    # a training process has freed large tensors before, after which the C library keeps small ones at hand
    torch.ones(7_000_000)
    print("# Speed of the losses\n")
    print(
        f"`python benchmarks/losses_speed.py`: torch {torch.__version__}, "
        f"{platform.machine()}, {options.threads} of {os.cpu_count()} cores, float32, logits like cosines, "
        "class counts falling exponentially by a factor of 100, medians of interleaved runs; "
        f"load average {os.getloadavg()[0]:.1f} at the start."
    )
    a_million_classes(options.quick)  # first, as it reports the peak of the process
    beside_torch(options.quick)
    if options.authors:
        beside_authors(options.authors, options.quick)
    small_batches(options.quick, options.compiled)
    print(NOTES)


if __name__ == "__main__":
    main()
