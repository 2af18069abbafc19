"""New images as files: found where the user points, and prepared as a run prepared its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..api import DataError, FitRules, is_dicom, is_litter
from ..data.decode import decode

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".dcm"})
"""Of images in a folder, in lower case. Under another name, or none, a file is an image if it is DICOM by its content."""
DIRECTORY: Final = "dicomdir"
"""The table of contents of a DICOM medium, in lower case: DICOM by its content, and no image."""


@dataclass
class Found:
    """Where a user pointed."""

    images: dict[Path, str] = field(default_factory=dict)
    """Files, each with its name below the place that was named; no two have the same."""
    refused: dict[Path, str] = field(default_factory=dict)
    """Places that hold no image, and why not."""
    passed_over: int = 0
    """Files in folders that are no images by their names."""


def find_images(given: Sequence[Path]) -> Found:
    """The files that are named, whatever they are called, and the images in the folders that are named, at any depth.

    One that is named twice is taken once.
    """
    found, known, taken = Found(), set[Path](), set[str]()
    for place in given:
        if place.is_dir():
            images = [path for path in _below(place, found) if _is_image(path, found)]
            if not images:
                found.refused.setdefault(
                    place, f"holds no image; one ends in {', '.join(sorted(SUFFIXES))}, or is DICOM by its content"
                )
        elif place.is_file():
            images = [place]
        else:
            found.refused[place] = "no such file or folder" if not place.exists() else "neither a file nor a folder"
            continue
        for path in images:
            if (absolute := path.absolute()) not in known:
                known.add(absolute)
                found.images[path] = _own(path.relative_to(place).as_posix() if path != place else path.name, taken)
    return found


def read_images(paths: Sequence[Path], rules: FitRules) -> tuple[NDArray[np.uint8], list[Path], dict[Path, str]]:
    """Files prepared as the rules say: pixels (N, size, size, channels), their paths, and what can't be read and why."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        made = list(pool.map(lambda path: _read(path, rules), paths))
    read = [(path, pixels) for path, pixels in zip(paths, made, strict=True) if not isinstance(pixels, str)]
    failed = {path: reason for path, reason in zip(paths, made, strict=True) if isinstance(reason, str)}
    shape = (0, rules.image_size, rules.image_size, 3 if rules.colour == "rgb" else 1)
    pixels = np.stack([one for _, one in read]) if read else np.empty(shape, dtype=np.uint8)
    return pixels, [path for path, _ in read], failed


def _read(path: Path, rules: FitRules) -> NDArray[np.uint8] | str:
    try:
        pixels: NDArray[np.uint8] = decode(path, [None], rules)[0]
    except DataError as error:
        return str(error).removeprefix(f"{path}: ")
    return pixels


def _below(folder: Path, found: Found) -> Iterator[Path]:
    """Files below a folder, in order; links to other folders are not followed."""

    def refuse(error: OSError) -> None:
        found.refused[Path(error.filename)] = error.strerror or str(error)

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not is_litter(name))
        yield from (Path(place, name) for name in sorted(names) if not is_litter(name))


def _is_image(path: Path, found: Found) -> bool:
    try:
        named = path.suffix.lower() in SUFFIXES
        if named and not path.is_file():
            found.refused[path] = "a link that leads to no file"
            return False
        image = path.is_file() and (named or (path.name.lower() != DIRECTORY and is_dicom(path)))
    except OSError as error:
        found.refused[path] = error.strerror or str(error)
        return False
    found.passed_over += not image
    return image


def _own(name: str, taken: set[str]) -> str:
    """The name, or with a number if another file has it."""
    number, own = 1, name
    while own.casefold() in taken:  # some file systems don't tell A from a
        number += 1
        own = f"{name}-{number}"
    taken.add(own.casefold())
    return own
