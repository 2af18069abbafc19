"""Pictures of what an audit found: the images that a finding names, those that belong together side by side."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
from pydantic import BaseModel, ValidationError

from adbench_harness.metrics.groups import connected

from ..site import File
from ..tables import DatasetKey
from ..views.soundness import Finding
from .pictures import Source, picture_path

if TYPE_CHECKING:
    from adbench_harness.api import Sample

SETS: Final = 6
"""Of a finding's sets of images, so many are shown."""
IMAGES: Final = 4
"""Of a set's images, so many are shown."""
AS_IT_IS: Final = "as it is"
"""How an audit says that one image is no mirror image of the other."""
TEST: Final = "test image"
LEARNT: Final = "learnt from"
OF_DUPLICATES: Final = frozenset(
    {
        "byte-equal",
        "pixel-equal",
        "near-duplicate",
        "equal-across-split",
        "near-across-split",
        "equal-in-two-groups",
        "duplicates-of-two-labels",
    }
)
"""Kinds of findings about images that are copies of each other."""

Sides = Mapping[str, str]
"""On which side of the audited split an image lies, in words, by id; empty where that is not known."""


@dataclass(frozen=True)
class Exhibit:
    """An image that a finding names."""

    image: str
    facts: Sequence[str]
    """What it is, and on which side of the split where the finding is of one."""
    picture: str
    """Where its picture lies in the site."""


@dataclass(frozen=True)
class Exhibits:
    """Images that belong together, as two of which one is a copy."""

    shown: Sequence[Exhibit]
    """At most ``IMAGES``."""
    images: int
    """How many they are."""
    note: str
    """How alike they are; empty where that is not measured."""


@dataclass(frozen=True)
class Evidence:
    """What is shown of a finding."""

    sets: Sequence[Exhibits]
    """At most ``SETS``."""
    number: int
    """How many sets there are."""
    single: bool
    """Whether each image stands for itself."""


class _Pair(BaseModel):
    first: str
    second: str
    orientation: str = AS_IT_IS
    distance: int | None = None
    correlation: float | None = None

    @property
    def note(self) -> str:
        """How alike the two are."""
        parts = [] if self.orientation == AS_IT_IS else [f"the second {self.orientation} is the first"]
        if self.distance is not None:
            parts.append(f"hashes differ in {self.distance} of 256 bits")
        if self.correlation is not None:
            parts.append(f"detail correlates {self.correlation:.3f}")
        return ", ".join(parts)


class _Duplicates(BaseModel):
    byte_equal: list[list[str]]
    pixel_equal: list[list[str]]
    near: list[_Pair]


class _Audit(BaseModel):
    """What an audit file says of duplicates."""

    protocol: str
    split: int
    duplicates: _Duplicates


def evidence(
    db: duckdb.DuckDBPyConnection, audits: Path | None, state: DatasetKey, findings: Sequence[Finding], source: Source | None
) -> tuple[list[Evidence | None], list[File]]:
    """What is shown of each finding of an audit, and the pictures; None for a finding that names no images.

    Nothing is shown if the files are not here, or in another state than the audited one.

    Args:
        db: of the runs and audits.
        audits: the folder of audit files, which say what belongs together; nothing of duplicates is shown without it.
        state: which files were audited.
        findings: what was found.
        source: the files, if their images may be shown and are here.

    Raises:
        DataError: naming the file, if an image that is to be shown can't be read.
    """
    if source is None or source.listing.fingerprint != state.fingerprint:
        return [None] * len(findings), []
    audit = _audit(db, audits, state)
    test = _test_images(db, state, audit) if audit is not None else frozenset()
    found: list[Evidence | None] = []
    made: dict[str, File] = {}
    for finding in findings:
        sides = _sides(finding, test)
        sets = [(note, _both_sides(images, sides)) for note, images in _chosen(finding, audit, source.samples)]
        first = [(note, images, images[:IMAGES]) for note, images in sets[:SETS]]
        for image, content in source.thumbnails(state.fingerprint, {image for *_, few in first for image in few} - set(made)):
            made[image] = File(picture_path(*state, image), content)
        shown = [
            Exhibits(
                [_exhibit(image, source.samples[image], sides, made[image]) for image in few if image in made], len(images), note
            )
            for note, images, few in first
        ]
        shown = [one for one in shown if one.shown]
        found.append(Evidence(shown, len(sets), all(len(images) == 1 for _, images in sets)) if shown else None)
    return found, list(made.values())


