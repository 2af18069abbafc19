from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench_harness.metrics.operating_point import Confusion, confusion
from adbench_harness.metrics.thresholds import RULES, all_positive, best_f1, candidates, youden

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))), min_size=2, max_size=40
).filter(lambda rows: len({label for label, _ in rows}) == 2)


def arrays(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in rows], dtype=np.int8), np.array([score for _, score in rows], dtype=float)


@given(ROWS)
def test_candidates_give_every_confusion_matrix_that_a_threshold_can_give(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    found = candidates(labels, scores)
    for threshold, tp, fp in zip(found.threshold, found.tp, found.fp, strict=True):
        at = confusion(labels, scores, threshold)
        assert (at.tp, at.fp) == (tp, fp)
    reachable = {(confusion(labels, scores, t).tp, confusion(labels, scores, t).fp) for t in [-np.inf, *scores]}
    assert set(zip(found.tp, found.fp, strict=True)) == reachable
    assert (found.threshold[0], found.threshold[-1]) == (-np.inf, np.inf)


@given(ROWS)
def test_best_f1_has_the_highest_f1_and_the_highest_such_threshold(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    chosen = best_f1(labels, scores)
    values = {t: confusion(labels, scores, t).f1 for t in candidates(labels, scores).threshold}
    assert values[chosen] == pytest.approx(max(values.values()), abs=1e-12)
    assert all(value < values[chosen] for t, value in values.items() if t > chosen)


@given(ROWS)
def test_youden_has_the_highest_j_and_the_highest_such_threshold(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    chosen = youden(labels, scores)

    def j(t: float) -> float:
        at = confusion(labels, scores, t)
        return at.sensitivity + at.specificity - 1

    values = {t: j(t) for t in candidates(labels, scores).threshold}
    assert values[chosen] == pytest.approx(max(values.values()), abs=1e-12)
    assert all(value < values[chosen] + 1e-12 for t, value in values.items() if t > chosen)


def test_neighbouring_floats_are_still_told_apart() -> None:
    low = 1.0
    high = float(np.nextafter(low, 2))
    labels, scores = np.array([0, 1], dtype=np.int8), np.array([low, high])
    assert confusion(labels, scores, best_f1(labels, scores)) == Confusion(tp=1, fn=0, fp=0, tn=1)


def test_constant_scores_leave_all_or_nothing() -> None:
    labels, scores = np.array([0, 1, 1], dtype=np.int8), np.ones(3)
    assert best_f1(labels, scores) == -np.inf
    assert youden(labels, scores) == np.inf  # both ends have J = 0; the highest threshold wins
    assert confusion(labels, scores, all_positive(labels, scores)) == Confusion(tp=2, fn=0, fp=1, tn=0)


def test_rules_that_see_test_labels_are_called_oracle() -> None:
    assert {name for name, rule in RULES.items() if rule.oracle} == {"best-f1", "youden"}


STUDY = """
head-ct f-anogan 99 1 16 4 .861 .990 .921
brain-tumor-mri multikd 155 0 11 7 .934 1.000 .966
mias ganomaly 115 0 40 0 .742 1.000 .852
mias-patches ganomaly 114 3 34 6 .770 .974 .860
retinal-oct multikd 233 9 8 234 .967 .963 .965
c-nmc f-anogan 1204 15 607 41 .665 .988 .795
"""


@pytest.mark.parametrize("row", STUDY.split("\n")[1:-1])
def test_the_study_s_confusion_matrices_give_its_printed_figures(row: str) -> None:
    tp, fn, fp, tn = (int(word) for word in row.split()[2:6])
    precision, recall, f1 = (float(word) for word in row.split()[6:])
    at = Confusion(tp, fn, fp, tn)
    assert (at.precision, at.sensitivity, at.f1) == pytest.approx((precision, recall, f1), abs=0.00051)


def test_rates_without_a_class_are_nan_and_precision_of_no_call_is_zero() -> None:
    assert np.isnan(Confusion(0, 0, 1, 1).sensitivity)
    assert np.isnan(Confusion(1, 1, 0, 0).specificity)
    assert Confusion(0, 2, 0, 2).precision == 0.0
