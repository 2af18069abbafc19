"""Which pictures are the same: equal files, equal pixels, and near duplicates under flips and right-angle rotations.

A near duplicate is a pair whose 256-bit perceptual hashes differ in at most ``DISTANCE`` bits in one of the eight orientations,
and whose 32 x 32 thumbnails, less the mean of each pixel's 5 x 5 neighbourhood, correlate by at least ``CORRELATION`` in that
orientation. The second measure looks at detail, since slices of different patients agree in the coarse.

Measured on Brain Tumor MRI (253 images), Head CT (200), MIAS (322), 628 images of Retinal OCT and 193 of C-NMC:

- Copies made by JPEG at quality 50, halving, resizing to 224 x 224 as JPEG, brightening by 20 % + 15, or turning and mirroring
  as JPEG: distance at most 10 bits (brightened: 99 % at most 22, the highest 28), correlation at least 0.96.
- Of 311,716 pairs of pictures with different pixels 25 pass both, and all look like one picture in another encoding, size, crop
  or contrast. The weakest are Head CT's 010 and 066 (22 bits, 0.914) and Brain Tumor MRI's Y61 and Y71 (18 bits, 0.897).
- The nearest pairs that are not one picture: neighbouring slices in Head CT (107 and 108: 26 bits, 0.946), two different cells
  (28 bits, 0.877), right and left breast of one woman (38 bits, 0.955), two scans of one eye (44 bits, 0.989).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ..api import ProtocolSpec, Sample
from ..home import Home
from ..metrics.groups import connected
from .decoding import Progress
from .listing import Listing
from .traits import HASH_BITS, ORIENTATIONS, THUMBNAIL_SIDE, Traits, measure, oriented

DISTANCE: Final = 24
CORRELATION: Final = 0.88
NEIGHBOURHOOD: Final = 5
FEATURELESS: Final = 0.5
"""Standard deviation of a thumbnail's detail, in gray levels, below which there is nothing to compare."""
ROWS: Final = 2048
COLUMNS: Final = 1024
"""Pictures compared at once; with eight orientations a block of float32 is 64 MiB."""

Group = tuple[str, ...]
"""Sample ids, sorted."""


@dataclass(frozen=True)
class NearPair:
    """Two pictures that are near duplicates; each stands for all of equal pixels."""

    first: str
    second: str
    orientation: int
    """What is done to the second to get the first: an index of ``ORIENTATIONS``."""
    distance: int
    """Bits of 256 in which the hashes differ."""
    correlation: float
    """Of the thumbnails' detail, -1 to 1."""


@dataclass(frozen=True)
class Duplicates:
    """What is the same within a dataset; groups and pairs sorted by id."""

    byte_equal: tuple[Group, ...]
    """Samples of files with equal bytes, where those are more than one file."""
    pixel_equal: tuple[Group, ...]
    """Samples of equal pixels; equal files with the same crop are among them."""
    near: tuple[NearPair, ...]
    clusters: tuple[Group, ...]
    """What hangs together by equal pixels or near pairs."""


def duplicates(samples: Sequence[Sample], traits: Mapping[str, Traits]) -> Duplicates:
    """Everything that is the same among ``samples``, each of which has an entry in ``traits``."""
    pixels = _grouped((traits[sample.id].pixels, sample.id) for sample in samples)
    equal = tuple(group for group in pixels if len(group) > 1)
    near = tuple(near_pairs({group[0]: traits[group[0]] for group in pixels}))
    links = [(group[0], other) for group in equal for other in group[1:]] + [(pair.first, pair.second) for pair in near]
    return Duplicates(_byte_equal(samples, traits), equal, near, tuple(connected(links)))


def clustered(listing: Listing, home: Home, progress: Progress | None = None) -> tuple[Sample, ...]:
    """The samples, those of equal pixels with the lowest id among them as their ``cluster``.

    Near duplicates are left alone: what counts as one depends on versions of libraries, and a split must not.

    Raises:
        DataError: if a file can't be decoded.
    """
    traits = measure(listing, home, progress)
    groups = _grouped((traits[sample.id].pixels, sample.id) for sample in listing.samples)
    names = {sample_id: group[0] for group in groups if len(group) > 1 for sample_id in group}
    return tuple(replace(sample, cluster=names.get(sample.id)) for sample in listing.samples)


def samples_to_split(
    listing: Listing, home: Home, protocol: ProtocolSpec, progress: Progress | None = None
) -> tuple[Sample, ...]:
    """What a protocol's split rule gets: the samples with their groups, and with their clusters if it needs them.

    Raises:
        DataError: if clusters are needed and a file can't be decoded.
    """
    return clustered(listing, home, progress) if protocol.needs_clusters else listing.samples


