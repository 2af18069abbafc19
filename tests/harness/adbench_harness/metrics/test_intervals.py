from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from adbench_harness.metrics.intervals import wilson


def test_wilson_is_the_score_interval() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3: 81 of 263, and 0 of 20.
    for hits, trials, low, high in ((81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):
        found = wilson(np.arange(trials) < hits)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_no_image_no_interval() -> None:
    assert wilson(np.empty(0, dtype=bool)) is None


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_groups_of_one_change_nothing_but_the_name(hits: list[bool]) -> None:
    alone = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    found = wilson(np.array(hits), np.arange(len(hits)))
    assert found is not None
    # Variance between n groups of one has n - 1 in it, so the size is n - 1 at most where it can be estimated.
    assert found.low <= alone.low + 1e-12
    assert found.high >= alone.high - 1e-12
    assert 0 <= found.low <= found.high <= 1


def test_copies_of_images_are_no_new_images() -> None:
    hits = np.random.default_rng(0).random(50) < 0.7
    alone, copies, grouped = wilson(hits), wilson(np.repeat(hits, 10)), wilson(np.repeat(hits, 10), np.repeat(np.arange(50), 10))
    assert alone is not None
    assert copies is not None
    assert grouped is not None
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.03)
    assert copies.high - copies.low < (alone.high - alone.low) / 2
    assert grouped.method == "Wilson, effective size"


def test_where_all_are_hits_the_groups_count() -> None:
    groups = wilson(np.ones(60, dtype=bool), np.repeat(np.arange(6), 10))
    six = wilson(np.ones(6, dtype=bool))
    assert groups is not None
    assert six is not None
    assert (groups.low, groups.high) == pytest.approx((six.low, six.high))
