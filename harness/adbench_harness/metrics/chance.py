"""What scores that are drawn at random would reach: the row that any detector must beat, under the same rule on as many images.

An oracle rule gives even random scores a good figure, the better the fewer images there are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .intervals import LEVEL, Interval
from .operating_point import FIGURES, Matrices
from .ranking import Values
from .thresholds import FEWEST_HELD_OUT, RULES, Rule, counts, last_best

DRAWS: Final = 1000
BATCH: Final = 100
SEED: Final = 20230213

Chance = dict[str, tuple[float, Interval]]
"""Mean over draws, and the central 95 % of draws, by name of figure."""


@lru_cache(maxsize=4096)
def random_figures(rule: str, abnormal: int, normal: int, held_out: int = 0) -> Chance:
    """Figures at a rule's threshold when scores say nothing; empty where the rule refuses. Not to be changed by the caller.

    Args:
        rule: name of a threshold rule.
        abnormal: test images, 1 at least.
        normal: test images, 1 at least.
        held_out: normal images that the honest rule sees.
    """
    if RULES[rule].from_held_out is not None and held_out < FEWEST_HELD_OUT:
        return {}
    random = np.random.default_rng(SEED)
    parts = [_draw(rule, abnormal, normal, held_out, random) for _ in range(DRAWS // BATCH)]
    matrices = Matrices(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return {name: _summary(figure(matrices)) for name, figure in FIGURES.items()}


@lru_cache(maxsize=4096)
def random_areas(abnormal: int, normal: int) -> Chance:
    """``roc_auc`` and ``pr_auc`` (average precision) when scores say nothing. Not to be changed by the caller.

    Args:
        abnormal: test images, 1 at least.
        normal: test images, 1 at least.
    """
    random = np.random.default_rng(SEED)
    areas: list[Values] = []
    precisions: list[Values] = []
    for _ in range(DRAWS // BATCH):
        labels = _labels(abnormal, normal, random)
        at = counts(labels, 1 - labels)
        areas.append((labels * at.fp[:, :1] - labels * at.fp[:, :-1]).sum(1) / (abnormal * normal))
        precisions.append((labels * at.tp[:, :-1] / (at.tp + at.fp)[:, :-1]).sum(1) / abnormal)
    return {"roc_auc": _summary(np.concatenate(areas)), "pr_auc": _summary(np.concatenate(precisions))}


def _labels(abnormal: int, normal: int, random: np.random.Generator) -> Values:
    """Labels by ascending score, (BATCH, N): the scores are ranks, no two of which are equal."""
    return random.permuted(np.tile(np.repeat([1.0, 0.0], [abnormal, normal]), (BATCH, 1)), axis=1)


def _draw(rule: str, abnormal: int, normal: int, held_out: int, random: np.random.Generator) -> tuple[Values, ...]:
    """True and false positives and negatives of some draws, (BATCH,) each."""
    labels = _labels(abnormal, normal, random)
    at = counts(labels, 1 - labels)
    objective = RULES[rule].objective
    place = last_best(objective(at)) if objective is not None else _places(RULES[rule], abnormal, normal, held_out, random)
    tp, fp = np.take_along_axis(at.tp, place[:, None], 1)[:, 0], np.take_along_axis(at.fp, place[:, None], 1)[:, 0]
    return tp, abnormal - tp, fp, normal - fp


def _places(rule: Rule, abnormal: int, normal: int, held_out: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Where the threshold of an honest rule falls among the sorted test scores, in each draw."""
    if rule.from_held_out is None:
        return np.zeros(BATCH, dtype=np.intp)
    test = np.sort(random.random((BATCH, abnormal + normal)), axis=1)
    thresholds = [rule.from_held_out(scores) for scores in random.random((BATCH, held_out))]
    return np.asarray([np.searchsorted(row, at, side="right") for row, at in zip(test, thresholds, strict=True)])


def _summary(values: Values) -> tuple[float, Interval]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(values.mean()), Interval(float(low), float(high), "random scores")
