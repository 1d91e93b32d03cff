"""Read images into one compact array: all of one size, upright, with 8 bits per channel."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tailwise._optional import require
from tailwise.data.dataset import Dataset
from tailwise.data.folders import class_files
from tailwise.errors import TailwiseError
from tailwise.wording import plural

if TYPE_CHECKING:
    import polars as pl
    from PIL import Image

Broken = Literal["error", "skip"]
ImageSize = int | tuple[int, int]

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp", ".avif"}
)
#: First bytes of JPEG, PNG, GIF and TIFF files.
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*")
#: Side in pixels to which images of different sizes are resized, unless they are smaller or a size is given.
DEFAULT_SIZE = 64
_CHUNK = 256
_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112  # EXIF
_TURNED = frozenset({5, 6, 7, 8})  # orientations that swap width and height
#: Where a PNG image may say that it is turned: in what Pillow knows before the pixels, or in chunks behind them.
_NOTED = frozenset({"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"})
_CHUNKS = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")


@dataclass(frozen=True, eq=False)
class Images:
    """Decoded images.

    Attributes
    ----------
    pixels : (n, height, width, channels) uint8
    kept : (n,) indices of their sources: all of them, unless broken ones were skipped
    notes : remarks about how they were read, one line each
    """

    pixels: NDArray[np.uint8]
    kept: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def read_folder(
    root: str | os.PathLike[str],
    image_size: ImageSize | None = None,
    *,
    channels: int | None = None,
    broken: Broken = "error",
    progress: bool = False,
) -> Dataset:
    """Read images from a folder with one sub-folder per class, named after it, which may have sub-folders of its own.

    A folder with images but without sub-folders gives a data set without labels.

    Parameters
    ----------
    root : the folder
    image_size, channels, broken, progress : as for :func:`read_paths`

    Returns
    -------
    An image data set whose ids are the paths relative to ``root``

    Raises
    ------
    TailwiseError
        If the folder does not exist or has no images, or as for :func:`read_paths`.
    """
    root = Path(root)
    if not root.is_dir():
        raise TailwiseError(f"there is no folder {root}.")
    paths, labels, classes, notes = class_files(root, SUFFIXES, "images", "PNG, JPEG or WebP")
    read = read_paths(paths, root, image_size, channels=channels, broken=broken, progress=progress)
    return Dataset(
        kind="image",
        inputs=read.pixels,
        labels=None if labels is None else labels[read.kept],
        class_labels=classes,
        ids=np.array([file.as_posix() for file in paths])[read.kept],
        name=root.name,
        notes=(*notes, *read.notes),
    )


def read_paths(
    paths: Iterable[str | os.PathLike[str]],
    root: str | os.PathLike[str] = ".",
    image_size: ImageSize | None = None,
    *,
    channels: int | None = None,
    broken: Broken = "error",
    progress: bool = False,
) -> Images:
    """Read image files.

    Parameters
    ----------
    paths : paths of the files, absolute or relative to ``root``
    root : folder of relative paths
    image_size : side in pixels of a square, or (height, width); every image is resized to cover it, then cropped to its
        centre. By default images that all have the same size keep it, and others are resized to squares with their
        median shorter side, at most 64
    channels : 1 reads every image as greyscale, 3 as colour; by default 1 if every image is greyscale, otherwise 3
    broken : ``"error"`` raises an error if images cannot be read; ``"skip"`` leaves them out, even if none remains, and
        reports it in the notes
    progress : show a progress bar on stderr

    Raises
    ------
    TailwiseError
        If images cannot be read (the message has the path of the first and the number of others), ``image_size`` is not
        positive, or ``channels`` is not 1 or 3.
    MissingExtraError
        If Pillow is not installed.
    """
    files = [Path(root, path) for path in paths]
    return _read(files, [str(path) for path in files], image_size, channels, broken, progress)


def read_bytes(
    column: pl.Series,
    image_size: ImageSize | None = None,
    *,
    channels: int | None = None,
    broken: Broken = "error",
    progress: bool = False,
    first_row: int = 0,
    root: str | os.PathLike[str] = ".",
) -> Images:
    """Read encoded images (JPEG, PNG, ...) from a binary column, or a struct{bytes, path} column as of Hugging Face.

    Parameters
    ----------
    column : (n,) polars series; if a struct has no bytes, its path names the file
    image_size, channels, broken, progress, root : as for :func:`read_paths`; messages name broken images by their row
    first_row : number of the first row, if the column is a batch of a longer one

    Raises
    ------
    TailwiseError
        If the column does not hold image bytes, or as for :func:`read_paths`.
    """
    import polars as pl

    encoded, paths = column, pl.Series([None] * len(column), dtype=pl.String)
    fields = {field.name for field in column.dtype.fields} if isinstance(column.dtype, pl.Struct) else set()
    if "bytes" in fields:
        encoded = column.struct.field("bytes").cast(pl.Binary)
        paths = column.struct.field("path").cast(pl.String) if "path" in fields else paths
    if encoded.dtype != pl.Binary:
        raise TailwiseError(
            f"column {column.name!r} holds {column.dtype}, not images: bytes or struct{{bytes, path}} are expected."
        )
    files = {i: Path(root, paths[i]) for i in np.flatnonzero(encoded.is_null() & paths.is_not_null()).tolist()}
    names = [str(files.get(i, f"row {first_row + i} of {column.name!r}")) for i in range(len(encoded))]
    sources = [files.get(i, source) for i, source in enumerate(encoded)] if files else encoded
    return _read(sources, names, image_size, channels, broken, progress)


def _read(
    sources: Sequence[Any] | pl.Series,
    names: Sequence[str],
    image_size: ImageSize | None,
    channels: int | None,
    broken: Broken,
    progress: bool,
) -> Images:
    require("PIL", "image")
    wanted = None if image_size is None else np.broadcast_to(image_size, 2).tolist()
    if wanted is not None and min(wanted) < 1:
        raise TailwiseError(f"image_size must be at least 1 pixel; got {image_size}.")
    if channels not in (None, 1, 3):
        raise TailwiseError(f"channels must be 1 or 3; got {channels}.")
    if broken not in ("error", "skip"):
        raise TailwiseError(f"broken must be 'error' or 'skip'; got {broken!r}.")
    if len(names) == 0:
        raise TailwiseError("there are no images to read.")
    failed: dict[int, str] = {}
    shapes = np.zeros((len(names), 3), dtype=np.int64)  # height, width, channels; zero where broken
    deep = np.zeros(len(names), dtype=bool)

    def look(i: int) -> None:
        with _open(sources[i]) as image:
            if image.mode == "F":
                raise ValueError("its pixels are floats: save it with 8 or 16 bits a pixel")
            shapes[i] = (*_upright_size(image)[::-1], 1 if _is_grey(image) else 3)
            deep[i] = _is_deep(image)

    _in_threads(look, len(names), failed, "Looking at images", progress)
    good = np.flatnonzero(shapes[:, 2])
    _report(failed, names, broken)
    height, width, notes = _common_size(shapes[good, :2], wanted)
    coloured = int((shapes[good, 2] == 3).sum())
    channels = channels or (3 if coloured else 1)
    if coloured and channels == 1:
        notes = (*notes, f"{coloured} of {good.size} images were in colour and are grey now.")
    _check_memory(good.size, height, width, channels)
    pixels = np.empty((good.size, height, width, channels), dtype=np.uint8)

    def decode(row: int) -> None:
        with _open(sources[int(good[row])]) as image:
            pixels[row] = _pixels(image, (width, height), "L" if channels == 1 else "RGB")

    late: dict[int, str] = {}
    _in_threads(decode, good.size, late, "Reading images", progress)
    if late:  # the header was intact but the rest was not
        failed |= {int(good[row]): why for row, why in late.items()}
        _report(failed, names, broken)
        left = np.setdiff1d(np.arange(good.size), list(late))
        good, pixels = good[left], pixels[left]
    deep = deep[good]
    if deep.any() and pixels[deep].max() < 16:
        notes = (
            *notes,
            f"{deep.sum()} images of 16 bits a pixel use 12 or fewer of them, so that they are nearly black: scale "
            "their values to 16 bits, or save them with 8.",
        )
    if failed:
        first = min(failed)
        left_out = plural(len(failed), "broken image was", "broken images were")
        notes = (*notes, f"{left_out} left out; the first is {names[first]} ({failed[first]}).")
    return Images(pixels, good, notes)


def _in_threads(work: Any, n: int, failed: dict[int, str], title: str, progress: bool) -> None:
    """Call ``work`` on the numbers below n, and record those on which it fails."""
    from rich.console import Console
    from rich.progress import track

    def run(chunk: range) -> None:
        for i in chunk:
            try:
                work(i)
            except Exception as error:  # decoders may raise anything on a broken file
                failed[i] = str(error).split("\n")[0].split(" <_io")[0] or type(error).__name__

    chunks = [range(n)[start : start + _CHUNK] for start in range(0, n, _CHUNK)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = pool.map(run, chunks)
        console = Console(stderr=True)
        hidden = not (progress and console.is_terminal)
        for _ in track(done, title, len(chunks), console=console, transient=True, disable=hidden):
            pass


def _report(failed: dict[int, str], names: Sequence[str], broken: Broken) -> None:
    if failed and broken == "error":
        first = min(failed)
        others = f" (and {len(failed) - 1} more of {len(names)})" if len(failed) > 1 else ""
        raise TailwiseError(
            f"{names[first]}{others} cannot be read as an image: {failed[first]}. Repair or remove what is broken, or "
            "leave it out with --skip-broken (in Python: broken='skip')."
        )


def _open(source: Any) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if source is None:
        raise ValueError("it is empty")
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError:
        raise ValueError("it is not in a known image format") from None
    except FileNotFoundError:
        raise ValueError("there is no such file") from None


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height of an image after turning it upright."""
    width, height = image.size
    if image.format == "PNG" and not _may_be_turned(image):  # else Pillow decodes it, to look behind its pixels
        return width, height
    exif = image.getexif()
    if image.format == "TIFF":  # for which Pillow may have swapped the size
        width, height = exif.get(_WIDTH, width), exif.get(_HEIGHT, height)
    return (height, width) if exif.get(_ORIENTATION) in _TURNED else (width, height)


