import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from vae.images import PictureError, decode_picture
from vae.images.folder import pad_to_square

SIZE = 16


def decode(path):
    return decode_picture(path, SIZE, pad_to_square)


def saved(image, path, **options):
    image.save(path, **options)
    return path


def colour_of(path):
    return decode(path).reshape(3, -1).mean(axis=1).round().astype(int).tolist()


def reason(path):
    with pytest.raises(PictureError) as caught:
        decode(path)
    return str(caught.value)


def test_picture_is_rgb_channels_first(tmp_path):
    picture = decode(saved(Image.new("RGB", (40, 40), (200, 100, 50)), tmp_path / "a.png"))
    assert picture.shape == (3, SIZE, SIZE)
    assert picture.dtype == np.uint8
    assert picture[:, 3, 5].tolist() == [200, 100, 50]


def test_greyscale_becomes_grey(tmp_path):
    assert colour_of(saved(Image.new("L", (20, 20), 90), tmp_path / "a.png")) == [90, 90, 90]


def test_one_bit_becomes_black_and_white(tmp_path):
    assert colour_of(saved(Image.new("1", (20, 20), 1), tmp_path / "a.png")) == [255, 255, 255]


def test_palette_becomes_its_colours(tmp_path):
    image = Image.new("RGB", (20, 20), (10, 200, 30)).quantize(4)
    assert colour_of(saved(image, tmp_path / "a.gif")) == [10, 200, 30]


def test_cmyk_becomes_rgb(tmp_path):
    path = saved(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=100)
    assert np.abs(np.array(colour_of(path)) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("value", "grey"), [(0, 0), (257 * 100, 100), (65535, 255)])
def test_16_bit_greyscale_is_scaled_and_not_clipped(tmp_path, suffix, value, grey):
    image = Image.fromarray(np.full((20, 20), value, dtype=np.uint16))
    assert colour_of(saved(image, tmp_path / f"a.{suffix}")) == [grey] * 3


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_16_bit_colour_is_scaled_and_not_clipped(tmp_path):
    path = tmp_path / "a.png"
    row = b"\0" + struct.pack(">3H", 257 * 200, 257 * 100, 257 * 50) * 20
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">2I5B", 20, 20, 16, 2, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(row * 20))
        + png_chunk(b"IEND", b"")
    )
    assert colour_of(path) == [200, 100, 50]


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("RGBA", (255, 0, 0, 0), [255, 255, 255]),
        ("RGBA", (255, 0, 0, 51), [255, 204, 204]),
        ("LA", (0, 0), [255, 255, 255]),
    ],
)
def test_what_is_transparent_lies_on_white(tmp_path, mode, colour, seen):
    assert colour_of(saved(Image.new(mode, (20, 20), colour), tmp_path / "a.png")) == seen


def test_transparent_level_of_16_bit_grey_lies_on_white(tmp_path):
    image = Image.fromarray(np.full((20, 20), 300, dtype=np.uint16))
    assert colour_of(saved(image, tmp_path / "a.png", transparency=300)) == [255] * 3
    assert colour_of(saved(image, tmp_path / "b.png", transparency=301)) == [1] * 3


def test_transparent_palette_colour_lies_on_white(tmp_path):
    path = saved(Image.new("P", (20, 20), 0), tmp_path / "a.gif", transparency=0)
    assert colour_of(path) == [255, 255, 255]


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_camera_orientation_is_applied(tmp_path, orientation, corner):
    image = Image.new("RGB", (32, 32), "white")
    image.paste("black", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(saved(image, tmp_path / "a.png", exif=exif))
    assert picture[0][corner] < 60
    assert (picture[0] < 60).sum() <= 16


def test_of_an_animation_the_first_picture_counts(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    assert colour_of(saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])) == [
        255,
        0,
        0,
    ]


@pytest.mark.parametrize(("shape", "side"), [((20, 10), 32), ((40, 60), 60), ((300, 400), 256)])
def test_picture_may_keep_its_own_size_within_a_range(tmp_path, shape, side):
    path = saved(Image.new("RGB", shape[::-1], (200, 100, 50)), tmp_path / "a.png")
    picture = decode_picture(path, 32, pad_to_square, largest=256)
    assert picture.shape == (3, side, side)
    assert picture[:, 3, 5].tolist() == [200, 100, 50]


