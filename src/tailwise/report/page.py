"""Write the page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from tailwise import __version__
from tailwise.errors import TailwiseError
from tailwise.metrics import NAMED
from tailwise.report import charts, words
from tailwise.report.contents import Report
from tailwise.storage import atomic_write
from tailwise.wording import plural, printable, spoken

_OPEN_TABLE = 12  # classes up to which the table of classes stands open


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {
        "percent": words.percent,
        "interval": words.interval,
        "plural": plural,
        "value": _value,
        "text": _text,
        "opening": _opening,
        "short": words.short,
    }
    return environment.from_string(files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8"))


def render(report: Report) -> str:
    """Return the report as one HTML document: inline styles and pictures, no script, nothing from the network.

    Raises
    ------
    TailwiseError
        If the evaluation or the baseline lacks something that ``Evaluation.to_dict()`` has.
    """
    evaluation, baseline = report.evaluation, report.baseline
    try:
        return _template().render(
            report=report,
            verdict=words.verdict(evaluation, baseline),
            behind=words.behind(evaluation, baseline, report.objective),
            style=files(__package__).joinpath("style.css").read_text(encoding="utf-8"),
            evaluation=evaluation,
            baseline=baseline,
            headline=_headline(evaluation, baseline),
            measures=_measures(evaluation, report.objective),
            objective=spoken(report.objective),
            group_names=words.names(evaluation["groups"]),
            drawn=words.drawn(evaluation),
            shares=charts.flow(evaluation) if words.drawn(evaluation).column == "recall" else None,
            open_table=len(evaluation["classes"]) <= _OPEN_TABLE,
            charts=charts,
            words=words,
            version=__version__,
        )
    except KeyError as error:
        raise TailwiseError(
            f"the report needs {error.args[0]!r} in its evaluation: pass Evaluation.to_dict()."
        ) from error


def write_report(path: str | Path, report: Report) -> None:
    """Write a report as one self-contained HTML file; an existing file is replaced when the new one is complete.

    Raises
    ------
    TailwiseError
        As :func:`render`, or if the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from tailwise.metrics import evaluate
    >>> from tailwise.report import Report
    >>> evaluation = evaluate([0, 0, 0, 1], [0, 0, 1, 1], class_counts=[300, 10])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(f"{folder}/report.html", Report("Fruit", evaluation.to_dict()))
    ...     Path(folder, "report.html").exists()
    True
    """
    page = render(report)
    with atomic_write(path) as file:
        file.write(page)


def _measures(evaluation: Mapping[str, Any], objective: str) -> list[tuple[str, str, str, bool]]:
    """Return the measures of all examples: key, name, meaning, and whether it is a share."""
    named = [(key, *of) for key, of in NAMED.items() if key in evaluation["overall"]]
    if objective in evaluation["overall"] and objective not in NAMED and "_shot_" not in objective:
        return [(objective, _opening(spoken(objective)), "what recipes were compared by", False), *named]
    return named


def _headline(evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the numbers under the verdict: the mean over classes and each group's."""
    shown = words.drawn(evaluation)
    overall = "balanced_accuracy" if shown.column == "recall" else "macro_average_precision"
    rows = [("all", "Average class", evaluation["overall"][overall])]
    if len(evaluation["by_group"]) > 1:
        for group, measures in evaluation["by_group"].items():
            rows.append((group, f"{words.GROUPS[group].capitalize()} classes", measures[shown.in_groups]))

    def before(group: str) -> Mapping[str, Any] | None:
        if baseline is None:
            return None
        if group == "all":
            return dict(baseline["overall"][overall])
        return baseline["by_group"].get(group, {}).get(shown.in_groups)

    return [{"group": g, "label": label, "estimate": e, "before": before(g)} for g, label, e in rows]


def _opening(words: str) -> str:
    """Return words that open a line; the names in them stay as they are written."""
    return words[:1].upper() + words[1:]


def _value(number: float | None, share: bool) -> str:
    if number is None:
        return "–"
    return words.percent(number, 1) if share else f"{number:.3f}"


def _text(value: Any) -> str:
    """Return a value of the model card in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(v)}" for name, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
