"""Tables in the terminal: no wider than it, numbers beside their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import markup
from rich.console import Console
from rich.table import Table

from tailwise.diagnose import Diagnosis
from tailwise.metrics import NAMED, LabelEvaluation, Measured
from tailwise.report.words import borders
from tailwise.wording import plural, printable, spoken, times

_MARK = {"problem": "[bold red]✗[/]", "warning": "[yellow]![/]", "note": "[dim]·[/]"}
_GROUP = {"many": "many-shot", "medium": "medium-shot", "few": "few-shot"}
_MEANS = ("balanced_accuracy", "macro_average_precision")  # before those of the groups
_BAR = 24  # narrow enough that long names give way in a terminal of 80 columns, not the bars
_MOST_CLASSES = 20


def escape(text: str) -> str:
    """Return text as it is to be shown: nothing in it is markup, or steers the terminal."""
    return markup.escape(printable(text))


def diagnosis(console: Console, found: Diagnosis) -> None:
    """Print class counts as bars on a log scale, the tail in numbers, and the findings."""
    counts = found.class_counts
    order = np.argsort(-counts, kind="stable")
    group_of = {int(c): _GROUP[name] for name, codes in found.groups.items() for c in codes}
    table = _table("class", "examples", "", "")
    table.columns[1].justify = "right"
    longest = np.log1p(counts.max())
    block = "█" if console.encoding.startswith("utf") else "#"
    shown = order if len(order) <= _MOST_CLASSES else [*order[:10], None, *order[-9:]]
    for code in shown:
        if code is None:
            table.add_row(f"[dim]… {len(order) - 19:,} more[/]", "", "", "")
            continue
        bar = block * max(1, round(_BAR * np.log1p(counts[code]) / longest))
        table.add_row(
            escape(found.classes[code]), f"{counts[code]:,}", f"[cyan]{bar}[/]", f"[dim]{group_of[int(code)]}[/]"
        )
    rows = plural(found.n_rows, "row") + (f", {found.n_unlabelled:,} without a label" if found.n_unlabelled else "")
    several = "" if found.labels_per_row is None else f", {found.labels_per_row:.3g} per row"
    console.print(
        f"[bold]{escape(found.name)}[/]: {rows}, {plural(len(counts), 'class', 'classes')}{several}, "
        f"imbalance factor {times(found.imbalance_factor)}, Gini {found.gini:.2f}, "
        f"{found.effective_classes:,.1f} effective classes"
    )
    console.print(table)
    console.print("[dim]bars are on a log scale[/]")
    _borders(console, counts, found.thresholds)
    for severity, sentence in found.findings:
        console.print(f"{_MARK[severity]} {escape(sentence)}")


def _borders(console: Console, class_counts: NDArray[Any], thresholds: tuple[float, float]) -> None:
    """Say where the groups begin, unless it is where everybody expects."""
    if thresholds != (100, 20):
        console.print(f"[dim]{borders(class_counts.tolist())}[/]")


def comparison(console: Console, rows: Sequence[dict[str, Any]], objective: str) -> None:
    """Print the recipes that were compared, best first."""
    table = _table("recipe", escape(spoken(objective)), "95 % interval", "seconds", "")
    table.columns[0].no_wrap = True  # a name is to be typed
    for column in table.columns[1:4]:
        column.justify = "right"
    for row in sorted(rows, key=lambda r: -np.inf if r["score"] is None else r["score"], reverse=True):
        chosen = row["outcome"] == "selected"
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        interval = "" if row["low"] is None else f"{row['low']:.3f} – {row['high']:.3f}"
        took = f"{row['seconds']:.1f}" if row["seconds"] else "[dim]shared[/]" if row["folds"] else ""
        status = "[green]◀ selected[/]" if chosen else f"[dim]{row['reason']}[/]"
        name = escape(row["recipe"])
        table.add_row(f"[bold]{name}[/]" if chosen else name, score, interval, took, status)
    console.print(table)


def evaluations(console: Console, columns: Mapping[str, Measured], objective: str = "balanced_accuracy") -> None:
    """Print one or several evaluations side by side: what was asked for, overall measures and those of the groups."""
    table = _table("", *map(escape, columns))
    for column in table.columns[1:]:
        column.justify = "right"
    first = next(iter(columns.values()))
    of_groups = [name for name in first.overall if "_shot_" in name]
    for name in dict.fromkeys([objective, *_MEANS, *of_groups, *NAMED]):
        if name not in first:
            continue
        cells = [_estimate(found.overall.get(name)) for found in columns.values()]
        title = NAMED[name].title if name in NAMED else spoken(name)
        table.add_row(escape(title.replace(" shot", "-shot").capitalize() if "_shot_" in name else title), *cells)
    console.print(table)
    _borders(console, first.class_counts, first.thresholds)


def _estimate(estimate: Any) -> str:
    if estimate is None:
        return ""
    if estimate.low is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [dim]({estimate.low:.3f} – {estimate.high:.3f})[/]"


def classes(console: Console, found: Measured) -> None:
    """Print measures of each class or label, rarest first; of many only the worst."""
    measures = (
        ("average_precision", "recall", "precision") if isinstance(found, LabelEvaluation) else ("recall", "precision")
    )
    rows, worst = sorted(found.per_class(), key=lambda row: row["train"]), measures[0]
    if len(rows) > _MOST_CLASSES:
        rows = sorted((row for row in rows if row[worst] is not None), key=lambda row: row[worst])[:_MOST_CLASSES]
        console.print(f"[dim]the {len(rows)} classes with the lowest {worst.replace('_', ' ')}[/]")
    table = _table("class", "group", "training", "test", *(measure.replace("_", " ") for measure in measures))
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        cells = escape(row["class"]), f"[dim]{_GROUP[row['group']]}[/]", f"{row['train']:,}", f"{row['support']:,}"
        table.add_row(*cells, *("–" if row[m] is None else f"{row[m]:.3f}" for m in measures))
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    table.columns[0].overflow = "fold"  # names may differ at their ends only
    return table
