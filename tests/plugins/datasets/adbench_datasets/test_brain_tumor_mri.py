from __future__ import annotations

import shutil
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench_datasets import brain_tumor_mri
from adbench_datasets.brain_tumor_mri import BRAIN_TUMOR_MRI, list_slices, read_manifest
from adbench_harness.api import DataError, DatasetSpec, FitRules, Sample, file_sha256
from adbench_harness.data.decode import decode
from adbench_harness.data.importing import import_dataset
from adbench_harness.data.listing import listing
from adbench_harness.home import Home

IMAGES = ("no/1 no.jpeg", "no/No15.jpg", "yes/Y1.JPG", "yes/Y92.jpg", "yes/Y92.png")


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
    brain_tumor_mri.register_datasets(specs.append)
    assert [spec.name for spec in specs] == ["brain-tumor-mri"]
    assert brain_tumor_mri.adbench_api == 1
    assert specs[0].folder_name == "brain-tumor-mri"
    assert specs[0].group_rule.startswith("unknown")
    assert [edition.name for edition in specs[0].editions] == ["original"]


def test_the_folder_is_the_label(slices: Path) -> None:
    samples = list_slices(slices)
    assert {sample.id: (sample.label, sample.subtype) for sample in samples} == {
        "no/1 no.jpeg": (0, "normal"),
        "no/No15.jpg": (0, "normal"),
        "yes/Y1.JPG": (1, "tumor"),
        "yes/Y92.jpg": (1, "tumor"),
        "yes/Y92.png": (1, "tumor"),
    }
    assert [sample.path for sample in samples] == ids(samples)
    assert {sample.group for sample in samples} == {None}


def test_the_order_is_that_of_class_and_name(slices: Path) -> None:
    assert ids(list_slices(slices)) == list(IMAGES)


def test_a_nested_copy_is_not_listed_again(slices: Path) -> None:
    expected = list_slices(slices)
    write_slices(slices / "brain_tumor_dataset")
    assert list_slices(slices) == expected


@pytest.mark.parametrize("outer", ["brain_tumor_dataset", "archive/brain_tumor_dataset"])
def test_enclosing_folders_show_in_the_path_but_not_in_the_id(tmp_path: Path, outer: str) -> None:
    write_slices(tmp_path / outer)
    samples = list_slices(tmp_path)
    assert ids(samples) == list(IMAGES)
    assert [sample.path for sample in samples] == [f"{outer}/{image}" for image in IMAGES]


def test_class_folders_in_another_case_give_the_same_ids(tmp_path: Path) -> None:
    write_slices(tmp_path, ["No/1 no.jpeg", "YES/Y1.JPG"])
    samples = list_slices(tmp_path)
    assert ids(samples) == ["no/1 no.jpeg", "yes/Y1.JPG"]
    assert [sample.path for sample in samples] == ["No/1 no.jpeg", "YES/Y1.JPG"]


def test_files_of_the_operating_system_are_no_images(slices: Path) -> None:
    write_slices(slices, [".DS_Store", "no/.DS_Store", "no/._1 no.jpeg", "yes/Thumbs.db", "__MACOSX/no/._1 no.jpeg"])
    assert ids(list_slices(slices)) == list(IMAGES)


