"""The commands as people type them: happy paths, bad input in one line, nothing lost."""

import datetime as dt
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_iris

from forked import finish, start
from tailwise import storage
from tailwise.cli import _app, _fit
from tailwise.data import load
from tailwise.errors import Interrupted, TailwiseError
from tailwise.estimators import TailClassifier, _clock, _objective, load_model
from tailwise.recipes import _base, recipes
from tailwise.wording import spoken

FAST = ["--recipe", "logit-adjustment"]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """Recipes that a test registers are gone after it."""
    monkeypatch.setattr(_base, "_REGISTRY", dict(recipes()))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A messy, long-tailed CSV: iris with commas in numbers, a text column of categories, gaps, and unlabelled rows."""
    path = tmp_path_factory.mktemp("data") / "flowers.csv"
    x, y = load_iris(return_X_y=True)
    rows = np.r_[0:50, 50:80, 100:112]
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y[rows]]
    frame = pl.DataFrame(
        {
            "flower": [f"f{i:03}" for i in range(len(rows))],
            "sepal length": x[rows, 0],
            "sepal width": [None if i % 17 == 0 else v for i, v in enumerate(x[rows, 1])],
            "petal length": [f"{1000 * v:,.0f}" for v in x[rows, 2]],
            "site": ["north", "south", "n/a"] * 30 + ["north", "south"],
            "species": [None if i in (3, 60) else name for i, name in enumerate(names)],
        }
    )
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def model(table):
    path = table.parent / "model"
    assert run("fit", table, "-t", "species", "--id", "flower", "-o", path, *FAST) == 0
    return path


def run(*arguments):
    """Run a command in this process and return its exit code."""
    before = sys.argv
    sys.argv = ["tailwise", *map(str, arguments)]
    try:
        _app.main()
    except SystemExit as stop:
        return stop.code or 0
    finally:
        sys.argv = before
    return 0


def command(*arguments):
    """Run a command as a process does, for one of its own."""
    sys.exit(run(*arguments))


def refused(capsys, message, *arguments):
    """Check that a command ends with exit code 2 and one line that has the message."""
    capsys.readouterr()
    assert run(*arguments) == _app.BAD_INPUT
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("tailwise: ")
    assert message in lines[0]
    assert "Traceback" not in out + err


def test_fit_leaves_a_model_and_a_report(model):
    assert {"manifest.json", "model.json", "evaluation.json", "encoder.skops", "estimator.skops", "report.html"} <= {
        file.name for file in model.iterdir()
    }
    assert not list(model.parent.glob("*.unfinished"))
    card = json.loads((model / "model.json").read_text())["card"]
    assert card["recipe"] == "logit-adjustment"
    assert {"versions", "data", "learner", "comparison", "settings", "paper"} <= set(card)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predict_writes_id_label_probabilities_and_set(model, table, tmp_path, suffix):
    out = tmp_path / f"predicted{suffix}"
    assert run("predict", model, table, "-o", out) == 0
    found = pl.read_csv(out) if suffix == ".csv" else pl.read_parquet(out)
    assert found.columns[:2] == ["id", "label"]
    assert found.columns[-1] == "prediction_set"
    assert found["id"].to_list() == pl.read_csv(table)["flower"].to_list()
    proba = found.select(pl.col("^probability .*$")).to_numpy()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    sets = [json.loads(s) if isinstance(s, str) else s for s in found["prediction_set"].to_list()]
    assert all(sets)


def test_columns_may_be_reordered_and_added_but_not_missing(model, table, tmp_path, capsys):
    frame = pl.read_csv(table)
    frame.select(reversed(frame.columns)).with_columns(extra=pl.lit(1)).write_csv(tmp_path / "more.csv")
    assert run("predict", model, tmp_path / "more.csv", "-o", tmp_path / "a.csv") == 0
    assert run("predict", model, table, "-o", tmp_path / "b.csv") == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    frame.rename({"petal length": "petal lenght"}).write_csv(tmp_path / "less.csv")
    refused(capsys, "'petal length'", "predict", model, tmp_path / "less.csv", "-o", tmp_path / "c.csv")
    assert not (tmp_path / "c.csv").exists()


def test_predict_streams_in_batches(model, table, tmp_path, monkeypatch):
    import functools

    from tailwise.cli import _beside

    assert run("predict", model, table, "-o", tmp_path / "whole.csv") == 0
    monkeypatch.setattr(_beside, "stream", functools.partial(_beside.stream, rows=7))
    assert run("predict", model, table, "-o", tmp_path / "parts.csv") == 0
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()


@pytest.mark.parametrize("given", [".csv", ".parquet"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ids_are_carried_unchanged_through_batches(model, table, tmp_path, monkeypatch, given, suffix):
    import functools

    from tailwise.cli import _beside

    monkeypatch.setattr(_beside, "stream", functools.partial(_beside.stream, rows=7))
    ids = [2**53 + 1 + i if i != 3 else None for i in range(92)]
    frame = pl.read_csv(table).with_columns(flower=pl.Series(ids, dtype=pl.Int64))
    if given == ".csv":  # where a name may stand among the numbers, batches later
        ids = [*("" if i is None else f" {i}" for i in ids[:-2]), "NA", "z007"]
        frame = frame.with_columns(flower=pl.Series(ids)).with_columns(pl.col("flower").replace("", None))
    getattr(frame, f"write_{given[1:]}")(tmp_path / f"new{given}")
    assert run("predict", model, tmp_path / f"new{given}", "-o", tmp_path / f"p{suffix}") == 0
    found = pl.read_csv(tmp_path / f"p{suffix}") if suffix == ".csv" else pl.read_parquet(tmp_path / f"p{suffix}")
    assert found["id"].to_list() == frame["flower"].to_list()


@pytest.mark.parametrize("prior", ["uniform", "estimate", "file"])
def test_priors(model, table, tmp_path, prior):
    (tmp_path / "prior.json").write_text("[0.1, 0.1, 0.8]")
    prior = str(tmp_path / "prior.json") if prior == "file" else prior
    assert run("predict", model, table, "-o", tmp_path / "p.csv", "--prior", prior) == 0
    assert pl.read_csv(tmp_path / "p.csv").height == 92


def test_a_prior_of_numbers_is_checked_and_not_called_estimated(model, table, tmp_path, capsys):
    prior = tmp_path / "prior.json"
    for wrong in ("[1, 2]", "3", "[[0.2, 0.3, 0.5]]", "[1, 2, 3, 4]"):
        write(prior, wrong)
        for command in (["predict", model, table, "-o", tmp_path / "p.csv"], ["evaluate", model, table]):
            refused(capsys, "a prior for 3 classes needs 3 numbers", *command, "--prior", prior)
    write(prior, "[0.1, 0.1, 0.8]")
    assert run("evaluate", model, table, "--prior", prior) == 0
    out, err = capsys.readouterr()
    assert "stimated" not in out + err


@pytest.mark.parametrize("labels", [[False, True], [0.0, 1.0], [3, 7], ["x", "1.0"]])
def test_a_label_is_spelt_as_in_its_set_and_its_probability(tmp_path, labels):
    x = np.random.default_rng(0).normal(size=60)
    data = pl.DataFrame({"x": x, "y": [labels[int(v > 0)] for v in x]})
    data.write_parquet(tmp_path / "t.parquet")
    fit = ["fit", tmp_path / "t.parquet", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy", "--folds", "2"]
    assert run(*fit) == 0
    for suffix in (".csv", ".parquet"):
        assert run("predict", tmp_path / "m", tmp_path / "t.parquet", "-o", tmp_path / f"p{suffix}") == 0
    typed = pl.read_parquet(tmp_path / "p.parquet")
    assert typed["label"].dtype == data["y"].dtype
    assert typed.select(pl.col("prediction_set").list.contains(pl.col("label")).all()).item()
    spelt = pl.read_csv(tmp_path / "p.csv", infer_schema=False)
    assert [f"probability {name}" for name in sorted(set(spelt["label"]))] == sorted(spelt.columns[2:4])
    assert all(label in json.loads(names) for label, names in spelt.select("label", "prediction_set").iter_rows())
    assert spelt.columns == typed.columns


@pytest.mark.parametrize("ids", [[b"\xff"], [[1, 2]], [{"a": 1}], [dt.timedelta(1)]])
def test_ids_that_a_csv_cannot_hold_are_refused(model, table, tmp_path, capsys, ids):
    pl.read_csv(table).head(1).with_columns(flower=pl.Series(ids)).write_parquet(tmp_path / "new.parquet")
    predict = ["predict", model, tmp_path / "new.parquet", "-o"]
    refused(capsys, "which .csv cannot hold: write .parquet", *predict, tmp_path / "p.csv")
    assert run(*predict, tmp_path / "p.parquet") == 0
    assert pl.read_parquet(tmp_path / "p.parquet")["id"].to_list() == ids


def test_evaluate_prints_groups_and_json(model, table, capsys):
    capsys.readouterr()
    assert run("evaluate", model, table) == 0
    assert "Balanced accuracy" in capsys.readouterr().out
    assert run("evaluate", model, table, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_examples"] == 90
    assert 0 < found["overall"]["balanced_accuracy"]["value"] <= 1


def test_diagnose_and_recipes_speak_json(table, capsys):
    capsys.readouterr()
    assert run("diagnose", table, "-t", "species", "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_unlabelled"] == 2
    assert run("recipes", "--json") == 0
    assert "ldam-drw" in {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert run("diagnose", table, "-t", "species") == 0
    assert run("recipes") == 0
    assert run("recipes", "ldam-drw") == 0
    assert "--set max_margin=0.5" in capsys.readouterr().out


def test_fit_speaks_json_and_keeps_to_a_time_budget(table, tmp_path, capsys):
    capsys.readouterr()
    arguments = ["-t", "species", "--id", "flower", "-o", tmp_path / "m", "--json", "--time", "6s"]
    assert run("fit", table, *arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["recipe"] for row in found["card"]["comparison"]} >= {"cross-entropy", "logit-adjustment"}
    assert found["plain"]["overall"].keys() == found["evaluation"]["overall"].keys()
    assert found["notes"]
    assert {finding["severity"] for finding in found["findings"]} <= {"problem", "warning", "note"}


def test_a_report_is_written_again(model, tmp_path, capsys):
    assert run("report", model, "-o", tmp_path / "again.html") == 0
    assert (tmp_path / "again.html").read_text() == (model / "report.html").read_text()
    refused(capsys, "already exists", "report", model, "-o", tmp_path / "again.html")
    refused(capsys, "among the model's own files", "report", model, "-o", model / "model.json", "--force")
    before = (model / "report.html").read_text()
    (model / "report.html").write_text("lost")
    assert run("report", model) == 0
    assert (model / "report.html").read_text() == before


def test_a_recipe_of_the_users_own(table, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from tailwise.recipes import Recipe, register\n"
        "@register('cli-mine', paper='none')\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Recipe):\n"
        "    '''Mine.'''\n"
        "    strength: int = 1\n"
        "    def estimator(self, base, task):\n"
        "        return base\n"
    )
    arguments = ["--recipe-file", tmp_path / "mine.py", "-r", "cli-mine", "--set", "strength=3"]
    assert run("fit", table, "-t", "species", "--id", "flower", "-o", tmp_path / "m", *arguments) == 0
    assert json.loads((tmp_path / "m" / "model.json").read_text())["card"]["settings"] == {"strength": 3}


def test_what_cannot_be_saved_is_refused_before_it_is_trained(table, tmp_path, capsys):
    mine = write(
        tmp_path / "mine.py",
        "from dataclasses import dataclass\n"
        "from sklearn.tree import DecisionTreeClassifier\n"
        "from tailwise.recipes import Recipe, register\n"
        "class Own(DecisionTreeClassifier):\n"
        "    pass\n"
        "@register('cli-unsavable', paper='none')\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Recipe):\n"
        "    def estimator(self, base, task):\n"
        "        return Own()\n",
    )
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", "--recipe-file", mine]
    refused(capsys, "recipe 'cli-unsavable': a model that holds tailwise_user_mine", *fit, "-r", "cli-unsavable")
    assert not (tmp_path / "m.unfinished").exists()


def test_a_recipe_without_a_docstring_has_no_summary(tmp_path, capsys):
    mine = write(
        tmp_path / "mine.py",
        "from dataclasses import dataclass\n"
        "from tailwise.recipes import Recipe, register\n"
        "@register('undocumented', paper='a paper')\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Recipe):\n"
        "    strength: int = 1\n"
        "    def estimator(self, base, task):\n"
        "        return base\n",
    )
    capsys.readouterr()
    assert run("recipes", "undocumented", "--recipe-file", mine) == 0
    assert capsys.readouterr().out.splitlines() == [
        "undocumented  a paper",
        "Trains scikit-learn estimators.",
        "  --set strength=1",
    ]
    assert run("recipes", "--recipe-file", mine) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("undocumented"))
    assert line.split(maxsplit=1)[1].strip() == "a paper"


def test_a_model_folder_is_read_once(model, table, tmp_path, monkeypatch):
    read, times = storage.read_folder, []
    monkeypatch.setattr(storage, "read_folder", lambda *a, **k: times.append(a) or read(*a, **k))
    assert run("predict", model, table, "-o", tmp_path / "p.csv") == 0
    assert run("evaluate", model, table) == 0
    assert len(times) == 2


def test_a_model_saved_again_keeps_what_stood_beside_it(model, table, tmp_path):
    load_model(model).save(tmp_path / "again")
    assert run("predict", model, table, "-o", tmp_path / "a.csv") == 0
    assert run("predict", tmp_path / "again", table, "-o", tmp_path / "b.csv") == 0
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()
    assert run("report", tmp_path / "again", "-o", tmp_path / "r.html") == 0


def test_one_prediction_is_one(model, table, tmp_path, capsys):
    pl.read_csv(table).head(1).write_csv(tmp_path / "one.csv")
    assert run("predict", model, tmp_path / "one.csv", "-o", tmp_path / "p.csv") == 0
    assert "1 prediction in" in capsys.readouterr().err


def test_fit_never_overwrites(model, table, tmp_path, capsys):
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    refused(capsys, "--force", "fit", table, "-t", "species", "-o", model)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    refused(capsys, "not written by Tailwise", "fit", table, "-t", "species", "-o", tmp_path / "mine", "--force")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_names_of_several_lines_are_told_in_one(tmp_path, capsys):
    write(tmp_path / "a.csv", '"free\ntext",y\nu,a\nv,b\n')
    refused(capsys, "It has free text, y.", "diagnose", tmp_path / "a.csv", "-t", "class")


@pytest.mark.parametrize(
    ("rare", "promise"),
    [
        ({"alone": 1}, "class; nothing is known of 1 class whose one example cannot be held out"),
        ({"d": 6}, "class; one class has too few held-out examples to be certain of that"),
        ({"d": 4, "e": 4}, "class; 2 classes have too few held-out examples, even together, to be certain of that"),
        ({"d": 8, "e": 8}, "class; 2 classes with few held-out examples share one threshold, so it holds for them "),
    ],
)
def test_prediction_sets_promise_no_more_than_they_can(rare, promise, tmp_path):
    labels = [*"abc" * 20, *(name for name, n in rare.items() for _ in range(n))]
    rows = [f"{i % 7 + 9 * ord(label[0])},{label}" for i, label in enumerate(labels)]
    write(tmp_path / "a.csv", "\n".join(["x,y", *rows, ""]))
    fit = ["fit", tmp_path / "a.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy", "--folds", 2]
    assert run(*fit) == 0
    (sentence,) = (n for n in json.loads((tmp_path / "m/report.json").read_text())["notes"] if "Prediction sets" in n)
    assert f"for 90 % of the examples of each {promise}" in sentence


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-t", "speceis"], "Did you mean 'species'"),
        (["-t", "species", "-r", "logit-adjustmnt"], "Did you mean 'logit-adjustment'"),
        (["-t", "species", "-r", "focal"], "needs a network"),
        (["-t", "species", "-r", "logit-adjustment", "--set", "tua=1"], "Did you mean 'tau'"),
        (["-t", "species", "--set", "tau=1"], "name it with --recipe"),
        (["-t", "species", "-r", "logit-adjustment", "--set", "tau"], "NAME=VALUE"),
        (["-t", "species", "--objective", "balanced_acuracy"], "Did you mean 'balanced_accuracy'"),
        (["-t", "species", "--objective", "f1"], "use 'f1_macro'"),
        (["-t", "species", "--time", "soon"], "a time budget is a number"),
        (["-t", "species", "--augment", "flop"], "Did you mean 'flip-crop'"),
        (["-t", "species", "--precision", "bf16"], "there is no precision 'bf16'. Did you mean 'bf16-mixed'"),
        (["-t", "species", "--resume"], "no unfinished fit"),
        (["-t", "species", "--test", "absent.csv"], "absent.csv"),
        ([], "--target"),
    ],
)
def test_bad_options_are_one_line(table, tmp_path, capsys, options, message):
    refused(capsys, message, "fit", table, "-o", tmp_path / "m", *options)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


BAD_FILES = {
    "empty": ("", "empty"),
    "header only": ("a,y\n", "no rows"),
    "one class": ("a,y\n1,x\n2,x\n3,x\n", "one class"),
    "no labels": ("a,y\n1,\n2,\n", "missing"),
    "twice": ("a,a,y\n1,2,x\n3,4,z\n", "'a'"),
    "only singles": ("a,y\n1,x\n2,z\n3,w\n", "two examples"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_tables_are_one_line(tmp_path, capsys, name):
    text, message = BAD_FILES[name]
    refused(capsys, message, "fit", write(tmp_path / "bad.csv", text), "-t", "y", "-o", tmp_path / "m", *FAST)


def test_bad_bytes_are_one_line(tmp_path, capsys, table):
    latin = write(tmp_path / "latin.csv", "a,y\nM\u00fcller,x\nb,z\n" * 5, "latin-1")
    refused(capsys, "UTF-8", "fit", latin, "-t", "y", "-o", tmp_path / "m", *FAST)
    pl.read_csv(table).write_parquet(tmp_path / "cut.parquet")
    data = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    refused(capsys, "cut.parquet", "fit", tmp_path / "cut.parquet", "-t", "species", "-o", tmp_path / "m", *FAST)
    refused(capsys, "nosuch.csv", "diagnose", tmp_path / "nosuch.csv", "-t", "y")


def test_what_a_network_cannot_be_is_said_before_anything_else(table, tmp_path, capsys):
    pytest.importorskip("torch")
    refused(capsys, "use mlp or identity", "fit", table, "-t", "species", "-o", tmp_path / "m", "--backbone", "resnet")
    assert list(tmp_path.iterdir()) == []


def test_a_proof_without_a_column_is_found_before_training(table, tmp_path, capsys):
    pl.read_csv(table).drop("site").write_csv(tmp_path / "proof.csv")
    options = ["-t", "species", "-o", tmp_path / "m", "--test", tmp_path / "proof.csv"]
    refused(capsys, "proof.csv has no column 'site'", "fit", table, *options)
    assert [file.name for file in tmp_path.iterdir()] == ["proof.csv"]


def test_what_is_refused_in_training_can_be_called_again(table, tmp_path, capsys):
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", *FAST]
    assert run(*fit, "--test-share", "0.97") == _app.BAD_INPUT  # which leaves single examples, none to hold out
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_fit_is_gone_on_with_or_begun_anew(table, tmp_path, capsys):
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", *FAST]
    (tmp_path / "m.unfinished").mkdir()
    (tmp_path / "m.unfinished" / "fit.json").write_text("of other data")
    refused(capsys, "--resume, or start over with --force", *fit)
    assert run(*fit, "--force") == 0
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume"], "no unfinished fit"),
        ([], "holds files that do not belong to a fit: move them away"),
        (["--force"], "holds files that do not belong to a fit: move them away"),
    ],
)
def test_a_folder_that_no_fit_has_begun_is_left_alone(table, tmp_path, capsys, options, message):
    (tmp_path / "m.unfinished").mkdir()
    notes = write(tmp_path / "m.unfinished" / "notes.txt", "precious")
    refused(capsys, message, "fit", table, "-t", "species", "-o", tmp_path / "m", *FAST, *options)
    assert notes.read_text() == "precious"
    assert not (tmp_path / "m").exists()


def test_a_setting_refused_in_training_can_be_corrected(table, tmp_path, capsys):
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", "-r", "effective-number"]
    assert run(*fit, "--set", "beta=2") == _app.BAD_INPUT
    assert list(tmp_path.iterdir()) == []
    assert run(*fit, "--set", "beta=0.99") == 0


@pytest.mark.parametrize("finished", ["", "fold1.npz", "fold1/checkpoint.safetensors"])
@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, TailwiseError])
def test_only_a_refused_fit_that_was_begun_here_is_cleared_away(tmp_path, error, resume, finished):
    folder = tmp_path / "m.unfinished"
    if resume:
        folder.mkdir()
        write(folder / "fit.json", "{}")

    def refuse():
        with _fit._working_folder(tmp_path / "m", resume=resume, force=False) as work:
            (work / "fold1").mkdir(parents=True)  # a network's, which is refused before its first epoch has ended
            write(work / (finished or "seed.json"), "")
            raise error

    with pytest.raises(Interrupted if error is KeyboardInterrupt and resume else error):
        refuse()
    assert folder.exists() == (resume or error is KeyboardInterrupt or bool(finished))


def test_brackets_in_names_and_cells_are_text(table, tmp_path, capsys):
    frame = pl.read_csv(table).with_columns(pl.lit(None).alias("[/x]"))
    lengths = ["oops[/b]", *frame["sepal length"].cast(pl.String)[1:]]
    frame.with_columns(pl.Series("sepal length", lengths)).write_csv(tmp_path / "marked.csv")
    output = tmp_path / "out[bold]dir"
    assert run("fit", tmp_path / "marked.csv", "-t", "species", "-o", output, *FAST) == 0
    said = "".join(capsys.readouterr().out.split())
    assert "column'[/x]'hasnovalues" in said
    assert "oops[/b]" in said
    assert "out[bold]dir/report.html" in said
    assert run("report", output, "-o", tmp_path / "[/b]" / "new" / "again.html") == 0
    assert "[/b]/new/again.html" in "".join(capsys.readouterr().out.split())


def test_groups_that_are_not_the_usual_ones_are_told(table, tmp_path, capsys):
    pl.read_csv(table).filter(pl.col("species") != "virginica").write_csv(tmp_path / "two.csv")
    assert run("diagnose", tmp_path / "two.csv", "-t", "species") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "of two classes the larger is many-shot and the smaller few-shot" in said


def test_what_was_left_out_and_what_stood_in_is_told(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [200, 120, 60])
    pl.DataFrame({"x": rng.normal(size=380), "y": y}).write_csv(tmp_path / "t.csv")
    fit = ["fit", tmp_path / "t.csv", "-t", "y", "-r", "cross-entropy", "--objective", "few_shot_accuracy"]
    assert run(*fit, "-o", tmp_path / "m") == 0
    assert "recipes were chosen by the medium-shot classes" in " ".join(capsys.readouterr().out.split())
    assert run(*fit, "-o", tmp_path / "n", "--make-long-tailed", "4") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "275 rows of 380 left out to make the data long-tailed: the smallest class, 'c' with 60 examples" in said
    assert "were chosen by" not in said


def test_costs_by_class_name(table, tmp_path, capsys):
    names = ["setosa", "versicolor", "virginica"]
    (tmp_path / "cost.json").write_text(json.dumps({t: {p: 1 for p in names if p != t} for t in names}))
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", *FAST, "--objective", tmp_path / "cost.json"]
    assert run(*fit) == 0
    assert json.loads((tmp_path / "m" / "model.json").read_text())["chains"]["cost"] == (1 - np.eye(3)).tolist()
    (tmp_path / "cost.json").write_text('{"setosa": {"virginica": 1}}')
    refused(capsys, "in the order setosa, versicolor, virginica", *fit, "--force")


def test_images_that_are_no_squares_are_predicted_on_whole(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for label, side in (("cat", 0), ("dog", 12)):  # what tells them apart lies outside the square in the middle
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 60, (8, 20, 3), dtype=np.uint8)
            pixels[:, side : side + 5] += 190
            image.fromarray(pixels).save(tmp_path / "pets" / label / f"{i}.png")
    fit = ["fit", tmp_path / "pets", "-o", tmp_path / "m", "--epochs", "12", "--recipe", "cross-entropy"]
    assert run(*fit, "--augment", "none", "--folds", "2") == 0
    assert run("predict", tmp_path / "m", tmp_path / "pets", "-o", tmp_path / "p.csv") == 0
    model = load_model(tmp_path / "m")
    whole = model.predict_proba(load(tmp_path / "pets").inputs)
    np.testing.assert_allclose(pl.read_csv(tmp_path / "p.csv")["probability cat"], whole[:, 0], atol=1e-5)


def test_a_proof_is_of_what_predict_does(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for folder, mode, size in (("train", "L", 8), ("test", "RGB", 20)):
        for label, level in (("cat", 0), ("dog", 120)):
            (tmp_path / folder / label).mkdir(parents=True)
            for i in range(6):
                pixels = rng.integers(level, level + 60, (size, size, 3), dtype=np.uint8)
                image.fromarray(pixels).convert(mode).save(tmp_path / folder / label / f"{i}.png")
    fit = ["fit", tmp_path / "train", "--test", tmp_path / "test", "-o", tmp_path / "m", "--epochs", "2"]
    assert run(*fit, "--recipe", "cross-entropy", "--folds", "2") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "test: 12 of 12 images were resized and cut to 8 × 8 pixels" in said
    assert "test: 12 of 12 images were in colour and are grey now." in said
    assert run("evaluate", tmp_path / "m", tmp_path / "test", "--json") == 0
    again = json.loads(capsys.readouterr().out)["overall"]
    proof = json.loads((tmp_path / "m" / "evaluation.json").read_text())["overall"]
    for name in ("accuracy", "log_loss", "set_size"):
        assert again[name]["value"] == pytest.approx(proof[name]["value"])


def test_a_broken_image_is_one_line(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(3):
            image.new("RGB", (8, 8), (80 * i, 9, 9)).save(tmp_path / "pets" / label / f"{i}.png")
    (tmp_path / "pets" / "cat" / "broken.png").write_bytes(b"no image")
    refused(capsys, "--skip-broken", "fit", tmp_path / "pets", "-o", tmp_path / "m")
    options = ["--skip-broken", "--recipe", "cross-entropy", "--epochs", "1", "--folds", "2", "--test-share", "0.4"]
    pytest.importorskip("torch")
    assert run("fit", tmp_path / "pets", "-o", tmp_path / "m", *options) == 0
    assert "1 broken image was left out" in capsys.readouterr().out


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A folder, a table in which a whole batch of three images is broken, one where all are, and a model."""
    pytest.importorskip("torch")
    image = pytest.importorskip("PIL.Image")
    root = tmp_path_factory.mktemp("pets")
    for label in ("cat", "dog"):
        (root / "pets" / label).mkdir(parents=True)
        for i in range(4):
            image.new("RGB", (8, 8), (60 * i, 9, 9)).save(root / "pets" / label / f"{i}.png")
    good = [(root / "pets" / label / "1.png").read_bytes() for label in ("cat", "dog", "dog")]
    labels = ["cat", *["dog"] * 5]
    pl.DataFrame({"image": [good[0], b"x", b"x", b"x", *good[1:]], "y": labels}).write_parquet(root / "some.parquet")
    pl.DataFrame({"image": [b"x"] * 6, "y": labels}).write_parquet(root / "none.parquet")
    options = ["--recipe", "cross-entropy", "--epochs", "1", "--folds", "2", "--test-share", "0.4"]
    assert run("fit", root / "pets", "-o", root / "model", *options) == 0
    return root


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("prior", ["train", "estimate"])
def test_a_batch_of_broken_images_is_left_out(pets, tmp_path, capsys, monkeypatch, suffix, prior):
    import functools

    from tailwise.cli import _beside

    monkeypatch.setattr(_beside, "stream", functools.partial(_beside.stream, rows=1))
    out = tmp_path / f"p{suffix}"
    new = [pets / "model", pets / "some.parquet", "--image", "image", "--skip-broken"]
    capsys.readouterr()
    assert run("predict", *new, "-o", out, "--prior", prior) == 0
    assert (pl.read_csv(out) if suffix == ".csv" else pl.read_parquet(out))["id"].to_list() == [0, 4, 5]
    said = " ".join(capsys.readouterr().err.split())
    assert "the first is row 3 of 'image'" in said
    assert run("evaluate", *new, "-t", "y", "--prior", prior) == 0
    assert "3 labelled examples" in capsys.readouterr().out


