"""What is computed on a device that is not the host equals what the host computes, and is never mixed with it.

The device is simulated, in a process of its own since it is registered for good; ``benchmarks/gpu_checks.py`` is for a
real one.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
registration = pytest.importorskip("torch.utils.backend_registration")

SCRIPT = Path(__file__).with_name("simulated.py")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(registration, "_setup_privateuseone_for_python_backend"), reason="an older torch")
@pytest.mark.parametrize("checks", [["refusals", "losses"], ["recipes"], ["images", "resuming", "estimator"]])
def test_the_device_gives_what_the_host_gives(checks: list[str]) -> None:
    path = os.pathsep.join([str(SCRIPT.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, SCRIPT, *checks]
    environment = {**os.environ, "PYTHONPATH": path}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout[-1000:] + ended.stderr[-3000:]
