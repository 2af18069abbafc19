"""The audit of a dataset: duplicates, groups across a split, features that give the label away, overlap with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...api import ProtocolSpec
from ...home import Home
from ...protocol import split as make_split
from ...registry import blamed
from ..decode import decoders
from ..decoding import Progress
from ..duplicates import CORRELATION, DISTANCE, Duplicates, duplicates, samples_to_split
from ..listing import Listing
from ..traits import ORIENTATIONS, Traits, hash_version, measure
from .findings import duplicate_findings, group_findings, split_findings
from .overlap import overlap
from .report import SEVERITIES, Audit, DuplicateLists, Finding, NearDuplicate, Overlap
from .shortcuts import categories, shortcut_findings, shortcuts


def audit(
    listing: Listing,
    home: Home,
    protocol: ProtocolSpec,
    split: int = 0,
    against: Sequence[Listing] = (),
    progress: Progress | None = None,
) -> Audit:
    """Everything that is found in a dataset, under one split of a protocol, and in what it shares with others.

    ``progress`` is called with (samples measured, samples to measure), starting anew for each dataset.

    Raises:
        DataError: naming files that are missing or corrupt, or saying why the split can't be made.
        OptionError: if the protocol has no such split.
    """
    samples = samples_to_split(listing, home, protocol, progress)
    with blamed("protocol", protocol.name, "to split"):
        subsets = make_split(protocol, listing.spec.name, samples, split)
    traits = measure(listing, home, progress)
    found = duplicates(samples, traits)
    measured, counted = shortcuts(samples, traits), categories(samples, traits)
    overlaps, shared = _overlaps(listing, traits, home, against, progress)
    findings = [
        *duplicate_findings(samples, found),
        *split_findings(samples, found, subsets, f"{protocol.name}'s split {split}"),
        *group_findings(samples),
        *shortcut_findings(samples, traits, measured, counted),
        *shared,
    ]
    return Audit(
        dataset=listing.spec.name,
        fingerprint=listing.fingerprint,
        samples=len(samples),
        counts=listing.counts(),
        protocol=protocol.name,
        split=split,
        method={
            "distance": DISTANCE,
            "correlation": CORRELATION,
            "imagehash": hash_version(),
            **decoders(listing.root / sample.path for sample in samples),
        },
        findings=tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        shortcuts=measured,
        categories=counted,
        overlaps=overlaps,
        duplicates=_lists(found),
    )


def _overlaps(
    listing: Listing, traits: Mapping[str, Traits], home: Home, against: Sequence[Listing], progress: Progress | None
) -> tuple[tuple[Overlap, ...], list[Finding]]:
    found = [overlap(listing, traits, other, measure(other, home, progress)) for other in against]
    return tuple(one for one, _ in found), [finding for _, finding in found if finding is not None]


def _lists(found: Duplicates) -> DuplicateLists:
    near = tuple(
        NearDuplicate(
            first=pair.first,
            second=pair.second,
            orientation=ORIENTATIONS[pair.orientation],
            distance=pair.distance,
            correlation=pair.correlation,
        )
        for pair in found.near
    )
    return DuplicateLists(byte_equal=found.byte_equal, pixel_equal=found.pixel_equal, near=near)
