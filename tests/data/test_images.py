import io
import os
import sys
import time
import zlib

import numpy as np
import polars as pl
import pytest

from tailwise.data.images import read_bytes, read_folder, read_paths
from tailwise.errors import MissingExtraError, TailwiseError

Image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'tailwise[image]'")

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def halves(width, height, mode="RGB"):
    """Left half red, right half blue."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = RED, BLUE
    return Image.fromarray(pixels).convert(mode)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def column(*values):
    return pl.Series("image", list(values), dtype=pl.Binary)


@pytest.fixture
def folder(tmp_path):
    for path, kind in {"cat/1.png": None, "cat/more/2.bmp": None, "dog/1.webp": {"lossless": True}}.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        halves(8, 8).save(file, **(kind or {}))
    return tmp_path


def test_folder_names_are_classes_and_paths_are_ids(folder):
    data = read_folder(folder)
    assert data.kind == "image"
    assert data.inputs.shape == (3, 8, 8, 3)
    assert data.inputs.dtype == np.uint8
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1]
    assert data.ids.tolist() == ["cat/1.png", "cat/more/2.bmp", "dog/1.webp"]
    assert data.notes == ()
    assert (data.inputs[:, :, :4] == RED).all()
    assert (data.inputs[:, :, 4:] == BLUE).all()


def test_folders_named_by_numbers_have_their_order(tmp_path):
    for name in ("10", "9", "0.5"):
        (tmp_path / name).mkdir()
        halves(4, 4).save(tmp_path / name / "a.png")
    data = read_folder(tmp_path)
    assert data.class_labels.tolist() == ["0.5", "9", "10"]
    assert data.class_labels[data.labels].tolist() == [name.split("/")[0] for name in data.ids]


def test_folder_says_what_it_left_out(folder):
    (folder / "cat" / "notes.txt").write_text("x")
    (folder / ".hidden").mkdir()
    (folder / "empty").mkdir()
    halves(8, 8).save(folder / "stray.png")
    data = read_folder(folder)
    assert len(data) == 3
    assert [note.split(" ")[0] for note in data.notes] == ["1", "1", "1"]
    assert "empty" in data.notes[2]


def test_flat_folder_has_no_labels(tmp_path):
    halves(4, 4).save(tmp_path / "a.png")
    data = read_folder(tmp_path)
    assert data.labels is None
    assert data.ids.tolist() == ["a.png"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_colour_modes_give_the_same_pixels(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    pixels = read_bytes(column(encoded(halves(6, 4, mode), kind))).pixels
    assert pixels.tolist() == np.asarray(halves(6, 4))[None].tolist()


def test_transparent_pixels_are_white():
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    for data in (encoded(clear), encoded(palette, transparency=0)):
        assert (read_bytes(column(data)).pixels == 255).all()


def test_grey_images_have_one_channel_unless_mixed():
    grey = Image.new("L", (3, 2), 77)
    assert read_bytes(column(encoded(grey))).pixels.tolist() == np.full((1, 2, 3, 1), 77).tolist()
    mixed = read_bytes(column(encoded(grey), encoded(halves(3, 2)))).pixels
    assert mixed.shape == (2, 2, 3, 3)
    assert (mixed[0] == 77).all()


def test_sixteen_bits_keep_the_upper_eight():
    deep = Image.fromarray(np.full((2, 2), 0x8040, dtype=np.uint16))
    assert (read_bytes(column(encoded(deep))).pixels == 0x80).all()


@pytest.mark.parametrize("top", [0xFF, 0xFFF])
def test_sixteen_bits_of_which_only_the_lower_are_used_are_told(top):
    dark, bright = (encoded(Image.fromarray(np.full((2, 2), value, dtype=np.uint16))) for value in (top, 0xFFFF))
    read = read_bytes(column(dark, dark))
    assert (read.pixels == top >> 8).all()
    assert read.notes == (
        "2 images of 16 bits a pixel use 12 or fewer of them, so that they are nearly black: scale their values to 16 "
        "bits, or save them with 8.",
    )
    assert read_bytes(column(dark, bright)).notes == ()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((2, 2), 0.5, dtype=np.float32), "its pixels are floats: save it with 8 or 16 bits a pixel"),
        (np.full((2, 2), 1 << 20, dtype=np.int32), "its pixels have more than 16 bits: save it with 8 or 16"),
        (np.full((2, 2), -1, dtype=np.int32), "its pixels have more than 16 bits"),
    ],
)
def test_floats_and_more_than_sixteen_bits_are_refused(pixels, message):
    with pytest.raises(TailwiseError, match=rf"row 0 of 'image' cannot be read as an image: {message}") as error:
        read_bytes(column(encoded(Image.fromarray(pixels), "TIFF")))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2"])
def test_grey_images_are_turned_upright(kind, dtype):
    upright = np.repeat([[200, 20, 20, 20]], 2, axis=0)
    stored = np.ascontiguousarray(np.rot90(upright, 1)).astype(dtype) * (1 if dtype == "uint8" else 256)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = read_bytes(column(encoded(Image.fromarray(stored.astype(dtype)), kind, exif=exif))).pixels
    assert pixels[0, :, :, 0].tolist() == upright.tolist()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation, kind):
    upright = np.asarray(halves(16, 8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read_bytes(column(encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif))).pixels
    assert pixels.shape == (1, 8, 16, 3)
    assert (pixels[0] == upright).all()


def late_exif(image, exif):
    """A PNG file whose orientation stands behind its pixels."""
    plain, chunk = encoded(image), b"eXIf" + exif.tobytes()[6:]
    length, end = (len(chunk) - 4).to_bytes(4, "big"), plain.index(b"IEND") - 4
    return plain[:end] + length + chunk + zlib.crc32(chunk).to_bytes(4, "big") + plain[end:]


def test_a_png_is_turned_by_what_stands_behind_its_pixels_and_others_are_decoded_once(monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read_bytes(column(late_exif(halves(8, 16), exif))).pixels
    assert turned.shape == (1, 8, 16, 3)
    decoded, png = [], pytest.importorskip("PIL.PngImagePlugin").PngImageFile
    load = png.load_end
    monkeypatch.setattr(png, "load_end", lambda image: (decoded.append(1), load(image))[1])
    read_bytes(column(*[encoded(halves(8, 8))] * 3))
    assert len(decoded) == 3


def test_one_size_is_kept_and_others_are_cut_from_the_centre():
    wide, small = encoded(halves(40, 20)), encoded(halves(20, 20))
    assert read_bytes(column(wide, wide)).pixels.shape == (2, 20, 40, 3)
    mixed = read_bytes(column(wide, small))
    assert mixed.pixels.shape == (2, 20, 20, 3)
    assert (mixed.pixels[0, :, :10] == RED).all()
    assert (mixed.pixels[0, :, 10:] == BLUE).all()
    assert mixed.notes == ("1 of 2 images were resized and cut to 20 × 20 pixels; set image_size for another size.",)


def test_large_images_of_many_sizes_become_64():
    read = read_bytes(column(encoded(halves(300, 200), "JPEG"), encoded(halves(100, 150), "JPEG")))
    assert read.pixels.shape == (2, 64, 64, 3)
    assert np.abs(read.pixels[0, 32, 5].astype(int) - RED).max() < 12
    assert np.abs(read.pixels[0, 32, 60].astype(int) - BLUE).max() < 12


def test_image_size_is_kept_to():
    assert read_bytes(column(encoded(halves(40, 20))), image_size=12).pixels.shape == (1, 12, 12, 3)
    assert read_bytes(column(encoded(halves(40, 20))), image_size=(10, 20)).pixels.shape == (1, 10, 20, 3)
    with pytest.raises(TailwiseError, match="at least 1 pixel"):
        read_bytes(column(encoded(halves(40, 20))), image_size=(10, 0))


def test_broken_images_are_one_line_or_left_out(folder):
    (folder / "cat" / "bad.png").write_bytes(b"not an image")
    (folder / "dog" / "cut.png").write_bytes(encoded(Image.effect_noise((8, 8), 50).convert("RGB"))[:90])
    with pytest.raises(TailwiseError, match=r"cat/bad\.png.*known image format") as error:
        read_folder(folder)
    assert "\n" not in str(error.value)
    data = read_folder(folder, broken="skip")
    assert data.labels.tolist() == [0, 0, 1]
    assert data.ids.tolist() == ["cat/1.png", "cat/more/2.bmp", "dog/1.webp"]
    assert (data.inputs[:, :, :4] == RED).all()
    assert "2 broken images were left out" in data.notes[0]


def test_broken_bytes_are_named_by_row():
    good = encoded(halves(4, 4))
    with pytest.raises(TailwiseError, match=r"row 1 of 'image' \(and 1 more of 3\)"):
        read_bytes(column(good, b"", None))
    kept = read_bytes(column(None, good, b"x"), broken="skip")
    assert kept.kept.tolist() == [1]
    assert len(kept.pixels) == 1


def test_where_all_are_broken_none_is_left():
    read = read_bytes(column(b"x", None), image_size=8, broken="skip", first_row=5)
    assert read.pixels.shape[:3] == (0, 8, 8)
    assert read.kept.tolist() == []
    assert read.notes == (
        "2 broken images were left out; the first is row 5 of 'image' (it is not in a known image format).",
    )


def test_hugging_face_structs():
    data = pl.Series("image", [{"bytes": encoded(halves(4, 4)), "path": "1.png"}])
    assert read_bytes(data).pixels.shape == (1, 4, 4, 3)


def test_hugging_face_structs_without_bytes_name_files(folder):
    data = pl.Series(
        "image",
        [
            {"bytes": None, "path": "cat/1.png"},
            {"bytes": encoded(halves(8, 8)), "path": "gone.png"},
            {"bytes": None, "path": str(folder / "dog" / "1.webp")},
        ],
        dtype=pl.Struct({"bytes": pl.Binary, "path": pl.String}),
    )
    assert read_bytes(data, root=folder).pixels.shape == (3, 8, 8, 3)
    with pytest.raises(TailwiseError, match=r"cat/1\.png cannot be read as an image: there is no such file"):
        read_bytes(data, root=folder / "cat")
    neither = pl.Series("image", [{"bytes": None, "path": None}])
    with pytest.raises(TailwiseError, match=r"row 0 of 'image' cannot be read as an image: it is empty"):
        read_bytes(neither)


def test_paths_are_below_the_root(folder):
    read = read_paths(["dog/1.webp", str(folder / "cat" / "1.png")], folder)
    assert read.pixels.shape == (2, 8, 8, 3)
    with pytest.raises(TailwiseError, match=r"dog/2\.png .*no such file"):
        read_paths(["dog/2.png"], folder)


def test_progress_goes_to_stderr(capsys):
    read_bytes(column(encoded(halves(4, 4))), progress=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda tmp: read_folder(tmp / "none"), "there is no folder"),
        (lambda tmp: read_folder(tmp), "has no images"),
        (lambda tmp: read_paths([]), "no images to read"),
        (lambda tmp: read_bytes(pl.Series("x", [1])), "'x' holds Int64, not images"),
        (lambda tmp: read_bytes(column(b""), image_size=0), "image_size"),
        (lambda tmp: read_bytes(column(b""), broken="ignore"), "'error' or 'skip'"),
    ],
)
def test_bad_arguments_are_one_line(call, message, tmp_path):
    with pytest.raises(TailwiseError, match=message):
        call(tmp_path)


def test_missing_pillow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"tailwise\[image\]"):
        read_bytes(column(b""))


@pytest.mark.slow
def test_real_cifar10_is_decoded_in_seconds(shared_data):
    images = pl.read_parquet(shared_data / "cifar10-test.parquet", columns=["image"])["image"]
    start = time.perf_counter()
    read = read_bytes(images)
    seconds = time.perf_counter() - start
    print(f"decoded 10,000 JPEGs in {seconds:.1f} s into {read.pixels.nbytes / 2**20:.0f} MiB")
    assert read.pixels.shape == (10_000, 32, 32, 3)
    first = Image.open(io.BytesIO(images[123]["bytes"]))
    assert (read.pixels[123] == np.asarray(first.convert("RGB"))).all()
    assert seconds < 15


def test_images_that_do_not_fit_into_memory_are_told_before(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 5)
    with pytest.raises(TailwiseError, match=r"1 image of 4 × 4 pixels would fill .* make them smaller with image_size"):
        read_bytes(column(encoded(halves(4, 4))))
