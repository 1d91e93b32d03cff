"""Processes that train together decide alike, though each has a clock of its own."""

import json
from pathlib import Path

import pytest

from forked import share

pytest.importorskip("torch")


@pytest.mark.parametrize("budget", [None, "4s"])
def test_processes_whose_clocks_differ_decide_alike(tmp_path: Path, budget: str | None) -> None:
    from estimators.together import fit

    for _ in range(2):  # the second time from what the first process kept
        share(fit, tmp_path, budget)
        first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
        assert first == second
    assert not (tmp_path / "machine-1").exists()
