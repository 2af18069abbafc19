from __future__ import annotations

from typing import Any

import pytest

from adbench_harness.api import CountedFolder, DatasetSpec, Edition, ManifestEntry
from adbench_harness.data.original import Original, lies_in_litter

PATHS = ("set/fold_0/all/UID_1.bmp", "set/fold_1/all/UID_2.bmp", "set/labels.csv", "extra/final/9.bmp", "no/No1.jpg")
KNOWN = tuple(ManifestEntry(path, f"sha of {path}", 1) for path in PATHS)
TEST = tuple(ManifestEntry(f"test/CNV/CNV-{number}.jpeg", f"sha {number}", 1) for number in range(4))


def spec(*editions: Edition) -> DatasetSpec:
    words: dict[str, Any] = dict.fromkeys(("title", "modality", "organ", "citation", "licence", "source", "group_rule"), "")
    return DatasetSpec(name="made", samples=lambda root: [], editions=editions, **words)


CELLS = Original(spec(Edition("original", lambda: KNOWN, optional=("extra",))))
EYES = Original(
    spec(
        Edition("small", lambda: (), counted=(CountedFolder("test/CNV", 3, lambda: TEST), CountedFolder("train/CNV", 2))),
        Edition("large", lambda: TEST, optional=("train/CNV",), counted=(CountedFolder("train/CNV", 2),)),
    )
)


@pytest.mark.parametrize(
    ("found", "place"),
    [
        ("set/fold_0/all/UID_1.bmp", "set/fold_0/all/UID_1.bmp"),
        ("./a/b/set/fold_0/all/UID_1.bmp", "set/fold_0/all/UID_1.bmp"),
        ("NO/no1.JPG", "no/No1.jpg"),
        ("fold_0/fold_0/all/UID_1.bmp", "set/fold_0/all/UID_1.bmp"),
        ("other name/fold_1/all/UID_2.bmp", "set/fold_1/all/UID_2.bmp"),
        ("set/images/labels.csv", "set/labels.csv"),
        ("set/fold_0/all/UID_7.bmp", "set/fold_0/all/UID_7.bmp"),
        ("elsewhere/UID_1.bmp", None),
        ("notes.txt", None),
    ],
)
def test_a_file_is_recognised_by_its_place_below_any_folders(found: str, place: str | None) -> None:
    assert CELLS.place(found) == place


def test_a_name_that_occurs_in_two_folders_is_told_apart_by_the_folder() -> None:
    assert EYES.place("OCT2017 /train/CNV/CNV-1.jpeg") == "train/CNV/CNV-1.jpeg"
    assert EYES.place("OCT2017 /test/CNV/CNV-1.jpeg") == "test/CNV/CNV-1.jpeg"


def test_every_difference_is_found_and_what_no_sample_needs_may_be_absent() -> None:
    hashes = {path: f"sha of {path}" for path in PATHS if not path.startswith("extra")}
    (whole,) = CELLS.compare(hashes)
    assert whole.matches
    assert whole.left_out == 1
    del hashes["no/No1.jpg"]
    hashes |= {"set/labels.csv": "other", "set/fold_0/all/UID_7.bmp": "new"}
    (found,) = CELLS.compare(hashes)
    assert not found.matches
    assert (found.missing, found.altered, found.unexpected) == (
        ("no/No1.jpg",),
        ("set/labels.csv",),
        ("set/fold_0/all/UID_7.bmp",),
    )
    assert found.present == ("set/fold_0/all/UID_1.bmp", "set/fold_1/all/UID_2.bmp")
    assert "1 missing (no/No1.jpg) and 1 altered" in found.summary()
    assert found.brief() == "1 missing, 1 altered, 1 unexpected"


def test_counted_folders_are_counted_and_hold_only_files_that_are_known() -> None:
    train = {f"train/CNV/CNV-{number}.jpeg": f"any {number}" for number in range(2)}
    three = {entry.path: entry.sha256 for entry in TEST[:3]}
    nearest, _ = EYES.compare({**train, **three})
    assert (nearest.edition, nearest.matches) == ("small", True)
    nearest, other = EYES.compare({entry.path: entry.sha256 for entry in TEST})
    assert (nearest.edition, nearest.matches) == ("large", True)
    assert other.miscounted == {"test/CNV": (4, 3), "train/CNV": (0, 2)}
    by_name = {comparison.edition: comparison for comparison in EYES.compare({**train, **three, TEST[0].path: "altered"})}
    assert by_name["small"].altered == (TEST[0].path,)


def test_size_is_known_only_where_every_file_is() -> None:
    assert CELLS.known_bytes == len(PATHS)
    assert EYES.known_bytes is None


@pytest.mark.parametrize("path", [".DS_Store", "a/Thumbs.db", "__MACOSX/a/b.png", "a/._b.png"])
def test_what_operating_systems_leave_is_no_file_of_the_user(path: str) -> None:
    assert lies_in_litter(path)
