"""Trainings that are killed and resumed, or shared by two processes, end as they would have."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("killable.py")


def start(folder: Path, out: Path, mode: str = "kept", launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, *launcher, str(SCRIPT), str(folder), str(out), mode])


def finish(process: subprocess.Popen, out: Path) -> dict[str, torch.Tensor]:
    assert process.wait(timeout=120) == 0
    return load_file(out)


def test_killed_at_random_moments_and_resumed_is_bit_identical(tmp_path: Path) -> None:
    whole = finish(start(tmp_path / "whole", tmp_path / "whole.out"), tmp_path / "whole.out")
    rng = np.random.default_rng(1)
    folder, out, kills = tmp_path / "killed", tmp_path / "killed.out", 0
    checkpoint = folder / "checkpoint.safetensors"
    while kills < 5:
        process = start(folder, out)
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while process.poll() is None:  # let it get one epoch further, or it would never end
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                break
            time.sleep(0.001)
        if kills % 2:  # in the middle of writing a checkpoint, where one is seen
            deadline = time.monotonic() + 1
            while process.poll() is None and not any(folder.glob(".checkpoint*")) and time.monotonic() < deadline:
                pass
        else:
            time.sleep(rng.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            break
        kills += 1
    assert kills >= 2
    resumed = finish(start(folder, out), out)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def two_processes() -> tuple[str, ...]:
    port = 20000 + os.getpid() % 20000
    return "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    one = finish(start(tmp_path, tmp_path / "one", "shared"), tmp_path / "one")
    two = finish(start(tmp_path, tmp_path / "two", "shared", two_processes()), tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_two_processes_tell_their_samplers_the_same(tmp_path: Path) -> None:
    assert finish(start(tmp_path, tmp_path / "two", "told", two_processes()), tmp_path / "two")
