from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from adbench_harness.metrics.comparison import holm
from adbench_harness.metrics.ranking import Values
from adbench_harness.metrics.standings import Significant, letters, rank_intervals, significant


def differing(models: int, *pairs: tuple[int, int]) -> Significant:
    return significant(models, pairs, np.zeros(len(pairs)))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Values, Significant]:
    models = draw(st.integers(1, 8))
    values = draw(st.lists(st.floats(0, 1), min_size=models, max_size=models))
    pairs = [pair for pair in combinations(range(models), 2) if draw(st.booleans())]
    return np.asarray(values), differing(models, *pairs)


@settings(deadline=None)
@given(tables())
def test_two_models_share_a_letter_if_and_only_if_they_do_not_differ(table: tuple[Values, Significant]) -> None:
    values, differs = table
    shown = letters(values, differs)
    assert all(shown)
    for i, j in combinations(range(len(values)), 2):
        assert bool(set(shown[i]) & set(shown[j])) == (not differs[i, j])


def test_letters_follow_the_means() -> None:
    values = np.array([0.6, 0.9, 0.75])
    assert letters(values, differing(3)) == ["a", "a", "a"]
    assert letters(values, differing(3, (0, 1), (0, 2), (1, 2))) == ["c", "a", "b"]
    assert letters(values, differing(3, (0, 1))) == ["b", "a", "ab"]


def test_the_example_of_piepho_2004() -> None:
    """Example 3: eight treatments, five pairs of which differ."""
    differs = differing(8, (0, 6), (0, 7), (1, 3), (1, 4), (2, 4))
    shown = letters(np.arange(8, 0, -1.0), differs)
    assert sorted(set("".join(shown))) == list("abcdef")
    assert {"".join(sorted(str(m + 1) for m in range(8) if name in shown[m])) for name in "abcdef"} == {
        "1236",
        "1346",
        "1456",
        "23678",
        "34678",
        "45678",
    }


def test_more_columns_than_letters_are_numbered() -> None:
    models = 14  # seven pairs that differ make 2 ** 7 groups
    shown = letters(np.arange(models, dtype=float), differing(models, *((k, k + 1) for k in range(0, models, 2))))
    assert "(128)" in "".join(shown)


def test_ranks_are_bounded_by_those_who_are_better_and_worse() -> None:
    values = np.array([0.9, 0.8, 0.7, 0.5])
    assert rank_intervals(values, differing(4)) == [(1, 4)] * 4
    assert rank_intervals(values, differing(4, (0, 3), (1, 3))) == [(1, 3), (1, 3), (1, 4), (3, 4)]
    every = list(combinations(range(4), 2))
    assert rank_intervals(values, differing(4, *every)) == [(1, 1), (2, 2), (3, 3), (4, 4)]


@settings(deadline=None)
@given(tables())
def test_the_rank_of_the_estimates_is_always_within(table: tuple[Values, Significant]) -> None:
    values, differs = table
    for place, (low, high) in enumerate(rank_intervals(values, differs)):
        assert low <= 1 + int((values > values[place]).sum())
        assert high >= len(values) - int((values < values[place]).sum())


@pytest.mark.parametrize("truth", [[0.0] * 5, [0.0, 0.0, 0.3, 0.3, 2.0], [0.0, 1.0, 2.0, 3.0, 4.0]])
def test_all_true_ranks_are_within_nineteen_times_in_twenty(truth: list[float]) -> None:
    random, means = np.random.default_rng(5), np.asarray(truth)
    pairs = list(combinations(range(len(means)), 2))
    missed = 0
    for _ in range(400):
        values = means + random.normal(size=len(means)) * 0.7
        p = [2 * ndtr(-abs(values[i] - values[j]) / (0.7 * np.sqrt(2))) for i, j in pairs]
        found = rank_intervals(values, significant(len(means), pairs, holm(p)))
        best = [1 + int((means > mean).sum()) for mean in means]
        worst = [len(means) - int((means < mean).sum()) for mean in means]
        missed += any(low > b or high < w for (low, high), b, w in zip(found, best, worst, strict=True))
    assert missed / 400 < 0.08
