"""How often 95 % intervals hold the truth, by simulation, as tables in Markdown: python bench/coverage.py [REPLICATES].

Scores are binormal: normal images N(0, 1), abnormal ones N(shift, 1), with the shift that gives the area. In groups, half of the
variance is shared by the images of a group. Sizes are those of small and large test sets of medical images. 2,000 replicates
take about three minutes of one core; a coverage of .95 then has a standard error of .005.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from adbench_harness.metrics.delong import Area, paired_areas
from adbench_harness.metrics.groups import Groups
from adbench_harness.metrics.intervals import LEVEL, Interval, wilson
from adbench_harness.metrics.ranking import Labels, Values

SIZES = ((18, 155), (20, 100), (40, 115), (242, 726), (648, 1219))
AREAS = (0.6, 0.75, 0.9, 0.95, 0.99)
SPECIFICITIES = (0.8, 0.9, 0.95, 0.99)
SHARED = 0.5
AT_ONCE = 50
Z = float(ndtri(0.5 + LEVEL / 2))


@dataclass(frozen=True)
class Cell:
    """One test set, drawn again and again."""

    labels: Labels
    groups: Groups | None
    area: float
    """Of images of different groups."""

    @property
    def shift(self) -> float:
        """By which abnormal images lie higher."""
        return math.sqrt(2) * float(ndtri(self.area))

    @property
    def truth(self) -> float:
        """The mean of the area over all draws; two images of one group are easier to tell apart than others."""
        if self.groups is None:
            return self.area
        held = [np.bincount(self.groups[self.labels == label], minlength=self.groups.max() + 1) for label in (0, 1)]
        same = float(held[0] @ held[1]) / float(held[0].sum() * held[1].sum())
        return self.area + same * (float(ndtr(self.shift / math.sqrt(2 * (1 - SHARED)))) - self.area)

    def draws(self, replicates: int) -> Iterator[Values]:
        """(AT_ONCE, N) scores at a time, the same for the same cell."""
        generator = np.random.default_rng([len(self.labels), round(1000 * self.area)])
        for done in range(0, replicates, AT_ONCE):
            shape = min(AT_ONCE, replicates - done), len(self.labels)
            noise = generator.normal(size=shape)
            if self.groups is not None:
                shared = generator.normal(size=(shape[0], self.groups.max() + 1))[:, self.groups]
                noise = math.sqrt(SHARED) * shared + math.sqrt(1 - SHARED) * noise
            yield self.shift * self.labels + noise

    def areas(self, groups: Groups | None, replicates: int) -> Iterator[Area]:
        """The area of each draw, all of a batch as models on the same images, which is the same and faster."""
        for scores in self.draws(replicates):
            found = paired_areas(self.labels, scores, groups)
            yield from map(found.area, range(len(scores)))


def labels_of(normals: int, abnormals: int) -> Labels:
    """Normal images first."""
    return np.repeat(np.array([0, 1], dtype=np.int8), [normals, abnormals])


def groups_of(labels: Labels, size: int, mixed: bool) -> Groups:
    """Groups of `size` images, the last of each class (or of all) smaller: of one class each, or drawn from all images."""
    if mixed:
        place = np.random.default_rng(size).permutation(len(labels))
        return (place // size).astype(np.int64)
    normals = int(np.count_nonzero(labels == 0))
    within = np.concatenate([np.arange(normals), np.arange(len(labels) - normals)])
    return (within // size + labels.astype(np.int64) * (normals // size + 1)).astype(np.int64)


def holds(interval: Interval, truth: float) -> bool:
    """Whether the truth is inside."""
    return interval.low <= truth <= interval.high


def untransformed(found: Area) -> Interval:
    """Plain DeLong: nothing near 1 is special, not even 1 itself."""
    half = Z * math.sqrt(found.variance)
    return Interval(found.value - half, found.value + half, "DeLong")


def table(title: str, columns: Sequence[float], rows: Mapping[str, Callable[[float], str]]) -> None:
    """Print one table, each row as it is done."""
    print(f"\n{title}\n\n| | " + " | ".join(f"{column:g}" for column in columns) + " |\n| --- |" + " ---: |" * len(columns))
    for name, cell in rows.items():
        print(f"| {name} | " + " | ".join(cell(column) for column in columns) + " |", flush=True)


def independent(labels: Labels, replicates: int, area: float) -> str:
    """Coverage of plain DeLong and of ours, and how often the area is 1."""
    found = list(Cell(labels, None, area).areas(None, replicates))
    plain, logit = (
        np.mean([holds(each, area) for each in of]) for of in (map(untransformed, found), (one.interval for one in found))
    )
    return f"{plain:.3f} / {logit:.3f} ({np.mean([each.value == 1 for each in found]):.3f})"


def grouped(labels: Labels, groups: Groups, replicates: int, area: float) -> str:
    """Coverage on the logit scale without and with groups."""
    cell = Cell(labels, groups, area)
    without, with_groups = (
        np.mean([holds(each.interval, cell.truth) for each in cell.areas(of, replicates)]) for of in (None, groups)
    )
    return f"{without:.3f} / {with_groups:.3f}"


def wilson_exact(normals: int, specificity: float) -> str:
    """Coverage of Wilson for images drawn one by one: not simulated, all outcomes are counted."""
    outcomes = np.arange(normals + 1)
    inside = [wilson_holds(np.arange(normals) < hits, None, specificity) for hits in outcomes]
    return f"{np.sum(binom.pmf(outcomes, normals, specificity)[inside]):.3f}"


def wilson_grouped(labels: Labels, groups: Groups, replicates: int, specificity: float) -> str:
    """Coverage of Wilson without and with groups; the normal images alone matter, the threshold is fixed."""
    hits = [each for scores in Cell(labels, groups, 0.5).draws(replicates) for each in scores <= ndtri(specificity)]
    without, with_groups = (np.mean([wilson_holds(each, of, specificity) for each in hits]) for of in (None, groups))
    return f"{without:.3f} / {with_groups:.3f}"


def wilson_holds(hits: NDArray[np.bool_], groups: Groups | None, truth: float) -> bool:
    """Whether Wilson's interval does."""
    interval = wilson_of(int(hits.sum()), len(hits)) if groups is None else wilson(hits, groups)
    return interval is not None and holds(interval, truth)


