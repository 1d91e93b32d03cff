"""``tailwise report``: the report of a fit, written again."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tailwise import storage
from tailwise.cli._show import escape
from tailwise.errors import TailwiseError
from tailwise.report import Report, write_report


def rewrite(model: Path, output: Path | None, *, force: bool) -> None:
    """Write a model's report again, by default where it was."""
    own = model / storage.PAGE
    output = own if output is None else output
    if output.resolve() != own.resolve() and output.resolve().parent == model.resolve():
        raise TailwiseError(f"{output} would be among the model's own files: choose another folder, or {storage.PAGE}.")
    if output.exists() and output.resolve() != own.resolve() and not force:
        raise TailwiseError(f"{output} already exists; choose another name, or overwrite it with --force.")
    documents = storage.read_folder(model).documents
    if "report" not in documents:
        raise TailwiseError(f"{model} was not written by tailwise fit, so there is nothing to report.")
    output.parent.mkdir(parents=True, exist_ok=True)
    write_report(output, Report.from_dict(documents["report"]))
    Console(highlight=False).print(f"Report in [bold]{escape(str(output))}[/]")
