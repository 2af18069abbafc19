from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from adbench_datasets import retinal_oct
from adbench_datasets.retinal_oct import KAGGLE, MENDELEY, RETINAL_OCT, list_scans, read_manifest
from adbench_harness.api import DataError, DatasetSpec, Edition, Sample, file_sha256

IMAGES = (
    "train/NORMAL/NORMAL-10-1.jpeg",
    "train/NORMAL/NORMAL-9-2.jpeg",
    "train/CNV/CNV-11-1.jpeg",
    "test/NORMAL/NORMAL-1384-1.jpeg",
    "test/CNV/CNV-1384-1.jpeg",
    "test/DME/DME-7-3.jpeg",
    "test/DRUSEN/DRUSEN-8-1.jpeg",
)
VALIDATION = tuple(f"val/{name}/{name}-5-1.jpeg" for name in ("NORMAL", "CNV", "DME", "DRUSEN"))


def write_scans(folder: Path, images: Sequence[str] = IMAGES) -> Path:
    """A folder with an empty file for each image."""
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()
    return folder


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    return write_scans(tmp_path / "scans")


def ids(samples: Sequence[Sample]) -> list[str]:
    return [sample.id for sample in samples]


def test_one_spec_is_registered() -> None:
    specs: list[DatasetSpec] = []
    retinal_oct.register_datasets(specs.append)
    assert [spec.name for spec in specs] == ["retinal-oct"]
    assert retinal_oct.adbench_api == 1
    assert specs[0].folder_name == "retinal-oct"
    assert [edition.name for edition in specs[0].editions] == ["kaggle", "mendeley"]
    assert specs[0].tasks == {"cnv": ("cnv",), "dme": ("dme",), "drusen": ("drusen",)}


def test_folders_are_split_and_label_and_the_number_is_the_patient(scans: Path) -> None:
    samples = list_scans(scans)
    assert [(s.id, s.label, s.subtype, s.group, s.official_split) for s in samples] == [
        ("train/NORMAL/NORMAL-10-1.jpeg", 0, "normal", "10", "train"),
        ("train/NORMAL/NORMAL-9-2.jpeg", 0, "normal", "9", "train"),
        ("train/CNV/CNV-11-1.jpeg", 1, "cnv", "11", "train"),
        ("test/NORMAL/NORMAL-1384-1.jpeg", 0, "normal", "1384", "test"),
        ("test/CNV/CNV-1384-1.jpeg", 1, "cnv", "1384", "test"),
        ("test/DME/DME-7-3.jpeg", 1, "dme", "7", "test"),
        ("test/DRUSEN/DRUSEN-8-1.jpeg", 1, "drusen", "8", "test"),
    ]
    assert [sample.path for sample in samples] == ids(samples)


def test_one_name_in_both_splits_is_two_samples(scans: Path) -> None:
    write_scans(scans, ["test/NORMAL/NORMAL-10-1.jpeg"])
    assert [i for i in ids(list_scans(scans)) if i.endswith("NORMAL-10-1.jpeg")] == [
        "train/NORMAL/NORMAL-10-1.jpeg",
        "test/NORMAL/NORMAL-10-1.jpeg",
    ]


@pytest.mark.parametrize("outer", ["OCT2017 ", "kermany2018/OCT2017 ", "ZhangLabData/CellData/OCT"])
def test_enclosing_folders_show_in_the_path_but_not_in_the_id(tmp_path: Path, outer: str) -> None:
    write_scans(tmp_path / outer)
    samples = list_scans(tmp_path)
    assert ids(samples) == list(IMAGES)
    assert [sample.path for sample in samples] == [f"{outer}/{image}" for image in IMAGES]


def test_a_deeper_copy_is_not_listed_again(tmp_path: Path) -> None:
    write_scans(tmp_path / "OCT2017 ")
    write_scans(tmp_path / "oct2017" / "OCT2017 ")
    assert ids(list_scans(tmp_path)) == list(IMAGES)


