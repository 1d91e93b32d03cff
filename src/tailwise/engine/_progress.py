"""The progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_OFTEN = 0.5  # seconds between lines


class EpochProgress:
    """Shows stage, epoch, loss and time left as a bar on a terminal, or tells them to a function line by line."""

    def __init__(self, epochs: int, shown: bool | Callable[[str], None]) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        self._tell = shown if callable(shown) else None
        self._told = -_OFTEN
        self._bar = Progress(*columns, console=console, disable=callable(shown) or not (shown and console.is_terminal))
        self._task = self._bar.add_task("", total=epochs, loss="–")

    def __enter__(self) -> EpochProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._bar.disable:  # Rich before 14.3 ends a line that it has not begun
            self._bar.stop()

    def batch(self, stage: str, share: float) -> None:
        """Advance by a share of an epoch."""
        self._bar.update(self._task, description=stage, advance=share)
        if self._tell is not None and time.monotonic() - self._told >= _OFTEN:
            self._told = time.monotonic()
            self._tell(self._line())

    def epoch(self, stage: str, done: int, loss: float | None = None) -> None:
        """Show that ``done`` epochs in all are done."""
        shown = "–" if loss is None else f"{loss:.4f}"
        self._bar.update(self._task, description=stage, completed=done, loss=shown)

    def _line(self) -> str:
        task = self._bar.tasks[self._task]
        line = f"{task.description}: epoch {min(int(task.completed) + 1, int(task.total or 1))} of {task.total:.0f}"
        if task.time_remaining is None:
            return line
        minutes, seconds = divmod(round(task.time_remaining), 60)
        return f"{line}, loss {task.fields['loss']}, {minutes}:{seconds:02} left"
