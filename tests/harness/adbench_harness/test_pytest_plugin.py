from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adbench_harness.pytest_plugin import joined

ROOT = Path(__file__).parents[3]
OTHERS = [
    *(
        f"--ignore=tests/{folder}"
        for folder in ("architecture", "docs", "examples", "harness", "leaderboard", "plugins/datasets")
    ),
    "--ignore-glob=*/adbench_models/test_*.py",
]
"""Tests that have no vectors: to collect them takes as long as to run thirty."""
SHIPPED = ROOT / "tests" / "data" / "parity"


@pytest.mark.parametrize("equals", [True, False])
def test_a_folder_of_vectors_is_taken_however_it_is_typed(tmp_path: Path, equals: bool) -> None:
    (tmp_path / "mine.json.gz").write_bytes((SHIPPED / "multikd.json.gz").read_bytes())
    words = [f"--parity-dir={tmp_path}"] if equals else ["--parity-dir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", "-m", "parity", *words, *OTHERS, "--collect-only", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_multikd.py::test_training[mine.json.gz-small]" in done.stdout
    assert "test_ganomaly.py::test_training[none]" in done.stdout, "nothing of it in that folder: skipped, with the reason"


def test_only_folders_move_behind_their_options() -> None:
    assert joined(["-m", "parity", "--parity-dir", "/a b", "-q"]) == ["-m", "parity", "--parity-dir=/a b", "-q"]
    assert joined(["--adbench-home", "h", "--adbench-model", "pca", "--parity-dir=p"]) == [
        "--adbench-home=h",
        "--adbench-model",
        "pca",
        "--parity-dir=p",
    ]
    assert joined(["--adbench-home"]) == ["--adbench-home"]
