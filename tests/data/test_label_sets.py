"""Sets of labels in every form in which people have them, and splits that keep rare labels in training."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from tailwise.data import as_dataset, encode_label_sets, label_set_folds, label_set_split, load, stream
from tailwise.data.label_sets import as_form
from tailwise.data.splits import label_set_halves
from tailwise.errors import TailwiseError

TABLE = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1], [0, 1, 0]])
ROWS = arrays(np.int8, st.tuples(st.integers(6, 40), st.integers(2, 6)), elements=st.integers(0, 1))
MODEST = settings(max_examples=100)


@pytest.mark.parametrize(
    ("given_", "form"),
    [
        (TABLE, "array"),
        (TABLE.astype(bool), "array"),
        (TABLE.astype(float), "array"),
        (TABLE.tolist(), "array"),
        (list(TABLE), "array"),
        (sparse.csr_array(TABLE), "sparse"),
        (sparse.coo_matrix(TABLE), "sparse"),
    ],
)
def test_indicators(given_, form):
    found = encode_label_sets(given_)
    np.testing.assert_array_equal(found.rows, TABLE)
    assert found.rows.dtype == np.int8
    assert found.labels.tolist() == [0, 1, 2]
    assert found.form == form
    back = as_form(found.rows, found.labels, found.form)
    np.testing.assert_array_equal(back.toarray() if form == "sparse" else back, TABLE)


def test_frames_name_their_labels():
    for frame in (pd.DataFrame(TABLE, columns=["a", "b", "c"]), pl.DataFrame(TABLE, schema=["a", "b", "c"])):
        found = encode_label_sets(frame)
        np.testing.assert_array_equal(found.rows, TABLE)
        assert found.labels.tolist() == ["a", "b", "c"]
        back = as_form(found.rows, found.labels, found.form)
        assert type(back) is type(frame)
        assert list(back.columns) == ["a", "b", "c"]
        np.testing.assert_array_equal(back.to_numpy(), TABLE)


SETS = [["b", "a"], {"a"}, (), None, ("c", "c")]


@pytest.mark.parametrize("given_", [SETS, pd.Series(SETS), pl.Series([["b", "a"], ["a"], [], None, ["c", "c"]])])
def test_sets_of_labels(given_):
    found = encode_label_sets(given_)
    assert found.labels.tolist() == ["a", "b", "c"]
    assert found.rows.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [-1, -1, -1], [0, 0, 1]]
    assert as_form(found.rows[:2], found.labels, found.form) == [["a", "b"], ["a"]]


@pytest.mark.parametrize(
    "given_",
    [
        pa.array([["u"], ["v", "u"], [], None]),
        pa.chunked_array([[["u"], ["v", "u"]], [[], None]]),
        pd.Series([["u"], ["v", "u"], [], None], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
        pd.Series([["u"], ["v", "u"], [], np.nan]),
    ],
)
def test_columns_of_lists_of_any_library_are_sets_and_missing_ones_unknown(given_):
    found = encode_label_sets(given_)
    assert found.labels.tolist() == ["u", "v"]
    assert found.rows.tolist() == [[1, 0], [1, 1], [0, 0], [-1, -1]]


@pytest.mark.parametrize("table", [pa.table, pl.LazyFrame])
def test_tables_of_any_library_are_indicators(table):
    found = encode_label_sets(table({"a": [1, 0], "b": [0, 1]}))
    assert found.labels.tolist() == ["a", "b"]
    assert found.rows.tolist() == [[1, 0], [0, 1]]


def test_what_means_no_label_is_a_label_inside_a_set(tmp_path):
    sets = [["NA", "US"], ["DE", "null"], ["DE"], [None, "US"]]
    found = encode_label_sets(sets)
    assert found.labels.tolist() == ["DE", "NA", "US", "null"]
    assert found.rows.sum(axis=0).tolist() == [2, 1, 2, 1]
    (tmp_path / "t.csv").write_text("x,y\n1,NA|US\n2,DE|null\n3,DE\n4,US\n5,NA\n")
    data = load(tmp_path / "t.csv", "y", separator="|")
    assert data.classes == ("DE", "NA", "US", "null")
    assert data.labels.tolist() == [*found.rows.tolist(), [-1] * 4]


def test_labels_are_matched_by_what_they_mean():
    known = np.array([1, 2, 30])
    assert encode_label_sets([["1.0", 30], ["2"]], known).rows.tolist() == [[1, 0, 1], [0, 1, 0]]
    with pytest.raises(TailwiseError, match="label '31' is not among the 3 classes"):
        encode_label_sets([["31"]], known, "tags")


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (TABLE * 2, "must be an indicator of 0 and 1, but row 0, column 0 is 2"),
        (np.where(TABLE, np.nan, 0), "row 0, column 0 is nan"),
        (np.full((2, 2), "a"), "values that are not numbers"),
        (["red", "green"], "a set of labels per row; row 0 is 'red'"),
        ([1, 2, 3], "row 0 is 1"),
        ([[], set()], "no row has a label"),
    ],
)
def test_what_is_no_set_of_labels_is_one_line(given_, message):
    with pytest.raises(TailwiseError, match=message):
        encode_label_sets(given_)


def test_a_dataset_of_sets_counts_them():
    from dataclasses import replace

    data = replace(as_dataset(np.zeros((4, 2))), labels=TABLE.astype(np.int8), class_labels=np.arange(3))
    assert data.has_sets
    assert data.class_counts.tolist() == [1, 2, 2]
    assert data.take([0, 2]).class_counts.tolist() == [1, 1, 2]
    assert not as_dataset(np.zeros((4, 2)), [0, 1, 0, 1]).has_sets


def kept_in_training(rows, train):
    return (rows[train].any(axis=0) == rows.any(axis=0)).all()


@given(ROWS, st.integers(2, 4), st.integers(0, 1000))
@MODEST
def test_every_label_stays_in_every_training_set(rows, n_splits, seed):
    try:
        folds = label_set_folds(rows, n_splits, seed)
    except TailwiseError:  # too few examples can be spared
        reject()
    tested = np.concatenate([test for _, test in folds])
    assert len(np.unique(tested)) == len(tested)
    for train, test in folds:
        assert np.array_equal(np.sort(np.r_[train, test]), np.arange(len(rows)))
        assert kept_in_training(rows, train)
    again = label_set_folds(rows, n_splits, seed)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))


@given(ROWS, st.floats(0.1, 0.9), st.integers(0, 1000))
@MODEST
def test_a_split_keeps_every_label_in_training(rows, share, seed):
    try:
        train, test = label_set_split(rows, share, seed)
    except TailwiseError:  # no example can be spared
        reject()
    assert np.array_equal(np.sort(np.r_[train, test]), np.arange(len(rows)))
    assert kept_in_training(rows, train)


def test_labels_are_dealt_evenly_where_chance_would_not():
    rng = np.random.default_rng(0)
    rows = (rng.random((1500, 40)) < np.geomspace(0.3, 0.004, 40)).astype(np.int8)
    counts = rows.sum(axis=0)
    folds = label_set_folds(rows, 3, 0)
    dealt = np.array([rows[test].sum(axis=0) for _, test in folds])
    assert (np.abs(dealt - counts / 3) <= np.maximum(2, 0.1 * counts)).all()
    by_chance = np.array([rows[part].sum(axis=0) for part in np.array_split(rng.permutation(1500), 3)])
    assert np.abs(dealt - counts / 3).mean() < 0.5 * np.abs(by_chance - counts / 3).mean()
    _, test = label_set_split(rows, 0.25, 0)
    assert len(test) == pytest.approx(375, abs=10)
    assert (np.abs(rows[test].sum(axis=0) - counts / 4) <= np.maximum(2, 0.1 * counts)).all()
    halves = label_set_halves(rows)
    assert (np.abs(rows[halves == 0].sum(axis=0) - counts / 2) <= np.maximum(2, 0.1 * counts)).all()


def test_labels_that_parts_lack_equally_go_where_examples_lack():
    assert np.bincount(label_set_halves(np.eye(100))).tolist() == [50, 50]


def test_rows_whose_labels_nobody_knows_are_in_neither_part():
    rows = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 1], [-1, -1]], np.int8)
    train, test = label_set_split(rows, 0.3, 0)
    assert 6 not in np.r_[train, test]
    for train, test in label_set_folds(rows, 2, 0):
        assert 6 not in np.r_[train, test]


def test_what_cannot_be_split_is_one_line():
    with pytest.raises(TailwiseError, match="too few examples, or too few with labels that others have, for 3 folds"):
        label_set_folds(np.eye(4), 3)
    with pytest.raises(TailwiseError, match="none can be set aside"):
        label_set_split(np.eye(4), 0.3)
    with pytest.raises(TailwiseError, match="test_size must be a number above 0"):
        label_set_split(TABLE, 1.5)
    with pytest.raises(TailwiseError, match="n_splits must be a whole number of at least 2"):
        label_set_folds(TABLE, 1)


TAGS = "id,tags,text\n1,red| blue,a\n2,blue ,b\n3,|,c\n4,,d\n5,NA,e\n6,green|red|red,f\n"


def test_a_column_of_text_is_split(tmp_path):
    file = tmp_path / "tags.csv"
    file.write_text(TAGS)
    data = load(file, "tags", separator="|", id="id")
    assert data.classes == ("blue", "green", "red")
    assert data.labels.tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 0], [-1, -1, -1], [-1, -1, -1], [0, 1, 1]]
    assert data.is_labelled.tolist() == [True, True, True, False, False, True]
    assert data.take([]).is_labelled.shape == (0,)
    assert data.class_counts.tolist() == [2, 1, 2]
    assert data.notes[0].startswith("2 of 6 rows have no known labels ('NA' counts as none); they are kept apart")
    (part,) = stream(file, "tags", separator="|", kind="table", id="id", classes=["blue", "green", "red"])
    assert part.labels.tolist() == data.labels.tolist()
    with pytest.raises(TailwiseError, match="label 'green' is not among the 2 classes"):
        load(file, "tags", separator="|", id="id", classes=["blue", "red"])


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_column_of_lists_needs_no_separator(tmp_path, suffix):
    frame = pl.DataFrame({"tags": [["red", "blue"], [], None, ["blue"]], "n": [1, 2, 3, 4]})
    file = tmp_path / f"tags{suffix}"
    frame.write_parquet(file) if suffix == ".parquet" else frame.write_ndjson(file)
    data = load(file, "tags")
    assert data.classes == ("blue", "red")
    assert data.labels.tolist() == [[1, 1], [0, 0], [-1, -1], [1, 0]]
    with pytest.raises(TailwiseError, match="holds lists, not texts: leave the separator out"):
        load(file, "tags", separator="|")


@pytest.mark.parametrize(
    ("separator", "message"),
    [
        ("", "the separator is empty: give the text between the labels in .*tags.csv, column 'tags', such as"),
        (";", "has at most one label per row, and nothing that ';' separates: correct the separator, or leave it out"),
    ],
)
def test_a_separator_that_separates_nothing_is_one_line(tmp_path, separator, message):
    (tmp_path / "tags.csv").write_text(TAGS)
    with pytest.raises(TailwiseError, match=message):
        load(tmp_path / "tags.csv", "tags", separator=separator)
    (tmp_path / "folder" / "a").mkdir(parents=True)
    with pytest.raises(TailwiseError, match="whose sub-folders are the classes: leave the separator out"):
        load(tmp_path / "folder", separator="|")


def test_a_column_of_lists_of_numbers_is_no_indicator():
    for column in (pl.Series([[0, 1]]), pl.Series([[0, 1], [1, 0]])):
        found = encode_label_sets(column, known=np.arange(5))
        assert found.rows.tolist() == [[1, 1, 0, 0, 0]] * len(column)
    assert encode_label_sets([[0, 1]], known=np.arange(2, -1, -1)).rows.tolist() == [[0, 1, 1]]


def test_labels_in_lists_lose_blanks_as_in_text(tmp_path):
    lists = pl.DataFrame({"a": [1, 2, 3], "y": [["b ", "é\n"], [], ["é", "  "]]})
    lists.write_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text('a,y\n1,"b |é\n"\n2,|\n3,é\n', encoding="utf-8")
    ours, theirs = load(tmp_path / "t.parquet", "y"), load(tmp_path / "t.csv", "y", separator="|")
    assert ours.classes == theirs.classes == ("b", "é")
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    again = load(tmp_path / "t.parquet", "y", separator="|", classes=theirs)  # as it was for the training data
    np.testing.assert_array_equal(again.labels, theirs.labels)
