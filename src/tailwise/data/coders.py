"""Encode one column of numbers, dates, categories or text as columns of float32.

Each coder is fitted by ``of(values, ...)``, has ``parts`` (the names of its output columns), and fills ``out``
(n, len(parts)) from n values. Missing values become NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Block = NDArray[np.float32]

_ROWS = 65536  # rows of text to encode at a time
_FIT_TEXTS = 50_000  # maximum number of distinct texts to fit a text encoder on
_SCALE_ROWS = 100_000  # approximate number of rows to compute quartiles from
_FAR = 1e6  # limit of scaled values, in quartile ranges from the median
_LARGEST = 3e38  # of float32, nearly
_EXACT = 1 << 24  # whole numbers up to here are exact in float32


@dataclass(frozen=True)
class Number:
    """Numbers, from an offset that keeps their differences in float32; it is 0 unless they are large."""

    offset: float = 0.0
    parts: tuple[str, ...] = ("",)

    @classmethod
    def of(cls, values: pl.Series) -> Number:
        """Choose the offset."""
        return cls(_offset(values.to_numpy()))

    def fill(self, values: pl.Series, out: Block) -> None:
        """Fill ``out`` (n, 1)."""
        numbers = values.to_numpy()
        out[:, 0] = np.clip(numbers - self.offset if self.offset else numbers, -_LARGEST, _LARGEST)


@dataclass(frozen=True)
class Ordinal:
    """Categories as 0, 1, 2, ..., the most frequent first."""

    categories: tuple[str, ...]
    parts: tuple[str, ...] = ("",)

    @classmethod
    def of(cls, values: pl.Series) -> Ordinal:
        """Number the categories by frequency; ties in alphabetical order."""
        counts = values.drop_nulls().rename("value").value_counts(name="n")
        return cls(tuple(counts.sort("n", "value", descending=[True, False])["value"]))

    def codes(self, values: pl.Series) -> NDArray[np.float32]:
        """Return (n,) codes; NaN for missing or new values."""
        import polars as pl

        return values.cast(pl.Enum(self.categories), strict=False).to_physical().cast(pl.Float32).to_numpy()

    def new(self, values: pl.Series) -> pl.Series:
        """Return the values that are not among the categories."""
        return values.filter(values.is_not_null() & ~values.is_in(list(self.categories)))

    def fill(self, values: pl.Series, out: Block) -> None:
        """Fill ``out`` (n, 1)."""
        out[:, 0] = self.codes(values)


@dataclass(frozen=True)
class OneHot(Ordinal):
    """Categories as one column of zeros and ones each; all zeros for missing or new values."""

    @classmethod
    def of(cls, values: pl.Series) -> OneHot:
        """Give each category a column."""
        categories = Ordinal.of(values).categories
        return cls(categories, categories)

    def fill(self, values: pl.Series, out: Block) -> None:
        """Fill ``out`` (n, n_categories)."""
        codes = self.codes(values)
        for code in range(len(self.categories)):
            out[:, code] = codes == code


@dataclass(frozen=True)
class Parts:
    """Dates or texts as the output columns of a skrub encoder."""

    encoder: Any
    parts: tuple[str, ...]
    offsets: tuple[float, ...] = (0.0,)  # as of numbers: of seconds since 1970, which float32 would round to minutes

    @classmethod
    def of_dates(cls, values: pl.Series) -> Parts:
        """Split dates into year, month, day, weekday, hour (if times occur) and seconds since 1970."""
        from skrub import DatetimeEncoder

        fitted = cls._fitted(DatetimeEncoder(add_weekday=True), values)
        some = values.drop_nulls()
        some = some.gather_every(max(1, len(some) // _SCALE_ROWS))
        return replace(fitted, offsets=tuple(_offset(part) for part in fitted.encoded(some).T))

    @classmethod
    def of_texts(cls, values: pl.Series, components: int) -> Parts:
        """Reduce the tf-idf of character n-grams to ``components`` columns."""
        from skrub import StringEncoder

        distinct = values.drop_nulls().unique(maintain_order=True).head(_FIT_TEXTS)
        return cls._fitted(StringEncoder(n_components=components, random_state=0), distinct)

    @classmethod
    def _fitted(cls, encoder: Any, values: pl.Series) -> Parts:
        columns = encoder.fit_transform(values.rename("")).columns
        return cls(encoder, tuple(column.removeprefix("_").replace("string_enc_", "text ") for column in columns))

    def encoded(self, values: pl.Series) -> NDArray[np.float64]:
        """Return the (n, len(parts)) numbers of n values."""
        import polars as pl

        numbers = np.array(self.encoder.transform(values.rename("")).cast(pl.Float64).to_numpy())
        if "total_seconds" in self.parts:  # which skrub has in float32
            numbers[:, self.parts.index("total_seconds")] = (values.dt.epoch("us") / 1e6).to_numpy()
        return numbers

    def fill(self, values: pl.Series, out: Block) -> None:
        """Fill ``out`` (n, len(parts)) block by block, encoding each distinct value of a block once."""
        import polars as pl

        for start in range(0, len(values), _ROWS):
            rows = values.slice(start, _ROWS).rename("")
            distinct = rows.unique().sort()  # null first, if there is one
            ranks = rows.rank("dense").cast(pl.Int64).fill_null(0) - (rows.null_count() == 0)
            encoded = self.encoded(distinct) - np.array(self.offsets)
            encoded = np.where(distinct.is_null().to_numpy()[:, None], np.float32(np.nan), encoded)
            out[start : start + _ROWS] = encoded[ranks.to_numpy()]


@dataclass(frozen=True)
class Scaled:
    """The columns of another coder, centred and squashed to (-3, 3); missing is 0, and flagged in a further column.

    Source: Holzmüller et al., Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data, NeurIPS 2024,
    section 3 (robust scaling and smooth clipping).
    """

    coder: Any
    centre: Block
    scale: Block
    flagged: bool

    @classmethod
    def of(cls, coder: Any, values: pl.Series) -> Scaled:
        """Centre on the median and divide by the quartile range or, if that is zero, by half of the full range."""
        present = values.drop_nulls()
        present = present.gather_every(max(1, len(present) // _SCALE_ROWS))
        raw = np.empty((len(present), len(coder.parts)), dtype=np.float32)
        coder.fill(present, raw)
        low, lower, middle, upper, high = np.quantile(raw, [0, 0.25, 0.5, 0.75, 1], axis=0)
        spread = np.where(upper > lower, upper - lower, (high - low) / 2)
        scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        return cls(coder, middle.astype(np.float32), scale.astype(np.float32), values.null_count() > 0)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the coder, and the flag."""
        return (*self.coder.parts, *(("missing",) if self.flagged else ()))

    def fill(self, values: pl.Series, out: Block) -> None:
        """Fill ``out`` (n, len(parts))."""
        inner = out[:, : len(self.coder.parts)]
        self.coder.fill(values, inner)
        missing = np.isnan(inner[:, 0])
        if self.flagged:
            out[:, -1] = missing
        for column, centre, scale in zip(inner.T, self.centre, self.scale, strict=True):
            with np.errstate(over="ignore"):
                column -= centre
                column *= scale
            np.clip(column, -_FAR, _FAR, out=column)  # beyond this, the smooth clipping below is constant
            column /= np.sqrt(1 + (column / 3) ** 2)
            column[missing] = 0


def _offset(numbers: NDArray[Any]) -> float:
    """Return the median of numbers beyond those that float32 holds exactly if whole, such as times in seconds; or 0."""
    present = numbers[np.isfinite(numbers)]
    if not present.size or np.abs(present).max() <= _EXACT:
        return 0.0
    return float(np.clip(np.median(present[:: -(-present.size // _SCALE_ROWS)]), -_LARGEST, _LARGEST))
