from __future__ import annotations

import numpy as np

from adbench_harness.metrics.groups import connected, fewest, group_codes


def test_images_of_a_group_share_a_number_and_others_have_their_own() -> None:
    found = group_codes(["a", None, "b", "a", None])
    assert found is not None
    assert found.tolist() == [0, 1, 2, 0, 3]


def test_groups_that_no_two_images_share_say_nothing() -> None:
    assert group_codes(["a", "b", None]) is None
    assert group_codes([None, None]) is None
    assert group_codes([]) is None


def test_the_class_in_fewer_groups_decides() -> None:
    labels = np.array([0, 0, 0, 1, 1], dtype=np.int8)
    assert fewest(labels, np.array([0, 1, 2, 3, 3])) == 1
    assert fewest(labels, np.array([0, 0, 0, 3, 4])) == 1
    assert fewest(labels, np.array([0, 1, 0, 3, 4])) == 2


def test_a_group_called_like_a_place_is_no_place() -> None:
    found = group_codes([None, "0", "0"])
    np.testing.assert_array_equal(found, [0, 1, 1])


def test_links_join_what_hangs_together() -> None:
    assert connected([]) == []
    assert connected([("d", "c"), ("a", "b"), ("b", "d"), ("x", "y")]) == [("a", "b", "c", "d"), ("x", "y")]
