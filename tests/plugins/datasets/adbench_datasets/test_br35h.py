from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench_datasets import br35h
from adbench_datasets.br35h import BR35H, list_slices, read_manifest
from adbench_datasets.shipped_manifests import read_shipped_manifest
from adbench_harness.api import DataError, DatasetSpec, FitRules, Sample
from adbench_harness.data.decode import decode

IMAGES = ("no/No12.jpg", "no/no0.jpg", "no/no1.jpg", "yes/y0.jpg", "yes/y1.jpg")
OTHERS = ("pred/pred0.jpg", "Br35H-Mask-RCNN/TRAIN/y0.jpg", "Br35H-Mask-RCNN/annotations_all.json")


def write_slices(folder: Path, images: Sequence[str] = IMAGES) -> Path:
    """A folder with an empty file for each image."""
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
    br35h.register_datasets(specs.append)
    assert [spec.name for spec in specs] == ["br35h"]
    assert br35h.adbench_api == 1
    assert specs[0].folder_name == "br35h"
    assert specs[0].group_rule.startswith("unknown")
    assert [edition.name for edition in specs[0].editions] == ["original"]
    assert set(specs[0].editions[0].optional) == {"pred", "Br35H-Mask-RCNN"}


def test_the_folder_is_the_label_and_names_stay_as_they_are(slices: Path) -> None:
    samples = list_slices(slices)
    assert [(sample.id, sample.label, sample.subtype) for sample in samples] == [
        ("no/No12.jpg", 0, "normal"),
        ("no/no0.jpg", 0, "normal"),
        ("no/no1.jpg", 0, "normal"),
        ("yes/y0.jpg", 1, "tumor"),
        ("yes/y1.jpg", 1, "tumor"),
    ]
    assert [sample.path for sample in samples] == ids(samples)
    assert {sample.group for sample in samples} == {None}


@pytest.mark.parametrize("outer", ["", "brain-tumor-detection", "archive/Br35H"])
def test_no_sample_comes_from_the_other_folders(tmp_path: Path, outer: str) -> None:
    write_slices(tmp_path / outer, [*IMAGES, *OTHERS, "Br35H-Mask-RCNN/loose.jpg"])
    samples = list_slices(tmp_path)
    assert ids(samples) == list(IMAGES)
    assert [sample.path for sample in samples] == [f"{outer}/{image}".lstrip("/") for image in IMAGES]


def test_class_folders_in_another_case_give_the_same_ids(tmp_path: Path) -> None:
    write_slices(tmp_path, ["NO/no0.jpg", "Yes/y0.jpg"])
    assert ids(list_slices(tmp_path)) == ["no/no0.jpg", "yes/y0.jpg"]


def test_a_name_beyond_ascii_is_kept(slices: Path) -> None:
    write_slices(slices, ["no/n\u00f6 \u8111 5.jpg"])
    sample = list_slices(slices)[-3]
    assert (sample.id, sample.path) == ("no/n\u00f6 \u8111 5.jpg", "no/n\u00f6 \u8111 5.jpg")


def test_a_png_named_jpg_is_read_as_what_it_is(slices: Path) -> None:
    gradient = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    gradient.save(slices / "no/no0.jpg", format="PNG")
    path = next(sample.path for sample in list_slices(slices) if sample.id == "no/no0.jpg")
    assert decode(slices / path, [None], FitRules(image_size=16)).any()


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (
            ["no/no0.jpg", "pred/pred0.jpg"],
            r"lacks yes/, in which the images of br35h lie \(it holds no/, pred/\); import the data",
        ),
        (["pred/pred0.jpg"], r"lacks no/ and yes/, in which the images of br35h lie \(it holds pred/\)"),
        ([*IMAGES, "maybe/1.jpg"], r"maybe holds images and is none of the classes no and yes; remove it, or import"),
        ([*IMAGES, "1.jpg"], r"1\.jpg lies in no class folder, so its label is missing; move it to no or yes, or import"),
        ([*IMAGES, "no/about.txt"], r"about\.txt is no image file \(\.jpeg, \.jpg, \.png\); remove it, or import"),
        (["a/no/1.jpg", "a/yes/1.jpg", "b/no/1.jpg", "b/yes/1.jpg"], "holds two copies of the dataset"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, images: Sequence[str], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        list_slices(write_slices(tmp_path, images))
    assert str(tmp_path) in str(caught.value)


def test_an_empty_class_folder_is_a_data_error(slices: Path) -> None:
    for path in (slices / "yes").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"yes is empty, but holds a class of br35h; import the dataset again"):
        list_slices(slices)


def test_the_original_s_tree_has_the_expected_counts(tmp_path: Path) -> None:
    entries = read_manifest()
    assert Counter(entry.path.partition("/")[0] for entry in entries) == {"no": 1500, "yes": 1500, "pred": 60}
    samples = list_slices(write_slices(tmp_path, [entry.path for entry in entries]))
    assert Counter(sample.subtype for sample in samples) == BR35H.expected == {"normal": 1500, "tumor": 1500}
    assert sorted(ids(samples)) == sorted(entry.path for entry in entries if not entry.path.startswith("pred/"))
    capital = [sample.id for sample in samples if sample.id.startswith("no/N")]
    assert capital == [f"no/No{number}.jpg" for number in (12, 13, 14, 15, 17, 18, 19)]


def test_the_counts_of_the_study_fit() -> None:
    assert BR35H.split_counts == (1200, 300, 1500)
    assert sum(BR35H.split_counts[:2]) == BR35H.expected["normal"]


def test_two_labelled_files_are_the_same() -> None:
    labelled = [entry for entry in read_manifest() if not entry.path.startswith("pred/")]
    contents = Counter(entry.sha256 for entry in labelled)
    assert sorted(e.path for e in labelled if contents[e.sha256] > 1) == ["no/no355.jpg", "no/no532.jpg"]


def test_some_unlabelled_images_copy_labelled_ones() -> None:
    labelled = {entry.sha256 for entry in read_manifest() if not entry.path.startswith("pred/")}
    assert sum(entry.sha256 in labelled for entry in read_manifest() if entry.path.startswith("pred/")) == 17


def test_it_shares_files_with_brain_tumor_mri() -> None:
    here = {entry.sha256 for entry in read_manifest()}
    assert any(entry.sha256 in here for entry in read_shipped_manifest("brain-tumor-mri"))