def test_large_jpeg_is_shrunk_without_aliasing(tmp_path):
    stripes = np.zeros((600, 800, 3), dtype=np.uint8)
    stripes[:, ::2] = 254
    picture = decode(saved(Image.fromarray(stripes), tmp_path / "a.jpg", quality=95))
    assert np.abs(picture[:, 4:12].astype(int) - 127).max() <= 3


def test_zero_bytes_are_named(tmp_path):
    path = tmp_path / "a.jpg"
    path.touch()
    assert reason(path) == "is empty (0 bytes)"


def test_file_that_would_start_a_program_is_refused_unopened(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n")
    with Image.open(path) as image:
        assert image.format == "EPS"  # Pillow itself would take it, and hand it to Ghostscript
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1))
    assert reason(path).startswith("is not a picture in a format that is read")
    assert started == []


@pytest.mark.parametrize("kind", ["DDS", "TGA", "ICO", "PCX", "SGI"])
def test_format_that_is_not_on_the_list_is_refused_whatever_the_file_is_called(tmp_path, kind):
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 20)).save(path, kind)
    assert reason(path).startswith("is not a picture in a format that is read")


def test_jpeg_of_several_pictures_as_phones_write_it_is_read(tmp_path):
    path = tmp_path / "a.jpg"
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("white", "black")]
    frames[0].save(path, "MPO", save_all=True, append_images=frames[1:])
    assert colour_of(path) == [255, 255, 255]


def test_no_other_module_opens_pictures_or_searches_folders_for_them():
    root = Path(__file__).parents[3]
    found: dict[str, set[str]] = {"Image.open": set(), "SUFFIXES": set()}
    for package in ("vae", "hand_env", "agents"):
        for path in (root / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for word in found:
                found[word] |= {path.relative_to(root).as_posix()} if re.search(rf"\b{word}\b", text) else set()
    assert found == {"Image.open": {"vae/images/decode.py"}, "SUFFIXES": {"vae/images/listing.py"}}


def test_text_is_no_picture(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("not a picture")
    assert reason(path).startswith("is not a picture in a format that is read (JPEG, PNG, ")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif", "webp", "bmp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_picture_is_named_wherever_it_ends(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(Image.fromarray(noise), tmp_path / f"a.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert reason(path).startswith(("is damaged (", "is not a picture"))


def test_one_pixel_is_too_small(tmp_path):
    path = saved(Image.new("RGB", (1, 1)), tmp_path / "a.png")
    assert reason(path) == "is too small (1 x 1 pixels; at least 8 x 8)"


@pytest.mark.parametrize("size", [(1_000_000, 8), (8, 33)])
def test_long_thin_picture_is_named_before_a_huge_square_is_made(tmp_path, size):
    width, height = size
    path = saved(Image.new("1", size), tmp_path / "a.png")
    assert reason(path) == f"is too long and thin ({width} x {height} pixels; at most 4 : 1)"


@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_decompression_bomb_is_named_and_not_decoded(tmp_path, monkeypatch, factor):
    path = saved(Image.new("1", (100, 100)), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(10000 / factor))
    assert reason(path).startswith("is too large to be decoded safely (")


@pytest.mark.parametrize("value", [70000, -1])
def test_32_bit_pixels_are_named(tmp_path, value):
    image = Image.fromarray(np.full((20, 20), value, dtype=np.int32))
    assert reason(saved(image, tmp_path / "a.tif")) == "has 32-bit pixels, whose white value is unknown"


def test_floating_point_pixels_are_named(tmp_path):
    image = Image.fromarray(np.zeros((20, 20), dtype=np.float32))
    assert reason(saved(image, tmp_path / "a.tif")) == "has floating-point pixels, whose white value is unknown"


def test_folder_link_loop_and_missing_file_are_named(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert reason(tmp_path / "folder.jpg") == "is a folder"
    assert reason(tmp_path / "loop.jpg").startswith("cannot be read (")
    assert reason(tmp_path / "gone.jpg") == "cannot be read (No such file or directory)"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipe_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "is not a regular file"
