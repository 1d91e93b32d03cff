from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with CIFAR-10, beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "cifar10-train.parquet").is_file():
        pytest.skip(f"CIFAR-10 is not on this machine ({folder.name}/cifar10-train.parquet)")
    return folder
