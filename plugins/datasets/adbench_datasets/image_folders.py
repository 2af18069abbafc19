"""Folders of images as archives and file managers leave them: wrapped in further folders, beside nested copies and litter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adbench_harness.api import NORMAL, DataError, Sample, is_litter

REPAIR: Final = "import the dataset again from the original archive"
DEPTH: Final = 3
"""How many enclosing folders are looked through; published archives have one or two."""
SHOWN: Final = 5
"""How many names an error lists."""


def entries(folder: Path, repair: str = REPAIR) -> list[Path]:
    """The files and folders directly in a folder, by name, without what operating systems leave there.

    Raises:
        DataError: if it is missing, no folder, or can't be read, or a name in it is no text.
    """
    try:
        found = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"{folder} can't be read ({error.strerror}); {repair}") from None
    kept = [path for path in found if not is_litter(path.name)]
    for path in kept:
        if not _is_text(path.name):
            name = os.fsencode(path.name)
            raise DataError(f"{folder} holds a file whose name is no UTF-8 text, {name!r}; rename or remove it, or {repair}")
    return kept


def _is_text(name: str) -> bool:
    """Whether a file name can be written down: other bytes come as lone surrogates, which no file of results takes."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def outermost(root: Path, is_wanted: Callable[[Path], bool]) -> Path | None:
    """The wanted folder that lies highest: ``root`` or below it; copies further down are not looked at.

    Raises:
        DataError: if two wanted folders lie equally high, so that it is unclear which one is meant.
    """
    level = [root]
    for _ in range(DEPTH + 1):
        wanted = [folder for folder in level if is_wanted(folder)]
        if len(wanted) > 1:
            raise DataError(
                f"{root} holds two copies of the dataset, {wanted[0]} and {wanted[1]}; remove one of them, or {REPAIR}"
            )
        if wanted:
            return wanted[0]
        level = [path for folder in level for path in entries(folder) if path.is_dir()]
    return None


def class_folders(parent: Path, names: Iterable[str]) -> dict[str, Path]:
    """The folders of these names directly in a folder, by the name as it is given here, whatever their case.

    Raises:
        DataError: if two folders differ only in case, or ``parent`` can't be read.
    """
    given = {name.lower(): name for name in names}
    found: dict[str, Path] = {}
    for path in entries(parent):
        name = given.get(path.name.lower())
        if name is None or not path.is_dir():
            continue
        if name in found:
            raise DataError(f"{parent} holds two folders of the class {name}, {found[name].name} and {path.name}; {REPAIR}")
        found[name] = path
    return found


def shown_entries(folder: Path) -> str:
    """What is in a folder, in words for an error: its first few names."""
    there = [f"{path.name}/" if path.is_dir() else path.name for path in entries(folder)]
    return (", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")) or "nothing"


@dataclass(frozen=True)
class LabelledFolders:
    """A dataset that is a folder of images for each class, side by side, below any enclosing folders."""

    dataset: str
    subtypes: Mapping[str, str]
    """Subtype of the images in each class folder by its name in lower case, in the order of the samples."""
    suffixes: frozenset[str]
    """Of the image files, in lower case."""
    ignored: frozenset[str] = frozenset()
    """Folders beside the class folders that no sample comes from, in lower case."""

    def samples(self, root: Path) -> list[Sample]:
        """One sample for each image of the outermost set of class folders: by class, each class by file name."""
        parent = outermost(root, lambda folder: self._folders(folder).keys() == self.subtypes.keys())
        if parent is None:
            raise DataError(self._lacking(root))
        folders = self._folders(parent)
        self._check_all_labelled(parent, folders)
        return [self._sample(root, name, path) for name in self.subtypes for path in self._images(folders[name])]

    def _folders(self, parent: Path) -> dict[str, Path]:
        return class_folders(parent, self.subtypes)

    def _lacking(self, root: Path) -> str:
        """The error where no folder holds all class folders: which are missing, and what is there instead."""
        there = self._folders(root)
        lost = [f"{name}/" for name in self.subtypes if name not in there]
        return f"{root} lacks {' and '.join(lost)}, in which the images of {self.dataset} lie (it holds {shown_entries(root)}); {REPAIR}"

    def _check_all_labelled(self, parent: Path, folders: Mapping[str, Path]) -> None:
        """Raise DataError if images lie beside the class folders, or in another folder there, since their label is unknown."""
        for path in entries(parent):
            if self._is_image(path):
                classes = " or ".join(self.subtypes)
                raise DataError(f"{path} lies in no class folder, so its label is missing; move it to {classes}, or {REPAIR}")
            if not path.is_dir() or path in folders.values() or path.name.lower() in self.ignored:
                continue
            # A nested copy is such a folder too, but holds folders, not images.
            if any(map(self._is_image, entries(path))):
                classes = " and ".join(self.subtypes)
                raise DataError(f"{path} holds images and is none of the classes {classes}; remove it, or {REPAIR}")

    def _is_image(self, path: Path) -> bool:
        """Whether the name is that of an image file."""
        return path.suffix.lower() in self.suffixes and path.is_file()

    def _images(self, folder: Path) -> list[Path]:
        """The images of a class folder, which holds nothing else."""
        found = entries(folder)
        strange = [path for path in found if not self._is_image(path)]
        if strange:
            raise DataError(f"{strange[0]} is no image file ({', '.join(sorted(self.suffixes))}); remove it, or {REPAIR}")
        if not found:
            raise DataError(f"{folder} is empty, but holds a class of {self.dataset}; {REPAIR}")
        return found

    def _sample(self, root: Path, class_name: str, path: Path) -> Sample:
        """The sample of an image; its id is the class and the whole file name, as stems may repeat."""
        subtype = self.subtypes[class_name]
        return Sample(
            id=f"{class_name}/{path.name}",
            path=path.relative_to(root).as_posix(),
            label=0 if subtype == NORMAL else 1,
            subtype=subtype,
        )
