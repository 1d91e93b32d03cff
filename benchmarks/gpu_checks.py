"""What can only be seen on a GPU: the losses' values, speed and memory there, and training in the engine.

    python benchmarks/gpu_checks.py                  # ends with exit code 1 if a check fails
    python benchmarks/gpu_checks.py --device cpu     # tries the script itself

1. Every recipe's loss on the device equals the CPU's in float64, and half precision stays finite at an imbalance of a
   million to one.
2. Bias and weight losses, forward and backward, beside ``F.cross_entropy``: median times, and the peak of memory in
   batches × classes.
3. ResNet-32 in the engine, in float32, bf16-mixed and compiled, beside a plain loop on images that are augmented one
   by one; training that was stopped and resumed equals training in one go; a saved state gives the same logits on CPU.
"""

from __future__ import annotations

import argparse
import copy
import inspect
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tailwise.augment import FlipCrop
from tailwise.counts import class_counts
from tailwise.engine import predict, train
from tailwise.engine.stage import Stage, Task
from tailwise.losses import (
    AdaptedLoss,
    BalancedSoftmaxLoss,
    CrossEntropyLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SeesawLoss,
    VSLoss,
)
from tailwise.nn import MLP, resnet32
from tailwise.recipes import recipe, recipes
from throughput_resnet32 import Plain, images, ours

failed: list[str] = []


def check(what: str, holds: bool, found: str = "") -> None:
    print(f"{'ok    ' if holds else 'FAILED'} {what} {found}", flush=True)
    if not holds:
        failed.append(what)


def recipe_losses(counts: np.ndarray) -> dict[str, nn.Module]:
    """Return the losses of all network recipes; those of features or other logits too are given the logits for them."""
    task = Task(counts, backbone=partial(MLP, 4))
    found = {}
    for name, cls in recipes().items():
        if "network" in cls.learners() and "class" in cls.targets:
            for stage in cls().stages(task):
                loss = stage.loss
                if isinstance(loss, AdaptedLoss):
                    loss = AdaptedLoss(loss.loss, with_logits if takes_three(loss.loss) else loss.call)
                if isinstance(loss, nn.Module) and stage.companion is None:
                    found[f"{name}, {stage.name}"] = loss
    return found


def takes_three(loss: nn.Module) -> bool:
    return len(inspect.signature(loss.forward).parameters) == 3


