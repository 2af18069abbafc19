"""Folders of images as archives and file managers leave them: wrapped in further folders, beside nested copies and litter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from adbench_harness.api import DataError

REPAIR: Final = "import the dataset again from the original archive"
DEPTH: Final = 3
"""How many enclosing folders are looked through; published archives have one or two."""
_LITTER: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What operating systems leave beside the files of a user, in lower case; they also leave names that start with a dot."""


def entries(folder: Path) -> list[Path]:
    """The files and folders directly in a folder, by name, without what operating systems leave there.

    Raises:
        DataError: if it is missing, no folder, or can't be read.
    """
    try:
        found = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"{folder} can't be read ({error.strerror}); {REPAIR}") from None
    return [path for path in found if not path.name.startswith(".") and path.name.lower() not in _LITTER]


def outermost(root: Path, is_wanted: Callable[[Path], bool]) -> Path | None:
    """The wanted folder that lies highest: ``root`` or below it; copies further down are not looked at.

    Raises:
        DataError: if two wanted folders lie equally high, so that it is unclear which one is meant.
    """
    level = [root]
    for _ in range(DEPTH + 1):
        wanted = [folder for folder in level if is_wanted(folder)]
        if len(wanted) > 1:
            raise DataError(
                f"{root} holds two copies of the dataset, {wanted[0]} and {wanted[1]}; remove one of them, or {REPAIR}"
            )
        if wanted:
            return wanted[0]
        level = [path for folder in level for path in entries(folder) if path.is_dir()]
    return None
