from __future__ import annotations

import numpy as np
import pytest

from adbench_harness.api import OptionError, Subset, UnknownNameError
from adbench_harness.applying.verdicts import Threshold, choose_threshold, held_out, percentiles
from adbench_harness.result import Scores


def scored(held_out: int, labels: tuple[int, ...] = (0, 1)) -> Scores:
    """Held-out normals that score 0, 1, 2 …; test images that score 10, 11 …"""
    count = held_out + len(labels)
    subsets: list[Subset] = ["test"] * count
    subsets[:held_out] = ["held_out"] * held_out
    return Scores(
        [str(number) for number in range(count)],
        np.asarray([0] * held_out + list(labels), dtype=np.int8),
        ["normal"] * count,
        [None] * count,
        subsets,
        np.asarray([*range(held_out), *range(10, 10 + len(labels))], dtype=float),
    )


def test_the_honest_rule_is_taken_where_it_can_choose() -> None:
    assert choose_threshold("r", scored(20), None) == Threshold("normal-q95", False, 19.0)
    assert choose_threshold("r", scored(18), None) is None
    assert choose_threshold("r", scored(0), None) is None


def test_an_oracle_has_to_be_named() -> None:
    assert choose_threshold("r", scored(0), "youden") == Threshold("youden", True, 10.5)


def test_a_rule_that_can_not_choose_says_why() -> None:
    with pytest.raises(
        OptionError, match=r"run r: normal-q95 needs 19 held-out normal images, and there are 3: .*; leave out --rule"
    ):
        choose_threshold("r", scored(3), "normal-q95")
    with pytest.raises(OptionError, match="youden chooses by normal and abnormal test images, and run r has one kind only"):
        choose_threshold("r", scored(20, (1, 1)), "youden")
    with pytest.raises(UnknownNameError, match=r"no threshold rule is called 'yuoden'; did you mean youden\?"):
        choose_threshold("r", scored(20), "yuoden")
    with pytest.raises(UnknownNameError, match="no threshold rule is called 'all-positive'"):
        choose_threshold("r", scored(20), "all-positive")


def test_percentiles_count_lower_ones_and_half_of_the_equal() -> None:
    assert held_out(scored(4)).tolist() == [0, 1, 2, 3]
    assert percentiles(np.asarray([3.0, 1, 2, 2]), np.asarray([0.0, 1, 2, 2.5, 9])).tolist() == [0, 12.5, 50, 75, 100]
