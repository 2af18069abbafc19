"""Rules that choose a threshold, by name.

An honest rule sees the scores of held-out normal images and nothing else. An oracle rule sees the labels of the very images
that are then judged, and every table says so: its figures are what a detector could reach, not what it does.

An image is called abnormal if and only if its score > threshold. Candidates of an oracle rule are the midpoints between
neighbouring distinct scores, and -inf and +inf; of candidates with equal value the highest threshold wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from .intervals import LEVEL, Interval
from .ranking import Labels, Values

QUANTILE: Final = 0.95
FEWEST_HELD_OUT: Final = 19
"""Of fewer, not even the highest score is exceeded by at most one in twenty new normal images."""


class RuleRefusedError(ValueError):
    """A rule can't choose a threshold from what there is; says why."""


@dataclass(frozen=True)
class Counts:
    """What each candidate threshold would call abnormal, thresholds ascending; the last axis is the candidates'."""

    tp: Values
    fp: Values
    abnormal: Values
    """Abnormal images in all; shape (), or (..., 1) beside a stack of replicates."""
    normal: Values


Objective = Callable[[Counts], Values]
"""The value of each candidate, the highest of which is chosen; an inadmissible one is -inf."""


@dataclass(frozen=True)
class Rule:
    """A named way to choose a threshold: by an objective on test labels, by held-out normals, or one and the same for all."""

    name: str
    description: str
    objective: Objective | None = None
    from_held_out: Callable[[Values], float] | None = None
    """Scores of held-out normal images (N,) to a threshold; raises RuleRefusedError."""
    constant: float = math.nan

    @property
    def oracle(self) -> bool:
        """Whether the rule sees test labels."""
        return self.objective is not None

    def choose(self, labels: Labels, scores: Values, held_out: Values) -> float:
        """The threshold. Test labels and scores (N,), both classes present, reach an oracle alone.

        Raises:
            RuleRefusedError: if the rule can't choose from what there is.
        """
        if self.objective is not None:
            found = candidates(labels, scores)
            return float(found.threshold[last_best(self.objective(found.counts))])
        return self.from_held_out(held_out) if self.from_held_out is not None else self.constant


@dataclass(frozen=True)
class Candidates:
    """All thresholds that can make a difference, ascending, with the counts that each gives."""

    threshold: Values
    counts: Counts
    place: NDArray[np.int64]
    """(N,): which distinct score each image has; candidate j calls abnormal what has place j or higher."""


def candidates(labels: Labels, scores: Values) -> Candidates:
    """Candidate thresholds of a set of scores, O(n log n)."""
    distinct, place = np.unique(scores, return_inverse=True)
    abnormal_at = np.bincount(place[labels == 1], minlength=len(distinct)).astype(np.float64)
    normal_at = np.bincount(place[labels == 0], minlength=len(distinct)).astype(np.float64)
    middle = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
    # Between neighbouring floats there is no midpoint; the lower score itself then separates them under ">".
    middle = np.where(middle < distinct[1:], middle, distinct[:-1])
    threshold = np.concatenate([[-np.inf], middle, [np.inf]])
    return Candidates(threshold, counts(abnormal_at, normal_at), place)


def counts(abnormal_at: Values, normal_at: Values) -> Counts:
    """Counts at each candidate, from how many images have each distinct score (..., K), ascending; (..., K + 1)."""
    tp, fp = at_or_above(abnormal_at), at_or_above(normal_at)
    return Counts(tp, fp, tp[..., :1], fp[..., :1])