@cache
def wilson_of(hits: int, images: int) -> Interval | None:
    """Wilson without groups, which counts alone make."""
    return wilson(np.arange(images) < hits)


def main(replicates: int) -> None:
    """Print all tables."""
    sets = {f"{normals} / {abnormals}": labels_of(normals, abnormals) for normals, abnormals in SIZES}
    table(
        "Images drawn one by one: DeLong / DeLong, logit, with Newcombe's rule at 1 (share of areas that are 1)",
        AREAS,
        {name: partial(independent, labels, replicates) for name, labels in sets.items()},
    )
    for size, mixed in product((2, 10), (False, True)):
        table(
            f"Groups of {size}, {'of both classes' if mixed else 'each of one class'}: DeLong, logit / Obuchowski, logit",
            AREAS,
            {name: partial(grouped, labels, groups_of(labels, size, mixed), replicates) for name, labels in sets.items()},
        )
    table(
        "Specificity, images drawn one by one: Wilson (exact)",
        SPECIFICITIES,
        {f"{normals}": partial(wilson_exact, normals) for normals, _ in SIZES},
    )
    for size in (2, 10):
        of_normals = {f"{normals}": labels_of(normals, 0) for normals, _ in SIZES}
        table(
            f"Specificity, groups of {size}: Wilson / Wilson with groups",
            SPECIFICITIES,
            {name: partial(wilson_grouped, only, groups_of(only, size, False), replicates) for name, only in of_normals.items()},
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
