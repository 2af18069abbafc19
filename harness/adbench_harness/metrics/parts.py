"""Figures of parts of a test set: of lesions of one kind or size, of images of one density.

The thresholds are those of the whole test set: a part is looked at, it is no test set of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .delong import roc_area
from .evaluation import NO_RULE, ScoredImages, thresholds
from .groups import group_codes
from .intervals import Interval, wilson
from .resampling import Resampling
from .thresholds import RULES

MOST_VALUES: Final = 12
"""Of an attribute of words: with more it is a name, not a group."""
MOST_STEPS: Final = 4
"""Of an attribute of numbers: with more it is cut into thirds."""


@dataclass(frozen=True)
class Part:
    """A named part of the test images."""

    name: str
    """Attribute and value, for instance "density = F" or "radius > 27 to 60"."""
    chosen: NDArray[np.bool_]
    """(N,)."""


@dataclass(frozen=True)
class PartFigure:
    """One number of a part."""

    part: str
    rule: str
    name: str
    value: float
    interval: Interval | None = None


def parts(images: ScoredImages) -> list[Part]:
    """The parts that the images' kinds and attributes make: of words one a value, of numbers one a value or a third.

    Thirds are cut at quantiles of the test images that have the attribute.
    """
    found = [Part(f"kind = {kind}", _equal(images.subtypes, kind)) for kind in _abnormal_kinds(images)]
    for name in sorted({name for facts in images.attributes for name in facts}):
        found += _of_attribute(name, [facts.get(name) for facts in images.attributes])
    return found


def evaluate_parts(images: ScoredImages, found: Sequence[Part], rules: Sequence[str]) -> list[PartFigure]:
    """Of each part: counts, ROC AUC of its abnormal against all normal images, sensitivity and specificity at each rule.

    Nothing for a test set of one class, or for an empty part.
    """
    labels = images.labels
    found = [part for part in found if part.chosen.any()]
    if not found or not 0 < np.count_nonzero(labels == 1) < len(labels):
        return []
    figures = [PartFigure(part.name, NO_RULE, *row) for part in found for row in _without_rule(images, part)]
    groups = group_codes(images.groups)
    resampling = Resampling(labels, images.scores, groups)
    halves = [(part, label, part.chosen & (labels == label)) for part in found for label in (1, 0)]
    halves = [half for half in halves if half[2].any()]
    for rule, threshold in thresholds(images, [RULES[rule] for rule in dict.fromkeys(rules)]):
        called = images.scores > threshold
        drawn = resampling.shares(rule, threshold, [chosen for _, _, chosen in halves]) if rule.oracle else []
        for place, (part, label, chosen) in enumerate(halves):
            hits = called[chosen] if label else ~called[chosen]
            interval = drawn[place] if rule.oracle else None
            if interval is None:  # at an honest threshold, or where all replicates agree
                interval = wilson(hits, groups[chosen] if groups is not None else None)
            elif not label:
                interval = _complement(interval)
            figures.append(PartFigure(part.name, rule.name, ("specificity", "sensitivity")[label], float(hits.mean()), interval))
    return figures


def _without_rule(images: ScoredImages, part: Part) -> Iterator[tuple[str, float, Interval | None]]:
    abnormal = part.chosen & (images.labels == 1)
    yield "n_abnormal", float(abnormal.sum()), None
    yield "n_normal", float((part.chosen & (images.labels == 0)).sum()), None
    if abnormal.any():
        compared = images.where(abnormal | (images.labels == 0))
        area = roc_area(compared.labels, compared.scores, group_codes(compared.groups))
        yield "roc_auc", area.value, area.interval


def _abnormal_kinds(images: ScoredImages) -> list[str]:
    kinds = {kind for kind, label in zip(images.subtypes, images.labels, strict=True) if label == 1}
    return sorted(kinds) if len(kinds) > 1 else []


Value = str | float | int | None


def _of_attribute(name: str, values: Sequence[Value]) -> list[Part]:
    distinct = {value for value in values if value is not None}
    words = any(isinstance(value, str) for value in distinct)
    if len(distinct) < 2 or (words and len(distinct) > MOST_VALUES):
        return []
    if words or len(distinct) <= MOST_STEPS:
        return [Part(f"{name} = {value}", _equal(values, value)) for value in sorted(distinct, key=str)]
    return _thirds(name, np.asarray([np.nan if value is None else float(value) for value in values]))


def _thirds(name: str, values: NDArray[np.float64]) -> list[Part]:
    low, high = np.nanquantile(values, [1 / 3, 2 / 3], method="inverted_cdf")
    cut = [
        Part(f"{name} <= {low:g}", values <= low),
        Part(f"{name} > {low:g} to {high:g}", (values > low) & (values <= high)),
        Part(f"{name} > {high:g}", values > high),
    ]
    return [part for part in cut if part.chosen.any()]


def _equal(values: Sequence[object], value: object) -> NDArray[np.bool_]:
    return np.asarray([one == value for one in values], dtype=bool)


def _complement(interval: Interval) -> Interval:
    return Interval(1 - interval.high, 1 - interval.low, interval.method)
