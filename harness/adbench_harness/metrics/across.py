"""Models over several datasets: one vote for each independent source, and a bootstrap that draws the same images for all models."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .intervals import LEVEL, Interval
from .ranking import Labels, Values

REPLICATES: Final = 2000
BATCH: Final = 250
"""Replicates at a time: bounds the memory, whatever the test sets' size."""
SEED: Final = 20230213
FEW_SOURCES: Final = 5
"""Below this many, the datasets at hand say next to nothing about datasets that were not seen: a sign test can't reach 5 %."""


@dataclass(frozen=True)
class ScoredSet:
    """Scores of M models on the images of one dataset and task."""

    source: str
    """What the images come from; test sets of one source are one vote together, and share draws."""
    labels: Labels
    """(N,) both classes."""
    units: Sequence[Hashable]
    """(N,) what is drawn whole: a group where it is known, else the image; equal across the test sets of a source."""
    strata: str
    """The dataset's name: tasks of one dataset, which share images, are drawn as one."""
    scores: Sequence[Values]
    """(S, N) for each model, a row a seed."""


@dataclass(frozen=True)
class Across:
    """Mean area of M models over sources, and replicates of it."""

    sources: Sequence[str]
    by_source: Values
    """(K, M) the mean over the test sets of each source."""
    replicates: Values
    """(B, M) the mean over sources in each replicate."""

    @property
    def means(self) -> Values:
        """(M,) the mean over sources, each with one vote."""
        return np.asarray(self.by_source.mean(axis=0))

    def difference(self, first: int, second: int) -> tuple[float, Interval, float]:
        """First minus second: value, percentile interval, and two-sided bootstrap p (Efron and Tibshirani 1993, section 15.4).

        p is twice the smaller share of replicates on or beyond zero, each counted with one more, so it is never below 2 / (B + 1).
        """
        drawn = self.replicates[:, first] - self.replicates[:, second]
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        smaller = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
        p = min(1.0, 2 * (smaller + 1) / (len(drawn) + 1))
        return float(self.means[first] - self.means[second]), Interval(float(low), float(high), "paired bootstrap"), p


def across(test_sets: Sequence[ScoredSet], replicates: int = REPLICATES) -> Across:
    """The mean area over sources, observed and in bootstrap replicates.

    In each replicate every source's units are drawn anew, with replacement, within strata that keep how many units have
    images of which class of which dataset; the draws are the same for all models and for all test sets that hold a unit. So
    datasets that share patients (and say so by equal groups) vary together; datasets of one source that share images without
    saying which are drawn independently, which leaves their covariance out. A model's seeds are drawn anew, too. The sources
    themselves are fixed: nothing is said about sources that were not seen.

    Args:
        test_sets: all with the same M models in the same order; both classes each.
        replicates: B, a multiple of 250 or less than that.
    """
    names = list(dict.fromkeys(one.source for one in test_sets))
    random = np.random.default_rng(SEED)
    drawn = np.zeros((replicates, len(test_sets[0].scores)))
    observed = np.zeros((len(names), drawn.shape[1]))
    for place, name in enumerate(names):
        members = [one for one in test_sets if one.source == name]
        population = _Source(members)
        observed[place] = population.observed()
        for start in range(0, replicates, BATCH):
            stop = min(start + BATCH, replicates)
            drawn[start:stop] += population.draw(stop - start, random) / len(names)
    return Across(names, observed, drawn)


