"""The manifests of originals that ship in this package: one compressed table of path, SHA-256 and size a dataset."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from adbench_harness.api import ManifestEntry

FOLDER: Final = "manifests"
SUFFIX: Final = ".tsv.gz"
COLUMNS: Final = ("path", "sha256", "bytes")


@cache
def read_shipped_manifest(dataset: str) -> Sequence[ManifestEntry]:
    """Every known file of a dataset's original with its SHA-256 and size; scripts/ship_manifests.py writes what this reads."""
    packed = (files(__package__) / FOLDER / f"{dataset}{SUFFIX}").read_bytes()
    rows = csv.DictReader(gzip.decompress(packed).decode("utf-8").splitlines(), delimiter="\t")
    return tuple(ManifestEntry(row["path"], row["sha256"], int(row["bytes"])) for row in rows)
