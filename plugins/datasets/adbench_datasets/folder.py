"""A folder of one's own: ``normal/`` and ``abnormal/`` with images inside, common formats or DICOM. See docs/own-images.md.

Either ``normal/`` and ``abnormal/``, or, where training and test images are told apart, ``train/normal/``, ``test/normal/`` and
``test/abnormal/``. A sub-folder of ``abnormal/`` is a kind of abnormality and a task of its own; further sub-folders say nothing.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DataError, DatasetSpec, Sample, hookimpl

from . import folder_groups, image_folders

adbench_api: Final = 1

NAME: Final = "folder"
ABNORMAL: Final = "abnormal"
"""The subtype of images that lie directly in ``abnormal/``."""
TAKEN: Final = frozenset({"all", NORMAL, ABNORMAL})
"""No kind of abnormality may be called so: "all" is every dataset's task, the others are subtypes with a meaning."""
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".dcm"})
"""Of image files, in lower case. Under another name, or none, a file is an image if it is DICOM by its content."""
DIRECTORY: Final = "dicomdir"
"""The table of contents of a DICOM medium, in lower case: DICOM by its content, and no image."""
REPAIR: Final = "name another folder"
LONGEST: Final = 40
"""Characters of the folder's name that the dataset's name takes over."""


@dataclass(frozen=True)
class Part:
    """A folder whose place tells the label of the images below it."""

    place: str
    """Relative to the root, with forward slashes."""
    label: int
    official_split: str | None = None


