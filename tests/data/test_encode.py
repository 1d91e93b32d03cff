import datetime
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tailwise.data import PixelEncoder, TableEncoder
from tailwise.errors import DataWarning, TailwiseError


def table(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, rng.normal(100, 20, n)),
            "price": [f"${x:,.2f}" for x in rng.random(n) * 5000],
            "colour": rng.choice(["red", "red", "green", "blue", "NA"], n),
            "member": rng.random(n) < 0.5,
            "day": [datetime.date(2024, 1, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 300, n)],
            "note": [f"order {i} of {rng.choice(['Oslo', 'Rome'])}" for i in range(n)],
            "nothing": [None] * n,
        }
    )


def lost(encoder, frame):
    found = encoder.lost_values()
    found.add(frame)
    return found.notes()


def test_trees_get_numbers_as_they_are_and_missing_as_nan():
    frame = table()
    encoder = TableEncoder()
    out = encoder.fit_transform(frame)
    names = encoder.get_feature_names_out().tolist()
    assert out.dtype == np.float32
    assert out.shape == (200, len(names))
    np.testing.assert_allclose(out[:, names.index("amount")], frame["amount"].to_numpy().astype(np.float32))
    np.testing.assert_allclose(out[0, names.index("price")], float(frame["price"][0].strip("$").replace(",", "")))
    codes = out[:, names.index("colour")]
    assert set(codes[frame["colour"].to_numpy() == "red"]) == {0}  # the commonest
    assert np.isnan(codes[frame["colour"].to_numpy() == "NA"]).all()
    np.testing.assert_array_equal(out[:, names.index("day month")], frame["day"].dt.month().to_numpy())
    assert encoder.notes_ == ("column 'nothing' has no values and is left out.",)


