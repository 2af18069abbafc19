from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adbench_harness.api import Box, DataError, FitRules
from adbench_harness.data.decode import decode

RULES = FitRules(image_size=16)
GRAY = FitRules(image_size=16, colour="gray")


def save(path: Path, image: Image.Image, **how: Any) -> Path:
    image.save(path, **how)
    return path


@pytest.fixture
def ramp() -> Image.Image:
    return Image.fromarray(np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8) * 3)


def test_gray_becomes_three_equal_channels_of_pillow_s_resize(tmp_path: Path, ramp: Image.Image) -> None:
    pixels = decode(save(tmp_path / "x.png", ramp), [None], RULES)
    assert pixels.shape == (1, 16, 16, 3)
    assert pixels.dtype == np.uint8
    expected = np.asarray(ramp.resize((16, 16), Image.Resampling.BILINEAR))
    for channel in range(3):
        np.testing.assert_array_equal(pixels[0, :, :, channel], expected)
    np.testing.assert_array_equal(decode(tmp_path / "x.png", [None], GRAY)[0, :, :, 0], expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1", "I;16"])
def test_every_mode_is_converted_alike(tmp_path: Path, ramp: Image.Image, mode: str) -> None:
    """An opaque alpha channel, a palette or 16 bits must not show in the pixels: modes may correlate with labels."""
    if mode == "I;16":
        image = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257)
    else:
        image = (ramp.point(lambda v: 255 * (v > 90)) if mode == "1" else ramp).convert(mode)
    pixels = decode(save(tmp_path / "x.png", image), [None], RULES)
    source = ramp.point(lambda v: 255 * (v > 90)) if mode == "1" else ramp
    np.testing.assert_array_equal(pixels, decode(save(tmp_path / "plain.png", source), [None], RULES))


def test_sixteen_bits_are_scaled_whatever_the_format(tmp_path: Path, ramp: Image.Image) -> None:
    wide = np.asarray(ramp).astype(">u2") * 257
    (tmp_path / "x.pgm").write_bytes(b"P5 48 32 65535\n" + wide.astype(">u2").tobytes())
    plain = decode(save(tmp_path / "plain.png", ramp), [None], GRAY)
    np.testing.assert_array_equal(decode(tmp_path / "x.pgm", [None], GRAY), plain)


def test_pixels_of_unknown_scale_are_refused(tmp_path: Path) -> None:
    for mode, kind in ((np.float32, "floating-point"), (np.int32, "more than 16 bits")):
        image = Image.fromarray(np.full((8, 8), 70_000, dtype=mode))
        with pytest.raises(DataError, match=rf"x\.tif: corrupt image: .*{kind}|x\.tif: .*{kind}"):
            decode(save(tmp_path / "x.tif", image), [None], GRAY)


def test_crops_are_cut_before_resizing(tmp_path: Path, ramp: Image.Image) -> None:
    path = save(tmp_path / "x.png", ramp)
    box = Box(8, 4, 24, 20)
    pixels = decode(path, [box, None], GRAY)
    np.testing.assert_array_equal(pixels[0, :, :, 0], np.asarray(ramp)[4:20, 8:24])
    assert pixels.shape == (2, 16, 16, 1)
    with pytest.raises(DataError, match=r"x\.png: crop .* lies outside an image of 48 x 32"):
        decode(path, [Box(40, 0, 56, 16)], GRAY)


def test_exif_orientation_is_applied(tmp_path: Path, ramp: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: shown upright after a turn by 270 degrees
    turned = decode(save(tmp_path / "x.png", ramp, exif=exif), [None], GRAY)
    upright = decode(save(tmp_path / "y.png", ramp.transpose(Image.Transpose.ROTATE_270)), [None], GRAY)
    np.testing.assert_array_equal(turned, upright)


@pytest.mark.parametrize("suffix", ["pgm", "png", "bmp", "jpg"])
def test_a_truncated_file_is_named(tmp_path: Path, ramp: Image.Image, suffix: str) -> None:
    path = save(tmp_path / f"film.{suffix}", ramp.resize((200, 200)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"film\.{suffix}: corrupt image"):
        decode(path, [None], RULES)


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.png: not an image that can be read \(0 bytes\)"):
        decode(tmp_path / "x.png", [None], RULES)
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        decode(tmp_path / "gone.png", [None], RULES)


def test_what_begins_as_dicom_is_read_as_dicom_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(DataError, match=r"x\.png: .*DICOM"):
        decode(tmp_path / "x.png", [None], RULES)


def test_a_short_file_is_no_dicom(tmp_path: Path, ramp: Image.Image) -> None:
    path = save(tmp_path / "x.png", ramp.resize((1, 1)))
    assert path.stat().st_size < 132
    assert decode(path, [None], RULES).shape == (1, 16, 16, 3)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ramp: Image.Image) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="refused, Image size"):
        decode(save(tmp_path / "x.png", ramp), [None], RULES)


@pytest.mark.parametrize("resize_filter", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(512, 496), (37, 90), (16, 16)])
def test_a_gray_file_gives_the_pixels_of_the_same_file_in_colour(
    tmp_path: Path, size: tuple[int, int], resize_filter: str
) -> None:
    gray = Image.fromarray(np.random.default_rng(5).integers(0, 256, size[::-1], dtype=np.uint8))
    gray.save(tmp_path / "gray.png")
    gray.convert("RGB").save(tmp_path / "colour.png")
    rules = FitRules.model_validate({"image_size": 64, "resize_filter": resize_filter})
    boxes = [None, Box(3, 2, 14, 15)]
    np.testing.assert_array_equal(decode(tmp_path / "gray.png", boxes, rules), decode(tmp_path / "colour.png", boxes, rules))
