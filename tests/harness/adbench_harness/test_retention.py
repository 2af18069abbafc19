from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from filelock import FileLock

from adbench_harness.cli.options import KEEP_WEIGHTS
from adbench_harness.home import MACHINE, Results
from adbench_harness.manifest import Manifest
from adbench_harness.result import Example, Examples, Scores, find_run, write_run
from adbench_harness.retention import KeepWeights, removable, remove, superseded, superseded_weights

MakeManifest = Callable[..., Manifest]
Stored = Callable[..., Path]


@pytest.fixture
def stored(results: Results, make_manifest: MakeManifest, scores: Scores) -> Stored:
    """Writes a run with weights and a picture; its number is its seed and its minute."""

    def store(run_id: str, number: int = 0, **cell: Any) -> Path:
        manifest = made(make_manifest, run_id, number, **cell)
        picture = Examples([Example(image="a1", label=1, subtype="s", score=1, files={"input": "0.png"})], {"0.png": b"png"})
        return write_run(results.runs, manifest, scores, [], {"w": torch.ones(10)}, picture)

    return store


def made(make_manifest: MakeManifest, run_id: str, number: int = 0, **cell: Any) -> Manifest:
    manifest = make_manifest(run_id, created=f"2026-01-02T03:{number:02}:00Z")
    return manifest.model_copy(update={"cell": manifest.cell.model_copy(update={"seed": number, **cell})})


@pytest.fixture
def gone() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.fixture
def claimed(results: Results) -> Iterator[Callable[[str], None]]:
    """Takes a run's lock, as whoever makes it does."""
    locks: list[FileLock] = []

    def claim(run_id: str) -> None:
        results.running.mkdir(parents=True, exist_ok=True)
        lock = FileLock(results.lock(run_id), timeout=0)
        lock.acquire()
        locks.append(lock)

    yield claim
    for lock in locks:
        lock.release()


def found(results: Results, keep: KeepWeights = "all", **also: bool) -> list[tuple[str, str]]:
    return [(item.kind, item.path.relative_to(results.root).as_posix()) for item in removable(results, keep, **also)]


# --- whose weights go ---


@pytest.mark.parametrize(("keep", "gone"), [("newest", {"r0", "r2"}), ("all", set[str]()), ("none", {"r0", "r1", "r2", "other"})])
def test_of_a_variant_s_runs_of_any_split_and_seed_the_newest_keeps_its_weights(
    make_manifest: MakeManifest, keep: KeepWeights, gone: set[str]
) -> None:
    holders = [
        made(make_manifest, "r0", 0),
        made(make_manifest, "r1", 9, split=1),
        made(make_manifest, "r2", 5),
        made(make_manifest, "other", 1, model="multikd"),
    ]
    assert superseded(holders, keep) == gone


@pytest.mark.parametrize(
    "change", [{"model": "x"}, {"options": {"grid": 8}}, {"dataset": "x"}, {"protocol": "x"}, {"fit_digest": "x"}]
)
def test_another_variant_is_a_matter_of_its_own(make_manifest: MakeManifest, change: dict[str, Any]) -> None:
    assert superseded([made(make_manifest, "r0", 0), made(make_manifest, "r1", 1, **change)], "newest") == set()


def test_the_order_of_options_makes_no_other_variant(make_manifest: MakeManifest) -> None:
    holders = [made(make_manifest, "r0", 0, options={"a": 1, "b": 2}), made(make_manifest, "r1", 1, options={"b": 2, "a": 1})]
    assert superseded(holders, "newest") == {"r0"}


def test_two_processes_that_end_in_one_second_agree_whose_weights_stay(make_manifest: MakeManifest) -> None:
    holders = [made(make_manifest, run_id, 7) for run_id in ("r0", "r1", "r2")]
    for order in permutations(holders):
        assert superseded(order, "newest") == {"r0", "r1"}


def test_weights_are_compared_with_those_that_are_there(results: Results, stored: Stored) -> None:
    for number in range(3):
        stored(f"r{number}", number)
    (results.runs / "r2" / "weights.safetensors").unlink()
    assert found(results, "newest") == [("weights", "runs/r0/weights.safetensors")]


def test_only_weights_of_the_like_go_if_one_is_given(results: Results, make_manifest: MakeManifest, stored: Stored) -> None:
    for number in range(2):
        stored(f"r{number}", number)
        stored(f"x{number}", number, dataset="x")
    like = made(make_manifest, "any", 5).cell
    assert [item.run_id for item in superseded_weights(results, "newest", like)] == ["r0"]
    assert [item.run_id for item in superseded_weights(results, "newest")] == ["r0", "x0"]


