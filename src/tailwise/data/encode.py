"""Encode tables as float32 arrays, column by column, in the same way for training and prediction."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tailwise.data.coders import Number, OneHot, Ordinal, Parts, Scaled
from tailwise.data.columns import MAX_CATEGORIES, Judged, Reading, Seen, read_as, undecided
from tailwise.data.frames import to_frame
from tailwise.data.lost import LostValues
from tailwise.data.paths import LEARNED_FROM, require_columns
from tailwise.errors import DataWarning, TailwiseError
from tailwise.wording import few_of_each

if TYPE_CHECKING:
    import polars as pl

#: Trees learn a name that recurs this often, such as a shop's, as a category: its spelling adds little.
_RECURS = 100


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode a table's numbers, categories, booleans, dates and texts, with missing values, as one float32 array.

    The training data decides, once, what each column holds. Numbers may be written with thousands separators,
    currencies or decimal commas, and dates in several ways. If more than a tenth of the values of such a column are
    words, these become categories in a further column. Columns are matched by name, so their order does not matter.
    Additional columns are ignored, and columns that had no values in training may be absent. Texts are encoded by
    skrub's ``StringEncoder``, dates by its ``DatetimeEncoder``. Each column is written directly into the output, so
    little memory is needed beyond that. Encoding is deterministic.

    Parameters
    ----------
    scale : False suits trees: a category is one number (0 for the most frequent), and missing values are NaN. True
        suits networks and linear models: categories are one-hot encoded, other columns are scaled by median and
        quartile range and smoothly clipped to (-3, 3), and missing values are 0 and flagged in an additional column
    max_categories : a column of strings with more distinct values than this is text
    text_components : number of output columns for each text column

    Attributes
    ----------
    feature_names_in_, n_features_in_ : columns seen in training
    readings_ : how each column is read, followed by how the words among numbers or dates are read
    strings_ : columns that were strings in training, and must be read as strings from a CSV file again
    notes_ : one line for everything that was left out or treated as missing
    nominal_ : positions of the output columns that hold category codes

    Raises
    ------
    TailwiseError
        At ``fit``, if no column has values. At ``transform``, if a column is missing (the message suggests the nearest
        name) or does not hold what it held in training.
    """

    def __init__(self, *, scale: bool = False, max_categories: int = MAX_CATEGORIES, text_components: int = 30) -> None:
        self.scale = scale
        self.max_categories = max_categories
        self.text_components = text_components

    def fit(self, X: Any, y: ArrayLike | None = None) -> TableEncoder:
        """Decide how each column is read and encoded.

        Parameters
        ----------
        X : (n, n_columns) polars or pandas frame, or anything that can be converted to one
        y : ignored
        """
        import polars as pl

        frame = to_frame(X)
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        self.n_features_in_ = frame.width
        self.readings_ = [read_as(column, self.max_categories) for column in frame]
        self.coders_ = []
        self.sources_ = list(frame.columns)
        self.strings_ = [column.name for column in frame if column.dtype == pl.String]
        notes: list[tuple[str, str]] = []
        found, words = LostValues(self), []
        for column, reading in zip(frame, self.readings_, strict=True):
            values = reading.read(column)
            self.coders_.append(self._coder(values, reading))
            if self.coders_[-1]:
                found.add_column(column, values, reading, self.coders_[-1])
            if reading.mixed:
                self.sources_.append(column.name)
                words.append(self._words(reading.strays))
            notes += _remarks(column, reading)
        self.notes_ = (*few_of_each(notes), *found.notes())
        self.readings_ += [Reading("category")] * len(words)
        self.coders_ += words
        kinds = [type(coder) for coder in self.coders_ if coder for _ in coder.parts]
        self.nominal_ = tuple(at for at, kind in enumerate(kinds) if kind is Ordinal)
        if not any(coder.parts for coder in self.coders_ if coder):
            raise TailwiseError("no column of the table has values to learn from.")
        return self

    def fit_transform(self, X: Any, y: ArrayLike | None = None, **fit_params: Any) -> NDArray[np.float32]:
        """Return the features of the table that decides how columns are read; see :meth:`fit`."""
        frame = to_frame(X)
        return self.fit(frame)._encoded(frame, None)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the (n, n_features_out) float32 features.

        A :class:`tailwise.errors.DataWarning` tells of columns nearly all of whose values are taken as missing, because
        training did not have them.

        Parameters
        ----------
        X : (n, n_columns) as for :meth:`fit`, with columns in any order
        """
        frame = to_frame(X)
        require_columns(frame.columns, self.needed, "the table", LEARNED_FROM)
        lost = self.lost_values()
        out = self._encoded(frame, lost)
        for sentence in lost.nearly_all():
            warnings.warn(sentence, DataWarning, stacklevel=2)
        return out

    def _encoded(self, frame: pl.DataFrame, lost: LostValues | None) -> NDArray[np.float32]:
        """Return the features of a frame, and count the values that are lost."""
        out = np.empty((frame.height, sum(len(coder.parts) for coder in self.coders_ if coder)), dtype=np.float32)
        start = 0
        for place, (name, reading, coder) in enumerate(zip(self.sources_, self.readings_, self.coders_, strict=True)):
            if coder:
                values = reading(frame[name])
                coder.fill(values, out[:, start : start + len(coder.parts)])
                start += len(coder.parts)
                if lost is not None and place < self.n_features_in_:
                    lost.add_column(frame[name], values, reading, coder)
        return out

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the output columns."""
        check_is_fitted(self)
        pairs = zip(self.sources_, self.coders_, strict=True)
        return np.array(
            [f"{name} {part}".strip() for name, coder in pairs if coder for part in coder.parts], dtype=object
        )

    def parsed(self, frame: pl.DataFrame) -> list[str]:
        """Return the columns of a frame whose strings are read as numbers or dates, and judged by how many are."""
        import polars as pl

        check_is_fitted(self)
        pairs = zip(self.feature_names_in_, self.readings_, strict=False)
        parsed = {name for name, reading in pairs if reading.judges}
        return [name for name, dtype in frame.schema.items() if name in parsed and dtype == pl.String]

    def judging(self, batches: Iterable[pl.DataFrame]) -> TableEncoder:
        """Return the encoder for a table that comes in batches, which judges columns by all of them.

        Parameters
        ----------
        batches : of the columns that :meth:`parsed` names, or of more

        Raises
        ------
        TailwiseError
            If :meth:`transform` would refuse the whole table for what a column holds.
        """
        readings = dict(zip(self.feature_names_in_, self.readings_, strict=False))
        seen: dict[str, Seen] = {}
        for frame in batches:
            for name in self.parsed(frame):
                column, reading = frame[name], readings[name]
                seen[name] = seen.get(name, Seen()).and_of(reading.seen(column, reading.read(column)))
        for name, of_all in seen.items():
            readings[name].judge(name, of_all)
        own = copy(self)
        own.readings_ = [Judged(**vars(reading)) for reading in self.readings_]
        return own

    def lost_values(self) -> LostValues:
        """Return a counter, to be fed batch by batch, of what :meth:`transform` ignores or treats as missing."""
        check_is_fitted(self)
        return LostValues(self)

    @property
    def needed(self) -> list[str]:
        """The required columns: those that had values in training."""
        check_is_fitted(self)
        return list(dict.fromkeys(name for name, coder in zip(self.sources_, self.coders_, strict=True) if coder))

    def _words(self, words: tuple[str, ...]) -> Ordinal:
        """Return a coder for the words in a column of numbers or dates."""
        return OneHot(words, words) if self.scale else Ordinal(words, ("word",))

    def _coder(self, values: pl.Series, reading: Reading) -> Any:
        if reading.kind == "empty":
            return None
        if reading.kind == "category":
            return OneHot.of(values) if self.scale else Ordinal.of(values)
        if reading.kind == "text":
            if not self.scale and len(values) - values.null_count() >= _RECURS * values.drop_nulls().n_unique():
                return Ordinal.of(values)
            coder: Any = Parts.of_texts(values, self.text_components)
        else:
            coder = Parts.of_dates(values) if reading.kind == "date" else Number.of(values)
        return Scaled.of(coder, values) if self.scale else coder


