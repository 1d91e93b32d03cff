from datetime import date, datetime, time, timedelta

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwise.data import TableEncoder
from tailwise.data.columns import Reading, lost_values, read_as
from tailwise.errors import TailwiseError

POSTCODES = [f"{i:05}" for i in range(9990, 10_990, 50)]  # one of which starts with a zero
CASES = {
    "currency and thousands": (["$1,234.50", "2000 €", "EUR 3", "NA", ""], "number", [1234.5, 2000, 3, None, None]),
    "decimal comma": (["1.234,50", "2,5", "-3"], "number", [1234.5, 2.5, -3]),
    "spaces between thousands": (["1\u202f234,5", "1 000", "7"], "number", [1234.5, 1000, 7]),
    "negatives": (["(1,000.00)", "($5)", "-$6", "7-", "−8"], "number", [-1000, -5, -6, -7, -8]),
    "percent and exponent": (["5 %", "12%", "1e3"], "number", [5, 12, 1000]),
    "comma and exponent": (["1,234E+03", "-2,5E-01", "7"], "number", [1234, -0.25, 7]),
    "mixed dates": (
        ["2024-01-05", "Jan 6, 2024", "07/01/2024", "31.01.2024", "2024-01-05T10:11:12.5+02:00"],
        "date",
        [datetime(2024, 1, d) for d in (5, 6, 7, 31)] + [datetime(2024, 1, 5, 8, 11, 12)],
    ),
    "month first": (["12/31/2023", "1/2/24"], "date", [datetime(2023, 12, 31), datetime(2024, 1, 2)]),
    "seconds before noon": (["10/23/2023 08:32:06 AM"], "date", [datetime(2023, 10, 23, 8, 32, 6)]),
    "the zone by its name": (["2023-10-23 08:32:06 UTC"], "date", [datetime(2023, 10, 23, 8, 32, 6)]),
    "a spreadsheet's months": (["23-Oct-23", "1-Nov-99"], "date", [datetime(2023, 10, 23), datetime(1999, 11, 1)]),
    "year first, with points": (["2023.10.23"], "date", [datetime(2023, 10, 23)]),
    "months first, without a comma": (
        ["Oct 23 2023", "May 1 2024"],
        "date",
        [datetime(2023, 10, 23), datetime(2024, 5, 1)],
    ),
    "a logger's comma": (["2023-10-23 10:00:49,569"], "date", [datetime(2023, 10, 23, 10, 0, 49)]),
    "two-digit years": (["31-12-23", "01-02-24"], "date", [datetime(2023, 12, 31), datetime(2024, 2, 1)]),
    "codes are not numbers": (["007", "012"], "category", ["007", "012"]),
    "postcodes are not numbers": (POSTCODES, "category", POSTCODES),
    "one zero too many makes no codes": (["007", *map(str, range(20))], "number", [None, *range(20)]),
    "versions are not dates": (["1.2.3.4", "2.3.4.5"], "category", ["1.2.3.4", "2.3.4.5"]),
    "short versions are not dates": (["1.2.3", "1.2.30", "1.10.0"], "category", ["1.2.3", "1.2.30", "1.10.0"]),
    "two numbers are not one": (["12 13", "14 15"], "category", ["12 13", "14 15"]),
    "spellings of missing": ([" yes", "no ", "?", "N/A", "-NaN"], "category", ["yes", "no", None, None, None]),
    "booleans among words": (["yes", "True"], "category", ["yes", "true"]),
    "nothing": ([None, "", "NaN"], "empty", [None, None, None]),
}


@pytest.mark.parametrize("name", CASES)
def test_strings_are_read_as_a_person_would(name):
    values, kind, expected = CASES[name]
    column = pl.Series("c", values, dtype=pl.String)
    reading = read_as(column, max_categories=40)
    assert reading.kind == kind
    assert reading(column).to_list() == expected


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pl.Series([1, 2]), "number"),
        (pl.Series([1.5, None]), "number"),
        (pl.Series([True, False]), "category"),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "category"),
        (pl.Series([datetime(2024, 1, 1)]), "date"),
        (pl.Series([[1], [2]]), "empty"),
        (pl.Series([None, None]), "empty"),
        (pl.Series([f"word {i}" for i in range(41)]), "text"),
    ],
)
def test_types_are_taken_as_they_are(column, kind):
    assert read_as(column, max_categories=40).kind == kind


