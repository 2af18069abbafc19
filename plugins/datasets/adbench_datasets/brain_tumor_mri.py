"""Brain Tumor MRI: 253 slices from Kaggle, a folder for each class, 98 without and 155 with a tumour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DatasetSpec, Download, Edition, ManifestEntry, Sample, hookimpl

from . import shipped_manifests
from .image_folders import LabelledFolders

adbench_api: Final = 1

NAME: Final = "brain-tumor-mri"
TUMOR: Final = "tumor"
FOLDERS: Final = LabelledFolders(
    dataset=NAME,
    subtypes={"no": NORMAL, "yes": TUMOR},
    # They don't tell the format: six files named .jpg are PNG.
    suffixes=frozenset({".jpg", ".jpeg", ".png"}),
)


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register Brain Tumor MRI."""
    register(BRAIN_TUMOR_MRI)


def list_slices(root: Path) -> list[Sample]:
    """One sample for each image of the outermost pair of class folders: the normal ones first, each class by file name.

    An id keeps the extension, as Y92.jpg and Y92.png are two images.
    """
    return FOLDERS.samples(root)


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
    downloads=(Download("kaggle:navoneel/brain-mri-images-for-brain-tumor-detection"),),
    split_counts=(80, 18, 155),
    independent_source="br35h",
)