def near_pairs(first: Mapping[str, Traits], second: Mapping[str, Traits] | None = None) -> list[NearPair]:
    """Near duplicates within ``first``, or between it and ``second``, sorted by id; at its best orientation each.

    Pictures with no detail (blank ones) are near to nothing.
    """
    rows = _Comparable.of(first)
    columns = rows if second is None else _Comparable.of(second)
    found: dict[tuple[int, int], NearPair] = {}
    for row, column, orientation, distance, correlation in _matches(rows, columns, within=second is None):
        pair = NearPair(rows.ids[row], columns.ids[column], orientation, distance, correlation)
        known = found.get((row, column))
        if known is None or _strength(pair) > _strength(known):
            found[row, column] = pair
    return sorted(found.values(), key=lambda pair: (pair.first, pair.second))


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[Group]:
    """Ids by key, as sorted groups in the order of their first ids."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for key, sample_id in pairs:
        groups[key].append(sample_id)
    return sorted(tuple(sorted(group)) for group in groups.values())


def _byte_equal(samples: Sequence[Sample], traits: Mapping[str, Traits]) -> tuple[Group, ...]:
    files: defaultdict[str, set[str]] = defaultdict(set)
    for sample in samples:
        files[traits[sample.id].sha256].add(sample.path)
    groups = _grouped((traits[s.id].sha256, s.id) for s in samples if len(files[traits[s.id].sha256]) > 1)
    return tuple(groups)


def _strength(pair: NearPair) -> tuple[int, float, int]:
    return (-pair.distance, pair.correlation, -pair.orientation)


@dataclass(frozen=True)
class _Comparable:
    """Pictures with detail, as arrays."""

    ids: list[str]
    bits: NDArray[np.uint8]
    """(N, 8, 32): packed hashes."""
    thumbnails: NDArray[np.uint8]
    """(N, 32, 32)."""

    @classmethod
    def of(cls, traits: Mapping[str, Traits]) -> _Comparable:
        ids = sorted(traits)
        thumbnails = np.frombuffer(b"".join(traits[key].thumbnail for key in ids), dtype=np.uint8)
        thumbnails = thumbnails.reshape(len(ids), THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        bits = np.frombuffer(b"".join(traits[key].hashes for key in ids), dtype=np.uint8)
        kept = np.asarray([bool(_detail(picture).std() >= FEATURELESS) for picture in thumbnails], dtype=bool)
        chosen = [key for key, keep in zip(ids, kept, strict=True) if keep]
        return cls(chosen, bits.reshape(len(ids), len(ORIENTATIONS), HASH_BITS // 8)[kept], thumbnails[kept])


def _matches(rows: _Comparable, columns: _Comparable, within: bool) -> Iterator[tuple[int, int, int, int, float]]:
    """(row, column, orientation, distance, correlation) of all that pass both measures."""
    for top in range(0, len(rows.ids), ROWS):
        own = _signs(rows.bits[top : top + ROWS, 0])
        for left in range(top - top % COLUMNS if within else 0, len(columns.ids), COLUMNS):
            block = columns.bits[left : left + COLUMNS]
            # Of signs, the dot product is the number of equal bits less that of different ones: exact in float32.
            agreement = own @ _signs(block.reshape(-1, HASH_BITS // 8)).T
            near, other = np.nonzero(agreement >= HASH_BITS - 2 * DISTANCE)
            distances = ((HASH_BITS - agreement[near, other]) / 2).astype(np.int64)
            row, column, orientation = near + top, other // len(ORIENTATIONS) + left, other % len(ORIENTATIONS)
            chosen = column > row if within else np.ones(len(row), dtype=bool)
            yield from _confirmed(rows, columns, np.stack([row, column, orientation, distances], axis=1)[chosen])


def _confirmed(
    rows: _Comparable, columns: _Comparable, candidates: NDArray[np.int64]
) -> Iterator[tuple[int, int, int, int, float]]:
    for row, column, orientation, distance in candidates:
        turned = oriented(columns.thumbnails[column])[orientation]
        correlation = float(np.corrcoef(_detail(rows.thumbnails[row]).ravel(), _detail(turned).ravel())[0, 1])
        if correlation >= CORRELATION:
            yield int(row), int(column), int(orientation), int(distance), round(correlation, 4)


def _signs(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Packed bits (N, 32) as -1 and 1, (N, 256)."""
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _detail(thumbnail: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A thumbnail less the mean of each pixel's neighbourhood."""
    picture = thumbnail.astype(np.float64)
    smooth: NDArray[np.float64] = uniform_filter(picture, NEIGHBOURHOOD, mode="nearest")
    return picture - smooth
