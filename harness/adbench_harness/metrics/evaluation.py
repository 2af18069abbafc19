"""Every figure of a run, from its scores alone: with its interval, its threshold rule, and what chance would give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .chance import random_areas, random_figures
from .delong import roc_area
from .groups import Groups, group_codes
from .intervals import Interval, wilson
from .operating_point import FIGURES, Matrices, confusion
from .ranking import (
    Labels,
    Values,
    average_precision,
    fpr_at_95_tpr,
    kolmogorov_smirnov,
    partial_auc,
    pr_auc_trapezoid,
    somers_d,
)
from .resampling import Resampling
from .thresholds import HONEST, RULES, TRIVIAL, Rule, RuleRefusedError, held_out_rank, specificity_band

VERSION: Final = 3
"""Raise it when a figure or an interval changes, or one is added: stored scores are then evaluated anew."""
ALL: Final = "all"
"""The task that every dataset has: all abnormal images."""
NO_RULE: Final = "none"
"""Stands in the place of a rule for figures that need none."""
PROPORTIONS: Final = ("sensitivity", "specificity", "precision")
"""Figures that are a share of images, once the threshold is given."""
RANDOM: Final = "random_"
"""Begins the name of what random scores give in place of the figure."""


def in_task(labels: Labels, subtypes: Sequence[str], wanted: Sequence[str]) -> NDArray[np.bool_]:
    """Which images (N,) a task has: the normal ones, and the abnormal ones of the wanted kinds."""
    return np.asarray((labels == 0) | np.isin(np.asarray(subtypes, dtype=object), list(wanted)))


@dataclass(frozen=True)
class Figure:
    """One number of a run."""

    task: str
    rule: str
    name: str
    value: float
    interval: Interval | None = None
    """None for counts and thresholds, and where the images are too few for one."""


@dataclass(frozen=True)
class ScoredImages:
    """A run's test images, and the scores of its held-out normal ones; arrays and sequences of equal length (N,)."""

    labels: Labels
    """0 or 1."""
    subtypes: Sequence[str]
    scores: Values
    """Finite."""
    groups: Sequence[str | None]
    """Which images are not independent of each other, by name; None if nothing is known."""
    held_out: Values
    """(H,) of normal images that the detector neither learnt from nor is tested on."""
    attributes: Sequence[Mapping[str, str | float | int]] = ()
    """Facts about each image; empty if none are known."""

    def where(self, chosen: NDArray[np.bool_]) -> ScoredImages:
        """The test images that are chosen; the held-out ones stay."""
        places: list[int] = np.flatnonzero(chosen).tolist()
        return ScoredImages(
            self.labels[chosen],
            [self.subtypes[place] for place in places],
            self.scores[chosen],
            [self.groups[place] for place in places],
            self.held_out,
            [self.attributes[place] for place in places] if self.attributes else (),
        )

    def of_task(self, subtypes: Sequence[str] | None) -> ScoredImages:
        """The normal images and the abnormal ones of the given kinds; None: of all kinds."""
        if subtypes is None:
            return self
        return self.where(in_task(self.labels, self.subtypes, subtypes))


def evaluate(images: ScoredImages, tasks: Mapping[str, Sequence[str]], rules: Sequence[str]) -> list[Figure]:
    """Figures of each task: counts, areas, and at each rule the confusion matrix and what is read off it.

    A rule that can't choose (too few held-out normals) gives no figure. The trivial rule is added to the others.

    Args:
        images: of the test set.
        tasks: name to abnormal subtypes; the task "all" is added.
        rules: names of threshold rules.
    """
    return [
        Figure(task, *row)
        for task, subtypes in {ALL: None, **tasks}.items()
        for row in _task(images.of_task(subtypes), [RULES[rule] for rule in dict.fromkeys([*rules, TRIVIAL])])
    ]


def thresholds(images: ScoredImages, rules: Sequence[Rule]) -> list[tuple[Rule, float]]:
    """Rules that can choose, each with its threshold; both classes present."""
    found = []
    for rule in rules:
        try:
            found.append((rule, rule.choose(images.labels, images.scores, images.held_out)))
        except RuleRefusedError:
            continue
    return found


Row = tuple[str, str, float, Interval | None]


