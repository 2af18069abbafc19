"""Write the phantom dataset: synthetic head slices of normal and abnormal patients, lesion masks and a manifest.

    python scripts/make_phantom.py OUTDIR

The same seed gives the same images. Every patient has random numbers of its own, so that one can be made alone.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from phantom_anatomy import Head, Slice, acquire, draw_head, render
from phantom_lesions import CLASSES, KINDS, Finding, Lesion, draw_lesion, insert, vary

Row = dict[str, str | int | float]

SEED: Final = 20230
NORMAL_PATIENTS: Final = 60
ABNORMAL_PATIENTS: Final = 40
LEVELS: Final = 4
"""Slices of a complete head; an abnormal patient has one less, for no lesion reaches everywhere."""
SMALLEST: Final = 6
"""A lesion of fewer pixels would be a label without a lesion."""
COLUMNS: Final = (
    "path", "sha256", "bytes", "label", "subtype", "group", "level", "mask", "mask_sha256", "mask_bytes",
    "area", "diameter", "size", "contrast", "contrast_class",
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One slice, ready to be written."""

    id: str
    group: str
    level: int
    pixels: npt.NDArray[np.uint8]
    lesion: Lesion | None = None
    finding: Finding | None = None


def generator(*key: int) -> np.random.Generator:
    """Return the random numbers that belong to a key."""
    return np.random.Generator(np.random.PCG64([SEED, *key]))


def plan_lesion(number: int, rng: np.random.Generator) -> Lesion:
    """Draw the lesion of an abnormal patient: kinds, classes and sizes are spread evenly."""
    abnormal = number - NORMAL_PATIENTS - 1
    kind, turn = list(KINDS)[abnormal % len(KINDS)], abnormal // len(KINDS)
    per_kind = ABNORMAL_PATIENTS // len(KINDS)
    size = (turn * 3 % per_kind + rng.uniform()) / per_kind  # in steps of 3: every class has all sizes
    return draw_lesion(kind, CLASSES[(turn * len(CLASSES) + 2) // per_kind], size, rng)


def is_inside(lesion: Lesion, finding: Finding) -> bool:
    """Whether enough of the lesion lies in brain to be seen, rather than in a ventricle or in the skull."""
    wanted = SMALLEST if lesion.kind == "calcification" else 0.7 * np.pi * lesion.radius**2
    return float(finding.mask.sum()) >= wanted


def fit_lesion(lesion: Lesion, slices: Mapping[int, Slice], rng: np.random.Generator) -> dict[int, Finding] | None:
    """Put a lesion into all slices of a patient; returns None if it does not fit into one of them."""
    findings = {}
    for level, tissue in slices.items():
        part = vary(lesion, rng)
        findings[level] = insert(tissue, part)
        if not is_inside(part, findings[level]):
            return None
    return findings


def give_lesion(number: int, slices: Mapping[int, Slice], rng: np.random.Generator) -> tuple[Lesion, dict[int, Finding]]:
    """Return the lesion of an abnormal patient and how it looks at each level, drawn anew until it fits."""
    while True:
        lesion = plan_lesion(number, rng)
        findings = fit_lesion(lesion, slices, rng)
        if findings is not None:
            return lesion, findings


def make_patient(number: int) -> list[Picture]:
    """Make all slices of a patient, from the base to the top; patients are numbered from 1, the normal ones first."""
    anatomy, pathology = generator(number), generator(number, 1)
    head = draw_head(anatomy)
    levels = {level: (level - 1 + anatomy.uniform(0.15, 0.85)) / LEVELS for level in range(1, LEVELS + 1)}
    slices = {level: render(head, height) for level, height in levels.items()}
    if number <= NORMAL_PATIENTS:
        return [take(number, level, head, tissue, None, None) for level, tissue in slices.items()]
    del slices[int(pathology.integers(1, LEVELS + 1))]
    lesion, findings = give_lesion(number, slices, pathology)
    return [take(number, level, head, slices[level], lesion, finding) for level, finding in findings.items()]


def take(number: int, level: int, head: Head, tissue: Slice, lesion: Lesion | None, finding: Finding | None) -> Picture:
    """Take the picture of a slice, with the lesion if there is one."""
    pixels = acquire(head, finding.image if finding else tissue.image, generator(number, 2, level))
    return Picture(f"p{number:03d}_s{level}", f"p{number:03d}", level, pixels, lesion, finding)


def patients() -> Iterator[list[Picture]]:
    """Make every patient of the dataset."""
    return (make_patient(number) for number in range(1, NORMAL_PATIENTS + ABNORMAL_PATIENTS + 1))


def size_class(diameter: float) -> str:
    """Return the class of a diameter in pixels."""
    return "small" if diameter < 10 else "medium" if diameter < 20 else "large"


def write_png(pixels: npt.NDArray[np.uint8], path: Path) -> tuple[str, int]:
    """Write pixels as a PNG without metadata; returns the file's hash and size."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest(), len(buffer.getvalue())


def write_picture(picture: Picture, folder: Path) -> Row:
    """Write a picture and its mask; returns its row of the manifest."""
    subtype = picture.lesion.kind if picture.lesion else "normal"
    path = f"{'abnormal' if picture.lesion else 'normal'}/{picture.id}.png"
    digest, size = write_png(picture.pixels, folder / path)
    row: Row = {"path": path, "sha256": digest, "bytes": size, "label": int(picture.lesion is not None), "subtype": subtype}
    return {**row, "group": picture.group, "level": picture.level, **write_lesion(picture, folder)}


def write_lesion(picture: Picture, folder: Path) -> Row:
    """Write the mask of a picture's lesion; returns the manifest's columns about it, none for a normal picture."""
    if picture.lesion is None or picture.finding is None:
        return {}
    mask = f"masks/{picture.id}.png"
    digest, size = write_png(picture.finding.mask.astype(np.uint8) * 255, folder / mask)
    area = int(picture.finding.mask.sum())
    diameter = round(float(np.sqrt(4 * area / np.pi)), 1)
    about: Row = {
        "area": area,
        "diameter": diameter,
        "size": size_class(diameter),
        "contrast": round(picture.finding.contrast, 1),
    }
    return {"mask": mask, "mask_sha256": digest, "mask_bytes": size, **about, "contrast_class": picture.lesion.contrast_class}


def write_manifest(rows: Sequence[Row], path: Path) -> None:
    """Write the table of all pictures."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the dataset into the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write the phantom dataset.")
    parser.add_argument("outdir", type=Path)
    folder: Path = parser.parse_args(arguments).outdir
    rows = [write_picture(picture, folder) for pictures in patients() for picture in pictures]
    write_manifest(rows, folder / "manifest.tsv")
    print(f"{len(rows)} slices in {folder}")


if __name__ == "__main__":
    main()
