from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench_datasets import c_nmc
from adbench_datasets.c_nmc import C_NMC, LABELS, list_cells, read_labels, read_manifest
from adbench_harness.api import DataError, DatasetSpec, FitRules, Sample
from adbench_harness.data.decode import decode

TABLE = "Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\nUID_h3_4_2_hem.bmp,2.bmp,0\nUID_3_1_1_all.bmp,10.bmp,1\n"
TRAINING = (
    "training_data/fold_0/hem/UID_H13_1_1_hem.bmp",
    "training_data/fold_0/all/UID_3_1_2_all.bmp",
    "training_data/fold_1/hem/UID_h3_9_4_hem.bmp",
    "training_data/fold_1/all/UID_57_2_1_all.bmp",
    "training_data/fold_2/hem/UID_H3_9_5_hem.bmp",
    "training_data/fold_2/all/UID_58_2_1_all.bmp",
)
TEST = tuple(f"validation_data/C-NMC_test_prelim_phase_data/{number}.bmp" for number in (1, 2, 10))
IMAGES = TRAINING + TEST
TABLE_PATH = f"validation_data/{LABELS}"


def write_cells(folder: Path, images: Sequence[str] = IMAGES, table: str | None = TABLE, table_path: str = TABLE_PATH) -> Path:
    """A folder with an empty file for each image, and the table of labels."""
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()
    if table is not None:
        (folder / table_path).parent.mkdir(parents=True, exist_ok=True)
        (folder / table_path).write_bytes(table.encode())
    return folder


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return write_cells(tmp_path / "cells")


def ids(samples: Sequence[Sample]) -> list[str]:
    return [sample.id for sample in samples]


def test_one_spec_is_registered() -> None:
    specs: list[DatasetSpec] = []
    c_nmc.register_datasets(specs.append)
    assert [spec.name for spec in specs] == ["c-nmc"]
    assert c_nmc.adbench_api == 1
    assert specs[0].folder_name == "c-nmc"
    assert [edition.name for edition in specs[0].editions] == ["original"]
    assert specs[0].editions[0].optional == ("testing_data",)


def test_folders_and_table_are_split_and_label(cells: Path) -> None:
    samples = list_cells(cells)
    assert ids(samples) == list(IMAGES)
    assert [sample.path for sample in samples] == list(IMAGES)
    assert [(s.label, s.subtype, s.group, s.official_split) for s in samples] == [
        (0, "normal", "H13", "train"),
        (1, "leukemia", "3", "train"),
        (0, "normal", "H3", "train"),
        (1, "leukemia", "57", "train"),
        (0, "normal", "H3", "train"),
        (1, "leukemia", "58", "train"),
        (1, "leukemia", "57", "test"),
        (0, "normal", "H3", "test"),
        (1, "leukemia", "3", "test"),
    ]
    assert [sample.attributes.get("fold") for sample in samples] == [0, 0, 1, 1, 2, 2, None, None, None]


def nested(image: str) -> str:
    """The path where each fold and the test folder hold a folder of their own name."""
    for name in ("fold_0", "fold_1", "fold_2", "C-NMC_test_prelim_phase_data"):
        image = image.replace(f"/{name}/", f"/{name}/{name}/")
    return image


@pytest.mark.parametrize("outer", ["", "C-NMC_Leukemia", "archive/C-NMC_Leukemia"])
@pytest.mark.parametrize("deeper", [False, True])
def test_enclosing_folders_show_in_the_path_but_not_in_the_id(tmp_path: Path, outer: str, deeper: bool) -> None:
    images = [nested(image) for image in IMAGES] if deeper else list(IMAGES)
    write_cells(tmp_path / outer, images)
    samples = list_cells(tmp_path)
    assert ids(samples) == list(IMAGES)
    assert [sample.path for sample in samples] == [f"{outer}/{image}".lstrip("/") for image in images]


@pytest.mark.parametrize(
    "folder", ["", "C-NMC_test_prelim_phase_data/", "C-NMC_test_prelim_phase_data/C-NMC_test_prelim_phase_data/"]
)
def test_the_table_lies_beside_the_images_or_inside(tmp_path: Path, folder: str) -> None:
    write_cells(tmp_path, table_path=f"validation_data/{folder}{LABELS}")
    assert ids(list_cells(tmp_path)) == list(IMAGES)


