from __future__ import annotations

import math

import pytest

from adbench_leaderboard.wording import duration, facts, number, rate


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (0.004, "4 ms"), (12.34, "12.3 s"), (59.97, "60.0 s"), (61, "1 min 01 s"), (3661, "1 h 01 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.15305662, "0.1531"),
        (-1e-9, "\N{MINUS SIGN}1e\N{MINUS SIGN}09"),
        (math.inf, "∞"),
        (-math.inf, "\N{MINUS SIGN}∞"),
        (None, "\N{EN DASH}"),
    ],
)
def test_numbers(value: float | None, words: str) -> None:
    assert number(value) == words


def test_a_rate_that_rounds_to_nothing_has_no_sign() -> None:
    assert [rate(value) for value in (-0.0004, -0.0, -0.0006, 0.5, None)] == ["0.000", "0.000", "-0.001", "0.500", "\N{EN DASH}"]


def test_nested_facts_have_dotted_names() -> None:
    found = facts({"a": {"b": 1, "c": {"d": None}}, "e": ["x", "y"], "f": True, "g": {}})
    assert list(found) == [("a.b", "1"), ("a.c.d", "\N{EN DASH}"), ("e", "x, y"), ("f", "yes"), ("g", "\N{EN DASH}")]
