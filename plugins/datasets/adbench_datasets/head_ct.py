"""Head CT: 200 slices from Kaggle with a table of labels, 100 without and 100 with a haemorrhage."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DataError, DatasetSpec, Download, Edition, ManifestEntry, Sample, hookimpl

from . import image_folders, label_tables, shipped_manifests
from .image_folders import REPAIR
from .label_tables import and_more

adbench_api: Final = 1

NAME: Final = "head-ct"
HEMORRHAGE: Final = "hemorrhage"
FOLDER: Final = "head_ct"
LABELS: Final = "labels.csv"
COLUMNS: Final = ("id", "hemorrhage")
SUBTYPES: Final[Mapping[str, str]] = {"0": NORMAL, "1": HEMORRHAGE}
"""What the second column says."""
SUFFIX: Final = ".png"
_NUMBER: Final = re.compile("[0-9]{1,6}")


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register Head CT."""
    register(HEAD_CT)


def list_slices(root: Path) -> list[Sample]:
    """One sample for each row of labels.csv, by number."""
    parent = image_folders.outermost(root, lambda folder: (folder / LABELS).is_file())
    if parent is None:
        raise DataError(f"{root} lacks {LABELS}, which holds the labels of {NAME}; {REPAIR}")
    labels = read_labels(parent / LABELS)
    folder = _image_folder(parent)
    images = _images(folder)
    _check_same(parent / LABELS, labels, folder, images)
    return [_slice_sample(root, number, images[number], labels[number]) for number in sorted(labels)]


def read_labels(table: Path) -> dict[int, str]:
    """Subtype of each slice by its number, from labels.csv.

    Raises:
        DataError: naming the file, and the line that can't be understood.
    """
    labels: dict[int, str] = {}
    # The header is "id, hemorrhage", with a space after the comma.
    for where, row in label_tables.read_rows(table, COLUMNS, NAME):
        number, subtype = _parse_row(row, where)
        if number in labels:
            raise DataError(f"{where}: slice {number} has a second row; {REPAIR}")
        labels[number] = subtype
    if not labels:
        raise DataError(f"{table} labels no slice; {REPAIR}")
    return labels


def _parse_row(row: Sequence[str], where: str) -> tuple[int, str]:
    """Number and subtype of one row; ``where`` is the file and line for the error."""
    number, label = row
    if not _is_number(number):
        raise DataError(f"{where}: {number!r} is no number of a slice; {REPAIR}")
    if not label:
        raise DataError(f"{where}: slice {number} has no label; {REPAIR}")
    if label not in SUBTYPES:
        raise DataError(f"{where}: unknown label {label!r}, expected 0 (normal) or 1 ({HEMORRHAGE}); {REPAIR}")
    return int(number), SUBTYPES[label]


def _is_number(text: str) -> bool:
    """Whether the text is digits only, with or without leading zeros: the table has 7 for 007.png."""
    return _NUMBER.fullmatch(text) is not None


def _image_folder(parent: Path) -> Path:
    """head_ct, or the head_ct in it where the images lie one folder deeper, as in Kaggle's archive."""
    folder, nested = parent / FOLDER, parent / FOLDER / FOLDER
    images_are_deeper = nested.is_dir() and not any(path.suffix.lower() == SUFFIX for path in image_folders.entries(folder))
    return nested if images_are_deeper else folder


def _images(folder: Path) -> dict[int, Path]:
    """The images of a folder by their number."""
    images: dict[int, Path] = {}
    for path in image_folders.entries(folder):
        if path.is_dir() and path.name == FOLDER:
            continue  # a second copy
        if path.suffix.lower() != SUFFIX or not _is_number(path.stem) or not path.is_file():
            raise DataError(
                f"{path} is no numbered image such as 000{SUFFIX}, so {LABELS} can't label it; remove it, or {REPAIR}"
            )
        number = int(path.stem)
        if number in images:
            raise DataError(f"{folder} holds two images of slice {number}, {images[number].name} and {path.name}; {REPAIR}")
        images[number] = path
    if not images:
        raise DataError(f"{folder} is empty, but holds the images of {NAME}; {REPAIR}")
    return images


def _check_same(table: Path, labels: Mapping[int, str], folder: Path, images: Mapping[int, Path]) -> None:
    """Raise DataError unless exactly the labelled slices have an image."""
    lost = sorted(labels.keys() - images.keys())
    if lost:
        raise DataError(f"{folder} lacks {lost[0]:03d}{SUFFIX}{and_more(lost)}, listed in {LABELS}; {REPAIR}")
    unlabelled = sorted(images.keys() - labels.keys())
    if unlabelled:
        raise DataError(f"{table} has no label for {images[unlabelled[0]]}{and_more(unlabelled)}; {REPAIR}")


def _slice_sample(root: Path, number: int, path: Path, subtype: str) -> Sample:
    """The sample of a slice; its id is the path in the original, however deep the file lies here."""
    return Sample(
        id=f"{FOLDER}/{number:03d}{SUFFIX}",
        path=path.relative_to(root).as_posix(),
        label=0 if subtype == NORMAL else 1,
        subtype=subtype,
    )


def read_manifest() -> Sequence[ManifestEntry]:
    """Every file of the original with its SHA-256 and size."""
    return shipped_manifests.read_shipped_manifest(NAME)


HEAD_CT: Final = DatasetSpec(
    name=NAME,
    title="Head CT, slices",
    samples=list_slices,
    modality="CT",
    organ="head",
    citation="F. Kitamura (2018): Head CT - hemorrhage. Kaggle.",
    licence="not established; find out for yourself before you share the images or what is made of them",
    source=(
        "Kaggle, felipekitamura/head-ct-hemorrhage (200 PNG images in head_ct and labels.csv). Download it yourself and import the "
        "archive or the unpacked folder."
    ),
    group_rule="unknown: which slices show the same patient is not published",
    expected={NORMAL: 100, HEMORRHAGE: 100},
    url="https://www.kaggle.com/datasets/felipekitamura/head-ct-hemorrhage",
    description=(
        "Slices of various sizes, with and without a haemorrhage. The twelve images with an alpha channel (188-199, opaque) are "
        "all normal, so a reader must not let the channel through; adbench converts every image the same way. 188 and 189 have "
        "the same pixels; both are kept, as published."
    ),
    editions=(Edition("original", read_manifest),),
    downloads=(Download("kaggle:felipekitamura/head-ct-hemorrhage"),),
    split_counts=(80, 20, 100),
)
