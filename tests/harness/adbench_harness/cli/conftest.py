from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Adbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def adbench(tmp_path: Path, warm: Any) -> Adbench:
    """Types a command as a user does, in a process of its own, with a home and a results folder of its own."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {
            "ADBENCH_HOME": str(tmp_path / "home"),
            "ADBENCH_RESULTS": str(tmp_path / "results"),
            "TORCH_HOME": str(tmp_path / "torch"),
        }
        command = [sys.executable, "-c", "from adbench_harness.cli import main; main()", *words]
        done: subprocess.CompletedProcess[str] = warm.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, **own, **environment}
        )
        return done

    return run
