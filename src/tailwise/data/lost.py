"""Count the values of a table that an encoder ignores or treats as missing, over all batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tailwise.data.coders import Ordinal
from tailwise.data.columns import Reading, lost_values
from tailwise.data.frames import to_frame
from tailwise.wording import few_of_each, plural, some

if TYPE_CHECKING:
    import polars as pl

    from tailwise.data.encode import TableEncoder


_NEARLY = 0.9  # share of the values of a column


@dataclass
class LostValues:
    """Counts, collected batch by batch, for notes on the whole table.

    Attributes
    ----------
    encoder : a fitted encoder
    """

    encoder: TableEncoder
    _rows: int = 0
    _ignored: list[str] = field(default_factory=list)
    _present: dict[str, int] = field(default_factory=dict)  # number of values of each column
    _lost: dict[str, dict[str, tuple[int, Any]]] = field(default_factory=dict)  # of each: what, number, the first one

    def add(self, X: Any) -> None:
        """Count the lost values of further rows."""
        frame = to_frame(X)
        known = dict.fromkeys(self.encoder.feature_names_in_)
        self._ignored = [name for name in frame.columns if name not in known]
        for name, reading, coder in zip(known, self.encoder.readings_, self.encoder.coders_, strict=False):
            if coder:
                self.add_column(frame[name], reading.read(frame[name]), reading, coder)
        self._rows += frame.height

    def add_column(self, column: pl.Series, values: pl.Series, reading: Reading, coder: Any) -> None:
        """Count the lost values of further rows of one column, given the values that were read from it."""
        name = column.name
        self._present[name] = self._present.get(name, 0) + len(values) - values.null_count()
        if column.dtype.is_float() and (infinite := column.is_infinite()).any():
            self._count(name, "infinite", int(infinite.sum()), self._rows + (infinite.arg_max() or 0))
        lost = lost_values(column, values)
        if reading.mixed:
            words = lost.is_in(list(reading.strays))
            self._present[name] += int(words.sum())
            lost = lost.filter(~words)
        new = coder.new(values) if isinstance(coder, Ordinal) else values.head(0)
        for what, those in (("stray", lost), ("new", new)):
            if len(those):
                self._count(name, what, len(those), those[0])

    def notes(self) -> tuple[str, ...]:
        """Return one line for each column and kind of loss."""
        ignored, notes = [], []
        if self._ignored:
            ignored.append(f"columns that training did not have are ignored: {some(self._ignored)}.")
        readings = dict(zip(self.encoder.feature_names_in_, self.encoder.readings_, strict=False))
        for name, present in self._present.items():
            lost = self._lost.get(name, {})
            notes += [_sentence(name, what, n, first, readings[name]) for what, (n, first) in lost.items()]
            if not present and not lost:
                notes.append((f"column {name!r} has no values here: taken as missing.", "have none either"))
        return (*ignored, *few_of_each(notes))

    def nearly_all(self) -> tuple[str, ...]:
        """Return one line for each column that lost nine in ten of its values, or more."""
        readings = dict(zip(self.encoder.feature_names_in_, self.encoder.readings_, strict=False))
        notes = []
        for name, lost in self._lost.items():
            values = self._present[name] + lost.get("stray", (0, None))[0]
            if sum(n for what, (n, _) in lost.items() if what != "infinite") >= _NEARLY * values:
                notes += [_sentence(name, what, n, first, readings[name]) for what, (n, first) in lost.items()]
        return few_of_each(notes)

    def _count(self, name: str, what: str, n: int, first: Any) -> None:
        lost = self._lost.setdefault(name, {})
        before, example = lost.get(what, (0, first))
        lost[what] = (before + n, example)


def _sentence(name: str, what: str, n: int, first: Any, reading: Reading) -> tuple[str, str]:
    """Describe the loss of n values of a column, and of columns that lost such values."""
    values, are = plural(n, "value"), "is" if n == 1 else "are"
    if what == "infinite":
        infinite = plural(n, "infinite value")
        return (
            f"column {name!r}: {infinite}, first in row {first} of those encoded, {are} taken as missing.",
            "have infinite values, which are taken as missing",
        )
    if what == "new":
        return (
            f"column {name!r}: {values} that training did not have, such as {first!r}, {are} taken as missing.",
            "have values that training did not have, which are taken as missing",
        )
    return (
        f"column {name!r}: {values} {reading.unlike(n)}, such as {first!r}; taken as missing.",
        f"have values that {reading.unlike(2)}, which are taken as missing",
    )
