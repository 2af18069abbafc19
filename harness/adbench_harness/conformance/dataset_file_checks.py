"""The rules that a dataset's files keep: images, crops, masks, the manifest, and what a protocol makes of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from .. import registry
from ..api import DataError, DatasetSpec, Edition, Sample, Subset, units
from ..data.decode import read_image
from ..data.decoding import EachFile
from ..data.duplicates import samples_to_split
from ..data.hashes import hash_files
from ..data.listing import Listing
from ..data.original import Original
from ..data.verifying import owner
from ..protocol import split
from .checks import BrokenRuleError, Checks, NotApplicableError, Seen, some
from .dataset_subject import DatasetSubject

PROTOCOL: Final = "adbench-v1"
"""The one that `run` takes unless another is asked for."""
_SHA256: Final = re.compile("[0-9a-f]{64}")

FILES: Final = Checks[DatasetSubject]()


@FILES.add("files", "every image is there and can be decoded", needs="ids")
def _files(subject: DatasetSubject) -> Seen:
    paths = {sample.path: sample.id for sample in subject.samples}
    _check_places(subject.root, paths)
    sizes = subject.sizes
    widths, heights = zip(*sizes.values(), strict=True)
    return Seen(f"{len(sizes)} files, {_span(widths)} pixels wide, {_span(heights)} high", {"files": len(sizes)})


def _check_places(root: Path, paths: Mapping[str, str]) -> None:
    """``paths`` and the ids of their samples: each must be a file below the root."""
    for path, sample in paths.items():
        if reason := _unfit(path):
            raise BrokenRuleError(
                f"sample {sample!r}: the path {path!r} {reason}; it is relative to the folder, with forward slashes"
            )
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        raise BrokenRuleError(f"{len(missing)} of {len(paths)} files are not in {root}: {some(missing)}")


def _unfit(path: str) -> str | None:
    """Why a text can't be the path of a file."""
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "is absolute"
    if "\\" in path:
        return "has a backslash"
    return "leaves the folder" if ".." in path.split("/") else None


@FILES.add("boxes", "crops lie inside their images", needs="files")
def _boxes(subject: DatasetSubject) -> Seen:
    boxed = [sample for sample in subject.samples if sample.box is not None]
    if not boxed:
        raise NotApplicableError("no sample is a crop")
    outside = [sample for sample in boxed if not _is_inside(sample, subject.sizes[sample.path])]
    if outside:
        width, height = subject.sizes[outside[0].path]
        raise BrokenRuleError(
            f"{len(outside)} of {len(boxed)} crops are empty or lie outside their image: sample {outside[0].id!r} has {outside[0].box} of "
            f"{width} x {height} pixels; right and bottom are exclusive"
        )
    return Seen(f"{len(boxed)} crops")


def _is_inside(sample: Sample, size: tuple[int, int]) -> bool:
    box = sample.box
    return box is None or (0 <= box.left < box.right <= size[0] and 0 <= box.top < box.bottom <= size[1])


@FILES.add("masks", "masks are of their image's size, and mark something", needs="files")
def _masks(subject: DatasetSubject) -> Seen:
    masked = [sample for sample in subject.samples if sample.mask is not None]
    if not masked:
        raise NotApplicableError("it has none")
    if normal := [sample.id for sample in masked if sample.label == 0]:
        raise BrokenRuleError(f"normal samples have a mask of a lesion: {some(normal)}; their mask is None")
    _check_places(subject.root, {str(sample.mask): sample.id for sample in masked})

    def look(sample: Sample) -> None:
        path = subject.root / str(sample.mask)
        mask = read_image(path, "L")
        if mask.size != subject.sizes[sample.path]:
            width, height = subject.sizes[sample.path]
            raise DataError(f"{path} is of {mask.width} x {mask.height} pixels, its image of {width} x {height}")
        if mask.getextrema()[1] == 0:
            raise DataError(f"{path} is black: it marks nothing")

    each_file = EachFile(look)
    for _ in each_file(masked):
        pass
    each_file.refuse(subject.spec.name)
    return Seen(f"{len(masked)} masks", {"masks": len(masked)})


@FILES.add("manifest", "an altered file is found out", needs="files")
def _manifest(subject: DatasetSubject) -> Seen:
    own = owner(subject.spec)
    for edition in own.editions:
        _check_entries(edition)
    fingerprint = subject.listing.fingerprint
    memo = subject.folder / "hashes"  # not the home's, which would take the first look's word for it
    hashes = hash_files(subject.root, subject.listing.hashes, memo)
    if Listing(subject.spec, subject.root, tuple(subject.spec.samples(subject.root)), hashes).fingerprint != fingerprint:
        raise BrokenRuleError("the same files have another fingerprint the second time")
    _check_altered(subject, fingerprint)
    return Seen(f"{_verified(subject, own)}; fingerprint {fingerprint}", {"fingerprint": fingerprint})


