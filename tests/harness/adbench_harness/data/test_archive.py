from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from adbench_harness.api import ArchiveError, DataError
from adbench_harness.data.archive import members


def read(source: Path) -> dict[str, bytes]:
    with members(source) as found:
        return {str(member.path): member.stream.read() for member in found}


def tar(path: Path, entries: list[tarfile.TarInfo], content: bytes = b"data", mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is one of a parameter list
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_in_every_compression(tmp_path: Path, mode: str) -> None:
    path = tar(tmp_path / "a.tar", [entry("./x/one.txt"), entry("x", tarfile.DIRTYPE), entry("two.txt")], mode=mode)
    assert read(path) == {"x/one.txt": b"data", "two.txt": b"data"}


def test_zip_and_folder_and_folder_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "f" / "inner").mkdir(parents=True)
    (tmp_path / "f" / "inner" / "naïve ü.txt").write_bytes(b"1")
    assert read(tmp_path / "f") == {"inner/naïve ü.txt": b"1"}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inner/", "")
        archive.writestr("inner/x.txt", "2")
    assert read(tmp_path / "a.zip") == {"inner/x.txt": b"2"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "..\\evil"])
def test_members_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="points outside the archive"):
        read(tar(tmp_path / "a.tar", [entry(name)]))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(ArchiveError, match="points outside the archive"):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"'mdb001.pgm' is a link or a device"):
        read(tar(tmp_path / "a.tar", [entry("mdb001.pgm", kind, "/etc/passwd")]))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="is a link"):
        read(tmp_path / "a.zip")


def test_a_member_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adbench_harness.data.archive.LARGEST_MEMBER", 3)
    with pytest.raises(ArchiveError, match="would unpack to 4 bytes"):
        read(tar(tmp_path / "a.tar", [entry("big")]))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_a_truncated_archive_is_called_damaged(tmp_path: Path, mode: str) -> None:
    path = tar(tmp_path / "a.tar", [entry(f"{k}.bin") for k in range(3)], bytes(range(256)) * 4000, mode=mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"a\.tar: damaged archive|neither a folder nor"):
        read(path)


def test_an_archive_with_flipped_bytes_is_called_damaged(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.xz", [entry("x.bin")], random.Random(1).randbytes(500_000), mode="w:xz")
    data = bytearray(path.read_bytes())
    data[300_000:300_040] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged archive"):
        read(path)


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(DataError, match="neither a folder nor a tar or zip archive"):
        read(tmp_path / "x.txt")
    with pytest.raises(DataError, match="no such file or folder"):
        read(tmp_path / "gone")
