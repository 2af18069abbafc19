"""One image file to prepared pixels: decode, orient, convert, crop, resize, each file of a set alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from ..api import Box, DataError, FitRules, Json, is_dicom
from .dicom import dicom_decoders, read_dicom

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
MODES = {"rgb": "RGB", "gray": "L"}


def decoders(paths: Iterable[Path] = ()) -> dict[str, Json]:
    """Versions of the libraries that decide pixel values of these files; part of the cache's key."""
    versions: dict[str, Json] = {name: features.version(name) for name in ("pil", "jpg", "zlib", "libtiff")}
    return {**versions, **dicom_decoders(paths)}


def decode(path: Path, boxes: Sequence[Box | None], rules: FitRules) -> NDArray[np.uint8]:
    """Pixels of each crop of a file, uint8, shape (len(boxes), size, size, channels).

    Raises:
        DataError: naming the file, if it is missing, corrupt, or a crop lies outside it.
    """
    # Three equal channels are resized to three equal channels, so a gray image stays one channel until it is small.
    image = read_image(path, MODES[rules.colour], gray_stays=True)
    return np.stack([_resize(crop(image, box, path), rules) for box in boxes])


def read_image(path: Path, mode: str, gray_stays: bool = False) -> Image.Image:
    """A whole file as it is to be looked at, at its full size, in ``mode`` "RGB" or "L"; in "L" if it is gray and may stay so.

    Raises:
        DataError: naming the file, if it is missing or corrupt.
    """
    try:
        image = _eight_bits(_open(path))
        return image if image.mode == mode or (gray_stays and image.mode == "L") else image.convert(mode)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; import the dataset again") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not an image that can be read ({path.stat().st_size} bytes)") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: refused, {error}") from None
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's words for truncated and broken files
        raise DataError(f"{path}: corrupt image: {error}") from None


def _open(path: Path) -> Image.Image:
    """The image as it is to be looked at."""
    if is_dicom(path):
        return read_dicom(path)
    with Image.open(path) as opened:
        opened.load()
        return ImageOps.exif_transpose(opened)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit gray is scaled, since Pillow's own conversion would clip it.

    Pillow opens a 16-bit PGM as mode I. Pixels that are no 8 or 16 bits have no scale that we know.
    """
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 0xFFFF:
            raise ValueError("pixels of more than 16 bits; convert the image to 8 or 16 bits first")
        return Image.fromarray((pixels >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels; convert the image to 8 or 16 bits first")
    return image


def crop(image: Image.Image, box: Box | None, path: Path) -> Image.Image:
    """The part in a box; the whole without one. Raises DataError, naming the file, if the box lies outside."""
    if box is None:
        return image
    if not (0 <= box.left < box.right <= image.width and 0 <= box.top < box.bottom <= image.height):
        raise DataError(f"{path}: crop {box} lies outside an image of {image.width} x {image.height}")
    return image.crop((box.left, box.top, box.right, box.bottom))


def _resize(image: Image.Image, rules: FitRules) -> NDArray[np.uint8]:
    size = (rules.image_size, rules.image_size)
    if image.size != size:
        image = image.resize(size, FILTERS[rules.resize_filter])
    pixels = np.asarray(image.convert(MODES[rules.colour]), dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
