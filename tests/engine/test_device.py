"""What is computed on a device that is not the host equals what the host computes, and is never mixed with it.

The device is simulated, in a process of its own since it is registered for good; ``benchmarks/gpu_checks.py`` is for a
real one.
"""

import pytest

from forked import finish, start

pytest.importorskip("torch")
registration = pytest.importorskip("torch.utils.backend_registration")


def compare(checks: list[str]) -> None:
    from engine import simulated

    for check in checks:
        getattr(simulated, f"check_{check}")()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(registration, "_setup_privateuseone_for_python_backend"), reason="an older torch")
@pytest.mark.parametrize("checks", [["refusals", "losses"], ["recipes"], ["images", "resuming", "estimator"]])
def test_the_device_gives_what_the_host_gives(checks: list[str]) -> None:
    finish(start(compare, checks))
