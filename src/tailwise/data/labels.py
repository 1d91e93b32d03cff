"""Convert labels, in the forms that people write them, to class codes, and back."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
import warnings
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import DataWarning, TailwiseError, nearest
from tailwise.tensors import to_array
from tailwise.wording import plural

if TYPE_CHECKING:
    import polars as pl

#: Spellings of "no label". "None" is not among them, because it may be the name of a class.
MISSING_LABELS = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "#null!", r"\n"})
#: Those of them that libraries and databases write for a missing value, and nobody for a class.
NEVER_NAMES = frozenset({"", "nan", "-nan", "<na>", "#null!", r"\n"})
#: Other spellings of "missing", which may be classes.
OFTEN_MISSING = frozenset({"nil", "-", "--", "?", "."})


def any_of(words: Iterable[str]) -> str:
    """Return a regular expression that matches any of the words, ignoring case and surrounding blanks."""
    return rf"(?i)^\s*({'|'.join(map(re.escape, sorted(words)))})\s*$"


def class_name(label: Any) -> str:
    """Return a label for display; whole floats, which are integers beside missing values, lose their ``.0``."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)


def label_key(label: Any) -> str:
    """Return a key that is equal for labels with the same meaning, however they are stored.

    Examples are ``1``, ``1.0`` and ``"1.0"``; ``True``, ``"true"`` and ``"TRUE"``; and ``"é"`` as one or two
    characters.
    """
    name = unicodedata.normalize("NFC", class_name(label))
    if re.fullmatch(r"-?(0|[1-9]\d*)\.0+", name):
        return name.partition(".")[0]
    return name.lower() if name.lower() in ("true", "false") else name


def is_fraction(label: Any) -> bool:
    """Say whether a label is a text such as ``2.50``: a number with places behind the point that are not all zero."""
    return isinstance(label, str) and re.fullmatch(r"-?(0|[1-9]\d*)\.\d*[1-9]\d*", label) is not None


def codes_among(labels: Iterable[Any], known: Iterable[Any]) -> list[int]:
    """Return the code of the known class with each label's name, its :func:`label_key` or its number; else -1.

    Of two texts, ``1.10`` is not ``1.1``: they may be versions.
    """
    code_of = {label_key(label): code for code, label in enumerate(known)}
    code_of |= {class_name(label): code for code, label in enumerate(known)}
    numbers = {label: code for code, label in enumerate(known) if not isinstance(label, str)}  # True is 1
    written = {float(label): code for code, label in enumerate(known) if is_fraction(label)}

    def code(label: Any) -> int:
        found = code_of.get(class_name(label), code_of.get(label_key(label), -1))
        if found >= 0:
            return found
        if not isinstance(label, str):
            return numbers.get(label, written.get(label, -1))
        return numbers.get(float(label), -1) if is_fraction(label) else -1

    return [code(label) for label in labels]


