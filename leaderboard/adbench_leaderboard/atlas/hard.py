"""The images that say most: those that all models get wrong, and those that one alone gets right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from .view import View

SHOWN: Final = 24
"""Images of a list that stand in the page; the shard has all."""
MAJORITY: Final = 0.5
"""Of a model's seeds. Where they are split evenly, the model is neither right nor wrong."""


Verdict = Literal["normal", "abnormal", "split"]
VERDICTS: Final[Mapping[float, Verdict]] = {-1.0: "normal", 1.0: "abnormal", 0.0: "split"}
"""By on which side of the majority a model's calls lie."""


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


@dataclass(frozen=True)
class Uniform:
    """A model whose verdict is the same for every test image, as that of a threshold beyond all its scores: it says nothing of any one."""

    model: int
    verdict: Verdict
    """What it calls them all; "split" where its seeds are split evenly on each."""


MISSED: Final = "missed"
ALARMS: Final = "alarms"
SINGLE: Final = "single"


def uniform(view: View, rule: str) -> list[Uniform]:
    """The models that call all test images the same at a rule; the lists don't go by them."""
    verdicts = np.sign(view.calls(rule) - MAJORITY)
    same = np.flatnonzero(np.ptp(verdicts, 1) == 0).tolist() if view.images else []
    return [Uniform(model, VERDICTS[float(verdicts[model, 0])]) for model in same]


def hard(view: View, rule: str) -> list[Hard]:
    """The lists of a view at a rule: missed by all, false alarms of all, and, of several models, right by one alone.

    All are the models that tell images apart at the rule: one that calls each image normal would miss all abnormal ones with others,
    and hide who is alone in being right. Where there is no such model there are no lists.
    """
    apart = {one.model for one in uniform(view, rule)}
    asked = np.array([model for model in range(len(view.models)) if model not in apart], dtype=np.intp)
    if not len(asked):
        return []
    calls, abnormal = view.calls(rule)[asked], view.labels == 1
    right = np.where(abnormal, calls > MAJORITY, calls < MAJORITY)
    wrong = np.where(abnormal, calls < MAJORITY, calls > MAJORITY)
    lists = [Hard(MISSED, _sorted(view, abnormal & wrong.all(0))), Hard(ALARMS, _sorted(view, ~abnormal & wrong.all(0)))]
    if len(asked) < 2:
        return lists
    single = _sorted(view, (right.sum(0) == 1) & (wrong.sum(0) == len(right) - 1))
    return [*lists, Hard(SINGLE, single, asked[right.argmax(0)[single]].tolist())]


def _sorted(view: View, chosen: NDArray[np.bool_]) -> list[int]:
    """Places of the chosen images, the hardest first, of equally hard ones by id."""
    places = np.flatnonzero(chosen)
    found: list[int] = places[np.argsort(-view.hardness[places], kind="stable")].tolist()
    return found