class PixelEncoder(TransformerMixin, BaseEstimator):
    """Flatten images to rows of float32 pixels from 0 to 1, for classifiers that take tables."""

    def fit(self, X: Any, y: ArrayLike | None = None) -> PixelEncoder:
        """Remember the shape of the images; nothing else is fitted."""
        self.shape_ = tuple(np.asarray(X).shape[1:])
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return (n, height * width * channels) float32 pixels from (n, height, width, channels) uint8 images.

        Raises
        ------
        TailwiseError
            If the images have another shape than in training.
        """
        check_is_fitted(self)
        images = np.asarray(X)
        if images.shape[1:] != self.shape_:
            raise TailwiseError(f"images must be of shape {self.shape_}, as in training; got {images.shape[1:]}.")
        return images.reshape(len(images), math.prod(self.shape_)).astype(np.float32) / np.float32(255)


def dense(X: Any) -> Any:
    """Return sparse numbers as a dense array, and everything else unchanged."""
    return X.toarray() if issparse(X) else X


def _remarks(column: pl.Series, reading: Reading) -> list[tuple[str, str]]:
    """Describe how a column, and any like it, is treated if that may be unexpected; lost values are told elsewhere."""
    import polars as pl

    name = f"column {column.name!r}"
    if reading.kind == "empty":
        what = f"holds {column.dtype}, which is no feature,"
        if column.dtype == pl.String or column.null_count() == len(column):
            what = "has no values"
        elif column.dtype.is_float():
            what = "has no finite values"
        return [(f"{name} {what} and is left out.", "hold nothing that is a feature and are left out")]
    remarks = []
    if reading.mixed:
        words, rest = f"words such as {reading.strays[0]!r}", f"are categories beside the {reading.kind}s"
        remarks.append((f"{name}: {words} {rest}.", f"hold words, which {rest}"))
    if len(two := undecided(column, reading)):
        how, so = "with the month first", "write them as 2024-12-31 if the day is."
        if reading.kind == "number":
            how, so = "with a comma between thousands", "write a point before decimals."
        remarks.append(
            (f"{name}: {reading.kind}s such as {two[0]!r} are read {how}; {so}", f"hold {reading.kind}s read {how}")
        )
    return remarks
