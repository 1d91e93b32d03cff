import errno
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tailwise.data import Dataset, load, stream
from tailwise.diagnose import diagnose
from tailwise.errors import TailwiseError

LONG = "the quick brown fox number {} jumps"


@pytest.fixture
def orders(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "order,price,category\n" + "".join(f"A{i},{i}.5,{'abNA'[i % 2 :][:1]}\n" for i in range(6)) + "A6,1,NA\n"
    )
    return path


def test_a_table_keeps_ids_and_sets_unlabelled_rows_apart(orders):
    data = load(orders, "category", id="order")
    assert (data.kind, data.name, len(data)) == ("table", "orders.csv", 7)
    assert data.inputs.columns == ["price"]
    assert data.ids.to_list() == [f"A{i}" for i in range(7)]
    assert data.labels.tolist() == [0, 1, 0, 1, 0, 1, -1]
    assert data.classes == ("a", "b")
    assert data.class_counts.tolist() == [3, 3]
    assert any("1 of 7 rows have no label" in note for note in data.notes)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_words_that_count_as_no_label_are_named(tmp_path, suffix):
    frame = pl.DataFrame({" y ": ["a", "NA", "b", " null", None, "-", "None", "a"], "x": list(range(8))})
    frame.write_csv(tmp_path / "t.csv")
    frame.rename({" y ": "y"}).write_parquet(tmp_path / "t.parquet")
    data = load(tmp_path / f"t.{suffix}", "y")
    assert data.classes == ("-", "None", "a", "b")
    assert data.notes[0].startswith("3 of 8 rows have no label ('NA' and 'null' count as none); they are kept apart")
    frame.filter(pl.col(" y ").is_null() | ~pl.col(" y ").is_in(["NA", " null"])).write_csv(tmp_path / "gaps.csv")
    assert load(tmp_path / "gaps.csv", "y").notes[0].startswith("1 of 6 rows have no label; they are kept apart")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ids_come_out_as_they_went_in_whatever_their_batch_holds(tmp_path, suffix):
    big = 2**53 + 1
    ids = {
        "whole": pl.Series([big, None, big + 1, big + 2], dtype=pl.Int64),
        "text": [" 7", "8", "007", "x "],
        "name": pl.Series(["a", "b", None, "c"], dtype=pl.Categorical),
    }
    path = tmp_path / f"t.{suffix}"
    frame = pl.DataFrame({**ids, "x": [1, 2, 3, 4]})
    getattr(frame, f"write_{suffix}")(path)
    for name, column in ids.items():
        data = load(path, id=name)
        assert data.ids.cast(frame.schema[name]).to_list() == list(column)
        assert data.take([3, 0]).ids.to_list() == [data.ids[3], data.ids[0]]
        parts = [part.ids for part in stream(path, kind="table", id=name, rows=1)]
        assert {part.dtype for part in parts} == {data.ids.dtype}
        assert pl.concat(parts).to_list() == data.ids.to_list()


def test_without_a_target_there_are_no_labels(orders):
    data = load(orders)
    assert data.labels is None
    assert data.ids.tolist() == list(range(7))
    with pytest.raises(TailwiseError, match="no labels to count"):
        _ = data.class_counts


def test_labels_keep_their_spelling_in_csv(tmp_path):
    (tmp_path / "t.csv").write_text("x,code,number\n1,007,3\n2,012,4\n")
    assert load(tmp_path / "t.csv", "code").class_labels.tolist() == ["007", "012"]
    assert load(tmp_path / "t.csv", "number").class_labels.tolist() == [3, 4]
    (tmp_path / "gaps.csv").write_text("x,number\n1,10\n2,9\n3,NA\n4, nan \n5,\n6,-nan\n")
    gaps = load(tmp_path / "gaps.csv", "number")
    assert gaps.class_labels.tolist() == [9, 10]
    assert gaps.labels.tolist() == [1, 0, -1, -1, -1, -1]
    assert diagnose(tmp_path / "gaps.csv", "number").classes == ("9", "10")


