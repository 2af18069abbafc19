"""What is measured on each picture for the audit: digests, perceptual hashes, a thumbnail, and trivial features.

Measured once a file content and crop, in parallel, and kept in the home as one table a dataset; an entry that is missing or
damaged is measured again. Decoded images are never held but one a thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from ..api import Box, Sample, is_dicom
from ..home import Home, put_in_place
from ..protocol import digest
from .decode import crop, decoders, read_image
from .decoding import EachFile, Progress
from .listing import Listing

FORMAT: Final = 1
"""Raise it when the same picture is measured differently."""
HASH_SIDE: Final = 16
HASH_BITS: Final = HASH_SIDE * HASH_SIDE
SMALL_SIDE: Final = 64
"""imagehash looks at a picture of four times the side of its hash."""
THUMBNAIL_SIDE: Final = 32
BORDER: Final = 0.02
"""Width of the outermost frame, as a part of the shorter side."""
FILES_A_BATCH: Final = 4096
"""Files measured between two writes of the table: what a kill can lose."""
ORIENTATIONS: Final = (
    "as it is",
    "turned left by 90 degrees",
    "turned by 180 degrees",
    "turned right by 90 degrees",
    "mirrored left to right",
    "mirrored at the main diagonal",
    "mirrored top to bottom",
    "mirrored at the other diagonal",
)
"""What ``oriented`` makes of a picture, in its order."""


@dataclass(frozen=True)
class Traits:
    """What was measured on one sample's picture: the crop, or the whole file where there is none."""

    sha256: str
    """Of the file."""
    pixels: str
    """Digest of the picture's size and RGB pixels at full resolution, after EXIF rotation; 32 hex digits."""
    hashes: bytes
    """Perceptual hashes of the picture in the eight orientations: 8 x 32 bytes, 256 bits each."""
    thumbnail: bytes
    """32 x 32 uint8, gray, row by row."""
    width: int
    """Of the picture, in pixels."""
    height: int
    file_width: int
    """Of the file's whole image, in pixels."""
    file_height: int
    mode: str
    """Pillow's name of the pixel format in the file, such as RGB, RGBA, L; or DICOM."""
    format: str
    """Pillow's name of the file format, by content."""
    file_bytes: int
    """Size of the file."""
    alpha: bool
    """Whether the file states transparency, used or not."""
    coloured: bool
    """Whether any RGB pixel of the picture is not gray."""
    brightness: float
    """Mean of the gray picture, 0 to 255."""
    border_brightness: float
    """Mean over the outermost frame, 2 % of the shorter side and at least one pixel wide."""


