"""What a user gets: the wheel holds all four packages, their data, and nothing called plugins or harness."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    place = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "-w",
        str(place),
        str(ROOT),
    ]
    subprocess.run(pip, check=True)
    return zipfile.ZipFile(next(place.glob("*.whl"))).namelist()


def test_it_holds_four_packages_under_their_own_names(wheel: list[str]) -> None:
    top = {name.partition("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "adbench_harness",
        "adbench_models",
        "adbench_datasets",
        "adbench_leaderboard",
    }


def test_it_holds_the_data_that_plugins_and_site_read(wheel: list[str]) -> None:
    assert sum(name.endswith(".png") and "phantom_images" in name for name in wheel) == 480
    for dataset in ("br35h", "brain-tumor-mri", "c-nmc", "head-ct", "mias", "retinal-oct"):
        assert f"adbench_datasets/manifests/{dataset}.tsv.gz" in wheel
    assert "adbench_datasets/mias_normal_patches.tsv" in wheel
    assert "adbench_harness/published/numbers.toml" in wheel
    assert any(name.startswith("adbench_leaderboard/templates/") for name in wheel)
    assert "adbench_leaderboard/static/style.css" in wheel
    assert any(name.endswith("py.typed") for name in wheel)