def _task(images: ScoredImages, rules: Sequence[Rule]) -> Iterator[Row]:
    labels = images.labels
    abnormal = int(np.count_nonzero(labels == 1))
    counts = {"n_abnormal": abnormal, "n_normal": len(labels) - abnormal, "n_held_out": len(images.held_out)}
    groups = group_codes(images.groups)
    counts |= {"n_groups": int(groups.max()) + 1} if groups is not None else {}
    for name, count in counts.items():
        yield NO_RULE, name, count, None
    if not 0 < abnormal < len(labels):
        return  # one class: nothing can be ranked or chosen
    resampling = Resampling(labels, images.scores, groups)
    yield from _areas(images, resampling)
    chosen = thresholds(images, rules)
    estimated = [(rule, threshold) for rule, threshold in chosen if rule.name != TRIVIAL]
    drawn = {rule.name: found for (rule, _), found in zip(estimated, resampling.operating(estimated), strict=True)}
    for rule, threshold in chosen:
        yield from _at_rule(images, rule, threshold, drawn.get(rule.name, {}))


def _areas(images: ScoredImages, resampling: Resampling) -> Iterator[Row]:
    labels, scores = images.labels, images.scores
    area = roc_area(labels, scores, group_codes(images.groups))
    yield NO_RULE, "roc_auc", area.value, area.interval
    both = Interval(somers_d(area.interval.low), somers_d(area.interval.high), area.interval.method)
    yield NO_RULE, "somers_d", somers_d(area.value), both
    drawn = resampling.curves()
    for name, figure in {
        "pr_auc": average_precision,
        "pr_auc_trapezoid": pr_auc_trapezoid,
        "partial_auc": partial_auc,
        "fpr_at_95_tpr": fpr_at_95_tpr,
        "ks": kolmogorov_smirnov,
    }.items():
        yield NO_RULE, name, figure(labels, scores), drawn.get(name)
    abnormal = int(np.count_nonzero(labels == 1))
    for name, chance in random_areas(abnormal, len(labels) - abnormal).items():
        yield NO_RULE, RANDOM + name, *chance


def _at_rule(images: ScoredImages, rule: Rule, threshold: float, drawn: Mapping[str, Interval]) -> Iterator[Row]:
    labels, groups = images.labels, group_codes(images.groups)
    at = confusion(labels, images.scores, threshold)
    yield rule.name, "threshold", threshold, None
    for name in ("tp", "fn", "fp", "tn"):
        yield rule.name, name, float(getattr(at, name)), None
    by_counts = _by_counts(labels, images.scores > threshold, groups)
    for name, value in at.figures().items():
        if math.isnan(value):
            continue
        interval = by_counts.get(name) if not rule.oracle and name in PROPORTIONS else drawn.get(name, by_counts.get(name))
        if rule.name == TRIVIAL:  # nothing is estimated: it follows from how many images there are
            interval = Interval(value, value, "by definition")
        yield rule.name, name, value, interval
    yield from _beside(images, rule)


def _by_counts(labels: Labels, called: NDArray[np.bool_], groups: Groups | None) -> dict[str, Interval]:
    """Intervals of proportions, and of the other figures the bounds that those of sensitivity and specificity give."""
    abnormal = labels == 1
    among = {"sensitivity": (called, abnormal), "specificity": (~called, ~abnormal), "precision": (abnormal, called)}
    found: dict[str, Interval] = {}
    for name, (hits, part) in among.items():
        if (interval := wilson(hits[part], groups[part] if groups is not None else None)) is not None:
            found[name] = interval
    ends = [(getattr(found["sensitivity"], end), getattr(found["specificity"], end)) for end in ("low", "high")]
    shares = np.asarray(ends) * [abnormal.sum(), (~abnormal).sum()]
    both = Matrices(shares[:, 0], abnormal.sum() - shares[:, 0], (~abnormal).sum() - shares[:, 1], shares[:, 1])
    for name in ("f1", "balanced_accuracy", "mcc"):
        low, high = FIGURES[name](both)
        found[name] = Interval(float(low), float(high), "bounds by Wilson")
    return found


def _beside(images: ScoredImages, rule: Rule) -> Iterator[Row]:
    """What the rule promises before it sees a test image, and what it gives random scores."""
    if rule.name == TRIVIAL:
        return
    held_out = len(images.held_out)
    if rule.name == HONEST:
        promised = held_out_rank(held_out) / (held_out + 1)
        yield rule.name, "promised_specificity", promised, specificity_band(held_out)
    abnormal = int(np.count_nonzero(images.labels == 1))
    chance = random_figures(rule.name, abnormal, len(images.labels) - abnormal, held_out if not rule.oracle else 0)
    for name in FIGURES:
        if name in chance:
            yield rule.name, RANDOM + name, *chance[name]