def at_or_above(at: Values) -> Values:
    """Entry j: how many lie above candidate j, the last being +inf; along the last axis."""
    above = np.cumsum(at[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([above, np.zeros((*above.shape[:-1], 1))], axis=-1)


def last_best(value: Values) -> NDArray[np.intp]:
    """The place of the highest value along the last axis, the last one of equals."""
    return np.asarray(value.shape[-1] - 1 - np.argmax(value[..., ::-1], axis=-1))


def best_f1(at: Counts) -> Values:
    """F1, the harmonic mean of precision and sensitivity."""
    return np.asarray(2 * at.tp / np.maximum(at.tp + at.fp + at.abnormal, 1))


def youden(at: Counts) -> Values:
    """Youden's J (1950), sensitivity + specificity - 1, in units of 1 / (abnormal x normal), so that equal values compare equal."""
    return np.asarray(at.tp * at.normal - at.fp * at.abnormal)


def sensitivity_at_specificity(at: Counts) -> Values:
    """Sensitivity, where the specificity is 0.95 at least; +inf as a threshold always is admissible."""
    return np.where(at.fp <= _allowed(at.normal), at.tp, -np.inf)


def specificity_at_sensitivity(at: Counts) -> Values:
    """Specificity, where the sensitivity is 0.95 at least; -inf as a threshold always is admissible."""
    return np.where(at.abnormal - at.tp <= _allowed(at.abnormal), -at.fp, -np.inf)


def held_out_rank(held_out: int) -> int:
    """k = ceil(0.95 (n + 1)): which of n held-out scores, ascending and from 1, ``normal_q95`` takes."""
    return -(-95 * (held_out + 1) // 100)  # in integers: 0.95 * 20 is not 19 in floats everywhere


def normal_q95(held_out: Values) -> float:
    """The conformal quantile: the k-th smallest of n held-out normal scores, k = ceil(0.95 (n + 1)).

    If held-out and new normal images are exchangeable, a new one scores above it with a probability of 5 % at most (Vovk et
    al. 2005; Angelopoulos and Bates 2023), over draws of both. For one held-out set the true specificity is a random number,
    whose law is ``specificity_band``. Images of one patient are not exchangeable with those of another: with grouped data n
    counts for less than it seems, and the 95 % hold only if held-out groups are drawn as new ones will be.

    Raises:
        RuleRefusedError: for fewer than 19 scores.
    """
    if len(held_out) < FEWEST_HELD_OUT:
        raise RuleRefusedError(
            f"normal-q95 needs {FEWEST_HELD_OUT} held-out normal images, and there are {len(held_out)}: of fewer, none marks 95 %"
        )
    return float(np.partition(held_out, held_out_rank(len(held_out)) - 1)[held_out_rank(len(held_out)) - 1])


def specificity_band(held_out: int) -> Interval:
    """The central 95 % of the true specificity at ``normal_q95``: Beta(k, n + 1 - k) for n held-out images, all independent.

    Ties among scores can only raise the specificity.
    """
    low, high = beta.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], held_out_rank(held_out), held_out + 1 - held_out_rank(held_out))
    return Interval(float(low), float(high), "Beta band of the conformal quantile")


TRIVIAL: Final = "all-positive"
HONEST: Final = "normal-q95"
RULES: Final[Mapping[str, Rule]] = {
    rule.name: rule
    for rule in (
        Rule(
            HONEST,
            "the score that 95 % of normal images stay below, by held-out normal images alone (conformal quantile)",
            from_held_out=normal_q95,
        ),
        Rule("best-f1", "highest F1 on the test labels (the study's Table 3)", objective=best_f1),
        Rule(
            "youden",
            "highest sensitivity + specificity - 1 on the test labels (likely the study's Figures 6-7)",
            objective=youden,
        ),
        Rule(
            "sens-at-spec-95",
            "highest sensitivity with a specificity of 0.95 at least on the test labels",
            objective=sensitivity_at_specificity,
        ),
        Rule(
            "spec-at-sens-95",
            "highest specificity with a sensitivity of 0.95 at least on the test labels",
            objective=specificity_at_sensitivity,
        ),
        Rule(TRIVIAL, "no detector at all: every image is called abnormal", constant=-math.inf),
    )
}


def _allowed(images: Values) -> Values:
    """How many of the images may be on the wrong side for 95 % to be on the right one."""
    return np.floor(images * 5 / 100)