def test_networks_get_finite_scaled_columns():
    frame = table().with_columns(amount=pl.when(pl.int_range(200) == 5).then(1e30).otherwise("amount"))
    encoder = TableEncoder(scale=True)
    out = encoder.fit_transform(frame)
    names = encoder.get_feature_names_out().tolist()
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 3
    missing = np.isnan(frame["amount"].to_numpy())
    np.testing.assert_array_equal(out[:, names.index("amount missing")], missing)
    assert (out[missing, names.index("amount")] == 0).all()
    # Independent formula: median and quartile range, then x / sqrt(1 + (x / 3)^2).
    x = frame["amount"].to_numpy()[~missing]
    lower, middle, upper = np.quantile(x, [0.25, 0.5, 0.75])
    z = (x - middle) / (upper - lower)
    np.testing.assert_allclose(
        out[~missing, names.index("amount")], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(out[:, names.index("colour red")], frame["colour"].to_numpy() == "red")


@pytest.mark.parametrize("scale", [False, True])
def test_batches_rows_and_column_order_do_not_matter(scale):
    frame = table()
    encoder = TableEncoder(scale=scale).fit(frame)
    whole = encoder.transform(frame)
    parts = np.concatenate([encoder.transform(part.select(reversed(part.columns))) for part in frame.iter_slices(33)])
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    np.testing.assert_array_equal(clone(encoder).fit(frame).transform(frame), whole)
    np.testing.assert_array_equal(encoder.transform(frame.to_pandas()), whole)


def test_pandas_and_polars_are_encoded_alike():
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": pd.Categorical(["x", "y"]), "c": [True, False]})
    np.testing.assert_array_equal(
        TableEncoder().fit_transform(frame), TableEncoder().fit_transform(pl.from_pandas(frame))
    )


def test_types_that_changed_are_put_right():
    encoder = TableEncoder().fit(pl.DataFrame({"n": [1, 2, 3], "k": ["1", "2", "x"], "b": [True, False, True]}))
    expected = encoder.transform(pl.DataFrame({"n": [1, 2], "k": ["1", "2"], "b": [True, False]}))
    changed = pl.DataFrame({"b": ["True", "FALSE"], "n": ["1", "2.0"], "k": [1.0, 2.0], "more": [0, 0]})
    np.testing.assert_array_equal(encoder.transform(changed), expected)
    assert lost(encoder, changed) == ("columns that training did not have are ignored: more.",)
    (note,) = lost(encoder, pl.DataFrame({"n": [None, None], "k": ["1", "2"], "b": [True, False]}))
    assert note == "column 'n' has no values here: taken as missing."
    (note,) = lost(encoder, pl.DataFrame({"n": [1], "k": ["new"], "b": [True]}))
    assert "'k': 1 value that training did not have, such as 'new', is taken as missing." in note


def test_columns_that_are_missing_or_have_changed_meaning_are_named():
    encoder = TableEncoder().fit(pl.DataFrame({"age": [1, 2], "city": ["a", "b"], "zip": [1, 2]}))
    with pytest.raises(TailwiseError, match=r"no column 'age', which the model was trained on\. Did you mean 'Age'"):
        encoder.transform(pl.DataFrame({"Age": [1], "city": ["a"], "zip": [3]}))
    with pytest.raises(TailwiseError, match="no columns 'age', 'zip'"):
        encoder.transform(pl.DataFrame({"city": ["a"]}))
    with pytest.raises(TailwiseError, match="'age' held only numbers in training"):
        encoder.transform(pl.DataFrame({"age": ["old"] * 10, "city": ["a"] * 10, "zip": [3] * 10}))
    with pytest.raises(TailwiseError, match="no column of the table has values"):
        TableEncoder().fit(pl.DataFrame({"a": [None]}))
    with pytest.raises(NotFittedError):
        TableEncoder().transform(pl.DataFrame({"a": [1]}))


def test_names_that_recur_are_one_column_for_trees():
    names = pl.DataFrame({"shop": [f"shop {i % 50}" for i in range(50 * 100)]})
    assert TableEncoder().fit_transform(names).shape == (5000, 1)
    assert TableEncoder(text_components=5).fit_transform(names.head(4900)).shape == (4900, 5)


def test_infinity_in_a_table_is_missing_and_said_so():
    encoder = TableEncoder()
    out = encoder.fit_transform(pl.DataFrame({"a": [1.0, np.inf, 3.0]}))
    assert np.isnan(out[1, 0])
    first = "column 'a': 1 infinite value, first in row 1 of those encoded, is taken as missing."
    assert encoder.notes_ == (first,)
    (note,) = lost(encoder, pl.DataFrame({"a": [1.0, None, -np.inf, np.inf]}))
    assert note == "column 'a': 2 infinite values, first in row 2 of those encoded, are taken as missing."


@pytest.mark.parametrize("scale", [False, True])
def test_a_saved_encoder_does_the_same(scale):
    import skops.io as sio

    encoder = TableEncoder(scale=scale).fit(table())
    saved = sio.dumps(encoder)
    types = sio.get_untrusted_types(data=saved)
    assert all(name.startswith(("tailwise.data.", "skrub.")) for name in types)
    np.testing.assert_array_equal(
        sio.loads(saved, trusted=types).transform(table(50, 1)), encoder.transform(table(50, 1))
    )
    assert len(saved) < 1_000_000


MEMORY = """
import numpy as np, polars as pl
from tailwise.data import PixelEncoder, TableEncoder

def status(key):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(key))

n, rng = 1_000_000, np.random.default_rng(0)
names = np.array(["red", "green", "blue"])
frame = pl.DataFrame(
    {f"x{i}": rng.random(n) for i in range(16)}
    | {"k": rng.integers(0, 9, n), "c": names[rng.integers(0, 3, n)], "b": rng.random(n) < 0.5, "f": rng.random(n)}
)
TableEncoder().fit_transform(frame.head(100))
open("/proc/self/clear_refs", "w").write("5")
base = status("VmRSS")
TableEncoder().fit_transform(frame)
print((status("VmHWM") - base) / frame.estimated_size("mb"))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux to measure peak memory")
def test_a_million_rows_are_encoded_in_less_memory_than_twice_the_table():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2


def test_dates_that_could_begin_with_the_day_are_told():
    dates = ["03/04/2024", "05/06/2024", "07/07/2024", None]
    (note,) = TableEncoder().fit(pl.DataFrame({"when": dates, "n": [1, 2, 3, 4]})).notes_
    assert note.startswith("column 'when': dates such as '03/04/2024' are read with the month first")
    for decided in (["03/04/2024", "25/06/2024"], ["03/04/2024", "06/25/2024"], ["2024-03-04", "2024-06-05"]):
        assert TableEncoder().fit(pl.DataFrame({"when": decided})).notes_ == ()


@pytest.mark.parametrize(
    ("strays", "note"),
    [
        (["tbd"], "column 'n': 1 value is not a number, such as 'tbd'; taken as missing."),
        (["tbd", "x"], "column 'n': 2 values are not numbers, such as 'tbd'; taken as missing."),
    ],
)
def test_what_is_not_a_number_is_counted_in_plain_english(strays, note):
    assert TableEncoder().fit(pl.DataFrame({"n": [*map(str, range(40)), *strays]})).notes_ == (note,)


def test_dates_before_the_year_1000_are_missing_and_said_so():
    encoder = TableEncoder().fit(pl.DataFrame({"when": ["2024-01-01", "2024-05-02"]}))
    new = pl.DataFrame({"when": ["0001-01-01T00:00:00", "2024-03-01", "0001-01-01", "2024-02-01"]})
    assert np.isnan(encoder.transform(new)[[0, 2]]).all()
    (note,) = lost(encoder, new)
    assert note.startswith("column 'when': 2 values are not dates from the year 1000 on, such as '0001-01-01T00:00:00'")
    with pytest.raises(TailwiseError, match="10 of 10 values are not dates from the year 1000 on, such as '0001"):
        encoder.transform(new[[0, 2] * 5])


@pytest.mark.parametrize("scale", [False, True])
def test_numbers_among_words_are_numbers_and_the_words_categories(scale):
    rng = np.random.default_rng(0)
    words = rng.choice(["negative", "<1.1", ""], 300, p=[0.5, 0.1, 0.4])
    numbers = rng.random(300).round(3)
    frame = pl.DataFrame({"crp": [word or str(x) for word, x in zip(words, numbers, strict=True)]})
    encoder = TableEncoder(scale=scale)
    out = encoder.fit_transform(frame)
    names = encoder.get_feature_names_out().tolist()
    assert encoder.notes_ == ("column 'crp': words such as 'negative' are categories beside the numbers.",)
    if scale:
        assert names == ["crp", "crp missing", "crp negative", "crp <1.1"]
        np.testing.assert_array_equal(out[:, 1], words != "")
        np.testing.assert_array_equal(out[:, 2], words == "negative")
    else:
        assert names == ["crp", "crp word"]
        assert encoder.nominal_ == (1,)
        np.testing.assert_array_equal(out[:, 0], np.where(words == "", numbers, np.nan).astype(np.float32))
        np.testing.assert_array_equal(out[:, 1], np.select([words == "negative", words == "<1.1"], [0, 1], np.nan))
    assert lost(encoder, pl.DataFrame({"crp": ["negative"]})) == ()
    np.testing.assert_array_equal(encoder.transform(frame.filter(words == "negative")), out[words == "negative"])
    (note,) = lost(encoder, pl.DataFrame({"crp": ["negative", "1", "positive"]}))
    assert note == "column 'crp': 1 value is not a number, such as 'positive'; taken as missing."


def test_losses_are_counted_over_all_batches():
    frame = pl.DataFrame({"n": [*map(str, range(40)), "n/m"], "f": [*[0.5] * 40, np.inf], "c": ["a"] * 41})
    encoder = TableEncoder().fit(frame)
    found = encoder.lost_values()
    found.add(pl.DataFrame({"n": ["n/m"] * 30, "f": [1.0] * 30, "c": ["b"] * 30}))
    found.add(pl.DataFrame({"n": ["7", "n/m"], "f": [1.0, -np.inf], "c": ["c", "a"], "more": [0, 0]}))
    assert found.notes() == (
        "columns that training did not have are ignored: more.",
        "column 'n': 31 values are not numbers, such as 'n/m'; taken as missing.",
        "column 'f': 1 infinite value, first in row 31 of those encoded, is taken as missing.",
        "column 'c': 31 values that training did not have, such as 'b', are taken as missing.",
    )


def test_numbers_that_could_have_a_decimal_comma_are_told():
    (note,) = TableEncoder().fit(pl.DataFrame({"a": ["4,332", "6,227", "7"]})).notes_
    assert note.startswith("column 'a': numbers such as '4,332' are read with a comma between thousands")
    for decided in (["4,332", "6,22"], ["4,332", "6.22"], ["4.332", "6.221"]):
        assert TableEncoder().fit(pl.DataFrame({"a": decided})).notes_ == ()


def test_columns_that_were_left_out_need_not_come_again():
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0], "gone": [None] * 3, "nested": [[1], [2], [3]]})
    encoder = TableEncoder().fit(frame)
    np.testing.assert_array_equal(encoder.transform(frame.select("a")), encoder.transform(frame))
    assert encoder.needed == ["a"]
    assert lost(encoder, frame.select("a")) == ()
    with pytest.raises(TailwiseError, match="no column 'a', which the model was trained on"):
        encoder.transform(frame.select("gone", "nested"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("scale", [False, True])
def test_a_column_without_finite_numbers_is_left_out(value, scale):
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0], "x": [value] * 3})
    encoder = TableEncoder(scale=scale).fit(frame)
    assert encoder.transform(frame).shape == (3, 1)
    assert encoder.notes_ == ("column 'x' has no finite values and is left out.",)
    assert encoder.transform(frame.drop("x")).shape == (3, 1)


def test_no_images_are_no_rows():
    encoder = PixelEncoder().fit(np.zeros((2, 4, 4, 3), np.uint8))
    assert encoder.transform(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0, 48)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize(
    "column",
    [
        1_700_000_000 + np.arange(100),
        10**15 + np.arange(100),
        [datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=20 * i) for i in range(100)],
    ],
    ids=["seconds", "identifiers", "times"],
)
def test_differences_between_large_numbers_are_kept(column, scale):
    frame = pl.DataFrame({"t": column})
    encoder = TableEncoder(scale=scale).fit(frame)
    of = [i for i, name in enumerate(encoder.get_feature_names_out()) if name in ("t", "t total_seconds")]
    (encoded,) = encoder.transform(frame)[:, of].T
    assert len(np.unique(encoded)) == 100
    assert (np.diff(encoded) > 0).all()


@pytest.mark.parametrize("scale", [False, True])
def test_a_column_whose_values_are_all_new_is_told(scale):
    frame = pl.DataFrame({"a": ["high", "low"] * 20, "b": [1.5, 2.5] * 20})
    encoder = TableEncoder(scale=scale)
    assert np.array_equal(encoder.fit_transform(frame), encoder.transform(frame))
    with pytest.warns(DataWarning, match="column 'a': 40 values that training did not have, such as 'High'"):
        encoder.transform(frame.with_columns(pl.col("a").str.to_titlecase()))
    encoder.transform(frame.with_columns(a=pl.Series(["high", "new"] * 20)))  # half of them are known
    with pytest.warns(DataWarning, match="column 'b': 1 value is not a number, such as 'late'"):
        encoder.transform(pl.DataFrame({"a": ["low"], "b": ["late"]}))


def test_categories_that_are_numbers_are_categories():
    codes = pd.Series([3, 1, 3, 2] * 10).astype("category")
    encoder = TableEncoder(scale=True).fit(pd.DataFrame({"code": codes}))
    assert encoder.get_feature_names_out().tolist() == ["code 3", "code 1", "code 2"]
    ours = encoder.transform(pd.DataFrame({"code": [1, 2]}))
    np.testing.assert_array_equal(ours, [[0, 1, 0], [0, 0, 1]])
    assert TableEncoder().fit(pd.DataFrame({"code": codes.astype(float).astype("category")})).nominal_ == (0,)


@pytest.mark.parametrize("as_format", [sparse.csr_matrix, sparse.csr_array, sparse.dok_matrix])
def test_sparse_numbers_are_a_table_like_dense_ones(as_format):
    numbers = np.eye(4)[:, :3] * 2.5
    given = as_format(numbers)
    wanted = TableEncoder().fit(numbers).transform(numbers)
    encoder = TableEncoder().fit(given)
    np.testing.assert_array_equal(encoder.transform(given), wanted)
    np.testing.assert_array_equal(TableEncoder().fit_transform(given), wanted)
