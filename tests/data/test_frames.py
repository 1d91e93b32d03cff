import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from tailwise.data import Dataset, TableEncoder, as_dataset
from tailwise.data.frames import to_frame
from tailwise.errors import TailwiseError

TABLE = {"a": [1, None], "b": ["x", None], "c": [True, False]}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, dict])
def test_frames_of_every_kind_are_tables(make):
    data = as_dataset(make(TABLE), ["u", "v"])
    assert data.kind == "table"
    assert data.inputs.columns == ["a", "b", "c"]
    assert data.inputs["a"].to_list() == [1, None]
    assert data.inputs["b"].to_list() == ["x", None]
    assert data.labels.tolist() == [0, 1]


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, lambda table: pl.LazyFrame(table)])
def test_names_that_polars_takes_for_patterns_are_refused(make):
    with pytest.raises(TailwiseError, match=r"a column named '\^b\.\*\$', which polars takes for a pattern: rename it"):
        to_frame(make({"a": [1.5, 2], "^b.*$": [0.5, 1]}))


def test_pandas_columns_of_mixed_types_become_strings():
    frame = pd.DataFrame({0: [1, "a", None], "when": pd.to_datetime(["2024-01-01", None, None])})
    assert to_frame(frame)["0"].to_list() == ["1", "a", None]
    assert to_frame(frame)["when"].dtype == pl.Datetime("ns") or to_frame(frame)["when"].dtype.is_temporal()
    with pytest.raises(TailwiseError, match="2 columns named 'a'"):
        to_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_pandas_periods_and_intervals_become_strings():
    bins = pd.cut(pd.Series([1.0, 5, np.nan]), [0, 2, 6])
    months = pd.Series(pd.PeriodIndex(["2024-01", "2024-02", None], freq="M"))
    frame = pd.DataFrame({"bin": bins, "month": months, "cat": months.astype("category")})
    table = to_frame(frame)
    assert table["bin"].to_list() == ["(0, 2]", "(2, 6]", None]
    assert to_frame(frame.head(2))["bin"].to_list() == ["(0, 2]", "(2, 6]"]
    assert to_frame(pd.DataFrame({"bin": pd.interval_range(0, 2)}))["bin"].to_list() == ["(0, 1]", "(1, 2]"]
    assert table["month"].to_list() == table["cat"].to_list() == ["2024-01", "2024-02", None]
    durations = pd.DataFrame({"took": pd.to_timedelta(["1s", None, "2s"])})
    np.testing.assert_array_equal(TableEncoder().fit_transform(durations)[:, 0], np.float32([1, np.nan, 2]))


@pytest.mark.parametrize(
    ("X", "kind", "shape"),
    [
        (np.zeros((3, 2)), "array", (3, 2)),
        ([[1, 2], [3, np.nan]], "array", (2, 2)),
        (sparse.coo_matrix(np.eye(3)), "array", (3, 3)),
        (np.array([[1, 2.5]], dtype=object), "array", (1, 2)),
        (np.array([[1, "a"]], dtype=object), "table", (1, 2)),
        (["one text", "another"], "text", (2,)),
        (pd.Series(["one text", None]), "text", (2,)),
        (pl.Series(["one text", None]), "text", (2,)),
        (pl.DataFrame({"t": [f"a text of some words {i}" for i in range(9)]}), "text", (9,)),
        (np.zeros((2, 8, 8), np.uint8), "image", (2, 8, 8, 1)),
        (np.zeros((2, 8, 8, 3), np.uint8), "image", (2, 8, 8, 3)),
    ],
)
def test_arrays_and_lists_are_recognised(X, kind, shape):
    data = as_dataset(X)
    assert data.kind == kind
    assert data.inputs.shape == shape
    assert data.labels is None
    assert as_dataset(data) is data
    assert data.inputs[:1].shape == (1, *shape[1:])


def test_torch_images_may_be_channels_first():
    torch = pytest.importorskip("torch")
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).reshape(2, 3, 4, 5)
    data = as_dataset(images, torch.tensor([1, 0]))
    np.testing.assert_array_equal(data.inputs, images.permute(0, 2, 3, 1).numpy())
    assert data.class_labels.tolist() == [0, 1]
    assert as_dataset(torch.zeros(4, 2)).kind == "array"


def test_masked_values_are_missing():
    for X in (
        np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]]),
        np.ma.array([[1.0, 2], [3, 4]], mask=[[0, 1], [0, 0]]),
    ):
        np.testing.assert_array_equal(as_dataset(X).inputs, [[1, np.nan], [3, 4]])
    mixed = np.ma.array([["a", 1.5], ["b", 2.5]], dtype=object, mask=[[0, 1], [0, 0]])
    assert as_dataset(mixed).inputs.to_series(1).to_list() in ([None, "2.5"], [None, 2.5])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, np.inf]], "infinity in row 0, column 1"),
        (sparse.csr_matrix([[np.inf]]), "X is sparse and holds NaN or infinity"),
        (sparse.csr_matrix([[np.nan]]), "X is sparse and holds NaN or infinity"),
        (np.zeros((2, 8, 8, 3)), "images must be uint8"),
        (np.zeros((2, 8, 8, 5), np.uint8), "images must be uint8"),
        (np.arange(3000.0), r"Expected 2D array, got 1D array instead: Reshape your data"),
        (np.zeros((0, 3)), "0 sample"),
        (np.zeros((2, 2), dtype=complex), "Complex data not supported"),
        (pl.DataFrame({"a": []}), "no rows"),
    ],
)
def test_arrays_that_cannot_be_used_are_told_in_one_line(X, message):
    with pytest.raises(TailwiseError, match=message) as error:
        as_dataset(X)
    assert "\n" not in str(error.value)


