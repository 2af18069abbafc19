from __future__ import annotations

from adbench_leaderboard.queries import Curve
from adbench_leaderboard.views.courses import LINES, SPARKS, phases, thin, thinned


def test_thinning_keeps_order_and_both_ends() -> None:
    assert thinned([1, 2, 3], 3) == [1, 2, 3]
    assert thinned(range(101), 5) == [0, 25, 50, 75, 100]
    curve = thin(Curve("fit", "loss", [(epoch, float(epoch)) for epoch in range(1000)]))
    assert len(curve.points) == SPARKS
    assert (curve.first, curve.last) == ((0, 0.0), (999, 999.0))


def test_a_table_has_a_line_an_epoch_and_a_gap_where_nothing_was_logged() -> None:
    (first, second) = phases(
        [Curve("b", "loss", [(0, 1.0), (2, 3.0)]), Curve("b", "extra", [(1, 2.0)]), Curve("a", "loss", [(0, 0.5)])]
    )
    assert (first.name, first.values, first.whole) == ("b", ["loss", "extra"], True)
    assert first.lines == [(0, [1.0, None]), (1, [None, 2.0]), (2, [3.0, None])]
    assert second.name == "a"


def test_a_long_table_says_that_it_is_not_whole() -> None:
    (phase,) = phases([Curve("fit", "loss", [(epoch, 0.0) for epoch in range(LINES + 1)])])
    assert (len(phase.lines), phase.whole) == (LINES, False)
    assert phase.lines[-1][0] == LINES
