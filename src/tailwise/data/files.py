"""Read a data set from a file or folder of any supported kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tailwise.data.broken import reading
from tailwise.data.dataset import Dataset, Kind
from tailwise.data.folders import class_files, files_below
from tailwise.data.frames import empty_texts, image_column, require_text, text_column, texts
from tailwise.data.label_sets import encode_label_sets, sets_in
from tailwise.data.labels import encode_labels, known_codes, padding, trimmed
from tailwise.data.paths import (
    LEARNED_FROM,
    existing,
    is_aside,
    is_class_folder,
    is_parquet,
    named,
    named_columns,
    require_columns,
    table_format,
)
from tailwise.data.separated import short_records
from tailwise.data.tables import batches, missing_words, scan
from tailwise.errors import TailwiseError
from tailwise.wording import plural, some

if TYPE_CHECKING:
    import polars as pl

    from tailwise.data.images import Broken, ImageSize

F = TypeVar("F", "pl.DataFrame", "pl.LazyFrame")


@dataclass(frozen=True)
class _Request:
    """What to read; attributes as the parameters of :func:`load`, with those of images in ``form``."""

    path: Path
    target: str | None
    separator: str | None
    kind: Kind | None
    text: str | None
    image: str | None
    id: str | None
    form: dict[str, Any]
    known: NDArray[Any] | None

    def __post_init__(self) -> None:
        if self.kind == "array":
            raise TailwiseError(
                f"{self.path} has no array, but the model was trained on one, whose columns have no names: predict in "
                "Python, or train on a table."
            )
        named_columns(self.target, self.text, self.image, self.id)

    @property
    def columns(self) -> list[str]:
        """Columns that the table must have."""
        return named_columns(self.target, self.text, self.image, self.id)

    @property
    def as_text(self) -> list[str]:
        """Columns that are read exactly as written."""
        return [name for name in (self.target, self.id) if name is not None]


def load(
    path: str | Path,
    target: str | None = None,
    *,
    separator: str | None = None,
    kind: Kind | None = None,
    text: str | None = None,
    image: str | None = None,
    id: str | None = None,
    image_size: ImageSize | None = None,
    channels: int | None = None,
    broken: Broken = "error",
    classes: Dataset | Sequence[Any] | NDArray[Any] | None = None,
    progress: bool = False,
) -> Dataset:
    """Read a table, images or texts, with their labels if there are any.

    Labels of a table lose surrounding blanks.

    Parameters
    ----------
    path : a table (see :func:`scan`); or a folder with one sub-folder per class, of images or of ``.txt`` files,
        whichever are more numerous
    target : column with the labels; not for class folders. A table without it has no labels. A column of lists holds
        sets of labels
    separator : separator between the labels of a set, if the target column is text; an empty cell means
        that the labels are unknown, one with only the separator that there are none
    kind : ``"table"``, ``"text"`` or ``"image"``, if the guess would be wrong. By default a column of image bytes or
        paths makes images (paths beside other columns only if the first one is there), a single column of long text
        beside the target makes texts, and everything else is a table
    text, image : column with the texts, or with the images (bytes, or paths relative to the table's folder)
    id : column that identifies rows, kept exactly as written; it is not a feature, but may hold the texts or images
    image_size, channels, broken : size of the images in pixels (side, or height and width), number of channels (1 for
        greyscale, 3 for colour), and treatment of unreadable images; see :func:`read_paths`
    classes : classes in code order, or a data set that has them (the training set, for reading a test set). From a data
        set, images also take the default size and channels, and keys that no JSON line has become missing values
    progress : show a progress bar while images are read, if there is a terminal

    Raises
    ------
    TailwiseError
        If a file or column does not exist (the message suggests the nearest name) or cannot be read (the message says
        where), or if there are no rows, no labels, only one class, or a label that is not among ``classes``.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fruit = pl.DataFrame({"weight": [150, 3, 170, 4], "kind": ["apple", "cherry", "apple", None]})
    ...     fruit.write_csv(f"{folder}/fruit.csv")
    ...     data = load(f"{folder}/fruit.csv", target="kind")
    >>> data.classes, data.labels.tolist(), data.inputs.columns
    (('apple', 'cherry'), [0, 1, 0, -1], ['weight'])
    """
    import polars as pl

    path, features, strings, asked = existing(path), [], [], image_size
    if isinstance(classes, Dataset):
        if classes.kind == "table":  # strings in training stay strings, even if they look like numbers
            features = classes.inputs.columns
            strings = [name for name, dtype in classes.inputs.schema.items() if dtype == pl.String]
        if classes.kind == "image":
            image_size = classes.inputs.shape[1:3] if image_size is None else image_size
            channels = classes.inputs.shape[3] if channels is None else channels
        classes = classes.class_labels
    known = None if classes is None else np.asarray(classes)
    form = {"image_size": image_size, "channels": channels, "broken": broken, "progress": progress}
    request = _Request(path, target, separator, kind, text, image, id, form, known)
    data = _folder(request) if is_class_folder(path) else _table(request, features, strings)
    if not len(data):
        raise _no_image(path, data)
    if asked is not None and data.kind != "image":
        raise TailwiseError(f"{path} holds {data.kind} data, which has no size in pixels: leave the image size out.")
    if data.kind == "text" and (empty := empty_texts(data.inputs)):
        data = replace(data, notes=(*data.notes, f"{plural(empty, 'text is', 'texts are')} empty."))
    if data.labels is None:
        return data
    if known is None and data.n_classes < 2:
        raise TailwiseError(
            f"{path}{_column(target)} has only one class, {data.classes[0]!r}: there is nothing to tell apart."
        )
    if separator is not None and known is None and (data.labels > 0).sum(axis=1).max() < 2:
        raise TailwiseError(
            f"{path}{_column(target)} has at most one label per row, and nothing that {separator!r} separates: correct "
            "the separator, or leave it out to tell classes apart."
        )
    unlabelled = int((~data.is_labelled).sum())
    if unlabelled:
        what = "known labels" if data.has_sets else "label"
        spelt = "" if target is None or (data.has_sets and separator is None) else missing_words(path, target)
        note = (
            f"{unlabelled} of {len(data)} rows have no {what}{spelt}; they are kept apart, used neither for training "
            "nor for evaluation."
        )
        data = replace(data, notes=(*data.notes, note))
    return data


def stream(
    path: str | Path,
    target: str | None = None,
    *,
    separator: str | None = None,
    kind: Kind,
    column: str | None = None,
    id: str | None = None,
    image_size: ImageSize | None = None,
    channels: int | None = None,
    broken: Broken = "error",
    classes: Sequence[Any] | NDArray[Any] | None = None,
    features: Sequence[str] = (),
    strings: Sequence[str] = (),
    rows: int = 16384,
) -> Iterator[Dataset]:
    """Read new data for a model in batches, in memory that does not grow with the table. Folders are read at once.

    If all images of a batch are broken and skipped, the batch has no rows.

    Parameters
    ----------
    path, target, separator, id, image_size, channels, broken : as for :func:`load`
    classes : classes in code order; without them, names of sub-folders are ignored
    kind, column : kind of the training data, and its text or image column, as in its :class:`Dataset`
    features : columns that the model was trained on, which a table must have. Keys that no JSON line has become missing
        values, if at least one of these columns is there
    strings : columns that were strings in training, and stay strings in a CSV file even if they look like numbers
    rows : number of rows per batch

    Raises
    ------
    TailwiseError
        As for :func:`load`.
    """
    path, known = existing(path), None if classes is None else np.asarray(classes)
    form: dict[str, Any] = {"image_size": image_size, "channels": channels, "broken": broken}
    text, image = (column if kind == wanted else None for wanted in ("text", "image"))
    request = _Request(path, target, separator, kind, text, image, id, form, known)
    if is_class_folder(path):
        data = _folder(_Request(path, None, None, kind, None, None, None, form, known))
        if not len(data):
            raise _no_image(path, data)
        yield data if known is not None else replace(data, labels=None)
        return
    lazy = _with_keys(path, scan(path, as_text=request.as_text, strings=strings), features)
    present = lazy.collect_schema().names()
    if id in features:
        raise TailwiseError(
            f"column {id!r} is a feature that the model was trained on, so it cannot be the id as well."
        )
    require_columns(present, request.columns, str(path))
    require_columns(present, features, str(path), LEARNED_FROM)
    seen = read = 0
    for frame in batches(path, rows, as_text=request.as_text, strings=strings):
        frame = _with_keys(path, frame, features)
        part = _rows(request, frame, seen)
        yield part
        seen, read = seen + frame.height, read + len(part)
    if not seen:
        raise TailwiseError(f"{path} has columns but no rows.")
    if not read:
        raise _no_image(path, part)


def _with_keys(path: Path, frame: F, features: Sequence[str]) -> F:
    """Return a table with the features that no JSON line has added as missing values."""
    import polars as pl

    present = frame.collect_schema().names()
    if table_format(path) != "json lines" or not set(features) & set(present):
        return frame
    return frame.with_columns(pl.lit(None).alias(name) for name in features if name not in present)


def _no_image(path: Path, data: Dataset) -> TailwiseError:
    """Return the error for a data set all of whose images are broken and skipped."""
    return TailwiseError(f"{path} has no image that can be read: {' '.join(data.notes)}")


def _column(target: str | None) -> str:
    return "" if target is None else f", column {target!r},"


def _table(request: _Request, features: Sequence[str], strings: Sequence[str]) -> Dataset:
    path = request.path
    lazy = scan(path, as_text=request.as_text, strings=strings)
    require_columns(lazy.collect_schema().names(), request.columns, str(path))
    if request.known is None:  # a few new texts may be numbers
        require_text(lazy.collect_schema(), request.text)
    with reading(path):
        frame = _with_keys(path, lazy.collect(), features)
    if frame.height == 0:
        raise TailwiseError(f"{path} has columns but no rows.")
    data = _rows(request, frame)
    below = files_below(path) if path.is_dir() else ()
    others = [file for file in below if not is_parquet(file) and not is_aside(file)]
    if others:
        those = plural(len(others), "file that is not Parquet was", "files that are not Parquet were")
        data = replace(data, notes=(*data.notes, f"{those} left out, such as {others[0].as_posix()}."))
    if table_format(path) == "csv" and frame[:, -1].null_count() and (short := short_records(path)) is not None:
        data = replace(data, notes=(*data.notes, short))
    return data


def _rows(request: _Request, frame: pl.DataFrame, first_row: int = 0) -> Dataset:
    path, target = request.path, request.target
    labels: NDArray[Any] | None = None
    class_labels = np.array([], dtype=str)
    notes: tuple[str, ...] = ()
    if target is not None:
        where = f"{path}, column {target!r}"
        # a separator that comes from the training data is for texts
        is_inherited = request.known is not None and frame[target].dtype.is_nested()
        sets = sets_in(frame[target], None if is_inherited else request.separator, where)
        if sets is not None:
            found = encode_label_sets(sets, request.known, where)
            labels, class_labels = found.rows, found.labels
        else:
            labels, class_labels = encode_labels(trimmed(frame[target]), request.known, where)
            padded = padding(frame[target])
            notes = () if padded is None else (f"column {target!r}: {padded}",)
    ids = first_row + np.arange(frame.height) if request.id is None else frame[request.id]
    features = frame.drop(named([name for name in request.as_text if name not in (request.text, request.image)]))
    if not features.width:
        raise TailwiseError(
            f"{path} has no columns beside {', '.join(request.columns)}: there is nothing to learn from."
        )
    kind, column = _kind(request, features)
    inputs: Any = features
    if kind == "text" and column is not None:
        inputs = texts(features[column])
    elif kind == "image" and column is not None:
        inputs, kept, left_out = _images(request, features[column], first_row)
        notes = (*notes, *left_out)
        labels, ids = None if labels is None else labels[kept], ids[kept]
    if column is not None and features.width > 1:
        others = [name for name in features.columns if name != column]
        notes = (*notes, f"columns beside {column!r} are not used: {some(others)}.")
    return Dataset(kind, inputs, labels, class_labels, ids, path.name, column, notes)


def _kind(request: _Request, features: pl.DataFrame) -> tuple[Kind, str | None]:
    """Return the kind of data in a table and, for texts and images, their column."""
    import polars as pl

    kind, text, image = request.kind, request.text, request.image
    if text is not None or image is not None:
        if text is not None and image is not None:
            raise TailwiseError("data is either texts or images: name the text column or the image column, not both.")
        return ("text", text) if text is not None else ("image", image)
    if kind == "table":
        return "table", None
    if kind in (None, "image") and (column := image_column(features, request.path, sure=kind == "image")) is not None:
        return "image", column
    if kind in (None, "text"):
        column = text_column(features)
        strings = [column.name for column in features if column.dtype == pl.String]
        if column is None and kind == "text" and len(strings) == 1:
            column = strings[0]
        if column is not None:
            return "text", column
    if kind is not None:
        raise TailwiseError(
            f"{request.path}: which column holds the {kind}s? Name it with --{kind} (in Python: {kind}=...); there are "
            f"{some(features.columns, 12)}."
        )
    return "table", None


def _images(request: _Request, column: pl.Series, first_row: int) -> tuple[Any, NDArray[np.int64], tuple[str, ...]]:
    import polars as pl

    from tailwise.data.images import read_bytes, read_paths

    path, form = request.path, request.form
    folder = path if path.is_dir() else path.parent
    if column.dtype != pl.String:
        read = read_bytes(column, **form, first_row=first_row, root=folder)
    else:
        if column.null_count():
            row = int(column.is_null().arg_max() or 0)
            raise TailwiseError(f"{path}, row {first_row + row + 1}: column {column.name!r} names no image.")
        read = read_paths(column.to_list(), folder, **form)
    return read.pixels, read.kept, read.notes


def _folder(request: _Request) -> Dataset:
    path, kind, known = request.path, request.kind, request.known
    if request.separator is not None:
        raise TailwiseError(f"{path} is a folder, whose sub-folders are the classes: leave the separator out.")
    if (path / "manifest.json").is_file():
        raise TailwiseError(f"{path} is a model, not data.")
    for column in request.columns:
        raise TailwiseError(f"{path} is a folder, whose sub-folders are the classes; there is no column {column!r}.")
    if kind is None:
        kind = _most(path)
    if kind not in ("image", "text"):
        raise TailwiseError(f"{path} is a folder without Parquet files, so it holds images or texts, not a {kind}.")
    if kind == "image":
        from tailwise.data.images import read_folder

        data = read_folder(path, **request.form)
    else:
        data = _texts(path)
    if known is None or data.labels is None:
        return data
    return replace(data, labels=known_codes(data.class_labels, known, str(path))[data.labels], class_labels=known)


def _most(root: Path) -> Kind:
    """Return whether a folder has more texts or more images."""
    from tailwise.data.images import SUFFIXES

    counts = Counter(file.suffix.lower() for file in files_below(root))
    return "text" if counts[".txt"] > sum(counts[suffix] for suffix in SUFFIXES) else "image"


def _texts(root: Path) -> Dataset:
    """Read ``.txt`` files from one sub-folder per class."""
    paths, labels, classes, notes = class_files(root, {".txt"}, "texts", ".txt")
    documents = np.empty(len(paths), dtype=object)
    for i, path in enumerate(paths):
        with reading(root / path):
            documents[i] = (root / path).read_text(encoding="utf-8-sig")
    return Dataset("text", documents, labels, classes, np.array([p.as_posix() for p in paths]), root.name, notes=notes)
