"""Br35H: 3000 slices from Kaggle, a folder for each class, 1500 without and 1500 with a tumour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DatasetSpec, Download, Edition, ManifestEntry, Sample, hookimpl

from . import shipped_manifests
from .image_folders import LabelledFolders

adbench_api: Final = 1

NAME: Final = "br35h"
TUMOR: Final = "tumor"
OTHERS: Final = ("pred", "Br35H-Mask-RCNN")
"""Folders of the original that no sample comes from: unlabelled images, and the tumour images again with outlines.

Many of their images are copies of labelled ones, so the root is never walked recursively.
"""
FOLDERS: Final = LabelledFolders(
    dataset=NAME,
    subtypes={"no": NORMAL, "yes": TUMOR},
    # All are named .jpg; 13 of them are PNG.
    suffixes=frozenset({".jpg", ".jpeg", ".png"}),
    ignored=frozenset(name.lower() for name in OTHERS),
)


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register Br35H."""
    register(BR35H)


def list_slices(root: Path) -> list[Sample]:
    """One sample for each image of the outermost pair of class folders: the normal ones first, each class by file name.

    Names stay as they are: seven have a capital N, such as No12.jpg.
    """
    return FOLDERS.samples(root)


def read_manifest() -> Sequence[ManifestEntry]:
    """The files of the original in no, yes and pred with their SHA-256 and size."""
    return shipped_manifests.read_shipped_manifest(NAME)


BR35H: Final = DatasetSpec(
    name=NAME,
    title="Br35H, slices",
    samples=list_slices,
    modality="MRI",
    organ="brain",
    citation="A. Hamada (2020): Br35H :: Brain Tumor Detection 2020. Kaggle.",
    licence="not established; find out for yourself before you share the images or what is made of them",
    source=(
        "Kaggle, ahmedhamada0/brain-tumor-detection (1500 images in each of the folders no and yes). Download it yourself and import "
        "the archive or the unpacked folder."
    ),
    group_rule="unknown: which slices show the same patient is not published",
    expected={NORMAL: 1500, TUMOR: 1500},
    url="https://www.kaggle.com/datasets/ahmedhamada0/brain-tumor-detection",
    description=(
        "Slices of various sizes, views and sources, with and without a tumour; many are augmented versions of one another. Not "
        "independent of Brain Tumor MRI: 154 of its 155 tumour and 86 of its 98 normal images occur here pixel for pixel. "
        "no355.jpg and no532.jpg are the same file; both are kept, as published."
    ),
    editions=(Edition("original", read_manifest, optional=OTHERS),),
    downloads=(Download("kaggle:ahmedhamada0/brain-tumor-detection"),),
    split_counts=(1200, 300, 1500),
    independent_source="br35h",
)
