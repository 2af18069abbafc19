from __future__ import annotations

import threading

import pytest

from adbench_harness.api import DataError
from adbench_harness.data.decoding import FAILURES_SHOWN, LARGEST_SHARE, EachFile


def halved(number: int) -> int:
    if number % 2:
        raise DataError(f"{number:03d} is odd")
    return number // 2


@pytest.mark.parametrize("count", [0, 1, 5, 250, 40 * 100])
def test_every_item_is_worked_on_once_whatever_the_shares(count: int) -> None:
    each = EachFile(halved)
    assert sorted(each([2 * number for number in range(count)])) == list(range(count))
    each.refuse("made")


def test_what_fails_is_named_in_one_error_and_the_rest_is_done() -> None:
    each = EachFile(halved)
    assert sorted(each(list(range(10)))) == [0, 1, 2, 3, 4]
    assert list(each([11])) == []
    with pytest.raises(
        DataError, match=r"dataset made: 6 of 11 files can't be used: 001 is odd; .*009 is odd; and 1 more"
    ) as error:
        each.refuse("made")
    assert str(error.value).count("is odd") == FAILURES_SHOWN


def test_an_error_that_nobody_foresaw_ends_the_work() -> None:
    begun: list[int] = []
    gate = threading.Lock()

    def work(number: int) -> int:
        with gate:
            begun.append(number)
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        list(EachFile(work)(list(range(100 * LARGEST_SHARE))))
    assert len(begun) < 100 * LARGEST_SHARE
