from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from adbench_harness.metrics.operating_point import Confusion, confusion
from adbench_harness.metrics.thresholds import (
    FEWEST_HELD_OUT,
    HONEST,
    RULES,
    TRIVIAL,
    RuleRefusedError,
    candidates,
    held_out_rank,
    normal_q95,
    specificity_band,
)

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))), min_size=2, max_size=40
).filter(lambda rows: len({label for label, _ in rows}) == 2)
NONE = np.empty(0)


def arrays(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in rows], dtype=np.int8), np.array([score for _, score in rows], dtype=float)


def choose(rule: str, labels: np.ndarray, scores: np.ndarray) -> float:
    return RULES[rule].choose(labels, scores, NONE)


def value(rule: str, at: Confusion) -> float:
    """What the rule maximises, written down a second time."""
    if rule == "best-f1":
        return at.f1
    if rule == "youden":
        return at.sensitivity + at.specificity - 1
    if rule == "sens-at-spec-95":
        return at.sensitivity if at.specificity >= 0.95 else -math.inf
    return at.specificity if at.sensitivity >= 0.95 else -math.inf


@given(ROWS)
def test_candidates_give_every_confusion_matrix_that_a_threshold_can_give(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    found = candidates(labels, scores)
    for threshold, tp, fp in zip(found.threshold, found.counts.tp, found.counts.fp, strict=True):
        at = confusion(labels, scores, threshold)
        assert (at.tp, at.fp) == (tp, fp)
    reachable = {(confusion(labels, scores, t).tp, confusion(labels, scores, t).fp) for t in [-np.inf, *scores]}
    assert set(zip(found.counts.tp, found.counts.fp, strict=True)) == reachable
    assert (found.threshold[0], found.threshold[-1]) == (-np.inf, np.inf)


@pytest.mark.parametrize("rule", ["best-f1", "youden", "sens-at-spec-95", "spec-at-sens-95"])
@given(rows=ROWS)
def test_an_oracle_has_the_highest_value_and_the_highest_such_threshold(rule: str, rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    chosen = choose(rule, labels, scores)
    values = {t: value(rule, confusion(labels, scores, t)) for t in candidates(labels, scores).threshold}
    assert values[chosen] == pytest.approx(max(values.values()), abs=1e-12)
    assert all(at < values[chosen] + 1e-12 for t, at in values.items() if t > chosen)
    assert all(at < values[chosen] - 1e-12 for t, at in values.items() if t > chosen and rule != "youden")


@given(ROWS, st.floats(0.1, 100), st.floats(-100, 100))
def test_an_oracle_s_decisions_depend_on_the_order_of_scores_alone(rows: list[tuple[int, float]], by: float, plus: float) -> None:
    labels, scores = arrays(rows)
    moved = scores * by + plus
    if len(np.unique(moved)) < len(np.unique(scores)):  # floats ran out
        return
    for rule in ("best-f1", "youden", "sens-at-spec-95", "spec-at-sens-95"):
        before, after = (confusion(labels, s, choose(rule, labels, s)) for s in (scores, moved))
        assert before == after


@given(st.lists(st.floats(-1e6, 1e6), min_size=FEWEST_HELD_OUT, max_size=200))
def test_the_conformal_quantile_is_the_lowest_score_that_95_percent_and_itself_stay_below(scores: list[float]) -> None:
    held_out = np.array(scores)
    threshold = normal_q95(held_out)
    share = math.ceil(0.95 * (len(scores) + 1) - 1e-9)
    assert np.count_nonzero(held_out <= threshold) >= share
    assert np.count_nonzero(held_out < threshold) < share


@given(st.integers(FEWEST_HELD_OUT, 400))
def test_the_band_s_mean_is_at_least_95_percent_and_narrows(n: int) -> None:
    assert held_out_rank(n) / (n + 1) >= 0.95
    band = specificity_band(n)
    assert 0 < band.low < held_out_rank(n) / (n + 1) < band.high <= 1
    assert specificity_band(4 * n).low > band.low


def test_the_band_is_the_law_of_the_true_specificity() -> None:
    """P(true specificity <= s) = P(at least k of n uniform scores are below s), without a word of Beta."""
    for n in (19, 40, 241):
        band = specificity_band(n)
        for bound, tail in ((band.low, 0.025), (band.high, 0.975)):
            assert 1 - binom.cdf(held_out_rank(n) - 1, n, 1 - (1 - bound)) == pytest.approx(tail, abs=1e-9)


@pytest.mark.parametrize("n", [0, 1, 18])
def test_too_few_held_out_normals_are_refused(n: int) -> None:
    with pytest.raises(RuleRefusedError, match=f"needs 19 held-out normal images, and there are {n}"):
        normal_q95(np.arange(float(n)))


def test_nineteen_held_out_normals_give_the_highest_of_them() -> None:
    assert normal_q95(np.arange(19.0)) == 18.0
    assert normal_q95(np.arange(39.0)) == 37.0


def test_the_honest_rule_does_not_see_test_labels_or_scores() -> None:
    held_out = np.arange(40.0)
    assert not RULES[HONEST].oracle
    for labels, scores in (([0, 1], [0.0, 1.0]), ([1, 0], [-5.0, 900.0])):
        assert RULES[HONEST].choose(np.array(labels, dtype=np.int8), np.array(scores), held_out) == normal_q95(held_out)


def test_a_score_equal_to_the_threshold_is_normal() -> None:
    labels, scores = np.array([0, 1], dtype=np.int8), np.array([18.0, 18.5])
    at = confusion(labels, scores, normal_q95(np.arange(19.0)))
    assert at == Confusion(tp=1, fn=0, fp=0, tn=1)


def test_neighbouring_floats_are_still_told_apart() -> None:
    low = 1.0
    high = float(np.nextafter(low, 2))
    labels, scores = np.array([0, 1], dtype=np.int8), np.array([low, high])
    assert confusion(labels, scores, choose("best-f1", labels, scores)) == Confusion(tp=1, fn=0, fp=0, tn=1)


def test_constant_scores_leave_all_or_nothing() -> None:
    labels, scores = np.array([0, 1, 1], dtype=np.int8), np.ones(3)
    assert choose("best-f1", labels, scores) == -np.inf
    assert choose("youden", labels, scores) == np.inf  # both ends have J = 0; the highest threshold wins
    assert choose("sens-at-spec-95", labels, scores) == np.inf
    assert choose("spec-at-sens-95", labels, scores) == -np.inf
    assert confusion(labels, scores, choose(TRIVIAL, labels, scores)) == Confusion(tp=2, fn=0, fp=1, tn=0)


def test_rules_that_see_test_labels_are_called_oracle() -> None:
    assert {name for name, rule in RULES.items() if rule.oracle} == {"best-f1", "youden", "sens-at-spec-95", "spec-at-sens-95"}
