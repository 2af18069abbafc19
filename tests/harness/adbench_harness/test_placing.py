from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.api import StoreError
from adbench_harness.home import MACHINE, Results, beside
from adbench_harness.placing import Unfinished, placing, set_aside, unfinished_folders


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "run-1"


def whole(place: Path) -> Callable[[], bool]:
    return lambda: (place / "whole").exists()


def test_a_folder_appears_when_it_is_filled(place: Path) -> None:
    with placing(place, whole(place)) as unfinished:
        (unfinished / "whole").touch()
        assert not place.exists()
    assert [path.name for path in place.parent.iterdir()] == ["run-1"]
    assert (place / "whole").exists()


def test_an_error_on_the_way_leaves_nothing(place: Path) -> None:
    with pytest.raises(StoreError, match="free space or choose another --results"), placing(place, whole(place)):
        raise OSError(28, "No space left on device")
    assert list(place.parent.iterdir()) == []


def test_what_is_no_whole_run_is_set_aside(place: Path) -> None:
    kept = []
    for notes in ("first", "second"):  # by a process of the same name and number, as containers have
        place.mkdir()
        (place / notes).touch()
        kept.append(set_aside(place) / notes)
        with placing(place, whole(place)) as unfinished:
            (unfinished / "whole").touch()
        assert (place / "whole").exists()
        (place / "whole").unlink()
        place.rmdir()
    assert all(path.exists() for path in kept)
    assert {path.parent for path in kept} == {one.path for one in unfinished_folders(place.parent)}


@pytest.mark.parametrize("when", ["while it is filled", "at the last moment"])
def test_a_run_that_another_machine_put_there_meanwhile_stays(place: Path, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def theirs() -> None:
        place.mkdir()
        (place / "whole").write_text("theirs")

    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        theirs()
        return rename(path, target)

    with placing(place, whole(place)) as unfinished:
        (unfinished / "whole").write_text("ours")
        if when == "while it is filled":
            theirs()
        else:
            monkeypatch.setattr(Path, "rename", late)
    assert (place / "whole").read_text() == "theirs"
    assert [path.name for path in place.parent.iterdir()] == ["run-1"]


def test_what_a_killed_process_leaves_is_found_by_its_name(results: Results) -> None:
    results.runs.mkdir(parents=True)
    for name in (".a.b-1.node-7-77.tmp", ".a.node7-78.replaced", ".hidden", "a.n-79.tmp", ".a.tmp"):
        (results.runs / name).mkdir()
    found = list(unfinished_folders(results.runs))
    assert found == [
        Unfinished(results.runs / ".a.b-1.node-7-77.tmp", "a.b-1", "node-7", 77),
        Unfinished(results.runs / ".a.node7-78.replaced", "a", "node7", 78),
    ]
    assert list(unfinished_folders(results.running)) == []


def test_the_names_are_those_that_writing_gives(results: Results) -> None:
    results.runs.mkdir(parents=True)
    place: Any = results.runs / "pca-a.b-0123"
    for path in (beside(place), set_aside(place)):
        path.mkdir()
    found = list(unfinished_folders(results.runs))
    assert [(one.run_id, one.machine, one.process) for one in found] == [(place.name, MACHINE, os.getpid())] * 2