def test_the_final_phase_is_not_listed(cells: Path) -> None:
    write_cells(cells, ["testing_data/C-NMC_test_final_phase_data/1.bmp"])
    assert ids(list_cells(cells)) == list(IMAGES)


def test_files_of_the_operating_system_are_no_images(cells: Path) -> None:
    litter = ("fold_0/.DS_Store", "fold_0/hem/._UID_H13_1_1_hem.bmp", ".DS_Store")
    write_cells(cells, [f"training_data/{name}" for name in litter])
    write_cells(cells, ["validation_data/C-NMC_test_prelim_phase_data/Thumbs.db"])
    assert ids(list_cells(cells)) == list(IMAGES)


@pytest.mark.parametrize(
    "table",
    [TABLE.replace("\n", "\r\n"), "\ufeff" + TABLE, TABLE.replace(",", " , "), TABLE + ",,\n\n"],
    ids=["carriage returns", "byte-order mark", "spaces", "empty rows"],
)
def test_the_table_may_have_been_saved_again(cells: Path, table: str) -> None:
    expected = list_cells(cells)
    assert list_cells(write_cells(cells, table=table)) == expected


def test_an_image_is_decoded(cells: Path) -> None:
    Image.fromarray(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)).save(cells / TEST[0])
    assert decode(cells / TEST[0], [None], FitRules(image_size=16)).any()


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("UID_1_1_1_all.bmp,11.bmp", "expected Patient_ID, new_names, labels, found 'UID_1_1_1_all.bmp, 11.bmp'"),
        ("UID_1_1_1_all.bmp,11.bmp,1,1", "expected Patient_ID, new_names, labels"),
        (",11.bmp,1", "'' is no name such as UID_57_29_1_all.bmp"),
        ("57,11.bmp,1", "'57' is no name such as UID_57_29_1_all.bmp"),
        ("UID_\u0661_1_1_all.bmp,11.bmp,1", "is no name such as"),
        ("UID_1_1_1_all.bmp,,1", "'' is no name of a numbered image such as 1.bmp"),
        ("UID_1_1_1_all.bmp,\u8111.bmp,1", "is no name of a numbered image such as 1.bmp"),
        ("UID_1_1_1_all.bmp,11.bmp,", r"unknown label '' of 11\.bmp, expected 0 \(normal\) or 1 \(leukemia\)"),
        ("UID_1_1_1_all.bmp,11.bmp,2", r"unknown label '2' of 11\.bmp"),
        ("UID_1_1_1_all.bmp,2.bmp,1", r"2\.bmp has a second row"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(cells: Path, row: str, complaint: str) -> None:
    write_cells(cells, table=f"{TABLE}{row}\n")
    with pytest.raises(DataError, match=rf"_labels\.csv, line 5: .*{complaint}.*; import the dataset again"):
        list_cells(cells)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "expected the columns Patient_ID, new_names, labels, found an empty file"),
        ("Patient_ID,labels\n", "expected the columns Patient_ID, new_names, labels, found Patient_ID, labels"),
        ("Patient_ID,new_names,labels\n", "labels no image"),
    ],
)
def test_a_table_without_labels_is_a_data_error(cells: Path, table: str, complaint: str) -> None:
    write_cells(cells, table=table)
    with pytest.raises(DataError, match=rf"_labels\.csv:? {complaint}; import the dataset again"):
        list_cells(cells)


def test_a_table_that_is_no_text_is_a_data_error(cells: Path) -> None:
    (cells / TABLE_PATH).write_bytes(b"Patient_ID,new_names,labels\nUID\xff\n")
    with pytest.raises(DataError, match=r"_labels\.csv can't be read \(.*utf-8.*import the dataset again"):
        list_cells(cells)


def test_a_missing_table_is_a_data_error(cells: Path) -> None:
    (cells / TABLE_PATH).unlink()
    with pytest.raises(DataError, match=rf"validation_data lacks {LABELS}, which holds the labels .*; import the dataset again"):
        list_cells(cells)
    with pytest.raises(DataError, match=r"can't be read \(No such file or directory\)"):
        read_labels(cells / TABLE_PATH)


def test_missing_images_are_counted(cells: Path) -> None:
    (cells / TEST[1]).unlink()
    with pytest.raises(DataError, match=r"lacks 2\.bmp, listed in .*_labels\.csv; import the dataset again"):
        list_cells(cells)
    (cells / TEST[2]).unlink()
    with pytest.raises(DataError, match=r"lacks 2\.bmp and 1 more, listed in"):
        list_cells(cells)


