from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench_harness.api import FitRules
from adbench_harness.applying.files import find_images, read_images

RULES = FitRules(image_size=16, colour="gray")


def save(path: Path, value: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30), value, dtype=np.uint8)).save(path, format="PNG")
    return path


def dicom(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * 128 + b"DICM")
    return path


def test_a_file_is_taken_as_it_is_named_and_a_folder_is_searched(tmp_path: Path) -> None:
    named = save(tmp_path / "no-suffix")
    inside = [save(tmp_path / "scans" / "a" / "1.PNG"), save(tmp_path / "scans" / "b.jpg"), dicom(tmp_path / "scans" / "IM0001")]
    dicom(tmp_path / "scans" / "DICOMDIR")
    save(tmp_path / "scans" / ".thumbnails" / "1.png")
    (tmp_path / "scans" / "notes.txt").write_text("none")
    found = find_images([named, tmp_path / "scans"])
    assert found.images == {named: "no-suffix", inside[2]: "IM0001", inside[1]: "b.jpg", inside[0]: "a/1.PNG"}
    assert found.refused == {}
    assert found.passed_over == 2


def test_what_is_named_twice_is_taken_once_and_equal_names_are_told_apart(tmp_path: Path) -> None:
    first, second = save(tmp_path / "a" / "1.png"), save(tmp_path / "b" / "1.PNG")
    found = find_images([tmp_path / "a", first, tmp_path / "b"])
    assert found.images == {first: "1.png", second: "1.PNG-2"}


def test_places_without_an_image_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe")
    places = [tmp_path / "empty", tmp_path / "gone", tmp_path / "pipe", tmp_path / "linked"]
    found = find_images(places)
    assert found.images == {}
    words = {path.name: reason.partition(";")[0] for path, reason in found.refused.items()}
    assert words == {
        "empty": "holds no image",
        "gone": "no such file or folder",
        "pipe": "neither a file nor a folder",
        "gone.png": "a link that leads to no file",
        "linked": "holds no image",
    }


def test_images_are_prepared_and_a_corrupt_one_holds_up_no_other(tmp_path: Path) -> None:
    good, bad = save(tmp_path / "good.png", 9), save(tmp_path / "bad.png")
    bad.write_bytes(bad.read_bytes()[:45])
    pixels, read, failed = read_images([bad, good], RULES)
    assert read == [good]
    assert pixels.shape == (1, 16, 16, 1)
    assert (pixels == 9).all()
    assert list(failed) == [bad]
    assert failed[bad].startswith(("corrupt image: ", "not an image"))
    assert read_images([bad], RULES)[0].shape == (0, 16, 16, 1)


def test_dicom_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    pixels, read, failed = read_images([dicom(tmp_path / "empty.dcm")], RULES)
    assert len(pixels) == len(read) == 0
    assert "DICOM" in next(iter(failed.values()))
