import os
from pathlib import Path

import pytest
from hypothesis import settings

# CI repeats itself; new examples are sought while developing. No example fails for a machine that is busy.
settings.register_profile("tailwise", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.load_profile("tailwise")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with CIFAR-10, as for the benchmarks; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("TAILWISE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "cifar10-train.parquet").is_file():
        pytest.skip(f"CIFAR-10 is not on this machine ({folder.name}/cifar10-train.parquet)")
    return folder
