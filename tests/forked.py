"""Processes that begin with torch loaded, so that a test can start and kill several in little time."""

import multiprocessing
import os
import socket
import warnings
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["torch", "lightning_fabric", "sklearn.datasets", "sklearn.ensemble"])


def start(function: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Call a function of an importable module in a process of its own."""
    process = _forks.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    """Wait for a process, which must end well."""
    process.join(timeout=300)
    assert process.exitcode == 0


def share(function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in two processes, as :func:`start_two`, which must end well."""
    for process in start_two(function, *arguments):
        finish(process)


def start_two(function: Callable[..., Any], *arguments: Any) -> list[BaseProcess]:
    """Call a function in two processes that find one another as those of ``torchrun`` do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [start(_one_of_two, rank, port, function, *arguments) for rank in range(2)]


def _one_of_two(rank: int, port: int, function: Callable[..., Any], *arguments: Any) -> None:
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    warnings.simplefilter("error", FutureWarning)
    os.environ.update(where, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    function(*arguments)