def test_where_no_image_can_be_read_nothing_is_written(pets, tmp_path, capsys):
    new = [pets / "model", pets / "none.parquet", "--image", "image", "--skip-broken"]
    for command in (
        ["predict", *new, "-o", tmp_path / "p.csv"],
        ["predict", *new, "-o", tmp_path / "p.parquet"],
        ["predict", *new, "-o", tmp_path / "p.csv", "--prior", "estimate"],
        ["evaluate", *new, "-t", "y"],
    ):
        capsys.readouterr()
        assert run(*command) == _app.BAD_INPUT
        last = capsys.readouterr().err.splitlines()[-1]
        assert "none.parquet has no image that can be read: 6 broken images were left out; the first is row 0" in last
    assert list(tmp_path.iterdir()) == []


def test_what_new_data_has_too_much_or_unreadable_is_told(model, table, tmp_path, capsys):
    frame = pl.read_csv(table).head(3).with_columns(extra=1, site=pl.lit("west")).drop("species")
    frame.write_csv(tmp_path / "new.csv")
    assert run("predict", model, tmp_path / "new.csv", "-o", tmp_path / "p.csv") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "columns that training did not have are ignored: extra." in said
    assert "column 'site': 3 values that training did not have, such as 'west', are taken as missing." in said


def test_bad_predictions_are_one_line(model, table, tmp_path, capsys):
    pl.read_csv(table).head(0).write_csv(tmp_path / "none.csv")
    for name in ("p.csv", "p.parquet"):
        refused(
            capsys, "none.csv has columns but no rows", "predict", model, tmp_path / "none.csv", "-o", tmp_path / name
        )
    refused(capsys, ".csv or .parquet", "predict", model, table, "-o", tmp_path / "p.xlsx")
    refused(capsys, "among the model's own files", "predict", model, table, "-o", model / "p.csv")
    out = write(tmp_path / "p.csv", "mine")
    refused(capsys, "already exists", "predict", model, table, "-o", out)
    assert out.read_text() == "mine"
    refused(capsys, "there is no folder", "predict", tmp_path / "none", table, "-o", tmp_path / "q.csv")
    refused(capsys, "is a file, not the folder of a model", "predict", table, model, "-o", tmp_path / "q.csv")
    refused(capsys, "unknown prior", "predict", model, table, "-o", tmp_path / "q.csv", "--prior", "flat")
    frame = pl.read_csv(table).with_columns(species=pl.lit("orchid"))
    frame.write_csv(tmp_path / "new.csv")
    refused(capsys, "'orchid'", "evaluate", model, tmp_path / "new.csv")
    weights = model / "estimator.skops"
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-10])
        refused(capsys, "cut short or changed", "predict", model, table, "-o", tmp_path / "q.csv")
    finally:
        weights.write_bytes(whole)
    assert not (tmp_path / "q.csv").exists()


