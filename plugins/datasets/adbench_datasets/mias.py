"""MIAS: 322 whole mammograms in mediolateral oblique view, 207 of them normal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DatasetSpec, Download, Edition, Sample, hookimpl

from . import mias_annotations
from .mias_annotations import Annotation

adbench_api: Final = 1


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register the whole films of MIAS."""
    register(MIAS)


def list_films(root: Path) -> list[Sample]:
    """One sample for each film, in the order of Info.txt; abnormal if any of its rows is a lesion."""
    films = mias_annotations.read_annotations(root)
    mias_annotations.check_films(root, films)
    return [_film_sample(film, rows) for film, rows in films.items()]


def _film_sample(film: str, rows: Sequence[Annotation]) -> Sample:
    """The sample of a film from its rows."""
    lesions = [row for row in rows if row.is_lesion]
    attributes: dict[str, str | float | int] = {"density": rows[0].density, "lesions": len(lesions)}
    if lesions:
        # max() takes the first of equals, so a film without any radius is described by its first row.
        largest = max(lesions, key=lambda lesion: lesion.radius or 0)
        attributes["lesion_class"] = largest.lesion_class
        if largest.radius is not None:
            attributes["radius"] = largest.radius
    return Sample(
        id=film,
        path=mias_annotations.film_path(film),
        label=1 if lesions else 0,
        subtype=_subtype(lesions),
        group=mias_annotations.patient_group(film),
        attributes=attributes,
    )


def _subtype(lesions: Sequence[Annotation]) -> str:
    """ "benign", "malignant", "benign+malignant" or "normal"."""
    severities = {lesion.severity for lesion in lesions}
    return "+".join(name for code, name in mias_annotations.SEVERITIES.items() if code in severities) or NORMAL


MIAS: Final = DatasetSpec(
    name="mias",
    title="MIAS, whole mammograms",
    samples=list_films,
    modality="mammography",
    organ="breast",
    citation=mias_annotations.CITATION,
    licence=mias_annotations.LICENCE,
    source=mias_annotations.SOURCE,
    group_rule=mias_annotations.GROUP_RULE,
    expected={NORMAL: 207, "benign": 63, "malignant": 51, "benign+malignant": 1},
    tasks=mias_annotations.TASKS,
    url=mias_annotations.URL,
    description=(
        "Digitised screening films of both breasts of 161 women, with the radiologists' lesions as circles. "
        "A film is abnormal if it has a lesion; mdb144 has a benign and a malignant one and counts in both tasks."
    ),
    editions=(Edition("original", mias_annotations.read_manifest),),
    downloads=(Download(mias_annotations.ARCHIVE_URL),),
    split_counts=(167, 40, 115),
    independent_source="mias",
)
