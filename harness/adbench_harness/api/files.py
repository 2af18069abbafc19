"""What a file is, as the harness and every dataset tell it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LITTER: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What operating systems leave beside the files of a user, in lower case; they also leave names that start with a dot."""
DICOM_MAGIC: Final = b"DICM"
DICOM_MAGIC_AT: Final = 128


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's."""
    return name.startswith(".") or name.lower() in LITTER


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(DICOM_MAGIC_AT + len(DICOM_MAGIC))[DICOM_MAGIC_AT:] == DICOM_MAGIC
