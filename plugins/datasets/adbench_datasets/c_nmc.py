"""C-NMC: single cells of blood smears, normal and leukaemic, in three training folds and a test folder with a table of labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DataError, DatasetSpec, Download, Edition, ManifestEntry, Sample, hookimpl

from . import image_folders, label_tables, shipped_manifests
from .image_folders import REPAIR
from .label_tables import and_more

adbench_api: Final = 1

NAME: Final = "c-nmc"
LEUKEMIA: Final = "leukemia"
"""The source calls it ALL (acute lymphoblastic leukaemia), but "all" is the name of a task of every dataset."""
TRAINING: Final = "training_data"
VALIDATION: Final = "validation_data"
UNLABELLED: Final = "testing_data"
FOLDS: Final[Mapping[str, int]] = {f"fold_{fold}": fold for fold in range(3)}
TEST: Final = "C-NMC_test_prelim_phase_data"
LABELS: Final = f"{TEST}_labels.csv"
COLUMNS: Final = ("Patient_ID", "new_names", "labels")
CLASSES: Final[Mapping[str, str]] = {"hem": NORMAL, "all": LEUKEMIA}
"""Subtype of the images in each class folder, normal first."""
LABEL_SUBTYPES: Final[Mapping[str, str]] = {"0": NORMAL, "1": LEUKEMIA}
"""What the third column says."""
_CELL: Final = re.compile(r"UID_([Hh]?[0-9]+)_[0-9]+_[0-9]+_(hem|all)\.bmp")
_NUMBERED: Final = re.compile(r"[0-9]+\.bmp")


@dataclass(frozen=True)
class LabelledCell:
    """What the table says of a test image."""

    patient: str
    subtype: str


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register C-NMC."""
    register(C_NMC)


def list_cells(root: Path) -> list[Sample]:
    """One sample for each image: the training images by fold, class and name, then the test images by number."""
    parent = image_folders.outermost(root, lambda folder: len(image_folders.class_folders(folder, (TRAINING, VALIDATION))) == 2)
    if parent is None:
        there = image_folders.class_folders(root, (TRAINING, VALIDATION))
        lost = " and ".join(f"{name}/" for name in (TRAINING, VALIDATION) if name not in there)
        raise DataError(
            f"{root} lacks {lost}, in which the images of {NAME} lie (it holds {image_folders.shown_entries(root)}); {REPAIR}"
        )
    folders = image_folders.class_folders(parent, (TRAINING, VALIDATION))
    return [*_training_samples(root, folders[TRAINING]), *_test_samples(root, folders[VALIDATION])]


def _training_samples(root: Path, training: Path) -> list[Sample]:
    """The samples of the three folds."""
    folds = image_folders.class_folders(training, FOLDS)
    for path in image_folders.entries(training):
        if path.is_dir() and path not in folds.values():
            raise DataError(f"{path} is none of the folds {', '.join(FOLDS)}; remove it, or {REPAIR}")
    lost = [f"{name}/" for name in FOLDS if name not in folds]
    if lost:
        raise DataError(f"{training} lacks {' and '.join(lost)}, which holds a fold of the training images of {NAME}; {REPAIR}")
    images = {fold: _fold_images(folds[fold]) for fold in FOLDS}
    for name in CLASSES:
        if not any(images[fold][name] for fold in FOLDS):
            raise DataError(f"{training} has no folder {name}/ in any fold, which holds a class of {NAME}; {REPAIR}")
    return [
        _training_sample(root, fold, class_name, path)
        for fold in FOLDS
        for class_name in CLASSES
        for path in images[fold][class_name].values()
    ]


def _levels(folder: Path) -> list[Path]:
    """A folder, and the one of the same name in it if there is one: some archives nest them."""
    return [folder, *image_folders.class_folders(folder, (folder.name,)).values()]


