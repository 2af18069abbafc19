from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adbench_harness.cli.preparing import prepare_all
from adbench_harness.executors.attempts import execute
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.runner import Conditions

REQUEST = RunRequest("pca", "tiny-discs", "esmaeili2023", device="cpu", settings={"train_size": "12"})


@pytest.fixture
def other(tmp_path: Path, tiny: Path, home: Home) -> str:
    """A dataset of one's own that has some images in common with the third party's."""
    discs = plan(REQUEST, home)
    for sample in discs.listing.samples:
        place = tmp_path / "own" / ("abnormal" if sample.label else "normal")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(discs.listing.root / sample.path, place / f"{sample.id}{Path(sample.path).suffix}")
    return f"folder:{tmp_path / 'own'}"


def files(home: Home) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(home.root.rglob("*")) if path.is_file()}


def test_images_of_a_test_on_another_dataset_are_prepared_too(
    home: Home, results: Results, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    request = replace(REQUEST, eval_dataset=other)
    assert prepare_all([request, replace(request, model="histogram")], home, quiet=True) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("tiny-discs, esmaeili2023, split 0: ")
    assert second.startswith(f"tiny-discs, esmaeili2023, split 0, tested on {other}: ")
    before = files(home)
    assert [attempt.error for attempt in execute([request], Conditions(home, results))] == [None, None]
    assert files(home) == before


def test_a_dataset_that_can_t_be_tested_on_is_said(home: Home, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    request = replace(REQUEST, eval_dataset="tiny-discs")
    assert prepare_all([request], home, quiet=True) == 2
    prepared, refused = capsys.readouterr().out.splitlines()
    assert " images in " in prepared
    assert refused.endswith(": --eval-dataset tiny-discs is the dataset that is learnt from; name another")
