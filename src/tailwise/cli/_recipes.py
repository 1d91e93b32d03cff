"""``tailwise recipes``."""

from __future__ import annotations

import dataclasses
import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tailwise.cli._show import escape
from tailwise.recipes import Recipe, load_recipes_from, recipe, recipes

_TRAINS = {
    ("estimator",): "scikit-learn estimators",
    ("network",): "networks",
    ("estimator", "network"): "networks and scikit-learn estimators",
}

#: What a recipe's rows have, where it is not one class each.
_ON = {("class",): "", ("labels",): "for sets of labels", ("class", "labels"): "also for sets of labels"}


def run(name: str | None, *, recipe_files: Sequence[Path], json: bool) -> None:
    """Print all recipes, or one with its settings."""
    for file in recipe_files:
        load_recipes_from(file)
    shown = recipes() if name is None else {name: type(recipe(name))}
    rows: list[dict[str, Any]] = [
        {
            "name": key,
            "for": sorted(cls.learners()),
            "targets": list(cls.targets),
            "paper": cls.paper,
            "summary": _summary(cls),
            "settings": {f.name: f.default for f in dataclasses.fields(cls)},  # type: ignore[arg-type]
        }
        for key, cls in shown.items()
    ]
    if json:
        print(json_module.dumps(rows, indent=1))
        return
    console = Console()
    if name is None:
        for learners in sorted({tuple(row["for"]) for row in rows}, key=len, reverse=True):
            table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
            for row in rows:
                if tuple(row["for"]) == learners:
                    on = _ON[tuple(row["targets"])]
                    lines = escape(row["summary"]), f"[dim]{escape(row['paper'])}{on and f'; {on}'}[/]"
                    table.add_row(f"[bold cyan]{escape(row['name'])}[/]", "\n".join(filter(None, lines)))
            console.print(f"[bold]For {_TRAINS[learners]}[/]\n", table, "")
        console.print("[dim]tailwise recipes NAME shows the settings of a recipe.[/]")
        return
    row = rows[0]
    console.print(f"[bold cyan]{escape(row['name'])}[/]  [dim]{escape(row['paper'])}[/]")
    if row["summary"]:
        console.print(escape(row["summary"]))
    on = _ON[tuple(row["targets"])]
    console.print(f"Trains {_TRAINS[tuple(row['for'])]}{on and f', {on}'}.")
    for setting, default in row["settings"].items():
        console.print(escape(f"  --set {setting}={default}"))


def _summary(cls: type[Recipe]) -> str:
    """Return the first line of a recipe's docstring; a class without one has its signature there, from dataclass."""
    text = (cls.__doc__ or "").strip()
    return "" if text.startswith(f"{cls.__name__}(") else text.partition("\n")[0]