def test_labels_must_be_as_many_as_rows():
    with pytest.raises(TailwiseError, match="3 rows of inputs but 2 labels"):
        as_dataset(np.zeros((3, 1)), [0, 1])
    relabelled = as_dataset(as_dataset(np.zeros((2, 1)), [0, 1]), ["b", "a"])
    assert isinstance(relabelled, Dataset)
    assert relabelled.labels.tolist() == [1, 0]


def test_new_labels_change_nothing_else_of_a_dataset():
    data = Dataset(
        "text", np.array(["a b", "c d"]), None, np.array([]), np.array(["x", "y"]), "mail", "body", ("note",)
    )
    assert as_dataset(data, kind="text") is data
    labelled = as_dataset(data, [1, 0])
    for name in ("kind", "inputs", "ids", "name", "column", "notes"):
        assert getattr(labelled, name) is getattr(data, name)
    with pytest.raises(TailwiseError, match="a data set of text data, which cannot be read as table data"):
        as_dataset(data, kind="table")


def test_one_text_is_not_a_list_of_texts():
    with pytest.raises(TailwiseError, match=r"give a list of texts, not one text: \['good day'\]"):
        as_dataset("good day", kind="text")


def test_an_arrow_table_keeps_its_names():
    arrow = pytest.importorskip("pyarrow").table({"size": [1.5, 2.5], "colour": ["red", "blue"]})
    data = as_dataset(arrow, [0, 1])
    assert data.kind == "table"
    assert data.inputs.equals(pl.DataFrame({"size": [1.5, 2.5], "colour": ["red", "blue"]}))


def test_a_list_of_rows_by_name_is_a_table():
    data = as_dataset([{"a": 1, "b": "x"}, {"a": 2.5}, {"b": "y", "c": True}])
    assert data.kind == "table"
    assert data.inputs.to_dict(as_series=False) == {
        "a": [1, 2.5, None],
        "b": ["x", None, "y"],
        "c": [None, None, True],
    }


COLUMN_OF = {
    "mapping": lambda values: {"x": values},
    "rows by name": lambda values: [{"x": value} for value in values],
    "pandas": lambda values: pd.DataFrame({"x": pd.Series(values, dtype=object)}),
    "array": lambda values: np.array([[value] for value in values], dtype=object),
}


@pytest.mark.parametrize("make", COLUMN_OF.values(), ids=COLUMN_OF)
def test_a_value_among_others_is_spelt_as_it_is_alone(make):
    assert to_frame(make([1.0, "A", 2.5, None])).to_series().to_list() == ["1", "A", "2.5", None]
    assert to_frame(make(["A", np.nan, b"caf\xc3\xa9"])).to_series().to_list() == ["A", None, "café"]
    assert to_frame(make([1, 2.5, None])).to_series().to_list() == [1, 2.5, None]


def test_a_mapping_of_columns_of_every_kind_is_a_table():
    frame = to_frame(
        {"a": [1, "b"], "c": pd.Series([1.5, None]), "d": np.array([1, 2]), "e": pl.Series([3, 4]), "f": 5}
    )
    assert frame.rows() == [("1", 1.5, 1, 3, 5), ("b", None, 2, 4, 5)]


@pytest.mark.parametrize("make", [list, np.array, pl.Series, lambda texts: pl.DataFrame({"t": texts})])
def test_texts_may_be_bytes(make):
    data = as_dataset(make([f"le café du coin {i}".encode() for i in range(3)]))
    assert data.kind == "text"
    assert data.inputs.tolist() == [f"le café du coin {i}" for i in range(3)]
    with pytest.raises(TailwiseError, match=r"bytes that are not UTF-8, such as b'caf\\xe9': decode them"):
        as_dataset(make([b"caf\xe9", b"x"]), kind="text")


def test_texts_are_one_column():
    with pytest.raises(TailwiseError, match=r"texts are one column, but the frame has 2: id, t\. Give the column"):
        as_dataset(pd.DataFrame({"id": [1, 2], "t": ["a", "b"]}), kind="text")


def test_long_doubles_are_numbers():
    array = np.array([[1.5, 2.5]], dtype=np.longdouble)
    assert as_dataset(array).inputs.dtype == np.float64
    assert to_frame(array).rows() == [(1.5, 2.5)]
    assert to_frame({"x": array[0]}).dtypes == [pl.Float64]


@pytest.mark.parametrize("rows", [[[1, 2], [3]], (row for row in [[1]]), [object()]])
def test_what_is_no_table_is_one_line(rows):
    with pytest.raises(TailwiseError) as caught:
        as_dataset(rows)
    assert "\n" not in str(caught.value)


def test_a_mask_must_have_an_entry_for_each_row():
    data = as_dataset(np.eye(4), [0, 1, 0, 1])
    assert data.take([True, False, False, True]).labels.tolist() == [0, 1]
    with pytest.raises(TailwiseError, match="a mask of 3 entries for 4 rows"):
        data.take([True, False, True])


def test_columns_of_records_and_mappings_may_be_numbered():
    assert as_dataset([{0: 1.0, 1: 2.0}, {0: 2.0, 1: 1.0}]).inputs.columns == ["0", "1"]
    assert as_dataset({0: [1.0, 2.0]}).inputs.columns == ["0"]
    with pytest.raises(TailwiseError, match="2 columns named '0'"):
        as_dataset({0: [1.0], "0": [2.0]})


def test_a_sparse_tensor_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TailwiseError, match="give it as a SciPy matrix"):
        as_dataset(torch.eye(3).to_sparse(), [0, 1, 1])
