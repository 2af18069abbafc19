"""What a dataset is: facts about it, and one function that lists its samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NORMAL = "normal"
"""The subtype of every normal sample."""


@dataclass(frozen=True)
class Box:
    """A crop in pixels of the decoded image; ``left`` and ``top`` inclusive, ``right`` and ``bottom`` exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Sample:
    """One image of a dataset."""

    id: str
    """Stable, unique within the dataset, the same on every platform."""
    path: str
    """The file, relative to the dataset's folder, with forward slashes."""
    label: int
    """0 normal, 1 abnormal."""
    subtype: str = NORMAL
    """Kind of abnormality; "normal" for label 0."""
    group: str | None = None
    """Patient, eye or film pair: what must not fall on both sides of a split. None if unknown."""
    box: Box | None = None
    official_split: str | None = None
    """"train" or "test" where the source has such a split."""
    mask: str | None = None
    """A file of the lesion's mask, relative to the dataset's folder."""
    attributes: Mapping[str, str | float | int] = field(default_factory=dict)
    """Facts about the image, for subgroups: lesion size, density, contrast."""


@dataclass(frozen=True)
class ManifestEntry:
    """One file of the original."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Edition:
    """One published form of a dataset, known file by file."""

    name: str
    files: Callable[[], Sequence[ManifestEntry]]
    """Reads the manifest shipped with the plugin."""


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset as the harness, the command line and the site know it."""

    name: str
    title: str
    samples: Callable[[Path], Sequence[Sample]]
    """List the samples of the dataset in a folder, in a stable order; raises DataError if something is missing."""
    modality: str
    organ: str
    citation: str
    licence: str
    """As far as it is established; says so where it is not."""
    source: str
    """Where it comes from, and how to get it."""
    group_rule: str
    """What a group is, or "unknown"."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """Counts by subtype in the complete original."""
    tasks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Named sets of abnormal subtypes, evaluated against the same normals; every dataset also has "all"."""
    url: str = ""
    description: str = ""
    revision: int = 1
    """Raise it when the list of samples changes for the same files."""
    storage: str | None = None
    """Name of the dataset whose files this one reads; None for its own."""
    embedded: Path | None = None
    """Folder of the files if they ship inside the package; such a dataset needs no import."""
    editions: Sequence[Edition] = ()

    @property
    def folder_name(self) -> str:
        """Under which name the files are kept."""
        return self.storage or self.name
