"""The ``tailwise`` command."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; interrupted while it is still being imported, end as quietly as later."""
    try:
        from tailwise.cli._app import main as run
    except KeyboardInterrupt:
        print("tailwise: interrupted.", file=sys.stderr)
        sys.exit(130)  # as later
    run()
