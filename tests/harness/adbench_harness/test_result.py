from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adbench_harness import placing, result
from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.manifest import Manifest
from adbench_harness.result import (
    CurvePoint,
    Example,
    Examples,
    Scores,
    check_files,
    find_run,
    read_manifest,
    read_scores,
    run_folders,
    write_run,
)

MakeManifest = Callable[..., Manifest]
PICTURES = Examples(
    [
        Example(
            image="a1", label=1, subtype="spot", score=0.35, files={"input": "00-input.png", "map": "00-map.png"}, map_white=2.5
        ),
        Example(image="n1", label=0, subtype="normal", score=0.1, files={"input": "01-input.png"}),
    ],
    {"00-input.png": b"input", "00-map.png": b"map", "01-input.png": b"other"},
)


def test_a_run_comes_back_as_it_was_written(results: Results, make_manifest: MakeManifest, scores: Scores) -> None:
    folder = write_run(results.runs, make_manifest(), scores, [CurvePoint("distil", 3, "loss", 0.25)], {"w": torch.ones(2)})
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.parquet",
        "manifest.json",
        "scores.parquet",
        "training.parquet",
        "weights.safetensors",
    ]
    manifest = read_manifest(folder)
    assert manifest == make_manifest().model_copy(update={"files": manifest.files})
    assert set(manifest.files) == {"curves.parquet", "scores.parquet", "training.parquet", "weights.safetensors"}
    found = read_scores(folder)
    assert (found.image, found.group, found.subset) == (scores.image, scores.group, scores.subset)
    np.testing.assert_array_equal(found.score, scores.score)
    assert load_file(folder / "weights.safetensors")["w"].tolist() == [1.0, 1.0]
    assert find_run(results.runs, manifest.run_id) == manifest
    assert list(run_folders(results.runs)) == [folder]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(
    results: Results, make_manifest: MakeManifest, scores: Scores, bad: float
) -> None:
    broken = replace(scores, score=np.array([0.1, bad, 0.2, 0.3]))
    with pytest.raises(StoreError, match="the score of image 'n2' is"):
        write_run(results.runs, make_manifest(), broken, [], None)
    assert not list(results.runs.iterdir())


def test_an_image_scored_twice_is_refused(results: Results, make_manifest: MakeManifest, scores: Scores) -> None:
    with pytest.raises(StoreError, match="scored twice"):
        write_run(results.runs, make_manifest(), replace(scores, image=["n1", "n1", "a1", "a2"]), [], None)


@pytest.mark.parametrize("stage", ["sync", "_sha256"])
def test_a_failure_while_writing_leaves_no_run(
    results: Results, make_manifest: MakeManifest, scores: Scores, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result, stage, full)
    with pytest.raises(StoreError, match="No space left on device; free space or choose another --results"):
        write_run(results.runs, make_manifest(), scores, [], None)
    assert list(results.runs.iterdir()) == []


def test_a_folder_without_manifest_or_with_an_altered_file_is_no_run(results: Results, make_run: Any) -> None:
    manifest = make_run()
    folder = results.runs / manifest.run_id
    (folder / "scores.parquet").write_bytes(b"altered")
    assert find_run(results.runs, manifest.run_id) is None
    (folder / "manifest.json").unlink()
    assert find_run(results.runs, manifest.run_id) is None
    assert list(run_folders(results.runs)) == []
    make_run()
    assert find_run(results.runs, manifest.run_id) is not None


def test_weights_may_be_removed_later(results: Results, make_manifest: MakeManifest, scores: Scores) -> None:
    folder = write_run(results.runs, make_manifest(), scores, [], {"w": torch.ones(2)})
    (folder / "weights.safetensors").unlink()
    assert find_run(results.runs, make_manifest().run_id) is not None


def test_examples_lie_in_a_folder_of_their_own_and_are_known_by_hash(
    results: Results, make_manifest: MakeManifest, scores: Scores
) -> None:
    folder = write_run(results.runs, make_manifest(), scores, [], None, PICTURES)
    assert sorted(path.name for path in (folder / "examples").iterdir()) == [
        "00-input.png",
        "00-map.png",
        "01-input.png",
        "examples.json",
    ]
    assert json.loads((folder / "examples" / "examples.json").read_text()) == [
        {
            "image": "a1",
            "label": 1,
            "subtype": "spot",
            "score": 0.35,
            "files": {"input": "00-input.png", "map": "00-map.png"},
            "map_white": 2.5,
        },
        {"image": "n1", "label": 0, "subtype": "normal", "score": 0.1, "files": {"input": "01-input.png"}},
    ]
    files = read_manifest(folder).files
    assert files["examples/00-map.png"] == hashlib.sha256(b"map").hexdigest()
    assert {name for name in files if name.startswith("examples/")} == {
        "examples/00-input.png",
        "examples/00-map.png",
        "examples/01-input.png",
        "examples/examples.json",
    }
    assert find_run(results.runs, make_manifest().run_id) is not None


