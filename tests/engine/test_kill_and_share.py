"""Trainings that are killed and resumed, or shared by two processes, end as they would have."""

import signal
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from engine.killable import train_alone_or_together, train_apart, train_in, train_with_a_part_unused
from forked import finish, share, start, start_two


def test_killed_at_random_moments_and_resumed_is_bit_identical(tmp_path: Path) -> None:
    finish(start(train_in, tmp_path / "whole", tmp_path / "whole.out"))
    rng = np.random.default_rng(1)
    folder, out, kills = tmp_path / "killed", tmp_path / "killed.out", 0
    checkpoint = folder / "checkpoint.safetensors"
    while kills < 5:
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = start(train_in, folder, out)
        while process.is_alive():  # let it get one epoch further, or it would never end
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                break
            time.sleep(0.001)
        if kills % 2:  # in the middle of writing a checkpoint, where one is seen
            deadline = time.monotonic() + 1
            while process.is_alive() and not any(folder.glob(".checkpoint*")) and time.monotonic() < deadline:
                pass
        else:
            time.sleep(rng.uniform(0, 0.03))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            break
        kills += 1
    assert kills >= 2
    finish(start(train_in, folder, out))
    whole, resumed = load_file(tmp_path / "whole.out"), load_file(out)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_machines_that_share_no_folder_resume_from_that_of_the_first(tmp_path: Path) -> None:
    share(train_apart, tmp_path / "whole", tmp_path / "whole.out")
    machines, out = tmp_path / "killed", tmp_path / "killed.out"
    processes = start_two(train_apart, machines, out)
    while processes[0].is_alive() and not (machines / "0" / "checkpoint.safetensors").exists():
        time.sleep(0.001)
    for process in processes:
        process.kill()
    for process in processes:
        process.join()
    assert processes[0].exitcode == -signal.SIGKILL  # the other one may have met a closed connection before
    assert not (machines / "1").exists()
    share(train_apart, machines, out)
    whole, resumed = load_file(tmp_path / "whole.out"), load_file(out)
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    finish(start(train_alone_or_together, tmp_path / "one", "shared"))
    share(train_alone_or_together, tmp_path / "two", "shared")
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


def test_two_processes_tell_their_samplers_the_same(tmp_path: Path) -> None:
    share(train_alone_or_together, tmp_path / "two", "told")
    assert load_file(tmp_path / "two")


def test_what_two_processes_have_no_gradients_of_is_named() -> None:
    share(train_with_a_part_unused)
