"""What duplicates and groups mean for a comparison: which are there, and which lie on both sides of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ...api import Sample, Subset
from ..duplicates import Duplicates, Group
from .report import Finding

SHOWN: Final = 3


def duplicate_findings(samples: Sequence[Sample], found: Duplicates) -> list[Finding]:
    """Equal files, equal pixels and near duplicates, and those that contradict labels or groups."""
    findings: list[Finding] = []
    if files := found.byte_equal:
        findings.append(_groups_finding("byte-equal", f"groups of byte-equal files: {len(files)}", files))
    if pixels := _not_within(found.pixel_equal, found.byte_equal):
        findings.append(_groups_finding("pixel-equal", f"groups of different files with equal pixels: {len(pixels)}", pixels))
    if found.near:
        findings.append(_near_finding(found))
    findings += _contradictions(samples, found)
    return findings


def split_findings(samples: Sequence[Sample], found: Duplicates, subsets: Mapping[str, Subset], split: str) -> list[Finding]:
    """Groups and duplicates with images both among those that a detector learns from (train, held out) and in test."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for sample in samples:
        if sample.group is not None:
            groups[sample.group].append(sample.id)
    findings: list[Finding] = []
    if crossing := _crossing(groups.values(), subsets):
        findings.append(_crossing_finding("group-across-split", "groups (patients)", crossing, subsets, split))
    if crossing := _crossing(found.pixel_equal, subsets):
        findings.append(_crossing_finding("equal-across-split", "sets of equal pictures", crossing, subsets, split))
    equal = set(found.pixel_equal)
    near = [cluster for cluster in found.clusters if cluster not in equal]
    if crossing := _crossing(near, subsets):
        findings.append(_crossing_finding("near-across-split", "clusters of near duplicates", crossing, subsets, split))
    return findings


def group_findings(samples: Sequence[Sample]) -> list[Finding]:
    """Groups that hold images of more than one subtype."""
    members: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.group is not None:
            members[sample.group].append(sample)
    mixed = [group for group in members.values() if len({sample.subtype for sample in group}) > 1]
    if not mixed:
        return []
    both_labels = sum(len({sample.label for sample in group}) > 1 for group in mixed)
    images = sorted(sample.id for group in mixed for sample in group)
    return [
        Finding(
            kind="group-of-two-classes",
            severity="note",
            title=f"groups (patients) with images of more than one class: {len(mixed)} of {len(members)}",
            detail=f"{len(images)} images; normal and abnormal ones in {both_labels} of these groups. An image is not independent of the "
            "others of its patient, whatever its class.",
            images=tuple(images),
            numbers={"groups": len(mixed), "groups with both labels": both_labels, "groups in all": len(members)},
        )
    ]


def _contradictions(samples: Sequence[Sample], found: Duplicates) -> list[Finding]:
    labels = {sample.id: sample.label for sample in samples}
    groups = {sample.id: sample.group for sample in samples}
    findings: list[Finding] = []
    if two := [cluster for cluster in found.clusters if len({labels[one] for one in cluster}) > 1]:
        equal = sum(len({labels[one] for one in group}) > 1 for group in found.pixel_equal)
        findings.append(
            Finding(
                kind="duplicates-of-two-labels",
                severity="serious",
                title=f"clusters of duplicates that are normal and abnormal at once: {len(two)}",
                detail=f"Equal pixels have both labels in {equal} of them. {_examples(two)}",
                images=_all(two),
                numbers={"clusters": len(two), "with equal pixels": equal},
            )
        )
    if apart := [group for group in found.pixel_equal if len({groups[one] for one in group} - {None}) > 1]:
        findings.append(
            Finding(
                kind="equal-in-two-groups",
                severity="warning",
                title=f"sets of equal pictures in more than one group (patient): {len(apart)}",
                detail=f"One of the groups must be wrong, or a picture was copied. {_examples(apart)}",
                images=_all(apart),
                numbers={"sets": len(apart)},
            )
        )
    return findings


def _groups_finding(kind: str, title: str, groups: Sequence[Group]) -> Finding:
    images = _all(groups)
    redundant = len(images) - len(groups)
    return Finding(
        kind=kind,
        severity="warning",
        title=title,
        detail=f"{len(images)} images, {redundant} of them redundant. {_examples(groups)}",
        images=images,
        numbers={"groups": len(groups), "images": len(images), "redundant": redundant},
    )


def _near_finding(found: Duplicates) -> Finding:
    turned = sum(pair.orientation != 0 for pair in found.near)
    pairs = [(pair.first, pair.second) for pair in found.near]
    return Finding(
        kind="near-duplicate",
        severity="warning",
        title=f"pairs of near duplicates: {len(found.near)}",
        detail=f"Pictures that differ only in encoding, size, crop or contrast, {turned} of them turned or mirrored. {_examples(pairs)}",
        images=_all(pairs),
        numbers={"pairs": len(found.near), "turned or mirrored": turned, "clusters of any duplicates": len(found.clusters)},
    )


def _crossing(groups: Iterable[Sequence[str]], subsets: Mapping[str, Subset]) -> list[Group]:
    """Groups with an image in test and one in another subset."""
    found = []
    for group in groups:
        where = {subsets[one] for one in group if one in subsets}
        if "test" in where and len(where) > 1:
            found.append(tuple(sorted(one for one in group if one in subsets)))
    return sorted(found)


def _crossing_finding(kind: str, what: str, groups: Sequence[Group], subsets: Mapping[str, Subset], split: str) -> Finding:
    images = _all(groups)
    test = sum(subsets[one] == "test" for one in images)
    in_all = sum(subset == "test" for subset in subsets.values())
    numbers: dict[str, int | float | str] = {
        "groups": len(groups),
        "test": test,
        "test in all": in_all,
        "learnt from": len(images) - test,
        "learnt from in all": len(subsets) - in_all,
    }
    return Finding(
        kind=kind,
        severity="serious",
        title=f"{what} on both sides of {split}: {len(groups)}",
        detail=f"Concerned are {test} of {in_all} test images, and {len(images) - test} of {len(subsets) - in_all} that a detector "
        f"learns from. {_examples(groups)}",
        images=images,
        numbers=numbers,
    )


def _not_within(groups: Sequence[Group], others: Sequence[Group]) -> list[Group]:
    """Groups that are not part of one of the others."""
    home = {one: number for number, other in enumerate(others) for one in other}
    return [group for group in groups if len({home.get(one, -1) for one in group}) > 1 or group[0] not in home]


def _all(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({one for group in groups for one in group}))


def _examples(groups: Sequence[Sequence[str]]) -> str:
    words = [f"({', '.join(group[:SHOWN])}{', …' if len(group) > SHOWN else ''})" for group in groups[:SHOWN]]
    return f"{'The first' if len(groups) > SHOWN else 'All'}: {' '.join(words)}."
