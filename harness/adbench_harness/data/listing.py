"""A dataset as it lies on this machine: its samples, the hashes of their files, and the fingerprint of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..api import DataError, DatasetSpec, NotImportedError, Sample
from ..home import Home
from ..protocol import digest
from ..registry import blamed
from .hashes import hash_files


@dataclass(frozen=True)
class Listing:
    """The samples of a dataset that is here."""

    spec: DatasetSpec
    root: Path
    samples: tuple[Sample, ...]
    hashes: Mapping[str, str]
    """SHA-256 of each sample's file, by its path."""

    @property
    def fingerprint(self) -> str:
        """Digest of every sample's identity, label, group and file content; the same wherever the same data lies."""
        return digest([self.spec.name, self.spec.revision, sorted(self._identity(sample) for sample in self.samples)])

    def counts(self) -> dict[str, int]:
        """Number of samples by subtype."""
        return dict(sorted(Counter(sample.subtype for sample in self.samples).items()))

    def _identity(self, sample: Sample) -> list[str]:
        box = sample.box
        crop = f"{box.left},{box.top},{box.right},{box.bottom}" if box else ""
        return [
            sample.id,
            self.hashes[sample.path],
            crop,
            str(sample.label),
            sample.subtype,
            sample.group or "",
            sample.official_split or "",
        ]


def folder(spec: DatasetSpec, home: Home) -> Path:
    """Where the dataset's files lie.

    Raises:
        NotImportedError: with the command to type, if they are not here.
    """
    if spec.embedded is not None:
        return spec.embedded
    place = home.dataset(spec.folder_name)
    if not place.is_dir():
        raise NotImportedError(
            f"dataset {spec.name} is not in {home.root}; get it ({spec.source}) and type: "
            f"adbench datasets import {spec.folder_name} PATH  (an archive or a folder)"
        )
    return place


def listing(spec: DatasetSpec, home: Home) -> Listing:
    """List a dataset's samples and hash their files.

    Raises:
        NotImportedError: if it is not here.
        DataError: if files are missing, or the plugin lists something impossible (two samples of one id, a wrong label).
    """
    root = folder(spec, home)
    with blamed("dataset", spec.name, "to list its samples"):
        samples = tuple(spec.samples(root))
    _check(spec, samples)
    return Listing(spec, root, samples, hash_files(root, (sample.path for sample in samples), home.hashes))


def _check(spec: DatasetSpec, samples: tuple[Sample, ...]) -> None:
    if not samples:
        raise DataError(f"dataset {spec.name} lists no samples")
    repeated = [sample_id for sample_id, count in Counter(sample.id for sample in samples).items() if count > 1]
    if repeated:
        raise DataError(f"dataset {spec.name} lists two samples with the id {repeated[0]!r}")
    for sample in samples:
        if sample.label not in (0, 1) or (sample.label == 0) != (sample.subtype == "normal"):
            raise DataError(f"dataset {spec.name}: sample {sample.id!r} has label {sample.label} and subtype {sample.subtype!r}")
