"""Words for messages."""

from __future__ import annotations


def plural(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun, and a verb if it comes with one."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