def test_what_cannot_be_read_or_was_renamed_keeps_its_weights(results: Results, stored: Stored) -> None:
    for number in range(4):
        stored(f"r{number}", number)
    (results.runs / "r0" / "manifest.json").write_text("{}")
    (results.runs / "r1").rename(results.runs / "copy")
    (results.runs / "no-run").mkdir()
    (results.runs / "no-run" / "weights.safetensors").write_bytes(b"w")
    assert found(results, "newest") == [("weights", "runs/r2/weights.safetensors")]


def test_the_command_line_offers_what_there_is() -> None:
    assert get_args(KeepWeights) == KEEP_WEIGHTS


# --- removing ---


def test_sizes_are_those_on_disk_and_removing_leaves_a_whole_run(results: Results, stored: Stored) -> None:
    folder = stored("r0")
    weights, pictures = removable(results, "none", examples=True)
    assert (weights.bytes, pictures.bytes) == (
        (folder / "weights.safetensors").stat().st_size,
        sum(path.stat().st_size for path in (folder / "examples").iterdir()),
    )
    assert (weights.kind, pictures.kind, pictures.run_id) == ("weights", "examples", "r0")
    assert remove(results, weights)
    assert remove(results, pictures)
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.parquet",
        "manifest.json",
        "scores.parquet",
        "training.parquet",
    ]
    assert find_run(results.runs, "r0") is not None
    assert not remove(results, weights)  # by another process, meanwhile
    assert not remove(results, pictures)


def test_pictures_go_only_if_asked(results: Results, stored: Stored) -> None:
    stored("r0")
    assert found(results) == []
    assert found(results, examples=True) == [("examples", "runs/r0/examples")]


def test_of_a_link_only_the_link_goes(results: Results, stored: Stored, tmp_path: Path) -> None:
    folder = stored("r0")
    (folder / "examples").rename(tmp_path / "elsewhere")
    (folder / "examples").symlink_to(tmp_path / "elsewhere")
    (item,) = removable(results, "all", examples=True)
    assert item.bytes == (folder / "examples").lstat().st_size
    assert remove(results, item)
    assert not (folder / "examples").is_symlink()
    assert (tmp_path / "elsewhere" / "0.png").exists()


def test_what_cannot_be_removed_is_an_error(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    checkpoint(results, "r", "checkpoint.pt")
    (item,) = removable(results, "all", checkpoints=True)
    monkeypatch.setattr("adbench_harness.retention.shutil.rmtree", refuse)
    with pytest.raises(PermissionError):
        remove(results, item)
    assert not results.lock("r").exists()


# --- what killed processes leave ---


def test_folders_of_processes_that_are_gone_go(results: Results, gone: int) -> None:
    for name in (f".r0.{MACHINE}-{gone}.tmp", f".r1.{MACHINE}-{gone}.replaced"):
        (results.runs / name / "examples").mkdir(parents=True)
        (results.runs / name / "examples" / "0.png").write_bytes(b"12345")
    for name in (f".r2.{MACHINE}-{os.getpid()}.tmp", f".r3.{MACHINE}-{os.getpid()}.replaced", f".r4.{MACHINE}-1.tmp"):
        (results.runs / name).mkdir()
    assert found(results) == [
        ("unfinished run", f"runs/.r0.{MACHINE}-{gone}.tmp"),
        ("unfinished run", f"runs/.r1.{MACHINE}-{gone}.replaced"),
    ]
    assert [item.bytes for item in removable(results, "all")] == [5, 5]
    assert all(remove(results, item) for item in removable(results, "all"))
    assert found(results) == []


def test_a_folder_of_a_run_that_is_being_made_stays_whatever_its_process(
    results: Results, gone: int, claimed: Callable[[str], None]
) -> None:
    (results.runs / f".r0.{MACHINE}-{gone}.tmp").mkdir(parents=True)
    claimed("r0")
    assert found(results) == []


def checkpoint(results: Results, run_id: str, *names: str) -> Path:
    folder = results.checkpoint(run_id).parent
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"state")
    return folder


def test_checkpoints_of_finished_runs_go_and_others_are_work(results: Results, stored: Stored) -> None:
    stored("done")
    checkpoint(results, "done", "checkpoint.pt")
    checkpoint(results, "work", "checkpoint.pt")
    checkpoint(results, "killed", "checkpoint.pt", "checkpoint.77.tmp")
    checkpoint(results, "begun", "checkpoint.78.tmp")
    assert found(results) == [
        ("checkpoint", "running/begun"),
        ("checkpoint", "running/done"),
        ("checkpoint", "running/killed/checkpoint.77.tmp"),
    ]
    everything = found(results, checkpoints=True)
    assert everything == [("checkpoint", f"running/{name}") for name in ("begun", "done", "killed", "work")]


