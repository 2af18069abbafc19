"""Run folders that are not what the run wrote: half copied, cut short, altered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import IN_PROCESS, MATRIX, Place, cases


def cut(name: str) -> Callable[[Path], None]:
    """A file of which only the first half was copied."""

    def half(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return half


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a file is missing": lambda folder: (folder / "curves.parquet").unlink(),
    "scores are cut short": cut("scores.parquet"),
    "the manifest is missing": lambda folder: (folder / "manifest.json").unlink(),
    "the manifest is cut short": cut("manifest.json"),
}


@pytest.fixture(scope="module")
def whole(undisturbed: tuple[Path, object]) -> Path:
    """The results folder of the undisturbed matrix, to be copied."""
    return undisturbed[0].parent / "results"


@pytest.mark.parametrize("damage", cases(DAMAGES, ["scores are cut short"]))
def test_one_that_is_half_copied_is_said_made_again_and_kept(place: Place, whole: Path, damage: str) -> None:
    shutil.copytree(whole, place.results.root)
    folder = sorted(place.results.runs.iterdir())[1]
    DAMAGES[damage](folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert len(place.finished()) == 2
    told = place.finish(*MATRIX, *IN_PROCESS)
    (kept,) = place.results.runs.glob(".*.replaced")
    assert f"{folder} was altered or could not be read, and is kept as {kept.name} beside it" in told
    assert {path.name: path.read_bytes() for path in kept.iterdir() if path.is_file()} == files
    assert "replaced" not in place.finish(*MATRIX, *IN_PROCESS)


def test_a_kill_while_one_is_replaced_keeps_it_and_the_next_makes_the_run(place: Place, whole: Path) -> None:
    shutil.copytree(whole, place.results.root)
    folder = sorted(place.results.runs.iterdir())[1]
    cut("scores.parquet")(folder)
    killed = place.run(
        *MATRIX, *IN_PROCESS, fault='after("pathlib:Path.rename", die, 1, lambda path, target: "replaced" in Path(target).name)'
    )
    assert killed.returncode == -9, killed.stderr
    assert not folder.exists()
    place.finish(*MATRIX, *IN_PROCESS)
    assert len(list(place.results.runs.glob(".*.replaced"))) == 1


def test_listing_names_what_is_half_copied_and_shows_the_rest(place: Place, whole: Path) -> None:
    shutil.copytree(whole, place.results.root)
    folder = sorted(place.results.runs.iterdir())[1]
    cut("scores.parquet")(folder)
    place.results.database.unlink()
    listed = place.run("results", "list", "--json")
    assert listed.returncode == 0
    assert f"warning: {folder.name} left out" in listed.stderr
    assert "is not the file that the run wrote" in listed.stderr
    assert listed.stdout.count('"run_id"') == 2