PLAIN: Final = (Part("normal", 0), Part("abnormal", 1))
SPLIT: Final = (Part("train/normal", 0, "train"), Part("test/normal", 0, "test"), Part("test/abnormal", 1, "test"))


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register the dataset."""
    register(FOLDER)


def at(root: Path) -> DatasetSpec:
    """The dataset that a folder is.

    Raises:
        DataError: if there is no such folder, or it has not the sub-folders that it must have.
    """
    kinds = [kind for part in _parts(root) if part.label for kind in _kinds(root, part)]
    own = root if root.name not in ("", "..") else root.resolve()
    return _spec(
        f"{NAME}-{_slug(own.name)}", f"Folder {own.name or own}", list_images, tasks={kind: (kind,) for kind in kinds}, root=root
    )


def list_images(root: Path) -> list[Sample]:
    """One sample for each image, by part of the folder, each part by path.

    Raises:
        DataError: naming what is missing, what is no image, and what leaves the folder.
    """
    found = {part: list(_images(root, root / part.place)) for part in _parts(root)}
    for part, paths in found.items():
        if not paths:
            raise DataError(f"{root / part.place} holds no image; put the {'ab' if part.label else ''}normal images there")
        if part.label:
            _check_kinds_filled(root, part, paths)
    ids = {_id(root, path): path for paths in found.values() for path in paths}
    groups = folder_groups.groups(root, ids)
    return [_sample(root, part, path, groups) for part, paths in found.items() for path in paths]


def _sample(root: Path, part: Part, path: Path, groups: Mapping[str, str | None]) -> Sample:
    sample_id = _id(root, path)
    return Sample(
        id=sample_id,
        path=path.relative_to(root).as_posix(),
        label=part.label,
        subtype=_subtype(root, part, path) if part.label else NORMAL,
        group=groups[sample_id],
        official_split=part.official_split,
    )


def _id(root: Path, path: Path) -> str:
    """The path below the root; composed, as systems differ in how they write an accented letter in a file name."""
    return unicodedata.normalize("NFC", path.relative_to(root).as_posix())


def _subtype(root: Path, part: Part, path: Path) -> str:
    below = path.relative_to(root / part.place).parts
    return unicodedata.normalize("NFC", below[0]) if len(below) > 1 else ABNORMAL


def _parts(root: Path) -> Sequence[Part]:
    """The parts of the layout that the folder has."""
    if not root.is_dir():
        what = "a file, not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {what}; give the folder that holds normal/ and abnormal/")
    there = _entries(root, root)
    parts = SPLIT if any(path.name in ("train", "test") for path in there) else PLAIN
    above = {part.place.partition("/")[0] for part in parts if "/" in part.place}
    for folder in [root, *(path for path in there if path.name in above and path.is_dir())]:
        for path in _entries(root, folder):
            place = path.relative_to(root).as_posix()
            known = place in above or place in {part.place for part in parts}
            if not (known and path.is_dir()) and place != folder_groups.TABLE:
                raise DataError(f"{path} has no place here: images lie in {_words(parts)}; move it or remove it")
    lacking = [part for part in parts if not (root / part.place).is_dir()]
    if lacking:
        raise DataError(f"{root} lacks {_words(lacking)}; put the images into {_words(parts)} there")
    return parts


def _words(parts: Sequence[Part]) -> str:
    *first, last = [f"{part.place}/" for part in parts]
    return f"{', '.join(first)} and {last}" if first else last


def _kinds(root: Path, part: Part) -> list[str]:
    """The kinds of abnormality: the names of the sub-folders."""
    kinds: list[str] = []
    for path in _entries(root, root / part.place):
        if not path.is_dir():
            continue
        kind = unicodedata.normalize("NFC", path.name)
        if kind.casefold() in TAKEN:
            raise DataError(f"{path}: no kind of abnormality can be called {kind!r}; rename the folder, or move its images up")
        kinds.append(kind)
    return kinds


def _check_kinds_filled(root: Path, part: Part, paths: Sequence[Path]) -> None:
    filled = {_subtype(root, part, path) for path in paths}
    for kind in _kinds(root, part):
        if kind not in filled:
            raise DataError(f"{root / part.place / kind} holds no image, but is a kind of abnormality; fill it or remove it")


def _images(root: Path, folder: Path) -> Iterator[Path]:
    """Every image below a folder, which holds nothing else."""
    for path in _entries(root, folder):
        if path.is_dir():
            yield from _images(root, path)
        elif _is_image(path):
            yield path
        else:
            raise DataError(f"{path} is no image ({', '.join(sorted(SUFFIXES))}, or DICOM by its content); remove it")


def _is_image(path: Path) -> bool:
    if not path.is_file():  # a pipe or a device must not even be opened
        return False
    suffix = path.suffix.lower()
    if suffix in SUFFIXES - {".dcm"} or folder_groups.is_readable_dicom(path):
        return True
    if suffix == ".dcm":
        raise DataError(f"{path} is called .dcm and is no DICOM file (no DICM at byte 128); export it again, or remove it")
    return False


def _entries(root: Path, folder: Path) -> list[Path]:
    """The files and folders directly in a folder, by name, without litter; each link checked."""
    kept = [path for path in image_folders.entries(folder, REPAIR) if path.name.lower() != DIRECTORY]
    for path in kept:
        if path.is_symlink():
            _check_link(root, path)
    return kept


def _check_link(root: Path, path: Path) -> None:
    """A link may lead to a file in the folder: what lies elsewhere was not given, and a folder could hold itself."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise DataError(f"{path} is a link that leads nowhere; remove it") from None
    if not target.is_relative_to(root.resolve()):
        raise DataError(f"{path} is a link that leaves the folder {root}; put the file itself there")
    if target.is_dir():
        raise DataError(f"{path} is a link to a folder; put the images themselves there")


def _slug(name: str) -> str:
    """What is plain of a name; its digest if nothing is."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST].strip("-")
    return slug or hashlib.sha256(unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _no_folder(_: Path) -> list[Sample]:
    raise DataError(f"dataset {NAME} is a folder of your own; say which folder: {NAME}:/path")


def _spec(
    name: str,
    title: str,
    samples: Callable[[Path], Sequence[Sample]],
    *,
    tasks: Mapping[str, Sequence[str]] | None = None,
    root: Path | None = None,
) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        samples=samples,
        modality="as given",
        organ="as given",
        citation="None: images of the user's own.",
        licence="The user's own to know; adbench knows nothing of the rights in these images.",
        source=f"A folder of your own, with normal/ and abnormal/ inside; nothing is imported: --dataset {NAME}:/path",
        group_rule=(
            "what groups.csv of the folder says, else the PatientID of a DICOM file, else unknown; only a salted hash of it is kept"
        ),
        tasks=tasks or {},
        description="Normal images in normal/, abnormal ones in abnormal/, there in a sub-folder for each kind if there are several.",
        embedded=root,
        private_groups=True,
        at=at if root is None else None,
    )


FOLDER: Final = _spec(NAME, "A folder of your own", _no_folder)
