"""The command line: options, help and exit codes. A command's work is in another module, loaded when called."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from tailwise import __version__
from tailwise.errors import DataWarning, Interrupted, TailwiseError
from tailwise.wording import printable

BAD_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="tailwise",
    help="Learn from long-tailed data, and be honest about the rare classes.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="Exit codes: 0 success; 2 a problem with the input or the options, explained in one line; 130 interrupted; "
    "143 terminated.",
)


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may lack a character
    sys.stdout = _Unbroken(sys.stdout)  # type: ignore[assignment]
    try:
        with warnings.catch_warnings(action="ignore", category=DataWarning):  # notes tell more
            app()
    except TailwiseError as error:
        _fail(str(error), error.code if isinstance(error, Interrupted) else BAD_INPUT)
    except SystemExit as ended:
        if ended.code != INTERRUPTED:
            raise
        _fail("interrupted.", INTERRUPTED)
    except OSError as error:
        _fail(f"{error.filename or 'file system'}: {error.strerror or error}", BAD_INPUT)


class _Unbroken:
    """Standard output that leads nowhere once its reader has gone: a pipe to ``head`` ends no training."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._or_nowhere(self._stream.write, text) or len(text)

    def flush(self) -> None:
        self._or_nowhere(self._stream.flush)

    def _or_nowhere(self, do: Any, *arguments: Any) -> Any:
        try:
            return do(*arguments)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def _fail(message: str, code: int) -> None:
    from rich.console import Console
    from rich.markup import escape

    line = printable(" ".join(message.splitlines()))  # a name in it may have several
    Console(stderr=True).print(f"[bold red]tailwise:[/] {escape(line)}", soft_wrap=True, highlight=False)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tailwise {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A table (CSV, TSV, JSON lines, Parquet, Arrow), a Parquet file with images, or a folder with one "
        "sub-folder of images or texts per class.",
    ),
]
Target = Annotated[
    str | None, typer.Option("--target", "-t", help="Column with the labels. Not needed for class folders.")
]
Separator = Annotated[
    str | None,
    typer.Option(
        help="Separator between the labels, such as '|', if a row has a set of them. Not needed for columns of lists."
    ),
]
TextColumn = Annotated[str | None, typer.Option("--text", help="Column with the text to classify.")]
ImageColumn = Annotated[str | None, typer.Option("--image", help="Column with images or paths to images.")]
IdColumn = Annotated[
    str | None, typer.Option("--id", help="Column that identifies a row: kept in the output, not learned from.")
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Skip images that cannot be read, and report how many.")
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A folder written by tailwise fit.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the output if it exists.")]
Prior = Annotated[
    str,
    typer.Option(
        help="Class shares in the data: train (as in training; decisions follow the objective), uniform, estimate "
        "(from this data), or a JSON file with a number per class. Except with train, the likeliest class is "
        "predicted, or the cheapest if the objective was a cost matrix."
    ),
]
UserRecipes = Annotated[
    list[Path] | None,
    typer.Option("--recipe-file", help="A Python file of your own that registers recipes. It is executed."),
]


@app.command(epilog="Example: [bold]tailwise diagnose orders.csv --target category[/]")
def diagnose(
    data: Data,
    target: Target = None,
    separator: Separator = None,
    text: TextColumn = None,
    image: ImageColumn = None,
    id: IdColumn = None,
    skip_broken: SkipBroken = False,
    json: Json = False,
) -> None:
    """Report how long the tail is, what is wrong with the labels and columns, and what to do next."""
    from tailwise.cli import _diagnose
    from tailwise.cli._source import Source

    _diagnose.run(Source(data, target, separator, text, image, id, skip_broken=skip_broken), json=json)


@app.command(epilog="Example: [bold]tailwise fit orders.csv --target category --output model --time 10m[/]")
def fit(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model, its metrics and report.html.")],
    target: Target = None,
    separator: Separator = None,
    test: Annotated[
        str | None, typer.Option(help="Data to test the model on. By default, a share of DATA is held out.")
    ] = None,
    test_share: Annotated[
        float | None, typer.Option(help="Share of DATA to hold out for the test, 0.2 by default.", min=0.01, max=0.9)
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", "-r", help="One recipe, or several separated by commas; auto stands for those that suit."
        ),
    ] = "auto",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the recipe; can be repeated."),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="What to optimise: balanced_accuracy (the default), macro_f1, few_shot_accuracy, worst_class, g_mean, "
            "accuracy, a scikit-learn scorer (with two classes also of one of them, as in 'recall of LABEL'), or "
            "a JSON file with a cost matrix; for sets of labels, macro_average_precision (the default), "
            "micro_average_precision, few_shot_average_precision, macro_f1 or micro_f1."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", help="Time budget for the comparison and the training, such as 90s, 10m or 2h."),
    ] = None,
    text: TextColumn = None,
    image: ImageColumn = None,
    id: IdColumn = None,
    image_size: Annotated[int | None, typer.Option(help="Resize and crop images to this many pixels a side.")] = None,
    skip_broken: SkipBroken = False,
    backbone: Annotated[
        str | None, typer.Option(help="Train a network: mlp, resnet32, or the name of a timm model.")
    ] = None,
    text_model: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Encode texts by the sentence-transformers or Hugging Face model in this folder; otherwise by tf-idf.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs to train a network for.", min=1)] = None,
    augment: Annotated[
        str, typer.Option(help="Augmentation of images for networks: flip-crop, crop (no mirroring) or none.")
    ] = "flip-crop",
    precision: Annotated[
        str,
        typer.Option(
            help="Precision for training networks: 32-true, bf16-mixed, 16-mixed or 64-true; auto is bf16-mixed for "
            "images if the processor or GPU has instructions for it."
        ),
    ] = "auto",
    folds: Annotated[int | None, typer.Option(help="Number of folds for the comparison.", min=2)] = None,
    long_tailed: Annotated[
        float | None,
        typer.Option(
            "--make-long-tailed",
            metavar="FACTOR",
            min=1,
            help="First thin out the training data to an exponential long tail with this imbalance factor, keeping the "
            "first examples of each class, as is usual for CIFAR.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for everything random.", min=0, max=2**32 - 1)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a fit that was interrupted.")] = False,
    recipe_file: UserRecipes = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Diagnose, compare recipes, train the best for the rare classes too, test it, and save model and report."""
    from tailwise.cli import _fit
    from tailwise.cli._source import Source

    _fit.run(
        Source(data, target, separator, text, image, id, image_size, skip_broken),
        output,
        test=test,
        test_share=test_share,
        recipes=recipe,
        recipe_settings=set_ or [],
        objective=objective,
        options={
            "time_budget": time,
            "backbone": backbone,
            "text_model": text_model,
            "epochs": epochs,
            "augment": augment,
            "precision": precision,
            "cv": folds,
            "random_state": seed,
        },
        long_tailed=long_tailed,
        resume=resume,
        recipe_files=recipe_file or [],
        force=force,
        json=json,
    )


@app.command(epilog="Example: [bold]tailwise predict model new.csv --output predicted.csv[/]")
def predict(
    model: Model,
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .csv or .parquet.")],
    prior: Prior = "train",
    text: TextColumn = None,
    image: ImageColumn = None,
    id: IdColumn = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Write the id, label, probabilities and prediction set of each input, streamed in constant memory."""
    from tailwise.cli import _predict
    from tailwise.cli._source import Source

    new = Source(data, text=text, image=image, id=id, skip_broken=skip_broken)
    _predict.run(model, new, output=output, prior=prior, force=force)


@app.command(epilog="Example: [bold]tailwise evaluate model labelled.csv --target category[/]")
def evaluate(
    model: Model,
    data: Data,
    target: Target = None,
    separator: Separator = None,
    prior: Prior = "train",
    text: TextColumn = None,
    image: ImageColumn = None,
    skip_broken: SkipBroken = False,
    json: Json = False,
) -> None:
    """Measure a model on labelled data: overall, for many-, medium- and few-shot classes, and class by class."""
    from tailwise.cli import _evaluate
    from tailwise.cli._source import Source

    new = Source(data, target, separator, text, image, skip_broken=skip_broken)
    _evaluate.run(model, new, prior=prior, json=json)


@app.command(epilog="Example: [bold]tailwise recipes ldam-drw[/]")
def recipes(
    name: Annotated[str | None, typer.Argument(help="Show the settings of this recipe.")] = None,
    recipe_file: UserRecipes = None,
    json: Json = False,
) -> None:
    """List the recipes, each with its paper and a one-line summary."""
    from tailwise.cli import _recipes

    _recipes.run(name, recipe_files=recipe_file or [], json=json)


@app.command(epilog="Example: [bold]tailwise report model --output report.html[/]")
def report(
    model: Model,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; by default report.html in the model's folder.")
    ] = None,
    force: Force = False,
) -> None:
    """Rewrite the report of a fitted model."""
    from tailwise.cli import _report

    _report.rewrite(model, output, force=force)


@app.command(epilog="Example: [bold]tailwise demo[/]")
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model and the report.")] = Path(
        "demo-out"
    ),
    force: Force = False,
    json: Json = False,
) -> None:
    """Run everything on scikit-learn's handwritten digits, made long-tailed with an imbalance factor of 50."""
    from tailwise.cli import _fit

    _fit.demo(output, force=force, json=json)
