"""Options for pytest, known as soon as adbench is installed: ``--parity-dir`` of adbench's own tests, and what
``adbench_harness.conformance.suite`` looks at.

pytest looks for its settings where its arguments point, before any plugin has told it about options: a folder after a space would
be taken for a place with tests. The project's settings would not be found, or pytest would leave its cache in that folder. So a
command line that was misread is read again with the folder behind "=".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Final

from pluggy import HookimplMarker

if TYPE_CHECKING:
    import pytest

FOLDERS: Final = ("--parity-dir", "--adbench-home")
"""Options that take a folder."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the options known."""
    group = parser.getgroup("adbench", "adbench")
    group.addoption(
        "--parity-dir", metavar="DIR", help="folder of parity vectors, instead of those that ship with adbench's tests"
    )
    suite = "of adbench_harness.conformance.suite: "
    for kind in ("model", "dataset"):
        group.addoption(
            f"--adbench-{kind}", metavar="NAME", action="append", default=[], help=f"{suite}a {kind}, which is to keep the rules"
        )
    group.addoption("--adbench-set", metavar="NAME=VALUE", action="append", default=[], help=f"{suite}an option of the models")
    group.addoption("--adbench-device", metavar="DEVICE", default="cpu", help=f"{suite}where models compute  [cpu]")
    group.addoption("--adbench-image-size", metavar="PIXELS", type=int, default=32, help=f"{suite}as of `models check`  [32]")
    group.addoption("--adbench-budget", metavar="IMAGES", type=int, default=1920, help=f"{suite}as of `models check`  [1920]")
    group.addoption(
        "--adbench-home", metavar="DIR", help=f"{suite}where datasets lie  [ADBENCH_HOME, else the user's data folder]"
    )


@HookimplMarker("pytest")(wrapper=True, tryfirst=True)  # before pytest captures what is printed
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None, None, None]:
    """Start over with the folders behind "=" if they were taken for places with tests."""
    here = early_config.invocation_params.dir
    misread = early_config.inipath is None and ((here / "pyproject.toml").is_file() or early_config.rootpath != here)
    typed = list(early_config.invocation_params.args) == sys.argv[1:]
    if misread and typed and any(word in args[:-1] for word in FOLDERS):
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *joined(args)])
    yield


def joined(words: Sequence[str]) -> list[str]:
    """A command line with each ``--option DIR`` that takes a folder as one word, ``--option=DIR``."""
    left, made = list(words), []
    while left:
        word = left.pop(0)
        made.append(f"{word}={left.pop(0)}" if word in FOLDERS and left else word)
    return made
