"""Shapes of the smallest charts, as numbers for SVG attributes: the site's policy allows no inline style."""

from __future__ import annotations

from typing import Final

from ..queries import Curve

WIDTH: Final = 240
HEIGHT: Final = 48
MARGIN: Final = 3


def share(value: float) -> str:
    """A rate on an axis from 0 to 100."""
    return f"{100 * min(max(value, 0.0), 1.0):.2f}".rstrip("0").rstrip(".")


def polyline(curve: Curve) -> str:
    """A curve's points in a box of ``WIDTH`` by ``HEIGHT``; a flat curve runs through the middle."""
    epochs = [epoch for epoch, _ in curve.points]
    values = [value for _, value in curve.points]
    low, high = min(values), max(values)
    return " ".join(
        f"{_place(epoch, epochs[0], epochs[-1], WIDTH):.1f},{HEIGHT - _place(value, low, high, HEIGHT):.1f}"
        for epoch, value in curve.points
    )


def _place(value: float, low: float, high: float, length: int) -> float:
    inner = length - 2 * MARGIN
    return MARGIN + (inner * (value - low) / (high - low) if high > low else inner / 2)