def oriented(square: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The eight flips and right-angle rotations of a square picture (N, N), in the order of ``ORIENTATIONS``."""
    return [np.rot90(side, turns) for side in (square, square[:, ::-1]) for turns in range(4)]


def measure(listing: Listing, home: Home, progress: Progress | None = None) -> dict[str, Traits]:
    """Traits of every sample, by sample id, from the home's memo or measured now.

    Raises:
        DataError: naming each file that is missing or corrupt (the first few), with its dataset.
    """
    place = home.root / "cache" / "traits" / f"{listing.spec.name}-{digest(_method(listing))}.parquet"
    keys = {sample.id: _key(listing, sample) for sample in listing.samples}
    wanted = set(keys.values())
    known = {key: traits for key, traits in _read(place).items() if key in wanted}
    by_file: dict[str, dict[str, Sample]] = {}
    for sample in listing.samples:
        if keys[sample.id] not in known:
            by_file.setdefault(listing.hashes[sample.path], {}).setdefault(keys[sample.id], sample)

    def work(samples: Mapping[str, Sample]) -> dict[str, Traits]:
        first = next(iter(samples.values()))
        found = measure_file(listing.root / first.path, listing.hashes[first.path], [s.box for s in samples.values()])
        return dict(zip(samples, found, strict=True))

    each_file = EachFile(work)
    files = list(by_file.values())
    for start in range(0, len(files), FILES_A_BATCH):
        for found in each_file(files[start : start + FILES_A_BATCH]):
            known.update(found)
            if progress is not None:
                progress(len(known), len(wanted))
        _write(place, known)
    each_file.refuse(listing.spec.name)
    return {sample_id: known[key] for sample_id, key in keys.items()}


def _method(listing: Listing) -> list[object]:
    """Everything but the file and the crop that decides what is measured."""
    return [FORMAT, decoders(listing.root / sample.path for sample in listing.samples), hash_version()]


def hash_version() -> str:
    """Version of the library that takes the perceptual hashes."""
    return version("imagehash")


def _key(listing: Listing, sample: Sample) -> str:
    box = sample.box
    crop = f"{box.left},{box.top},{box.right},{box.bottom}" if box else ""
    return f"{listing.hashes[sample.path]}:{crop}"


def measure_file(path: Path, sha256: str, boxes: Sequence[Box | None]) -> list[Traits]:
    """Traits of each crop of one file, which is decoded once.

    Raises:
        DataError: naming the file, if it is missing, corrupt, or a crop lies outside it.
    """
    image = read_image(path, "RGB")
    size, stored = path.stat().st_size, _as_stored(path)
    facts = {"sha256": sha256, "file_bytes": size, "file_width": image.width, "file_height": image.height, **stored}
    return [_of_picture(crop(image, box, path), facts) for box in boxes]


def _as_stored(path: Path) -> dict[str, str | bool]:
    """What the file's header says, before any conversion."""
    if is_dicom(path):
        return {"mode": "DICOM", "format": "DICOM", "alpha": False}
    with Image.open(path) as opened:
        return {"mode": opened.mode, "format": opened.format or "", "alpha": opened.has_transparency_data}


def _of_picture(picture: Image.Image, facts: Mapping[str, object]) -> Traits:
    rgb, gray = np.asarray(picture), picture.convert("L")
    content = hashlib.sha256(f"{picture.width}x{picture.height}:".encode())
    content.update(rgb.tobytes())
    small = np.asarray(gray.resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.LANCZOS))
    measured = {
        "pixels": content.hexdigest()[:32],
        "hashes": b"".join(_hash(side) for side in oriented(small)),
        "thumbnail": gray.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes(),
        "width": picture.width,
        "height": picture.height,
        "coloured": bool((rgb[..., 0] != rgb[..., 1]).any() or (rgb[..., 1] != rgb[..., 2]).any()),
        "brightness": float(np.asarray(gray).mean()),
        "border_brightness": _border_mean(np.asarray(gray)),
    }
    return Traits(**{**facts, **measured})  # type: ignore[arg-type]


def _hash(side: NDArray[np.uint8]) -> bytes:
    import imagehash  # costs as much as the rest of a command, and few commands need it

    bits = imagehash.phash(Image.fromarray(np.ascontiguousarray(side)), hash_size=HASH_SIDE).hash
    return np.packbits(bits).tobytes()


def _border_mean(gray: NDArray[np.uint8]) -> float:
    wide = max(1, round(BORDER * min(gray.shape)))
    inner = gray[wide:-wide, wide:-wide]
    outside = gray.size - inner.size
    return float((gray.sum(dtype=np.int64) - inner.sum(dtype=np.int64)) / outside)


@cache
def _schema() -> pa.Schema:
    kinds = {"str": pa.string(), "bytes": pa.binary(), "int": pa.int64(), "bool": pa.bool_(), "float": pa.float64()}
    columns = [pa.field(field.name, kinds[str(field.type)], nullable=False) for field in fields(Traits)]
    return pa.schema([pa.field("key", pa.string(), nullable=False), *columns])


def _read(place: Path) -> dict[str, Traits]:
    """The memo by key; empty if it is missing or damaged."""
    try:
        table = pq.read_table(place)
        if not table.schema.equals(_schema()):
            return {}
        return {row.pop("key"): Traits(**row) for batch in table.to_batches(max_chunksize=4096) for row in batch.to_pylist()}
    except (OSError, ValueError, pa.ArrowException):
        return {}


def _write(place: Path, known: Mapping[str, Traits]) -> None:
    """Best effort: a memo that can't be kept costs time, not correctness."""
    columns = {field.name: [getattr(traits, field.name) for traits in known.values()] for field in fields(Traits)}
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with put_in_place(place) as unfinished:
            pq.write_table(pa.table({"key": list(known), **columns}, schema=_schema()), unfinished)
