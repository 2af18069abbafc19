"""Models over several datasets: one vote for each independent source, the same images drawn for all models, and their seeds.

Images are drawn by bootstrap. Seeds are not: drawing S of S anew has (S - 1) / S of their variance, and each of them errs on these
images in its own way, which the drawing of images has in it already. What seeds add is worked out as for a single test set.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .comparison import Contrast, between_seeds, by_t, satterthwaite
from .intervals import Interval
from .ranking import Labels, Values

REPLICATES: Final = 2000
BATCH: Final = 250
"""Replicates at a time: bounds the memory, whatever the test sets' size."""
SEED: Final = 20230213
ROUNDING: Final = 1e-20
"""A variance below this is 0 but for rounding: areas are multiples of one over twice the number of pairs."""
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
    dataset: str
    """Its name: tasks of one dataset, which share images and trained detectors, are drawn as one."""
    scores: Sequence[Values]
    """(S, N) for each model, a row a seed; in all tasks of a dataset a row is the same trained detector."""


@dataclass(frozen=True)
class Across:
    """Mean area of M models over sources, and replicates of it."""

    sources: Sequence[str]
    by_source: Values
    """(K, M) the mean over the test sets of each source."""
    replicates: Values
    """(B, M) the mean over sources, on the images of each replicate."""
    own: Values
    """(M,) variance of the mean over sources by the seeds' own variance; 0 of single seeds."""
    parts: Values
    """(M,) squares of the variances that are seen between seeds, each over its degrees of freedom, added up."""

    @property
    def means(self) -> Values:
        """(M,) the mean over sources, each with one vote."""
        return np.asarray(self.by_source.mean(axis=0))

    def difference(self, first: int, second: int) -> Contrast:
        """First minus second, by t with the bootstrap's variance and that of the seeds, as in ``comparison.contrast``.

        Where no replicate differs there is nothing to judge by: 0 for certain if the models order all images alike, else anything.
        """
        value = float(self.means[first] - self.means[second])
        by_images = float((self.replicates[:, first] - self.replicates[:, second]).var(ddof=1))
        variance = by_images + float(self.own[first] + self.own[second])
        freedom = satterthwaite(variance, float(self.parts[first] + self.parts[second]))
        if variance > ROUNDING:
            return by_t(value, variance, freedom, "paired bootstrap" if math.isinf(freedom) else "paired bootstrap and seeds")
        alike = value**2 < ROUNDING and float(self.replicates[:, first].var(ddof=1)) > ROUNDING
        end = 0.0 if alike else 1.0
        return Contrast(value, Interval(-end, end, "paired bootstrap"), 1.0, math.inf)


def across(test_sets: Sequence[ScoredSet], replicates: int = REPLICATES) -> Across:
    """The mean area over sources, observed and on the images of bootstrap replicates, and what seeds add to its variance.

    In each replicate every source's units are drawn anew, with replacement, within strata that keep how many units have
    images of which class of which dataset; the draws are the same for all models and seeds and for all test sets that hold a
    unit. So datasets that share patients (and say so by equal groups) vary together; datasets of one source that share images
    without saying which are drawn independently, which leaves their covariance out. The sources themselves are fixed: nothing
    is said about sources that were not seen.

    The seeds' own variance is estimated for each dataset, as by ``comparison.seed_means``: of the areas of each seed, averaged
    over the dataset's tasks, since they are all of the very same detector. Detectors of different datasets are independent.

    Args:
        test_sets: all with the same M models in the same order; both classes each.
        replicates: B, at least 2.
    """
    names = list(dict.fromkeys(one.source for one in test_sets))
    random = np.random.default_rng(SEED)
    models = len(test_sets[0].scores)
    found = Across(names, np.zeros((len(names), models)), np.zeros((replicates, models)), np.zeros(models), np.zeros(models))
    for place, name in enumerate(names):
        population = _Source([one for one in test_sets if one.source == name])
        once, drawn = population.observed(), population.draw(replicates, random)
        for weight, seen, again in zip(population.weights, once, drawn, strict=True):
            for model, (areas, redrawn) in enumerate(zip(seen, again, strict=True)):
                share = weight / len(names)
                found.by_source[place, model] += weight * areas.mean()
                found.replicates[:, model] += share * redrawn.mean(axis=0)
                if len(areas) > 1:
                    spread, own = between_seeds(areas, _by_images(redrawn))
                    found.own[model] += share**2 * own
                    found.parts[model] += (share**2 * spread) ** 2 / (len(areas) - 1)
    return found


