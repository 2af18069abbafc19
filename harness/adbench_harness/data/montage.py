"""A few images of each kind of a dataset as one picture, for a look at the data."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from ..api import NORMAL, DataError, FitRules, Sample, hash_order
from ..home import put_in_place
from .decode import decode
from .listing import Listing

COLUMNS: Final = 8
TILE: Final = 128
"""Pixels; images are prepared as for a run."""
GAP: Final = 4
TITLE: Final = 18


def write_montage(listing: Listing, target: Path) -> None:
    """Write a PNG: a row for each subtype, normal first, each with up to eight images in the order of a hash.

    Raises:
        DataError: if an image can't be read, or the file can't be written.
    """
    rows = _rows(listing)
    width = COLUMNS * (TILE + GAP) + GAP
    sheet = Image.new("RGB", (width, len(rows) * (TITLE + TILE + GAP) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (subtype, samples, count) in enumerate(rows):
        top = GAP + number * (TITLE + TILE + GAP)
        draw.text((GAP, top), f"{listing.spec.name}: {subtype} ({count})", fill="black")
        for place, sample in enumerate(samples):
            pixels = decode(listing.root / sample.path, [sample.box], FitRules(image_size=TILE))[0]
            sheet.paste(Image.fromarray(pixels), (GAP + place * (TILE + GAP), top + TITLE))
    try:
        with put_in_place(target) as unfinished:
            sheet.save(unfinished, "PNG")
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from None


def _rows(listing: Listing) -> list[tuple[str, list[Sample], int]]:
    subtypes = sorted({sample.subtype for sample in listing.samples}, key=lambda subtype: (subtype != NORMAL, subtype))
    rows = []
    for subtype in subtypes:
        samples = {sample.id: sample for sample in listing.samples if sample.subtype == subtype}
        chosen = hash_order(list(samples), "montage", listing.spec.name)[:COLUMNS]
        rows.append((subtype, [samples[sample_id] for sample_id in chosen], len(samples)))
    return rows
