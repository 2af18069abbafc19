"""What is known of an imported dataset besides its files: where they lie, and whether they are the original."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..api import DataError, DatasetSpec
from ..home import Home, put_in_place

How = Literal["copied", "linked", "in place"]


class ImportRecord(BaseModel):
    """Written beside a dataset's folder by every import."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    how: How
    folder: Path
    """Where the files lie."""
    source: Path
    imported: str
    """UTC, ISO 8601."""
    edition: str | None
    """The edition whose every file is there; None for a partial copy."""
    files: int
    bytes: int

    @property
    def partial(self) -> bool:
        """Whether the copy was taken in although it is not the original."""
        return self.edition is None


def record_file(spec: DatasetSpec, home: Home) -> Path:
    """The record of a dataset's import."""
    return home.dataset(spec.folder_name).with_name(f"{spec.folder_name}.json")


def read_record(spec: DatasetSpec, home: Home) -> ImportRecord | None:
    """The record of an import; None if there is none.

    Raises:
        DataError: if it is damaged.
    """
    path = record_file(spec, home)
    try:
        return ImportRecord.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no record of an import"
        raise DataError(f"{path} can't be read ({reason}); import {spec.folder_name} again") from None


def write_record(record: ImportRecord, spec: DatasetSpec, home: Home) -> None:
    """Put a record in place, whole or not at all. Raises OSError."""
    with put_in_place(record_file(spec, home)) as unfinished:
        unfinished.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def remove_import(spec: DatasetSpec, home: Home) -> Path | None:
    """Remove what an import put into the home; the folder of a dataset in place stays. Returns what was removed.

    Raises:
        DataError: naming what can't be removed.
    """
    place, record = home.dataset(spec.folder_name), record_file(spec, home)
    there = place if place.exists() or place.is_symlink() else record if record.exists() else None
    try:
        if place.is_symlink():
            place.unlink()
        elif place.exists():
            shutil.rmtree(place)
        record.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot remove {error.filename or place}: {error.strerror or error}") from None
    return there
