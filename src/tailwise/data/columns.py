"""What a column of a table holds, whatever it was stored as: numbers, dates, categories or text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from tailwise.data.labels import any_of
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl

ColumnKind = Literal["number", "date", "category", "text", "empty"]

#: Strings that stand for "missing" in a feature, beside blanks; compared in lower case. "none" is not among them: it
#: may be a category, and as one it is as good as missing.
_MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "nil", "-", "--", "?", ".")
NO_VALUE = any_of(_MISSING)
#: Of the values that are there, the share that must parse for a column of strings to be taken as numbers or dates.
#: The rest is taken as missing, with a note.
_ENOUGH = 0.9
_SAMPLE = 1000
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
_PLAIN_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y")
_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y", "%d-%m-%y", "%d.%m.%y")
_FORMATS = {
    style: [date + time for date in (*_PLAIN_DATES, *dates) for time in _TIMES]
    for style, dates in (("month", _MONTH_FIRST), ("day", _DAY_FIRST))
}
#: With a year of two digits, dates are padded if they have points: 1.2.30 is a version.
_SHORT_DATE = r"^(\d{1,2}[-/]\d{1,2}[-/]|\d{2}\.\d{2}\.)\d{2}\b"
#: Seconds, their fraction, and the offset from UTC; only after a time of day.
_AFTER_TIME = r"(:\d{2})(\.\d+)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURRENCY = r"[$€£¥₹₩₽%]|USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|BRL|MXN|ZAR"
_AROUND = rf"^({_CURRENCY})\s*|\s*({_CURRENCY})$|^([-−(])\s*({_CURRENCY})\s*"
_BREAKS = r"'’_ \x{00a0}\x{202f}"  # between thousands
_SHAPE = {  # a number may be negative by a minus before or after it or by brackets; 007 is a code, not a number
    ".": rf"^[-+−(]?([1-9]\d{{0,2}}([,{_BREAKS}]\d{{3}})+|0|[1-9]\d*)?(\.\d*)?([eE][-+]?\d+)?[-)]?$",
    ",": rf"^[-+−(]?([1-9]\d{{0,2}}([.{_BREAKS}]\d{{3}})+|0|[1-9]\d*)?(,\d*)?[-)]?$",
}
#: Numbers with the other mark between thousands, and those that would be another number if it were the decimal mark.
_GROUPS = {".": r"^[-+−(]?[1-9]\d{0,2},\d{3}", ",": r"^[-+−(]?[1-9]\d{0,2}\.\d{3}"}
_ONE_GROUP = {mark: rf"{start}[-)]?$" for mark, start in _GROUPS.items()}


_MARKS = {".": "point", ",": "comma"}
_OTHER = {".": ",", ",": ".", "month": "day", "day": "month"}
_KEPT_AS = {"number": "numbers", "date": "dates", "category": "categories", "text": "texts"}
MAX_CATEGORIES = 40  # of a column of strings; one with more is text
_FEW = 10  # values of many rows, from which on they say something of a column
_KNOWN = 100  # values that are no numbers or dates, the commonest of training, which are remembered


@dataclass(frozen=True)
class Reading:
    """How to read a column, decided once on the training data.

    Attributes
    ----------
    kind : what it holds
    style : for numbers the decimal mark, ``"."`` or ``","``; for dates ``"month"`` or ``"day"``, whichever comes first
    grouped : whether the other mark, of ``"."`` and ``","``, is one between thousands, since it was in training, or
        all numbers were whole. Elsewhere ``4,332`` is missing: it may be 4332 or 4.332
    strays : the commonest values among numbers or dates that are neither
    mixed : whether strays are so many that they are categories beside the numbers or dates, and not just missing
    zone : time zone of the times that come with one, ``"UTC"`` where they are strings with an offset; ``""`` for times
        without one, None where there are no times
    """

    kind: ColumnKind
    style: str = ""
    grouped: bool = False
    strays: tuple[str, ...] = ()
    mixed: bool = False
    zone: str | None = None

    def __call__(self, column: pl.Series) -> pl.Series:
        """Return the column as :meth:`read` does, if it can be the one that training had.

        Raises
        ------
        TailwiseError
            If more than a tenth of the numbers have another decimal mark than in training, or thousands separators
            that it did not have, or of the dates another order of day and month; or if training had only numbers, or
            only dates, and nine in ten values are none now.
            A few values of many rows, most of which have none, are taken as missing. Also if the column is of a type
            that is no feature, of dates where training had numbers, or of times with a zone where training had times
            without one, or the other way round.
        """
        import polars as pl

        unread = self.kind != "empty" and _plain(column).null_count() > column.null_count()
        if unread or (self.kind == "number" and column.dtype in (pl.Date, pl.Datetime)):
            raise TailwiseError(
                f"column {column.name!r} held {_KEPT_AS[self.kind]} in training, but now it holds {column.dtype}, "
                "which cannot be read: give it as in training."
            )
        zone = _zone(column) if self.kind == "date" else None
        if None not in (zone, self.zone) and bool(zone) != bool(self.zone):
            now, then = ("with", "without") if zone else ("without", "with")
            raise TailwiseError(
                f"column {column.name!r} held times {then} a time zone in training, but now they are {now} one, and "
                "may be other times than they seem: give them as in training."
            )
        values = self.read(column)
        if self.kind not in _PARSERS:
            return values
        lost = lost_values(column, values)
        strange = lost.filter(~lost.is_in(list(self.strays)))
        if strange.is_empty():
            return values
        present = len(values) - values.null_count() + len(strange)
        few = min(_FEW, len(values) / 2)
        other = _OTHER[self.style]
        foreign = strange.filter(Reading(self.kind, other, grouped=True).read(strange).is_not_null())
        if len(foreign) > (1 - _ENOUGH) * present and len(foreign) >= few:
            so = f"with the {self.style} before the {other}: write them so, or as 2024-12-31."
            if self.kind == "number":
                between = f"{'a' if self.grouped else 'no'} {_MARKS[other]} between thousands"
                so = f"with a {_MARKS[self.style]} before decimals and {between}: write them so."
            raise TailwiseError(
                f"column {column.name!r}: {len(foreign)} of {present} values, such as {foreign[0]!r}, are not "
                f"written as in training, {so}"
            )
        if not self.strays and len(strange) >= max(_ENOUGH * present, few):
            raise TailwiseError(
                f"column {column.name!r} held only {self.kind}s in training, but now {len(strange)} of {present} "
                f"values {self.unlike(len(strange))}, such as {strange[0]!r}."
            )
        return values

    def read(self, column: pl.Series) -> pl.Series:
        """Return the column as Float64, Datetime or String; what does not parse is missing."""
        import polars as pl

        column = _plain(column)
        if self.kind == "empty":
            return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
        if self.kind in ("category", "text"):
            return names(column)
        if self.kind == "date":
            return _dates(column, self.style, self.zone or "UTC")
        numbers = _numbers(column, self.style)
        if self.grouped or column.dtype != pl.String:
            return numbers
        return numbers.set(_bare(column).str.contains(_ONE_GROUP[self.style]).fill_null(False), None)

    def unlike(self, n: int) -> str:
        """Say of n values that they are not of this kind."""
        since = " from the year 1000 on" if self.kind == "date" else ""
        return f"is not a {self.kind}{since}" if n == 1 else f"are not {self.kind}s{since}"


def read_as(column: pl.Series, max_categories: int = MAX_CATEGORIES) -> Reading:
    """Decide how to read a column.

    Numbers and dates may be strings: with a thousands separator, a currency, a percent sign, a decimal comma, brackets
    for negative; dates in any of the common ways to write them, mixed. What counts is the share of different values:
    a word in every second row leaves the others numbers. Booleans and strings of few kinds are categories, other
    strings text; what has no values, or holds lists, bytes that are not UTF-8 or the like, is empty.
    """
    import polars as pl

    declared = column.dtype in (pl.Categorical, pl.Enum)
    column = _plain(column)
    dtype = column.dtype
    if column.null_count() == len(column):
        return Reading("empty")
    if dtype.is_numeric():
        return Reading("number", ".", grouped=_whole(column))
    if dtype in (pl.Date, pl.Datetime, pl.Time):
        return Reading("number", ".") if dtype == pl.Time else Reading("date", "month", zone=_zone(column))
    if dtype == pl.Boolean:
        return Reading("category")
    values = names(column)
    present = values.drop_nulls().unique(maintain_order=True)
    if present.is_empty():
        return Reading("empty")
    if dtype == pl.String and not declared and not _are_codes(present):
        for kind, (styles, parse) in _PARSERS.items():
            # A look at some values saves parsing all of a column of text.
            if max(_share(parse(present.head(_SAMPLE), style)) for style in styles) < _ENOUGH / 2:
                continue
            parsed = {style: parse(present, style) for style in styles}
            best = max(styles, key=lambda style: _share(parsed[style]))
            if _share(parsed[best]) >= _ENOUGH:
                is_stray = parsed[best].is_null()
                written = _bare(present.filter(~is_stray))
                grouped = kind == "number" and bool(written.str.contains(_GROUPS[best]).any() or _whole(parsed[best]))
                strays = values.filter(values.is_in(present.filter(is_stray).to_list()))
                mixed = len(strays) > (1 - _ENOUGH) * (len(values) - values.null_count())
                counts = strays.rename("value").value_counts(name="n").sort("n", "value", descending=[True, False])
                known = tuple(counts["value"].head(max_categories if mixed else _KNOWN))
                return Reading(kind, best, grouped, known, mixed, _zone(written) if kind == "date" else None)
    return Reading("category" if len(present) <= max_categories else "text")


def _are_codes(values: pl.Series) -> bool:
    """Say whether strings are digits of one length, some after a zero: postcodes, say, of which zeros are part."""
    return bool(values.str.starts_with("0").any() and values.str.contains(r"^\d{2,}$").all()) and (
        values.str.len_bytes().n_unique() == 1
    )


def names(column: pl.Series) -> pl.Series:
    """Return a column as strings without surrounding blanks; spellings of "missing" become null."""
    import polars as pl

    column = _plain(column)
    text = column.cast(pl.String, strict=False).str.strip_chars()
    if column.dtype.is_float():  # integers that met a missing value: "3", not "3.0"
        whole = column.cast(pl.Int64, strict=False)
        text = text.zip_with((whole != column).fill_null(True), whole.cast(pl.String))
    lower = text.str.to_lowercase()
    text = text.zip_with(~lower.is_in(["true", "false"]).fill_null(False), lower)  # as a boolean column shows them
    return text.set(lower.is_in(list(_MISSING)), None)


def lost_values(before: pl.Series, after: pl.Series) -> pl.Series:
    """Return the values that were there before and are missing after."""
    before = _plain(before)
    if before.dtype.is_numeric() and after.dtype.is_numeric():
        return before.head(0)
    values = names(before)
    return values.filter(values.is_not_null() & after.is_null())


def undecided(column: pl.Series, reading: Reading) -> pl.Series:
    """Return the values that mean another number or day in the other style, if the whole column can be read in both."""
    import polars as pl

    if reading.kind not in _PARSERS or column.dtype != pl.String:
        return column.head(0)
    styles, parse = _PARSERS[reading.kind]
    first, second = (parse(column.head(_SAMPLE), style) for style in styles)
    if _share(first) != _share(second):
        return column.head(0)
    first, second = (parse(column, style) for style in styles)
    values = column.filter((first != second).fill_null(False))
    if reading.kind == "number":
        values = values.filter(values.str.contains(",", literal=True))  # a point before three decimals is usual
    return values if _share(first) == _share(second) else values.head(0)


def _plain(column: pl.Series) -> pl.Series:
    """Return durations as seconds, categories and bytes as strings, and what is no feature, such as lists, as missing.

    Bytes are the strings of Parquet files without the mark that they are text.
    """
    import polars as pl

    dtype = column.dtype
    if isinstance(dtype, pl.Duration):
        return column.to_physical() / {"ms": 1e3, "us": 1e6, "ns": 1e9}[dtype.time_unit]
    try:
        if dtype in (pl.Categorical, pl.Enum, pl.Binary):
            return column.cast(pl.String)
        spelt = not dtype.is_nested() and column.head(1).cast(pl.String) is not None
    except pl.exceptions.PolarsError:
        spelt = False
    return column if spelt else pl.Series(column.name, [None] * len(column), dtype=pl.String)


def _share(parsed: pl.Series) -> float:
    return 1 - parsed.null_count() / max(len(parsed), 1)


def _whole(numbers: pl.Series) -> bool:
    return numbers.dtype.is_integer() or bool((numbers == numbers.round()).all())


def _bare(column: pl.Series) -> pl.Series:
    """Return strings without a currency or percent sign before or after them."""
    return names(column).str.replace_all(_AROUND, "$3")


def _numbers(column: pl.Series, style: str) -> pl.Series:
    import polars as pl

    if column.dtype != pl.String:
        physical = column.to_physical() if column.dtype.is_temporal() else column
        number = physical.cast(pl.Float64, strict=False)
        finite = number.is_finite()
        return number if finite.all() else number.set(~finite, None)
    bare = _bare(column)
    fits = bare.str.contains(_SHAPE[style]) & bare.str.contains(r"\d")
    negative = bare.str.contains(r"^[-−(]|-$").fill_null(False)
    plain = bare.str.replace_all(rf"[{_OTHER[style]}{_BREAKS}()+]|^[-−]|-$", "").str.replace(",", ".", literal=True)
    number = plain.set(~fits, None).cast(pl.Float64, strict=False)
    return number.zip_with(~negative, -number)


def _dates(column: pl.Series, style: str, zone: str = "UTC") -> pl.Series:
    """Return days and times, those with a time zone or an offset as they are in the given zone."""
    import polars as pl

    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        column = column.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    if column.dtype in (pl.Date, pl.Datetime):
        return column.cast(pl.Datetime("us"))
    if column.dtype != pl.String:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))
    values = names(column)
    distinct = values.unique()
    text = distinct.str.replace(r"(\d)T(\d)", "$1 $2").str.replace(_AFTER_TIME, "$1")
    parsed = pl.Series([None] * len(distinct), dtype=pl.Datetime("us"))
    for form in _FORMATS[style]:
        missing = parsed.is_null()
        if not missing.any():
            break
        found = text.str.to_datetime(form, strict=False, time_unit="us")
        found = found.set(found.dt.year() < 1000, None)  # %Y takes two digits for a year of the first century
        if "%y" in form:  # which takes one digit too
            found = found.set(~text.str.contains(_SHORT_DATE), None)
        parsed = parsed.zip_with(~missing, found)
    at_offset = ("1970-01-01 00:00" + distinct.str.extract(_AFTER_TIME, 3)).str.to_datetime(
        "%Y-%m-%d %H:%M%#z", strict=False, time_unit="us"
    )
    moved = (parsed.dt.replace_time_zone("UTC") + (at_offset - _EPOCH)).dt.convert_time_zone(zone)
    parsed = parsed.zip_with(at_offset.is_null(), moved.dt.replace_time_zone(None))
    return values.replace_strict(distinct, parsed, return_dtype=pl.Datetime("us"))


def _zone(column: pl.Series) -> str | None:
    """Return the time zone of a column of dates, as :class:`Reading` knows it; None also where only some have one."""
    import polars as pl

    if isinstance(column.dtype, pl.Datetime):
        return None if column.null_count() == len(column) else column.dtype.time_zone or ""
    if _plain(column).dtype != pl.String:
        return None
    values = names(column)
    times = values.filter(values.str.contains(_AFTER_TIME))
    zoned = times.str.extract(_AFTER_TIME, 3).is_not_null()
    return None if zoned.is_empty() or zoned.any() != zoned.all() else "UTC" if zoned.all() else ""


_PARSERS: dict[ColumnKind, tuple[tuple[str, str], Callable[[pl.Series, str], pl.Series]]] = {
    "number": ((".", ","), _numbers),
    "date": (("month", "day"), _dates),
}
