import datetime as dt
import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from tailwise.data import Dataset, as_dataset, load
from tailwise.diagnose import diagnose
from tailwise.diagnose import table as table_module
from tailwise.diagnose.findings import find
from tailwise.diagnose.result import Column, Diagnosis, Duplicates
from tailwise.errors import TailwiseError


@pytest.fixture
def frame():
    """600 rows, classes of 500, 90 and 9 examples and one, with something wrong in every column."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], [500, 90, 9, 1])
    order = rng.permutation(600)
    return pl.DataFrame(
        {
            "key": [f"row{i}" for i in rng.permutation(600)],
            "x": rng.normal(size=600),
            "code": np.unique(labels, return_inverse=True)[1] * 10,
            "flat": np.r_[np.zeros(599), 1],
            "none": [None] * 600,
            "gaps": np.where(rng.random(600) < 0.6, np.nan, 1.0),
            "label": labels,
        }
    )[order]


def sentences(diagnosis, word):
    return [f"{f.severity}: {f.sentence}" for f in diagnosis.findings if word in f.sentence]


def test_counts_and_imbalance(frame):
    found = diagnose(frame, "label")
    assert found.classes == ("a", "b", "c", "d")
    assert found.class_counts.tolist() == [500, 90, 9, 1]
    assert found.imbalance_factor == 500
    assert found.thresholds == (100, 20)
    assert {group: codes.tolist() for group, codes in found.groups.items()} == {
        "many": [0],
        "medium": [1],
        "few": [2, 3],
    }
    share = np.array([500, 90, 9, 1]) / 600
    assert found.effective_classes == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    pairs = np.abs(np.subtract.outer(share, share)).sum()
    assert found.gini == pytest.approx(pairs / (2 * 4))


def test_findings_say_the_number_and_are_sorted(frame):
    found = diagnose(frame, "label")
    order = [f.severity for f in found.findings]
    assert order == sorted(order, key=["problem", "warning", "note"].index)
    assert all("\n" not in f.sentence and f.sentence.endswith(".") for f in found.findings)
    assert sentences(found, "'code'")[0].startswith("problem: Column 'code' alone predicts 99")
    assert sentences(found, "imbalance factor of 500")
    assert sentences(found, "1 class ('d') has one example")
    assert sentences(found, "'key' looks like an identifier")
    assert sentences(found, "Column 'flat' has the same value in 99.83 % of the rows")
    assert sentences(found, "'none' is empty")
    missing = frame["gaps"].is_nan().sum()
    assert sentences(found, f"'gaps' has {missing} missing values")
    assert not sentences(found, "'x'")


COLUMN = Column("c", "Float64", 0, 9, exact=True, top_share=0.5, predicts=0.0, identifier=False)
PLAIN = Diagnosis("t", "table", 1000, 0, ("a", "b"), np.array([600, 400]), Duplicates(0, 0), (COLUMN,), 1000)


@pytest.mark.parametrize(
    ("change", "start"),
    [
        ({"class_counts": np.array([1000, 100])}, "warning: The largest class, 'a', has 1,000"),
        ({"class_counts": np.array([999, 100])}, "note: The imbalance factor is 9.99"),
        ({"n_unlabelled": 50}, "warning: 50 rows (5 %) have no label"),
        ({"n_unlabelled": 49}, "note: 49 rows (4.9 %) have no label"),
        ({"duplicates": Duplicates(10, 0)}, "warning: 10 rows (1 %) repeat another"),
        ({"duplicates": Duplicates(9, 0)}, "note: 9 rows (0.9 %) repeat another"),
        ({"columns": [replace(COLUMN, missing=500)]}, "warning: Column 'c' has 500 missing values (50 %): drop it"),
        ({"columns": [replace(COLUMN, missing=499)]}, "note: Column 'c' has 499 missing values (50 %): encoded"),
        ({"columns": [replace(COLUMN, predicts=0.95)]}, "problem: Column 'c' alone predicts 95 % of what"),
        ({"columns": [replace(COLUMN, predicts=0.949)]}, ""),
        ({"columns": [replace(COLUMN, top_share=0.995)]}, "note: Column 'c' has the same value in 99.5 % of the rows"),
        ({"columns": [replace(COLUMN, top_share=0.994)]}, ""),
        ({"classes": [*"abcdefghijklmnopqrst"], "class_counts": np.ones(20)}, "problem: The target has 20 distinct"),
        ({"classes": [*"abcdefghijklmnopqrs"], "class_counts": np.ones(19)}, "problem: No class has two examples"),
    ],
)
def test_what_is_found_depends_on_how_much_there_is(change, start):
    before = find(PLAIN)
    first = next((f"{f.severity}: {f.sentence}" for f in find(replace(PLAIN, **change)) if f not in before), "")
    assert first.startswith(start)
    assert bool(first) == bool(start)


def test_identifiers_are_not_leaks_unless_rows_are_in_order_of_class(frame):
    shuffled = frame.select("x", "label").with_row_index("number")
    assert sentences(diagnose(shuffled, "label"), "'number'")[0].startswith("note: Column 'number' looks like an id")
    ordered = pl.concat([frame.select("x", "label")] * 10).sort("label").with_row_index("number")
    assert sentences(diagnose(ordered, "label"), "'number'")[0].startswith("problem: Column 'number' alone")


@pytest.mark.parametrize("rows", ["all", "a sample"])
@pytest.mark.parametrize("sets", [False, True])
def test_a_column_that_tells_one_rare_class_is_pointed_out(sets, rows):
    rng = np.random.default_rng(0)
    y = rng.choice(["ok", "late", "fraud"], 4000, p=[0.85, 0.12, 0.03])
    days = [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" if label == "fraud" else None for i, label in enumerate(y)]
    several = pl.Series([[label, *["new"] * (i % 3 == 0)] for i, label in enumerate(y)])
    frame = pl.DataFrame({"x": rng.random(4000), "charged back": days, "y": several if sets else y})
    found = diagnose(frame, "y", sample=4000 if rows == "all" else 2000)
    assert [column.tells for column in found.columns] == [None, "fraud"]
    (said,) = sentences(found, "'charged back' alone tells")
    assert said.startswith("warning: Column 'charged back' alone tells 'fraud' from all others on held-out rows:")
    assert found.to_dict()["columns"][1]["tells"] == "fraud"


def test_duplicates_and_conflicts_are_counted():
    data = pl.DataFrame({"id": range(30), "x": [*range(25), 0, 0, 1, 2, 3], "y": list("ab" * 12 + "a" + "abbaa")})
    found = diagnose(data, "y")
    # 0: a a b, 1: b b, 2: a a, 3: b a
    assert found.duplicates.rows == 5
    assert found.duplicates.conflicting == 5
    assert found.duplicates.one_in == 1
    assert sentences(found, "equal others in every feature but 'id', but have another label")
    assert diagnose(data.with_columns(pl.col("x") + 0.5 * (pl.col("id") > 24)), "y").duplicates.rows == 1


def test_duplicates_of_many_rows_are_estimated_by_content(monkeypatch):
    monkeypatch.setattr(table_module, "_COMPARED", 1000)
    content = np.random.default_rng(0).integers(0, 40_000, 60_000)
    data = pl.DataFrame({"x": content, "y": np.random.default_rng(1).integers(0, 2, 60_000)})
    exact = 60_000 - len(np.unique(content))
    found = diagnose(data, "y").duplicates
    assert found.one_in > 20
    assert found.rows == pytest.approx(exact, rel=0.15)
    pairs = data.group_by("x").agg(pl.len(), pl.col("y").n_unique())
    assert found.conflicting == pytest.approx(pairs.filter(pl.col("y") > 1)["len"].sum(), rel=0.15)


def test_infinity_is_missing_as_in_training():
    x = pl.Series("x", [float("inf"), None, -float("inf"), float("nan"), *[0.5, 1.5] * 20])
    (column,) = diagnose(pl.DataFrame({"x": x, "y": ["a", "b"] * 22}), "y").columns
    assert (column.missing, column.distinct, column.top_share) == (4, 2, 20 / 44)


def test_unlabelled_rows_are_counted_and_never_conflict():
    data = pl.DataFrame({"x": [1, 1, 2, 3, 4], "y": ["a", None, "b", "NA", "a"]})
    found = diagnose(data, "y")
    assert (found.n_rows, found.n_unlabelled) == (5, 2)
    assert found.class_counts.tolist() == [2, 1]
    assert found.duplicates.conflicting == 0
    floats = diagnose(pl.DataFrame({"x": [1, 1, 2], "y": [0.0, float("nan"), 1.0]}), "y")
    assert floats.classes == ("0", "1")
    assert floats.n_unlabelled == 1
    assert floats.duplicates.conflicting == 0


def test_names_that_differ_in_case_only():
    data = pl.DataFrame({"x": range(6), "y": ["cat", "Cat ", "dog", "dog", "cat", "hot dog"]})
    assert sentences(diagnose(data, "y"), "'Cat ', 'cat'")


def test_names_that_look_the_same_and_numbers_that_are_the_same_are_told():
    data = pl.DataFrame({"x": range(4), "y": ["\xe9", "e\u0301", "1", "1.0"]})
    found = diagnose(data, "y")
    assert sentences(found, r"The labels 'e\u0301', '\xe9' differ only in their Unicode characters")
    assert sentences(found, "The labels '1', '1.0' differ only in case, blanks, hidden signs or zeros")


def test_classes_that_are_sets_of_others_are_told():
    sets = ["a", "b", "c", "a|b", "b | c", "a|b|c"]
    x = np.arange(60.0)
    (said,) = sentences(diagnose(pl.DataFrame({"x": x, "y": sets * 10}), "y"), "--separator")
    assert "separated by '|'" in said
    for names in (["a|b", "c|d", "e|f"], ["a", "b", "a|b"], ["R&D", "sales, Europe", "sales, Asia"]):
        assert not sentences(diagnose(pl.DataFrame({"x": x, "y": names * 20}), "y"), "--separator")


@pytest.mark.parametrize("as_lists", [False, True])
def test_sets_of_labels_in_a_frame_are_those_of_its_file(as_lists, tmp_path):
    sets = ["a", "b", "a|b", None, "|", "a"] * 5
    frame = pl.DataFrame({"key": range(30), "x": [i % 7 for i in range(30)], "y": sets})
    if as_lists:
        lists = [None if one is None else [name for name in one.split("|") if name] for one in sets]
        frame = frame.with_columns(y=pl.Series(lists, dtype=pl.List(pl.String)))
    frame.write_parquet(tmp_path / "table.parquet")
    separator = None if as_lists else "|"
    found, wanted = (diagnose(data, "y", separator=separator, id="key") for data in (frame, tmp_path / "table.parquet"))
    assert found.classes == wanted.classes == ("a", "b")
    assert found.class_counts.tolist() == wanted.class_counts.tolist() == [15, 10]
    assert found.set_sizes.tolist() == [5, 15, 5]
    assert [finding.sentence for finding in found.findings] == [finding.sentence for finding in wanted.findings]


def test_sets_of_labels_beside_texts_are_those_of_the_file(tmp_path):
    texts = [f"text number {i}" for i in range(30)]
    frame = pl.DataFrame({"key": range(30), "text": texts, "y": ["a", "b", "a|b"] * 10})
    frame.write_parquet(tmp_path / "table.parquet")
    found, wanted = (diagnose(data, "y", separator="|", text="text") for data in (frame, tmp_path / "table.parquet"))
    assert found.kind == wanted.kind == "text"
    assert [finding.sentence for finding in found.findings] == [finding.sentence for finding in wanted.findings]


def test_columns_of_a_data_set_are_not_named_again():
    data = as_dataset(np.arange(6.0)[:, None], [0, 1] * 3)
    with pytest.raises(TailwiseError, match="a data set knows its labels and columns"):
        diagnose(data, "y")


def test_of_a_table_of_texts_the_texts_are_examined():
    texts = [f"text number {i}" if i % 4 else "" for i in range(40)]
    frame = pl.DataFrame({"key": range(40), "amount": [None] * 40, "text": texts, "y": ["a", "b"] * 20})
    found = diagnose(frame, "y", text="text")
    assert [column.name for column in found.columns] == ["text"]
    assert sentences(found, "Column 'text' has 10 missing values")


def test_columns_that_training_leaves_out_are_named():
    nested = {"tags": [["a"], []] * 10, "who": [{"age": 3}, {"age": 4}] * 10}
    frame = pl.DataFrame({"x": range(20), "y": ["a", "b"] * 10, **nested})
    (said,) = sentences(diagnose(frame, "y"), "No feature can be made of lists")
    assert "leaves out 'tags', 'who': put" in said


def test_bytes_are_examined_as_the_texts_that_training_takes_them_for():
    said = ["yes", "no"] * 20
    frame = pl.DataFrame({"x": [0, 1, 2, 3] * 10, "said": said, "raw": [b"\xff"] * 40, "y": said})
    found = diagnose(frame.with_columns(pl.col("said").cast(pl.Binary)), "y")
    assert sentences(found, "Column 'said' alone predicts 100 %")
    (left_out,) = sentences(found, "No feature can be made of lists")
    assert "leaves out 'raw': put" in left_out


def test_one_class_is_a_problem():
    found = diagnose(pl.DataFrame({"x": [1, 2], "y": ["a", "a"]}), "y")
    assert found.findings[0].severity == "problem"
    assert "at least two classes" in found.findings[0].sentence


def test_a_number_is_not_a_class():
    found = diagnose(pl.DataFrame({"x": range(50), "price": np.random.default_rng(0).random(50)}), "price")
    assert sentences(found, "50 distinct values in 50 labelled rows")


def test_one_is_one():
    few = pl.DataFrame({"a": [1.5, 1.5, 2, *range(3, 30)], "y": ["x"] * 15 + ["z"] * 13 + ["w", None]})
    found = diagnose(few, "y")
    assert sentences(found, "1 row (3.3 %) has no label")
    assert sentences(found, "1 of 3 classes has at most 1 example, together")
    assert found.to_dict()["thresholds"] == {"many": 13, "few": 13}


def test_balanced_data_has_no_warnings():
    rng = np.random.default_rng(0)
    found = diagnose(pl.DataFrame({"x": rng.normal(size=300), "y": np.arange(300) % 3}), "y")
    assert [f.severity for f in found.findings] == ["note"]


def test_result_is_json(frame):
    document = json.loads(json.dumps(diagnose(frame, "label").to_dict()))
    assert document["class_counts"] == {"a": 500, "b": 90, "c": 9, "d": 1}
    assert document["columns"][0]["name"] == "key"
    assert document["findings"][0]["severity"] == "problem"


@pytest.mark.parametrize("kind", ["parquet", "csv", "pandas", "lazy", "dataset"])
def test_every_form_gives_the_same(frame, kind, tmp_path):
    path = tmp_path / f"data.{kind}"
    if kind == "parquet":
        frame.write_parquet(path)
    if kind == "csv":
        frame.with_columns(pl.col("gaps").fill_nan(None)).write_csv(path)
    data = {
        "pandas": lambda: pd.DataFrame(frame.to_dict(as_series=False)).astype({"none": object}),
        "lazy": frame.lazy,
        "dataset": lambda: Dataset(
            "table",
            frame.drop("label"),
            np.unique(frame["label"].to_numpy(), return_inverse=True)[1],
            np.array(list("abcd")),
            np.arange(600),
        ),
    }.get(kind, lambda: path)()
    found = diagnose(data, None if kind == "dataset" else "label")
    expected = diagnose(frame, "label")
    assert found.class_counts.tolist() == expected.class_counts.tolist()
    assert [f.sentence for f in found.findings] == [f.sentence for f in expected.findings]


def test_sampled_checks_say_so(frame):
    found = diagnose(pl.concat([frame] * 20), "label", sample=3000)
    assert 1000 < found.sampled < 6000
    assert found.class_counts.tolist() == [10_000, 1800, 180, 20]
    assert sentences(found, f"of {found.sampled:,} sampled rows")


def test_images_and_texts_are_compared_whole():
    labels = np.array([0, 0, 1, 1])
    pixels = np.zeros((4, 2, 2, 3), dtype=np.uint8)
    pixels[3] = 9
    names = np.array(["a", "b"])
    images = diagnose(Dataset("image", pixels, labels, names, np.arange(4)))
    assert (images.duplicates.rows, images.duplicates.conflicting, images.columns) == (2, 3, ())
    texts = diagnose(Dataset("text", np.array(["x y", "x y", "z", "w"]), labels, names, np.arange(4)))
    assert (texts.duplicates.rows, texts.duplicates.conflicting, texts.columns) == (1, 0, ())


def test_arrays_dense_and_sparse():
    dense = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 2.0]])
    for inputs in (dense, scipy.sparse.csr_matrix(dense)):
        found = diagnose(Dataset("array", inputs, np.array([0, 1, 1, -1]), np.array([3, 5]), np.arange(4)))
        assert found.classes == ("3", "5")
        assert found.n_unlabelled == 1
        assert (found.duplicates.rows, found.duplicates.conflicting) == (2, 2)


def test_folders_with_a_class_each_are_read(tmp_path):
    for name, words in {"a/1.txt": "one", "a/2.txt": "one", "b/1.txt": "two"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(words)
    found = diagnose(tmp_path)
    assert found.kind == "text"
    assert found.class_counts.tolist() == [2, 1]
    assert found.duplicates.rows == 1


def test_a_folder_may_have_the_name_of_no_label(tmp_path):
    for name in ("DE", "NA"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.txt").write_text(f"{name} {number}")
    found = diagnose(tmp_path)
    assert (found.classes, found.class_counts.tolist(), found.n_unlabelled) == (("DE", "NA"), [3, 3], 0)


def test_hugging_face_images_are_compared_by_bytes():
    data = pl.DataFrame({"image": [{"bytes": b"1", "path": "a"}, {"bytes": b"1", "path": "b"}], "label": ["x", "y"]})
    found = diagnose(data, "label", image="image")
    assert (found.duplicates.rows, found.duplicates.conflicting) == (1, 2)
    named = data.with_columns(pl.struct(bytes=pl.lit(None, pl.Binary), path=pl.Series(["a", "b"])).alias("image"))
    assert diagnose(named, "label", image="image").duplicates.rows == 0


def test_a_text_column_is_never_an_identifier():
    data = pl.DataFrame({"text": [f"w{i}" for i in range(40)], "y": [0, 1] * 20})
    assert not sentences(diagnose(data, "y", text="text"), "identifier")
    assert not sentences(diagnose(data, "y"), "identifier"), "nor is the only feature"
    assert sentences(diagnose(data.with_columns(x=pl.Series([1.5, 2.5] * 20)), "y"), "identifier")
    assert not sentences(diagnose(data, "y", id="text"), "identifier")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: diagnose(f, "lable"), "the frame has no column 'lable'. Did you mean 'label'"),
        (lambda f: diagnose(f), "name the label column"),
        (lambda f: diagnose(f, "none"), "all labels are missing"),
        (lambda f: diagnose(f.head(0), "label"), "no rows"),
        (lambda f: diagnose(f, "label", id="label"), "one column cannot be two of target, text, image and id"),
        (lambda f: diagnose(f, "label", text="label"), "one column cannot be two of target, text, image and id"),
        (lambda f: diagnose(f, "label", sample=0), "sample"),
        (lambda f: diagnose("no/such/file.csv", "label"), "there is no"),
        (
            lambda f: diagnose(Dataset("array", np.eye(2), None, np.array([]), np.arange(2))),
            "no labels to diagnose",
        ),
    ],
)
def test_bad_input_is_one_line(frame, call, message):
    with pytest.raises(TailwiseError, match=message) as error:
        call(frame)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_has_the_classes_that_a_model_would_learn(tmp_path, suffix):
    rows = {"x": [1.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5], "y": ["cat", "cat ", "Cat", " Cat", "Cat", "NA", None]}
    path = tmp_path / f"t.{suffix}"
    getattr(pl.DataFrame(rows), f"write_{suffix}")(path)
    found, data = diagnose(path, "y"), load(path, "y")
    assert found.classes == data.classes == ("Cat", "cat")
    assert found.class_counts.tolist() == data.class_counts.tolist() == [3, 2]
    assert found.duplicates.conflicting == 0
    assert sentences(found, "blanks around") == ["note: 2 labels have blanks around them: ' Cat' is read as 'Cat'."]
    assert sentences(found, "2 rows (29 %) have no label ('NA' counts as none): left out")
    in_memory = diagnose(pl.DataFrame(rows), "y")
    assert in_memory.classes == (" Cat", "Cat", "cat", "cat ")
    assert not sentences(in_memory, "blanks around")


def test_pandas_columns_are_converted_as_for_training():
    months = pd.period_range("2024-01", periods=4, freq="M")
    frame = pd.DataFrame({"month": months, "mixed": [1, "a", None, 2.5], "y": ["a", "a", "b", "b"]})
    assert [column.dtype for column in diagnose(frame, "y").columns] == ["String", "String"]


def test_numbers_as_labels_of_a_csv_are_in_their_order(tmp_path):
    pl.DataFrame({"x": range(6), "y": ["2", "10", " 10", "2", "1", "1"]}).write_csv(tmp_path / "n.csv")
    assert diagnose(tmp_path / "n.csv", "y").classes == load(tmp_path / "n.csv", "y").classes == ("1", "2", "10")


@pytest.mark.slow
def test_real_cifar10_is_balanced(shared_data):
    found = diagnose(shared_data / "cifar10-train.parquet", "label", image="image")
    assert found.class_counts.tolist() == [5000] * 10
    assert found.imbalance_factor == 1
    assert found.duplicates.one_in == 1


def test_times_that_never_repeat_are_no_identifiers_and_what_is_left_aside_is_named():
    rng = np.random.default_rng(0)
    seconds = pl.Series(rng.choice(10**7, 400, replace=False))
    frame = pl.DataFrame({"shop": rng.choice(list("abc"), 400), "y": rng.choice(list("xyz"), 400)})
    start = pl.lit(dt.datetime(2024, 1, 1)) + pl.duration(seconds=seconds)
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"):
        found = diagnose(frame.with_columns(start=start.dt.strftime(form)), "y")
        assert not sentences(found, "identifier")
        assert found.duplicates.conflicting < 10
    found = diagnose(frame.with_columns(key=seconds), "y")
    assert sentences(found, "equal others in every feature but 'key', but have another label")
    assert sentences(found, "repeat another in all but 'key': copies")


def test_what_cannot_be_fitted_is_a_problem():
    assert sentences(diagnose(pl.DataFrame({"y": list("aab")}), "y"), "There are only labels")
    assert sentences(diagnose(pl.DataFrame({"x": [1, 2, 3], "y": list("abc")}), "y"), "No class has two examples")


WRITTEN = {
    "decimal commas": lambda x: f"{x:.6f}".replace(".", ","),
    "money": lambda x: f"${1000 + 100 * x:,.4f}",
    "apostrophes": lambda x: f"{1000 + x:,.4f}".replace(",", "'"),
    "dates": lambda x: f"{dt.datetime(2024, 1, 1) + dt.timedelta(days=x):%d.%m.%Y %H:%M:%S}",
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_numbers_and_dates_written_as_text_are_read_as_for_training(name, suffix, tmp_path):
    x, noise = np.random.default_rng(0).normal(size=(2, 400)).round(6)
    text = [*map(WRITTEN[name], x[1:]), "n.m."]
    leak = [WRITTEN[name](20 * (v > 1) + w) for v, w in zip(noise, x, strict=True)]
    frame = pl.DataFrame({"x": text, "k": noise.round() % 3, "leak": leak, "y": np.where(noise > 1, "a", "b")})
    path = tmp_path / f"t.{suffix}"
    frame.write_csv(path, separator=";") if suffix == "csv" else frame.write_ndjson(path)
    found = diagnose(path, "y")
    assert not sentences(found, "identifier")
    assert not sentences(found, "equal others")
    assert sentences(found, "Column 'x' has 1 missing value (0.25 %): encoded as missing.")
    assert [column.name for column in found.columns if (column.predicts or 0) > 0.7] == ["leak"]


def test_words_among_numbers_are_no_missing_values():
    rng = np.random.default_rng(0)
    crp = ["negative" if i % 2 else f"{v:.4f}" for i, v in enumerate(rng.random(400))]
    found = diagnose(pl.DataFrame({"crp": [*crp, "-"], "y": [*(["a", "b"] * 200), "a"]}), "y")
    assert (found.columns[0].missing, found.columns[0].predicts) == (1, pytest.approx(1))


def test_distinct_values_are_counted_in_small_tables_and_never_more_than_rows(monkeypatch):
    n = 3000
    data = pl.DataFrame(
        {"k": range(n), "f": [None, float("nan"), *[0.5, 1.5] * (n // 2 - 1)], "y": ["a", "b"] * (n // 2)}
    )
    exact = diagnose(data, "y").columns
    assert [(column.distinct, column.exact) for column in exact] == [(n, True), (2, True)]
    monkeypatch.setattr(table_module, "_CELLS", n)
    estimated = diagnose(data, "y").columns
    assert not any(column.exact for column in estimated)
    assert 0.8 * n < estimated[0].distinct <= n


def test_rows_without_a_label_do_not_have_another_label():
    data = pl.DataFrame({"x": [1, 1, 1, 1, 2], "y": ["a", "b", None, "NA", "a"]})
    assert diagnose(data, "y").duplicates.conflicting == 2


@pytest.mark.parametrize("name", ["len", "times", "content", "label", "count", "n", "value"])
def test_columns_may_have_any_name(name, tmp_path):
    frame = pl.DataFrame({name: ["u", "v", "w", "u"] * 10, "a": range(40)})
    for target, features in ((name, ["a"]), ("a", [name])):
        assert [column.name for column in diagnose(frame, target).columns] == features
    frame.write_csv(tmp_path / "t.csv")
    assert diagnose(tmp_path / "t.csv", name).class_counts.tolist() == [20, 10, 10]


def test_names_of_columns_are_no_patterns(frame, tmp_path):
    odd = frame.select("x", "key", "flat", pl.col("label").alias("*"))
    odd.write_parquet(tmp_path / "t.parquet")
    found = diagnose(tmp_path / "t.parquet", "*")
    assert found.class_counts.tolist() == [500, 90, 9, 1]
    assert [column.name for column in found.columns] == ["x", "key", "flat"]
    assert load(tmp_path / "t.parquet", "*", id="flat").inputs.columns == ["x", "key"]


def test_thousands_of_columns_take_seconds():
    wide = pl.DataFrame({f"c{i}": [1, 2, 2] for i in range(5000)} | {"label": ["a", "a", "b"]})
    start = time.process_time()
    found = diagnose(wide, "label")
    assert time.process_time() - start < 10
    assert [(c.missing, c.distinct) for c in found.columns] == [(0, 2)] * 5000


def test_thousands_of_columns_take_time_in_proportion(monkeypatch):
    asked, schema = [], pl.DataFrame.schema
    monkeypatch.setattr(pl.DataFrame, "schema", property(lambda frame: asked.append(1) or schema.fget(frame)))
    frame = pl.DataFrame(np.random.default_rng(0).normal(size=(30, 300)))
    assert len(diagnose(as_dataset(frame, np.arange(30) % 2)).columns) == 300
    assert len(asked) < 30, "a schema takes time for each column"


def test_a_hundred_columns_that_are_alike_do_not_fill_the_screen():
    y = np.repeat([0, 1], [30, 20])
    same = {
        "empty": [None] * 50,
        "gap": [1.0, None] * 25,
        "leak": y.tolist(),
        "id": [f"row {i}".replace(" ", "") for i in range(50)],
    }
    frame = pl.DataFrame({f"{name}{i}": values for name, values in same.items() for i in range(100)})
    found = diagnose(as_dataset(frame, y))
    said = [finding.sentence for finding in found.findings if finding.sentence.startswith("97 more columns")]
    assert len(said) == len(same)
    assert len(found.findings) < 25
    assert len(found.columns) == 400


@pytest.mark.parametrize(
    ("name", "values", "is_one"),
    [
        ("row", list(range(5, 405)), True),
        ("order", [(7919 * i) % 1_000_003 for i in range(400)], True),
        ("income", [37 * (i // 2) + 900 * (i % 2) + 10 for i in range(400)], False),
        ("code", [f"A-{i:05}" for i in range(400)], True),
        (
            "user_id",
            [f"{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10 % 10]}{'uvwxyz'[i // 100]}" for i in range(400)],
            True,
        ),
        ("sequence", ["".join("ACGT"[(i >> s) & 3] for s in range(0, 20, 2)) for i in range(400)], False),
        (
            "text",
            [
                f"句子{'一二三四五六七八九十'[i % 10]}{'甲乙丙丁戊己庚辛壬癸'[i // 10 % 10]}{'子丑寅卯'[i // 100]}"
                for i in range(400)
            ],
            False,
        ),
    ],
)
def test_features_are_not_taken_for_identifiers(name, values, is_one):
    """The next step that is proposed would leave them out."""
    assert len(set(values)) == 400
    data = pl.DataFrame({"x": [0.5, 1.5] * 200, name: values, "y": ["a", "b"] * 200})
    assert bool(sentences(diagnose(data, "y"), "identifier") or sentences(diagnose(data, "y"), "--id")) == is_one


def test_a_value_that_is_there_or_not_is_not_constant():
    data = pl.DataFrame({"x": range(400), "flag": ["Y", None, None, None] * 100, "y": ["a", "b"] * 200})
    assert not sentences(diagnose(data, "y"), "same value")


def test_images_in_a_table_are_its_feature(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    paths = []
    for number in range(40):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
        paths.append(f"{number}.png")
    data = pl.DataFrame({"path": paths, "width": [4] * 40, "y": ["a", "b"] * 20})
    data.write_parquet(tmp_path / "paths.parquet")
    data.with_columns(path=pl.Series([(tmp_path / path).read_bytes() for path in paths])).write_parquet(
        tmp_path / "bytes.parquet"
    )
    for name in ("paths", "bytes"):
        found = diagnose(tmp_path / f"{name}.parquet", "y")
        assert found.kind == "image"
        assert not sentences(found, "identifier")
        assert not sentences(found, "No feature can be made")


def test_labels_with_commas_are_other_sets_than_their_parts():
    frame = pl.DataFrame({"y": [["a, b"]] * 10 + [["a", "b"]] * 10 + [[]] * 2, "x": [1.0] * 20 + [2.0] * 2})
    found = diagnose(frame, "y")
    assert found.duplicates.conflicting == 20
    assert found.n_unlabelled == 0


def test_a_file_with_sets_is_examined_as_closely_as_one_without(tmp_path):
    (tmp_path / "t.csv").write_text("x,w,y\n" + "1,2,a|b\n3,4,b\n" * 5 + "1,2\n5,6,NA\n")
    for separator in (None, "|"):
        found = diagnose(tmp_path / "t.csv", "y", separator=separator)
        assert sentences(found, "fewer fields than the header")
        assert sentences(found, "'NA' counts as none")


def test_missing_categories_are_counted_whatever_their_type():
    values = ["NA"] * 25 + ["u"] * 50 + ["v"] * 25
    for dtype in (pl.String, pl.Categorical, pl.Enum(["NA", "u", "v"])):
        found = diagnose(pl.DataFrame({"y": ["a", "b"] * 50, "c": pl.Series(values, dtype=dtype)}), "y")
        assert (found.columns[0].missing, found.columns[0].distinct) == (25, 2)


def test_identifiers_may_have_64_bits():
    draws = np.random.default_rng(1).integers(2**63, 2**64 - 1, 5000, dtype=np.uint64)
    for ids in (pl.Series("hash", draws), pl.Series("hash", draws).cast(pl.String)):
        found = diagnose(pl.DataFrame({"y": ["a", "b"] * 2500, "x": [1, 2] * 2500}).with_columns(ids), "y")
        assert found.columns[1].identifier


def test_nearly_all_sampled_rows_are_not_all():
    frame = pl.DataFrame({"c": np.arange(300_000) % 25_000 == 7, "y": np.arange(300_000) % 2})
    found = diagnose(frame, "y", sample=200_000)
    assert sentences(found, f"has the same value in 99.99 % of {found.sampled:,} sampled rows: drop it")


def test_names_that_look_alike_are_told():
    frame = pl.DataFrame({"y": ["a", "a\u200b", "b", "b "] * 10, "x": range(40)})
    assert sentences(diagnose(frame, "y"), r"labels 'a', 'a\u200b' differ only in")


@pytest.mark.parametrize(
    "text", ["/data/{}/img_{}.png", '{{"label": "{}", "n": {}}}', "this is a record of type {}, number {}"]
)
def test_a_text_that_holds_the_name_of_the_class_leaks_it(text):
    y = np.random.default_rng(0).choice(["cat", "dog", "Ox", "k3"], 800, p=[0.6, 0.3, 0.07, 0.03])
    told = [text.format(label, i) for i, label in enumerate(y)]
    other = [text.format("cow", i) for i in range(800)]
    found = diagnose(pl.DataFrame({"y": y, "told": told, "other": other}), "y")
    assert [column.names_class for column in found.columns] == [True, False]
    assert sentences(found, "Column 'told' holds the name of the class, which leaks the answer: drop it, or name it as")
    assert not sentences(found, "'other' holds")


def test_a_text_that_names_any_class_leaks_none():
    rng = np.random.default_rng(0)
    y, named = rng.choice(["cat", "dog"], (2, 800))
    found = diagnose(pl.DataFrame({"y": y, "text": [f"not a {label}, {i}" for i, label in enumerate(named)]}), "y")
    assert not found.columns[0].names_class


def test_what_a_database_writes_for_nothing_is_no_label_and_what_may_mean_nothing_is_told():
    frame = pl.DataFrame({"y": ["a", "b", r"\N", "?", "#NULL!", "(null)"] * 5, "x": range(30)})
    found = diagnose(frame, "y")
    assert found.classes == ("(null)", "?", "a", "b")
    assert found.n_unlabelled == 10
    assert sentences(found, "may mean") == [
        "warning: The classes '(null)', '?' may mean that there is no label: leave it empty then."
    ]


def test_labels_that_lost_a_zero_in_a_spreadsheet_are_told():
    found = diagnose(pl.DataFrame({"y": ["1", "2", "01", "02", "10"] * 5, "x": range(25)}), "y")
    assert len(sentences(found, "differ only in case, blanks, hidden signs or zeros")) == 2


def test_results_of_thousands_are_not_called_uncertain():
    large = diagnose(pl.DataFrame({"y": ["a"] * 100_000 + ["b"] * 5000, "x": range(105_000)}), "y")
    assert not sentences(large, "wide intervals")
    small = diagnose(pl.DataFrame({"y": ["a"] * 1000 + ["b"] * 50, "x": range(1050)}), "y")
    assert sentences(small, "wide intervals")


def test_a_model_or_a_column_is_not_looked_for_in_a_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(name)
    for options in ({"text": "said"}, {"image": "picture"}, {"id": "key"}):
        with pytest.raises(TailwiseError, match=f"there is no column '{next(iter(options.values()))}'"):
            load(tmp_path, **options)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(TailwiseError, match="is a model, not data"):
        load(tmp_path)