def known_codes(labels: NDArray[Any], known: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Return the code of each label among the classes of the training data.

    Raises
    ------
    TailwiseError
        If a label is not among them; the message suggests the nearest one.
    """
    codes = np.array(codes_among(labels, known), dtype=np.int64)
    if (strange := labels[codes < 0]).size:
        name, others = class_name(strange[0]), f" (and {strange.size - 1} more)" if strange.size > 1 else ""
        raise TailwiseError(
            f"{where}: label {name!r}{others} is not among the {len(known)} classes of the training data."
            f"{nearest(name, map(class_name, known))} Correct it or leave those rows out."
        )
    return codes


def by_name(numbers: Any, classes: Collection[str]) -> Any:
    """Return numbers that a pandas index names, such as class shares from ``value_counts``, as a mapping.

    A frame becomes a mapping of rows. What has no names but 0, 1, 2 and so on, in this order, stays as it is, unless
    these are the names of the classes.
    """
    import pandas as pd

    if not isinstance(numbers, pd.Series | pd.DataFrame):
        return numbers
    plain = [axis.equals(pd.RangeIndex(len(axis))) and {*map(str, axis)} != {*classes} for axis in numbers.axes]
    if all(plain):
        return numbers
    return numbers.to_dict() if isinstance(numbers, pd.Series) else numbers.to_dict("index")


def trimmed(column: pl.Series) -> pl.Series:
    """Return the labels of a file without surrounding blanks, and as integers if all of them are.

    ``007`` is a name, not an integer. If all names are numbers, such as ``2.5``, they are sorted by value. Case is
    kept. Spellings of "no label" are left to :func:`encode_labels`; among numbers they become null.
    """
    import polars as pl

    if not _is_text(column):
        return column
    text = column.cast(pl.String).str.strip_chars()
    named = text.set(text.str.to_lowercase().is_in(MISSING_LABELS), None)
    if named.drop_nulls().str.contains(r"^(0|-?[1-9]\d{0,17})$").all():
        return named.cast(pl.Int64)
    names = in_order(named.drop_nulls().unique())
    return text if names == sorted(names) else named.cast(pl.Enum(names))


def in_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names, sorted; by value if all are numbers, such as ``2.5``."""
    distinct = sorted(set(names))
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct


def padding(column: pl.Series, times: pl.Series | None = None) -> str | None:
    """Return a sentence on labels with surrounding blanks, which :func:`trimmed` removes; None if there are none.

    Parameters
    ----------
    column : labels as in the file
    times : number of occurrences of each; by default 1
    """
    import polars as pl

    if not _is_text(column):
        return None
    text = column.cast(pl.String)
    padded = pl.DataFrame({"text": text, "bare": text.str.strip_chars(), "times": 1 if times is None else times})
    padded = padded.filter(pl.col("text") != pl.col("bare"), ~pl.col("bare").str.to_lowercase().is_in(MISSING_LABELS))
    if padded.is_empty():
        return None
    label, bare, _ = padded.row(int(padded["text"].arg_min() or 0))
    n = int(padded["times"].sum())
    what = plural(n, "label has blanks around it", "labels have blanks around them")
    return f"{what}: {label!r} is read as {bare!r}."


def _is_text(column: pl.Series) -> bool:
    import polars as pl

    return column.dtype in (pl.String, pl.Categorical)


def encode_labels(
    values: ArrayLike,
    known: NDArray[Any] | None = None,
    where: str = "labels",
    missing: Collection[str] = MISSING_LABELS,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Encode labels as class codes.

    Parameters
    ----------
    values : (n,) strings, integers, booleans or floats. None, NaN, blanks, "NA" and masked values mean no label.
        Decimals are read as integers if they are whole and otherwise as text, as are dates, times and UTF-8 bytes
    known : classes in code order, if they are fixed (for evaluation, say); labels are matched by what they mean, so
        that ``"3.0"`` in a CSV file matches ``3`` in a Parquet file. By default the labels that occur, sorted; those of
        an ordered pandas categorical or a polars Enum keep its order
    where : name of the labels, for messages
    missing : texts, in lower case, that mean no label

    Returns
    -------
    codes : (n,) int64, -1 for missing labels
    classes : (n_classes,) labels in their own type

    Raises
    ------
    TailwiseError
        If the labels are not 1-D or not names or numbers, if all are missing and no classes are known, or if one is not
        among the known classes.
    """
    values = _unwrapped(values)
    declared = _declared(values)
    places, distinct = _factorise(values if declared is None else declared[1], where)
    places = places if declared is None else declared[0]
    absent = np.array([_is_among(label, missing) for label in distinct.tolist()], dtype=bool)
    classes, code = _as_classes(distinct[~absent], is_ordered=declared is not None)
    if not len(classes) and known is None:
        raise TailwiseError(f"{where}: all labels are missing, so there is nothing to learn.")
    if known is not None:
        code, classes = known_codes(classes, known, where)[code], known
    codes_of_distinct = np.full(len(distinct) + 1, -1, dtype=np.int64)  # the last entry is for place -1: missing
    codes_of_distinct[:-1][~absent] = code
    return codes_of_distinct[places], classes


def warn_of_words(values: Any, codes: NDArray[np.int64]) -> None:
    """Warn of words such as "Na" that :func:`encode_labels` took for no label, as sodium's class may be called so."""
    if (codes >= 0).all():
        return
    missing = np.asarray(_unwrapped(to_array(values))).ravel()[codes < 0].tolist()
    words = {label for label in missing if _is_among(label, MISSING_LABELS - NEVER_NAMES)}
    if words:
        told = " and ".join(map(repr, sorted(words)))
        warnings.warn(
            f"labels {told} are taken for missing ones, and their rows left out: if it is a class, call it otherwise.",
            DataWarning,
            stacklevel=2,
        )


def _unwrapped(values: Any) -> Any:
    """Return Arrow data and single-column frames as series, masked values as None, 128-bit integers as objects.

    Times of a time zone become those of its clocks.
    """
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray | pa.Table):
        values = pl.from_arrow(values)
    if isinstance(values, pl.DataFrame) and values.width == 1:
        values = values.to_series()
    if isinstance(values, pl.Series) and isinstance(values.dtype, pl.Datetime):
        return values.dt.replace_time_zone(None)
    if isinstance(values, pd.Series | pd.Index) and isinstance(values.dtype, pd.DatetimeTZDtype):
        return pd.Series(values).dt.tz_localize(None)
    if isinstance(values, pl.Series) and values.dtype == pl.Int128:  # NumPy has no such type
        return np.array(values.to_list(), dtype=object)
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        return values.iloc[:, 0]
    if isinstance(values, np.ma.MaskedArray):
        plain = values.data.astype(object)
        plain[np.ma.getmaskarray(values)] = None
        return plain
    return values


def _declared(values: Any) -> tuple[NDArray[np.int64], Any] | None:
    """Return, for ordered categories, each value's place (-1 if missing) and the categories that occur; else None."""
    import pandas as pd
    import polars as pl

    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, pl.Enum):
        places = values.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
        categories: Any = dtype.categories.to_numpy()
    elif isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        places, categories = pd.Categorical(values).codes, dtype.categories
    else:
        return None
    occurring, found = np.unique(np.append(places, -1), return_inverse=True)
    return found[:-1] - 1, categories[occurring[1:]]