def test_a_test_set_takes_the_codes_of_the_training_set(tmp_path, orders):
    train = load(orders, "category")
    pl.DataFrame({"category": ["b"], "price": [1.0], "order": ["Z"]}).write_parquet(tmp_path / "test.parquet")
    test = load(tmp_path / "test.parquet", "category", classes=train)
    assert test.labels.tolist() == [1]
    assert test.classes == train.classes
    with pytest.raises(TailwiseError, match=r"label 'b' is not among the 2 classes"):
        load(tmp_path / "test.parquet", "category", classes=["a", "c"])


@pytest.mark.parametrize(
    ("header", "options", "kind"),
    [
        ("text", {}, "text"),
        ("text,n", {}, "table"),
        ("text,n", {"text": "text"}, "text"),
        ("text,n", {"kind": "text"}, "text"),
        ("text,n", {"id": "n"}, "text"),
        ("text", {"kind": "table"}, "table"),
    ],
)
def test_free_text_is_found_or_named(tmp_path, header, options, kind):
    columns = {"text": [LONG.format(i) for i in range(20)], "n": range(20), "y": ["a", "b"] * 10}
    pl.DataFrame(columns).select([*header.split(","), "y"]).write_csv(tmp_path / "t.csv")
    data = load(tmp_path / "t.csv", "y", **options)
    assert data.kind == kind
    assert len(data) == 20
    if kind == "text":
        assert data.inputs[3] == LONG.format(3)


def test_new_texts_may_all_be_numbers(tmp_path):
    pl.DataFrame({"text": [LONG.format(i) for i in range(4)], "y": ["a", "b"] * 2}).write_csv(tmp_path / "t.csv")
    (tmp_path / "new.csv").write_text("text,y\n12,a\n")
    train = load(tmp_path / "t.csv", "y", text="text")
    assert load(tmp_path / "new.csv", "y", text="text", classes=train).inputs.tolist() == ["12"]
    assert next(stream(tmp_path / "new.csv", kind="text", column="text")).inputs.tolist() == ["12"]
    with pytest.raises(TailwiseError, match="'text' holds Int64, not texts"):
        diagnose(tmp_path / "new.csv", "y", text="text")


def test_folders_of_texts(tmp_path):
    for name, count in (("neg", 1), ("pos", 2), ("none", 0)):
        (tmp_path / name).mkdir()
        for i in range(count):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} {i} é", encoding="utf-8")
    (tmp_path / "README.md").write_text("about")
    data = load(tmp_path)
    assert (data.kind, data.classes) == ("text", ("neg", "pos"))
    assert data.labels.tolist() == [0, 1, 1]
    assert data.inputs.tolist() == ["neg 0 é", "pos 0 é", "pos 1 é"]
    assert data.ids.tolist() == ["neg/0.txt", "pos/0.txt", "pos/1.txt"]
    assert len(data.notes) == 2
    assert load(tmp_path, classes=["pos", "x", "neg"]).labels.tolist() == [2, 0, 0]
    (tmp_path / ".ipynb_checkpoints").mkdir()
    for folder in (".ipynb_checkpoints", "__MACOSX", "pos/.hidden"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "1.txt").write_text("of a system")
    assert load(tmp_path).ids.tolist() == data.ids.tolist()
    assert load(tmp_path).notes == data.notes
    (tmp_path / "pos" / "8.txt").symlink_to(tmp_path / "nowhere.txt")
    assert load(tmp_path).ids.tolist() == data.ids.tolist()
    (tmp_path / "__label__rare").mkdir()
    (tmp_path / "__label__rare" / "1.txt").write_text("a class")
    assert load(tmp_path).classes == ("__label__rare", "neg", "pos")
    (tmp_path / "pos" / "9.txt").write_bytes(b"\xe4")
    with pytest.raises(TailwiseError, match=r"9\.txt is not UTF-8"):
        load(tmp_path)


