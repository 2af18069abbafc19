"""The protocol for ranking: patients and copies on one side of each split, held-out normals, one training budget for all.

Five splits, because one split of a small set says little; three seeds, because their spread within a split is measured well
enough by the ten degrees of freedom that fifteen runs leave, and five would cost two thirds more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from adbench_harness.api import EvaluationRules, FitRules, ProtocolSpec, Sample, Subset, hash_order, hookimpl, units

adbench_api = 1

NAME: Final = "adbench-v1"
IMAGES_PRESENTED: Final = 20_000
"""What the measurements in docs/decisions/2026-11-26-default-protocol.md led to."""
HELD_OUT_AT_LEAST: Final = 20
"""An honest threshold needs 19 held-out normals."""
SPLIT_RULE: Final = (
    "A unit is what hangs together by group (patient) or equal pixels, normal and abnormal images alike. Units are taken in the order of "
    "SHA-256(protocol|split|lowest sample id). Every abnormal image is test; a unit with one is test as a whole. Of the other normals a "
    "fifth (rounded half up, at least 1) is test. Where the source has an official split, its test part is test instead, abnormal "
    "training images are unused, and so is every training unit with a test image (overlap removed). Of the training normals left, "
    "max(a fifth rounded up, 20) are held out. Units are never cut: the test part is the largest total up to its count, and not none; "
    "the held-out part the smallest total from its count on that leaves a training image, else the largest total up to a half. "
    "Of the sets of units with that total it is the one that takes the first unit it can, then the next."
)


@dataclass(frozen=True)
class Unit:
    """Normals that must stay on one side."""

    key: str
    """Lowest sample id of the unit, abnormal images included."""
    normals: tuple[str, ...]


def assign(dataset: str, samples: Sequence[Sample], split: int) -> dict[str, Subset]:
    """Which subset each sample is in; ``SPLIT_RULE`` says how."""
    official = all(sample.official_split for sample in samples if sample.label == 0)
    tested = {s.id for s in samples if (s.official_split == "test" if official else s.label == 1)}
    normals = {s.id for s in samples if s.label == 0 and (s.official_split == "train" or not official)}
    chosen: dict[str, Subset] = dict.fromkeys(sorted(tested), "test")
    pool: dict[str, Unit] = {}
    for members in units(samples):
        own = tuple(member for member in members if member in normals)
        if tested.isdisjoint(members):
            if own:
                pool[members[0]] = Unit(members[0], own)
        elif not official:
            chosen.update(dict.fromkeys(own, "test"))
    left = [pool[key] for key in hash_order(list(pool), NAME, split)]
    if not official:
        left = _set_apart(left, test_total(_sizes(left)), "test", chosen)
    left = _set_apart(left, held_out_total(_sizes(left)), "held_out", chosen)
    chosen.update((sample, "train") for unit in left for sample in unit.normals)
    return chosen


def test_total(sizes: Sequence[int]) -> int:
    """How many normals become test, of units of these sizes: 0 only where nothing else would be left to train on."""
    count, totals = sum(sizes), reachable(sizes)
    target = max((2 * count + 5) // 10, 1)
    below = _largest(totals, min(target, count - 1))
    return below or _smallest(totals, target, count - 1) or 0


def held_out_total(sizes: Sequence[int]) -> int:
    """How many training normals are held out, of units of these sizes."""
    count, totals = sum(sizes), reachable(sizes)
    least = max(-(-count // 5), HELD_OUT_AT_LEAST)
    return _smallest(totals, least, count - 1) or _largest(totals, count // 2)


def reachable(sizes: Sequence[int], limit: int | None = None) -> int:
    """The totals of all sets of units of these sizes, as the bits of an integer; up to ``limit``, if given."""
    totals = 1
    mask = (1 << (limit + 1)) - 1 if limit is not None else -1
    for size in sizes:
        totals |= (totals << size) & mask
    return totals


def first_with_total(sizes: Sequence[int], total: int) -> list[int]:
    """Places of the units that together have a reachable total: of all such sets, the first in lexicographic order of places."""
    taken, missing = _greedy(sizes, total)
    if not missing:
        return taken
    after = [1]  # entry k: totals of units from the k-th last on
    for size in reversed(sizes):
        after.append(after[-1] | (after[-1] << size) & ((1 << (total + 1)) - 1))
    taken, missing = [], total
    for place, size in enumerate(sizes):
        if size <= missing and after[len(sizes) - place - 1] >> (missing - size) & 1:
            taken.append(place)
            missing -= size
    return taken


def _greedy(sizes: Sequence[int], total: int) -> tuple[list[int], int]:
    """Units in order, but those that would overshoot, and what is then missing. If nothing is, no set comes before this one."""
    taken, missing = [], total
    for place, size in enumerate(sizes):
        if size <= missing:
            taken.append(place)
            missing -= size
    return taken, missing


def _set_apart(pool: Sequence[Unit], total: int, subset: Subset, chosen: dict[str, Subset]) -> list[Unit]:
    """Note the units of that total in ``chosen``, and return the others."""
    taken = set(first_with_total(_sizes(pool), total))
    chosen.update((sample, subset) for place in sorted(taken) for sample in pool[place].normals)
    return [unit for place, unit in enumerate(pool) if place not in taken]


def _sizes(pool: Sequence[Unit]) -> list[int]:
    return [len(unit.normals) for unit in pool]


def _largest(totals: int, most: int) -> int:
    """The largest total up to ``most``; 0 if there is none."""
    return max((totals & ((1 << (max(most, 0) + 1)) - 1)).bit_length() - 1, 0)


def _smallest(totals: int, least: int, most: int) -> int | None:
    """The smallest total between the two, or None."""
    above = totals >> least
    found = least + (above & -above).bit_length() - 1
    return found if above and found <= most else None


@hookimpl
def register_protocols(register: Callable[[ProtocolSpec], None]) -> None:
    """Register the protocol for ranking."""
    register(
        ProtocolSpec(
            name=NAME,
            version=1,
            title="adbench, first version (ranking)",
            description=(
                "128 x 128 RGB in [0, 1], batches of 32, one budget of training images presented for every detector; five splits that keep "
                "patients and copies together; held-out normals for an honest threshold."
            ),
            fit=FitRules(images_presented=IMAGES_PRESENTED),
            evaluation=EvaluationRules(thresholds=("normal-q95", "best-f1", "youden", "sens-at-spec-95", "spec-at-sens-95")),
            split_rule=SPLIT_RULE,
            splits=5,
            seeds=(0, 1, 2),
            needs_clusters=True,
            assign=assign,
        )
    )
