"""Files as modalities write them, made with pydicom: the pixels must be those that a viewer shows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from adbench_harness.api import DataError, FitRules, is_dicom
from adbench_harness.data.decode import decode, decoders
from adbench_harness.data.dicom import read_dicom

pydicom = pytest.importorskip("pydicom")
uids = pytest.importorskip("pydicom.uid")

STORED = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64)


def write(
    path: Path, pixels: NDArray[Any], *, bits: int | None = None, syntax: str = uids.ExplicitVRLittleEndian, **tags: Any
) -> Path:
    """A file with these stored pixels; tags as keywords."""
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = uids.CTImageStorage
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = uids.generate_uid()
    file.PatientID, file.PatientName = "PID-1", "Doe^John"
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    file.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    file.BitsAllocated = pixels.dtype.itemsize * 8
    file.BitsStored = bits or file.BitsAllocated
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(file, name, value)
    file.save_as(path, enforce_file_format=True)
    return path


def shown(path: Path) -> NDArray[np.uint8]:
    return np.asarray(read_dicom(path))


def test_rescale_and_the_first_window_are_applied(tmp_path: Path) -> None:
    path = write(
        tmp_path / "ct.dcm", STORED, bits=12, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=[40, 600], WindowWidth=[400, 9]
    )
    values = STORED.astype(float) * 2 - 1024
    expected = np.round(np.clip((values - 39.5) / 399 + 0.5, 0, 1) * 255)
    np.testing.assert_array_equal(shown(path), expected)
    assert read_dicom(path).mode == "L"
    pydicom_s = pydicom.pixels.apply_windowing(values, pydicom.dcmread(path))
    scaled = (pydicom_s - pydicom_s.min()) / (pydicom_s.max() - pydicom_s.min()) * 255
    assert np.abs(shown(path) - scaled).max() <= 0.51


def test_signed_pixels_are_signed(tmp_path: Path) -> None:
    signed = (STORED.astype(np.int32) - 2048).astype(np.int16)
    path = write(tmp_path / "x.dcm", signed, WindowCenter=0, WindowWidth=4096, RescaleSlope=1, RescaleIntercept=0)
    assert shown(path)[0, 0] == 0
    assert shown(path)[32, 0] == 128
    assert shown(path)[63, 63] == 255


@pytest.mark.parametrize(
    ("function", "below", "centre", "above"), [("LINEAR_EXACT", 0, 128, 255), ("SIGMOID", 30, 128, 225), ("LINEAR", 0, 128, 255)]
)
def test_every_form_of_window(tmp_path: Path, function: str, below: int, centre: int, above: int) -> None:
    path = write(tmp_path / "x.dcm", STORED, WindowCenter=2048, WindowWidth=1000, VOILUTFunction=function)
    found = shown(path).ravel()[[1548, 2048, 2548]].astype(int)
    assert np.abs(found - [below, centre, above]).max() <= 1


def test_a_window_of_one_is_a_threshold(tmp_path: Path) -> None:
    found = shown(write(tmp_path / "x.dcm", STORED, WindowCenter=2048, WindowWidth=1))
    assert set(np.unique(found)) == {0, 255}
    assert (found == 255).sum() == 2048


@pytest.mark.parametrize(("width", "function"), [(0, "LINEAR"), (0.5, "LINEAR"), (-3, "SIGMOID"), (0, "LINEAR_EXACT")])
def test_a_window_that_the_standard_forbids_is_refused(tmp_path: Path, width: float, function: str) -> None:
    path = write(tmp_path / "x.dcm", STORED, WindowCenter=100, WindowWidth=width, VOILUTFunction=function)
    with pytest.raises(DataError, match=r"x\.dcm: a window of width -?[\d.]+, which the standard forbids"):
        read_dicom(path)


def test_without_a_window_the_full_range_is_shown(tmp_path: Path) -> None:
    found = shown(write(tmp_path / "x.dcm", STORED + 500, RescaleSlope=3, RescaleIntercept=7))
    np.testing.assert_array_equal(found, np.round(STORED / 4095 * 255))
    assert not shown(write(tmp_path / "flat.dcm", np.full((8, 8), 9, np.uint16))).any()


def test_a_table_of_values_of_interest_is_used_where_there_is_no_window(tmp_path: Path) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 8], list(range(255, -1, -1))
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = write(tmp_path / "x.dcm", pixels, VOILUTSequence=[table])
    np.testing.assert_array_equal(shown(path), 255 - pixels)
    write(path, pixels, VOILUTSequence=[table], WindowCenter=128, WindowWidth=256)
    np.testing.assert_array_equal(shown(path), pixels)


def test_monochrome1_is_inverted_after_the_window(tmp_path: Path) -> None:
    window: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 1000}
    plain = shown(write(tmp_path / "2.dcm", STORED, **window))
    inverted = shown(write(tmp_path / "1.dcm", STORED, PhotometricInterpretation="MONOCHROME1", **window))
    assert np.abs(255 - plain.astype(int) - inverted).max() <= 1  # a half is rounded to even
    assert (inverted[0, 0], inverted[63, 63]) == (255, 0)


def test_colour_is_kept(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    path = write(tmp_path / "us.dcm", pixels)
    assert read_dicom(path).mode == "RGB"
    np.testing.assert_array_equal(shown(path), pixels)
    ybr = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
    found = shown(write(tmp_path / "ybr.dcm", ybr, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(found.astype(int) - pixels).max() <= 3


def test_a_palette_is_applied(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint16) * 257
    tags: dict[str, Any] = {}
    for colour, values in (("Red", ramp), ("Green", ramp[::-1]), ("Blue", ramp * 0)):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = values.tobytes()
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = shown(write(tmp_path / "x.dcm", pixels, PhotometricInterpretation="PALETTE COLOR", **tags))
    np.testing.assert_array_equal(found, np.stack([pixels, 255 - pixels, pixels * 0], axis=2))


def test_dicom_is_known_by_content_and_then_treated_as_any_image(tmp_path: Path) -> None:
    path = write(tmp_path / "IM0001", STORED, WindowCenter=2048, WindowWidth=4096)
    assert is_dicom(path)
    shown(path)
    Image.fromarray(shown(path)).save(tmp_path / "same.png")
    rules = FitRules(image_size=16)
    np.testing.assert_array_equal(decode(path, [None], rules), decode(tmp_path / "same.png", [None], rules))
    assert not is_dicom(tmp_path / "same.png")


def test_lossless_compression_makes_no_difference(tmp_path: Path) -> None:
    path = write(tmp_path / "x.dcm", STORED, WindowCenter=2048, WindowWidth=4096)
    plain = shown(path)
    file = pydicom.dcmread(path)
    file.compress(uids.RLELossless, encoding_plugin="pydicom")
    file.save_as(tmp_path / "rle.dcm")
    np.testing.assert_array_equal(shown(tmp_path / "rle.dcm"), plain)


def retagged(path: Path, syntax: str) -> Path:
    """The file with another transfer syntax and something compressed in it that nobody will get to read."""
    file = pydicom.dcmread(path)
    file.file_meta.TransferSyntaxUID = syntax
    file.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    file["PixelData"].VR = "OB"
    file.save_as(path)
    return path


def test_a_compression_that_needs_another_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = pydicom.pixels.get_decoder(uids.JPEGLosslessSV1)
    monkeypatch.setattr(decoder, "_available", {})
    path = retagged(write(tmp_path / "x.dcm", STORED), uids.JPEGLosslessSV1)
    with pytest.raises(DataError, match=r"x\.dcm: compressed as JPEG Lossless, .*, which needs another package \(.*pylibjpeg"):
        read_dicom(path)
    with pytest.raises(DataError, match=r"x\.dcm: compressed as MPEG2 .*, which can't be read"):
        read_dicom(retagged(path, uids.MPEG2MPML))


def test_what_no_decompressor_can_read_is_named_with_its_compression(tmp_path: Path) -> None:
    path = retagged(write(tmp_path / "x.dcm", STORED, bits=12), uids.JPEGExtended12Bit)
    with pytest.raises(DataError, match=r"x\.dcm: compressed as JPEG Extended .*; it is corrupt, or needs another package: "):
        read_dicom(path)


def test_what_is_no_single_image_is_refused(tmp_path: Path) -> None:
    stack = np.concatenate([STORED, STORED])
    path = write(tmp_path / "x.dcm", stack, Rows=64, NumberOfFrames=2)
    with pytest.raises(DataError, match=r"x\.dcm: a multi-frame DICOM file \(CT Image Storage\); split it into files of one"):
        read_dicom(path)
    enhanced = write(tmp_path / "e.dcm", STORED, NumberOfFrames=1, SharedFunctionalGroupsSequence=[pydicom.Dataset()])
    with pytest.raises(DataError, match=r"e\.dcm: a multi-frame DICOM file"):
        read_dicom(enhanced)
    file = pydicom.dcmread(path)
    del file.PixelData
    file.save_as(path)
    with pytest.raises(DataError, match=r"x\.dcm: a DICOM file without an image of whole numbers"):
        read_dicom(path)
    write(path, STORED, PhotometricInterpretation="HSV")
    with pytest.raises(DataError, match=r"x\.dcm: a DICOM image of unknown colours \(HSV\)"):
        read_dicom(path)


@pytest.mark.parametrize("keep", [140, 400, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "film.dcm", STORED)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep > 1 else len(whole) * keep)])
    with pytest.raises(DataError, match=r"film\.dcm: (corrupt DICOM file: .+|a DICOM file without an image)") as caught:
        decode(path, [None], FitRules(image_size=16))
    assert "Doe" not in str(caught.value)


def test_other_damage_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "film.dcm", STORED, BitsStored=99)
    with pytest.raises(DataError, match=r"film\.dcm: corrupt DICOM file: .*"):
        read_dicom(path)
    (tmp_path / "noise.dcm").write_bytes(bytes(128) + b"DICM" + np.random.default_rng(0).bytes(500))
    with pytest.raises(DataError, match=r"noise\.dcm: "):
        read_dicom(tmp_path / "noise.dcm")
    with pytest.raises(DataError, match=r"gone\.dcm: no such file"):
        decode(tmp_path / "gone.dcm", [None], FitRules(image_size=16))


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"x\.dcm: refused, Image size \(4096 pixels\)"):
        decode(write(tmp_path / "x.dcm", STORED), [None], FitRules(image_size=16))


def test_without_pydicom_the_command_that_brings_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.dcm", STORED)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"x\.dcm: a DICOM file, which needs pydicom: pip install 'adbench-harness\[dicom\]'"):
        decode(path, [None], FitRules(image_size=16))


def test_only_datasets_with_dicom_depend_on_pydicom_s_version(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "x.png")
    assert decoders([tmp_path / "x.png", tmp_path / "gone"]) == decoders()
    mixed = decoders([tmp_path / "x.png", write(tmp_path / "IM1", STORED)])
    assert mixed["pydicom"] == pydicom.__version__
    assert "pydicom" not in decoders()
