import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailwise.data import as_dataset, encode_labels
from tailwise.data.labels import trimmed
from tailwise.errors import DataWarning, TailwiseError


@pytest.mark.parametrize(
    ("values", "codes", "classes"),
    [
        (["b", "a", None, "NA", " "], [1, 0, -1, -1, -1], ["a", "b"]),
        ([2, 0, 2], [1, 0, 1], [0, 2]),
        ([1.0, 3.0, np.nan], [0, 1, -1], [1.0, 3.0]),
        (np.array([3, np.nan, 1], dtype=np.float32), [1, -1, 0], [1.0, 3.0]),
        (pl.Series([3, None, 1, 3], dtype=pl.UInt8), [1, -1, 0, 1], [1, 3]),
        (pl.Series([3.0, None, 1.0]), [1, -1, 0], [1.0, 3.0]),
        (pl.Series([None, True]), [-1, 0], [True]),
        ([1.5, 0.5, np.nan], [1, 0, -1], [0.5, 1.5]),
        (np.array([True, False]), [1, 0], [False, True]),
        ([True, None], [0, -1], [True]),
        ([["a"], ["b"]], [0, 1], ["a", "b"]),
        (pd.Series(["x", None, "w"], dtype="category"), [1, -1, 0], ["w", "x"]),
        (pd.Series([3, None], dtype="Int64"), [0, -1], [3]),
        (pd.array([3, None, 1], dtype="UInt8"), [1, -1, 0], [1, 3]),
        (pd.Series([3, 1, 3]).astype("Sparse[int]"), [1, 0, 1], [1, 3]),
        (pd.arrays.SparseArray([3.0, np.nan, 1.0]), [1, -1, 0], [1.0, 3.0]),
        (pd.Series([3, 1, 3], index=[7, 5, 5]), [1, 0, 1], [1, 3]),
        (pl.Series(["b", None, "a", "null"]), [1, -1, 0, -1], ["a", "b"]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), [1, 0], ["a", "b"]),
        (np.array([1, "1", None, 2], dtype=object), [0, 0, -1, 1], ["1", "2"]),
        (pl.Series([Decimal("2.00"), None, Decimal("1.00")]), [1, -1, 0], [1, 2]),
        ([Decimal("1.50"), Decimal("2.50")], [0, 1], ["1.5", "2.5"]),
        (pl.Series([b"b", b"a", None]), [1, 0, -1], ["a", "b"]),
        (np.array(["2024-01-02", "NaT"], dtype="M8[D]"), [0, -1], ["2024-01-02"]),
        (pl.Series([dt.date(2024, 1, 2), None]), [0, -1], ["2024-01-02"]),
        (pd.Series(pd.to_datetime(["2024-01-02"])), [0], ["2024-01-02"]),
        (pl.Series([dt.datetime(2024, 1, 2, 3)]), [0], ["2024-01-02 03:00:00"]),
        (pl.Series([dt.timedelta(days=1, seconds=1)]), [0], ["1 day, 0:00:01"]),
        (pd.Series(pd.period_range("2024-01", periods=2, freq="M")), [0, 1], ["2024-01", "2024-02"]),
        (pa.array(["b", None, "a"]), [1, -1, 0], ["a", "b"]),
        (pa.array(["b", "a"]).dictionary_encode(), [1, 0], ["a", "b"]),
        (pa.chunked_array([[2**53, 2**53 + 1], [None, 5]]), [1, 2, -1, 0], [5, 2**53, 2**53 + 1]),
        (pl.DataFrame({"y": [3, None]}), [0, -1], [3]),
        (pl.Series([3, None, 1], dtype=pl.Int128), [1, -1, 0], [1, 3]),
        (np.array([3, 1], dtype=">i4"), [1, 0], [1, 3]),
        (np.array([3, np.nan], dtype=">f8"), [0, -1], [3.0]),
        (np.array(["2024-01-02T03", "NaT"], dtype="M8[s]"), [0, -1], ["2024-01-02 03:00:00"]),
        (np.array([1, 2], dtype="m8[s]"), [0, 1], ["0:00:01", "0:00:02"]),
        (np.ma.masked_array([3, 1, 2], mask=[False, False, True]), [1, 0, -1], [1, 3]),
        (np.ma.masked_array(["b", "a", "x"], mask=[False, False, True]), [1, 0, -1], ["a", "b"]),
    ],
)
def test_labels_of_every_type_become_codes_and_keep_their_values(values, codes, classes):
    found, kept = encode_labels(values)
    assert found.dtype == np.int64
    assert found.tolist() == codes
    assert kept.tolist() == classes
    assert [type(label) for label in kept.tolist()] == [type(label) for label in classes]


@settings(max_examples=50)
@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3), st.just("NA")),
        min_size=1,
    )
)
@example(["NAN"])
@example([None, "N/a "])
def test_polars_and_lists_agree_and_codes_lead_back(values):
    try:
        codes, classes = encode_labels(values)
    except TailwiseError:
        assert all(v is None or v.strip().lower() in {"", "na", "n/a", "nan"} for v in values)  # of three characters
        return
    again, same = encode_labels(pl.Series(values, dtype=pl.String))
    assert codes.tolist() == again.tolist()
    assert classes.tolist() == same.tolist() == sorted(classes.tolist())
    assert all(code == -1 or classes[code] == value for code, value in zip(codes, values, strict=True))


