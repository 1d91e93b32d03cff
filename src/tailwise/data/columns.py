"""What a column of a table holds, however it is stored: numbers, dates, categories or text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from tailwise.data.values import (
    GROUPS,
    ONE_GROUP,
    OTHERS,
    as_dates,
    as_numbers,
    names,
    readable,
    without_currency,
    zone_of,
)
from tailwise.errors import TailwiseError

if TYPE_CHECKING:
    import polars as pl

ColumnKind = Literal["number", "date", "category", "text", "empty"]

#: Share of the non-missing values of a column of strings that must parse for it to be read as numbers or dates. The
#: rest is treated as missing, with a note.
_ENOUGH = 0.9
_SAMPLE = 1000
_MARKS = {".": "point", ",": "comma"}
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

        unread = self.kind != "empty" and readable(column).null_count() > column.null_count()
        if unread or (self.kind == "number" and column.dtype in (pl.Date, pl.Datetime)):
            raise TailwiseError(
                f"column {column.name!r} held {_KEPT_AS[self.kind]} in training, but now it holds {column.dtype}, "
                "which cannot be read: give it as in training."
            )
        zone = zone_of(column) if self.kind == "date" else None
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
        others = [Reading(self.kind, style, grouped=True).read(strange) for style in OTHERS[self.style]]
        foreign = strange.filter(others[0].is_not_null() | others[-1].is_not_null())
        a_foreign = foreign[0] if len(foreign) else None
        return Seen(len(values), present, len(strange), len(foreign), strange[0], a_foreign)

    def judge(self, name: str, seen: Seen) -> None:
        """Raise TailwiseError, as when the reading is called, if too much of a column is strange."""
        others = OTHERS[self.style]
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

        column = readable(column)
        if self.kind == "empty":
            return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
        if self.kind in ("category", "text"):
            values = names(column)
            if self.style.isdigit():
                return values.zip_with(~values.str.contains(r"^\d+$"), values.str.zfill(int(self.style)))
            return values.replace(["0", "1"], ["false", "true"]) if self.style == "boolean" else values
        if self.kind == "date":
            return as_dates(column, self.style, self.zone or "UTC")
        numbers = as_numbers(column, self.style)
        if self.grouped or column.dtype != pl.String:
            return numbers
        return numbers.set(without_currency(column).str.contains(ONE_GROUP[self.style]).fill_null(False), None)

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
    column = readable(column)
    dtype = column.dtype
    if column.null_count() == len(column):
        return Reading("empty")
    if dtype.is_float() and not column.is_finite().any():
        return Reading("empty")
    if dtype.is_numeric():
        return Reading("number", ".", grouped=_whole(column))
    if dtype in (pl.Date, pl.Datetime, pl.Time):
        return Reading("number", ".") if dtype == pl.Time else Reading("date", "plain", zone=zone_of(column))
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
                parsable = without_currency(present.filter(~is_stray))
                grouped = kind == "number" and bool(parsable.str.contains(GROUPS[best]).any() or _whole(parsed[best]))
                strays = values.filter(values.is_in(present.filter(is_stray).to_list()))
                mixed = len(strays) > (1 - _ENOUGH) * (len(values) - values.null_count())
                counts = strays.rename("value").value_counts(name="n").sort("n", "value", descending=[True, False])
                words = tuple(counts["value"].head(max_categories if mixed else _KNOWN))
                return Reading(kind, best, grouped, words, mixed, zone_of(parsable) if kind == "date" else None)
    return Reading(kept)


def _are_codes(values: pl.Series) -> bool:
    """Say whether strings are digits of one length, some after a zero: postcodes, say, of which zeros are part."""
    return bool(values.str.starts_with("0").any() and values.str.contains(r"^\d{2,}$").all()) and (
        values.str.len_bytes().n_unique() == 1
    )


def lost_values(before: pl.Series, after: pl.Series) -> pl.Series:
    """Return the values that were present before reading and are missing after it."""
    import polars as pl

    before = readable(before)
    if (before.dtype.is_numeric() and after.dtype.is_numeric()) or after.null_count() == before.null_count():
        return pl.Series(before.name, [], dtype=pl.String)
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


def _share(parsed: pl.Series) -> float:
    return 1 - parsed.null_count() / max(len(parsed), 1)


def _whole(numbers: pl.Series) -> bool:
    return numbers.dtype.is_integer() or bool((numbers == numbers.round()).all())


#: Styles, of equally good ones the first, and what reads values in a style.
_PARSERS: dict[ColumnKind, tuple[tuple[str, ...], Callable[[pl.Series, str], pl.Series]]] = {
    "number": ((".", ","), as_numbers),
    "date": (("plain", "month", "day"), as_dates),
}
