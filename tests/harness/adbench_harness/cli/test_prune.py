"""adbench results prune, and the runs that it prunes, as typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.home import Results
from adbench_harness.retention import Removable

Adbench = Callable[..., subprocess.CompletedProcess[str]]
TINY = ("run", "-m", "tiny-autoencoder", "-d", "tiny-discs", "--protocol", "tiny-protocol", "--set", "epochs=1")
DRAWS = """
import torch
from adbench_harness.api import FittedDetector, ModelSpec, hookimpl
adbench_api = 1
class Drawing(FittedDetector):
    def __init__(self, options, context): self.mean = torch.zeros(1)
    def fit(self, images, context): self.mean = images.batch(torch.arange(8)).mean(dim=0)
    def score(self, images): return (images - self.mean).square().mean(dim=(1, 2, 3))
    def state(self): return {"mean": self.mean}
    def load(self, state): self.mean = state["mean"]
    def reconstruct(self, images): return self.mean.expand_as(images)
    def anomaly_map(self, images): return (images - self.mean).square().mean(dim=1)
class Broken(Drawing):
    def anomaly_map(self, images): return images
@hookimpl
def register_models(register):
    register(ModelSpec("NAME", "t", CLASS, "p", "f", "a", "b", "c", revision=1))
"""


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


def files(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def drawing(fake_distribution: Any) -> None:
    """Two models of a third party: one draws, the other fails to."""
    modules = {
        name: DRAWS.replace("NAME", name).replace("CLASS", kind) for name, kind in (("draws", "Drawing"), ("breaks", "Broken"))
    }
    fake_distribution("drawing", "1", modules, {"adbench.models": {name: name for name in modules}})


def test_a_rehearsal_changes_nothing_and_then_what_it_listed_goes(tiny: Path, adbench: Adbench, results: Results) -> None:
    made = json.loads(done(adbench(*TINY, "--seed", "all", "--keep-weights", "all", "--json")))
    assert [run["warnings"] for run in made] == [[], []]
    weights = sorted(results.runs.glob("*/weights.safetensors"))
    assert len(weights) == 2
    (results.running / "unfinished").mkdir()
    (results.running / "unfinished" / "checkpoint.pt").write_bytes(b"work")
    before = files(results.root)

    rehearsed = done(adbench("results", "prune", "--dry-run"))
    listed = json.loads(done(adbench("results", "prune", "--dry-run", "--json")))
    assert files(results.root) == before
    assert [item["kind"] for item in listed["items"]] == ["weights", "lock", "lock"]
    assert listed["bytes"] == listed["items"][0]["bytes"] > 0
    assert f"would free {listed['bytes']:,} bytes" in rehearsed
    assert listed["items"][0]["path"] in rehearsed

    pruned = json.loads(done(adbench("results", "prune", "--json")))
    assert pruned == {**listed, "dry_run": False}
    assert set(before) - set(files(results.root)) == {
        str(Path(item["path"]).relative_to(results.root)) for item in listed["items"]
    }
    assert files(results.root).items() <= before.items()
    assert "nothing to remove in" in done(adbench("results", "prune"))

    (left,) = (path for path in weights if path.exists())
    size = left.stat().st_size
    assert f"freed {size:,} bytes" in done(adbench("results", "prune", "--keep-weights", "none"))
    assert not left.exists()
    assert "freed 4 bytes" in done(adbench("results", "prune", "--checkpoints"))
    assert not list(results.running.iterdir())
    assert "2 runs in" in done(adbench("results", "rebuild"))
    assert len(json.loads(done(adbench("results", "list", "--json")))) == 2
    assert "already done" in done(adbench(*TINY))


def test_pictures_are_made_shown_in_the_manifest_and_pruned(drawing: None, adbench: Adbench, results: Results) -> None:
    (run,) = json.loads(done(adbench("run", "-m", "draws", "-d", "phantom", "--json")))
    pictures = Path(run["folder"]) / "examples"
    assert len(list(pictures.glob("*.png"))) == 3 * 16
    shown = done(adbench("results", "show", run["run_id"]))
    assert "53, with their hashes in manifest.json" in shown
    assert "nothing to remove" not in done(adbench("results", "prune"))  # its lock
    assert pictures.is_dir()
    size = sum(path.stat().st_size for path in pictures.iterdir())
    assert f"freed {size:,} bytes" in done(adbench("results", "prune", "--examples"))
    assert not pictures.exists()
    assert "already done" in done(adbench("run", "-m", "draws", "-d", "phantom"))
    assert "1 runs in" in done(adbench("results", "rebuild"))


def test_a_detector_that_fails_to_draw_is_warned_of(drawing: None, adbench: Adbench) -> None:
    result = adbench("run", "-m", "breaks", "-d", "phantom", "--keep-weights", "none")
    folder = Path(done(result).rpartition("stored in ")[2].strip())
    assert (
        f"adbench: warning: {folder.name} is stored without example pictures: the detector's anomaly map must be" in result.stderr
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.parquet",
        "manifest.json",
        "scores.parquet",
        "training.parquet",
    ]


def test_what_cannot_be_removed_is_said_and_the_rest_goes(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from adbench_harness import retention
    from adbench_harness.cli import cli

    results.running.mkdir(parents=True)
    for run_id in ("r0", "r1"):
        results.lock(run_id).touch()
    remove = retention.remove

    def refuse(results: Results, item: Removable) -> bool:
        if item.run_id == "r0":
            raise PermissionError(13, "Permission denied")
        return remove(results, item)

    monkeypatch.setattr(retention, "remove", refuse)
    result = CliRunner().invoke(cli, ["results", "prune", "--results", str(results.root)])
    assert result.exit_code == 1
    assert f"adbench: error: cannot remove {results.lock('r0')}: Permission denied" in result.output
    assert "freed 0 bytes" in result.output
    assert not results.lock("r1").exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["results", "prune", "--results", "mistyped"], 1, "there is no results folder"),
        (["results", "prune", "--keep-weights", "oldest"], 2, "'oldest' is not one of 'newest', 'all', 'none'"),
        (["run", "-m", "pca", "-d", "phantom", "--keep-weights", "some"], 2, "'some' is not one of"),
    ],
)
def test_bad_input_gets_one_clear_error(adbench: Adbench, words: list[str], status: int, message: str) -> None:
    result = adbench(*words)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert (result.returncode, result.stdout) == (status, "")
