from __future__ import annotations

from pathlib import Path

import pytest

from adbench_harness.home import put_in_place


def test_a_file_is_put_in_place_whole(tmp_path: Path) -> None:
    with put_in_place(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def fill_the_disk() -> None:
        with put_in_place(tmp_path / "a.txt") as unfinished:
            unfinished.write_text("ne")
            raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        fill_the_disk()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"
