"""Courses of training: the values that were logged, thinned to what an eye can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from ..queries import Curve

SPARKS: Final = 120
"""At most so many points of a small chart: two pixels each."""
LINES: Final = 60
"""At most so many lines of a table."""

ThingT = TypeVar("ThingT")


@dataclass(frozen=True)
class Phase:
    """What was logged in a stage of training, as a table."""

    name: str
    values: Sequence[str]
    """Names of what was logged; heads of the columns."""
    lines: Sequence[tuple[int, Sequence[float | None]]]
    """An epoch, and each value in it; None where it was not logged."""
    whole: bool
    """Whether all epochs are there."""


def thinned(things: Sequence[ThingT], most: int) -> Sequence[ThingT]:
    """At most ``most`` of the things, evenly spread, the first and the last among them."""
    if len(things) <= most:
        return things
    step = (len(things) - 1) / (most - 1)
    return [things[round(place * step)] for place in range(most)]


def thin(curve: Curve) -> Curve:
    """A curve for a small chart."""
    return replace(curve, points=thinned(curve.points, SPARKS))


def phases(curves: Sequence[Curve]) -> list[Phase]:
    """The table of each stage."""
    found: dict[str, list[Curve]] = {}
    for curve in curves:
        found.setdefault(curve.phase, []).append(curve)
    return [_phase(name, of_phase) for name, of_phase in found.items()]


def _phase(name: str, curves: Sequence[Curve]) -> Phase:
    columns = [dict(curve.points) for curve in curves]
    epochs = sorted({epoch for column in columns for epoch in column})
    shown = thinned(epochs, LINES)
    lines = [(epoch, [column.get(epoch) for column in columns]) for epoch in shown]
    return Phase(name, [curve.name for curve in curves], lines, len(shown) == len(epochs))
