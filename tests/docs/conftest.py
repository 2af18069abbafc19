"""A fresh environment in which a reader of the documentation types."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def reader(tmp_path: Path, start_warm: Callable[[str], Any]) -> Iterator[dict[str, str]]:
    """Environment variables of a shell with an environment of its own, in which adbench is installed and nothing of the reader's."""
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    python = place / "bin" / "python"
    typed = tmp_path / "bin"
    typed.mkdir()
    kept = {name: word for name, word in os.environ.items() if not name.startswith(("ADBENCH_", "PYTHON", "PYTEST_"))}
    with start_warm(str(python)) as warm:  # a page has thirty processes, and most would import torch
        for name, words in {
            "adbench": f'{warm.python} -c "from adbench_harness.cli import main; main()"',
            "pip": f"{sys.executable} -m pip --python {python}",
            "python": str(warm.python),
        }.items():
            (typed / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            (typed / name).chmod(0o755)
        yield {
            **kept,
            "PATH": f"{typed}:{place / 'bin'}:{os.environ['PATH']}",
            "ADBENCH_HOME": str(tmp_path / "home"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "OMP_NUM_THREADS": "1",
        }
