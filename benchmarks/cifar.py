"""CIFAR-10 from ``cifar10-train.parquet`` and ``cifar10-test.parquet``.

They are in the folder that the environment variable ``TAILWISE_DATA`` names, or in ``shared/data`` beside the checkout.
Each has a column ``image`` as Hugging Face writes images, a struct of ``bytes`` (JPEG or PNG) and ``path``, and a
column ``label`` with the names of the classes.
"""

from __future__ import annotations

import os
from pathlib import Path

from tailwise.data import Dataset, load, longtail, make_long_tailed

FOLDER = Path(os.environ.get("TAILWISE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TRAIN = FOLDER / "cifar10-train.parquet"


def cifar10() -> tuple[Dataset, Dataset]:
    """Return the training and the test images."""
    train = load(TRAIN, "label")
    return train, load(FOLDER / "cifar10-test.parquet", "label", classes=train)


def cifar10_lt() -> tuple[Dataset, Dataset]:
    """Return CIFAR-10-LT with imbalance factor 100, the protocol's own 12,406 images, and all test images."""
    train, test = cifar10()
    return train.take(make_long_tailed(train.labels, longtail.exponential(5000, 100, 10))), test
