"""adbench score, as typed; what it does with each kind of run is tested with ``applying``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adbench_harness.api import OptionError, UnknownNameError
from adbench_harness.cli import cli
from adbench_harness.result import read_manifest, read_scores

Score = Callable[..., tuple[int, str, str]]


@pytest.fixture
def score(trained: Any, capsys: pytest.CaptureFixture[str]) -> Score:
    """Types ``adbench score`` on the trained run; exit status, and what is printed."""

    def typed(*words: object) -> tuple[int, str, str]:
        status = 0
        try:
            cli.main(
                ["score", "--run", "pca", "--device", "cpu", "--results", str(trained.results.root), *map(str, words)],
                standalone_mode=False,
            )
        except SystemExit as error:
            status = int(error.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return typed


@pytest.fixture
def extremes(trained: Any) -> list[Path]:
    """A normal and an abnormal test image, lowest and highest of all scores."""
    scores = read_scores(trained.folder)
    order = scores.score.argsort()
    return [trained.images / scores.image[place] for place in (order[0], order[-1])]


def test_a_table_with_verdicts_and_what_they_are_worth(score: Score, extremes: list[Path], trained: Any) -> None:
    status, out, err = score(*extremes)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [word in lines[0] + lines[1] for word in ("image", "score", "normal-q95", "verdict", "percentile of 20")] == [True] * 5
    assert lines[2].split()[0] == str(extremes[0])
    assert lines[2].split()[-2] == "normal"
    assert lines[3].split()[-2:] == ["abnormal", "100.0"]
    images = read_manifest(trained.folder).training["images"]
    assert f"pca (components=6, grid=8), trained on {images} normal images of Folder own" in out
    assert "unranked (off protocol: image_size=16)" in out
    assert "not a medical device" in out


def test_json_with_maps_and_a_bad_image(score: Score, extremes: list[Path], tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(extremes[1], scans / "high.png")
    (scans / "broken.png").write_text("no image")
    (scans / "notes.txt").write_text("none")
    status, out, _ = score(scans, tmp_path / "gone.png", "--maps", tmp_path / "maps", "--json")
    answer = json.loads(out)
    assert status == 1
    assert [one["verdict"] for one in answer["images"]] == ["abnormal"]
    assert answer["images"][0]["map"] == str(tmp_path / "maps" / "high.png.map.png")
    with Image.open(answer["images"][0]["map"]) as drawn:
        assert drawn.size == (16, 16)
    assert [Path(one["image"]).name for one in answer["failed"]] == ["gone.png", "broken.png"]
    assert (answer["passed_over"], answer["oracle"], answer["held_out"]) == (1, False, 20)
    assert answer["maps"]["files"] == 1
    assert answer["warnings"] == []


def test_bad_images_are_named_and_the_status_is_1(score: Score, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, out, err = score(tmp_path / "empty")
    assert (status, out) == (1, "")
    assert f"adbench: error: {tmp_path / 'empty'}: holds no image" in err


def test_an_oracle_is_called_so(score: Score, extremes: list[Path]) -> None:
    _, out, err = score(*extremes, "--rule", "youden")
    assert "youden (oracle)" in out
    assert "youden is an oracle rule: its threshold saw the labels of the run's test images" in err


def test_a_detector_without_maps_says_so(
    score: Score, extremes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adbench_models.pca.PCADetector.anomaly_map", lambda self, images: None)
    status, out, err = score(*extremes, "--maps", tmp_path / "maps")
    assert status == 0
    assert "pca makes no anomaly maps, so none were written" in err
    assert "maps in" not in out


def test_a_run_with_no_held_out_images_gives_scores_alone(
    score: Score, extremes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adbench_harness.applying.verdicts.FEWEST_HELD_OUT", 21)
    _, out, err = score(*extremes)
    assert [line.split()[2:4] for line in out.splitlines()[2:4]] == [["-", "-"]] * 2
    assert "no verdicts: normal-q95 needs" in err


def test_a_detector_that_somebody_else_trained_is_said_to_be_so(
    score: Score, extremes: list[Path], trained: Any, tmp_path: Path
) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / trained.folder.name)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["received"] = {"bundle": "b" * 64, "imported": "2026-01-02T03:04:05Z"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    _, out, _ = score(*extremes, "--run", folder, "--json")
    answer = json.loads(out)
    assert answer["status"] == "self-reported"
    assert answer["warnings"][0].startswith("the detector came in a bundle and is self-reported: the scores are as somebody else")
    assert [one["verdict"] for one in answer["images"]] == ["normal", "abnormal"]


def test_maps_do_not_go_among_the_images(score: Score, extremes: list[Path]) -> None:
    with pytest.raises(OptionError, match="maps would be taken for images"):
        score(extremes[0].parent, "--maps", extremes[0].parent / "maps")


def test_a_run_that_is_not_there_is_refused(score: Score, extremes: list[Path]) -> None:
    with pytest.raises(UnknownNameError, match=r"no run is called 'pcs-folder-own'; did you mean pca-folder-own-"):
        score(*extremes, "--run", "pcs-folder-own")
