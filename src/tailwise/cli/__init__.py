"""The ``tailwise`` command."""

from tailwise.cli._app import main

__all__ = ["main"]