def _fold_images(fold: Path) -> dict[str, dict[str, Path]]:
    """The images of a fold by class and name; a small copy may have one class only."""
    images: dict[str, dict[str, Path]] = {name: {} for name in CLASSES}
    levels = _levels(fold)
    for level in levels:
        classes = image_folders.class_folders(level, CLASSES)
        for path in image_folders.entries(level):
            if path not in classes.values() and path not in levels:
                raise DataError(f"{path} is none of the classes {' and '.join(CLASSES)}; remove it, or {REPAIR}")
        for name, folder in classes.items():
            found = image_folders.entries(folder)
            if not found:
                raise DataError(f"{folder} is empty, but holds a class of {NAME}; {REPAIR}")
            _add(images[name], found, fold)
    if not any(images.values()):
        raise DataError(f"{fold} lacks {' and '.join(f'{name}/' for name in CLASSES)}, which hold the images of {NAME}; {REPAIR}")
    return images


def _add(images: dict[str, Path], found: Sequence[Path], folder: Path) -> None:
    """Add images by name; raise DataError if a name was there before."""
    for path in found:
        if path.name in images:
            raise DataError(
                f"{folder} holds two images of one id, {images[path.name]} and {path}; remove one of them, or {REPAIR}"
            )
        images[path.name] = path


def _training_sample(root: Path, fold: str, class_name: str, path: Path) -> Sample:
    """The sample of a training image; its id is the path in the original, however deep the file lies here."""
    match = _CELL.fullmatch(path.name)
    if match is None or not path.is_file():
        raise DataError(
            f"{path} is no image named UID_PATIENT_IMAGE_CELL_CLASS.bmp, such as UID_57_29_1_all.bmp; remove it, or {REPAIR}"
        )
    if match[2] != class_name:
        raise DataError(f"{path} is named as an image of {match[2]} and lies among those of {class_name}; {REPAIR}")
    subtype = CLASSES[class_name]
    return Sample(
        id=f"{TRAINING}/{fold}/{class_name}/{path.name}",
        path=path.relative_to(root).as_posix(),
        label=0 if subtype == NORMAL else 1,
        subtype=subtype,
        group=patient_group(match[1]),
        official_split="train",
        attributes={"fold": FOLDS[fold]},
    )


def patient_group(patient: str) -> str:
    """The patient as written in a file name, with a capital H: h3 is H3, a healthy person; 3 is another, with leukaemia."""
    return patient.upper()


def _test_samples(root: Path, validation: Path) -> list[Sample]:
    """The samples of the preliminary phase's test set, whose files are numbered and have their label in the table."""
    outer = image_folders.class_folders(validation, (TEST,)).get(TEST)
    if outer is None:
        raise DataError(f"{validation} lacks {TEST}/, in which the test images of {NAME} lie; {REPAIR}")
    table = _find_table([validation, *_levels(outer)])
    images = _test_images(outer)
    cells = read_labels(table)
    lost, unlabelled = (sorted(names, key=_number) for names in (cells.keys() - images.keys(), images.keys() - cells.keys()))
    if lost:
        raise DataError(f"{outer} lacks {lost[0]}{and_more(lost)}, listed in {table}; {REPAIR}")
    if unlabelled:
        raise DataError(f"{table} has no label for {images[unlabelled[0]]}{and_more(unlabelled)}; {REPAIR}")
    return [_test_sample(root, name, images[name], cells[name]) for name in sorted(images, key=_number)]


def _find_table(folders: Sequence[Path]) -> Path:
    """The table of labels, which lies beside the folder of the test images or inside it."""
    for folder in folders:
        if (folder / LABELS).is_file():
            return folder / LABELS
    raise DataError(f"{folders[0]} lacks {LABELS}, which holds the labels of the test images of {NAME}; {REPAIR}")


def _test_images(outer: Path) -> dict[str, Path]:
    """The test images by name."""
    images: dict[str, Path] = {}
    levels = _levels(outer)
    for level in levels:
        found = [path for path in image_folders.entries(level) if path not in levels and path.name != LABELS]
        for path in found:
            if not _NUMBERED.fullmatch(path.name) or not path.is_file():
                raise DataError(f"{path} is no numbered image such as 1.bmp, so {LABELS} can't label it; remove it, or {REPAIR}")
        _add(images, found, outer)
    if not images:
        raise DataError(f"{outer} is empty, but holds the test images of {NAME}; {REPAIR}")
    return images


