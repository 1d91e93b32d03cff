"""Forward and backward of the losses beside torch's own, beside their papers' formulas and beside the authors' code.

    python benchmarks/losses_speed.py [--authors FOLDER] [--threads 1] [--compiled] [--only meta ...]
        > benchmarks/results/losses_speed.md

Runs are interleaved, so that every loss sees the same machine; each figure is the median of its runs over the median of
what stands beside it, of CPU time where one thread computes. Memory is the largest sum of live tensors that operations
made, in units of batch × classes.
The formulas, in a few lines of torch each, are in plain_losses.py; what they return is compared with ours first.

``--authors`` names a folder with ``ldam.py`` (github.com/kaidic/LDAM-DRW, losses.py), ``seesaw.py`` (mmdetection,
seesaw_loss.py), ``eql.py`` (eql.detectron2, projects/EQL/eql/fast_rcnn.py) and ``eqlv2.py`` (eqlv2,
mmdet/models/losses/eqlv2.py), freed from CUDA and from their frameworks' imports.
"""

import argparse
import copy
import gc
import itertools
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
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import plain_losses
from tailwise import losses
from tailwise.data.longtail import exponential
from tailwise.nn import resnet32

NOTES = """
## Reading it

- We want bias, weight, scale and margin losses within 1.15 of `F.cross_entropy`. From 2^20 entries on they are
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
- Overlap and multi-label losses and the Z-loss take many steps, with a tensor each. From 2^20 entries on they are
  computed with their gradients a few rows at a time, so that one tensor stays, and what is in work fits the cache.
  Ordinal losses of class codes need two logits of each example.
- Of labels rather than codes, both equalization losses take two softplus a logit, where torch's sigmoid cross-entropy
  takes one and loses what a loss below 6e-8 a class adds up to: they take up to twice as long as the formula.
- All of this is on a CPU; nothing here was measured on a GPU.
"""
SHAPES = [(1024, 100), (1024, 10_000), (256, 100_000)]
SMALL = [(64, 100), (64, 1000)]  # to see that it works
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


def clock():
    """Return the process's CPU time, which other work changes less than the clock; with several threads, the clock."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


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
            start = clock()
            step(loss, logits, targets)
            times[name].append(clock() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def peak(loss, logits, targets):
    logits.grad = None
    gc.collect()
    with PeakMemory(logits) as memory:
        torch.autograd.grad(loss(logits, targets), logits)
    return memory.peak / (4 * logits.numel())


def ours(counts):
    """Return the losses of class codes."""
    k = len(counts)
    return {
        "CrossEntropyLoss": losses.CrossEntropyLoss(),
        "ClassBalancedLoss": losses.ClassBalancedLoss(counts),
        "SmoothedDensityLoss": losses.SmoothedDensityLoss(counts),
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
        "InfluenceBalancedLoss": losses.AdaptedLoss(
            losses.InfluenceBalancedLoss(counts), lambda loss, z, y: loss(z, y, plain_losses.features_of(z))
        ),
        "InstanceWeightedLoss": losses.InstanceWeightedLoss(),
        "DFTLoss": losses.DFTLoss(),
        "DFTLoss, anchored": losses.AdaptedLoss(losses.DFTLoss(), lambda loss, z, y: loss(z, y, z.detach())),
        "DiceLoss": losses.DiceLoss(),
        "TverskyLoss": losses.TverskyLoss(),
        "ZLoss": losses.ZLoss(),
        "TSimilarityLoss": losses.TSimilarityLoss(),
        "CumulativeLoss": losses.CumulativeLoss(),
        **ours_of_labels(counts),
    }


def ours_of_labels(counts):
    """Return the losses that labels may be given to, several of which an example may have."""
    return {
        "EqualizationLoss": losses.EqualizationLoss(counts),
        "EqualizationLossV2": losses.EqualizationLossV2(len(counts)),
        "AsymmetricLoss": losses.AsymmetricLoss(),
        "DistributionBalancedLoss": losses.DistributionBalancedLoss(counts, int(sum(counts))),
    }


def batch(n, k, several=False):
    """Return class counts, logits like cosines, falling so that they may be cumulative, and codes or labels."""
    logits = torch.rand(n, k).mul_(2).sub_(1).sort(1, descending=True).values.requires_grad_()
    codes = torch.randint(k, (n,))
    labels = (torch.rand(n, k) < 3 / k).float().scatter_(1, codes[:, None], 1.0) if several else None
    return exponential(5000, 100, k), logits, codes if labels is None else labels


def beside_torch(quick, base, build, several):
    """Print the time of losses over that of torch's own."""
    print(f"\n## Beside `F.{base.__name__}`\n")
    print(
        f"Time over `F.{base.__name__}`'s; in brackets, peak memory in batch × classes tensors (the gradient is one)."
    )
    columns, cells = [], {}
    for n, k in SMALL if quick else SHAPES:
        counts, logits, targets = batch(n, k, several)
        candidates = {f"F.{base.__name__}": base, **build(counts)}
        taken = medians(candidates, logits, targets, 3 if quick else 300 if k == 100 else 5)
        least = taken[f"F.{base.__name__}"]
        columns.append(f"{n} × {k}")
        for name, loss in candidates.items():
            shown = f"{least * 1e3:.3g} ms" if loss is base else f"{taken[name] / least:.2f}"
            cells.setdefault(name, []).append(f"{shown} ({peak(loss, logits, targets):.1f})")
    show("loss", columns, cells)