def _audit(db: duckdb.DuckDBPyConnection, folder: Path | None, state: DatasetKey) -> _Audit | None:
    """The audit's file; None if it is not the one that the database took in."""
    row = db.execute(_sql("audit_file"), [*state]).fetchone()
    if folder is None or row is None:
        return None
    try:
        content = (folder / Path(row[0]).name).read_bytes()
        return _Audit.model_validate_json(content) if hashlib.sha256(content).hexdigest() == row[1] else None
    except (OSError, ValidationError):
        return None


_Sets = list[tuple[str, Sequence[str]]]
"""How alike images are, and which."""


def _chosen(finding: Finding, audit: _Audit | None, samples: Mapping[str, Sample]) -> _Sets:
    """The sets of images that a finding is about; of one that is not about sets each image is one."""
    kind, named = finding.kind, frozenset(finding.named)
    if kind in ("group-across-split", "group-of-two-classes"):
        return _bare(_by_group(finding.named, samples))
    if kind not in OF_DUPLICATES:
        return _bare([image] for image in finding.named)
    if audit is None:
        return []
    found = audit.duplicates
    if kind == "near-duplicate":
        return [(pair.note, (pair.first, pair.second)) for pair in found.near if {pair.first, pair.second} <= named]
    if kind == "byte-equal":
        return _bare(_within(found.byte_equal, named))
    if kind in ("pixel-equal", "equal-in-two-groups", "equal-across-split"):
        return _bare(_within(found.pixel_equal, named))
    links = [(group[0], other) for group in found.pixel_equal for other in group[1:]]
    links += [(pair.first, pair.second) for pair in found.near]
    return _bare(_within(connected(links), named))


def _bare(sets: Iterable[Sequence[str]]) -> _Sets:
    return [("", images) for images in sets]


def _within(groups: Iterable[Sequence[str]], named: Collection[str]) -> list[list[str]]:
    """Of each group the images that a finding names; groups of which it names fewer than two are another finding's."""
    parts = ([image for image in group if image in named] for group in groups)
    return [part for part in parts if len(part) > 1]


def _by_group(named: Iterable[str], samples: Mapping[str, Sample]) -> list[list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for image in named:
        group = samples[image].group if image in samples else None
        if group is not None:
            groups[group].append(image)
    return sorted(groups.values())


def _test_images(db: duckdb.DuckDBPyConnection, state: DatasetKey, audit: _Audit) -> frozenset[str]:
    """Test images of the audited split, as the newest run on it has them."""
    return frozenset(image for (image,) in db.execute(_sql("audit_test"), [*state, audit.protocol, audit.split]).fetchall())


def _sides(finding: Finding, test: Collection[str]) -> Sides:
    """Where the images of a finding about a split lie; only if the stored runs were split as the audit did."""
    counted = (finding.numbers.get("test"), finding.numbers.get("test in all"))
    if counted != (sum(image in test for image in finding.named), len(test)):
        return {}
    return {image: TEST if image in test else LEARNT for image in finding.named}


def _both_sides(images: Sequence[str], sides: Sides) -> Sequence[str]:
    """The images in turn from each side of the split, so that the first few show what lies on both."""
    places: dict[str, int] = {}
    turns: Counter[str] = Counter()
    for image in images:
        side = sides.get(image, "")
        places[image] = turns[side]
        turns[side] += 1
    return sorted(images, key=lambda image: (places[image], sides.get(image) != TEST)) if sides else images


def _exhibit(image: str, sample: Sample, sides: Sides, picture: File) -> Exhibit:
    return Exhibit(image, [sample.subtype, *([sides[image]] if image in sides else [])], picture.path)


def _sql(name: str) -> str:
    return (files("adbench_leaderboard") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