def cpu_seconds(*command):
    before = os.times()
    result = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, result.stdout


def test_starting_is_quick_and_loads_no_torch():
    code = "import sys, tailwise.cli; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    assert cpu_seconds("-c", code)[1].split() == ["False", "False"]
    assert min(cpu_seconds("-c", "import tailwise")[0] for _ in range(5)) < 0.3
    assert min(cpu_seconds("-m", "tailwise", "--help")[0] for _ in range(5)) < 0.5


SLOW = """
import os, time
from dataclasses import dataclass
from pathlib import Path
from tailwise.recipes import Recipe, register

@register("slow", paper="none")
@dataclass(frozen=True)
class Slow(Recipe):
    work: str = ""
    def estimator(self, base, task):
        while os.environ.get("WAIT") and list(Path(self.work).glob("slow*fold1*")):
            time.sleep(0.01)
        return base
"""


def test_two_fits_with_one_output_are_kept_apart_and_a_killed_one_resumes(tmp_path, capsys):
    output, work, table = tmp_path / "m", tmp_path / "m.unfinished", tmp_path / "t.csv"
    pl.DataFrame({"says": ["miaow purr", "woof bark", "moo"] * 10, "y": ["cat", "dog", "cow"] * 10}).write_csv(table)
    recipe = ["--recipe-file", write(tmp_path / "slow.py", SLOW), "-r", "slow", "--set", f"work={work}"]
    fit = ["fit", table, "-t", "y", "--text", "says", "-o", output, *recipe]
    assert run(*fit) == 0
    before = sorted(path.name for path in tmp_path.iterdir())
    command = [sys.executable, "-m", "tailwise", *map(str, fit), "--force"]
    with open(os.devnull, "w") as nowhere:
        first = subprocess.Popen(command, env={**os.environ, "WAIT": "1"}, stdout=nowhere, stderr=nowhere)
    try:
        while not list(work.glob("cross-entropy*fold2*")):  # after which only the slow one is left in its round
            assert first.poll() is None
            time.sleep(0.01)
        kept = {file: file.stat().st_mtime_ns for file in work.iterdir()}
        for options in ([], ["--force"], ["--resume"]):
            refused(capsys, f"process {first.pid} on host", *fit, *options)
        with pytest.raises(TailwiseError, match=f"process {first.pid} "):
            load_model(output).save(output, force=True)
        with pytest.raises(TailwiseError, match=f"process {first.pid} .* is already writing to .*m.unfinished"):
            TailClassifier(work_dir=work).fit([[0.0], [1.0]] * 6, [0, 1] * 6)
        assert kept.items() <= {file: file.stat().st_mtime_ns for file in work.iterdir()}.items()
        assert run("predict", output, table, "-o", tmp_path / "p.csv") == 0, "what only reads is not kept out"
        assert run("evaluate", output, table) == 0
        assert run("report", output, "-o", tmp_path / "again.html") == 0
    finally:
        first.kill()
        first.wait()
    assert run(*fit, "--resume") == 0
    for name in ("p.csv", "again.html"):
        (tmp_path / name).unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_interrupted_fit_says_how_to_go_on(tmp_path):
    output, work, table = tmp_path / "m", tmp_path / "m.unfinished", tmp_path / "t.csv"
    pl.DataFrame({"says": ["miaow purr", "woof bark", "moo"] * 10, "y": ["cat", "dog", "cow"] * 10}).write_csv(table)
    recipe = ["--recipe-file", write(tmp_path / "slow.py", SLOW), "-r", "slow", "--set", f"work={work}"]
    fit = ["fit", table, "-t", "y", "--text", "says", "-o", output, *recipe]
    command = [sys.executable, "-m", "tailwise", *map(str, fit)]
    process = subprocess.Popen(command, env={**os.environ, "WAIT": "1"}, stdout=-3, stderr=subprocess.PIPE, text=True)
    while not list(work.glob("cross-entropy*fold2*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert "run the same command with --resume" in said
    assert "Traceback" not in said
    assert run(*fit, "--resume") == 0


def test_a_fit_interrupted_before_anything_is_kept_does_not_speak_of_resuming(table, tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fit, "diagnose", stop)
    capsys.readouterr()
    assert run("fit", table, "-t", "species", "-o", tmp_path / "m") == 130
    assert capsys.readouterr().err.strip() == "tailwise: interrupted."


def test_the_root_of_the_file_system_is_no_output(table, capsys):
    refused(capsys, "/ is the root of the file system", "fit", table, "-t", "species", "-o", "/")


def test_an_error_before_anything_is_kept_leaves_no_folder_that_refuses_the_next_fit(table, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no fault of the data")

    fit = "fit", table, "-t", "species", "-o", tmp_path / "m", *FAST
    with monkeypatch.context() as patch:
        patch.setattr("tailwise.estimators._tail.compare", broken)
        with pytest.raises(RuntimeError):
            run(*fit)
    assert not list(tmp_path.glob("m*"))
    assert run(*fit) == 0


def test_options_that_cannot_be_used_are_refused_before_the_diagnosis(table, tmp_path, capsys):
    fit = "fit", table, "-t", "species", "-o", tmp_path / "m"
    rows = len(pl.read_csv(table)["species"].drop_nulls())
    refused(capsys, f"the rows that can be held out; got {rows}", *fit, "--folds", rows)  # some are kept for the test
    refused(capsys, "table data, which has no size in pixels: leave the image size out", *fit, "--image-size", 32)
    refused(capsys, "--test-share is of DATA", *fit, "--test", table, "--test-share", 0.3)
    assert capsys.readouterr().out == ""


def test_the_target_is_no_column_that_a_prediction_ignores(model, table, tmp_path, capsys):
    capsys.readouterr()
    assert run("predict", model, table, "-o", tmp_path / "new" / "p.csv") == 0
    assert "ignored" not in capsys.readouterr().err
    pl.read_csv(table).with_columns(extra=1).write_csv(tmp_path / "more.csv")
    assert run("predict", model, tmp_path / "more.csv", "-o", tmp_path / "new" / "q.csv") == 0
    assert "are ignored: extra." in capsys.readouterr().err


def test_the_card_has_the_seed_that_was_given(table, tmp_path):
    output = tmp_path / "m"
    assert run("fit", table, "-t", "species", "-o", output, "-r", "cross-entropy", "--folds", 2, "--seed", 7) == 0
    assert load_model(output).card["data"]["seed"] == 7


def test_predictions_never_replace_their_input(model, table, tmp_path, capsys):
    data = tmp_path / "data.csv"
    data.write_bytes(table.read_bytes())
    refused(capsys, "is the data to predict on", "predict", model, data, "-o", data, "--force")
    assert data.read_bytes() == table.read_bytes()


@pytest.mark.parametrize("left", [".lock", ".fit.json.a1b2"])
def test_a_fit_that_was_killed_at_once_is_begun_anew(table, tmp_path, left):
    (tmp_path / "m.unfinished").mkdir()
    write(tmp_path / "m.unfinished" / left, "")
    assert run("fit", table, "-t", "species", "-o", tmp_path / "m", *FAST) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


@pytest.mark.slow
def test_processes_of_one_fit_share_its_output(table, tmp_path):
    pytest.importorskip("torch")
    port = 20000 + os.getpid() % 20000
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    fit = ["-m", "tailwise", "fit", table, "-t", "species", "-o", tmp_path / "m", "--backbone", "mlp", "--epochs", "3"]
    fit += ["-r", "balanced-softmax"]
    assert run("fit", table, "-t", "species", "-o", tmp_path / "m", *FAST) == 0
    subprocess.run([sys.executable, *launcher, *map(str, fit), "--force"], check=True, timeout=120)
    assert [file.name for file in tmp_path.iterdir()] == ["m"]
    assert load_model(tmp_path / "m").card["learner"]["kind"] == "network"
    assert run("predict", tmp_path / "m", table, "-o", tmp_path / "p.csv") == 0


@pytest.mark.slow
def test_a_killed_fit_resumes_to_the_same_bytes(tmp_path):
    pytest.importorskip("torch")
    x, y = load_iris(return_X_y=True)
    pl.DataFrame(x[:112], schema=list("abcd")).with_columns(y=pl.Series(y[:112])).write_csv(tmp_path / "t.csv")
    fit = ["fit", tmp_path / "t.csv", "-t", "y", "--backbone", "mlp", "--epochs", 10, "-r", "balanced-softmax"]
    finish(start(command, *fit, "-o", tmp_path / "whole"))
    work, kills = tmp_path / "killed.unfinished", 0
    for files in (1, 9, 1000):  # killed when so many files are there: while folds are fitted, and at the end
        resume = ["--resume"] if work.exists() else []
        process = start(command, *fit, "-o", tmp_path / "killed", *resume)
        while process.is_alive():
            if sum(not name.startswith(".") for *_, names in os.walk(work) for name in names) >= files:
                process.kill()
                kills += 1
            time.sleep(0.01)
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert kills
    for name in ("network.safetensors", "encoder.skops", "model.json", "evaluation.json"):
        whole, killed = ((tmp_path / run / name).read_bytes() for run in ("whole", "killed"))
        if name.endswith("json"):  # seconds differ
            whole, killed = (json.loads(text) for text in (whole, killed))
            for document in (whole, killed):
                for row in document.get("card", {}).get("comparison", []):
                    row.pop("seconds")
        assert name == "encoder.skops" or whole == killed


def test_what_was_not_tested_is_said_and_what_was_trained_on_too(table, tmp_path, capsys):
    frame = pl.DataFrame({"a": np.r_[np.zeros(600), 5.0, 6.0], "y": ["ok"] * 600 + ["rare"] * 2})
    frame.write_csv(tmp_path / "t.csv")
    assert run("fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 2 classes has no example here, so nothing is known about it: rare." in said
    assert "Only class ok was tested" in (tmp_path / "m" / "report.html").read_text()
    frame.head(600).write_csv(tmp_path / "new.csv")
    assert run("evaluate", tmp_path / "m", tmp_path / "new.csv") == 0
    assert "nothing is known about it: rare." in " ".join(capsys.readouterr().out.split())
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "n", "--test", table, "-r", "cross-entropy"]
    assert run(*fit) == 0
    rows = pl.read_csv(table)["species"].drop_nulls().len()
    said = " ".join(capsys.readouterr().out.split())
    assert f"but the training data holds copies of {rows} of them, which the model has seen" in said
    page = " ".join((tmp_path / "n" / "report.html").read_text().split())
    assert f"{rows} test examples, of {rows} of which the training data holds copies." in page


def test_copies_on_both_sides_of_the_split_are_told(tmp_path, capsys):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "y": ["ok"] * 45 + ["rare"] * 15})
    pl.concat([frame, frame]).write_csv(tmp_path / "t.csv")
    assert run("fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy") == 0
    assert re.search(r"the training data holds copies of \d\d of them", " ".join(capsys.readouterr().out.split()))
    assert "that the model has not seen" not in (tmp_path / "m" / "report.html").read_text()


def test_a_group_without_examples_is_never_measured_by_another(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c", "d"], [300, 60, 1, 1])
    pl.DataFrame({"x": rng.normal(size=362), "z": rng.normal(size=362), "y": y}).write_csv(tmp_path / "t.csv")
    fit = ["fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy"]
    assert run(*fit, "--objective", "few_shot_accuracy") == 0
    assert "few_shot_accuracy cannot be measured on these examples" in " ".join(capsys.readouterr().out.split())
    evaluation = load_model(tmp_path / "m").documents["evaluation"]
    assert "few_shot_accuracy" not in evaluation["overall"]
    assert "few" not in evaluation["by_group"]


def test_the_report_has_what_was_optimised(table, tmp_path, capsys):
    write(tmp_path / "cost.json", json.dumps([[0, 1, 1], [2, 0, 1], [9, 9, 0]]))
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", "-r", "auto"]
    assert run(*fit, "--objective", tmp_path / "cost.json", "--folds", 2) == 0
    page = " ".join((tmp_path / "m" / "report.html").read_text().split())
    value = load_model(tmp_path / "m").documents["evaluation"]["overall"]["expected cost (negative)"]["value"]
    row = f"Expected cost (negative) <small>what recipes were compared by</small></th><td>{value:.3f}</td>"
    assert row in page


def test_a_scorer_that_cannot_score_the_proof_loses_nothing(table, tmp_path, capsys):
    frame = pl.read_csv(table).drop_nulls("species")
    some = frame.filter(pl.col("species") != frame["species"][0]).head(10)
    some.write_csv(tmp_path / "p.csv")
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", "-r", "cross-entropy", "--test", tmp_path / "p.csv"]
    assert run(*fit, "--objective", "roc_auc_ovr") == 0
    assert "roc_auc_ovr cannot be measured on these examples" in " ".join(capsys.readouterr().out.split())


def test_a_proof_is_compared_as_it_is_read(tmp_path, capsys):
    frame = pl.DataFrame({"a": [float(i) for i in range(60)], "note": [""] * 60, "y": list("ab") * 30})
    frame.with_columns(pl.col("a").cast(pl.Int64)).write_csv(tmp_path / "t.csv")
    proof = frame.head(12).with_columns(a=pl.col("a") + pl.Series([0.5] + [0.0] * 11), note=pl.Series(["late"] * 12))
    proof.write_csv(tmp_path / "p.csv")
    fit = ["fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy"]
    assert run(*fit, "--test", tmp_path / "p.csv") == 0
    assert "the training data holds copies of 11 of them" in " ".join(capsys.readouterr().out.split())


def test_the_proof_has_what_was_asked_for(table, tmp_path, capsys):
    write(tmp_path / "cost.json", json.dumps([[0, 1, 1], [2, 0, 1], [9, 9, 0]]))
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", "-r", "class-weighted"]
    assert run(*fit, "--objective", tmp_path / "cost.json") == 0
    said = capsys.readouterr().out
    assert re.search(r"Test on.*expected cost \(negative\) +-\d", said, re.DOTALL)
    assert "least expected cost" in said
    stored = json.loads((tmp_path / "m" / "evaluation.json").read_text())["overall"]
    assert run("evaluate", tmp_path / "m", table) == 0
    assert "expected cost (negative)" in capsys.readouterr().out
    assert run(*fit, "--force", "--objective", "neg_log_loss") == 0
    assert "neg log loss" in capsys.readouterr().out.split("Test on")[1]
    assert "expected cost (negative)" in stored


@pytest.mark.parametrize("objective", ["cost.json", "matthews_corrcoef", "neg_log_loss", "macro_f1"])
def test_evaluate_measures_what_was_optimised(objective, table, tmp_path, capsys):
    write(tmp_path / "cost.json", json.dumps([[0, 1, 1], [2, 0, 1], [9, 9, 0]]))
    asked = tmp_path / objective if objective.endswith("json") else objective
    proof = tmp_path / "p.csv"
    pl.read_csv(table).drop_nulls("species").sample(60, seed=0).write_csv(proof)
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", "-r", "class-weighted", "--test", proof]
    assert run(*fit, "--objective", asked) == 0
    stored = json.loads((tmp_path / "m" / "evaluation.json").read_text())["overall"]
    capsys.readouterr()
    assert run("evaluate", tmp_path / "m", proof, "--json") == 0
    found = json.loads(capsys.readouterr().out)["overall"]
    name = load_model(tmp_path / "m").card["objective"]
    assert found[name]["value"] == pytest.approx(stored[name]["value"])
    assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert run("evaluate", tmp_path / "m", proof) == 0
    assert spoken(name) in capsys.readouterr().out.lower()


def test_a_scorer_that_was_too_slow_for_intervals_is_asked_once_of_the_test(table, tmp_path, monkeypatch):
    monkeypatch.setattr(_clock, "_INTERVALS", 0.0)
    monkeypatch.setattr(_objective, "_RESAMPLES", 10**6)
    monkeypatch.setattr(_objective, "_SCORER_WORK", 10**12)
    fit = ["fit", table, "-t", "species", "-o", tmp_path / "m", "-r", "cross-entropy", "--time", "20s"]
    assert run(*fit, "--objective", "matthews_corrcoef") == 0
    assert load_model(tmp_path / "m").card["comparison"][0]["low"] is None
    stored = json.loads((tmp_path / "m" / "evaluation.json").read_text())["overall"]["matthews_corrcoef"]
    assert 0.5 < stored["value"] <= 1
    assert stored["low"] is None


def test_the_score_of_one_of_two_classes_is_measured_of_that_one(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.repeat(["it's ok", "fraud"], [200, 40])
    pl.DataFrame({"x": rng.normal(size=240) + (y == "fraud"), "y": y}).write_csv(tmp_path / "t.csv")
    for objective, name in (("f1", "f1 of 'fraud'"), ("f1 of it's ok", """ f1 of "it's ok" """.strip())):
        fit = ["fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy", "--force"]
        assert run(*fit, "--objective", objective) == 0
        assert run("evaluate", tmp_path / "m", tmp_path / "t.csv") == 0
        assert name in capsys.readouterr().out.split("labelled examples")[1]
    assert run(*fit, "--objective", "f1 of nobody") == 2
    assert "the classes are" in " ".join(capsys.readouterr().err.split())


def test_estimated_class_shares_are_told(tmp_path, capsys):
    rng = np.random.default_rng(0)

    def table(name, counts):
        y = np.repeat(["a", "b"], counts)
        pl.DataFrame({"x": rng.normal(size=len(y)) + 2 * (y == "b"), "y": y}).write_csv(tmp_path / name)

    table("t.csv", [900, 100])
    table("same.csv", [450, 50])
    table("other.csv", [300, 300])
    assert run("fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy") == 0
    capsys.readouterr()
    for data, sentence in (("same.csv", "to be those in training: chance"), ("other.csv", "Estimated class shares")):
        assert run("evaluate", tmp_path / "m", tmp_path / data, "--prior", "estimate") == 0
        assert sentence in " ".join(capsys.readouterr().out.split())
        options = ["-o", tmp_path / f"{data}.out.csv", "--prior", "estimate"]
        assert run("predict", tmp_path / "m", tmp_path / data, *options) == 0
        assert sentence in " ".join(capsys.readouterr().err.split())


def test_rows_are_numbered_where_the_id_is_missing(table, tmp_path, capsys):
    frame = pl.read_csv(table)
    frame.with_columns(key=pl.Series([f"k{i}" for i in range(frame.height)])).write_csv(tmp_path / "keyed.csv")
    fit = ["fit", tmp_path / "keyed.csv", "-t", "species", "-o", tmp_path / "m", "--id", "key", "-r", "cross-entropy"]
    assert run(*fit) == 0
    capsys.readouterr()
    for data, first in ((tmp_path / "keyed.csv", "k0"), (table, "0")):
        assert run("predict", tmp_path / "m", data, "-o", tmp_path / "p.csv", "--force") == 0
        assert (tmp_path / "p.csv").read_text().splitlines()[1].split(",")[0] == first
    assert "there is no column 'key' here, so rows are numbered" in capsys.readouterr().err
    assert run("evaluate", tmp_path / "m", tmp_path / "keyed.csv") == 0
    assert "ignored" not in capsys.readouterr().err


def test_a_target_named_like_a_pattern_is_only_itself(tmp_path, capsys):
    rows = [f"{i % 7 + 9 * (i % 3)},{'abc'[i % 3]}" for i in range(60)]
    file = write(tmp_path / "a.csv", "\n".join(["x,*", *rows, ""]))
    assert run("fit", file, "-t", "*", "-o", tmp_path / "m", *FAST) == 0
    assert run("predict", tmp_path / "m", file, "-o", tmp_path / "p.csv") == 0, capsys.readouterr().err
    assert "ignored" not in capsys.readouterr().err


def test_sets_of_labels_cannot_measure_a_model_of_classes(table, tmp_path, capsys):
    assert run("fit", table, "-t", "species", "-o", tmp_path / "m", *FAST) == 0
    frame = pl.read_csv(table).with_columns(species=pl.concat_list("species"))
    frame.write_parquet(tmp_path / "l.parquet")
    refused(capsys, "has a set of labels per row, but this model", "evaluate", tmp_path / "m", tmp_path / "l.parquet")


def test_damaged_gzip_and_a_home_folder_are_understood_where_rows_have_ids(table, tmp_path, capsys, monkeypatch):
    frame = pl.read_csv(table).with_row_index("row")
    frame.write_csv(tmp_path / "t.csv")
    assert run("fit", tmp_path / "t.csv", "-t", "species", "--id", "row", "-o", tmp_path / "m", *FAST) == 0
    whole = gzip.compress((tmp_path / "t.csv").read_bytes())
    for name, content, message in (
        ("cut.csv.gz", whole[:60], "its compressed data ends early"),
        ("plain.csv.gz", b"a,b\n1,2\n", "is not compressed by gzip, whatever its name says: take .gz off"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(capsys, message, "predict", tmp_path / "m", tmp_path / name, "-o", tmp_path / "p.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("predict", tmp_path / "m", "~/t.csv", "-o", tmp_path / "p.csv") == 0
    refused(capsys, "Did you mean 't.csv'?", "predict", tmp_path / "m", tmp_path / "tt.csv", "-o", tmp_path / "q.csv")


def test_long_names_in_a_narrow_terminal_are_told_whole_beside_whole_bars(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"{'a-name-without-blanks' * 3}-{i}" for i in range(2)]
    pl.DataFrame({"x": range(60), "y": [names[0]] * 40 + [names[1]] * 20}).write_csv(tmp_path / "t.csv")
    assert run("diagnose", tmp_path / "t.csv", "-t", "y") == 0
    table = capsys.readouterr().out.partition("bars are")[0]
    assert "…" not in table
    first = "".join(line.split()[0] for line in table.splitlines())
    assert all(name in first for name in names)


def test_what_steers_a_terminal_is_shown_as_a_mark(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = ["a\x1b[31mred"] * 40 + ["b\x07"] * 20
    pl.DataFrame({"x": rng.normal(size=60), "z": rng.normal(size=60), "y": y}).write_csv(tmp_path / "t.csv")
    assert run("fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m", "-r", "cross-entropy") == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "a\N{REPLACEMENT CHARACTER}[31mred" in said
    page = (tmp_path / "m" / "report.html").read_text()
    assert "\x1b" not in page
    assert "\x07" not in page
    assert load_model(tmp_path / "m").classes.tolist() == sorted(set(y))
