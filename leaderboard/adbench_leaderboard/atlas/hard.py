"""The images that say most: those that all models get wrong, and those that one alone gets right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .view import View

SHOWN: Final = 24
"""Images of a list that stand in the page; the shard has all."""
MAJORITY: Final = 0.5
"""Of a model's seeds. Where they are split evenly, the model is neither right nor wrong."""


@dataclass(frozen=True)
class Hard:
    """A list of images, the hardest first."""

    name: str
    places: Sequence[int]
    """Where the images stand in the view."""
    models: Sequence[int] = ()
    """The model that is right about each; empty where none is."""

    @property
    def shown(self) -> list[tuple[int, int | None]]:
        """Place and model of the images that stand in the page."""
        models: Sequence[int | None] = self.models or [None] * len(self.places)
        return list(zip(self.places[:SHOWN], models[:SHOWN], strict=True))


MISSED: Final = "missed"
ALARMS: Final = "alarms"
SINGLE: Final = "single"


def hard(view: View, rule: str) -> list[Hard]:
    """The lists of a view at a rule: missed by all, false alarms of all, and, of several models, right by one alone."""
    calls, abnormal = view.calls(rule), view.labels == 1
    right = np.where(abnormal, calls > MAJORITY, calls < MAJORITY)
    wrong = np.where(abnormal, calls < MAJORITY, calls > MAJORITY)
    lists = [Hard(MISSED, _sorted(view, abnormal & wrong.all(0))), Hard(ALARMS, _sorted(view, ~abnormal & wrong.all(0)))]
    if len(view.models) < 2:
        return lists
    single = _sorted(view, (right.sum(0) == 1) & (wrong.sum(0) == len(right) - 1))
    return [*lists, Hard(SINGLE, single, right.argmax(0)[single].tolist())]


def _sorted(view: View, chosen: NDArray[np.bool_]) -> list[int]:
    """Places of the chosen images, the hardest first, of equally hard ones by id."""
    places = np.flatnonzero(chosen)
    found: list[int] = places[np.argsort(-view.hardness[places], kind="stable")].tolist()
    return found
