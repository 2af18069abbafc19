from __future__ import annotations

import os
from pathlib import Path

import pytest

from adbench_datasets.image_folders import DEPTH, class_folders, entries, outermost, shown_entries
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


def test_names_beyond_ascii_are_kept(tmp_path: Path) -> None:
    (tmp_path / "n\u00f6 \u8111.png").touch()
    assert [path.name for path in entries(tmp_path)] == ["n\u00f6 \u8111.png"]


def test_a_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"a\xff.png")).touch()
    except OSError:
        pytest.skip("the file system takes only text as names")
    with pytest.raises(
        DataError, match=r"holds a file whose name is no UTF-8 text, b'a\\xff\.png'; rename or remove it, or import"
    ):
        entries(tmp_path)


def test_class_folders_come_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    for name in ("cnv", "Dme", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "NORMAL").touch()
    assert class_folders(tmp_path, ["CNV", "DME", "NORMAL"]) == {"CNV": tmp_path / "cnv", "DME": tmp_path / "Dme"}


def test_the_first_few_entries_are_shown(tmp_path: Path) -> None:
    assert shown_entries(tmp_path) == "nothing"
    (tmp_path / "a").mkdir()
    (tmp_path / "b.png").touch()
    assert shown_entries(tmp_path) == "a/, b.png"
    for number in range(5):
        (tmp_path / f"c{number}").touch()
    assert shown_entries(tmp_path) == "a/, b.png, c0, c1, c2 and 2 more"
