"""The manifests of originals that ship in this package: one table of path, SHA-256 and size a dataset."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from adbench_harness.api import ManifestEntry

FOLDER: Final = "manifests"


def read_shipped_manifest(dataset: str) -> Sequence[ManifestEntry]:
    """Every file of a dataset's original with its SHA-256 and size."""
    text = (files(__package__) / FOLDER / f"{dataset}.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return [ManifestEntry(row["path"], row["sha256"], int(row["bytes"])) for row in rows]