def test_the_chest_images_beside_it_are_another_dataset(tmp_path: Path) -> None:
    write_scans(tmp_path / "OCT2017")
    write_scans(tmp_path / "chest_xray", ["train/NORMAL/IM-1.jpeg", "train/PNEUMONIA/p.jpeg", "test/NORMAL/IM-2.jpeg"])
    assert ids(list_scans(tmp_path)) == list(IMAGES)


def test_validation_images_are_not_listed(scans: Path) -> None:
    assert ids(list_scans(write_scans(scans, VALIDATION))) == list(IMAGES)


@pytest.mark.parametrize("emptied", [False, True])
def test_abnormal_training_images_are_not_needed(scans: Path, emptied: bool) -> None:
    (scans / "train/CNV/CNV-11-1.jpeg").unlink()
    if not emptied:
        (scans / "train/CNV").rmdir()
    assert ids(list_scans(scans)) == [image for image in IMAGES if not image.startswith("train/CNV")]


def test_folders_in_another_case_give_the_same_ids(tmp_path: Path) -> None:
    write_scans(tmp_path, [image.replace("test/CNV", "Test/cnv").replace("test/", "Test/") for image in IMAGES])
    samples = list_scans(tmp_path)
    assert ids(samples) == list(IMAGES)
    assert samples[4].path == "Test/cnv/CNV-1384-1.jpeg"


def test_files_of_the_operating_system_are_no_images(scans: Path) -> None:
    write_scans(scans, ["train/.DS_Store", "test/CNV/.DS_Store", "test/CNV/._CNV-1384-1.jpeg", "test/CNV/Thumbs.db"])
    assert ids(list_scans(scans)) == list(IMAGES)


@pytest.mark.parametrize("lost", ["train/NORMAL", "test/NORMAL", "test/CNV", "test/DME", "test/DRUSEN"])
def test_a_class_that_is_needed_is_named_where_it_lacks(scans: Path, lost: str) -> None:
    split, name = lost.split("/")
    for path in (scans / lost).iterdir():
        path.unlink()
    with pytest.raises(DataError, match=rf"{name} is empty, but holds the images of a class of retinal-oct; import the dataset"):
        list_scans(scans)
    (scans / lost).rmdir()
    with pytest.raises(DataError, match=rf"{split} lacks {name}/, which holds the images of a class of retinal-oct; import"):
        list_scans(scans)


@pytest.mark.parametrize(
    "name",
    [
        "CNV-1.jpeg",
        "CNV-1-1.jpg",
        "CNV-1-1.JPEG",
        "CNV-x-1.jpeg",
        "CNV-\u0661-1.jpeg",
        "cnv-1-1.jpeg",
        "AMD-1-1.jpeg",
        "\u8111.jpeg",
    ],
)
def test_a_file_of_another_name_is_named(scans: Path, name: str) -> None:
    write_scans(scans, [f"test/CNV/{name}"])
    with pytest.raises(DataError, match=rf"{name} is no image named CLASS-PATIENT-NUMBER\.jpeg, .*; remove it, or import"):
        list_scans(scans)


def test_a_folder_named_like_an_image_is_named(scans: Path) -> None:
    (scans / "test/CNV/CNV-1-1.jpeg").mkdir()
    with pytest.raises(DataError, match=r"CNV-1-1\.jpeg is no image"):
        list_scans(scans)


def test_an_image_among_those_of_another_class_is_named(scans: Path) -> None:
    write_scans(scans, ["test/CNV/DME-1-1.jpeg"])
    with pytest.raises(DataError, match=r"DME-1-1\.jpeg is named as an image of DME and lies among those of CNV; import"):
        list_scans(scans)


