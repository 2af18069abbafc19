"""Files of a dataset from wherever a user has them: a tar or zip archive, a folder, or a folder that holds the folder.

Nothing is unpacked by an archive library. Members are read one by one and written by us, under names that were checked, so an
archive can't write outside its place, make links, or fill the disk.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from ..api import ArchiveError, DataError

DAMAGED: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)
"""What the archive libraries raise for archives that are broken, encrypted or packed by an unknown method."""
LARGEST_MEMBER: Final = 1 << 30
"""Bytes; no image or table of the supported kind comes near."""


@dataclass(frozen=True)
class Member:
    """One regular file of a source."""

    path: PurePosixPath
    size: int
    """Bytes."""
    stream: IO[bytes]


@contextmanager
def members(source: Path) -> Iterator[Iterator[Member]]:
    """The regular files of an archive or a folder, one after another; each stream is valid until the next is asked for.

    Raises:
        DataError: if the source is missing, or is neither archive nor folder, or is damaged.
        ArchiveError: naming the member that must not be unpacked.
    """
    try:
        if source.is_dir():
            yield _folder_members(source)
        elif not source.is_file():
            raise DataError(f"{source}: no such file or folder")
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                yield _tar_members(tar, source)
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                yield _zip_members(archive, source)
        else:
            raise DataError(f"{source}: neither a folder nor a tar or zip archive that can be read")
    except DAMAGED as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise DataError(f"{error.filename}: {error.strerror}") from None
        raise DataError(f"{source}: damaged archive: {error}") from None


def _folder_members(source: Path) -> Iterator[Member]:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                yield Member(PurePosixPath(path.relative_to(source).as_posix()), path.stat().st_size, stream)


def _tar_members(tar: tarfile.TarFile, source: Path) -> Iterator[Member]:
    for info in tar:
        path = _safe(info.name, source)
        if info.isdir():
            continue
        if not info.isfile():
            raise ArchiveError(f"{source}: member {info.name!r} is a link or a device, refused")
        stream = tar.extractfile(info)
        assert stream is not None  # it is a regular file
        yield Member(path, _bounded(info.name, info.size, source), stream)


def _zip_members(archive: zipfile.ZipFile, source: Path) -> Iterator[Member]:
    for info in archive.infolist():
        path = _safe(info.filename, source)
        if info.is_dir():
            continue
        if (info.external_attr >> 16) & 0o170000 == 0o120000:
            raise ArchiveError(f"{source}: member {info.filename!r} is a link, refused")
        if info.flag_bits & 1:
            raise ArchiveError(f"{source}: member {info.filename!r} is encrypted; unpack it yourself and import the folder")
        with archive.open(info) as stream:
            yield Member(path, _bounded(info.filename, info.file_size, source), stream)


def _safe(name: str, source: Path) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1] or (path.parts and path.parts[0].endswith(":")):
        raise ArchiveError(f"{source}: member {name!r} points outside the archive, refused; nothing was imported")
    return path


def _bounded(name: str, size: int, source: Path) -> int:
    if size > LARGEST_MEMBER:
        raise ArchiveError(f"{source}: member {name!r} would unpack to {size:,} bytes, refused")
    return size
