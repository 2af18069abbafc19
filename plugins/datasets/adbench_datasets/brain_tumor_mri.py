"""Brain Tumor MRI: 253 slices from Kaggle, a folder for each class, 98 without and 155 with a tumour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DataError, DatasetSpec, Edition, ManifestEntry, Sample, hookimpl

from . import image_folders, shipped_manifests
from .image_folders import REPAIR

adbench_api: Final = 1

NAME: Final = "brain-tumor-mri"
TUMOR: Final = "tumor"
SUBTYPES: Final[Mapping[str, str]] = {"no": NORMAL, "yes": TUMOR}
"""Subtype of the images in each class folder, normal first."""
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})
"""Of the image files, in lower case. They don't tell the format: six files named .jpg are PNG."""
SHOWN: Final = 5
"""How many names an error lists."""


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register Brain Tumor MRI."""
    register(BRAIN_TUMOR_MRI)


def list_slices(root: Path) -> list[Sample]:
    """One sample for each image of the outermost pair of class folders: the normal ones first, each class by file name."""
    parent = image_folders.outermost(root, lambda folder: _class_folders(folder).keys() == SUBTYPES.keys())
    if parent is None:
        raise DataError(_lacking(root))
    folders = _class_folders(parent)
    _check_all_labelled(parent, folders)
    return [_slice_sample(root, name, path) for name in SUBTYPES for path in _images(folders[name])]


def _class_folders(parent: Path) -> dict[str, Path]:
    """The class folders directly in a folder by their name in lower case."""
    found: dict[str, Path] = {}
    for path in image_folders.entries(parent):
        name = path.name.lower()
        if name not in SUBTYPES or not path.is_dir():
            continue
        if name in found:
            raise DataError(f"{parent} holds two folders of the class {name}, {found[name].name} and {path.name}; {REPAIR}")
        found[name] = path
    return found


def _lacking(root: Path) -> str:
    """The error where no folder holds both class folders: which are missing, and what is there instead."""
    lost = [f"{name}/" for name in SUBTYPES if name not in _class_folders(root)]
    there = [f"{path.name}/" if path.is_dir() else path.name for path in image_folders.entries(root)]
    shown = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")
    return f"{root} lacks {' and '.join(lost)}, in which the images of {NAME} lie (it holds {shown or 'nothing'}); {REPAIR}"


def _check_all_labelled(parent: Path, folders: Mapping[str, Path]) -> None:
    """Raise DataError if images lie beside the class folders, or in another folder there, since their label is unknown."""
    for path in image_folders.entries(parent):
        if _is_image(path):
            raise DataError(f"{path} lies in no class folder, so its label is missing; move it to no or yes, or {REPAIR}")
        # Kaggle's nested copy is such a folder too, but holds folders, not images.
        if path.is_dir() and path not in folders.values() and any(map(_is_image, image_folders.entries(path))):
            raise DataError(f"{path} holds images and is none of the classes no and yes; remove it, or {REPAIR}")


def _is_image(path: Path) -> bool:
    """Whether the name is that of an image file."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _images(folder: Path) -> list[Path]:
    """The images of a class folder, which holds nothing else."""
    found = image_folders.entries(folder)
    strange = [path for path in found if not _is_image(path)]
    if strange:
        raise DataError(f"{strange[0]} is no image file ({', '.join(sorted(SUFFIXES))}); remove it, or {REPAIR}")
    if not found:
        raise DataError(f"{folder} is empty, but holds a class of {NAME}; {REPAIR}")
    return found


def _slice_sample(root: Path, class_name: str, path: Path) -> Sample:
    """The sample of an image; its id keeps the extension, as Y92.jpg and Y92.png are two images."""
    subtype = SUBTYPES[class_name]
    return Sample(
        id=f"{class_name}/{path.name}",
        path=path.relative_to(root).as_posix(),
        label=0 if subtype == NORMAL else 1,
        subtype=subtype,
    )


def read_manifest() -> Sequence[ManifestEntry]:
    """Every image of the original with its SHA-256 and size."""
    return shipped_manifests.read_shipped_manifest(NAME)


BRAIN_TUMOR_MRI: Final = DatasetSpec(
    name=NAME,
    title="Brain Tumor MRI, slices",
    samples=list_slices,
    modality="MRI",
    organ="brain",
    citation="N. Chakrabarty (2019): Brain MRI Images for Brain Tumor Detection. Kaggle.",
    licence="not established; find out for yourself before you share the images or what is made of them",
    source=(
        "Kaggle, navoneel/brain-mri-images-for-brain-tumor-detection (253 images in the folders no and yes). Download it yourself "
        "and import the archive or the unpacked folder."
    ),
    group_rule="unknown: which slices show the same patient is not published",
    expected={NORMAL: 98, TUMOR: 155},
    url="https://www.kaggle.com/datasets/navoneel/brain-mri-images-for-brain-tumor-detection",
    description=(
        "Slices of various sizes, views and sources, with and without a tumour. Not independent of Br35H: 154 of the 155 tumour "
        "and 86 of the 98 normal images occur in it pixel for pixel. 22 groups of files are byte for byte the same (25 files more "
        "than needed, none across classes); all are kept, as published, so a normal test image may be a copy of a training image."
    ),
    editions=(Edition("original", read_manifest),),
)
