"""What a score means beside the scores of the detector's own run: the verdict at a threshold, and where among normal ones it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..api import OptionError, Subset, UnknownNameError
from ..metrics.ranking import Values
from ..metrics.thresholds import FEWEST_HELD_OUT, HONEST, RULES, TRIVIAL, RuleRefusedError
from ..registry import unknown_name
from ..result import Scores


@dataclass(frozen=True)
class Threshold:
    """A threshold that a rule chose on the run's own scores; what lies above is called abnormal."""

    rule: str
    oracle: bool
    """Whether it saw labels of test images."""
    value: float


def held_out(scores: Scores) -> Values:
    """Scores of the normal images that a detector neither learnt from nor was tested on, (H,)."""
    return np.asarray(scores.score[_of(scores, "held_out") & (scores.label == 0)])


def choose_threshold(run_id: str, scores: Scores, rule: str | None) -> Threshold | None:
    """The threshold of a rule; without one the honest rule's, and None where the run has too few held-out images for that.

    Raises:
        UnknownNameError: if there is no such rule.
        OptionError: if it can't choose from what the run has.
    """
    normal = held_out(scores)
    if rule is None and len(normal) < FEWEST_HELD_OUT:
        return None
    name = rule or HONEST
    if name not in RULES or name == TRIVIAL:
        raise UnknownNameError(unknown_name("threshold rule", name, RULES.keys() - {TRIVIAL}))
    test = _of(scores, "test")
    labels = scores.label[test]
    if RULES[name].oracle and not 0 < np.count_nonzero(labels) < len(labels):
        raise OptionError(f"{name} chooses by normal and abnormal test images, and run {run_id} has one kind only")
    try:
        value = RULES[name].choose(labels, scores.score[test], normal)
    except RuleRefusedError as error:
        raise OptionError(f"run {run_id}: {error}; leave out --rule for scores alone, or name an oracle rule") from None
    return Threshold(name, RULES[name].oracle, value)


def percentiles(normal: Values, scores: Values) -> Values:
    """Where scores (N,) lie among those of normal images (H,), in percent: the share that is lower, and half of the equal ones."""
    order = np.sort(normal)
    return np.asarray(50 * (np.searchsorted(order, scores, "left") + np.searchsorted(order, scores, "right")) / len(order))


def _of(scores: Scores, subset: Subset) -> NDArray[np.bool_]:
    return np.asarray([one == subset for one in scores.subset], dtype=bool)
