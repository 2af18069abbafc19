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
from .pseudonyms import first_ids, pseudonymous
from .record import read_record
from .verifying import UNKNOWN_ORIGINAL, Standing, standing


@dataclass(frozen=True)
class Listing:
    """The samples of a dataset that is here."""

    spec: DatasetSpec
    root: Path
    samples: tuple[Sample, ...]
    hashes: Mapping[str, str]
    """SHA-256 of each sample's file, by its path."""
    standing: Standing = UNKNOWN_ORIGINAL
    """Whether the files are the original."""

    @property
    def fingerprint(self) -> str:
        """Digest of every sample's identity, label, group and file content; the same wherever the same data lies."""
        # A salted hash is another one in each home, so a private group goes by its first sample.
        names = first_ids(self.samples) if self.spec.private_groups else {}
        identities = sorted(self._identity(sample, names) for sample in self.samples)
        # A copy may lack nothing that a sample needs, and is still not the original.
        mark = ["partial"] if self.standing.partial is not None else []
        return digest([self.spec.name, self.spec.revision, identities, *mark])

    def counts(self) -> dict[str, int]:
        """Number of samples by subtype."""
        return dict(sorted(Counter(sample.subtype for sample in self.samples).items()))

    def _identity(self, sample: Sample, group_names: Mapping[str, str]) -> list[str]:
        box = sample.box
        crop = f"{box.left},{box.top},{box.right},{box.bottom}" if box else ""
        return [
            sample.id,
            self.hashes[sample.path],
            crop,
            str(sample.label),
            sample.subtype,
            group_names.get(sample.group, sample.group) if sample.group else "",
            sample.official_split or "",
        ]


def folder(spec: DatasetSpec, home: Home) -> Path:
    """Where the dataset's files lie.

    Raises:
        NotImportedError: with the command to type, if they are not here.
    """
    if spec.embedded is not None:
        return spec.embedded
    if spec.at is not None:
        raise NotImportedError(f"dataset {spec.name} is a folder of your own; say which folder: {spec.name}:/path")
    place = home.dataset(spec.folder_name)
    if place.is_dir():
        return place
    record = read_record(spec, home)
    if record is None or record.how != "in place":
        raise NotImportedError(
            f"dataset {spec.name} is not in {home.root}; get it ({spec.source}) and type: "
            f"adbench datasets import {spec.folder_name} PATH  (an archive or a folder)"
        )
    if not record.folder.is_dir():
        raise NotImportedError(
            f"dataset {spec.name} is used in place, and {record.folder} is gone; bring the folder back, or import it again: "
            f"adbench datasets import {spec.folder_name} PATH"
        )
    return record.folder


def listing(spec: DatasetSpec, home: Home) -> Listing:
    """List a dataset's samples and hash their files.

    Raises:
        NotImportedError: if it is not here.
        DataError: if files are missing, or the plugin lists something impossible (two samples of one id, a wrong label).
    """
    root = folder(spec, home)
    with blamed("dataset", spec.name, "to list its samples"):
        samples = tuple(spec.samples(root))
    if spec.private_groups:
        samples = pseudonymous(samples, home)
    _check(spec, samples)
    hashes = hash_files(root, (sample.path for sample in samples), home.hashes)
    return Listing(spec, root, samples, hashes, standing(spec, root, home))


def _check(spec: DatasetSpec, samples: tuple[Sample, ...]) -> None:
    if not samples:
        raise DataError(f"dataset {spec.name} lists no samples")
    repeated = [sample_id for sample_id, count in Counter(sample.id for sample in samples).items() if count > 1]
    if repeated:
        raise DataError(f"dataset {spec.name} lists two samples with the id {repeated[0]!r}")
    for sample in samples:
        if sample.label not in (0, 1) or (sample.label == 0) != (sample.subtype == "normal"):
            raise DataError(f"dataset {spec.name}: sample {sample.id!r} has label {sample.label} and subtype {sample.subtype!r}")
