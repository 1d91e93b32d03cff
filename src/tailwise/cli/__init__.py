"""The ``tailwise`` command."""

import signal
import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Run the command line; interrupted while it is still being imported, end as quietly as later.

    What job schedulers and containers send to end it lets it clean up, too.
    """
    signal.signal(signal.SIGTERM, _end)
    try:
        from tailwise.cli._app import main as run
    except KeyboardInterrupt:
        print("tailwise: interrupted.", file=sys.stderr)
        sys.exit(130)  # as later
    run()


def _end(number: int, frame: Any) -> None:
    sys.exit(128 + number)  # as a shell says it
