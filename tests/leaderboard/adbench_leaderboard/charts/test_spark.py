from __future__ import annotations

from adbench_leaderboard.charts import HEIGHT, MARGIN, WIDTH, polyline, share
from adbench_leaderboard.queries import Curve


def test_a_curve_fills_its_box() -> None:
    points = polyline(Curve("fit", "loss", [(0, 2.0), (5, 1.0), (10, 0.0)]))
    assert points == f"3.0,3.0 {WIDTH / 2},{HEIGHT / 2} {WIDTH - MARGIN}.0,{HEIGHT - MARGIN}.0"


def test_a_flat_curve_and_a_single_point_lie_in_the_middle() -> None:
    assert polyline(Curve("fit", "loss", [(3, 1.0)])) == f"{WIDTH / 2},{HEIGHT / 2}"


def test_share_is_a_percentage() -> None:
    assert [share(value) for value in (0.0, 0.125, 1 / 3, 1.0, 1.5)] == ["0", "12.5", "33.33", "100", "100"]