def test_a_png_named_jpg_is_read_as_what_it_is(slices: Path) -> None:
    gradient = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    gradient.save(slices / "no/No15.jpg", format="PNG")
    gradient.save(slices / "yes/Y92.png")
    paths = {sample.id: slices / sample.path for sample in list_slices(slices)}
    rules = FitRules(image_size=16)
    pixels = decode(paths["no/No15.jpg"], [None], rules)
    assert pixels.any()
    np.testing.assert_array_equal(pixels, decode(paths["yes/Y92.png"], [None], rules))


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (["no/1.jpg"], r"lacks yes/, in which .* \(it holds no/\); import the dataset again"),
        (["yes/1.jpg"], r"lacks no/, in which .* \(it holds yes/\)"),
        (["1.jpg", "maybe/1.jpg"], r"lacks no/ and yes/, in which .* \(it holds 1\.jpg, maybe/\)"),
        ([f"{number}.jpg" for number in range(7)], r"4\.jpg and 2 more\)"),
        ([*IMAGES, "maybe/1.jpg"], r"maybe holds images and is none of the classes no and yes; remove it, or import"),
        ([*IMAGES, "1.jpg"], r"1\.jpg lies in no class folder, so its label is missing; move it to no or yes, or import"),
        ([*IMAGES, "no/about.txt"], r"about\.txt is no image file \(\.jpeg, \.jpg, \.png\); remove it, or import"),
        ([*IMAGES, "no/more/1.jpg"], r"no.more is no image file"),
        (["a/no/1.jpg", "a/yes/1.jpg", "b/no/1.jpg", "b/yes/1.jpg"], "holds two copies of the dataset"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, images: Sequence[str], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        list_slices(write_slices(tmp_path, images))
    assert str(tmp_path) in str(caught.value)


def test_a_folder_named_like_an_image_is_named(slices: Path) -> None:
    (slices / "no/2.png").mkdir()
    with pytest.raises(DataError, match=r"2\.png is no image file"):
        list_slices(slices)


def test_two_folders_of_one_class_are_refused(slices: Path) -> None:
    write_slices(slices, ["NO/2 no.jpg"])
    if len(list(slices.iterdir())) == 2:
        pytest.skip("the file system does not tell no from NO")
    with pytest.raises(DataError, match="two folders of the class no, NO and no"):
        list_slices(slices)


def test_an_empty_class_folder_is_a_data_error(slices: Path) -> None:
    for path in (slices / "yes").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"yes is empty, but holds a class of brain-tumor-mri; import the dataset again"):
        list_slices(slices)


def test_an_empty_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks no/ and yes/, .* \(it holds nothing\)"):
        list_slices(tmp_path)


def test_a_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost can't be read .*import the dataset again"):
        list_slices(tmp_path / "lost")


def test_the_counts_of_the_study_fit() -> None:
    assert BRAIN_TUMOR_MRI.split_counts == (80, 18, 155)
    assert [download.url for download in BRAIN_TUMOR_MRI.downloads] == [
        "kaggle:navoneel/brain-mri-images-for-brain-tumor-detection"
    ]


def test_the_manifest_has_the_expected_counts_and_repeats() -> None:
    entries = read_manifest()
    counts = Counter(entry.path.partition("/")[0] for entry in entries)
    assert counts == {"no": BRAIN_TUMOR_MRI.expected["normal"], "yes": BRAIN_TUMOR_MRI.expected["tumor"]}
    contents = Counter(entry.sha256 for entry in entries)
    assert sum(count > 1 for count in contents.values()) == 22
    assert len(entries) - len(contents) == 25
    assert len({(entry.sha256, entry.path.partition("/")[0]) for entry in entries}) == len(contents)  # none across classes


def test_real_slices_are_the_expected_ones(real_brain_tumor_mri: Path) -> None:
    samples = list_slices(real_brain_tumor_mri)
    assert Counter(sample.subtype for sample in samples) == BRAIN_TUMOR_MRI.expected
    assert sorted(ids(samples)) == sorted(entry.path for entry in read_manifest())
    assert sum(" " in sample.id for sample in samples) == 70


def test_real_files_match_the_manifest(real_brain_tumor_mri: Path) -> None:
    for entry in read_manifest():
        assert (real_brain_tumor_mri / entry.path).stat().st_size == entry.bytes
        assert file_sha256(real_brain_tumor_mri / entry.path) == entry.sha256


def test_kaggle_s_archive_is_imported_once(real_brain_tumor_mri: Path, tmp_path: Path, home: Home) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for prefix in ("brain_tumor_dataset/", ""):
            for entry in read_manifest():
                target.write(real_brain_tumor_mri / entry.path, prefix + entry.path)
    done = import_dataset(BRAIN_TUMOR_MRI, archive, home)
    assert done.record.files == 253
    assert sum(path.is_file() for path in done.record.folder.rglob("*")) == 253
    assert listing(BRAIN_TUMOR_MRI, home).counts() == BRAIN_TUMOR_MRI.expected


def test_an_altered_image_is_not_imported(real_brain_tumor_mri: Path, tmp_path: Path, home: Home) -> None:
    copy = tmp_path / "copy"
    for entry in read_manifest():
        (copy / entry.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real_brain_tumor_mri / entry.path, copy / entry.path)
    (copy / "yes/Y92.png").write_bytes((copy / "yes/Y92.jpg").read_bytes())
    with pytest.raises(DataError, match=r"1 altered \(yes/Y92\.png\); nothing was imported"):
        import_dataset(BRAIN_TUMOR_MRI, copy, home)