@settings(max_examples=60)
@given(st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 2)), min_size=1, max_size=20))
def test_numbers_written_with_separators_are_the_same_numbers(numbers):
    written = pl.Series("c", [f"{number:,.2f}" for number in numbers])
    assert read_as(written, 40)(written).to_list() == pytest.approx(numbers)
    european = written.map_elements(lambda s: s.translate(str.maketrans(",.", ".,")), return_dtype=pl.String)
    assert read_as(european, 40)(european).to_list() == pytest.approx(numbers)


def test_a_few_strays_among_numbers_are_missing():
    column = pl.Series("c", [*map(str, range(20)), "tbd"])
    reading = read_as(column, 40)
    assert reading.kind == "number"
    assert reading(column).to_list() == [*range(20), None]


def test_a_column_that_changed_its_meaning_is_an_error():
    reading = read_as(pl.Series("age", [1, 2]), 40)
    assert reading(pl.Series("age", ["1,000", "x", "3"])).to_list() == [1000, None, 3]
    assert reading(pl.Series("age", ["x", "y", "3"])).to_list() == [None, None, 3]
    with pytest.raises(TailwiseError, match=r"'age' held only numbers in training, but now 10 of 10 .* such as 'x'"):
        reading(pl.Series("age", [*"xyzxyzxyzx", None]))


def test_words_that_training_had_among_numbers_are_missing_however_many_there_are():
    reading = read_as(pl.Series("price", [*map(str, range(40)), "k.A.", "k.A."]), 40)
    assert (reading.strays, reading.mixed) == (("k.A.",), False)
    assert reading(pl.Series("price", ["k.A."])).to_list() == [None]
    assert reading(pl.Series("price", ["tbd"])).to_list() == [None]


MARKS = {
    "points": ([0.5, 1.25, 1234.5], ["4,332", "6,227"], 2),
    "points in text": (["0.5", "1.25", "-"], ["4,332", "6,227"], 2),
    "points and thousands": (["1,234.5", "0.5"], ["1.234,5", "0,5", "1"], 2),
    "commas": (["0,5", "1,25", "2,5"], ["4.332", "6.227"], 2),
    "commas and thousands": (["1.234,5", "0,5"], ["1,234.5", "0.5", "1"], 2),
}


@pytest.mark.parametrize("name", MARKS)
def test_numbers_of_another_decimal_mark_than_in_training_are_refused(name):
    before, now, n = MARKS[name]
    reading = read_as(pl.Series("a", before), 40)
    with pytest.raises(TailwiseError, match=f"'a': {n} of {len(now)} values, such as .* not written as in training"):
        reading(pl.Series("a", now))


