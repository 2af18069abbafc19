"""The dataset that is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..api import DatasetSpec
from ..home import Home
from ..registry import Plugin


@dataclass
class DatasetSubject:
    """A dataset and where its files lie."""

    plugin: Plugin[DatasetSpec]
    home: Home
    folder: Path
    """Where the checks may write."""
