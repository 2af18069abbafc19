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
    cluster: str | None = None
    """Images with equal pixels share it; set by the harness from the files, never by a plugin."""
    mask: str | None = None
    """A file of the lesion's mask, of the image's size, relative to the dataset's folder; pixels that are not 0 are the lesion."""
    attributes: Mapping[str, str | float | int] = field(default_factory=dict)
    """Facts about the image, for subgroups: lesion size, density, contrast."""


@dataclass(frozen=True)
class ManifestEntry:
    """One file of the original."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class CountedFolder:
    """A folder of the original whose files are not known one by one, only how many there are."""

    path: str
    """Relative to the dataset's folder, with forward slashes."""
    files: int
    among: Callable[[], Sequence[ManifestEntry]] | None = None
    """Known files that the folder holds some of: each file there must be one of them, by name and content. None if unknown."""


@dataclass(frozen=True)
class Edition:
    """One published form of a dataset."""

    name: str
    files: Callable[[], Sequence[ManifestEntry]]
    """Reads the manifest shipped with the plugin: the files that are known one by one."""
    title: str = ""
    """What tells it from the others, in words."""
    optional: Sequence[str] = ()
    """Folders of the original that no sample needs, so that a copy without them is still complete."""
    counted: Sequence[CountedFolder] = ()
    expected: Mapping[str, int] = field(default_factory=dict)
    """Counts by subtype, where they differ from the dataset's."""


@dataclass(frozen=True)
class Download:
    """A place on the network from which a program may take a dataset's archive."""

    url: str
    """http or https; or ``kaggle:owner/name``, which needs kagglehub and an account."""
    bytes: int | None = None
    """Size of the archive, at least roughly, if known."""
    sha256: str | None = None
    """Of the archive, if known; else the files in it are checked one by one."""


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
    """The published forms, the usual one first; empty if the files of the original are not known."""
    downloads: Sequence[Download] = ()
    """Where ``adbench datasets fetch`` looks, in this order."""
    split_counts: tuple[int, int, int] | None = None
    """Training normals, test normals and test abnormal images as the study that introduced or used it counts them."""
    independent_source: str = ""
    """Datasets of one source share images or patients; across datasets they are one vote. Empty means the dataset's own name."""
    private_groups: bool = False
    """Groups are names of persons: the harness replaces each by a salted hash before anything else sees it."""
    at: Callable[[Path], DatasetSpec] | None = None
    """For a dataset that is whatever folder the user names (``NAME:PATH``): the spec for that folder."""

    @property
    def folder_name(self) -> str:
        """Under which name the files are kept."""
        return self.storage or self.name