ORDERS = {
    "month first, then day first": (["12/31/2023", "01/05/2023"], "{0:02}/12/2023"),
    "day first, then month first": (["31/12/2023", "05/01/2023"], "12/{0:02}/2023"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_dates_of_another_order_than_in_training_are_refused(name):
    before, written = ORDERS[name]
    reading = read_as(pl.Series("a", before))
    december = pl.Series("a", [written.format(day) for day in range(1, 32)])
    with pytest.raises(TailwiseError, match=r"'a': 19 of 31 values, such as .*13.*, are not written as in training"):
        reading(december)
    assert reading(december.head(12)).null_count() == 0  # which no one can tell from dates of other days


@pytest.mark.parametrize("before", [["2024-12-31", "2024-01-05"], [date(2024, 12, 31), date(2024, 1, 5)]])
@pytest.mark.parametrize("written", ["05/11/2020", "25/11/2020", "11/25/2020", "05.11.2020"])
def test_dates_in_an_order_that_training_did_not_tell_are_refused(before, written):
    reading = read_as(pl.Series("a", before))
    assert reading(pl.Series("a", ["2020-11-05", "5 Nov 2020"])).null_count() == 0
    with pytest.raises(TailwiseError, match="may have the month or the day first: write them as 2024-12-31"):
        reading(pl.Series("a", [written]))


def test_true_and_false_may_be_one_and_zero():
    reading = read_as(pl.Series("a", [True, False, None]))
    for values in ([True, False, None], [1, 0, None], [1.0, 0.0, None], ["TRUE", "false", ""], ["1", "0", "NA"]):
        assert reading(pl.Series("a", values)).to_list() == ["true", "false", None]


def test_a_value_of_a_column_that_is_nearly_empty_does_not_stop_the_others():
    reading = read_as(pl.Series("a", ["5.20", "6.25", None]), 40)
    for value in ("1,234", "late"):
        column = pl.Series("a", [None] * 1000 + [value])
        assert reading(column).null_count() == 1001
    with pytest.raises(TailwiseError, match="1 of 1 values"):
        reading(pl.Series("a", ["1,234"]))
    assert reading(pl.Series("a", ["late"] * 9)).null_count() == 9
    with pytest.raises(TailwiseError, match="10 of 10 values are not numbers"):
        reading(pl.Series("a", ["late"] * 10))


def test_numbers_that_may_be_a_thousand_times_as_large_are_missing_if_training_had_no_thousands():
    few = pl.Series("a", [*["0.5"] * 20, "4,332", "1,234.5", "1,234,567"])
    assert read_as(pl.Series("a", [0.5, 1234.5]), 40)(few).to_list()[20:] == [None, 1234.5, 1234567]
    assert read_as(pl.Series("a", ["1,000.5", "0.5"]), 40)(few).to_list()[20:] == [4332, 1234.5, 1234567]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_durations_are_seconds(unit):
    column = pl.Series("c", [timedelta(seconds=1.5), None, timedelta(days=-1)], dtype=pl.Duration(unit))
    reading = read_as(column, 40)
    read = reading(column)
    assert reading.kind == "number"
    assert read.to_list() == [1.5, None, -86400]
    assert lost_values(column, read).is_empty()


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("c", [{"a": 1}, {"a": 2}]),
        pl.Series("c", [b"\xff", b"a"]),
        pl.Series("c", [object(), object()], dtype=pl.Object),
        pl.from_pandas(pd.Series(pd.period_range("2024-01", periods=2, freq="M"))).rename("c"),
    ],
)
def test_what_cannot_be_spelt_is_no_feature(column):
    assert read_as(column, 40).kind == "empty"
    for kind in ("number", "date", "category", "text", "empty"):
        assert Reading(kind, "." if kind == "number" else "month").read(column).null_count() == 2
    notes = TableEncoder().fit(pl.DataFrame([column, pl.Series("x", [1, 2])])).notes_
    assert len(notes) == 1
    assert "which is no feature, and is left out" in notes[0]


def test_a_number_is_the_same_category_whatever_stands_beside_it():
    reading = read_as(pl.Series("c", ["1", "2", "A", "B"]), 40)
    for others in ([], [2.5], [float("nan"), None], [float("inf")]):
        assert reading(pl.Series("c", [1.0, 2.0, *others])).to_list()[:2] == ["1", "2"]
    large = pl.Series("c", [2.0**53, 1e16, 1e20, -0.0, 0.1])
    assert Reading("category")(large).to_list() == ["9007199254740992", "10000000000000000", "1e+20", "0", "0.1"]


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["1", "2", "2024-01-01"]), pl.Binary])
def test_declared_categories_and_bytes_are_read_as_strings_where_training_had_something_else(dtype):
    assert Reading("number", ".")(pl.Series("c", ["1", None, "2"]).cast(dtype)).to_list() == [1, None, 2]
    assert Reading("date", "month")(pl.Series("c", ["2024-01-01"]).cast(dtype)).to_list() == [datetime(2024, 1, 1)]
    assert Reading("category")(pl.Series("c", ["1", "2"]).cast(dtype)).to_list() == ["1", "2"]
    assert read_as(pl.Series("c", ["1", "2"]).cast(dtype)).kind == ("number" if dtype == pl.Binary else "category")