@pytest.fixture
def pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for i, name in enumerate(["cat", "dog", "dog"]):
        (tmp_path / name).mkdir(exist_ok=True)
        image.new("RGB", (8, 8), (i * 50, 0, 0)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_a_folder_holds_what_most_of_its_files_are(pictures):
    for name in ("cat", "dog"):
        (pictures / name / "license.txt").write_text("All rights reserved.")
    data = load(pictures)
    assert (data.kind, len(data)) == ("image", 3)
    assert data.notes == ("2 files that are not images were left out, such as cat/license.txt.",)
    for i in range(2):
        (pictures / "cat" / f"{i}.txt").write_text("one of many")
    assert load(pictures).kind == "text"
    assert load(pictures).notes == ("3 files that are not texts were left out, such as cat/0.png.",)


def test_one_of_what_is_left_out_of_a_folder_is_said_of_one(tmp_path):
    for name in ("cat/0.txt", "dog/0.txt", "stray.txt", "cat/more.md", "bird/.keep"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    assert load(tmp_path).notes == (
        "1 file that is none of the texts was left out, such as cat/more.md.",
        "1 text was left out, which no class folder holds.",
        "1 class folder has no texts and was left out: bird.",
    )


def test_of_many_class_folders_without_files_some_are_named(pictures):
    for i in range(8):
        (pictures / f"e{i}").mkdir()
    (note,) = load(pictures).notes
    assert note == "8 class folders have no images and were left out: e0, e1, e2, e3, e4 and 3 more."


def test_links_to_folders_are_followed_but_not_in_circles(pictures, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (pictures / "dog" / "2.png").rename(elsewhere / "2.png")
    (pictures / "ibis").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(elsewhere)
    (pictures / "cat" / "loop").symlink_to(pictures)
    (pictures / "cat" / "other").symlink_to(pictures / "dog")
    data = load(pictures)
    assert data.ids.tolist() == ["cat/0.png", "dog/1.png", "ibis/2.png"]
    assert data.classes == ("cat", "dog", "ibis")


def test_a_class_folder_that_cannot_be_read_is_not_left_out(pictures, monkeypatch):
    def scandir(folder, read=os.scandir):
        if Path(folder).name in unreadable:
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return read(folder)

    unreadable = {"lost+found"}  # at the top of a disk, where only root may look into it
    monkeypatch.setattr(os, "scandir", scandir)
    (pictures / "lost+found").mkdir()
    assert load(pictures).notes == ()
    unreadable.add("dog")
    with pytest.raises(TailwiseError, match="dog cannot be read: Permission denied"):
        load(pictures)


def test_images_from_folders_paths_and_bytes_are_the_same(pictures, tmp_path_factory):
    paths = ["cat/0.png", "dog/1.png", "dog/2.png"]
    folder = load(pictures)
    table = tmp_path_factory.mktemp("tables")
    listing = pl.DataFrame({"file": [str(pictures / path) for path in paths], "y": ["cat", "dog", "dog"]})
    listing.write_csv(table / "paths.csv")
    encoded = [{"bytes": (pictures / path).read_bytes(), "path": path} for path in paths]
    pl.DataFrame({"image": encoded, "y": ["cat", "dog", "dog"]}).write_parquet(table / "bytes.parquet")
    without = [{"bytes": None, "path": os.path.relpath(pictures / path, table)} for path in paths]
    pl.DataFrame({"image": without, "y": ["cat", "dog", "dog"]}).write_parquet(table / "named.parquet")
    bare = [None, encoded[1]["bytes"], encoded[2]["bytes"]]
    pl.DataFrame({"image": bare, "y": ["cat", "dog", "dog"]}).write_parquet(table / "broken.parquet")
    with pytest.raises(TailwiseError, match="row 0 of 'image' cannot be read as an image"):
        load(table / "broken.parquet", "y")
    bare[0] = encoded[0]["bytes"]
    pl.DataFrame({"image": bare, "y": ["cat", "dog", "dog"]}).write_parquet(table / "bare.parquet")
    pl.DataFrame({"key": [b"a", b"b", b"c"], "n": [1, 2, 3]}).write_parquet(table / "keys.parquet")
    assert load(table / "keys.parquet").kind == "table"
    files = "paths.csv", "bytes.parquet", "named.parquet", "bare.parquet"
    for data in (folder, *(load(table / file, "y") for file in files)):
        assert data.kind == "image"
        assert data.classes == ("cat", "dog")
        assert data.labels.tolist() == [0, 1, 1]
        assert data.inputs.shape == (3, 8, 8, 3)
        assert data.inputs.dtype == np.uint8
        np.testing.assert_array_equal(data.inputs, folder.inputs)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_the_column_of_images_or_texts_may_be_the_id(pictures, kind):
    files = ["cat/0.png", "dog/1.png", "dog/2.png"]
    pl.DataFrame({"file": files, "y": ["cat", "dog", "dog"]}).write_csv(pictures / "t.csv")
    data = load(pictures / "t.csv", "y", **{kind: "file"}, id="file")
    (part,) = stream(pictures / "t.csv", "y", kind=kind, column="file", id="file", classes=["cat", "dog"])
    for read in (data, part):
        assert (read.kind, read.column, read.ids.to_list()) == (kind, "file", files)
        assert read.labels.tolist() == [0, 1, 1]
    with pytest.raises(TailwiseError, match="one column cannot be two of target, text, image and id: file, file"):
        next(stream(pictures / "t.csv", "file", kind=kind, column="file"))


def test_test_images_take_the_form_of_the_training_images(pictures, tmp_path_factory):
    image = pytest.importorskip("PIL.Image")
    others = tmp_path_factory.mktemp("others")
    for name in ("cat", "dog"):
        (others / name).mkdir()
        image.new("L", (20, 12), 90).save(others / name / "1.png")
    colour, grey = load(pictures), load(others)
    assert (colour.inputs.shape, grey.inputs.shape) == ((3, 8, 8, 3), (2, 12, 20, 1))
    assert (load(others, classes=colour).inputs == 90).all()
    assert load(others, classes=colour).inputs.shape == (2, 8, 8, 3)
    as_grey = load(pictures, classes=grey)
    assert as_grey.inputs.shape == (3, 12, 20, 1)
    red = np.asarray(image.new("RGB", (1, 1), (50, 0, 0)).convert("L"))[0, 0]
    assert (as_grey.inputs[1] == red).all()
    assert "3 of 3 images were in colour and are grey now." in as_grey.notes
    assert load(pictures, image_size=4, channels=1).inputs.shape == (3, 4, 4, 1)
    with pytest.raises(TailwiseError, match="channels must be 1 or 3; got 4"):
        load(pictures, channels=4)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,category\n1,x\n2,y\n", {"target": "catgory"}, "no column 'catgory'. Did you mean 'category'"),
        ("a,category\n1,x\n2,y\n", {"target": "zzz"}, "It has a, category"),
        ("a,category\n1,x\n2,y\n", {"target": "a", "id": "a"}, "one column cannot be two"),
        ("a,category\n1,x\n2,y\n", {"target": "category", "kind": "image"}, "column holds the images.* --image"),
        ("a,category\n1,x\n2,y\n", {"text": "a", "image": "a"}, "one column cannot be two"),
        ("a,b,category\n1,u,x\n2,v,y\n", {"target": "category", "text": "a"}, "'a' holds Int64, not texts"),
        ("a,category\n", {"target": "category"}, "columns but no rows"),
        ("a,category\n1,x\n2,x\n", {"target": "category"}, "has only one class, 'x'"),
        ("a,category\n1,\n2,NA\n", {"target": "category"}, "all labels are missing"),
        ("category\nx\ny\n", {"target": "category"}, "no columns beside category"),
        ("file,category\nno.png,x\nno2.png,y\n", {"target": "category"}, "no.png.* cannot be read"),
    ],
)
def test_what_cannot_be_learned_from_is_told_in_one_line(tmp_path, content, options, message):
    if "png" in content:
        pytest.importorskip("PIL")
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(TailwiseError, match=message) as error:
        load(tmp_path / "t.csv", **options)
    assert "\n" not in str(error.value)


def test_a_batch_of_broken_images_is_left_out_and_the_rest_is_read(pictures, tmp_path_factory):
    good = [(pictures / path).read_bytes() for path in ("cat/0.png", "dog/1.png", "dog/2.png")]
    path = tmp_path_factory.mktemp("tables") / "t.parquet"
    images = [good[0], b"x", b"x", b"x", None, b"x", *good[1:]]
    pl.DataFrame({"image": images}, schema={"image": pl.Binary}).write_parquet(path)
    options = {"kind": "image", "column": "image", "image_size": 8, "rows": 2}
    parts = list(stream(path, broken="skip", **options))
    assert np.concatenate([part.ids for part in parts]).tolist() == [0, 6, 7]
    assert [len(part) for part in parts] == [1, 0, 0, 2]
    assert "2 broken images were left out; the first is row 2 of 'image'" in parts[1].notes[0]
    with pytest.raises(TailwiseError, match="row 1 of 'image'"):
        list(stream(path, **options))


def test_where_no_image_can_be_read_it_is_said(tmp_path):
    pytest.importorskip("PIL")
    pl.DataFrame({"image": [b"x"] * 5, "y": list("ababa")}).write_parquet(tmp_path / "t.parquet")
    for name in "ab":
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "1.png").write_bytes(b"x")
    options = {"kind": "image", "column": "image", "image_size": 8, "broken": "skip"}
    for path, read in (
        (tmp_path / "t.parquet", lambda path: load(path, "y", image="image", broken="skip")),
        (tmp_path / "folder", lambda path: load(path, broken="skip")),
        (tmp_path / "t.parquet", lambda path: list(stream(path, rows=2, **options))),
        (tmp_path / "folder", lambda path: list(stream(path, **options))),
    ):
        with pytest.raises(TailwiseError, match=r"has no image that can be read: .*known image format") as error:
            read(path)
        assert "\n" not in str(error.value)
        assert str(error.value).startswith(str(path))