def with_logits(loss: nn.Module, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return loss(logits, targets, logits.detach())


def values(device: torch.device) -> None:
    counts = np.geomspace(1_000_000, 1, 50).round().astype(int)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(256, 50, generator=generator).clamp(-1, 1)
    targets = torch.randint(50, (256,), generator=generator)
    for name, loss in recipe_losses(counts).items():
        noisy = name.startswith(("gcl", "blv", "softmax-equalization"))  # they draw, so another device draws others
        loss = loss.eval() if noisy else loss
        expected = copy.deepcopy(loss).double()(logits.double(), targets)
        found = loss.to(device)(logits.to(device), targets.to(device)).cpu().double()
        check(f"{name} equals the CPU's", torch.allclose(found, expected, rtol=2e-5), f"{found:.6f}, {expected:.6f}")
        for dtype in (torch.float16, torch.bfloat16):
            z = (20 * logits).to(device, dtype).requires_grad_()
            loss(z, targets.to(device)).backward()
            check(f"{name} is finite in {dtype}", bool(torch.isfinite(z.grad).all()))


def speed(device: torch.device, shapes: list[tuple[int, int]]) -> None:
    for n, k in shapes:
        counts = np.geomspace(5000, 5, k)
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(n, k, generator=generator).to(device)
        targets = torch.randint(k, (n,), generator=generator).to(device)
        own = {
            "class weights": CrossEntropyLoss(weight=1 / counts),
            "balanced softmax": BalancedSoftmaxLoss(counts),
            "logit adjustment": LogitAdjustedLoss(counts),
            "VS": VSLoss(counts),
            "LDAM": LDAMLoss(counts),
            "seesaw": SeesawLoss(counts),
        }
        plain = timed(F.cross_entropy, logits, targets)
        print(f"       {n} x {k:,}: F.cross_entropy {1e6 * plain[0]:.0f} us, {plain[1]:.1f} extra tensors")
        for name, loss in own.items():
            seconds, extra = timed(loss.to(device), logits, targets)
            ratio = seconds / plain[0]
            print(f"       {n} x {k:,}: {name} {ratio:.2f} times as long, {extra:.1f} extra tensors")
            if name != "seesaw":
                check(f"{name} at {n} x {k:,} is within 1.15", ratio <= 1.15, f"{ratio:.2f}")


def timed(loss, logits: torch.Tensor, targets: torch.Tensor) -> tuple[float, float]:
    """Return the median seconds of forward and backward, and the peak of memory in (batch, n_classes) float32."""
    seconds = []
    for _ in range(30):
        z = logits.detach().requires_grad_()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        start = time.perf_counter()
        loss(z, targets).backward()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    extra = (torch.cuda.max_memory_allocated() - before) / (4 * logits.numel())
    return float(np.median(seconds[5:])), extra


class Short:
    """Two stages of plain training."""

    def network(self, task: Task) -> nn.Module:
        return recipe("cross-entropy").network(task)

    def stages(self, task: Task) -> list[Stage]:
        return [Stage("one", share=0.5, loss=CrossEntropyLoss()), Stage("two", share=0.5, loss=CrossEntropyLoss())]


class Interrupting:
    """Augmentation that stops training, once."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, inputs, targets, generator):
        self.left -= 1
        if self.left == 0:
            raise InterruptedError
        return FlipCrop()(inputs, targets, generator)


def training(steps: int) -> None:
    x, y, name = images(128 * steps)
    plain = Plain(x, y)
    plain()
    base = 128 / np.median(plain())
    print(f"       ResNet-32 on {name}: a plain loop on the CPU {base:.0f} images/s")
    variants = {"float32": {}, "bf16-mixed": {"precision": "bf16-mixed"}, "compiled": {"compile": True}}
    for variant, settings in variants.items():
        rate = 128 / np.median(ours(x, y, epochs=3, skip=steps, **settings))
        print(f"       ResNet-32 in the engine, {variant}: {rate:.0f} images/s")

    few, labels = x[:512], y[:512]
    task = Task(class_counts(labels, 10), backbone=resnet32, epochs=4, batch_size=128, augment=FlipCrop())
    settings = {"random_state": 0, "progress": False}
    whole = train(Short(), task, few, labels, **settings)
    stopping = replace(task, augment=Interrupting(at=11))
    with tempfile.TemporaryDirectory() as folder:
        with suppress(InterruptedError):
            train(Short(), stopping, few, labels, checkpoint_dir=folder, **settings)
        again = train(Short(), stopping, few, labels, checkpoint_dir=folder, resume=True, **settings)
    worst = max(
        float((a - b).detach().abs().max()) for a, b in zip(whole.parameters(), again.parameters(), strict=True)
    )
    check("stopped and resumed, the weights are the same", worst < 1e-4, f"largest difference {worst:.1e}")
    on_device, on_cpu = predict(whole, few), predict(copy.deepcopy(whole).cpu(), few)
    worst = float(np.abs(on_device - on_cpu).max())
    check("logits on the device and on the CPU agree", worst < 1e-2, f"largest difference {worst:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU here; --device cpu tries the script.")
    print(torch.cuda.get_device_name() if device.type == "cuda" else "CPU", f"torch {torch.__version__}", flush=True)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    values(device)
    if device.type == "cuda":  # benchmarks/losses_speed.py does so for the CPU
        speed(device, [(1024, 100), (1024, 10_000), (256, 100_000)])
    training(options.steps)
    print(f"{len(failed)} checks failed" if failed else "all checks hold")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