def test_weights_and_pictures_may_be_altered_removed_or_linked_and_nothing_else(
    results: Results, make_manifest: MakeManifest, scores: Scores, tmp_path: Path
) -> None:
    """No figure depends on them, so a run is not made again because of them."""
    folder = write_run(results.runs, make_manifest(), scores, [], {"w": torch.ones(2)}, PICTURES)
    (folder / "examples" / "00-map.png").write_bytes(b"another")
    (folder / "weights.safetensors").rename(tmp_path / "moved")
    (folder / "weights.safetensors").symlink_to(tmp_path / "moved")
    assert find_run(results.runs, make_manifest().run_id) is not None
    for path in (folder / "examples").iterdir():
        path.unlink()
    (folder / "examples").rmdir()
    (folder / "weights.safetensors").unlink()
    assert find_run(results.runs, make_manifest().run_id) is not None
    (folder / "curves.parquet").unlink()
    with pytest.raises(StoreError, match=r"curves\.parquet is missing"):
        check_files(folder, read_manifest(folder))


def test_everything_is_synced_before_the_manifest_is_written(
    results: Results, make_manifest: MakeManifest, scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []

    def sync(path: Path) -> None:
        folder = next(parent for parent in (path, *path.parents) if parent.name.endswith(".tmp") or parent == results.runs)
        synced.append((path.relative_to(folder).as_posix(), (folder / "manifest.json").exists()))

    monkeypatch.setattr(result, "sync", sync)
    monkeypatch.setattr(placing, "sync", sync)
    write_run(results.runs, make_manifest(), scores, [], {"w": torch.ones(2)}, PICTURES)
    assert synced.pop() == (".", False)  # the folder of all runs, once this one is in place
    assert {name for name, with_manifest in synced if not with_manifest} == {
        "scores.parquet",
        "curves.parquet",
        "training.parquet",
        "weights.safetensors",
        "examples",
        "examples/00-input.png",
        "examples/00-map.png",
        "examples/01-input.png",
        "examples/examples.json",
    }
    assert [name for name, with_manifest in synced if with_manifest] == ["manifest.json", "."]


@pytest.mark.parametrize(
    "name",
    ["../x", "examples/../../x", "/etc/passwd", "..\\x", "C:x", "examples//x", "./x", "examples/..", "x\0", ""],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(results: Results, make_run: Any, name: str) -> None:
    folder = results.runs / make_run().run_id
    (results.runs / "x").write_bytes(b"")
    manifest = read_manifest(folder)
    strange = manifest.model_copy(update={"files": {name: hashlib.sha256(b"").hexdigest()}})
    with pytest.raises(StoreError, match="names a file outside its folder"):
        check_files(folder, strange)


def test_linked_scores_are_refused_wherever_they_lead(results: Results, make_run: Any, tmp_path: Path) -> None:
    folder = results.runs / make_run().run_id
    (folder / "scores.parquet").rename(tmp_path / "scores.parquet")
    (folder / "scores.parquet").symlink_to(tmp_path / "scores.parquet")
    with pytest.raises(StoreError, match=r"is a link; put the file itself there"):
        check_files(folder, read_manifest(folder))


def test_manifests_of_another_time_or_kind_are_told(results: Results, make_run: Any) -> None:
    folder = results.runs / make_run(format=99).run_id
    with pytest.raises(StoreError, match=r"newer adbench \(format 99\); upgrade"):
        read_manifest(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(StoreError, match="not a manifest"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({}, None),
        ({"train_size": "40"}, "learning curve: 40 training images"),
        ({"epochs": "2"}, "off protocol: epochs=2"),
        ({"train_size": "40", "epochs": "2"}, "learning curve: 40 training images; off protocol: epochs=2"),
    ],
)
def test_why_a_run_is_not_ranked_is_said(make_manifest: MakeManifest, overrides: dict[str, str], reason: str | None) -> None:
    assert make_manifest(protocol={"name": "p", "overrides": overrides}).unranked == reason