def test_a_folder_may_have_the_name_of_no_label(tmp_path):
    for name in ("na", "naan"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text("bread and butter")
    data = load(tmp_path)
    assert data.classes == ("na", "naan")
    assert load(tmp_path, classes=data).labels.tolist() == data.labels.tolist()
    (part,) = stream(tmp_path, kind="text", classes=["naan", "na"])
    assert part.labels.tolist() == [1, 0]


def test_a_folder_has_no_target(pictures):
    with pytest.raises(TailwiseError, match="sub-folders are the classes"):
        load(pictures, "label")


def test_rows_taken_from_a_dataset_stay_together(orders):
    data = load(orders, "category", id="order")
    some = data.take([6, 0])
    assert isinstance(some, Dataset)
    assert some.ids.to_list() == ["A6", "A0"]
    assert some.inputs["price"].to_list() == [1.0, 0.5]
    assert some.labels.tolist() == [-1, 0]
    assert data.take(data.labels == 1).ids.to_list() == ["A1", "A3", "A5"]
    with pytest.raises(TailwiseError, match="2 rows of inputs but 1 labels"):
        Dataset("array", np.zeros((2, 1)), np.zeros(1, dtype=np.int64), np.array(["a"]), np.arange(2))


@pytest.mark.slow
def test_cifar_as_it_is_shipped(shared_data):
    data = load(shared_data / "cifar10-test.parquet", "label")
    assert data.inputs.shape == (10_000, 32, 32, 3)
    assert data.class_counts.tolist() == [1000] * 10
    assert data.classes[0] == "airplane"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_blanks_around_labels_are_taken_off_and_said(tmp_path, suffix):
    frame = pl.DataFrame({"x": range(6), "y": ["Cat", "cat", "cat ", " cat", " ", "Cat"]})
    path = tmp_path / f"t.{suffix}"
    getattr(frame, f"write_{suffix}")(path)
    data = load(path, "y")
    assert data.classes == ("Cat", "cat")
    assert data.class_counts.tolist() == [2, 3]
    assert data.notes[0] == "column 'y': 2 labels have blanks around them: ' cat' is read as 'cat'."
    once = frame.filter(pl.col("y") != " cat").with_columns(pl.col("y").cast(pl.Categorical))
    once.write_parquet(tmp_path / "once.parquet")
    once = load(tmp_path / "once.parquet", "y")
    assert once.classes == ("Cat", "cat")
    assert once.notes[0] == "column 'y': 1 label has blanks around it: 'cat ' is read as 'cat'."


def test_paths_beside_other_columns_are_images_only_if_they_are_there(pictures):
    path = pictures / "table.csv"
    names = [file.relative_to(pictures).as_posix() for file in sorted(pictures.rglob("*.png"))]
    for folder, kind in (("", "image"), ("elsewhere/", "table")):
        frame = {"file": [folder + name for name in names], "x": range(len(names)), "label": ["a", "b"] * 99}
        pl.DataFrame({name: list(values)[: len(names)] for name, values in frame.items()}).write_csv(path)
        assert load(path, "label").kind == kind
    path.unlink()


def test_a_table_for_a_model_of_an_array_is_one_line(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TailwiseError, match="has no array, but the model was trained on one"):
        next(stream(tmp_path / "t.csv", kind="array", features=["x0", "x1"]))


def test_a_name_that_is_no_text_is_told(tmp_path):
    folder = os.fsencode(tmp_path) + b"/bad\xff"
    os.mkdir(folder)
    for name in (folder + b"/1.txt", os.fsencode(tmp_path / "2.txt")):
        with open(name, "w") as file:
            file.write("bread and butter")
    with pytest.raises(TailwiseError, match=r"whose name is not UTF-8, '.*bad\\udcff/1\.txt': rename it"):
        load(tmp_path)


def test_class_names_of_hugging_face_are_used(tmp_path):
    table = pa.table({"x": [0.5, 1.5, 2.5, 3.5], "label": [2, 0, 2, -1]})
    features = {
        "x": {"dtype": "float64", "_type": "Value"},
        "label": {"names": ["red", "green", "blue"], "_type": "ClassLabel"},
    }
    pq.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}),
        tmp_path / "t.parquet",
    )
    data = load(tmp_path / "t.parquet", "label")
    assert data.classes == ("red", "blue")
    assert data.labels.tolist() == [1, 0, 1, -1]
    found = list(stream(tmp_path / "t.parquet", "label", kind="table", classes=["blue", "red"]))
    assert found[0].labels.tolist() == [0, 1, 0, -1]