def side_by_side(quick, shapes, pairs, several=False):
    """Print the time of others over that of ours; ``pairs(counts)`` builds theirs and ours, or says why not."""
    print("Time of theirs over ours; in brackets, peak memory of theirs and ours in batch × classes tensors.")
    columns, cells = [], {}
    for n, k in SMALL if quick else shapes:
        counts, logits, targets = batch(n, k, several)
        columns.append(f"{n} × {k}")
        for name, pair in pairs(counts).items():
            if isinstance(pair, str):
                cells.setdefault(name, []).append(pair)
                continue
            theirs, mine = pair
            runs = 3 if quick else 200 if k == 100 else 40 if k < 10_000 else 5
            taken = medians({"theirs": theirs, "ours": mine}, logits, targets, runs)
            memory = f"{peak(theirs, logits, targets):.1f}, {peak(mine, logits, targets):.1f}"
            cells.setdefault(name, []).append(f"{taken['theirs'] / taken['ours']:.1f} ({memory})")
    show("loss", columns, cells)


def show(what, columns, cells):
    """Print a table: a name and its cells a row."""
    print(f"\n| {what} | {' | '.join(columns)} |\n|---|" + "---:|" * len(columns))
    for name, row in cells.items():
        print(f"| {name} | {' | '.join(row)} |", flush=True)


def beside_formulas(quick):
    """Print the time of the papers' formulas, written out, over that of ours; where they differ, say so instead."""

    def pairs(counts, plain, build, several):
        counted, mine = torch.tensor(counts, dtype=torch.float32), build(counts)
        built = {name: (formula(counted), mine[name]) for name, formula in plain.items()}
        _, logits, targets = batch(16, len(counts), several)
        for name, (theirs, own) in built.items():
            if name not in plain_losses.RANDOM:
                torch.testing.assert_close(theirs(logits, targets), own(logits, targets), rtol=1e-3, atol=1e-4)
        return built

    for several, plain, build in [(False, plain_losses.CODES, ours), (True, plain_losses.LABELS, ours_of_labels)]:
        print(f"\n## Beside the formula written out, {'several labels' if several else 'one class'} an example\n")
        side_by_side(quick, SHAPES[:2], partial(pairs, plain=plain, build=build, several=several), several)


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

    def pairs(counts):
        k, counted = len(counts), torch.tensor(counts).float()
        needed = 4 * k * k / 2**30  # GiB of theirs for seesaw, a classes × classes matrix
        return {
            "LDAM": (ldam.LDAMLoss(counts.tolist()), losses.LDAMLoss(counts)),
            "seesaw": f"theirs needs {needed:.0f} GiB"
            if needed > 4
            else (seesaw.Seesaw(k, counted), losses.SeesawLoss(counts)),
            "equalization": (their_equalization(counts), losses.EqualizationLoss(counts)),
            "equalization v2": (their_equalization_v2(k), losses.EqualizationLossV2(k)),
        }

    print("\n## Beside the authors' code\n")
    side_by_side(quick, sorted([*SHAPES, LVIS], key=lambda shape: shape[1]), pairs)


