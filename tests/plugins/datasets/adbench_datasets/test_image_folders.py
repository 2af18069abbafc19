from __future__ import annotations

from pathlib import Path

import pytest

from adbench_datasets.image_folders import DEPTH, entries, outermost
from adbench_harness.api import DataError


def has_mark(folder: Path) -> bool:
    return (folder / "mark").is_file()


def mark(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mark").touch()
    return folder


def test_entries_come_by_name_without_litter(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "Z.png", ".DS_Store", "._a.png", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).touch()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "c").mkdir()
    assert [path.name for path in entries(tmp_path)] == ["Z.png", "a.png", "b.png", "c"]


def test_a_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost can't be read \(No such file or directory\); import the dataset again"):
        entries(tmp_path / "lost")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file can't be read \(Not a directory\)"):
        entries(tmp_path / "file")


def test_the_outermost_wins_over_a_copy_inside(tmp_path: Path) -> None:
    mark(tmp_path / "outer" / "copy")
    assert outermost(tmp_path, has_mark) == tmp_path / "outer" / "copy"
    mark(tmp_path / "outer")
    assert outermost(tmp_path, has_mark) == tmp_path / "outer"
    mark(tmp_path)
    assert outermost(tmp_path, has_mark) == tmp_path


def test_two_copies_side_by_side_are_refused(tmp_path: Path) -> None:
    first, second = mark(tmp_path / "first"), mark(tmp_path / "second")
    with pytest.raises(DataError) as caught:
        outermost(tmp_path, has_mark)
    assert f"{tmp_path} holds two copies of the dataset, {first} and {second}; remove one" in str(caught.value)


def test_the_search_ends(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*"x" * DEPTH)
    mark(deepest / "x")
    assert outermost(tmp_path, has_mark) is None
    mark(deepest)
    assert outermost(tmp_path, has_mark) == deepest
