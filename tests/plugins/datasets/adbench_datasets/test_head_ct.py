from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench_datasets import head_ct
from adbench_datasets.head_ct import HEAD_CT, list_slices, read_labels, read_manifest
from adbench_harness.api import DataError, DatasetSpec, FitRules, Sample, file_sha256
from adbench_harness.data.decode import decode
from adbench_harness.data.importing import import_dataset
from adbench_harness.data.listing import listing
from adbench_harness.home import Home

TABLE = "id, hemorrhage\n0,1\n7,1\n100,0\n188,0\n"
IMAGES = ("head_ct/000.png", "head_ct/007.png", "head_ct/100.png", "head_ct/188.png")


def write_slices(folder: Path, images: Sequence[str] = IMAGES, table: str = TABLE) -> Path:
    """A folder with this labels.csv and an empty file for each image."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_bytes(table.encode())
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()
    return folder


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    return write_slices(tmp_path / "slices")


def ids(samples: Sequence[Sample]) -> list[str]:
    return [sample.id for sample in samples]


def test_one_spec_is_registered() -> None:
    specs: list[DatasetSpec] = []
    head_ct.register_datasets(specs.append)
    assert [spec.name for spec in specs] == ["head-ct"]
    assert head_ct.adbench_api == 1
    assert specs[0].folder_name == "head-ct"
    assert specs[0].group_rule.startswith("unknown")
    assert [edition.name for edition in specs[0].editions] == ["original"]


def test_numbers_without_zeros_find_their_image_and_label(slices: Path) -> None:
    samples = list_slices(slices)
    assert {sample.id: (sample.label, sample.subtype) for sample in samples} == {
        "head_ct/000.png": (1, "hemorrhage"),
        "head_ct/007.png": (1, "hemorrhage"),
        "head_ct/100.png": (0, "normal"),
        "head_ct/188.png": (0, "normal"),
    }
    assert [sample.path for sample in samples] == ids(samples)
    assert {sample.group for sample in samples} == {None}


def test_the_order_is_that_of_the_numbers(slices: Path) -> None:
    header, *rows = TABLE.splitlines(keepends=True)
    write_slices(slices, table=header + "".join(reversed(rows)))
    assert ids(list_slices(slices)) == list(IMAGES)


def test_images_one_folder_deeper_keep_their_ids(tmp_path: Path) -> None:
    deeper = [f"head_ct/{image}" for image in IMAGES]
    samples = list_slices(write_slices(tmp_path, deeper))
    assert ids(samples) == list(IMAGES)
    assert [sample.path for sample in samples] == deeper


def test_a_nested_copy_is_not_listed_again(slices: Path) -> None:
    expected = list_slices(slices)
    write_slices(slices, [f"head_ct/{image}" for image in IMAGES])
    assert list_slices(slices) == expected


@pytest.mark.parametrize("outer", ["head-ct-hemorrhage", "head_ct"])
def test_the_folder_that_holds_the_folder_will_do(tmp_path: Path, outer: str) -> None:
    write_slices(tmp_path / outer)
    samples = list_slices(tmp_path)
    assert ids(samples) == list(IMAGES)
    assert [sample.path for sample in samples] == [f"{outer}/{image}" for image in IMAGES]


def test_files_of_the_operating_system_are_no_images(slices: Path) -> None:
    for name in (".DS_Store", "._000.png", "Thumbs.db"):
        (slices / "head_ct" / name).touch()
    assert ids(list_slices(slices)) == list(IMAGES)


@pytest.mark.parametrize(
    "table",
    [
        TABLE.replace("\n", "\r\n"),
        "\ufeff" + TABLE,
        TABLE.replace("id, ", "id,"),
        TABLE.replace(",", " , "),
        TABLE.replace("\n7,", "\n007,"),
        TABLE + "\n,\n\n",
    ],
    ids=["carriage returns", "byte-order mark", "no space", "more spaces", "leading zeros", "empty rows"],
)
def test_the_table_may_have_been_saved_again(slices: Path, table: str) -> None:
    expected = list_slices(slices)
    assert list_slices(write_slices(slices, table=table)) == expected


def test_an_opaque_alpha_channel_does_not_show_in_the_pixels(slices: Path) -> None:
    colours = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    Image.fromarray(colours).save(slices / "head_ct/100.png")
    Image.fromarray(np.dstack([colours, np.full((16, 16), 255, np.uint8)])).save(slices / "head_ct/188.png")
    plain, alpha = (decode(slices / f"head_ct/{number}.png", [None], FitRules(image_size=16)) for number in (100, 188))
    assert plain.any()
    np.testing.assert_array_equal(plain, alpha)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("9", "expected id, hemorrhage, found '9'"),
        ("9,1,1", "expected id, hemorrhage, found '9, 1, 1'"),
        ("x,1", "'x' is no number of a slice"),
        ("-9,1", "'-9' is no number of a slice"),
        ("\u0669,1", "is no number of a slice"),
        (f"{'9' * 5000},1", "is no number of a slice"),
        ("9,", "slice 9 has no label"),
        ("9,2", r"unknown label '2', expected 0 \(normal\) or 1 \(hemorrhage\)"),
        ("9,yes", "unknown label 'yes'"),
        ("007,1", "slice 7 has a second row"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(slices: Path, row: str, complaint: str) -> None:
    write_slices(slices, table=f"{TABLE}{row}\n")
    with pytest.raises(DataError, match=rf"labels\.csv, line 6: .*{complaint}.*; import the dataset again"):
        list_slices(slices)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "expected the columns id, hemorrhage, found an empty file"),
        ("0,1\n7,1\n", "expected the columns id, hemorrhage, found 0, 1"),
        ("id, hemorrhage\n", "labels no slice"),
    ],
)
def test_a_table_without_labels_is_a_data_error(slices: Path, table: str, complaint: str) -> None:
    write_slices(slices, table=table)
    with pytest.raises(DataError, match=rf"labels\.csv:? {complaint}; import the dataset again"):
        list_slices(slices)


def test_a_table_that_is_no_text_is_a_data_error(slices: Path) -> None:
    (slices / "labels.csv").write_bytes(b"id, hemorrhage\n0,\xff\n")
    with pytest.raises(DataError, match=r"labels\.csv can't be read \(.*utf-8.*import the dataset again"):
        list_slices(slices)


def test_a_table_that_can_t_be_opened_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv can't be read \(No such file or directory\)"):
        read_labels(tmp_path / "labels.csv")


def test_missing_images_are_counted(slices: Path) -> None:
    (slices / "head_ct/007.png").unlink()
    with pytest.raises(DataError, match=r"head_ct lacks 007\.png, listed in labels\.csv; import the dataset again"):
        list_slices(slices)
    (slices / "head_ct/188.png").unlink()
    with pytest.raises(DataError, match=r"head_ct lacks 007\.png and 1 more, listed"):
        list_slices(slices)


def test_images_without_label_are_counted(slices: Path) -> None:
    write_slices(slices, ["head_ct/003.png"])
    with pytest.raises(DataError, match=r"labels\.csv has no label for .*003\.png; import the dataset again"):
        list_slices(slices)
    write_slices(slices, ["head_ct/004.png"])
    with pytest.raises(DataError, match=r"has no label for .*003\.png and 1 more"):
        list_slices(slices)


@pytest.mark.parametrize("name", ["extra.png", "003.jpg", "003"])
def test_a_file_that_is_no_numbered_image_is_named(slices: Path, name: str) -> None:
    (slices / "head_ct" / name).touch()
    with pytest.raises(DataError, match=rf"{name} is no numbered image such as 000\.png.*; remove it, or import"):
        list_slices(slices)


def test_a_folder_named_like_an_image_is_named(slices: Path) -> None:
    (slices / "head_ct/003.png").mkdir()
    with pytest.raises(DataError, match=r"003\.png is no numbered image"):
        list_slices(slices)


def test_two_images_of_one_number_are_refused(slices: Path) -> None:
    (slices / "head_ct/7.png").touch()
    with pytest.raises(DataError, match=r"two images of slice 7, 007\.png and 7\.png"):
        list_slices(slices)


def test_a_missing_table_is_a_data_error(slices: Path) -> None:
    (slices / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"slices lacks labels\.csv, which holds the labels of head-ct; import the dataset again"):
        list_slices(slices)


def test_an_empty_image_folder_is_a_data_error(slices: Path) -> None:
    for image in IMAGES:
        (slices / image).unlink()
    with pytest.raises(DataError, match=r"head_ct is empty, but holds the images of head-ct; import the dataset again"):
        list_slices(slices)


def test_a_missing_image_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"head_ct can't be read \(No such file or directory\); import the dataset again"):
        list_slices(write_slices(tmp_path, []))


def test_a_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost can't be read .*import the dataset again"):
        list_slices(tmp_path / "lost")


def test_the_counts_of_the_study_fit() -> None:
    assert HEAD_CT.split_counts == (80, 20, 100)
    assert [download.url for download in HEAD_CT.downloads] == ["kaggle:felipekitamura/head-ct-hemorrhage"]


def test_the_manifest_lists_images_and_table() -> None:
    paths = [entry.path for entry in read_manifest()]
    assert sorted(paths) == [f"head_ct/{number:03d}.png" for number in range(200)] + ["labels.csv"]


def test_real_slices_are_the_expected_ones(real_head_ct: Path) -> None:
    samples = list_slices(real_head_ct)
    assert Counter(sample.subtype for sample in samples) == HEAD_CT.expected
    assert ids(samples) == [f"head_ct/{number:03d}.png" for number in range(200)]
    assert {sample.label for sample in samples[188:]} == {0}


def test_the_real_alpha_channels_are_opaque_and_all_normal(real_head_ct: Path) -> None:
    modes: dict[str, list[str]] = {}
    for sample in list_slices(real_head_ct):
        with Image.open(real_head_ct / sample.path) as image:
            modes.setdefault(image.mode, []).append(sample.subtype)
            if image.mode == "RGBA":
                assert image.getchannel("A").getextrema() == (255, 255)
    assert {mode: Counter(found) for mode, found in modes.items()} == {
        "RGB": {"hemorrhage": 100, "normal": 88},
        "RGBA": {"normal": 12},
    }


def test_real_files_match_the_manifest(real_head_ct: Path) -> None:
    for entry in read_manifest():
        assert (real_head_ct / entry.path).stat().st_size == entry.bytes
        assert file_sha256(real_head_ct / entry.path) == entry.sha256


def test_kaggle_s_archive_is_imported_once(real_head_ct: Path, tmp_path: Path, home: Home) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for entry in read_manifest():
            deeper = "head_ct/" if entry.path.endswith(".png") else ""
            target.write(real_head_ct / entry.path, deeper + entry.path)
    done = import_dataset(HEAD_CT, archive, home)
    assert done.record.files == 201
    assert sum(path.is_file() for path in done.record.folder.rglob("*")) == 201
    assert listing(HEAD_CT, home).counts() == HEAD_CT.expected
