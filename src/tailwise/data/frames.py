"""Data in memory: frames, arrays, tensors and lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.data.dataset import Dataset, Kind
from tailwise.data.labels import class_name, encode_labels, warn_of_words
from tailwise.data.paths import check_names
from tailwise.errors import TailwiseError
from tailwise.tensors import to_array
from tailwise.wording import one_line, some

if TYPE_CHECKING:
    import polars as pl


def as_dataset(X: Any, y: ArrayLike | None = None, *, kind: Kind | None = None, name: str = "data") -> Dataset:
    """Return data in memory as a :class:`Dataset`.

    Parameters
    ----------
    X : a polars or pandas frame, an Arrow table or a list of mappings (a table, or texts if the only column holds long
        text); (n,) strings or UTF-8 bytes; (n, height, width[, channels]) uint8 images in NumPy or torch (torch also
        with channels first); (n, n_features) numbers, dense or sparse; or a Dataset, of which ``y`` replaces the
        labels and nothing else. NaN is a missing value
    y : (n,) labels; see :func:`encode_labels`
    kind : ``"table"``, ``"text"``, ``"image"`` or ``"array"``, if the guess would be wrong
    name : name of the data, for messages; a Dataset has its own

    Raises
    ------
    TailwiseError
        If X has none of these forms, is a Dataset of another kind, has no rows, or not as many as ``y``; if an array
        holds infinity (in a frame, :class:`TableEncoder` treats it as missing, with a note); if texts have several
        columns or are not UTF-8; or as for :func:`encode_labels`.
    """
    if isinstance(X, Dataset):
        if kind not in (None, X.kind):
            raise TailwiseError(f"X is a data set of {X.kind} data, which cannot be read as {kind} data.")
        data = X
    else:
        kind, inputs = _inputs(X, kind)
        data = Dataset(kind, inputs, None, np.array([], dtype=str), np.arange(inputs.shape[0]), name)
    if y is None:
        return data
    labels, class_labels = encode_labels(y, where="y")
    warn_of_words(y, labels)
    return replace(data, labels=labels, class_labels=class_labels)


def to_frame(X: Any) -> pl.DataFrame:
    """Return a table as a polars frame.

    Parameters
    ----------
    X : polars or pandas frame, Arrow table, mapping of columns, list of mappings, or (n, n_columns) array, dense or
        sparse, whose columns are named x0, x1, ...

    Raises
    ------
    TailwiseError
        If it is none of these, two columns have the same name, or polars takes a name for a pattern.
    """
    frame = _frame(X)
    check_names(frame.columns, "the table")
    return frame


def _frame(X: Any) -> pl.DataFrame:
    """Return a table as a polars frame, with names as they are."""
    import polars as pl
    from scipy import sparse

    if isinstance(X, Dataset):
        X = X.inputs
    if sparse.issparse(X):  # first, as the sparse format dok is a dict
        X = X.toarray()
    if isinstance(X, pl.LazyFrame):
        return X.collect()
    if isinstance(X, pl.DataFrame):
        return X
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return _from_pandas(X)
    if _is_arrow(X):
        return pl.DataFrame(X)
    if _is_records(X):
        X = {name: [row.get(name) for row in X] for name in dict.fromkeys(chain(*X))}
    if not isinstance(X, dict):
        array = _array(X)
        if array.ndim != 2:
            raise TailwiseError(f"a table has rows and columns; got an array of shape {array.shape}.")
        X = {f"x{i}": array[:, i] for i in range(array.shape[1])}
    check_names([str(name) for name in X], "the table")
    return pl.DataFrame({str(name): _column(str(name), values) for name, values in X.items()})


def _is_arrow(X: Any) -> bool:
    """Return whether X is an Arrow table."""
    return hasattr(X, "__arrow_c_stream__") and hasattr(X, "column_names")


def _is_records(X: Any) -> bool:
    """Return whether X is a list of rows that are mappings."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(row, Mapping) for row in X)


def _from_pandas(frame: Any) -> pl.DataFrame:
    import polars as pl

    columns = [str(name) for name in frame.columns]
    check_names(columns, "the table")
    return pl.DataFrame([_series(name, frame.iloc[:, i]) for i, name in enumerate(columns)])