def meta(quick):
    """Print the time of a training step with weights that a clean batch asks for, over that of a plain one."""
    print("\n## A training step with weights that a clean batch asks for\n")
    print("Forward and backward of network and loss, over those with `F.cross_entropy`, and of the same steps as the")
    print("authors write them, with a copy of the network each time and `torch.optim.Adam` for the weights, over ours.")
    cells = {}
    networks = {
        "MLP of width 256, batch 128": (torch.nn.Sequential(*mlp(64, 256, 100)), (128, 64)),
        "ResNet-32, batch 32": (torch.nn.Sequential(resnet32(), torch.nn.Linear(64, 100)), (32, 3, 32, 32)),
    }
    for title, (network, shape) in networks.items():
        each = torch.nn.CrossEntropyLoss(reduction="none")
        x, clean_x = torch.randn(shape), torch.randn(shape)
        y, clean_y = torch.randint(100, shape[:1]), torch.randint(100, shape[:1])
        both = (x, y, clean_x, clean_y)
        wrapped = torch.nn.Module()
        wrapped.module, wrapped.forward = network, network.forward
        weighted, weigh = losses.MetaWeightedLoss(), losses.MetaWeightNet()
        optimiser = torch.optim.Adam(weigh.parameters(), 1e-3)

        def copied(network=network, each=each, weigh=weigh, optimiser=optimiser, both=both):
            x, y, clean_x, clean_y = both
            twin = copy.deepcopy(network)
            nll = each(twin(x), y)
            names, values = zip(*twin.named_parameters(), strict=True)
            grads = torch.autograd.grad((nll * weigh(nll)).sum(), values, create_graph=True)
            moved = {name: p - 0.1 * g for name, p, g in zip(names, values, grads, strict=True)}
            optimiser.zero_grad()
            each(torch.func.functional_call(twin, moved, (clean_x,)), clean_y).mean().backward()
            optimiser.step()
            nll = each(network(x), y)
            (nll * weigh(nll).detach()).sum().backward()

        def reweighted(network=network, each=each, both=both):
            weights = losses.meta_weights(network, each, *both, 0.1)
            (each(network(both[0]), both[1]) * weights).sum().backward()

        steps = {
            "plain": lambda network=network, x=x, y=y: F.cross_entropy(network(x), y).backward(),
            "MetaWeightedLoss": lambda weighted=weighted, wrapped=wrapped, both=both: weighted(
                wrapped, *both
            ).backward(),
            "copied": copied,
            "meta_weights": reweighted,
        }
        taken = {name: [] for name in steps}
        for _ in range(2 if quick else 15):
            for name, run in steps.items():
                network.zero_grad()
                start = clock()
                run()
                taken[name].append(clock() - start)
        taken = {name: statistics.median(times[1:]) for name, times in taken.items()}
        row = [f"{taken['plain'] * 1e3:.1f} ms"]
        row += [f"{taken[name] / taken['plain']:.1f}" for name in ("meta_weights", "MetaWeightedLoss")]
        cells[title] = [*row, f"{taken['copied'] / taken['MetaWeightedLoss']:.2f}"]
    show("network", ["plain step", "`meta_weights`", "`MetaWeightedLoss`", "authors' way over it"], cells)
    print("\nBy their algorithm a step has three forward passes and the derivative of a gradient: some six plain ones.")
    weight = torch.randn(10_000, 512, requires_grad=True)
    taken = medians(
        {"presto": lambda w, _: losses.presto_penalty(w), "norm": lambda w, _: w.abs().sum()},
        weight,
        None,
        3 if quick else 50,
    )
    ratio = taken["presto"] / taken["norm"]
    print(f"\n`presto_penalty` of 10,000 × 512 weights: {ratio:.1f} times the L1 norm of the weights themselves.")


