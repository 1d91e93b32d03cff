"""Numbers, dates and names in columns, however people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tailwise.data.labels import MISSING_LABELS, OFTEN_MISSING, any_of

if TYPE_CHECKING:
    import polars as pl

#: Strings that mean "missing" in a feature, besides blanks; compared in lower case. "none" is not among them, because
#: it may be a category, and as a category it works as well as a missing value.
_MISSING = MISSING_LABELS | OFTEN_MISSING
NO_VALUE = any_of(_MISSING)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_PLAIN_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
)
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y")
_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y", "%d-%m-%y", "%d.%m.%y")
_FORMATS = {
    style: [date + time for date in (*_PLAIN_DATES, *dates) for time in _TIMES]
    for style, dates in (("plain", ()), ("month", _MONTH_FIRST), ("day", _DAY_FIRST))
}
#: Dates with points and a two-digit year must be zero-padded: 1.2.30 is a version number.
_SHORT_DATE = r"^(\d{1,2}[-/](\d{1,2}|[A-Za-z]{3})[-/]|\d{2}\.\d{2}\.)\d{2}\b"
#: A day and a year, with something between: what has less is in none of the formats, and is not tried in all of them.
_TWO_NUMBERS = r"\d\D+\d"
#: Seconds, their fraction, and an offset from UTC; only after a time of day.
_AFTER_TIME = r"(:\d{2})([.,]\d+)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURRENCY = r"[$€£¥₹₩₽%]|USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|BRL|MXN|ZAR"
_AROUND = rf"^({_CURRENCY})\s*|\s*({_CURRENCY})$|^([-−(])\s*({_CURRENCY})\s*"
_BREAKS = r"'’_ \x{00a0}\x{202f}"  # between thousands
_SHAPE = {  # minus before or after a number, or brackets, make it negative; 007 is a code, not a number
    mark: rf"^[-+−(]?([1-9]\d{{0,2}}([{other}{_BREAKS}]\d{{3}})+([{mark}]\d*)?"
    rf"|(0|[1-9]\d*)?([{mark}]\d*)?([eE][-+]?\d+)?)[-)]?$"  # powers of ten have no thousands
    for mark, other in ((".", ","), (",", "."))
}
#: Times of a day, which are numbers as those of a time column are: nanoseconds since midnight.
_CLOCK = r"^\d{1,2}:\d{2}(:\d{2}(?:\.\d+)?)?$"
#: Numbers with the other mark between thousands, and those that the other mark would turn into a different decimal.
GROUPS = {".": r"^[-+−(]?[1-9]\d{0,2},\d{3}", ",": r"^[-+−(]?[1-9]\d{0,2}\.\d{3}"}
ONE_GROUP = {mark: rf"{start}[-)]?$" for mark, start in GROUPS.items()}
#: The other styles in which a value may be read.
OTHERS = {".": (",",), ",": (".",), "month": ("day",), "day": ("month",), "plain": ("month", "day")}


def readable(column: pl.Series) -> pl.Series:
    """Return durations as seconds, categories and bytes as strings, and types that cannot be features as missing.

    Bytes are converted because some Parquet files do not mark their strings as text.
    """
    import polars as pl

    dtype = column.dtype
    if dtype == pl.String or dtype.is_numeric():
        return column
    if isinstance(dtype, pl.Duration):
        return column.to_physical() / {"ms": 1e3, "us": 1e6, "ns": 1e9}[dtype.time_unit]
    try:
        if dtype in (pl.Categorical, pl.Enum, pl.Binary):
            return column.cast(pl.String)
        spelt = not dtype.is_nested() and column.head(1).cast(pl.String) is not None
    except pl.exceptions.PolarsError:
        spelt = False
    return column if spelt else pl.Series(column.name, [None] * len(column), dtype=pl.String)


def names(column: pl.Series) -> pl.Series:
    """Return a column as strings without surrounding blanks; spellings of "missing" become null."""
    import polars as pl

    column = readable(column)
    text = column.cast(pl.String, strict=False).str.strip_chars()
    if column.dtype.is_float():  # may be integers beside missing values: "3", not "3.0"
        whole = column.cast(pl.Int64, strict=False)
        text = text.zip_with((whole != column).fill_null(True), whole.cast(pl.String))
    lower = text.str.to_lowercase()
    text = text.zip_with(~lower.is_in(["true", "false"]).fill_null(False), lower)  # as in a boolean column
    return text.set(lower.is_in(list(_MISSING)), None)


def without_currency(column: pl.Series) -> pl.Series:
    """Return strings without a currency or percent sign before or after them."""
    return names(column).str.replace_all(_AROUND, "$3")


def as_numbers(column: pl.Series, style: str) -> pl.Series:
    """Return finite numbers, and times of a day in nanoseconds, in the style of a decimal mark; the rest is null."""
    import polars as pl

    if column.dtype != pl.String:
        physical = column.to_physical() if column.dtype.is_temporal() else column
        number = physical.cast(pl.Float64, strict=False)
        finite = number.is_finite()
        return number if finite.all() else number.set(~finite, None)
    bare = without_currency(column)
    fits = bare.str.contains(_SHAPE[style]) & bare.str.contains(r"\d")
    negative = bare.str.contains(r"^[-−(]|-$").fill_null(False)
    plain = bare.str.replace_all(rf"[{OTHERS[style][0]}{_BREAKS}()+]|^[-−]|-$", "").str.replace(",", ".", literal=True)
    number = plain.set(~fits, None).cast(pl.Float64, strict=False)
    number = number.zip_with(~negative, -number)
    is_clock = bare.str.contains(_CLOCK).fill_null(False)
    if not is_clock.any():
        return number
    clock = bare.set(~is_clock, None) + bare.str.extract(_CLOCK, 1).is_null().replace_strict({True: ":00", False: ""})
    return number.zip_with(~is_clock, as_numbers(clock.str.to_time("%H:%M:%S%.f", strict=False), style))


def as_dates(column: pl.Series, style: str, zone: str = "UTC") -> pl.Series:
    """Return dates and times; those with a time zone or an offset are converted to the given zone.

    The style is ``"month"`` or ``"day"``, whichever comes first, or ``"plain"`` if that leaves no doubt; what does not
    fit is null.
    """
    import polars as pl

    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        column = column.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    if column.dtype in (pl.Date, pl.Datetime):
        return column.cast(pl.Datetime("us"))
    if column.dtype != pl.String:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))
    values = names(column)
    distinct = values.unique()
    distinct = distinct.filter(distinct.str.contains(_TWO_NUMBERS))
    if distinct.is_empty():
        return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))
    text = distinct.str.replace(r"(\d)T(\d)", "$1 $2").str.replace(_AFTER_TIME, "$1")
    parsed = pl.Series([None] * len(distinct), dtype=pl.Datetime("us"))
    for form in _FORMATS[style]:
        missing = parsed.is_null()
        if not missing.any():
            break
        found = text.str.to_datetime(form, strict=False, time_unit="us")
        found = found.set(found.dt.year() < 1000, None)  # %Y accepts two digits, as a year of the first century
        if "%y" in form:  # which also accepts one digit
            found = found.set(~text.str.contains(_SHORT_DATE), None)
        parsed = parsed.zip_with(~missing, found)
    offset = distinct.str.extract(_AFTER_TIME, 3).str.replace("UTC|GMT", "Z")
    at_offset = ("1970-01-01 00:00" + offset).str.to_datetime("%Y-%m-%d %H:%M%#z", strict=False, time_unit="us")
    moved = (parsed.dt.replace_time_zone("UTC") + (at_offset - _EPOCH)).dt.convert_time_zone(zone)
    parsed = parsed.zip_with(at_offset.is_null(), moved.dt.replace_time_zone(None))
    return values.replace_strict(distinct, parsed, default=None, return_dtype=pl.Datetime("us"))


def zone_of(column: pl.Series) -> str | None:
    """Return the time zone of a column of dates, ``""`` for times without one; None if only some have one."""
    import polars as pl

    if isinstance(column.dtype, pl.Datetime):
        return None if column.null_count() == len(column) else column.dtype.time_zone or ""
    if readable(column).dtype != pl.String:
        return None
    values = names(column)
    times = values.filter(values.str.contains(_AFTER_TIME))
    zoned = times.str.extract(_AFTER_TIME, 3).is_not_null()
    return None if zoned.is_empty() or zoned.any() != zoned.all() else "UTC" if zoned.all() else ""
