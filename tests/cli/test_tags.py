"""The commands on rows that have sets of labels."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cli.test_commands import refused, run
from tailwise.cli import _app
from tailwise.estimators import LabelModel, load_model

TAGS = ["sweet", "round", "red", "soft", "rare"]
FAST = ["--recipe", "tuned-thresholds"]


def fruit(n: int = 300, seed: int = 0) -> pl.DataFrame:
    """Rows with a few tags each, some with none, and two whose tags nobody knows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    has = x + 0.3 * rng.normal(size=x.shape) > [0.3, 0.6, 1.0, 1.4, 2.0]
    tags = [[TAGS[i] for i in np.flatnonzero(row)] for row in has]
    frame = pl.DataFrame({"id": [f"r{i:03}" for i in range(n)], **{f"x{i}": x[:, i] for i in range(5)}})
    return frame.with_columns(tags=pl.Series([None if i in (4, 9) else row for i, row in enumerate(tags)]))


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    text = [None if row is None else " | ".join(row) or "|" for row in frame["tags"].to_list()]
    return frame.with_columns(tags=pl.Series(text))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fruit")
    as_text(fruit()).write_csv(folder / "fruit.csv")
    fruit().write_parquet(folder / "fruit.parquet")
    as_text(fruit(80, seed=1)).write_csv(folder / "new.csv")
    assert (
        run("fit", folder / "fruit.csv", "-t", "tags", "--separator", "|", "--id", "id", "-o", folder / "m", *FAST) == 0
    )
    return folder