def _column(name: str, values: Any) -> Any:
    """Return one column; pandas infers the type of objects."""
    import pandas as pd

    values = _array(values) if isinstance(values, np.ndarray) else values
    if isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.dtype == object):
        values = pd.Series(values, dtype=object)
    return _series(name, values) if hasattr(values, "iloc") else values


def _series(name: str, column: Any) -> pl.Series:
    """Return one pandas column; periods, intervals and values of several types become strings."""
    import pandas as pd
    import polars as pl
    from pyarrow import ArrowException

    unknown = (pd.PeriodDtype, pd.IntervalDtype)  # to polars
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = column.dtype.categories.dtype
        if isinstance(kind, unknown) or kind.kind in "biuf":  # numbers that are declared to be names
            column = column.cat.rename_categories(class_name)
    if not isinstance(column.dtype, unknown):
        try:
            return pl.from_pandas(column, nan_to_null=True).rename(name)
        except (ArrowException, pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
            pass
    spelt = [
        None if gone else _text(value, f"column {name!r}")
        for value, gone in zip(column.tolist(), column.isna(), strict=True)
    ]
    return pl.Series(name, spelt, dtype=pl.String)


def _text(value: Any, where: str) -> str:
    """Return a value as a string, whole floats as integers, as in a column of numbers only."""
    if not isinstance(value, bytes):
        return class_name(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise TailwiseError(f"{where} has bytes that are not UTF-8, such as {value[:20]!r}: decode them.") from None


def _array(X: Any) -> NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        hidden, kind = np.ma.getmaskarray(X), X.dtype.kind
        X = np.array(X.data, dtype=X.dtype if kind == "f" else np.float64 if kind in "iub" else object)
        X[hidden] = None if X.dtype == object else np.nan
    try:
        array = np.asarray(X)
    except ValueError as error:  # rows of different lengths
        raise TailwiseError(f"this is neither a table nor an array: {one_line(error)}") from None
    return array.astype(np.float64) if array.dtype == np.longdouble else array  # which few other libraries support


def _inputs(X: Any, kind: Kind | None) -> tuple[Kind, Any]:
    """Return the kind of the data and its inputs in the form that a data set keeps."""
    import polars as pl
    from scipy import sparse

    if isinstance(X, str):
        raise TailwiseError(f"give a list of texts, not one text: [{X[:40]!r}]. Files are read by tailwise.data.load.")
    if sparse.issparse(X):  # first, as the sparse format dok is a dict
        return "array", _numbers(X)
    pandas_like = hasattr(X, "iloc") and hasattr(X, "columns")
    if isinstance(X, pl.DataFrame | pl.LazyFrame | dict) or pandas_like or _is_arrow(X) or _is_records(X):
        frame = to_frame(X)
        if frame.height == 0:
            raise TailwiseError(
                f"the table has no {'rows' if frame.width or not getattr(X, 'shape', [0])[0] else 'columns'}."
            )
        if kind == "text" and frame.width > 1:
            raise TailwiseError(
                f"texts are one column, but the frame has {frame.width}: {some(frame.columns)}. Give the "
                "column with the texts."
            )
        column = text_column(frame) if kind is None else frame.columns[0] if kind == "text" else None
        return ("text", texts(frame[column])) if column is not None else ("table", frame)
    if hasattr(X, "detach"):
        X = to_array(X)
        if X.ndim == 4 and X.shape[1] in (1, 3) and X.shape[3] not in (1, 3):
            X = np.ascontiguousarray(X.transpose(0, 2, 3, 1))
    array = X.to_numpy() if isinstance(X, pl.Series) else _array(X)
    if array.ndim in (3, 4) or kind == "image":
        return "image", _pixels(array)
    if array.ndim == 1 and (kind == "text" or _is_text(array)):
        return "text", texts(array)
    if kind == "table" or (array.ndim == 2 and _is_text(array)):
        return "table", to_frame(array)
    return "array", _numbers(array)


def image_column(features: pl.DataFrame, path: Path, *, sure: bool = False) -> str | None:
    """Return the first column with images or with paths to them, if there is one.

    Paths beside other columns count only if the first one is there, unless it is sure that there are images.
    """
    column = next((column.name for column in features if _holds_images(column)), None)
    if column is None or sure or features.width == 1 or _are_there(features[column], path):
        return column
    return None


def _holds_images(column: pl.Series) -> bool:
    """Return whether a column holds image bytes, in the Hugging Face layout or not, or paths to image files."""
    import polars as pl

    from tailwise.data.images import SIGNATURES, SUFFIXES

    if isinstance(column.dtype, pl.Struct):
        return {"bytes", "path"} <= {field.name for field in column.dtype.fields}
    if column.dtype == pl.Binary:
        first = b"".join(column.drop_nulls().head(1))
        return first.startswith(SIGNATURES) or first[8:12] == b"WEBP"
    if column.dtype != pl.String:
        return False
    paths = column.drop_nulls().head(100).to_list()
    return bool(paths) and all(Path(path).suffix.lower() in SUFFIXES for path in paths)


def _are_there(column: pl.Series, path: Path) -> bool:
    """Return whether a column has the images themselves, or the first path in it leads to one."""
    import polars as pl

    folder = path if path.is_dir() else path.parent
    return column.dtype != pl.String or (folder / column.drop_nulls()[0]).is_file()


def text_column(frame: pl.DataFrame) -> str | None:
    """Return the name of a frame's only column if it holds free text (several words, mostly distinct); else None."""
    import polars as pl

    if frame.width != 1 or frame.dtypes[0] not in (pl.String, pl.Binary):
        return None
    values = frame.to_series().drop_nulls().head(1000)
    try:
        values = values.cast(pl.String)
    except pl.exceptions.PolarsError:  # bytes that are not UTF-8
        return None
    if values.is_empty():
        return None
    words = values.str.count_matches(r"\S+").median()
    return frame.columns[0] if float(words or 0) >= 4 and values.n_unique() > len(values) / 2 else None  # type: ignore[arg-type]


def require_text(schema: Mapping[str, pl.DataType], name: str | None) -> None:
    """Raise TailwiseError if a column that is named as the texts to learn from is there but holds none."""
    import polars as pl

    if name is not None and schema[name] not in (pl.String, pl.Binary, pl.Categorical, pl.Enum, pl.Null):
        raise TailwiseError(f"column {name!r} holds {schema[name]}, not texts: name another column, or learn from all.")


def texts(column: Any) -> NDArray[Any]:
    """Return (n,) texts from strings or UTF-8 bytes; missing texts are empty."""
    values = column.to_list() if hasattr(column, "to_list") else list(column)
    out = np.empty(len(values), dtype=object)
    out[:] = ["" if v is None or v != v else _text(v, "the column of texts") for v in values]
    return out


def empty_texts(documents: NDArray[Any]) -> int:
    """Return how many of (n,) texts have nothing in them."""
    return sum(not document.strip() for document in documents)


def _is_text(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "O":
        return any(isinstance(value, str | bytes) for value in array.flat[:1000])
    return array.dtype.kind in "SUT"


def _pixels(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise TailwiseError(
            "images must be uint8, 0 to 255, of shape (n, height, width) or (n, height, width, 1 or 3); "
            f"got {array.dtype} of shape {array.shape}."
        )
    return array[..., None] if array.ndim == 3 else array


def _numbers(array: Any) -> Any:
    """Check an array as scikit-learn does, but allow NaN, and say where infinity is."""
    from scipy import sparse
    from sklearn.utils import check_array

    try:
        array = check_array(array, accept_sparse="csr", ensure_all_finite=False)
    except (TypeError, ValueError) as error:
        text = re.sub(r"array=.*\.\n(?=Reshape)", "", str(error), flags=re.DOTALL)  # all of its numbers
        raise TailwiseError(one_line(text)) from None
    if sparse.issparse(array):
        if not np.isfinite(array.data).all():
            raise TailwiseError("X is sparse and holds NaN or infinity: fill such values in, or make X dense.")
    elif array.dtype.kind == "f" and np.isinf(array).any():
        row, column = np.argwhere(np.isinf(array))[0]
        raise TailwiseError(
            f"X holds infinity in row {row}, column {column}; replace it by a number, or by NaN for a missing value."
        )
    return array
