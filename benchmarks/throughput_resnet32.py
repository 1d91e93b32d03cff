"""ResNet-32 training throughput: the engine beside a plain torch loop, on the same images and machine.

The plain loop is what most public code of the field does: a DataLoader over PIL images with a flip, a padded crop,
scaling and normalisation per image, and the network in the default memory layout. The two take turns, and the median of
their steps is compared. Usage: ``python benchmarks/throughput_resnet32.py [--rounds 5] [--compiled]``.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from functools import partial

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

import cifar
from tailwise.augment import FlipCrop
from tailwise.counts import class_counts
from tailwise.engine import train
from tailwise.engine.stage import Stage, Task
from tailwise.nn import Network, resnet32

BATCH = 128
MEAN, STD = np.float32([0.4914, 0.4822, 0.4465]), np.float32([0.2470, 0.2435, 0.2616])
sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)


def images(n: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return n CIFAR-10 training images, or random ones of the same shape, and say which."""
    if cifar.TRAIN.is_file():
        frame = pl.scan_parquet(cifar.TRAIN).gather_every(50_000 // n).head(n).collect()  # the file is sorted by class
        column = frame.columns[0]
        decoded = [np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in frame[column]]
        return np.stack(decoded), np.unique(frame[frame.columns[1]], return_inverse=True)[1], "CIFAR-10"
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, n), "random images"


class PerImage(Dataset):
    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.images, self.labels = [Image.fromarray(image) for image in x], y

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.images[index]
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        canvas = Image.new("RGB", (40, 40))
        canvas.paste(image, (4, 4))
        left, top = torch.randint(9, (2,)).tolist()
        array = np.asarray(canvas.crop((left, top, left + 32, top + 32)), dtype=np.float32) / 255
        return torch.from_numpy(((array - MEAN) / STD).transpose(2, 0, 1).copy()), int(self.labels[index])


class Plain:
    """The plain loop; a call trains one epoch and returns seconds per step."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        backbone = resnet32()
        self.network = nn.Sequential(backbone, nn.Linear(backbone.out_features, 10))
        self.optimizer = sgd(self.network.parameters())
        self.loader = DataLoader(PerImage(x, y), batch_size=BATCH, shuffle=True, drop_last=True)

    def __call__(self) -> list[float]:
        steps, start = [], time.perf_counter()
        for x, y in self.loader:
            self.optimizer.zero_grad()
            F.cross_entropy(self.network(x), y).backward()
            self.optimizer.step()
            now = time.perf_counter()
            steps.append(now - start)
            start = now
        return steps


class Clock:
    """FlipCrop that notes when each batch begins."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.augment = FlipCrop()

    def __call__(self, *batch: object) -> tuple[torch.Tensor, torch.Tensor]:
        self.times.append(time.perf_counter())
        return self.augment(*batch)


class CrossEntropy:
    def network(self, task: Task) -> nn.Module:
        return Network.linear(task.build_backbone(), task.n_classes)

    def stages(self, task: Task) -> list[Stage]:
        return [Stage("learn", loss=nn.CrossEntropyLoss())]


def ours(x: np.ndarray, y: np.ndarray, epochs: int, skip: int = 0, **settings: object) -> list[float]:
    """Train with the engine; return seconds per step, the first ``skip`` left out."""
    clock = Clock()
    counts = class_counts(y, 10)
    task = Task(counts, backbone=resnet32, epochs=epochs, batch_size=BATCH, optimizer=sgd, augment=clock)
    train(CrossEntropy(), task, x, y, progress=False, **settings)
    return np.diff(clock.times)[skip:].tolist()


def gemm_rate() -> float:
    """Return the best rate of a float32 matrix product in floating-point operations per second."""
    a = torch.randn(1536, 1536)
    best = min(_seconds(lambda: a @ a) for _ in range(40))
    return 2 * 1536**3 / best


def _seconds(call: object) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def multiply_adds() -> int:
    """Return the multiply-adds of one image's forward pass, convolutions only."""
    total = 0

    def count(module: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    network = resnet32().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network(torch.zeros(1, 3, 32, 32))
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="steps per turn")
    parser.add_argument("--compiled", action="store_true", help="also the compiled network and bfloat16")
    arguments = parser.parse_args()
    x, y, name = images(BATCH * arguments.steps)
    operations = 3 * 2 * multiply_adds()
    peak = gemm_rate()
    print(f"{name}; torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}")
    print(
        f"floor: {operations / 1e6:.0f} Mflop an image over {peak / 1e9:.0f} Gflop/s = {peak / operations:.0f} images/s"
    )
    plain = Plain(x, y)
    plain()  # warm up
    variants = {"engine": {}}
    if arguments.compiled:
        variants |= {"engine, compiled": {"compile": True}, "engine, bf16-mixed": {"precision": "bf16-mixed"}}
    print(f"{'variant':20} {'images/s':>9} {'plain':>9} {'ratio':>6}   steps")
    for variant, settings in variants.items():
        compiled = "compile" in settings
        rounds, skip = (2, arguments.steps) if compiled else (arguments.rounds, 0)
        a, b = [], []
        for _ in range(rounds):
            b += plain()
            a += ours(x, y, epochs=3 if compiled else 1, skip=skip, **settings)
        b += plain()
        rate_a, rate_b = (BATCH / statistics.median(seconds) for seconds in (a, b))
        print(f"{variant:20} {rate_a:9.1f} {rate_b:9.1f} {rate_a / rate_b:6.2f}   {len(a)} and {len(b)}", flush=True)


if __name__ == "__main__":
    main()
