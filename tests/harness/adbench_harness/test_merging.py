from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adbench_harness import merging
from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.locking import claimed
from adbench_harness.manifest import Manifest, Received
from adbench_harness.merging import Merged, merge
from adbench_harness.placing import sync
from adbench_harness.replicates import replicate_folders, replicates_of, scores_digest
from adbench_harness.result import Example, Examples, Scores, find_run, read_scores, run_folders, write_run
from adbench_harness.retention import removable, remove
from adbench_harness.status import Checks, write_checks

Write = Callable[..., Path]
PICTURES = Examples(
    [Example(image="a1", label=1, subtype="spot", score=0.35, files={"input": "00-input.png"})], {"00-input.png": b"input"}
)


@pytest.fixture
def write(tmp_path: Path, make_manifest: Callable[..., Manifest], scores: Scores) -> Write:
    """Writes a run into a store by name: write("a", "r1", shift=0.1) adds this to the score of one image."""

    def run(store: str, run_id: str, shift: float = 0.0, weights: bool = False, **changes: Any) -> Path:
        moved = scores.score.copy()
        moved[2] += shift
        tensors, pictures = ({"w": torch.ones(2)}, PICTURES) if weights else (None, None)
        manifest = make_manifest(run_id, **changes)
        return write_run(tmp_path / store / "runs", manifest, replace(scores, score=moved), [], tensors, pictures)

    return run


@pytest.fixture
def at(tmp_path: Path) -> Callable[[str], Results]:
    return lambda name: Results(tmp_path / name)


def held(results: Results) -> set[tuple[str, str]]:
    """All results of a store, whether they stand for their run or are replicates: run id and scores."""
    folders = [(folder, folder.name) for folder in run_folders(results.runs)]
    runs = results.replicates.iterdir() if results.replicates.is_dir() else ()
    folders += [(folder, run.name) for run in runs for folder in replicate_folders(results, run.name)]
    return {(run_id, scores_digest(read_scores(folder))) for folder, run_id in folders}


