from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from adbench_harness.conformance.dataset_subject import copy_files, folders_backwards


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "below").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("a", "b", "below/c"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to("a")
    (folder / "folder-link").symlink_to("below")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_copy_on_the_same_disk_takes_no_space(source: Path, tmp_path: Path) -> None:
    assert copy_files(source, tmp_path / "copy", limit=0)
    assert names(tmp_path / "copy") == names(source)
    assert (tmp_path / "copy" / "below" / "c").samefile(source / "below" / "c")
    assert (tmp_path / "copy" / "link").read_text() == "a"


def test_on_another_disk_it_is_copied_up_to_a_limit(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", refuse)
    assert copy_files(source, tmp_path / "copy", limit=10)
    assert not (tmp_path / "copy" / "a").samefile(source / "a")
    assert not copy_files(source, tmp_path / "other", limit=2)
    assert not (tmp_path / "other").exists()


def test_folders_are_read_backwards_however_it_is_done(source: Path) -> None:
    def ways() -> list[list[str]]:
        with os.scandir(source) as entries:
            scanned = [entry.name for entry in entries]
        listed = os.listdir(source)  # noqa: PTH208 - it is one of the ways
        return [listed, scanned, [path.name for path in source.iterdir()], [path.name for path in source.glob("*")]]

    forwards = ways()
    with folders_backwards():
        backwards = ways()
        walked = {folder for folder, _, _ in os.walk(source)}
    assert backwards == [order[::-1] for order in forwards]
    assert walked == {str(source), str(source / "below"), str(source / "empty")}
    assert ways() == forwards
