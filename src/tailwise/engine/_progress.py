"""The progress bar."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EpochProgress:
    """Shows stage, epoch, loss and time left; silent unless ``enabled`` and on a terminal."""

    def __init__(self, epochs: int, *, enabled: bool) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, disable=not (enabled and console.is_terminal))
        self._task = self._bar.add_task("", total=epochs, loss="–")

    def __enter__(self) -> EpochProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def batch(self, stage: str, share: float) -> None:
        """Advance by a share of an epoch."""
        self._bar.update(self._task, description=stage, advance=share)

    def epoch(self, stage: str, done: int, loss: float | None = None) -> None:
        """Show that ``done`` epochs in all are done."""
        shown = "–" if loss is None else f"{loss:.4f}"
        self._bar.update(self._task, description=stage, completed=done, loss=shown)