def test_fit_leaves_a_model_and_a_report(files: Path, capsys: pytest.CaptureFixture) -> None:
    model = load_model(files / "m")
    assert isinstance(model, LabelModel)
    assert model.classes.tolist() == sorted(TAGS)
    assert model.documents["source"]["separator"] == "|"
    evaluation = model.documents["evaluation"]
    assert {"macro_average_precision", "micro_f1", "few_shot_average_precision"} <= evaluation["overall"].keys()
    assert 50 <= evaluation["n_examples"] <= 70
    assert sum(model.class_counts) < fruit()["tags"].explode().drop_nulls().len()
    assert any("2 of 300 rows have no known labels" in note for note in model.documents["report"]["notes"])
    page = (files / "m" / "report.html").read_text(encoding="utf-8")
    assert "average precision" in page
    assert not list(files.glob("*.unfinished"))
    assert run("report", files / "m", "-o", files / "again.html") == 0
    assert (files / "again.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predict_writes_sets_and_a_probability_for_each_label(files: Path, suffix: str) -> None:
    out = files / f"predicted{suffix}"
    assert run("predict", files / "m", files / "new.csv", "-o", out) == 0
    found = pl.read_csv(out) if suffix == ".csv" else pl.read_parquet(out)
    assert found.columns == ["id", "labels", *(f"probability {tag}" for tag in sorted(TAGS))]
    assert found["id"].to_list() == [f"r{i:03}" for i in range(80)]
    model = load_model(files / "m")
    inputs = pl.read_csv(files / "new.csv").drop("tags", "id")
    expected = model.predict(inputs)
    sets = found["labels"]
    assert [] in expected
    if suffix == ".csv":
        assert sorted(row for row in sets if not row.strip("|")) == ["|"] * expected.count([]), "none, not unknown"
        sets = [[tag for tag in row.split("|") if tag] for row in sets]
    assert [list(row) for row in sets] == expected
    proba = found.select(pl.selectors.starts_with("probability")).to_numpy()
    np.testing.assert_allclose(proba, model.predict_proba(inputs), atol=1e-6)


def test_labels_keep_their_type_where_the_file_has_types(files: Path, tmp_path: Path) -> None:
    numbers = pl.col("tags").list.eval(pl.element().replace_strict(TAGS, range(5)))
    fruit().with_columns(numbers).write_parquet(tmp_path / "data.parquet")
    data = tmp_path / "data.parquet"
    assert run("fit", data, "-t", "tags", "--id", "id", "-o", tmp_path / "m", *FAST) == 0
    for suffix in (".csv", ".parquet"):
        assert run("predict", tmp_path / "m", data, "-o", tmp_path / f"p{suffix}") == 0
    typed, spelt = pl.read_parquet(tmp_path / "p.parquet"), pl.read_csv(tmp_path / "p.csv", infer_schema=False)
    assert typed["labels"].dtype == pl.List(pl.Int64)
    assert ["|".join(map(str, row)) or "|" for row in typed["labels"].to_list()] == spelt["labels"].to_list()


def test_evaluate_reads_what_training_read(files: Path, capsys: pytest.CaptureFixture) -> None:
    capsys.readouterr()
    assert run("evaluate", files / "m", files / "new.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_examples"] == 78
    assert found["overall"]["macro_average_precision"]["value"] > 0.6
    truth = pl.read_csv(files / "new.csv")["tags"]
    assert {row["class"]: row["support"] for row in found["per_class"]} == {
        tag: truth.str.contains(tag).sum() for tag in TAGS
    }
    assert run("evaluate", files / "m", files / "new.csv") == 0
    assert "average precision" in capsys.readouterr().out.replace("\n", " ")
    fruit(80, seed=1).write_parquet(files / "lists.parquet")
    refused(capsys, "holds lists, not texts", "diagnose", files / "lists.parquet", "-t", "tags", "--separator", "|")


def test_lists_need_no_separator(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("fit", files / "fruit.parquet", "-t", "tags", "--id", "id", "-o", tmp_path / "m", *FAST, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    theirs = load_model(files / "m").documents["evaluation"]
    assert found["evaluation"] == theirs, "the same rows, however the sets are written"
    fruit(80, seed=1).write_parquet(tmp_path / "new.parquet")
    assert run("evaluate", tmp_path / "m", tmp_path / "new.parquet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_examples"] == 78


def test_diagnose_counts_labels(files: Path, capsys: pytest.CaptureFixture) -> None:
    capsys.readouterr()
    assert run("diagnose", files / "fruit.csv", "-t", "tags", "--separator", "|", "--id", "id", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    truth = fruit()["tags"].drop_nulls()
    counts = dict(truth.explode().drop_nulls().value_counts().iter_rows())
    assert found["class_counts"] == counts
    assert found["n_rows"] == 300
    assert found["n_unlabelled"] == 2
    assert found["set_sizes"] == np.bincount(truth.list.len()).tolist()
    assert found["imbalance_factor"] == pytest.approx(max(counts.values()) / min(counts.values()))
    assert any("labels on average" in finding["sentence"] for finding in found["findings"])
    assert run("diagnose", files / "fruit.parquet", "-t", "tags", "--id", "id", "--json") == 0
    lists = json.loads(capsys.readouterr().out)
    assert {**lists, "name": found["name"]} == found
    assert run("diagnose", files / "fruit.csv", "-t", "tags", "--separator", "|") == 0
    assert " per row" in capsys.readouterr().out


def test_a_killed_fit_goes_on(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tailwise.estimators import _learners

    fitted = []
    fit = _learners.fit_label_sets

    def stop(*arguments: object) -> object:
        fitted.append(1)
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return fit(*arguments)

    arguments = files / "fruit.csv", "-t", "tags", "--separator", "|", "--id", "id", "-o", tmp_path / "m", *FAST
    monkeypatch.setattr(_learners, "fit_label_sets", stop)
    assert run("fit", *arguments) == _app.INTERRUPTED
    monkeypatch.undo()
    assert run("fit", *arguments, "--resume") == 0
    one, other = (load_model(folder / "m") for folder in (files, tmp_path))
    assert one.documents["evaluation"] == other.documents["evaluation"]


def test_recipes_say_what_they_are_for(capsys: pytest.CaptureFixture) -> None:
    assert run("recipes", "--json") == 0
    of = {row["name"]: row["targets"] for row in json.loads(capsys.readouterr().out)}
    assert of["ml-smote"] == ["labels"]
    assert of["asymmetric"] == ["class", "labels"]
    assert of["ldam"] == ["class"]
    assert run("recipes", "ml-ros") == 0
    assert "for sets of labels" in capsys.readouterr().out


def test_what_cannot_be_used_is_one_line(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    fit = "fit", files / "fruit.csv", "-t", "tags", "--id", "id", "-o", tmp_path / "no"
    refused(capsys, "the separator is empty", *fit, "--separator", "")
    refused(capsys, "has at most one label per row, and nothing that ';' separates", *fit, "--separator", ";")
    refused(
        capsys,
        "no objective 'balanced_accuracy' for sets",
        *fit,
        "--separator",
        "|",
        "--objective",
        "balanced_accuracy",
    )
    refused(capsys, "'ldam' is for one class per", *fit, "--separator", "|", "--recipe", "ldam", "--backbone", "mlp")
    refused(capsys, "--make-long-tailed needs one label per row", *fit, "--separator", "|", "--make-long-tailed", "5")
    refused(capsys, "'ml-ros' is for sets of labels", *fit, "--recipe", "ml-ros")
    as_text(fruit(80)).with_columns(pl.col("tags").str.replace("red", "blue")).write_csv(tmp_path / "odd.csv")
    refused(capsys, "label 'blue' is not among the 5 classes", "evaluate", files / "m", tmp_path / "odd.csv")
    predict = "predict", files / "m", files / "new.csv", "-o", tmp_path / "p.csv"
    refused(capsys, "--prior is for one label per row", *predict, "--prior", "uniform")
    fruit().write_parquet(tmp_path / "lists.parquet")
    refused(capsys, "holds lists, not texts: leave the separator out", "fit", tmp_path / "lists.parquet", "-t", "tags",
            "--separator", "|", "-o", tmp_path / "no")  # fmt: skip
    single = fruit().select("x0", "x1", tag=pl.lit("a|b"))
    single.with_columns(pl.when(pl.col("x0") > 0).then(pl.lit("c|d")).otherwise("tag").alias("tag")).write_csv(
        tmp_path / "bars.csv"
    )
    assert run("fit", tmp_path / "bars.csv", "-t", "tag", "-o", tmp_path / "classes", "--recipe", "cross-entropy") == 0
    refused(capsys, "--separator is for sets of labels", "evaluate", tmp_path / "classes", tmp_path / "bars.csv",
            "--separator", "|")  # fmt: skip
    assert not (tmp_path / "no").exists()


def test_a_label_that_holds_the_separator_is_written_to_parquet_only(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    frame = fruit().with_columns(pl.col("tags").list.eval(pl.element().str.replace("red", "red|ish")))
    frame.write_parquet(tmp_path / "data.parquet")
    data = tmp_path / "data.parquet"
    assert run("fit", data, "-t", "tags", "--id", "id", "-o", tmp_path / "m", *FAST) == 0
    refused(capsys, "label 'red|ish' contains '|'", "predict", tmp_path / "m", data, "-o", tmp_path / "p.csv")
    assert run("predict", tmp_path / "m", data, "-o", tmp_path / "p.parquet") == 0
    assert "red|ish" in pl.read_parquet(tmp_path / "p.parquet")["labels"].explode().to_list()


def test_a_batch_of_unknown_labels_does_not_stop_the_measuring(files: Path, capsys: pytest.CaptureFixture) -> None:
    known = as_text(fruit(16384, seed=2)).with_columns(pl.col("tags").fill_null("|"))
    unknown = as_text(fruit(50, seed=3)).with_columns(tags=pl.lit(None, pl.String))
    measured = []
    for name, frame in (("known", known), ("both", pl.concat([known, unknown]))):
        frame.write_csv(files / f"{name}.csv")
        assert run("evaluate", files / "m", files / f"{name}.csv", "--json") == 0
        measured.append(json.loads(capsys.readouterr().out))
    assert measured[0] == measured[1]
    unknown.write_csv(files / "unknown.csv")
    refused(capsys, "no row with known labels to measure against", "evaluate", files / "m", files / "unknown.csv")


def test_a_column_of_lists_measures_a_model_of_text(files: Path, capsys: pytest.CaptureFixture) -> None:
    fruit(80, seed=1).write_parquet(files / "new.parquet")
    measured = []
    for name in ("new.csv", "new.parquet"):
        assert run("evaluate", files / "m", files / name, "--json") == 0
        measured.append(json.loads(capsys.readouterr().out))
    assert measured[0] == measured[1]