def content(folder: Path) -> dict[str, bytes]:
    """All files but locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def became(done: Merged) -> dict[str, str]:
    return {one.run_id: one.what for one in done.runs}


def test_runs_that_are_not_here_come_whole_with_weights_pictures_and_checks(write: Write, at: Any) -> None:
    write("a", "r1")
    received = Received(bundle="b" * 64, imported="2026-01-02T03:04:05Z")
    folder = write("b", "r2", weights=True, received=received)
    write_checks(folder, Checks(run_id="r2"))
    before, ours = content(at("b").root), content(at("a").root)
    done = merge([at("b")], at("a"))
    assert (became(done), done.refused) == ({"r2": "new"}, {})
    assert content(at("a").runs / "r2") == content(folder)
    assert {"weights.safetensors", "examples/00-input.png", "examples/examples.json", "status.json"} < content(folder).keys()
    assert content(at("b").root) == before
    assert ours.items() <= content(at("a").root).items()
    found = find_run(at("a").runs, "r2")
    assert found is not None
    assert found.received == received
    assert became(merge([at("b")], at("a"))) == {"r2": "same"}


def test_equal_scores_are_one_result_whoever_wrote_them_down(write: Write, at: Any) -> None:
    ours = write("a", "r1", created="2026-01-01T00:00:00Z")
    write("b", "r1", weights=True, created="2026-05-05T00:00:00Z")
    before = content(ours)
    done = merge([at("b")], at("a"))
    assert (became(done), done.unequal) == ({"r1": "same"}, [])
    assert content(ours) == before  # no weights either: a rule may have removed them
    assert not at("a").replicates.exists()


def test_other_scores_are_kept_as_a_replicate_once_and_reported_each_time(write: Write, at: Any) -> None:
    ours = write("a", "r1")
    folder = write("b", "r1", shift=0.2, weights=True, compute={"device_name": "a GPU"})
    before = content(ours)
    (taken,) = merge([at("b")], at("a")).runs
    assert (taken.what, taken.folder.parent) == ("replicate", at("a").replicates / "r1")
    assert taken.comparison is not None
    assert taken.comparison.agreement.max_difference == pytest.approx(0.2)
    assert (taken.comparison.run.device, taken.comparison.replicate.device) == ("a CPU", "a GPU")
    assert (content(ours), content(taken.folder)) == (before, content(folder))
    assert [one.folder for one in replicates_of(at("a"), "r1")[0]] == [taken.folder]
    kept = content(at("a").root)
    again = merge([at("b")], at("a"))
    assert became(again) == {"r1": "same"}
    assert [(one.folder, one.comparison) for one in again.unequal] == [(taken.folder, taken.comparison)]
    assert content(at("a").root) == kept


def test_whichever_way_two_stores_are_merged_they_hold_the_same_results(write: Write, at: Any) -> None:
    for store, shift in (("a", 0.0), ("b", 0.1)):
        write(store, "equal")
        write(store, "unequal", shift=shift)
        write(store, f"only-{store}")
    write("c", "unequal", shift=0.3)
    merge([at("c")], at("b"))  # a replicate of b's
    shutil.copytree(at("a").root, at("a2").root)
    there = held(at("b"))
    into_a = merge([at("b")], at("a"))
    merge([at("a2")], at("b"))
    assert held(at("a")) == held(at("b")) > there
    assert len(held(at("a"))) == 6
    assert [round(one.comparison.agreement.max_difference, 9) for one in into_a.unequal if one.comparison] == [0.3, 0.1]
    assert {one.what for one in merge([at("b"), at("c"), at("a2")], at("a")).runs} == {"same"}


def test_a_rehearsal_writes_nothing_and_says_what_the_merge_then_does(write: Write, at: Any, tmp_path: Path) -> None:
    write("b", "r1")
    write("c", "r1", shift=0.1)
    write("d", "r1", shift=0.1)
    others = [at("b"), at("c"), at("d")]
    rehearsed = merge(others, at("new"), dry_run=True)
    assert not at("new").root.exists()
    done = merge(others, at("new"))
    assert [one.what for one in done.runs] == ["new", "replicate", "same"]
    assert [(one.what, one.folder) for one in rehearsed.runs] == [(one.what, one.folder) for one in done.runs]
    assert [found.comparison is None for found in done.runs] == [found.comparison is None for found in rehearsed.runs]


def test_damaged_and_half_copied_runs_are_named_and_the_others_come(write: Write, at: Any) -> None:
    write("a", "good")
    for name in ("altered", "cut", "renamed", "strange"):
        write("b", name)
    write("b", "fine")
    there = at("b").runs
    (there / "altered" / "curves.parquet").write_bytes(b"x")
    (there / "cut" / "manifest.json").unlink()
    (there / "renamed").rename(there / "good")
    (there / "strange" / "status.json").write_text("{")
    (there / ".half.77.tmp").mkdir()
    (there / "README").write_text("x")
    done = merge([at("b")], at("a"))
    assert became(done) == {"fine": "new"}
    reasons = {path.name: reason for path, reason in done.refused.items()}
    assert "curves.parquet is not the file that the run wrote" in reasons["altered"]
    assert "cut: no run here" in reasons["cut"]
    assert "holds run renamed" in reasons["good"]
    assert "status.json can't be read" in reasons["strange"]
    assert sorted(path.name for path in at("a").runs.iterdir()) == ["fine", "good"]


def test_what_is_damaged_here_is_not_replaced(write: Write, at: Any) -> None:
    ours = write("a", "r1")
    write("b", "r1")
    (ours / "manifest.json").unlink()
    done = merge([at("b")], at("a"))
    assert "what is here of run r1 is damaged" in next(iter(done.refused.values()))
    assert "restore or remove it, then merge again" in next(iter(done.refused.values()))
    shutil.rmtree(ours)
    assert became(merge([at("b")], at("a"))) == {"r1": "new"}


def test_another_split_s_scores_are_no_replicate(write: Write, at: Any, scores: Scores, make_manifest: Any) -> None:
    write("a", "r1")
    write_run(at("b").runs, make_manifest("r1"), replace(scores, subset=["held_out", "test", "test", "test"]), [], None)
    (reason,) = merge([at("b")], at("a")).refused.values()
    assert "scores other images, labels or subsets than" in reason


def test_weights_that_the_run_did_not_write_stay_there_and_linked_ones_come(write: Write, at: Any, tmp_path: Path) -> None:
    changed, linked = write("b", "changed", weights=True), write("b", "linked", weights=True)
    (changed / "weights.safetensors").write_bytes(b"other")
    (changed / "examples" / "00-input.png").unlink()
    (linked / "weights.safetensors").rename(tmp_path / "moved")
    (linked / "weights.safetensors").symlink_to(tmp_path / "moved")
    first, second = merge([at("b")], at("a")).runs
    assert (first.left_out, second.left_out) == (("weights.safetensors",), ())
    assert not (first.folder / "weights.safetensors").exists()
    assert not (second.folder / "weights.safetensors").is_symlink()
    assert (second.folder / "weights.safetensors").read_bytes() == (tmp_path / "moved").read_bytes()
    assert find_run(at("a").runs, "changed") is not None


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["adbench_harness.merging._copy_file", "pathlib.Path.rename"])
@pytest.mark.parametrize("shift", [0.0, 0.2], ids=["a run", "a replicate"])
def test_a_kill_leaves_whole_results_and_merging_again_goes_on(
    write: Write, at: Any, monkeypatch: pytest.MonkeyPatch, moment: str, shift: float
) -> None:
    write("a", "r1")
    write("b", "r1", shift=shift)
    write("b", "r2", weights=True)

    def kill(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # who is killed clears nothing away
        patch.setattr(moment, kill)
        with pytest.raises(Killed):
            merge([at("b")], at("a"))
    assert [folder.name for folder in run_folders(at("a").runs)] == ["r1"]
    assert not replicate_folders(at("a"), "r1")
    assert len([path for path in at("a").runs.iterdir() if path.name.endswith(".tmp")]) == 1
    merge([at("b")], at("a"))
    assert held(at("a")) >= held(at("b"))
    assert [path.name for path in at("a").runs.iterdir() if path.name.startswith(".")] == []


def test_a_full_disk_is_said_and_what_came_before_is_whole(write: Write, at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write("b", f"r{number}")
    real = sync

    def full(folder: Path) -> None:
        if "r1" in folder.name:
            raise OSError(28, "No space left on device")
        real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(merging, "sync", full)
        with pytest.raises(StoreError, match=r"cannot write to .*: No space left on device; what was merged so far is whole"):
            merge([at("b")], at("a"))
    assert [path.name for path in at("a").runs.iterdir()] == ["r0"]
    assert became(merge([at("b")], at("a"))) == {"r0": "same", "r1": "new", "r2": "new"}


def test_all_is_synced_before_the_manifest_and_the_manifest_before_the_run_has_its_name(
    write: Write, at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("b", "r1", weights=True)
    happened: list[str] = []

    def watched(place: Any, name: str, said: Callable[..., str]) -> None:
        real = getattr(place, name)

        def watching(*given: Path) -> Any:
            happened.append(said(*given))
            return real(*given)

        monkeypatch.setattr(place, name, watching)

    watched(merging, "_copy_file", lambda _, target: target.name)
    watched(merging, "sync", lambda folder: f"sync {folder.name}")
    watched(Path, "rename", lambda *_: "rename")
    merge([at("b")], at("a"))
    after = happened[happened.index("manifest.json") :]
    assert after == ["manifest.json", after[1], "rename", "sync runs", "sync a", "sync a"]
    assert after[1].startswith("sync .r1.")
    assert "sync examples" in happened[: happened.index("manifest.json")]


def test_a_run_that_is_being_made_here_is_left_to_who_makes_it(write: Write, at: Any) -> None:
    write("b", "r1")
    write("b", "r2")
    with claimed("r1", at("a")):
        done = merge([at("b")], at("a"))
    assert became(done) == {"r2": "new"}
    assert "is being made by another process" in next(iter(done.refused.values()))


def test_a_run_that_is_made_in_the_meantime_stays(write: Write, at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system has no locks."""
    write("b", "r1", shift=0.2)
    real = merging._copy_files

    def slow(*given: Any) -> Any:
        write("a", "r1")
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(merging, "_copy_files", slow)
        (reason,) = merge([at("b")], at("a")).refused.values()
    assert "made by another process meanwhile; merge again" in reason
    assert became(merge([at("b")], at("a"))) == {"r1": "replicate"}