def _by_images(redrawn: Values) -> float:
    """V - C, the variance of a seed's area less the covariance of two, over draws of the images: (S, B) areas on the same draws."""
    return float((redrawn - redrawn.mean(axis=1, keepdims=True)).var(axis=0, ddof=1).mean())


class _Source:
    """The units of one source, and what its test sets need again and again."""

    def __init__(self, test_sets: Sequence[ScoredSet]) -> None:
        codes: dict[Hashable, int] = {}
        self.unit = [np.asarray([codes.setdefault(unit, len(codes)) for unit in one.units], dtype=np.intp) for one in test_sets]
        kinds: list[set[tuple[str, int]]] = [set() for _ in codes]
        places: dict[str, list[int]] = {}
        for place, (one, units) in enumerate(zip(test_sets, self.unit, strict=True)):
            places.setdefault(one.dataset, []).append(place)
            for unit, label in zip(units.tolist(), one.labels.tolist(), strict=True):
                kinds[unit].add((one.dataset, label))
        strata: dict[frozenset[tuple[str, int]], list[int]] = {}
        for number, kind in enumerate(kinds):
            strata.setdefault(frozenset(kind), []).append(number)
        self.count = len(codes)
        self.strata = [np.asarray(units) for units in strata.values()]
        self.members = [_Rows(one) for one in test_sets]
        self.datasets = list(places.values())
        self.weights = [len(tasks) / len(test_sets) for tasks in self.datasets]

    def observed(self) -> list[list[Values]]:
        """For each dataset and model (S,) areas, the mean of the dataset's tasks, every image counted once."""
        return [[areas[:, 0] for areas in of_models] for of_models in self._areas(np.ones((self.count, 1), dtype=np.float32))]

    def draw(self, replicates: int, random: np.random.Generator) -> list[list[Values]]:
        """For each dataset and model (S, replicates) areas, the mean of the dataset's tasks, on images drawn anew."""
        batches = [self._drawn(min(BATCH, replicates - start), random) for start in range(0, replicates, BATCH)]
        return [[np.concatenate(parts, axis=1) for parts in zip(*same, strict=True)] for same in zip(*batches, strict=True)]

    def _drawn(self, replicates: int, random: np.random.Generator) -> list[list[Values]]:
        times = np.empty((self.count, replicates), dtype=np.float32)
        for units in self.strata:
            chances = np.full(len(units), 1 / len(units))
            times[units] = random.multinomial(len(units), chances, size=replicates).T
        return self._areas(times)

    def _areas(self, times: NDArray[np.float32]) -> list[list[Values]]:
        """For each dataset and model (S, B) areas if each unit was drawn so often, (units, B)."""
        of_tasks = [rows.areas(times[units]) for units, rows in zip(self.unit, self.members, strict=True)]
        return [
            [np.mean(tasks, axis=0) for tasks in zip(*(of_tasks[place] for place in places), strict=True)]
            for places in self.datasets
        ]


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

    def areas(self, times: NDArray[np.float32]) -> list[Values]:
        """For each model (S, B) areas if each image was drawn so often, (N, B).

        An abnormal image wins against the normal ones below it, whose counts are a cumulative sum; so the pairs that are won
        are counted in O(N B), without looking at pairs.
        """
        normal, abnormal = times[self.normal], times[self.abnormal]
        pairs = normal.sum(axis=0, dtype=np.float64) * abnormal.sum(axis=0, dtype=np.float64)
        below = np.zeros((len(normal) + 1, times.shape[1]), dtype=np.float32)

        def area(order: NDArray[np.intp], above: csr_array) -> Values:
            np.cumsum(normal[order], axis=0, out=below[1:])
            return np.asarray(np.einsum("kb,kb->b", below, above @ abnormal, dtype=np.float64) / pairs)

        return [np.stack([area(*row) for row in rows]) for rows in self.rows]


def unit_names(dataset: str, images: Sequence[str], groups: Sequence[str | None]) -> Iterator[Hashable]:
    """What is drawn whole, for each image: its group if it is known, else the image itself, which another dataset does not have."""
    for image, group in zip(images, groups, strict=True):
        yield (dataset, image) if group is None else group
