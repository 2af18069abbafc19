"""The dataset that is looked at: listed where it lies, and again from a copy elsewhere, whose folders are read backwards."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ..api import DataError, DatasetSpec, Sample
from ..data.decode import read_image
from ..data.decoding import EachFile
from ..data.hashes import hash_files
from ..data.listing import Listing, folder
from ..data.record import ImportRecord, read_record
from ..data.traits import measure
from ..data.verifying import Verification, owner, verify_folder
from ..home import Home
from ..registry import Plugin
from .watch import Watch, watching

COPY_LIMIT: Final = 2**30
"""Bytes that are copied where files can't be linked, which takes no space."""


@dataclass
class DatasetSubject:
    """A dataset and where its files lie."""

    plugin: Plugin[DatasetSpec]
    home: Home
    folder: Path
    """Where the checks may write."""
    watch: Watch | None = None
    """What it did beside its work while it was listed for the first time."""
    copy_limit: int = COPY_LIMIT

    @property
    def spec(self) -> DatasetSpec:
        """The dataset."""
        return self.plugin.spec

    @cached_property
    def root(self) -> Path:
        """The folder of its files. Raises NotImportedError if they are not here."""
        return folder(self.spec, self.home)

    @cached_property
    def given(self) -> Any:
        """What the plugin lists, watched: as a tuple if it can be one; whether these are samples is looked at later."""
        with watching(self.folder, self.home.root / "secret") as watch:
            listed: Any = self.spec.samples(self.root)
            if isinstance(listed, Iterable):
                listed = tuple(listed)
        self.watch = watch
        return listed

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What the plugin lists, known to be samples."""
        listed: tuple[Sample, ...] = self.given
        return listed

    @cached_property
    def elsewhere(self) -> tuple[Sample, ...] | None:
        """What it lists in the copy, whose folders are read backwards; None where there is no copy."""
        if self.copy is None:
            return None
        with folders_backwards():
            return tuple(self.spec.samples(self.copy))

    @cached_property
    def copy(self) -> Path | None:
        """Its files in another folder, made in another order; None if they can't be linked there and are too many to copy."""
        place = self.folder / "copy"
        return place if copy_files(self.root, place, self.copy_limit) else None

    @cached_property
    def listing(self) -> Listing:
        """The samples with the hashes of their files, whatever the harness would say of them. Raises DataError."""
        hashes = hash_files(self.root, (sample.path for sample in self.samples), self.home.hashes)
        return Listing(self.spec, self.root, self.samples, hashes)

    @cached_property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Width and height of each image in pixels, by path; each is decoded, or was before and is the same.

        Raises:
            DataError: naming the files (the first few) that can't be decoded.
        """
        try:
            traits = measure(self.listing, self.home)
        except DataError:  # that a box lies outside its image is another check's to tell
            return image_sizes(self.spec.name, self.root, sorted({sample.path for sample in self.samples}))
        return {sample.path: (traits[sample.id].file_width, traits[sample.id].file_height) for sample in self.samples}

    @cached_property
    def verification(self) -> Verification | None:
        """Its files beside the manifests of the original; None if it states none."""
        own = owner(self.spec)
        return verify_folder(own, self.root, self.home, needed_only=True) if own.editions else None

    @cached_property
    def record(self) -> ImportRecord | None:
        """How its files were taken into the home; None for those that ship with the plugin or are the user's."""
        return None if self.spec.embedded is not None else read_record(owner(self.spec), self.home)

    @property
    def partial(self) -> str | None:
        """How a copy that was taken in as partial differs from the original; None for any other."""
        found, record = self.verification, self.record
        if found is None or found.edition is not None or record is None or not record.partial:
            return None
        return found.comparisons[0].brief()


def image_sizes(dataset: str, root: Path, paths: list[str]) -> dict[str, tuple[int, int]]:
    """Width and height of images in pixels, by path; each is decoded.

    Raises:
        DataError: naming the files (the first few) that can't be.
    """

    def look(path: str) -> tuple[str, tuple[int, int]]:
        return path, read_image(root / path, "L", gray_stays=True).size

    each_file = EachFile(look)
    sizes = dict(each_file(paths))
    each_file.refuse(dataset)
    return sizes


def copy_files(root: Path, place: Path, limit: int) -> bool:
    """Make the files below ``root`` again in ``place``, the last first; False if that would copy more than ``limit`` bytes.

    On one disk the copy's files are other names of the same bytes: who alters one must replace it.
    """
    files, folders = [], []
    for parent, below, names in os.walk(root):
        inside = Path(parent).relative_to(root)
        folders.append(inside)
        # A link to a folder is not walked into; it is made again as a link.
        files += [inside / name for name in (*names, *(name for name in below if (Path(parent) / name).is_symlink()))]
    for path in sorted(folders, reverse=True):
        (place / path).mkdir(parents=True, exist_ok=True)
    left = limit
    for path in sorted(files, reverse=True):
        if not _link(root / path, place / path):
            left -= (root / path).stat().st_size
            if left < 0:
                shutil.rmtree(place)
                return False
            shutil.copy2(root / path, place / path)
    return True


def _link(file: Path, target: Path) -> bool:
    """Give a file a second name; False if it can only be copied."""
    real = file.resolve()
    if not real.is_file():
        target.symlink_to(real)  # a folder; or a broken link, which stays one
        return True
    try:
        os.link(real, target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP):
            return False
        raise
    return True


@contextmanager
def folders_backwards() -> Iterator[None]:
    """Folders are read in the opposite order: what a file system's order decides is seen on any."""
    listed, scanned = os.listdir, os.scandir

    def listdir(path: Any = ".") -> list[Any]:
        return listed(path)[::-1]

    os.listdir = listdir
    os.scandir = lambda path=".": _Backwards(scanned(path))  # type: ignore[assignment]
    try:
        yield
    finally:
        os.listdir, os.scandir = listed, scanned


class _Backwards:
    """What ``os.scandir`` gives, from the last to the first."""

    def __init__(self, entries: Any) -> None:
        with entries:
            self._entries = iter(list(entries)[::-1])

    def __iter__(self) -> Iterator[Any]:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> _Backwards:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        """Nothing is open."""
