"""One process writes to a place at a time, whatever becomes of it."""

import errno
import os
import platform
import signal
import subprocess
import sys
import threading
import time

import pytest

from tailwise.errors import TailwiseError
from tailwise.processes import is_first, together, working_in, writing
from tailwise.storage import read_folder, write_folder

HOLD = """
import sys
from tailwise import processes
with getattr(processes, sys.argv[1])(sys.argv[2]):
    print("in", flush=True)
    sys.stdin.read()
"""

FORK = """
import os, sys, time
from tailwise.processes import writing
with writing(sys.argv[1]):
    if not os.fork():  # the child says that it is there, once it has let go of what it was born with
        print(os.getpid(), flush=True)
    time.sleep(60)
"""

WRITE = """
import sys
from tailwise.storage import write_folder

class Slow(dict):
    def items(self):
        yield "first", 1
        print("in", flush=True)
        sys.stdin.read()
        yield "second", 2

write_folder(sys.argv[1], Slow(), force=True)
"""


def start(code, *arguments):
    """Run code in a process of its own, and return the process and its first line when it has printed that."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


def end(process):
    """Let a process that reads its input go on, and return what it printed."""
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out


def kill(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def enter(context):
    with context:
        pass


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("context", [writing, working_in])
def test_a_second_process_is_refused_at_once_and_told_by_whom(tmp_path, context):
    place = tmp_path / "new" / "m"
    first, _ = start(HOLD, context.__name__, place)
    before = time.monotonic()
    with pytest.raises(TailwiseError) as caught:
        enter(context(place))
    assert time.monotonic() - before < 20, "the other holds it for a minute"
    assert str(caught.value) == (
        f"process {first.pid} on host {platform.node()} is already writing to {place}: "
        "wait until it has ended, or choose another output."
    )
    enter(context(tmp_path / "new" / "other"))
    end(first)
    enter(context(place))
    assert files(tmp_path) == [], "no lock remains"


@pytest.mark.parametrize("context", [writing, working_in])
def test_a_killed_process_blocks_nobody(tmp_path, context):
    first, _ = start(HOLD, context.__name__, tmp_path / "m")
    kill(first)
    assert len(files(tmp_path)) == 1
    enter(context(tmp_path / "m"))
    assert files(tmp_path) == [], "what it left goes with the next"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_child_of_a_killed_process_blocks_nobody(tmp_path):
    first, child = start(FORK, tmp_path / "m")
    kill(first)
    try:
        with writing(tmp_path / "m"):
            assert files(tmp_path) == [".m.lock"]
    finally:
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_lock_that_its_holder_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    import fcntl

    lock, flock = tmp_path / ".m.lock", fcntl.flock

    def too_late(*arguments):
        monkeypatch.setattr(fcntl, "flock", flock)
        lock.unlink()
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with writing(tmp_path / "m"):
        assert lock.exists(), "a lock that has no name would keep nobody out"


def test_a_thread_may_enter_again_and_another_may_not(tmp_path):
    refused = []

    def other():
        with pytest.raises(TailwiseError, match=f"process {os.getpid()} "):
            enter(writing(tmp_path / "m"))
        refused.append(True)

    with writing(tmp_path / "m"):
        with writing(str(tmp_path / "m")):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused
    assert files(tmp_path) == []


def test_the_lock_goes_when_the_block_raises(tmp_path):
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "m"):
        raise KeyboardInterrupt
    assert files(tmp_path) == []


def test_a_link_in_place_of_the_lock_is_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("dear")
    (tmp_path / ".m.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError):
        enter(writing(tmp_path / "m"))
    assert (tmp_path / "mine").read_text() == "dear"


@pytest.mark.skipif(sys.platform == "win32", reason="locks are never missing there")
def test_a_file_system_without_locks_refuses_nobody(tmp_path, monkeypatch):
    def missing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", missing)
    with writing(tmp_path / "m"):
        assert files(tmp_path) == [".m.lock"]
    assert files(tmp_path) == []


@pytest.mark.parametrize(("rank", "first"), [("0", True), ("1", False)])
def test_the_first_of_several_processes_locks_and_writes_for_all(tmp_path, monkeypatch, rank, first):
    assert together() == 1
    assert is_first()
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": rank}.items():
        monkeypatch.setenv(name, value)
    assert together() == 2
    assert is_first() == first
    with writing(tmp_path / "m"):
        assert (files(tmp_path) == [".m.lock"]) == first
    write_folder(tmp_path / "m", {"card": 1})
    assert (tmp_path / "m").exists() == first


def test_what_a_living_writer_has_written_so_far_stays(tmp_path):
    first, _ = start(WRITE, tmp_path / "m")
    with pytest.raises(TailwiseError, match=f"process {first.pid} "):
        write_folder(tmp_path / "m", {}, force=True)
    end(first)
    assert read_folder(tmp_path / "m").documents == {"first": 1, "second": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_what_a_killed_writer_has_written_so_far_goes_with_the_next(tmp_path):
    first, _ = start(WRITE, tmp_path / "m")
    kill(first)
    assert len(list(tmp_path.iterdir())) == 2, "the lock and the part"
    write_folder(tmp_path / "m", {"card": 1})
    assert read_folder(tmp_path / "m").documents == {"card": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
