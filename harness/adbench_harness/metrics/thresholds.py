"""Rules that choose a threshold, by name. A rule that sees test labels is an oracle, and every table says so.

Candidates are the midpoints between neighbouring distinct scores, and -inf and +inf; an image is called abnormal if and only
if its score > threshold. Of candidates with equal value the highest threshold wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from .ranking import Labels, Values


@dataclass(frozen=True)
class Rule:
    """A named way to choose a threshold."""

    name: str
    oracle: bool
    description: str
    choose: Callable[[Labels, Values], float]
    """(labels, scores) of the test images of one task to a threshold; both classes present."""


@dataclass(frozen=True)
class Candidates:
    """All thresholds that can make a difference, ascending, with the counts that each gives."""

    threshold: Values
    tp: Values
    fp: Values
    abnormal: int
    normal: int


def candidates(labels: Labels, scores: Values) -> Candidates:
    """Candidate thresholds of a set of scores, O(n log n)."""
    distinct, place = np.unique(scores, return_inverse=True)
    abnormal_at = np.bincount(place[labels == 1], minlength=len(distinct)).astype(np.float64)
    normal_at = np.bincount(place[labels == 0], minlength=len(distinct)).astype(np.float64)
    middle = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
    # Between neighbouring floats there is no midpoint; the lower score itself then separates them under ">".
    middle = np.where(middle < distinct[1:], middle, distinct[:-1])
    threshold = np.concatenate([[-np.inf], middle, [np.inf]])
    return Candidates(
        threshold,
        _at_or_above(abnormal_at),
        _at_or_above(normal_at),
        int(abnormal_at.sum()),
        int(normal_at.sum()),
    )


def best_f1(labels: Labels, scores: Values) -> float:
    """The threshold of the highest F1."""
    found = candidates(labels, scores)
    return _last_best(found, 2 * found.tp / np.maximum(found.tp + found.fp + found.abnormal, 1))


def youden(labels: Labels, scores: Values) -> float:
    """The threshold of the highest sensitivity + specificity - 1 (Youden's J)."""
    found = candidates(labels, scores)
    # In units of 1 / (abnormal * normal), so that equal values compare equal.
    return _last_best(found, found.tp * found.normal - found.fp * found.abnormal)


def all_positive(labels: Labels, scores: Values) -> float:
    """-inf: everything is called abnormal."""
    return -np.inf


RULES: Final[Mapping[str, Rule]] = {
    rule.name: rule
    for rule in (
        Rule("best-f1", True, "highest F1 on the test labels (the study's Table 3)", best_f1),
        Rule("youden", True, "highest sensitivity + specificity - 1 on the test labels (likely the study's Figures 6-7)", youden),
        Rule("all-positive", False, "no detector at all: every image is called abnormal", all_positive),
    )
}
TRIVIAL: Final = "all-positive"


def _at_or_above(counts: Values) -> Values:
    """Entry j: how many lie above candidate j, the last being +inf."""
    return np.concatenate([np.cumsum(counts[::-1])[::-1], [0.0]])


def _last_best(found: Candidates, value: Values) -> float:
    best = np.flatnonzero(value == value.max())[-1]
    return float(found.threshold[best])
