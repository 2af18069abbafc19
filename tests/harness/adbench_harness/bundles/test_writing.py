from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.api import OptionError, StoreError, UnknownNameError
from adbench_harness.bundles.writing import Wanted, bundled, stored, write_bundle
from adbench_harness.home import Results
from adbench_harness.manifest import Manifest


def test_the_same_runs_give_the_same_bytes(made: Any, tmp_path: Path) -> None:
    time.sleep(0.01)
    again = write_bundle(made.results, [made.run_id, made.run_id], tmp_path / "again.adbench", Wanted(weights=True, images=True))
    assert again.path.read_bytes() == made.bundle.read_bytes()
    assert again.bytes == made.bundle.stat().st_size


def test_weights_and_pictures_go_along_only_if_asked_for(made: Any, tmp_path: Path, contents: Any) -> None:
    files = contents(write_bundle(made.results, [made.run_id], tmp_path / "bare.adbench", Wanted()).path)
    start = f"runs/{made.run_id}"
    assert list(files) == ["index.json", f"{start}/curves.csv", f"{start}/manifest.json", f"{start}/scores.csv"]
    whole = contents(made.bundle)
    assert f"{start}/weights.safetensors" in whole
    assert f"{start}/examples/00-input.png" in whole


def test_commands_and_hashes_of_this_folder_stay_at_home(made: Any, contents: Any) -> None:
    manifest = json.loads(contents(made.bundle)[f"runs/{made.run_id}/manifest.json"])
    assert (manifest["command"], manifest["files"], manifest["received"]) == ("", {}, None)


def test_what_can_t_be_exported(
    results: Results, make_run: Callable[..., Manifest], make_manifest: Callable[..., Manifest], tmp_path: Path
) -> None:
    out = tmp_path / "x.adbench"
    with pytest.raises(StoreError, match="has no run to export"):
        bundled(results)
    make_run("pca-made-0001")
    make_run("pca-made-0002")
    cell = make_manifest().cell.model_copy(update={"trained_on": "other"})
    make_run("pca-other-on-made-0003", cell=cell)
    assert bundled(results) == ["pca-made-0001", "pca-made-0002"]
    assert stored(results, "pca-made-0001") == "pca-made-0001"
    with pytest.raises(UnknownNameError, match="2 runs begin with 'pca-made'; it may be pca-made-0001, pca-made-0002"):
        stored(results, "pca-made")
    with pytest.raises(UnknownNameError, match="no runs begin with 'x'; see: adbench results list"):
        stored(results, "x")
    with pytest.raises(StoreError, match="such runs are never ranked and don't go in bundles"):
        write_bundle(results, ["pca-other-on-made-0003"], out, Wanted())
    with pytest.raises(StoreError, match="keeps no weights; leave out --with-weights"):
        write_bundle(results, ["pca-made-0001"], out, Wanted(weights=True))
    where_kept = write_bundle(results, ["pca-made-0001"], tmp_path / "kept.adbench", Wanted(weights=True, where_kept=True))
    assert where_kept.without_weights == ("pca-made-0001",)
    assert write_bundle(results, ["pca-made-0001"], out, Wanted(images=True)).without_images == ("pca-made-0001",)
    with pytest.raises(OptionError, match="is there already"):
        write_bundle(results, ["pca-made-0001"], out, Wanted())
    with pytest.raises(StoreError, match="cannot write"):
        write_bundle(results, ["pca-made-0001"], tmp_path / "no" / "x.adbench", Wanted())


def test_a_run_that_was_altered_is_not_passed_on(made: Any, results: Results, tmp_path: Path) -> None:
    shutil.copytree(made.results.runs, results.runs)
    folder = results.runs / made.run_id
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(StoreError, match=r"weights\.safetensors is not the file that the run wrote"):
        write_bundle(results, [made.run_id], tmp_path / "x.adbench", Wanted(weights=True))
    (folder / "scores.parquet").write_bytes(b"other")
    with pytest.raises(StoreError, match=r"scores\.parquet is not the file that the run wrote"):
        write_bundle(results, [made.run_id], tmp_path / "x.adbench", Wanted())
    assert not list(tmp_path.glob("*.adbench"))
