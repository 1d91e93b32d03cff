"""``tailwise diagnose``."""

from __future__ import annotations

import json as json_module
import shlex

from rich.console import Console

from tailwise.cli import _show
from tailwise.cli._show import escape
from tailwise.cli._source import Source, without_labels
from tailwise.data.paths import existing, is_class_folder
from tailwise.diagnose import diagnose


def run(source: Source, *, json: bool) -> None:
    """Print a diagnosis, as a table or as JSON."""
    if source.skip_broken or is_class_folder(existing(source.path)):
        data = source.load()
        if data.labels is None:
            raise without_labels(data, "labels to diagnose")
        found = diagnose(data)
        notes = data.notes
        for note in notes:
            Console(stderr=True, highlight=False).print(f"[dim]· {escape(note)}[/]")
    else:
        notes = ()
        found = diagnose(
            source.path,
            source.target,
            separator=source.separator,
            text=source.text,
            image=source.image,
            id=source.id,
        )
    if json:
        print(json_module.dumps({**found.to_dict(), "notes": notes}, indent=1))
        return
    console = Console()
    _show.diagnosis(console, found)
    if any(finding.severity == "problem" for finding in found.findings):
        return
    id = source.id or next((column.name for column in found.columns if column.identifier), None)
    named = (
        ("--target", source.target),
        ("--separator", source.separator),
        ("--text", source.text),
        ("--image", source.image),
        ("--id", id),
    )
    options = [part for option, column in named if column is not None for part in (option, column)]
    options += ["--skip-broken"] * source.skip_broken
    command = shlex.join(["tailwise", "fit", source.path, *options, "--output", "model"])
    console.print(f"\nNext: [bold]{escape(command)}[/]", highlight=False, soft_wrap=True)
