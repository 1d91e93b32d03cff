"""Processes that train together decide alike, though each has a clock of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("budget", [[], ["8s"]])
def test_processes_whose_clocks_differ_decide_alike(tmp_path: Path, budget: list[str]) -> None:
    port = 20000 + os.getpid() % 20000
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    script = [str(Path(__file__).with_name("together.py")), str(tmp_path), *budget]
    subprocess.run([*launcher, *script], check=True, timeout=100, env={**os.environ, "PYTHONPATH": str(TESTS)})
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