@pytest.mark.parametrize("strange", ["test/AMD/CNV-1-1.jpeg", "test/CNV-1-1.jpeg"])
def test_what_is_no_class_is_named(scans: Path, strange: str) -> None:
    write_scans(scans, [strange])
    with pytest.raises(DataError, match="is none of the classes NORMAL, CNV, DME, DRUSEN; remove it, or import"):
        list_scans(scans)


@pytest.mark.parametrize("images", [(), IMAGES[:3], IMAGES[3:], ("CNV/CNV-1-1.jpeg",)])
def test_a_folder_without_both_splits_is_a_data_error(tmp_path: Path, images: Sequence[str]) -> None:
    with pytest.raises(DataError, match=r"lacks train/ and test/ with the folders .* \(it holds .*\); import the dataset again"):
        list_scans(write_scans(tmp_path, images))


def test_a_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost can't be read .*import the dataset again"):
        list_scans(tmp_path / "lost")


def test_the_manifest_is_mendeley_s_test_split() -> None:
    counts = Counter(entry.path.rpartition("/")[0] for entry in read_manifest())
    assert counts == {f"test/{name}": 250 for name in ("NORMAL", "CNV", "DME", "DRUSEN")}
    assert MENDELEY.files() == read_manifest()
    assert KAGGLE.files() == ()


def test_kaggle_s_test_and_validation_images_are_among_the_known_ones() -> None:
    counted = {folder.path: folder for folder in KAGGLE.counted}
    for name in ("NORMAL", "CNV", "DME", "DRUSEN"):
        for split, files in (("test", 242), ("val", 8)):
            folder = counted[f"{split}/{name}"]
            assert folder.files == files
            assert folder.among is not None
            known = folder.among()
            assert len(known) == 250
            assert all(entry.path.startswith(f"test/{name}/{name}-") for entry in known)


@pytest.mark.parametrize(("edition", "test"), [(KAGGLE, 242), (MENDELEY, 250)])
def test_each_edition_counts_all_that_is_listed(edition: Edition, test: int) -> None:
    training = {folder.path: folder.files for folder in edition.counted if folder.path.startswith("train/")}
    assert training == {"train/NORMAL": 26315, "train/CNV": 37205, "train/DME": 11348, "train/DRUSEN": 8616}
    assert all(folder.among is None for folder in edition.counted if folder.path.startswith("train/"))
    for name, subtype in (("NORMAL", "normal"), ("CNV", "cnv"), ("DME", "dme"), ("DRUSEN", "drusen")):
        assert edition.expected[subtype] == training[f"train/{name}"] + test
    needed = {folder.path for folder in edition.counted} - set(edition.optional)
    assert {path for path in needed if path.startswith("train/")} == {"train/NORMAL"}
    assert ("val" in edition.optional) == (edition is KAGGLE)


def test_the_counts_of_the_study_fit_the_usual_edition() -> None:
    assert RETINAL_OCT.split_counts == (26315, 242, 3 * 242)
    assert RETINAL_OCT.expected == KAGGLE.expected
    assert RETINAL_OCT.expected["normal"] == 26315 + 242


def test_the_real_miniature_is_listed(real_retinal_oct: Path) -> None:
    samples = list_scans(real_retinal_oct)
    assert Counter((sample.official_split, sample.subtype) for sample in samples) == {
        ("train", "normal"): 127,
        ("train", "cnv"): 1,
        ("test", "normal"): 125,
        ("test", "cnv"): 125,
        ("test", "dme"): 125,
        ("test", "drusen"): 125,
    }
    normal = {split: {s.group for s in samples if s.label == 0 and s.official_split == split} for split in ("train", "test")}
    assert not normal["train"] & normal["test"]


def test_real_files_are_the_ones_of_the_manifest(real_retinal_oct: Path) -> None:
    known = {entry.path.rpartition("/")[2]: entry.sha256 for entry in read_manifest()}
    for sample in list_scans(real_retinal_oct):
        path = real_retinal_oct / sample.path
        if sample.official_split == "test":
            assert known[path.name] == file_sha256(path)
