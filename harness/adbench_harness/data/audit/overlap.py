"""What two datasets share: results on them are not independent evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...api import Sample
from ..duplicates import near_pairs
from ..listing import Listing
from ..traits import Traits
from .report import Finding, Overlap, Shared

KINDS = ("byte_equal", "pixel_equal", "near")


def overlap(
    own: Listing, own_traits: Mapping[str, Traits], other: Listing, other_traits: Mapping[str, Traits]
) -> tuple[Overlap, Finding | None]:
    """What ``own`` shares with ``other``, and the finding if that is anything.

    An image counts once: as an equal file, else as equal pixels, else as a near duplicate.
    """
    near = _near(own_traits, other_traits)
    ours = _kinds(own.samples, own_traits, other_traits, {pair[0] for pair in near})
    theirs = _kinds(other.samples, other_traits, own_traits, {pair[1] for pair in near})
    found = Overlap(
        other=other.spec.name,
        fingerprint=other.fingerprint,
        own=_shared(own.samples, ours),
        theirs=_shared(other.samples, theirs),
    )
    return found, _finding(own.spec.name, found, ours) if ours else None


def in_both(samples: Sequence[Sample], traits: Mapping[str, Traits], others: Mapping[str, Traits]) -> dict[str, str]:
    """Which of the samples the other side has as well, and how: one of ``KINDS``; ``traits`` are of these samples alone."""
    return _kinds(samples, traits, others, {first for first, _ in _near(traits, others)})


def _near(own: Mapping[str, Traits], other: Mapping[str, Traits]) -> set[tuple[str, str]]:
    """Digests of pixels that are near duplicates, ours and theirs; each distinct picture is compared once."""
    ours, theirs = ({traits.pixels: traits for traits in side.values()} for side in (own, other))
    common = ours.keys() & theirs.keys()
    first, second = ({key: traits for key, traits in side.items() if key not in common} for side in (ours, theirs))
    # Those with an equal picture on the other side are settled, but what is near to them is still to be found.
    pairs = near_pairs(first, theirs) + near_pairs({key: ours[key] for key in common}, second)
    return {(pair.first, pair.second) for pair in pairs}


def _kinds(
    samples: Sequence[Sample], traits: Mapping[str, Traits], others: Mapping[str, Traits], near: set[str]
) -> dict[str, str]:
    """How each sample that the other side has as well is the same; the strongest way."""
    files, pixels = {one.sha256 for one in others.values()}, {one.pixels for one in others.values()}
    kinds: dict[str, str] = {}
    for sample in samples:
        own = traits[sample.id]
        if own.sha256 in files:
            kinds[sample.id] = KINDS[0]
        elif own.pixels in pixels:
            kinds[sample.id] = KINDS[1]
        elif own.pixels in near:
            kinds[sample.id] = KINDS[2]
    return kinds


def _shared(samples: Sequence[Sample], kinds: Mapping[str, str]) -> tuple[Shared, ...]:
    rows = []
    for subtype in sorted({sample.subtype for sample in samples}):
        ids = [sample.id for sample in samples if sample.subtype == subtype]
        counts = {kind: sum(kinds.get(sample_id) == kind for sample_id in ids) for kind in KINDS}
        rows.append(Shared(subtype=subtype, images=len(ids), **counts))
    return tuple(rows)


def _finding(dataset: str, found: Overlap, ours: Mapping[str, str]) -> Finding:
    words = [f"{_common(row)} of {row.images} {row.subtype}" for row in found.own if _common(row)]
    back = [f"{_common(row)} of {row.images} {row.subtype}" for row in found.theirs if _common(row)]
    totals = {kind: sum(way == kind for way in ours.values()) for kind in KINDS}
    return Finding(
        kind="overlap",
        severity="warning",
        title=f"{' and '.join(words)} images are in {found.other} as well",
        detail=f"{totals['byte_equal']} are equal files, {totals['pixel_equal']} more have equal pixels, {totals['near']} more are near "
        f"duplicates. Of {found.other} that is {', '.join(back)} images. Results on {dataset} and {found.other} are no "
        "independent evidence.",
        images=tuple(sorted(ours)),
        numbers={"other": found.other, **totals},
    )


def _common(row: Shared) -> int:
    return row.byte_equal + row.pixel_equal + row.near