def test_pruning_and_rebuilding_leave_replicates_alone(write: Write, at: Any) -> None:
    write("a", "r1", weights=True)
    write("b", "r1", shift=0.2, weights=True)
    merge([at("b")], at("a"))
    kept = content(at("a").replicates)
    assert any(name.endswith("weights.safetensors") for name in kept)
    for item in removable(at("a"), "none", examples=True, checkpoints=True):
        remove(at("a"), item)
    assert content(at("a").replicates) == kept


def audit(dataset: str, title: str) -> bytes:
    finding = {"kind": "k", "severity": "note", "title": title, "detail": "", "images": [], "numbers": {}}
    return json.dumps({"format": 1, "dataset": dataset, "fingerprint": "f" * 16, "findings": [finding]}).encode()


def test_audits_that_are_not_here_come_and_ours_stay(write: Write, at: Any) -> None:
    write("b", "r1")
    for store, files in (("a", {"x": "ours", "y": "one"}), ("b", {"x": "theirs", "y": "one", "z": "new"})):
        at(store).audits.mkdir(parents=True)
        for dataset, title in files.items():
            (at(store).audits / f"{dataset}-{'f' * 16}.json").write_bytes(audit(dataset, title))
    (at("b").audits / "bad.json").write_text("{")
    rehearsed = merge([at("b")], at("a"), dry_run=True)
    assert len(list(at("a").audits.iterdir())) == 2
    done = merge([at("b")], at("a"))
    assert done.audits == rehearsed.audits
    assert {path.name[0]: what for path, what in done.audits.items()} == {"x": "differs", "y": "same", "z": "new"}
    assert {path.name[0]: json.loads(path.read_bytes())["findings"][0]["title"] for path in at("a").audits.iterdir()} == {
        "x": "ours",
        "y": "one",
        "z": "new",
    }
    assert "bad.json: is no audit of adbench" in done.refused[at("b").audits / "bad.json"]


def test_what_is_no_other_results_folder_is_refused_before_anything_is_merged(write: Write, at: Any, tmp_path: Path) -> None:
    write("a", "r1")
    write("b", "r2")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(at("a").root)
    for name, message in (
        ("none", "there is no results folder"),
        ("file", "bundles come in with: adbench results import"),
        ("a", "is the results folder itself"),
        ("link", "is the results folder itself"),
        ("b/runs", "it has no folder runs of finished runs"),
    ):
        with pytest.raises(StoreError, match=message):
            merge([at("b"), at(name)], at("a"))
    assert [path.name for path in at("a").runs.iterdir()] == ["r1"]


def test_equal_files_need_no_reading(write: Write, at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a", "r1")
    write("b", "r1")
    monkeypatch.setattr("adbench_harness.replicates.read_scores", None)
    assert became(merge([at("b")], at("a"))) == {"r1": "same"}