class _Source:
    """The units of one source, and what its test sets need again and again."""

    def __init__(self, test_sets: Sequence[ScoredSet]) -> None:
        codes: dict[Hashable, int] = {}
        self.unit = [np.asarray([codes.setdefault(unit, len(codes)) for unit in one.units], dtype=np.intp) for one in test_sets]
        kinds: list[set[tuple[str, int]]] = [set() for _ in codes]
        for one, units in zip(test_sets, self.unit, strict=True):
            for unit, label in zip(units.tolist(), one.labels.tolist(), strict=True):
                kinds[unit].add((one.strata, label))
        strata: dict[frozenset[tuple[str, int]], list[int]] = {}
        for number, kind in enumerate(kinds):
            strata.setdefault(frozenset(kind), []).append(number)
        self.count = len(codes)
        self.strata = [np.asarray(units) for units in strata.values()]
        self.members = [_Rows(one) for one in test_sets]

    def observed(self) -> Values:
        """(M,): mean areas over the source's test sets and each model's seeds, every image counted once."""
        once = [np.ones((len(units), 1), dtype=np.float32) for units in self.unit]
        by_test_set = [[np.mean(areas) for areas in rows.areas(times)] for times, rows in zip(once, self.members, strict=True)]
        return np.asarray(np.mean(by_test_set, axis=0))

    def draw(self, replicates: int, random: np.random.Generator) -> Values:
        """(replicates, M): mean areas over the source's test sets and each model's seeds, drawn anew."""
        times = np.empty((self.count, replicates), dtype=np.float32)
        for units in self.strata:
            chances = np.full(len(units), 1 / len(units))
            times[units] = random.multinomial(len(units), chances, size=replicates).T
        found = [
            np.stack([_mean_of_seeds(areas, random) for areas in rows.areas(times[units])], axis=1)
            for units, rows in zip(self.unit, self.members, strict=True)
        ]
        return np.asarray(np.mean(found, axis=0))


def _mean_of_seeds(areas: Sequence[Values], random: np.random.Generator) -> Values:
    if len(areas) == 1:
        return areas[0]
    stacked = np.stack(areas)
    chosen = random.integers(len(areas), size=stacked.shape)
    return np.asarray(np.take_along_axis(stacked, chosen, axis=0).mean(axis=0))


class _Rows:
    """The score rows of a test set, put in order once."""

    def __init__(self, test_set: ScoredSet) -> None:
        self.normal, self.abnormal = np.flatnonzero(test_set.labels == 0), np.flatnonzero(test_set.labels == 1)
        self.rows = [[self._ordered(row) for row in rows] for rows in test_set.scores]

    def _ordered(self, scores: Values) -> tuple[NDArray[np.intp], csr_array]:
        """How the normal images are ordered, and (n + 1, m) which abnormal images lie above how many of them, ties half and half."""
        order = np.argsort(scores[self.normal], kind="stable")
        ascending = scores[self.normal][order]
        sides = [np.searchsorted(ascending, scores[self.abnormal], side) for side in ("left", "right")]
        images = np.arange(len(self.abnormal))
        halves = np.full(2 * len(images), 0.5, dtype=np.float32)
        shape = (len(order) + 1, len(images))
        return order, csr_array((halves, (np.concatenate(sides), np.concatenate([images, images]))), shape=shape)

    def areas(self, times: NDArray[np.float32]) -> list[list[Values]]:
        """For each model and seed the area (B,) if each image was drawn so often, (N, B).

        An abnormal image wins against the normal ones below it, whose counts are a cumulative sum; so the pairs that are won
        are counted in O(N B), without looking at pairs.
        """
        normal, abnormal = times[self.normal], times[self.abnormal]
        pairs = normal.sum(axis=0, dtype=np.float64) * abnormal.sum(axis=0, dtype=np.float64)
        below = np.zeros((len(normal) + 1, times.shape[1]), dtype=np.float32)

        def area(order: NDArray[np.intp], above: csr_array) -> Values:
            np.cumsum(normal[order], axis=0, out=below[1:])
            return np.asarray(np.einsum("kb,kb->b", below, above @ abnormal, dtype=np.float64) / pairs)

        return [[area(*row) for row in rows] for rows in self.rows]


def unit_names(dataset: str, images: Sequence[str], groups: Sequence[str | None]) -> Iterator[Hashable]:
    """What is drawn whole, for each image: its group if it is known, else the image itself, which another dataset does not have."""
    for image, group in zip(images, groups, strict=True):
        yield (dataset, image) if group is None else group