def _number(name: str) -> tuple[int, str]:
    """For sorting 2.bmp before 10.bmp; a text of digits without leading zeros is greater if it is longer."""
    return len(name), name


def read_labels(table: Path) -> dict[str, LabelledCell]:
    """Patient and subtype of each test image by its name, from the table of labels.

    Raises:
        DataError: naming the file, and the line that can't be understood.
    """
    cells: dict[str, LabelledCell] = {}
    for where, row in label_tables.read_rows(table, COLUMNS, NAME):
        name, cell = _parse_row(row, where)
        if name in cells:
            raise DataError(f"{where}: {name} has a second row; {REPAIR}")
        cells[name] = cell
    if not cells:
        raise DataError(f"{table} labels no image; {REPAIR}")
    return cells


def _parse_row(row: Sequence[str], where: str) -> tuple[str, LabelledCell]:
    """Name and facts of one row; ``where`` is the file and line for the error. The label counts, not the original name's class."""
    original, name, label = row
    match = _CELL.fullmatch(original)
    if match is None:
        raise DataError(f"{where}: {original!r} is no name such as UID_57_29_1_all.bmp, which tells the patient; {REPAIR}")
    if not _NUMBERED.fullmatch(name):
        raise DataError(f"{where}: {name!r} is no name of a numbered image such as 1.bmp; {REPAIR}")
    if label not in LABEL_SUBTYPES:
        raise DataError(f"{where}: unknown label {label!r} of {name}, expected 0 (normal) or 1 ({LEUKEMIA}); {REPAIR}")
    return name, LabelledCell(patient_group(match[1]), LABEL_SUBTYPES[label])


def _test_sample(root: Path, name: str, path: Path, cell: LabelledCell) -> Sample:
    """The sample of a test image; its id is the path in the original, however deep the file lies here."""
    return Sample(
        id=f"{VALIDATION}/{TEST}/{name}",
        path=path.relative_to(root).as_posix(),
        label=0 if cell.subtype == NORMAL else 1,
        subtype=cell.subtype,
        group=cell.patient,
        official_split="test",
    )


def read_manifest() -> Sequence[ManifestEntry]:
    """Every file of the original with its SHA-256 and size."""
    return shipped_manifests.read_shipped_manifest(NAME)


C_NMC: Final = DatasetSpec(
    name=NAME,
    title="C-NMC, single cells",
    samples=list_cells,
    modality="microscopy",
    organ="blood",
    citation=(
        "A. Gupta, R. Gupta (2019): ALL Challenge dataset of ISBI 2019 (C-NMC 2019). The Cancer Imaging Archive, "
        "doi:10.7937/tcia.2019.dc64i46r."
    ),
    licence="CC BY 3.0 by a third party's word; find out for yourself before you share the images or what is made of them",
    source=(
        "Kaggle, andrewmvd/leukemia-classification (training_data, validation_data and testing_data), a copy of the data of The "
        "Cancer Imaging Archive. Download it yourself and import the archive or the unpacked folder."
    ),
    group_rule="one patient: the number after UID_ in the original file name, with an H for a healthy person (H3 and 3 are two people)",
    expected={NORMAL: 3389 + 648, LEUKEMIA: 7272 + 1219},
    url="https://doi.org/10.7937/tcia.2019.dc64i46r",
    description=(
        "Segmented white blood cells on black, 450 x 450 pixels: normal ones, and blasts of acute lymphoblastic leukaemia. The test "
        "images are those of the challenge's preliminary phase, as the final phase's labels are not published. The 3389 normal "
        "training images come from 26 people. 104 pairs of training images are byte for byte the same, 99 of them under two patients' "
        "numbers; all are kept, as published."
    ),
    editions=(Edition("original", read_manifest, optional=(UNLABELLED,)),),
    downloads=(Download("kaggle:andrewmvd/leukemia-classification"),),
    split_counts=(3389, 648, 1219),
)