def test_images_without_label_are_counted(cells: Path) -> None:
    write_cells(cells, ["validation_data/C-NMC_test_prelim_phase_data/11.bmp"])
    with pytest.raises(DataError, match=r"_labels\.csv has no label for .*11\.bmp; import the dataset again"):
        list_cells(cells)
    write_cells(cells, ["validation_data/C-NMC_test_prelim_phase_data/9.bmp"])
    with pytest.raises(DataError, match=r"has no label for .*9\.bmp and 1 more"):
        list_cells(cells)


@pytest.mark.parametrize("name", ["x.bmp", "1.png", "UID_1_1_1_all.bmp", "\u8111.bmp"])
def test_a_test_file_without_number_is_named(cells: Path, name: str) -> None:
    write_cells(cells, [f"validation_data/C-NMC_test_prelim_phase_data/{name}"])
    with pytest.raises(DataError, match=rf"{name} is no numbered image such as 1\.bmp, .*; remove it, or import"):
        list_cells(cells)


@pytest.mark.parametrize("name", ["1.bmp", "UID_1_1_1.bmp", "UID_H1_1_1_hem.png", "UID_X1_1_1_hem.bmp", "UID_H1_1_1_HEM.bmp"])
def test_a_training_file_of_another_name_is_named(cells: Path, name: str) -> None:
    write_cells(cells, [f"training_data/fold_0/hem/{name}"])
    with pytest.raises(DataError, match=rf"{name} is no image named UID_PATIENT_IMAGE_CELL_CLASS\.bmp, .*; remove it, or import"):
        list_cells(cells)


def test_a_cell_among_those_of_the_other_class_is_named(cells: Path) -> None:
    write_cells(cells, ["training_data/fold_0/hem/UID_1_1_1_all.bmp"])
    with pytest.raises(DataError, match=r"UID_1_1_1_all\.bmp is named as an image of all and lies among those of hem; import"):
        list_cells(cells)


@pytest.mark.parametrize("image", [TRAINING[0], TEST[0]])
def test_an_image_at_two_depths_is_refused(cells: Path, image: str) -> None:
    write_cells(cells, [nested(image)])
    with pytest.raises(DataError, match=r"holds two images of one id, .* and .*; remove one of them, or import"):
        list_cells(cells)


@pytest.mark.parametrize(
    ("lost", "complaint"),
    [
        ("training_data/fold_1/hem/", r"hem is empty, but holds a class of c-nmc"),
        ("validation_data/C-NMC_test_prelim_phase_data/", r"phase_data is empty, but holds the test images of c-nmc"),
    ],
)
def test_an_empty_folder_is_named(cells: Path, lost: str, complaint: str) -> None:
    for path in (cells / lost).iterdir():
        path.unlink()
    with pytest.raises(DataError, match=f"{complaint}; import the dataset again"):
        list_cells(cells)


@pytest.mark.parametrize(
    ("kept", "complaint"),
    [
        ("training_data", r"lacks validation_data/, in which the images of c-nmc lie \(it holds training_data/\)"),
        ("validation_data", r"lacks training_data/, in which the images of c-nmc lie \(it holds validation_data/\)"),
        ("nothing", r"lacks training_data/ and validation_data/, .* \(it holds nothing\)"),
    ],
)
def test_missing_parts_are_named(tmp_path: Path, kept: str, complaint: str) -> None:
    write_cells(tmp_path, [image for image in IMAGES if image.startswith(kept)], table=None)
    with pytest.raises(DataError, match=f"{complaint}; import the dataset again"):
        list_cells(tmp_path)


@pytest.mark.parametrize(
    ("left_out", "complaint"),
    [
        ("/fold_1/", r"training_data lacks fold_1/, which holds a fold"),
        ("/hem/", r"training_data has no folder hem/ in any fold"),
        ("/all/", r"training_data has no folder all/ in any fold"),
        ("_prelim_", r"validation_data lacks C-NMC_test_prelim_phase_data/"),
    ],
)
def test_missing_folders_are_named(tmp_path: Path, left_out: str, complaint: str) -> None:
    write_cells(tmp_path, [image for image in IMAGES if left_out not in image])
    with pytest.raises(DataError, match=f"{complaint}.*; import the dataset again"):
        list_cells(tmp_path)


