"""Every figure of a run, from its scores alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from .operating_point import confusion
from .ranking import Labels, Values, average_precision, pr_auc_trapezoid, roc_auc
from .thresholds import RULES, TRIVIAL

ALL: Final = "all"
"""The task that every dataset has: all abnormal images."""
NO_RULE: Final = "none"
"""Stands in the place of a rule for figures that need none."""


@dataclass(frozen=True)
class Figure:
    """One number of a run."""

    task: str
    rule: str
    name: str
    value: float


def evaluate(
    labels: Labels,
    subtypes: Sequence[str],
    scores: Values,
    tasks: Mapping[str, Sequence[str]],
    rules: Sequence[str],
) -> list[Figure]:
    """Figures of each task: counts, areas, and at each rule the confusion matrix and what is read off it.

    Args:
        labels: (N,) 0 or 1, test images only.
        subtypes: (N,) the kind of each image.
        scores: (N,) finite.
        tasks: name to abnormal subtypes; the task "all" is added.
        rules: names of threshold rules; the trivial classifier is added.
    """
    kinds = np.asarray(subtypes, dtype=object)
    figures: list[Figure] = []
    for task, wanted in {ALL: None, **tasks}.items():
        chosen = np.ones(len(labels), bool) if wanted is None else (labels == 0) | np.isin(kinds, list(wanted))
        figures += [Figure(task, *row) for row in _task(labels[chosen], scores[chosen], rules)]
    return figures


def _task(labels: Labels, scores: Values, rules: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    abnormal = int(np.count_nonzero(labels == 1))
    yield NO_RULE, "n_abnormal", abnormal
    yield NO_RULE, "n_normal", len(labels) - abnormal
    if not 0 < abnormal < len(labels):
        return  # one class: nothing can be ranked or chosen
    yield NO_RULE, "roc_auc", roc_auc(labels, scores)
    yield NO_RULE, "pr_auc", average_precision(labels, scores)
    yield NO_RULE, "pr_auc_trapezoid", pr_auc_trapezoid(labels, scores)
    for rule in dict.fromkeys([*rules, TRIVIAL]):
        threshold = RULES[rule].choose(labels, scores)
        at = confusion(labels, scores, threshold)
        yield rule, "threshold", threshold
        for name in ("tp", "fn", "fp", "tn", "sensitivity", "specificity", "precision", "f1"):
            value = float(getattr(at, name))
            if not math.isnan(value):
                yield rule, name, value
