from __future__ import annotations

from dataclasses import replace
from multiprocessing import active_children

import pytest
from markupsafe import Markup

from adbench_leaderboard.charts import Drawings, Figure, svg, vega
from adbench_leaderboard.charts.drawing import MANY

SPEC = {"data": {"values": [{"x": 1}]}, "mark": "point", "encoding": {"x": {"field": "x", "type": "quantitative"}}}
FIGURE = Figure("one", "A title", "Words", SPEC, ["x"], [[1]])


def test_beside_or_here_the_same_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Drawings(MANY) as beside:
        beside.begin([FIGURE])
        monkeypatch.setattr("adbench_leaderboard.charts.drawing.svg", lambda _: pytest.fail("drawn here"))
        ahead = beside.svg(FIGURE)
    assert ahead == svg(FIGURE)
    assert isinstance(ahead, Markup)


def test_what_was_not_begun_is_drawn_here() -> None:
    with Drawings(0) as drawings:
        drawings.begin([FIGURE])
        assert drawings.svg(FIGURE) == svg(FIGURE)


def test_a_process_that_is_killed_leaves_its_figures_to_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Drawings(MANY) as drawings:
        drawings.begin([FIGURE])
        for process in active_children():
            process.kill()
            process.join()
        assert drawings.svg(FIGURE) == svg(FIGURE)
        other = replace(FIGURE, id="two")
        drawings.begin([other])
        assert drawings.svg(other) == svg(other)
        assert drawings.vega() == vega()