def test_known_classes_are_matched_by_name_whatever_the_type():
    codes, classes = encode_labels(["3", "1", "NA"], known=np.array([1, 2, 3]))
    assert codes.tolist() == [2, 0, -1]
    assert classes.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("known", "values", "codes"),
    [
        ([1, 2], ["2.0", "1", "1.00"], [1, 0, 0]),
        (["1.0", "2.0"], [2, 1], [1, 0]),
        (["1.0", "2.0"], [2.0, 1.0], [1, 0]),
        (["1.50", "2"], [1.5], [0]),
        (["1.1", "1.10"], ["1.10", "1.1"], [1, 0]),
        (["1.1", "1.10"], [1.1], [0]),
        ([1.5, 2.25], ["2.250", "1.5"], [1, 0]),
        ([False, True], ["TRUE", "true", "False", "FALSE"], [1, 1, 0, 0]),
        (["TRUE", "true"], ["true", "TRUE"], [1, 0]),
        (["\xe9", "z"], ["e\u0301"], [0]),
        (["\xe9", "e\u0301"], ["e\u0301", "\xe9"], [1, 0]),
    ],
)
def test_labels_that_mean_a_known_class_find_it(known, values, codes):
    assert encode_labels(values, np.array(known))[0].tolist() == codes


def test_codes_are_no_numbers():
    with pytest.raises(TailwiseError, match="'7' is not among"):
        encode_labels(["7"], np.array(["007", "8"]))


@pytest.mark.parametrize(
    ("values", "known", "message"),
    [
        (["1.1", "1.10"], ["1.1", "1.2"], r"label '1\.10' is not among the 2 classes.*Did you mean '1\.1'"),
        (["a", "kat"], ["a", "cat"], r"label 'kat' is not among the 2 classes.*Did you mean 'cat'"),
        (["", None], None, "all labels are missing"),
        ([[1, 2], [3, 4]], None, "one label per row"),
        ([1.0, np.inf], None, "infinity.*row 1"),
        ([{}, {}], None, "names or numbers; got values of type dict"),
        ([1j], None, "names or numbers; got complex128"),
        ([("a", 1), ("b",)], None, "one label per row; got several"),
        (pd.Series([("a", 1), ("b", 2)]), None, "names or numbers; got values of type tuple"),
        (pl.Series([{"a": 1}]), None, "names or numbers; got structs"),
        (pl.Series([[1], [2]]), None, "names or numbers; got lists"),
        (pl.Series([b"\xff" * 99]), None, "bytes that are not UTF-8"),
    ],
)
def test_labels_that_cannot_be_used_are_named(values, known, message):
    with pytest.raises(TailwiseError, match=message) as error:
        encode_labels(values, known)
    assert "\n" not in str(error.value)


GRADES = ["low", "mid", "high", "never"]


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (pd.Series(pd.Categorical(["mid", None, "high", "low"], GRADES, ordered=True), index=[3, 3, 1, 2]), GRADES[:3]),
        (pd.CategoricalIndex(["mid", None, "high", "low"], GRADES, ordered=True), GRADES[:3]),
        (pd.DataFrame({"y": pd.Categorical(["mid", None, "high", "low"], GRADES, ordered=True)}), GRADES[:3]),
        (pl.Series(["mid", None, "high", "low"], dtype=pl.Enum(["NA", *GRADES])), GRADES[:3]),
        (pl.Series(["10", "NA", "9", "20"], dtype=pl.Enum(["20", "10", "9", "NA"])), ["20", "10", "9"]),
        (pd.Series(pd.Categorical([2, None, 1, 3], [3, 2, 1], ordered=True)), [3, 2, 1]),
        (pd.cut(pd.Series([3.0, np.nan, 11, 1]), [0, 2, 6, 12]), ["(0, 2]", "(2, 6]", "(6, 12]"]),
    ],
)
def test_classes_that_have_an_order_keep_it(values, classes):
    codes, found = encode_labels(values)
    assert found.tolist() == classes
    assert codes.tolist() == [1, -1, 2, 0]
    assert encode_labels(values, np.array(sorted(classes)))[1].tolist() == sorted(classes)


@pytest.mark.parametrize(
    ("column", "codes", "classes"),
    [
        (["10.5", "2.5", " 3", "0.5", "NA"], [3, 1, 2, 0, -1], ["0.5", "2.5", "3", "10.5"]),
        (["1.10", "1.9", "1.1", None], [1, 2, 0, -1], ["1.1", "1.10", "1.9"]),
        (["10", "007", "8"], [2, 0, 1], ["007", "8", "10"]),
        (["10", "9", "NA"], [1, 0, -1], [9, 10]),
        (["10.5", "2.5", "2.5a"], [0, 1, 2], ["10.5", "2.5", "2.5a"]),
    ],
)
def test_names_of_a_file_that_are_all_numbers_have_their_order(column, codes, classes):
    found, labels = encode_labels(trimmed(pl.Series(column)))
    assert found.tolist() == codes
    assert labels.tolist() == classes


def test_the_order_of_an_enum_comes_from_a_file_too():
    column = pl.Series(["low", "high"], dtype=pl.Enum(GRADES))
    assert trimmed(column) is column


def test_a_class_that_is_called_like_a_missing_value_is_told():
    with pytest.warns(DataWarning, match="labels 'NA' and 'Na' are taken for missing ones"):
        data = as_dataset(np.zeros((5, 1)), ["Fe", "Na", "Cl", "NA", None])
    assert data.classes == ("Cl", "Fe")
    as_dataset(np.zeros((3, 1)), np.array(["a", "b", np.nan]))  # as NumPy writes what is missing


def test_labels_of_a_time_zone_are_called_by_its_clocks():
    midnight = [dt.datetime(2021, 6, day, tzinfo=ZoneInfo("Europe/Berlin")) for day in (1, 2)]
    for values in (pl.Series(midnight), pd.Series(midnight)):
        assert encode_labels(values)[1].tolist() == ["2021-06-01", "2021-06-02"]