def mlp(*widths):
    for width, following in itertools.pairwise(widths):
        yield torch.nn.Linear(width, following)
        if following != widths[-1]:
            yield torch.nn.ReLU()


def a_million_classes(quick):
    n, width, k = 256, 64, 20_000 if quick else 1_000_000
    print(f"\n## {k:,} classes, batch {n}, width {width}\n")
    whole, parameters = 4 * n * k / 2**20, 8 * k * width / 2**20
    print(f"A batch × classes tensor has {whole:.0f} MiB, weights and gradient have {parameters:.0f} MiB.\n")
    print("| head | forward and backward | memory beside weights and gradient |\n|---|---:|---:|")
    counts = exponential(5000, 1000, k)
    features, targets = torch.randn(n, width, requires_grad=True), torch.randint(k, (n,))
    heads = {
        "ChunkedSoftmaxLoss (8192 classes at a time)": losses.ChunkedSoftmaxLoss(width, k, counts),
        "SampledSoftmaxLoss (8192 classes)": losses.SampledSoftmaxLoss(width, k, counts),
        "`torch.nn.Linear`, `F.cross_entropy`": plain_head,
    }
    for name, head in heads.items():
        if head is plain_head:  # after the others, as it takes the most
            whole_process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            weight = torch.randn(k, width, requires_grad=True)
            head = partial(plain_head, weight, torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32))
        else:
            weight = head.weight
        taken = []
        for _ in range(3):
            weight.grad = None
            start = clock()
            head(features, targets).backward()
            taken.append(clock() - start)
        weight.grad = None
        with PeakMemory(features, weight) as memory:
            torch.autograd.grad(head(features, targets), [weight, features])
        beside = (memory.peak - 4 * k * width) / 2**20
        print(f"| {name} | {statistics.median(taken):.2f} s | {beside:.0f} MiB |")
    print(f"\nPeak of the whole process before the last row, torch included: {whole_process:.1f} GiB.")


def plain_head(weight, bias, features, targets):
    return F.cross_entropy(F.linear(features, weight, bias), targets)


def main():
    parts = {
        "million": lambda: a_million_classes(options.quick),  # first, as it reports the peak of the process
        "torch": lambda: beside_torch(options.quick, F.cross_entropy, ours, several=False),
        "labels": lambda: beside_torch(options.quick, F.binary_cross_entropy_with_logits, ours_of_labels, several=True),
        "formulas": lambda: beside_formulas(options.quick),
        "authors": lambda: options.authors and beside_authors(options.authors, options.quick),
        "meta": lambda: meta(options.quick),
        "small": lambda: small_batches(options.quick, options.compiled),
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--authors", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, which needs a C++ compiler")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), help="some of the tables")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    # a training process has freed large tensors before, after which the C library keeps small ones at hand
    torch.ones(7_000_000)
    print("# Speed of the losses\n")
    print(
        f"`python {' '.join(sys.argv)}`: torch {torch.__version__}, "
        f"{platform.machine()}, {options.threads} of {os.cpu_count()} cores, float32, logits like cosines, "
        "class counts falling exponentially by a factor of 100, medians of interleaved runs; "
        f"load average {os.getloadavg()[0]:.1f} at the start."
    )
    for name in options.only:
        parts[name]()
    print(NOTES)


if __name__ == "__main__":
    main()