def test_lists_of_class_codes_in_hugging_face_files_have_names_too(tmp_path):
    table = pa.table({"x": [0.5, 1.5, 2.5, 3.5], "labels": [[2, 0], [], [1], None]})
    feature = {"names": ["red", "green", "blue"], "_type": "ClassLabel"}
    features = {"labels": {"feature": feature, "length": -1, "_type": "Sequence"}}
    pq.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}),
        tmp_path / "t.parquet",
    )
    data = load(tmp_path / "t.parquet", "labels")
    assert data.classes == ("blue", "green", "red")
    assert data.labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [-1, -1, -1]]


def test_arrow_streams_are_read_as_files_are(tmp_path):
    frame = pl.DataFrame({"x": [0.5, 1.5], "y": ["a", "b"]})
    frame.write_ipc_stream(tmp_path / "s.arrow")
    assert load(tmp_path / "s.arrow", "y").inputs["x"].to_list() == [0.5, 1.5]


def test_what_converts_a_text_in_a_class_folder_replaces_it(tmp_path):
    for name, content in (("spam", "caf\xe9".encode("latin-1")), ("ham", b"tea")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_bytes(content)
    with pytest.raises(TailwiseError, match=r"convert it with: iconv .* && mv ") as error:
        load(tmp_path)
    subprocess.run(str(error.value).split("convert it with: ")[1], shell=True, check=True)
    assert sorted(load(tmp_path).inputs) == ["caf\xe9", "tea"]


@pytest.mark.parametrize("begin", ["", "sep=,\n", "\n"])
def test_rows_with_too_few_fields_are_told(tmp_path, begin):
    file = tmp_path / "t.csv"
    file.write_text(begin + 'a,y,b\n1,p,3\n1,q\n"2\n",p,5\n7\n6,q,\n', encoding="utf-8")
    line = 3 + begin.count("\n")
    said = f"2 rows have fewer fields than the header, first in line {line}: what lacks"
    assert any(note.startswith(said) for note in load(file, "y").notes)
    assert any(finding.sentence.startswith(said) for finding in diagnose(file, "y").findings)
    file.write_text("a,y,b\n1,p,3\n1,q,\n", encoding="utf-8")
    assert not load(file, "y").notes
