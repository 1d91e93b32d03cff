"""What a column of a table holds, however it is stored: numbers, dates, categories or text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from tailwise.data.labels import MISSING_LABELS, OFTEN_MISSING, any_of
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl

ColumnKind = Literal["number", "date", "category", "text", "empty"]

#: Strings that mean "missing" in a feature, besides blanks; compared in lower case. "none" is not among them, because
#: it may be a category, and as a category it works as well as a missing value.
_MISSING = MISSING_LABELS | OFTEN_MISSING
NO_VALUE = any_of(_MISSING)
#: Share of the non-missing values of a column of strings that must parse for it to be read as numbers or dates. The
#: rest is treated as missing, with a note.
_ENOUGH = 0.9
_SAMPLE = 1000
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
_GROUPS = {".": r"^[-+−(]?[1-9]\d{0,2},\d{3}", ",": r"^[-+−(]?[1-9]\d{0,2}\.\d{3}"}
_ONE_GROUP = {mark: rf"{start}[-)]?$" for mark, start in _GROUPS.items()}


_MARKS = {".": "point", ",": "comma"}
_OTHERS = {".": (",",), ",": (".",), "month": ("day",), "day": ("month",), "plain": ("month", "day")}
_KEPT_AS = {"number": "numbers", "date": "dates", "category": "categories", "text": "texts"}
MAX_CATEGORIES = 40  # a column of strings with more distinct values is text
_FEW = 10  # fewer values than this, in many rows, are too few to judge a column by
_KNOWN = 100  # how many of the most frequent values that are not numbers or dates are remembered from training


class Seen(NamedTuple):
    """What was seen of a column: rows, values, those that training did not have, and those of another style."""

    rows: int = 0
    present: int = 0
    strange: int = 0
    foreign: int = 0
    a_strange: str | None = None
    a_foreign: str | None = None

    def and_of(self, other: Seen) -> Seen:
        """Return what was seen of this part of a column and a later one."""
        return Seen(
            self.rows + other.rows,
            self.present + other.present,
            self.strange + other.strange,
            self.foreign + other.foreign,
            self.a_strange or other.a_strange,
            self.a_foreign or other.a_foreign,
        )


@dataclass(frozen=True)
class Reading:
    """How to read a column, decided once on the training data.

    Attributes
    ----------
    kind : what the column holds
    style : for numbers, the decimal mark, ``"."`` or ``","``; for dates, what comes first, ``"month"`` or ``"day"``, or
        ``"plain"`` if all of them leave no doubt; for categories, ``"boolean"`` if they are true and false; for codes
        of digits that may begin with a zero, their length, so that what became a number is read as the code it was
    grouped : whether the other mark, of ``"."`` and ``","``, may separate thousands, because it did in training or
        because all numbers there were whole. If not, ``4,332`` is missing, as it may be 4332 or 4.332
    strays : the most frequent values in a column of numbers or dates that are neither
    mixed : whether there are so many strays that they form categories, instead of being treated as missing
    zone : time zone of times that have one (``"UTC"`` for strings with an offset), ``""`` for times without one, None
        if there are no times
    """

    kind: ColumnKind
    style: str = ""
    grouped: bool = False
    strays: tuple[str, ...] = ()
    mixed: bool = False
    zone: str | None = None

    def __call__(self, column: pl.Series) -> pl.Series:
        """Return the column as :meth:`read` does, after checking that it looks like the one in training.

        Raises
        ------
        TailwiseError
            If more than a tenth of the numbers have a different decimal mark or new thousands separators, or more than
            a tenth of the dates a different order of day and month; if training had only numbers, or only dates, and
            nine in ten of at least ten values are now something else; if training had numbers, and the column now holds
            dates; if only one of training and this column has times with a zone; or if the type of the column cannot be
            a feature. A few odd values in a column that is mostly empty are treated as missing.
        """
        self.check_type(column)
        values = self.read(column)
        if self.judges:
            self.judge(column.name, self.seen(column, values))
        return values

    def check_type(self, column: pl.Series) -> None:
        """Raise TailwiseError, as when the reading is called, if the type of a column does not suit."""
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

    @property
    def judges(self) -> bool:
        """Whether strings are read as numbers or dates, if they look like those in training."""
        return self.kind in _PARSERS

    def seen(self, column: pl.Series, values: pl.Series) -> Seen:
        """Return what is strange in a column, or a part of one, given the values that were read from it."""
        lost = lost_values(column, values)
        strange = lost.filter(~lost.is_in(list(self.strays)))
        present = len(values) - values.null_count() + len(strange)
        if strange.is_empty():
            return Seen(len(values), present)
        others = [Reading(self.kind, style, grouped=True).read(strange) for style in _OTHERS[self.style]]
        foreign = strange.filter(others[0].is_not_null() | others[-1].is_not_null())
        a_foreign = foreign[0] if len(foreign) else None
        return Seen(len(values), present, len(strange), len(foreign), strange[0], a_foreign)

    def judge(self, name: str, seen: Seen) -> None:
        """Raise TailwiseError, as when the reading is called, if too much of a column is strange."""
        others = _OTHERS[self.style]
        if seen.foreign > (1 - _ENOUGH) * seen.present and seen.foreign >= min(_FEW, seen.rows / 2):
            so = f"with the {self.style} before the {others[0]}: write them so, or as 2024-12-31."
            if self.style == "plain":
                so = "and may have the month or the day first: write them as 2024-12-31."
            elif self.kind == "number":
                between = f"{'a' if self.grouped else 'no'} {_MARKS[others[0]]} between thousands"
                so = f"with a {_MARKS[self.style]} before decimals and {between}: write them so."
            raise TailwiseError(
                f"column {name!r}: {seen.foreign} of {seen.present} values, such as {seen.a_foreign!r}, are not "
                f"written as in training, {so}"
            )
        if not self.strays and seen.strange >= max(_ENOUGH * seen.present, _FEW):
            raise TailwiseError(
                f"column {name!r} held only {self.kind}s in training, but now {seen.strange} of {seen.present} values "
                f"{self.unlike(seen.strange)}, such as {seen.a_strange!r}."
            )

    def read(self, column: pl.Series) -> pl.Series:
        """Return the column as Float64, Datetime or String; values that do not parse become null."""
        import polars as pl

        column = _plain(column)
        if self.kind == "empty":
            return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
        if self.kind in ("category", "text"):
            values = names(column)
            if self.style.isdigit():
                return values.zip_with(~values.str.contains(r"^\d+$"), values.str.zfill(int(self.style)))
            return values.replace(["0", "1"], ["false", "true"]) if self.style == "boolean" else values
        if self.kind == "date":
            return _dates(column, self.style, self.zone or "UTC")
        numbers = _numbers(column, self.style)
        if self.grouped or column.dtype != pl.String:
            return numbers
        return numbers.set(_bare(column).str.contains(_ONE_GROUP[self.style]).fill_null(False), None)

    def unlike(self, n: int) -> str:
        """Return a phrase that says that n values are not of this kind."""
        since = " from the year 1000 on" if self.kind == "date" else ""
        return f"is not a {self.kind}{since}" if n == 1 else f"are not {self.kind}s{since}"


class Judged(Reading):
    """How a column is read that was judged as a whole, so that parts of it may be as strange as they like."""

    @property
    def judges(self) -> bool:
        """False."""
        return False


def read_as(column: pl.Series, max_categories: int = MAX_CATEGORIES) -> Reading:
    """Decide how to read a column.

    Numbers and dates may be strings. Numbers may have thousands separators, a currency, a percent sign, a decimal
    comma, or brackets for negative values, or be times of a day; dates may be in any mixture of common formats. The
    share of *distinct* values that parse decides, so a single word in every second row does not stop the others from
    being numbers. Booleans and strings with few distinct values are categories, other strings are text. A column
    without values, or with lists, bytes that are not UTF-8 and the like, is empty.

    Parameters
    ----------
    column : (n,) column of the training data
    max_categories : strings with more distinct values than this are text
    """
    import polars as pl

    declared = column.dtype in (pl.Categorical, pl.Enum)
    column = _plain(column)
    dtype = column.dtype
    if column.null_count() == len(column):
        return Reading("empty")
    if dtype.is_float() and not column.is_finite().any():
        return Reading("empty")
    if dtype.is_numeric():
        return Reading("number", ".", grouped=_whole(column))
    if dtype in (pl.Date, pl.Datetime, pl.Time):
        return Reading("number", ".") if dtype == pl.Time else Reading("date", "plain", zone=_zone(column))
    if dtype == pl.Boolean:
        return Reading("category", "boolean")
    values = names(column)
    present = values.drop_nulls().unique(maintain_order=True)
    if present.is_empty():
        return Reading("empty")
    some = present.head(_SAMPLE)
    kept: ColumnKind = "category" if len(present) <= max_categories else "text"
    if dtype == pl.String and _are_codes(present):
        return Reading(kept, str(present.str.len_bytes()[0]))
    if dtype == pl.String and not declared and some.str.contains(r"\d").sum() >= _ENOUGH / 2 * len(some):
        for kind, (styles, parse) in _PARSERS.items():
            # Try some values first, to avoid parsing a whole column of text.
            if max(_share(parse(some, style)) for style in styles) < _ENOUGH / 2:
                continue
            parsed = {style: parse(present, style) for style in styles}
            best = max(styles, key=lambda style: _share(parsed[style]))
            if _share(parsed[best]) >= _ENOUGH:
                is_stray = parsed[best].is_null()
                parsable = _bare(present.filter(~is_stray))
                grouped = kind == "number" and bool(parsable.str.contains(_GROUPS[best]).any() or _whole(parsed[best]))
                strays = values.filter(values.is_in(present.filter(is_stray).to_list()))
                mixed = len(strays) > (1 - _ENOUGH) * (len(values) - values.null_count())
                counts = strays.rename("value").value_counts(name="n").sort("n", "value", descending=[True, False])
                words = tuple(counts["value"].head(max_categories if mixed else _KNOWN))
                return Reading(kind, best, grouped, words, mixed, _zone(parsable) if kind == "date" else None)
    return Reading(kept)


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
    if column.dtype.is_float():  # may be integers beside missing values: "3", not "3.0"
        whole = column.cast(pl.Int64, strict=False)
        text = text.zip_with((whole != column).fill_null(True), whole.cast(pl.String))
    lower = text.str.to_lowercase()
    text = text.zip_with(~lower.is_in(["true", "false"]).fill_null(False), lower)  # as in a boolean column
    return text.set(lower.is_in(list(_MISSING)), None)


def lost_values(before: pl.Series, after: pl.Series) -> pl.Series:
    """Return the values that were present before reading and are missing after it."""
    before = _plain(before)
    if (before.dtype.is_numeric() and after.dtype.is_numeric()) or after.null_count() == before.null_count():
        return names(before.head(0))  # none, as strings
    values = names(before)
    return values.filter(values.is_not_null() & after.is_null())


def undecided(column: pl.Series, reading: Reading) -> pl.Series:
    """Return the values that would mean something else in the other style, if the column can be read in both."""
    import polars as pl

    if reading.kind not in _PARSERS or column.dtype != pl.String:
        return column.head(0)
    styles, parse = _PARSERS[reading.kind]
    first, second = (parse(column.head(_SAMPLE), style) for style in styles[-2:])
    if _share(first) != _share(second):
        return column.head(0)
    first, second = (parse(column, style) for style in styles[-2:])
    values = column.filter((first != second).fill_null(False))
    if reading.kind == "number":
        # a point before three digits is usually a decimal point
        values = values.filter(values.str.contains(",", literal=True))
    return values if _share(first) == _share(second) else values.head(0)


def _plain(column: pl.Series) -> pl.Series:
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
    plain = bare.str.replace_all(rf"[{_OTHERS[style][0]}{_BREAKS}()+]|^[-−]|-$", "").str.replace(",", ".", literal=True)
    number = plain.set(~fits, None).cast(pl.Float64, strict=False)
    number = number.zip_with(~negative, -number)
    is_clock = bare.str.contains(_CLOCK).fill_null(False)
    if not is_clock.any():
        return number
    clock = bare.set(~is_clock, None) + bare.str.extract(_CLOCK, 1).is_null().replace_strict({True: ":00", False: ""})
    return number.zip_with(~is_clock, _numbers(clock.str.to_time("%H:%M:%S%.f", strict=False), style))


def _dates(column: pl.Series, style: str, zone: str = "UTC") -> pl.Series:
    """Return dates and times; those with a time zone or an offset are converted to the given zone."""
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


def _zone(column: pl.Series) -> str | None:
    """Return the time zone of a column of dates, as in :class:`Reading`; None also if only some times have one."""
    import polars as pl

    if isinstance(column.dtype, pl.Datetime):
        return None if column.null_count() == len(column) else column.dtype.time_zone or ""
    if _plain(column).dtype != pl.String:
        return None
    values = names(column)
    times = values.filter(values.str.contains(_AFTER_TIME))
    zoned = times.str.extract(_AFTER_TIME, 3).is_not_null()
    return None if zoned.is_empty() or zoned.any() != zoned.all() else "UTC" if zoned.all() else ""


#: Styles, of equally good ones the first, and what reads values in a style.
_PARSERS: dict[ColumnKind, tuple[tuple[str, ...], Callable[[pl.Series, str], pl.Series]]] = {
    "number": ((".", ","), _numbers),
    "date": (("plain", "month", "day"), _dates),
}