def _may_be_turned(image: Any) -> bool:
    """Return whether a PNG image has words on its orientation, or may have some behind its pixels."""
    place = image.fp.tell()
    behind = image.fp.read()
    image.fp.seek(place)
    return bool(_NOTED & image.info.keys()) or any(chunk in behind for chunk in _CHUNKS)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA", "La") or _is_deep(image)


def _is_deep(image: Image.Image) -> bool:
    """Return whether an image has more than 8 bits per pixel."""
    return image.mode.startswith("I")


def _upper_bits(image: Image.Image) -> Image.Image:
    """Return the upper 8 of 16 bits per pixel; Pillow's conversion would clip instead."""
    from PIL import Image

    values = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("its pixels have more than 16 bits: save it with 8 or 16")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _common_size(shapes: NDArray[np.int64], wanted: list[int] | None) -> tuple[int, int, tuple[str, ...]]:
    """Return the common height and width for images of these shapes, and notes on resizing."""
    if not len(shapes):
        return *(wanted or (0, 0)), ()
    if wanted is None and (shapes == shapes[0]).all():
        return int(shapes[0, 0]), int(shapes[0, 1]), ()
    height, width = wanted or [min(DEFAULT_SIZE, int(np.median(shapes.min(axis=1))))] * 2
    changed = int((shapes != (height, width)).any(axis=1).sum())
    note = f"{changed} of {len(shapes)} images were resized and cut to {width} × {height} pixels"
    hint = "" if wanted else "; set image_size for another size"
    return height, width, (f"{note}{hint}.",) if changed else ()


def _check_memory(n: int, height: int, width: int, channels: int) -> None:
    """Raise TailwiseError if images do not fit into this machine's memory, where it is known."""
    if not hasattr(os, "sysconf"):
        return
    needed, there = n * height * width * channels, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise TailwiseError(
            f"{plural(n, 'image')} of {width} × {height} pixels would fill {needed / 2**30:,.0f} GiB of memory, and "
            f"there are {there / 2**30:,.0f}: make them smaller with image_size (--image-size)."
        )


def _pixels(image: Image.Image, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """Decode an image, turn it upright, put transparent pixels on white, and fit it to this width and height."""
    from PIL import Image, ImageOps

    if image.size != size and not image.getexif().get(_ORIENTATION):
        image.draft(None, size)  # lets JPEG decode at a fraction of its size, but not below the target
    image = ImageOps.exif_transpose(image)
    image = _upper_bits(image) if _is_deep(image) else image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert(mode)
    if image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
