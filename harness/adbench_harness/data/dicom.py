"""A DICOM file to an 8-bit image as a viewer shows it: rescaled, windowed as stored, bright on dark. Needs pydicom."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..api import DataError, Json, is_dicom

if TYPE_CHECKING:
    from pydicom import Dataset

RENDERING: Final = 1
"""Raise it when the same file gives other pixels."""
DECODERS: Final = ("pydicom", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm", "pyjpegls")
ORDINARY: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm"})
"""Suffixes under which no DICOM file is looked for when only versions are asked."""
GRAY: Final = ("MONOCHROME1", "MONOCHROME2")
COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE: Final = "PALETTE COLOR"


def dicom_decoders(paths: Iterable[Path]) -> dict[str, Json]:
    """Versions of what decides the pixels of DICOM files, if one of the files is DICOM; else nothing.

    So data sets without DICOM keep their prepared images whatever pydicom is installed, and are not opened to find out.
    """
    if not any(_may_be_dicom(path) for path in paths):
        return {}
    return {"dicom": RENDERING, **{name: _version(name) for name in DECODERS}}


def _may_be_dicom(path: Path) -> bool:
    try:
        return path.suffix.lower() not in ORDINARY and is_dicom(path)
    except OSError:
        return False  # decoding names it


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def read_dicom(path: Path) -> Image.Image:
    """The one image of a file, of mode L or RGB.

    Raises:
        DataError: naming the file, if pydicom or a decompressor is missing, if it holds no image, several, or of a kind that
            is not known, or if it is corrupt.
    """
    try:
        import pydicom
    except ImportError:
        raise DataError(f"{path}: a DICOM file, which needs pydicom: pip install 'adbench-harness[dicom]'") from None
    try:
        with path.open("rb") as stream:
            file = pydicom.dcmread(stream)
        _check_readable(path, file)
        pixels = _decompressed(path, file)
        return Image.fromarray(_gray(path, file, pixels) if _photometric(file) in GRAY else _colour(file, pixels))
    except (DataError, FileNotFoundError, Image.DecompressionBombError):
        raise
    except Exception as error:  # pydicom and its decompressors have no error of their own for a broken file
        words = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: corrupt DICOM file: {words}") from None


def _photometric(file: Dataset) -> str:
    return str(file.get("PhotometricInterpretation", "")).strip()


def _check_readable(path: Path, file: Dataset) -> None:
    if "PixelData" not in file:
        raise DataError(f"{path}: a DICOM file without an image of whole numbers ({_kind(file)}); remove it")
    # The newer, multi-frame kinds of objects keep rescale and window elsewhere, even those with a single frame.
    if int(file.get("NumberOfFrames") or 1) > 1 or "SharedFunctionalGroupsSequence" in file:
        raise DataError(f"{path}: a multi-frame DICOM file ({_kind(file)}); split it into files of one image each")
    if _photometric(file) not in (*GRAY, *COLOUR, PALETTE):
        raise DataError(f"{path}: a DICOM image of unknown colours ({_photometric(file) or 'not stated'}); convert it to PNG")
    pixels, most = int(file.Rows) * int(file.Columns), Image.MAX_IMAGE_PIXELS
    if most is not None and pixels > 2 * most:
        raise Image.DecompressionBombError(f"Image size ({pixels} pixels) exceeds limit of {2 * most} pixels")
    _check_decompressor(path, file)


def _kind(file: Dataset) -> str:
    """What the object is by the standard's name, which says nothing about the patient."""
    return str(getattr(file.get("SOPClassUID"), "name", "kind not stated"))


def _check_decompressor(path: Path, file: Dataset) -> None:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    syntax = UID(file.file_meta.TransferSyntaxUID)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DataError(
            f"{path}: compressed as {syntax.name}, which can't be read; decompress it, or convert it to PNG"
        ) from None
    if not decoder.is_available:
        missing = "; ".join(decoder.missing_dependencies)
        raise DataError(f"{path}: compressed as {syntax.name}, which needs another package ({missing}); or decompress it")


def _decompressed(path: Path, file: Dataset) -> NDArray[Any]:
    """Stored pixels, YBR as RGB."""
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID

    try:
        return pixel_array(file)
    except RuntimeError as error:  # every decompressor that is here has tried
        syntax = UID(file.file_meta.TransferSyntaxUID)
        words = " ".join(str(error).split())
        raise DataError(f"{path}: compressed as {syntax.name}; it is corrupt, or needs another package: {words}") from None


def _colour(file: Dataset, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_color_lut

    if _photometric(file) == PALETTE:
        pixels = apply_color_lut(pixels, file)
        bits = pixels.dtype.itemsize * 8
    else:
        bits = int(file.BitsStored)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not 8 <= bits <= 16:
        raise ValueError(f"colour pixels of shape {pixels.shape} and {bits} bits")
    shown: NDArray[np.uint8] = np.clip(pixels >> (bits - 8), 0, 255).astype(np.uint8)
    return shown


def _gray(path: Path, file: Dataset, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Modality first, then the first window, else the table of values of interest, else the full range of the values."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    values = apply_modality_lut(pixels, file)
    if values.ndim != 2:
        raise ValueError(f"gray pixels of shape {values.shape}")
    window = _first(file, "WindowCenter"), _first(file, "WindowWidth")
    if window[0] is not None and window[1] is not None:
        shown = _windowed(path, values.astype(np.float64), file, window[0], window[1])
    elif file.get("VOILUTSequence"):
        bits = int(file.VOILUTSequence[0].LUTDescriptor[2])
        shown = apply_voi(values, file).astype(np.float64) / (2**bits - 1)
    else:
        shown = values.astype(np.float64) - values.min()
        shown /= shown.max() or 1
    if not np.isfinite(shown).all():
        raise ValueError("pixels that are no finite numbers after rescale and window")
    if _photometric(file) == "MONOCHROME1":
        shown = 1 - shown
    return np.round(np.clip(shown, 0, 1) * 255).astype(np.uint8)


def _first(file: Dataset, name: str) -> float | None:
    """The first of one or several numbers, None if there is none."""
    value = file.get(name)
    if value is None or value == "":
        return None
    values = [value] if isinstance(value, int | float) else list(value)
    return float(values[0]) if values else None


def _windowed(path: Path, values: NDArray[np.float64], file: Dataset, centre: float, width: float) -> NDArray[np.float64]:
    """Values through the first window, 0 to 1."""
    from pydicom.pixels.processing import apply_windowing

    least = 1 if str(file.get("VOILUTFunction") or "LINEAR") == "LINEAR" else 0
    if width < least or width == 0:  # pydicom refuses some of these, and not by the file's name
        raise DataError(f"{path}: a window of width {width:g}, which the standard forbids; mend or remove WindowWidth")
    # The library gives values in a range that it works out and does not tell, so those beyond both ends go through as well.
    beyond = float(np.abs(values).max()) + abs(centre) + 1000 * width
    with np.errstate(over="ignore"):  # a sigmoid's
        shown = apply_windowing(np.append(values, [-beyond, beyond]), file, index=0)
    low, high = shown[-2:]
    return np.asarray((shown[:-2].reshape(values.shape) - low) / (high - low), dtype=np.float64)