def test_a_fold_without_classes_is_named(cells: Path) -> None:
    for path in sorted((cells / "training_data/fold_2").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(DataError, match=r"fold_2 lacks hem/ and all/, which hold the images of c-nmc; import"):
        list_cells(cells)


@pytest.mark.parametrize(
    ("strange", "complaint"),
    [
        ("training_data/fold_3/hem/UID_H1_1_1_hem.bmp", "fold_3 is none of the folds fold_0, fold_1, fold_2"),
        ("training_data/fold_0/ball/UID_H1_1_1_hem.bmp", "ball is none of the classes hem and all"),
        ("training_data/fold_0/UID_H1_1_1_hem.bmp", r"UID_H1_1_1_hem\.bmp is none of the classes hem and all"),
    ],
)
def test_what_is_no_part_is_named(cells: Path, strange: str, complaint: str) -> None:
    write_cells(cells, [strange])
    with pytest.raises(DataError, match=f"{complaint}; remove it, or import"):
        list_cells(cells)


def test_the_original_s_tree_has_the_expected_counts(tmp_path: Path) -> None:
    """The table is made up: only how many of each label the original has is known, and its size in bytes."""
    entries = read_manifest()
    paths = [entry.path for entry in entries]
    numbered = sorted(path.rpartition("/")[2] for path in paths if path.startswith("validation_data/") and path.endswith(".bmp"))
    rows = [f"UID_H1_1_1_hem.bmp,{name},0" if i < 648 else f"UID_1_1_1_all.bmp,{name},1" for i, name in enumerate(numbered)]
    table = "\n".join(["Patient_ID,new_names,labels", *rows])
    samples = list_cells(write_cells(tmp_path, [path for path in paths if path.endswith(".bmp")], table))
    assert Counter(sample.subtype for sample in samples) == C_NMC.expected
    training = [path for path in paths if path.startswith("training_data/")]
    assert sorted(ids(samples)) == sorted([*training, *(path for path in paths if "_prelim_" in path and path.endswith(".bmp"))])
    assert C_NMC.split_counts == (3389, 648, 1219)
    normal = [sample for sample in samples if sample.official_split == "train" and sample.label == 0]
    assert len(normal) == 3389
    assert len({sample.group for sample in normal}) == 26
    per_fold = Counter((sample.attributes["fold"], sample.label) for sample in samples if sample.official_split == "train")
    assert [(per_fold[fold, 1], per_fold[fold, 0]) for fold in range(3)] == [(2397, 1130), (2418, 1163), (2457, 1096)]


def test_repeats_are_pairs_within_training_and_a_class() -> None:
    used = [entry for entry in read_manifest() if not entry.path.startswith("testing_data/")]
    places: dict[str, list[str]] = {}
    for entry in used:
        places.setdefault(entry.sha256, []).append(entry.path)
    pairs = [found for found in places.values() if len(found) > 1]
    assert {len(found) for found in pairs} == {2}
    assert len(pairs) == 104
    assert all(path.startswith("training_data/") for found in pairs for path in found)
    assert all(len({path.split("/")[2] for path in found}) == 1 for found in pairs)
    patients = [{path.rpartition("/")[2].split("_")[1].upper() for path in found} for found in pairs]
    assert sum(len(found) == 2 for found in patients) == 99


def test_the_real_miniature_is_listed(real_c_nmc: Path) -> None:
    samples = list_cells(real_c_nmc)
    assert Counter((sample.official_split, sample.subtype) for sample in samples) == {
        ("train", "normal"): 86,
        ("train", "leukemia"): 18,
        ("test", "normal"): 29,
        ("test", "leukemia"): 60,
    }
    assert all(sample.group and sample.group.startswith("H") == (sample.label == 0) for sample in samples)


def test_real_labels_agree_with_the_original_names(real_c_nmc: Path) -> None:
    with next(real_c_nmc.rglob(LABELS)).open(newline="") as stream:
        classes = {row["new_names"]: row["Patient_ID"] for row in csv.DictReader(stream)}
    for sample in list_cells(real_c_nmc):
        if sample.official_split == "test":
            assert ("all" if sample.label else "hem") in classes[sample.id.rpartition("/")[2]]


def test_real_images_are_decoded(real_c_nmc: Path) -> None:
    for sample in (list_cells(real_c_nmc)[0], list_cells(real_c_nmc)[-1]):
        assert decode(real_c_nmc / sample.path, [None], FitRules(image_size=16)).any()
