"""What a column of a table holds, whatever it was stored as: numbers, dates, categories or text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl

ColumnKind = Literal["number", "date", "category", "text", "empty"]

#: Strings that stand for "missing" in a feature, beside blanks; compared in lower case. "none" is not among them: it
#: may be a category, and as one it is as good as missing.
_MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "nil", "-", "--", "?", ".")
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
_CURRENCY = r"[$€£¥₹₩₽%]|USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|BRL|MXN|ZAR"
_AROUND = rf"^({_CURRENCY})\s*|\s*({_CURRENCY})$|^([-−(])\s*({_CURRENCY})\s*"
_BREAKS = r"'’_ \x{00a0}\x{202f}"  # between thousands
_SHAPE = {  # a number may be negative by a minus before or after it or by brackets; 007 is a code, not a number
    ".": rf"^[-+−(]?([1-9]\d{{0,2}}([,{_BREAKS}]\d{{3}})+|0|[1-9]\d*)?(\.\d*)?([eE][-+]?\d+)?[-)]?$",
    ",": rf"^[-+−(]?([1-9]\d{{0,2}}([.{_BREAKS}]\d{{3}})+|0|[1-9]\d*)?(,\d*)?[-)]?$",
}


@dataclass(frozen=True)
class Reading:
    """How to read a column, decided once on the training data.

    Attributes
    ----------
    kind : what it holds
    style : for numbers the decimal mark, ``"."`` or ``","``; for dates ``"month"`` or ``"day"``, whichever comes first
    """

    kind: ColumnKind
    style: str = ""

    def __call__(self, column: pl.Series) -> pl.Series:
        """Return the column as Float64, Datetime or String; what does not parse is missing.

        Raises
        ------
        TailwiseError
            If the column held numbers or dates in training and less than half of it parses now.
        """
        import polars as pl

        column = _plain(column)
        if self.kind == "empty":
            return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
        if self.kind in ("category", "text"):
            return names(column)
        read = _numbers(column, self.style) if self.kind == "number" else _dates(column, self.style)
        lost = lost_values(column, read)
        if len(lost) and 2 * len(lost) > len(column) - names(column).null_count():
            raise TailwiseError(
                f"column {column.name!r} held {self.kind}s in training, but now {len(lost)} of {len(column)} values "
                f"{self.unlike(len(lost))}, such as {lost[0]!r}."
            )
        return read

    def unlike(self, n: int) -> str:
        """Say of n values that they are not of this kind."""
        since = " from the year 1000 on" if self.kind == "date" else ""
        return f"is not a {self.kind}{since}" if n == 1 else f"are not {self.kind}s{since}"


def read_as(column: pl.Series, max_categories: int) -> Reading:
    """Decide how to read a column.

    Numbers and dates may be strings: with a thousands separator, a currency, a percent sign, a decimal comma, brackets
    for negative; dates in any of the common ways to write them, mixed. Booleans and strings of few kinds are
    categories, other strings text; what has no values, or holds lists, bytes or the like, is empty.
    """
    import polars as pl

    column = _plain(column)
    dtype = column.dtype
    if column.null_count() == len(column):
        return Reading("empty")
    if dtype.is_numeric():
        return Reading("number", ".")
    if dtype in (pl.Date, pl.Datetime, pl.Time):
        return Reading("date" if dtype != pl.Time else "number", "month" if dtype != pl.Time else ".")
    if dtype == pl.Boolean:
        return Reading("category")
    values = names(column)
    present = values.drop_nulls().unique(maintain_order=True)
    if present.is_empty():
        return Reading("empty")
    if dtype == pl.String:
        for kind, styles, parse in (("number", ".,", _numbers), ("date", ("month", "day"), _dates)):
            # A look at some values saves parsing all of a column of text.
            if max(_share(parse(present.head(_SAMPLE), style)) for style in styles) < _ENOUGH / 2:
                continue
            shares = {style: _share(parse(present, style)) for style in styles}
            best = max(shares, key=lambda style: shares[style])
            if shares[best] >= _ENOUGH:
                return Reading(kind, best)  # type: ignore[arg-type]
    return Reading("category" if len(present) <= max_categories else "text")


def names(column: pl.Series) -> pl.Series:
    """Return a column as strings without surrounding blanks; spellings of "missing" become null."""
    import polars as pl

    column = _plain(column)
    if column.dtype.is_float():  # integers that met a missing value: "3", not "3.0"
        whole = (column == column.round()).all() and column.is_finite().all()
        column = column.cast(pl.Int64, strict=False) if whole else column
    text = column.cast(pl.String, strict=False).str.strip_chars()
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


def undecided_dates(column: pl.Series) -> pl.Series:
    """Return the dates that mean another day with the day first, if the whole column can be read both ways."""
    first, second = (_dates(column, style) for style in ("month", "day"))
    values = column.filter((first != second).fill_null(False))
    return values if _share(first) == _share(second) else values.head(0)


def _plain(column: pl.Series) -> pl.Series:
    """Return durations as seconds, and what is no feature, such as lists and bytes, as missing."""
    import polars as pl

    dtype = column.dtype
    if isinstance(dtype, pl.Duration):
        return column.to_physical() / {"ms": 1e3, "us": 1e6, "ns": 1e9}[dtype.time_unit]
    try:
        spelt = not (dtype.is_nested() or dtype == pl.Binary) and column.head(1).cast(pl.String) is not None
    except pl.exceptions.PolarsError:
        spelt = False
    return column if spelt else pl.Series(column.name, [None] * len(column), dtype=pl.String)


def _share(parsed: pl.Series) -> float:
    return 1 - parsed.null_count() / max(len(parsed), 1)


def _numbers(column: pl.Series, style: str) -> pl.Series:
    import polars as pl

    if column.dtype != pl.String:
        physical = column.to_physical() if column.dtype.is_temporal() else column
        number = physical.cast(pl.Float64, strict=False)
        finite = number.is_finite()
        return number if finite.all() else number.set(~finite, None)
    bare = names(column).str.replace_all(_AROUND, "$3")
    fits = bare.str.contains(_SHAPE[style]) & bare.str.contains(r"\d")
    negative = bare.str.contains(r"^[-−(]|-$").fill_null(False)
    thousands = "," if style == "." else "."
    plain = bare.str.replace_all(rf"[{thousands}{_BREAKS}()+]|^[-−]|-$", "").str.replace(",", ".", literal=True)
    number = plain.set(~fits, None).cast(pl.Float64, strict=False)
    return number.zip_with(~negative, -number)


def _dates(column: pl.Series, style: str) -> pl.Series:
    import polars as pl

    if column.dtype in (pl.Date, pl.Datetime):
        zoned = getattr(column.dtype, "time_zone", None) is not None
        return (column.dt.replace_time_zone(None) if zoned else column).cast(pl.Datetime("us"))
    if column.dtype != pl.String:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))
    values = names(column)
    distinct = values.unique()
    text = distinct.str.replace(r"(\d)T(\d)", "$1 $2").str.replace(r"(:\d{2})(\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})?$", "$1")
    parsed = pl.Series([None] * len(distinct), dtype=pl.Datetime("us"))
    for form in _FORMATS[style]:
        missing = parsed.is_null()
        if not missing.any():
            break
        found = text.str.to_datetime(form, strict=False, time_unit="us")
        found = found.set(found.dt.year() < 1000, None)  # %Y takes two digits for a year of the first century
        parsed = parsed.zip_with(~missing, found)
    return values.replace_strict(distinct, parsed, return_dtype=pl.Datetime("us"))
