"""``pytest --parity-dir DIR``: numbers of public implementations with which detectors are compared, from a folder of yours.

pytest looks for its settings where its arguments point, before any conftest has told it about options: a folder after a space
would be taken for a place with tests, and the project's settings would not be found. So the option is known to pytest as soon
as adbench is installed, and a command line that was misread is read again with the folder behind "=".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from pluggy import HookimplMarker

if TYPE_CHECKING:
    import pytest

OPTION: Final = "--parity-dir"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the option known."""
    parser.addoption(OPTION, metavar="DIR", help="adbench: folder of parity vectors, instead of those that ship with its tests")


@HookimplMarker("pytest")(wrapper=True, tryfirst=True)  # before pytest captures what is printed
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None, None, None]:
    """Start over with the folder behind "=" if it was taken for a place with tests."""
    settings_missed = early_config.inipath is None and (early_config.invocation_params.dir / "pyproject.toml").is_file()
    typed = list(early_config.invocation_params.args) == sys.argv[1:]
    if settings_missed and typed and OPTION in args[:-1]:
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *joined(args)])
    yield


def joined(words: list[str]) -> list[str]:
    """A command line with ``--parity-dir=DIR`` as one word."""
    place = words.index(OPTION)
    return [*words[:place], f"{OPTION}={words[place + 1]}", *words[place + 2 :]]