@pytest.mark.parametrize("values", [[[1], [2]], [b"\xff", b"a"], [{"a": 1}, None]])
def test_values_of_a_type_that_cannot_be_read_are_refused_where_training_could(values):
    column = pl.Series("c", values)
    with pytest.raises(TailwiseError, match=r"'c' held numbers in training, but now it holds .*, which cannot be read"):
        read_as(pl.Series("c", [1, 2]), 40)(column)
    assert read_as(pl.Series("c", [None, None]), 40)(column).null_count() == 2


HOURS = pl.Series("d", [datetime(2024, 1, 1, 0), datetime(2024, 7, 1, 23)])


@pytest.mark.parametrize("column", [HOURS, HOURS.cast(pl.Date)])
def test_dates_are_no_numbers(column):
    with pytest.raises(TailwiseError, match=r"'d' held numbers in training, but now it holds Date"):
        read_as(pl.Series("d", [1, 2]))(column)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_one_instant_is_one_time_in_every_zone(zone):
    hours = HOURS.dt.replace_time_zone(zone)
    tokyo = hours.dt.convert_time_zone("Asia/Tokyo")
    reading = read_as(hours)
    for now in (hours, tokyo, hours.dt.to_string("%FT%T%.f%:z"), tokyo.dt.to_string("%F %T%z")):
        assert reading(now).to_list() == HOURS.to_list()
    written = hours.dt.convert_time_zone("UTC").dt.to_string("%FT%TZ")
    assert read_as(written)(tokyo).to_list() == read_as(written)(written).to_list()
    assert read_as(written).zone == "UTC"


def test_offsets_of_one_column_count():
    column = pl.Series("d", ["2024-01-01T00:00:00Z", "2024-01-01T09:00:00+09:00", "2023-12-31 19:00:00.5-05"])
    assert read_as(column)(column).to_list() == [datetime(2024, 1, 1)] * 3


def test_times_with_a_zone_are_no_times_without_one():
    written = HOURS.dt.to_string("%F %T")
    for naive in (HOURS, written):
        for aware in (HOURS.dt.replace_time_zone("UTC"), written + "Z"):
            with pytest.raises(TailwiseError, match=r"'d' held times without a time zone in .* now they are with one"):
                read_as(naive)(aware)
            with pytest.raises(TailwiseError, match=r"'d' held times with a time zone in .* now they are without one"):
                read_as(aware)(naive)
            for reading in (read_as(naive), read_as(aware)):
                assert reading(HOURS.dt.date()).to_list() == HOURS.dt.truncate("1d").to_list()
                assert reading(aware.clear(2)).to_list() == reading(naive.clear(2)).to_list() == [None, None]


def test_times_of_a_day_are_the_same_numbers_however_they_are_stored():
    times = pl.Series("a", [time(1, 3), time(23, 59, 30), None, time(12, 0, 0, 250_000)])
    written = pl.Series("a", ["01:03:00", "23:59:30", "", "12:00:00.250"])
    first, second = read_as(times), read_as(written)
    assert first.kind == second.kind == "number"
    for reading in (first, second):
        assert reading(times).to_list() == reading(written).to_list()
    assert second(pl.Series("a", ["1:03", "noon", "25:00", "12:00"])).to_list() == [63 * 60e9, None, None, 12 * 3600e9]
    assert read_as(pl.Series("a", ["3:2", "1:0", "2:2"])).kind == "category"


def test_codes_that_became_numbers_are_read_as_the_codes_they_were():
    codes = pl.Series("zip", POSTCODES)
    reading = read_as(codes)
    as_numbers = pl.Series("zip", [int(code) for code in POSTCODES])
    for form in (as_numbers, as_numbers.cast(pl.Float64), as_numbers.cast(pl.String), codes):
        assert reading(form).to_list() == POSTCODES
    assert reading(pl.Series("zip", ["123456", "x1", None])).to_list() == ["123456", "x1", None]
