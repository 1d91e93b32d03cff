import re

from tailwise.engine import _progress
from tailwise.engine._progress import EpochProgress


def test_a_function_is_told_epoch_loss_and_time_left_but_not_at_every_batch(monkeypatch):
    now, lines = [0.0], []
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    with EpochProgress(3, lines.append) as progress:
        progress._bar.get_time = lambda: now[0]
        for epoch in range(3):
            for _ in range(10):
                now[0] += 0.2
                progress.batch("learn", 0.1)
            progress.epoch("learn", epoch + 1, 0.5)
    assert lines[0] == "learn: epoch 1 of 3"
    assert len(lines) == 10, "every 0.6 s of 6"
    assert re.fullmatch(r"learn: epoch 3 of 3, loss 0\.5000, 0:0[01] left", lines[-1])
    assert re.fullmatch(r"learn: epoch 2 of 3, loss 0\.5000, 0:0[34] left", lines[4])


def test_no_terminal_no_bar(capsys):
    with EpochProgress(1, True) as progress:
        progress.batch("learn", 1.0)
        progress.epoch("learn", 1, 0.5)
    assert capsys.readouterr() == ("", "")