def _factorise(values: Any, where: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return each value's place among the distinct values, -1 for None and NaN, and the distinct values."""
    import pandas as pd
    import polars as pl

    if isinstance(values, pl.Series) and _is_text(values):
        text = values.cast(pl.String)  # without an object per row
        distinct = text.drop_nulls().unique(maintain_order=True)
        places = text.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64).fill_null(-1)
        return places.to_numpy(), distinct.to_numpy().astype(object)
    if isinstance(getattr(values, "dtype", None), pd.SparseDtype):
        values = np.asarray(values)
    if isinstance(values, pd.Series | pd.api.extensions.ExtensionArray) and values.dtype.kind in "iu":
        values = pl.from_pandas(pd.Series(values))
    if isinstance(values, pl.Series) and values.dtype.is_integer():  # an array would have floats for missing ones
        places = values.rank("dense").cast(pl.Int64) - 1
        return places.fill_null(-1).to_numpy(), values.drop_nulls().unique().sort().to_numpy()
    if isinstance(values, pl.Series) and (values.dtype.is_nested() or values.dtype == pl.Object):
        raise TailwiseError(f"{where} must be names or numbers; got {str(values.dtype.base_type()).lower()}s.")
    array = _as_labels(values, where)
    if array.dtype.kind in "Mm":  # in a unit that converts to date and time objects
        array = array.astype(f"{array.dtype.kind}8[us]")
    if array.dtype.kind in "SUTMm":
        array = array.astype(object)
    try:
        codes, found = pd.factorize(array.astype(array.dtype.newbyteorder("="), copy=False))
    except TypeError:
        raise TailwiseError(
            f"{where} must be names or numbers; got values of type {type(array[0]).__name__}."
        ) from None
    if found.dtype == object:
        found = np.fromiter((_plain(label, where) for label in found), dtype=object, count=len(found))
    return codes.astype(np.int64, copy=False), np.asarray(found)


def _plain(label: Any, where: str) -> Any:
    """Return a label as a name or a number."""
    if isinstance(label, Decimal):
        return int(label) if label == label.to_integral_value() else f"{label.normalize():f}"
    if isinstance(label, bytes):
        try:
            return label.decode()
        except UnicodeDecodeError:
            raise TailwiseError(
                f"{where} must be names or numbers; got bytes that are not UTF-8: {label[:20]!r}."
            ) from None
    if isinstance(label, dt.date | dt.time | dt.timedelta) or type(label).__name__ in ("Period", "Interval"):
        return str(label).removesuffix(" 00:00:00")  # dates as in CSV files
    if not isinstance(label, str | bool | int | float | np.generic):
        raise TailwiseError(f"{where} must be names or numbers; got values of type {type(label).__name__}.")
    return label


def _is_among(label: Any, words: Collection[str]) -> bool:
    return isinstance(label, str) and label.strip().lower() in words


def _as_classes(distinct: NDArray[Any], is_ordered: bool) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes in the narrowest type that can hold them, and the class of each distinct label.

    They are sorted, unless they have an order of their own.
    """
    if distinct.dtype.kind == "O":
        labels = distinct.tolist()
        if len({type(label) for label in labels}) > 1:  # 1 and "1" in one column are the same class
            labels = [class_name(label) for label in labels]
        distinct = np.array(labels) if labels else np.array([], dtype=str)
    if is_ordered:
        return distinct, np.arange(len(distinct))
    classes, code = np.unique(distinct, return_inverse=True)
    return classes, code.astype(np.int64, copy=False)


def _as_labels(values: ArrayLike, where: str) -> NDArray[Any]:
    try:
        array = np.asarray(to_array(values))
    except ValueError:  # rows of different lengths
        raise TailwiseError(f"{where} must be one label per row; got several.") from None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise TailwiseError(f"{where} must be one label per row; got an array of shape {array.shape}.")
    if array.dtype.kind not in "biufSUTOMm":
        raise TailwiseError(f"{where} must be names or numbers; got {array.dtype}.")
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise TailwiseError(
            f"{where} hold infinity, which is not a class; the first is in row {np.isinf(array).argmax()}."
        )
    return array
