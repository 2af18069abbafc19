from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adbench_harness import result
from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.result import CurvePoint, Manifest, Scores, find_run, read_manifest, read_scores, run_folders, write_run

MakeManifest = Callable[..., Manifest]


def test_a_run_comes_back_as_it_was_written(results: Results, make_manifest: MakeManifest, scores: Scores) -> None:
    folder = write_run(results.runs, make_manifest(), scores, [CurvePoint("distil", 3, "loss", 0.25)], {"w": torch.ones(2)})
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.parquet",
        "manifest.json",
        "scores.parquet",
        "weights.safetensors",
    ]
    manifest = read_manifest(folder)
    assert manifest == make_manifest().model_copy(update={"files": manifest.files})
    assert set(manifest.files) == {"curves.parquet", "scores.parquet", "weights.safetensors"}
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


@pytest.mark.parametrize("stage", ["_sync", "_sha256"])
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


def test_manifests_of_another_time_or_kind_are_told(results: Results, make_run: Any) -> None:
    folder = results.runs / make_run(format=99).run_id
    with pytest.raises(StoreError, match=r"newer adbench \(format 99\); upgrade"):
        read_manifest(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(StoreError, match="not a manifest"):
        read_manifest(folder)
