"""MIAS patches: 119 squares around lesions, and one square of each of the 207 normal films."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, Box, DataError, DatasetSpec, Sample, hookimpl

from . import mias_annotations
from .mias_annotations import Annotation

adbench_api: Final = 1

PATCH_SIZE: Final = 120
"""Edge of a patch in pixels of the film, which is 24 mm."""
OUTSIDE_BREAST: Final = frozenset({"mdb212-1", "mdb214-1"})
"""Lesions whose stated centre lies on the background beside the breast, so their patches hardly show any tissue."""
NORMAL_TABLE: Final = "mias_normal_patches.tsv"


@dataclass(frozen=True)
class NormalPatch:
    """Where the patch of a normal film lies."""

    left: int
    top: int
    lesion: str
    """The lesion patch whose position in the breast it takes over."""

    @property
    def box(self) -> Box:
        """The crop of the film."""
        return Box(self.left, self.top, self.left + PATCH_SIZE, self.top + PATCH_SIZE)


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register the patches of MIAS."""
    register(MIAS_PATCHES)


def list_patches(root: Path) -> list[Sample]:
    """The patches of every film, in the order of Info.txt."""
    films = mias_annotations.read_annotations(root)
    mias_annotations.check_films(root, films)
    normal_patches = read_normal_patches()
    samples: list[Sample] = []
    for film, rows in films.items():
        if rows[0].is_lesion:
            samples += [_lesion_sample(patch_id, lesion) for patch_id, lesion in located_lesions(rows)]
        elif film in normal_patches:
            samples.append(_normal_sample(rows[0], normal_patches[film]))
        else:
            raise DataError(
                f"{root / mias_annotations.INFO} calls {film} normal, but {NORMAL_TABLE} of this package has no patch for it; "
                "import the dataset again from the original archive"
            )
    return samples


def located_lesions(rows: Sequence[Annotation]) -> list[tuple[str, Annotation]]:
    """Patch id and annotation of the lesions of a film whose centre is stated, counted from 1."""
    located = [row for row in rows if row.centre is not None]
    return [(f"{row.film}-{number}", row) for number, row in enumerate(located, start=1)]


def lesion_box(lesion: Annotation) -> Box:
    """The patch around a lesion, shifted where needed to lie fully inside the film."""
    if lesion.centre is None:
        raise ValueError(f"{lesion.film}: this lesion has no centre")
    return mias_annotations.centred_box(*lesion.centre, PATCH_SIZE)


def read_normal_patches() -> Mapping[str, NormalPatch]:
    """The shipped patches of the normal films by film; scripts/place_mias_patches.py states the rule behind them."""
    text = (files(__package__) / NORMAL_TABLE).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {row["film"]: NormalPatch(int(row["left"]), int(row["top"]), row["lesion"]) for row in rows}


def _lesion_sample(patch_id: str, lesion: Annotation) -> Sample:
    """The sample of a lesion patch."""
    if lesion.severity is None or lesion.radius is None:
        raise ValueError(f"{patch_id}: a located lesion has a severity and a radius")
    attributes: dict[str, str | float | int] = {
        "density": lesion.density,
        "lesion_class": lesion.lesion_class,
        "radius": lesion.radius,
        "centre_in_breast": int(patch_id not in OUTSIDE_BREAST),
    }
    return Sample(
        id=patch_id,
        path=mias_annotations.film_path(lesion.film),
        label=1,
        subtype=mias_annotations.SEVERITIES[lesion.severity],
        group=mias_annotations.patient_group(lesion.film),
        box=lesion_box(lesion),
        attributes=attributes,
    )


def _normal_sample(row: Annotation, patch: NormalPatch) -> Sample:
    """The sample of a normal film's patch."""
    return Sample(
        id=row.film,
        path=mias_annotations.film_path(row.film),
        label=0,
        group=mias_annotations.patient_group(row.film),
        box=patch.box,
        attributes={"density": row.density},
    )


MIAS_PATCHES: Final = DatasetSpec(
    name="mias-patches",
    title="MIAS, patches of 120 x 120 pixels",
    samples=list_patches,
    modality="mammography",
    organ="breast",
    citation=mias_annotations.CITATION,
    licence=mias_annotations.LICENCE,
    source=mias_annotations.SOURCE,
    group_rule=mias_annotations.GROUP_RULE,
    expected={NORMAL: 207, "benign": 68, "malignant": 51},
    tasks={"benign": ("benign",), "malignant": ("malignant",)},
    url=mias_annotations.URL,
    description=(
        "A square around each of the 119 lesions whose centre is stated, and one square of each normal film, placed in the "
        "breast as the lesions are."
    ),
    storage="mias",
    # The study counts two abnormal patches fewer than Info.txt locates, and does not say which it left out.
    split_counts=(167, 40, 117),
    independent_source="mias",
)
