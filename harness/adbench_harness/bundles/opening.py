"""A bundle that somebody sent, read with care: looked at as a whole before anything in it is believed, and never unpacked to a disk."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from ..api import ArchiveError, DataError
from .form import INDEX, LARGEST, SIGNATURE, Entry, Index, printable, read_index

DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, UnicodeError)
"""What the zip library raises for archives that are broken or made by hand."""
CHUNK: Final = 1 << 20
REFUSED: Final = "refused; nothing was imported"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are all there, are no others, and are those that its index names."""

    path: Path
    sha256: str
    index: Index
    index_content: bytes
    """What a signature is of."""
    signature: bytes | None
    archive: zipfile.ZipFile

    def has(self, run_id: str, name: str) -> bool:
        """Whether a run has a file of that name."""
        return name in self.index.of(run_id)

    def read(self, run_id: str, name: str) -> bytes:
        """Content of a run's file. Raises DataError if it is not what the index names."""
        path = f"runs/{run_id}/{name}"
        with _damage_named(self.path):
            content = self.archive.read(path)
        if hashlib.sha256(content).hexdigest() != self.index.files[path].sha256:
            raise DataError(f"{self.path}: {path} is not the file that was exported; ask the sender for the bundle again")
        return content


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a bundle and look it over: no member but plain, uncompressed files that its index names, each of the hash it states.

    Raises:
        DataError: if it is missing, damaged or cut off, or a file is missing or altered.
        ArchiveError: naming a member that must not be there.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with ExitStack() as stack:
        with _damage_named(path):
            stream = stack.enter_context(path.open("rb"))
            bundle = _looked_over(path, stream, stack.enter_context(zipfile.ZipFile(stream)))
        yield bundle


def _looked_over(path: Path, stream: BufferedReader, archive: zipfile.ZipFile) -> Bundle:
    members = _members(archive, path.stat().st_size, path)
    content = _small(archive, members, INDEX, path)
    if content is None:
        raise DataError(f"{path}: has no {INDEX}, so it is no bundle of adbench")
    index = read_index(content, str(path))
    signature = _small(archive, members, SIGNATURE, path)
    _check_names(index, members, path)
    for name, entry in index.files.items():
        _check_file(archive, members[name], entry, path)
    stream.seek(0)
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return Bundle(path, sha256, index, content, signature, archive)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise DataError(f"{path}: damaged, cut off or no bundle ({printable(str(error))}); get it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _members(archive: zipfile.ZipFile, size: int, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Members by name, if all are plain files as they are: then none is larger than the archive, and all together are not."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        what, kind = f"{path}: member {printable(info.filename)!r}", stat.S_IFMT(info.external_attr >> 16)
        if info.filename in found:
            raise ArchiveError(f"{what} is there twice, {REFUSED}")
        if info.is_dir() or kind not in (0, stat.S_IFREG):
            raise ArchiveError(f"{what} is a folder, a link or a device, {REFUSED}")
        if info.flag_bits & 1:
            raise ArchiveError(f"{what} is encrypted, {REFUSED}")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ArchiveError(f"{what} is compressed and would unpack to {info.file_size:,} bytes, {REFUSED}")
        found[info.filename] = info
    if (total := sum(info.file_size for info in found.values())) > size:
        raise ArchiveError(f"{path}: its members have {total:,} bytes, and the file {size:,}, {REFUSED}")
    return found


def _small(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, path: Path) -> bytes | None:
    """Content of a member that no index names; None if it is not there."""
    if name not in members:
        return None
    if members[name].file_size > LARGEST[name]:
        raise ArchiveError(f"{path}: {name} has {members[name].file_size:,} bytes, more than {LARGEST[name]:,}, {REFUSED}")
    return archive.read(name)


def _check_names(index: Index, members: dict[str, zipfile.ZipInfo], path: Path) -> None:
    there = set(members) - {INDEX, SIGNATURE}
    if extra := sorted(there - set(index.files)):
        raise ArchiveError(f"{path}: member {printable(extra[0])!r} is not in its index, {REFUSED}")
    if missing := sorted(set(index.files) - there):
        raise DataError(f"{path}: lacks {missing[0]}, which its index names; ask the sender for the bundle again")


def _check_file(archive: zipfile.ZipFile, info: zipfile.ZipInfo, entry: Entry, path: Path) -> None:
    digest = hashlib.sha256()
    if info.file_size == entry.bytes:
        with archive.open(info) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    if digest.hexdigest() != entry.sha256:
        raise DataError(f"{path}: {info.filename} is not the file that was exported; ask the sender for the bundle again")
