"""The ``tailwise`` command."""

import os
import signal
import sys
import threading
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Run the command line; interrupted while it is still being imported, end as quietly as later.

    What job schedulers and containers send to end it lets it clean up, too, as soon as native code returns; where
    several processes wait for each other, it ends them at once.
    """
    alone = "WORLD_SIZE" not in os.environ
    if alone and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
    try:
        from tailwise.cli._app import main as run
    except KeyboardInterrupt:
        print("tailwise: interrupted.", file=sys.stderr)
        sys.exit(130)  # as later
    run()


def _end(number: int, frame: Any) -> None:
    sys.exit(128 + number)  # as a shell says it
