"""Commands on data whose names, columns or images are out of the ordinary."""

import io
import json
import re
import shlex
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from tailwise.cli import _app
from tailwise.data import load, stream
from tailwise.estimators import TailClassifier

FAST = ["--recipe", "logit-adjustment", "--folds", "2"]
WORDS = {"birds": "the bird number {} sings in a tree", "fish": "that fish number {} swims in the sea"}


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command in this process; return its exit code, what it printed, and its messages on one line."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tailwise", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        code = 0
        try:
            _app.main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, " ".join(err.split())

    return run


def table(path, rows=60, **columns):
    x, z = np.random.default_rng(0).normal(size=(2, rows)).round(3)
    frame = pl.DataFrame({"x": x, "z": z, "y": ["a", "b", "c"] * (rows // 3)})
    frame.with_columns(**columns).write_csv(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    data = load(table(folder / "t.csv"), "y")
    TailClassifier("logit-adjustment", cv=2, random_state=0).fit(data).save(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for name, words in WORDS.items():
        (folder / "data" / name).mkdir(parents=True)
        for i in range(8):
            (folder / "data" / name / f"{i}.txt").write_text(words.format(i))
    TailClassifier("logit-adjustment", cv=2, random_state=0).fit(load(folder / "data")).save(folder / "model")
    return folder / "model"


def test_names_in_square_brackets_are_no_markup(run, model, tmp_path):
    folder = tmp_path / "out[" / "x]"
    folder.mkdir(parents=True)
    cell = pl.Series(["1", "oops[/b]"] + ["2"] * 58)
    data = table(tmp_path / "t[1].csv", x=cell, **{"more[/x]": pl.lit(1)})
    code, _, err = run("predict", model, data, "-o", folder / "p.csv")
    assert code == 0, err
    assert f"60 predictions in {folder / 'p.csv'}" in err
    assert "ignored: y, more[/x]." in err
    assert "such as 'oops[/b]'" in err
    code, out, _ = run("evaluate", model, data, "-t", "y")
    assert code == 0
    assert f"60 labelled examples of {data}" in out
    code, out, _ = run("diagnose", data, "-t", "y")
    assert code == 0
    assert "t[1].csv: 60 rows" in out


def test_a_recipe_may_have_brackets_in_its_settings(run, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from tailwise.recipes import Recipe, register\n"
        "@register('cli-bracket', paper='mine [/x]')\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Recipe):\n"
        "    '''Mine [/y].'''\n"
        "    mark: str = '[/x]'\n"
        "    def estimator(self, base, task):\n"
        "        return base\n"
    )
    code, out, _ = run("recipes", "cli-bracket", "--recipe-file", tmp_path / "mine.py")
    assert code == 0
    assert "--set mark=[/x]" in out
    assert "mine [/x]" in out
    assert "Mine [/y]." in run("recipes")[1]


def test_the_next_command_can_be_pasted(run, tmp_path):
    data = table(tmp_path / "two words ü.csv", **{"my text": pl.lit("a")})
    code, out, _ = run("diagnose", data, "-t", "y", "--text", "my text")
    assert code == 0
    wanted = ["tailwise", "fit", str(data), "--target", "y", "--text", "my text", "--output", "model"]
    assert shlex.split(out.partition("Next: ")[2]) == wanted


def test_an_identifier_can_be_named_as_diagnose_says(run, tmp_path):
    data = table(tmp_path / "t.csv", key=pl.Series([f"K{i * 7919 % 1009}" for i in range(60)]))
    code, out, _ = run("diagnose", data, "-t", "y")
    assert code == 0
    assert "name it as the id (--id 'key'; in Python id='key')" in " ".join(out.split())
    for skip in ([], ["--skip-broken"]):
        code, out, _ = run("diagnose", data, "-t", "y", "--id", "key", *skip)
        assert code == 0
        assert "looks like an identifier" not in " ".join(out.split())
        assert f"tailwise fit {data} --target y --id key" in out


def test_a_diagnosis_of_class_folders_says_what_is_left_out(run, tmp_path):
    for name, words in WORDS.items():
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_text(words.format(i) if i else " ")
    (tmp_path / "mammals").mkdir()
    code, _, err = run("diagnose", tmp_path)
    assert code == 0
    assert err == "· 1 class folder has no texts and was left out: mammals. · 2 texts are empty."


def test_a_folder_without_class_folders_is_told_how_to_have_them(run, text_model, tmp_path):
    for i, words in enumerate(WORDS.values()):
        (tmp_path / f"{i}.txt").write_text(words)
    for command in (["diagnose"], ["fit", "-o", tmp_path / "m"], ["evaluate", text_model]):
        code, _, err = run(*command, tmp_path)
        assert code == 2
        assert "put the files of each class into a sub-folder named after it" in err
    code, _, err = run("fit", table(tmp_path / "t.csv"), "-o", tmp_path / "m")
    assert "t.csv has no labels to learn from: name the label column with --target" in err


def test_the_next_command_names_the_id_that_was_found(run, tmp_path):
    _, out, _ = run("diagnose", table(tmp_path / "t.csv", key=pl.int_range(60).shuffle(seed=0)), "-t", "y")
    assert shlex.split(out.partition("Next: ")[2])[3:7] == ["--target", "y", "--id", "key"]


def test_a_tail_that_is_longer_than_the_smallest_class_is_refused_by_name(run, tmp_path):
    code, _, err = run("fit", table(tmp_path / "t.csv"), "-t", "y", "-o", tmp_path / "m", "--make-long-tailed", "50")
    assert code == _app.BAD_INPUT
    assert "--make-long-tailed must be from 1 to 20: the smallest class, 'a', has 20 examples" in err


def test_a_proof_of_another_decimal_mark_is_refused_before_training(run, tmp_path):
    data, x = table(tmp_path / "t.csv"), pl.Series("x", ["1,234", "2,345", "3,456"] * 20)
    code, _, err = run("fit", data, "-t", "y", "--test", table(tmp_path / "p.csv", x=x), "-o", tmp_path / "m", *FAST)
    assert code == _app.BAD_INPUT
    assert "column 'x': 60 of 60 values, such as '1,234', are not written as in training" in err
    assert "resume" not in err
    assert not list(tmp_path.glob("m*"))


def test_a_table_without_values_is_one_line(run, tmp_path):
    pl.DataFrame({"x": [None] * 60, "y": ["a", "b", "c"] * 20}).write_csv(tmp_path / "t.csv")
    code, _, said = run("fit", tmp_path / "t.csv", "-t", "y", "-o", tmp_path / "m")
    assert code == 2
    assert "t.csv has no column with values besides the labels: there is nothing to learn from." in said


def test_no_next_command_after_a_problem(run, tmp_path):
    code, out, _ = run("diagnose", table(tmp_path / "t.csv", y=pl.lit("a")), "-t", "y")
    assert code == 0
    assert "✗" in out
    assert "Next:" not in out


def test_a_column_that_is_missing_is_named_with_its_file(run, model, tmp_path):
    pl.read_csv(table(tmp_path / "t.csv")).drop("x").write_csv(tmp_path / "less.csv")
    code, _, err = run("predict", model, tmp_path / "less.csv", "-o", tmp_path / "p.csv")
    assert code == _app.BAD_INPUT
    assert "less.csv has no column 'x', which the model was trained on. It has z, y." in err


def test_a_column_without_values_is_told(run, model, tmp_path):
    code, _, err = run("predict", model, table(tmp_path / "t.csv", x=pl.lit(None)), "-o", tmp_path / "p.csv")
    assert code == 0
    assert "column 'x' has no values here: taken as missing." in err


def rows(path, keys, n=60):
    """Write JSON lines; a key that is not always there is in a third of them."""
    rng, always = np.random.default_rng(0), {"x", "y", "nested"}
    lines = ({"x": rng.normal(), "y": "abc"[i % 3], "opt": float(i), "nested": {"a": i}} for i in range(n))
    kept = [{k: v for k, v in line.items() if k in keys and (k in always or i % 3)} for i, line in enumerate(lines)]
    path.write_text("\n".join(map(json.dumps, kept)))
    return path


def test_keys_that_no_json_line_has_are_missing_values(run, tmp_path):
    train = rows(tmp_path / "t.jsonl", {"x", "y", "opt", "nested"})
    test = rows(tmp_path / "test.jsonl", {"x", "y"}, 12)
    code, _, err = run("fit", train, "-t", "y", "--test", test, "-o", tmp_path / "m", *FAST)
    assert code == 0, err
    code, _, err = run("predict", tmp_path / "m", test, "-o", tmp_path / "p.csv")
    assert code == 0, err
    assert "column 'opt' has no values here: taken as missing." in err
    assert "nested" not in err
    assert run("evaluate", tmp_path / "m", test)[0] == 0
    pl.read_ndjson(test).write_parquet(tmp_path / "less.parquet")
    for data, said in (
        (tmp_path / "less.parquet", "has no column 'opt', which the model was trained on"),
        (rows(tmp_path / "other.jsonl", {"y"}), "has no columns 'x', 'opt', which the model was trained on"),
    ):
        code, _, err = run("predict", tmp_path / "m", data, "-o", tmp_path / "q.csv")
        assert code == _app.BAD_INPUT
        assert said in err


def test_columns_that_were_left_out_need_not_come_again(run, tmp_path):
    train = table(tmp_path / "t.csv", gone=pl.lit(None))
    new = table(tmp_path / "new.csv")
    code, _, err = run("fit", train, "-t", "y", "--test", new, "-o", tmp_path / "m", *FAST)
    assert code == 0, err
    assert run("predict", tmp_path / "m", new, "-o", tmp_path / "p.csv")[0] == 0


def test_texts_from_folders_teach_a_model_that_predicts_a_table(run, text_model, tmp_path):
    lines = [{"words": words.format(i), "note": "any", "y": name} for name, words in WORDS.items() for i in range(3)]
    pl.DataFrame(lines).write_csv(tmp_path / "t.csv")
    code, _, err = run("predict", text_model, tmp_path / "t.csv", "-o", tmp_path / "p.csv")
    assert code == _app.BAD_INPUT
    assert "Name it with --text" in err
    code, _, err = run("predict", text_model, tmp_path / "t.csv", "-o", tmp_path / "p.csv", "--text", "words")
    assert code == 0, err
    assert pl.read_csv(tmp_path / "p.csv")["label"].to_list() == ["birds"] * 3 + ["fish"] * 3
    named = ["--text", "words", "--id", "words"]
    code, _, err = run("predict", text_model, tmp_path / "t.csv", "-o", tmp_path / "n.csv", *named)
    assert code == 0, err
    assert pl.read_csv(tmp_path / "n.csv")["id"].to_list() == [line["words"] for line in lines]
    code, out, _ = run("evaluate", text_model, tmp_path / "t.csv", "-t", "y", "--text", "words", "--json")
    assert code == 0
    assert json.loads(out)["overall"]["accuracy"]["value"] == 1
    code, _, err = run("evaluate", text_model, tmp_path / "t.csv", "-t", "y", "--image", "words")
    assert code == _app.BAD_INPUT
    assert "--image words: the model was not trained on images but on text data." in err


def folders(path, write, *names):
    """Make a folder of classes, two files each."""
    for name in names:
        (path / name).mkdir(parents=True)
        for i in range(2):
            write(path / name / str(i), name)
    return path


def text_file(path, name):
    path.with_suffix(".txt").write_text(WORDS.get(name, WORDS["fish"]).format(9))


def test_folders_are_measured_by_the_classes_of_the_model(run, text_model, tmp_path):
    code, out, err = run("evaluate", text_model, folders(tmp_path / "some", text_file, "fish"), "--json")
    assert code == 0, err
    assert json.loads(out)["overall"]["accuracy"]["value"] == 1
    assert [row["support"] for row in json.loads(out)["per_class"]] == [0, 2]
    code, _, err = run("evaluate", text_model, folders(tmp_path / "more", text_file, "fish", "whales"))
    assert code == _app.BAD_INPUT
    assert "label 'whales' is not among the 2 classes" in err


def test_folders_to_predict_on_may_be_called_anything(run, text_model, tmp_path):
    for names in (["fish"], ["January", "February"]):
        data, out = folders(tmp_path / names[0], text_file, *names), tmp_path / f"{names[0]}.csv"
        code, _, err = run("predict", text_model, data, "-o", out)
        assert code == 0, err
        assert set(pl.read_csv(out)["label"]) == {"fish"}


@pytest.fixture(scope="module")
def image_model(tmp_path_factory):
    image = pytest.importorskip("PIL.Image")
    from sklearn.linear_model import LogisticRegression

    folder = tmp_path_factory.mktemp("images")
    for name, level in (("dark", 10), ("light", 200)):
        (folder / "data" / name).mkdir(parents=True)
        for i in range(6):
            image.new("RGB", (4, 4), (level + 5 * i,) * 3).save(folder / "data" / name / f"{i}.png")
    TailClassifier("logit-adjustment", estimator=LogisticRegression(), cv=2, random_state=0).fit(
        load(folder / "data")
    ).save(folder / "model")
    (folder / "data" / "dark" / "3.png").write_bytes(b"no image")
    return folder / "model"


def test_broken_images_are_left_out_and_counted_where_that_is_asked_for(run, image_model, tmp_path):
    data, out = image_model.parent / "data", tmp_path / "p.csv"
    for command in (["predict", image_model, data, "-o", out], ["evaluate", image_model, data], ["diagnose", data]):
        code, _, err = run(*command)
        assert code == _app.BAD_INPUT
        assert "--skip-broken" in err
        code, _, err = run(*command, "--skip-broken")
        assert code == 0, err
        assert "1 broken image was left out; the first is" in err
    assert len(pl.read_csv(out)) == 11
    assert "dark/3.png" not in pl.read_csv(out)["id"].to_list()


def test_folders_of_images_are_measured_by_the_classes_of_the_model(run, image_model, tmp_path):
    image = pytest.importorskip("PIL.Image")
    data = folders(tmp_path / "some", lambda p, _: image.new("RGB", (4, 4), (210,) * 3).save(f"{p}.png"), "light")
    code, out, err = run("evaluate", image_model, data, "--json")
    assert code == 0, err
    assert json.loads(out)["overall"]["accuracy"]["value"] == 1
    assert run("predict", image_model, data, "-o", tmp_path / "p.csv")[0] == 0


def test_a_terminal_without_the_characters_gets_others(monkeypatch, tmp_path):
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["tailwise", "diagnose", str(table(tmp_path / "t.csv")), "-t", "y"])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="cp1252", write_through=True))
    with pytest.raises(SystemExit) as stop:
        _app.main()
    assert not stop.value.code
    shown = printed.getvalue().decode("cp1252")
    assert re.search(r"^a +20 +#+ +medium-shot", shown, re.MULTILINE), shown


def test_a_misspelt_recipe_is_completed():
    ended = subprocess.run(
        [sys.executable, "-m", "tailwise", "recipes", "logit"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == _app.BAD_INPUT
    assert "Did you mean 'logit-adjust" in ended.stderr


def test_what_is_no_number_is_missing_in_whatever_order_the_rows_are(run, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = [f"{v:.2f}".replace(".", ",") for v in rng.normal(size=60)]
    prices = pl.Series("x", ["k.A." if i % 20 == 0 else v for i, v in enumerate(x)])
    data = pl.read_csv(table(tmp_path / "t.csv", x=prices))
    TailClassifier("logit-adjustment", cv=2, random_state=0).fit(load(tmp_path / "t.csv", "y")).save(tmp_path / "m")
    monkeypatch.setattr("tailwise.cli._beside.stream", lambda *args, **options: stream(*args, **options, rows=2))
    for name, new in {"sorted": data.sort("x", descending=True), "one": data.head(1)}.items():
        new.write_csv(tmp_path / f"{name}.csv", separator=";")
        code, _, err = run("predict", tmp_path / "m", tmp_path / f"{name}.csv", "-o", tmp_path / f"{name}.parquet")
        assert code == 0
        says = "1 value is not a number" if name == "one" else "3 values are not numbers"
        assert f"column 'x': {says}, such as 'k.A.'; taken as missing." in err
    pl.DataFrame({"x": ["1.234", "5.678"], "z": [1, 2]}).write_csv(tmp_path / "points.csv")
    code, _, err = run("predict", tmp_path / "m", tmp_path / "points.csv", "-o", tmp_path / "p.csv")
    assert code == _app.BAD_INPUT
    assert "column 'x': 2 of 2 values, such as '1.234', are not written as in training" in err
    assert load(tmp_path / "points.csv", classes=load(tmp_path / "t.csv", "y")).inputs["x"].to_list() == [
        "1.234",
        "5.678",
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_numbers_with_a_point_can_be_classes_of_a_file(tmp_path, suffix, run):
    stars = np.repeat([0.5, 1.0, 4.5], [40, 20, 10])
    frame = pl.DataFrame({"x": stars + np.tile([0.0, 0.1], 35), "stars": stars})
    data = tmp_path / f"t.{suffix}"
    frame.write_csv(data) if suffix == "csv" else frame.write_parquet(data)
    run("fit", data, "-t", "stars", "-o", tmp_path / "m", *FAST)
    run("predict", tmp_path / "m", data, "-o", tmp_path / "p.csv")
    assert pl.read_csv(tmp_path / "p.csv")["label"].n_unique() == 3
    run("evaluate", tmp_path / "m", data)


def test_empty_texts_are_told(run, text_model, tmp_path):
    pl.DataFrame({"text": ["the bird sings in a tree", "", None, "  "]}).write_parquet(tmp_path / "t.parquet")
    code, _, err = run("predict", text_model, tmp_path / "t.parquet", "-o", tmp_path / "p.csv", "--text", "text")
    assert code == 0
    assert "3 texts are empty, so they are answered without a word to go by." in err
    pl.DataFrame({"text": ["the bird sings in a tree", ""]}).write_parquet(tmp_path / "1.parquet")
    _, _, err = run("predict", text_model, tmp_path / "1.parquet", "-o", tmp_path / "1.csv", "--text", "text")
    assert "1 text is empty, so it is answered without a word to go by." in err
    data = load(tmp_path / "t.parquet", text="text")
    assert "3 texts are empty." in data.notes


def test_a_feature_cannot_be_the_id(run, model, tmp_path):
    code, _, err = run("predict", model, table(tmp_path / "new.csv"), "-o", tmp_path / "p.csv", "--id", "x")
    assert code == 2
    assert "column 'x' is a feature that the model was trained on, so it cannot be the id as well." in err


def test_an_evaluation_says_what_was_measured_under_which_prior(run, model, tmp_path):
    new = table(tmp_path / "new.csv")
    (tmp_path / "prior.json").write_text("[2, 1, 1]")
    for prior, wanted in (
        ("train", "train"),
        ("uniform", "uniform"),
        (tmp_path / "prior.json", {"a": 2, "b": 1, "c": 1}),
    ):
        code, out, _ = run("evaluate", model, new, "--target", "y", "--json", "--prior", prior)
        found = json.loads(out)
        assert code == 0
        assert [found[name] for name in ("recipe", "objective", "prior")] == [
            "logit-adjustment",
            "balanced_accuracy",
            wanted,
        ]
    found = json.loads(run("evaluate", model, new, "--target", "y", "--json", "--prior", "estimate")[1])["prior"]
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_job_that_is_told_to_end_leaves_nothing_behind(model, tmp_path):
    new = tmp_path / "new.csv"
    pl.concat([pl.read_csv(table(tmp_path / "t.csv"))] * 5000).write_csv(new)
    command = [sys.executable, "-m", "tailwise", "predict", model, new, "-o", tmp_path / "p.csv"]
    before = set(tmp_path.iterdir())
    job = subprocess.Popen(list(map(str, command)), stdout=-3, stderr=-3)
    while set(tmp_path.iterdir()) == before:
        assert job.poll() is None
        time.sleep(0.01)
    job.terminate()
    assert job.wait(timeout=60) == 143
    assert set(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_fit_that_is_told_to_end_says_how_to_continue(tmp_path):
    data = table(tmp_path / "t.csv", rows=900)
    command = [sys.executable, "-m", "tailwise", "fit", data, "-t", "y", "-o", tmp_path / "m", "--folds", "9"]
    command += ["--recipe", "cross-entropy"]
    job = subprocess.Popen(list(map(str, command)), stdout=-3, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("m.unfinished/*.npz")):
        assert job.poll() is None
        time.sleep(0.01)
    job.terminate()
    assert "run the same command with --resume" in job.communicate(timeout=60)[1]
    assert job.returncode == 143


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_fit_goes_on_when_nobody_reads_what_it_prints(tmp_path):
    data = table(tmp_path / "t.csv")
    command = [sys.executable, "-m", "tailwise", "fit", data, "-t", "y", "-o", tmp_path / "m", *FAST]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as job:
        job.stdout.close()
        assert job.wait(timeout=120) == 0
    assert (tmp_path / "m" / "report.html").is_file()


def test_what_reading_left_out_is_in_the_diagnosis_for_machines(run, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} {i}")
    (tmp_path / "a" / "x.pdf").write_text("")
    code, out, _ = run("diagnose", tmp_path, "--json")
    assert code == 0
    assert "1 file" in json.loads(out)["notes"][0]


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_column_is_judged_by_the_whole_file_whatever_the_order_of_its_rows(run, tmp_path, share):
    rng, n = np.random.default_rng(0), 40_000
    frame = pl.DataFrame({"x": rng.normal(size=60).round(3), "y": ["a", "b", "c"] * 20})
    TailClassifier("logit-adjustment", cv=2, random_state=0).fit(frame.drop("y"), frame["y"]).save(tmp_path / "m")
    strange = np.arange(n) < share * n
    outcomes = []
    for order in (np.arange(n), rng.permutation(n)):
        values = np.where(strange, "1.234,5", rng.normal(size=n).round(3).astype(str))[order]
        pl.DataFrame({"x": values, "y": ["a", "b"] * (n // 2)}).write_csv(tmp_path / "new.csv")
        found = [run("predict", tmp_path / "m", tmp_path / "new.csv", "-o", tmp_path / f"{len(outcomes)}.csv")]
        found.append(run("evaluate", tmp_path / "m", tmp_path / "new.csv", "-t", "y"))
        outcomes.append([(code, f"{int(share * n)} of {n} values" in err) for code, _, err in found])
    assert outcomes == [[(2, True) if share > 0.1 else (0, False)] * 2] * 2


def test_a_file_whose_first_rows_have_no_label_is_measured_by_the_others(run, tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=60).round(3), "y": ["a", "b", "c"] * 20})
    TailClassifier("logit-adjustment", cv=2, random_state=0).fit(frame.drop("y"), frame["y"]).save(tmp_path / "m")
    labels = [None] * 16_500 + ["a", "b"] * 10
    values = [*map(str, rng.normal(size=16_519).round(3)), "odd"]
    pl.DataFrame({"x": values, "y": labels}).write_csv(tmp_path / "new.csv")
    code, out, err = run("evaluate", tmp_path / "m", tmp_path / "new.csv", "-t", "y")
    assert code == 0, err
    assert "20 labelled examples" in out


def test_texts_learned_in_python_are_found_by_the_command(run, tmp_path):
    rows = {"said": [word.format(i) for i in range(30) for word in WORDS.values()], "y": list(WORDS) * 30}
    pl.DataFrame(rows).write_csv(tmp_path / "t.csv")
    learned = TailClassifier("cross-entropy", cv=2, random_state=0).fit(load(tmp_path / "t.csv", "y", text="said"))
    learned.save(tmp_path / "m")
    assert run("predict", tmp_path / "m", tmp_path / "t.csv", "-o", tmp_path / "p.csv")[0] == 0
    assert pl.read_csv(tmp_path / "p.csv").height == 60
    code, out, _ = run("evaluate", tmp_path / "m", tmp_path / "t.csv", "-t", "y")
    assert code == 0
    assert "AUROC" in out