def test_the_checkpoint_of_a_run_whose_folder_is_spoilt_is_work(results: Results, stored: Stored) -> None:
    (stored("r0") / "scores.parquet").write_bytes(b"spoilt")
    checkpoint(results, "r0", "checkpoint.pt")
    assert found(results) == []


@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_run_that_is_being_made_keeps_everything(
    results: Results, stored: Stored, claimed: Callable[[str], None], checkpoints: bool
) -> None:
    stored("r0")
    checkpoint(results, "r0", "checkpoint.pt")
    checkpoint(results, "r1", "checkpoint.pt", "checkpoint.77.tmp")
    claimed("r0")
    claimed("r1")
    assert found(results, checkpoints=checkpoints) == []


def test_a_run_that_began_meanwhile_keeps_everything(results: Results, gone: int, claimed: Callable[[str], None]) -> None:
    checkpoint(results, "r0", "checkpoint.pt")
    checkpoint(results, "r1", "checkpoint.77.tmp")
    results.lock("r1").touch()
    unfinished = results.runs / f".r2.{MACHINE}-{gone}.tmp"
    unfinished.mkdir(parents=True)
    checkpoint(results, "r3", "checkpoint.pt", "checkpoint.77.tmp")
    items = [item for item in removable(results, "all", checkpoints=True) if item.kind != "lock"]
    items += [item for item in removable(results, "all") if item.run_id == "r3"]
    assert [item.run_id for item in items] == ["r2", "r0", "r1", "r3", "r3"]
    for run_id in ("r0", "r1", "r2", "r3"):
        claimed(run_id)
    assert not any(remove(results, item) for item in items)
    assert all(item.path.exists() for item in items)


def test_a_run_that_began_and_was_stopped_meanwhile_keeps_its_checkpoint(results: Results, stored: Stored) -> None:
    stored("r0")
    work = checkpoint(results, "r0", "checkpoint.pt")
    (item,) = removable(results, "all")
    before = (work / "checkpoint.pt").stat()
    os.utime(work / "checkpoint.pt", ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # of the same size
    assert not remove(results, item)
    (item,) = removable(results, "all")
    assert remove(results, item)
    assert not work.exists()


def test_removing_leaves_no_lock_behind_that_was_not_there(results: Results) -> None:
    for run_id in ("r0", "r1"):
        checkpoint(results, run_id, "checkpoint.pt")
    results.lock("r1").touch()
    assert all(remove(results, item) for item in removable(results, "all", checkpoints=True) if item.kind == "checkpoint")
    assert [path.name for path in results.running.iterdir()] == [".r1.lock"]


def test_where_there_are_no_locks_only_what_nobody_ever_claimed_goes(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(lock: FileLock) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    for run_id in ("r0", "r1"):
        checkpoint(results, run_id, "checkpoint.pt")
    items = removable(results, "all", checkpoints=True)
    results.lock("r1").touch()
    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert [remove(results, item) for item in items] == [True, False]


def test_locks_that_nobody_holds_go(results: Results, claimed: Callable[[str], None]) -> None:
    results.running.mkdir(parents=True)
    results.lock("r0").touch()
    (results.running / "notes.lock").touch()
    (results.root / ".adbench.duckdb.lock").touch()
    claimed("r1")
    (item,) = removable(results, "all")
    assert (item.kind, item.run_id, item.path) == ("lock", "r0", results.lock("r0"))
    assert results.lock("r0").exists()  # looking removes nothing
    assert remove(results, item)
    assert not remove(results, item)
    assert sorted(path.name for path in results.running.iterdir()) == [".r1.lock", "notes.lock"]
    assert (results.root / ".adbench.duckdb.lock").exists()


def test_a_lock_that_was_taken_meanwhile_stays(results: Results, claimed: Callable[[str], None]) -> None:
    results.running.mkdir(parents=True)
    results.lock("r0").touch()
    (item,) = removable(results, "all")
    claimed("r0")
    assert not remove(results, item)
    assert results.lock("r0").exists()


def test_an_empty_results_folder_holds_nothing(results: Results) -> None:
    assert found(results, "none", examples=True, checkpoints=True) == []


def test_weights_from_a_bundle_and_our_own_do_not_replace_each_other(results: Results, stored: Stored) -> None:
    def receive(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["received"] = {"bundle": "b", "imported": "2026-02-03T04:05:06Z"}
        (folder / "manifest.json").write_text(json.dumps(manifest))

    stored("ours", 1)
    receive(stored("older", 0))
    receive(stored("newer", 2))
    assert superseded_weights(results, "newest") == []
    assert {item.run_id for item in superseded_weights(results, "none")} == {"ours", "older", "newer"}