def _check_entries(edition: Edition) -> None:
    """Raise unless a manifest can be compared with."""
    entries = edition.files()
    repeated = [path for path, count in Counter(entry.path for entry in entries).items() if count > 1]
    if repeated:
        raise BrokenRuleError(f"edition {edition.name} has two entries of {some(repeated)}")
    for entry in entries:
        if reason := _unfit(entry.path):
            raise BrokenRuleError(
                f"edition {edition.name}: the path {entry.path!r} {reason}; paths are as in the original's folder"
            )
        if not _SHA256.fullmatch(entry.sha256) or entry.bytes < 0:
            raise BrokenRuleError(
                f"edition {edition.name}: {entry.path!r} needs a SHA-256 of 64 hex digits in lower case, and its bytes"
            )


def _check_altered(subject: DatasetSubject, fingerprint: str) -> None:
    """Alter one image of the copy: the listing must refuse it, or have another fingerprint."""
    if subject.copy is None or subject.elsewhere is None:
        return
    path = min(sample.path for sample in subject.samples)
    file = subject.copy / path
    altered = file.read_bytes() + b"\0"
    file.unlink()  # it may be another name of the file itself
    file.write_bytes(altered)
    try:
        samples = tuple(subject.spec.samples(subject.copy))
    except DataError:
        return
    hashes = {**subject.listing.hashes, path: hashlib.sha256(altered).hexdigest()}
    if Listing(subject.spec, subject.copy, samples, hashes).fingerprint == fingerprint:
        raise BrokenRuleError(f"a copy in which {path} is altered has the same fingerprint")


def _verified(subject: DatasetSubject, own: DatasetSpec) -> str:
    """What the manifests say of the copy, in words."""
    found = subject.verification
    if found is None:
        return "no manifest of an original"
    original = Original(own)
    masks = {sample.mask for sample in subject.samples if sample.mask and (subject.root / sample.mask).is_file()}
    paths = {sample.path for sample in subject.samples} | masks
    unknown = sorted(path for path in paths if original.place(path) is None)
    if unknown:
        raise BrokenRuleError(
            f"{len(unknown)} files of samples are in no edition's manifest, so that nobody is told when one is altered: {some(unknown)}"
        )
    if found.edition is not None:
        _check_bytes(subject.root, next(edition for edition in own.editions if edition.name == found.edition))
        return f"{len(found.files)} files are edition {found.edition}"
    if subject.partial is not None:
        return f"a partial copy: {subject.partial}"
    raise BrokenRuleError(f"its files are no edition of the original: {found.comparisons[0].summary()}")


def _check_bytes(root: Path, edition: Edition) -> None:
    for entry in edition.files():
        path = root / entry.path
        if path.is_file() and path.stat().st_size != entry.bytes:
            raise BrokenRuleError(
                f"edition {edition.name} says that {entry.path} has {entry.bytes} bytes; it has {path.stat().st_size}, and the right SHA-256"
            )


@FILES.add("splits", "can be split by the default protocol", needs="files")
def _splits(subject: DatasetSubject) -> Seen:
    rules = registry.protocol(PROTOCOL).spec
    try:
        samples = samples_to_split(subject.listing, subject.home, rules)
    except DataError as error:
        raise NotApplicableError(f"its pictures can't be compared: {error}") from None
    told: dict[str, list[int]] = {"train": [], "held_out": [], "test": []}
    for number in range(rules.splits):
        subsets = split(rules, subject.spec.name, samples, number)
        _check_apart(samples, subsets, number)
        _check_filled(samples, subsets, number)
        tally: Counter[str] = Counter(subsets.values())
        for subset, counts in told.items():
            counts.append(tally[subset])
    words = ", ".join(f"{_span(counts)} {subset.replace('_', ' ')}" for subset, counts in told.items())
    return Seen(f"{rules.splits} splits of {PROTOCOL}: {words}", {subset: [*counts] for subset, counts in told.items()})


def _check_apart(samples: Sequence[Sample], subsets: Mapping[str, Subset], number: int) -> None:
    """Raise if a group, or images of equal pixels, are on two sides."""
    for unit in units(samples):
        sides = {subsets[sample] for sample in unit if sample in subsets}
        if len(sides) > 1:
            raise BrokenRuleError(
                f"split {number} has images of one group or with the same pixels in {' and '.join(sorted(sides))}: {some(unit)}"
            )


def _check_filled(samples: Sequence[Sample], subsets: Mapping[str, Subset], number: int) -> None:
    """Raise unless there are images to learn from, to set thresholds by, and of both kinds to test."""
    tally = Counter((subsets[sample.id], sample.label) for sample in samples if sample.id in subsets)
    needed: Iterable[tuple[Subset, int, str]] = (
        ("train", 0, "normal training"),
        ("held_out", 0, "held-out normal"),
        ("test", 0, "normal test"),
        ("test", 1, "abnormal test"),
    )
    for subset, label, words in needed:
        if not tally[subset, label]:
            raise BrokenRuleError(
                f"split {number} has no {words} image: too few samples, groups that are too large, or an official split without them"
            )


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
