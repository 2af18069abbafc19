from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adbench_harness.agreement import agreement
from adbench_harness.api import StoreError, Subset
from adbench_harness.result import Scores


def test_the_largest_difference_is_measured_by_the_spread_of_the_first_and_ranks_over_test_images_alone() -> None:
    values = np.linspace(0, 8, 9)
    subsets: list[Subset] = ["test"] * 9
    subsets[0] = "held_out"
    ours = Scores([f"i{n}" for n in range(9)], np.zeros(9, np.int8), ["normal"] * 9, [None] * 9, subsets, values)
    others = replace(ours, image=ours.image[::-1], score=np.array([8, 7, 6, 5, 4, 3, 2, 1, 20.0]))
    found = agreement(ours, others)
    assert (found.images, found.max_difference, found.spread, found.share, found.rank_correlation) == (9, 20, 4, 5, 1)
    assert agreement(ours, replace(ours, score=np.ones(9))).rank_correlation is None
    flat = replace(ours, score=np.ones(9))
    assert (agreement(flat, flat).share, agreement(flat, ours).share) == (0, 1)
    with pytest.raises(StoreError, match="other images"):
        agreement(ours, replace(ours, image=[f"j{n}" for n in range(9)]))
