"""``tailwise diagnose``."""

from __future__ import annotations

import json as json_module

from rich.console import Console

from tailwise.cli import _show
from tailwise.diagnose import diagnose


def run(data: str, *, target: str | None, text: str | None, image: str | None, json: bool) -> None:
    """Print a diagnosis, as a table or as JSON."""
    found = diagnose(data, target, text=text, image=image)
    if json:
        print(json_module.dumps(found.to_dict(), indent=1))
        return
    console = Console()
    _show.diagnosis(console, found)
    wanted = "" if target is None else f" --target {target}"
    console.print(f"\nNext: [bold]tailwise fit {data}{wanted} --output model[/]", highlight=False)
