"""What the page says of a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb, isnan
from typing import Final

import numpy as np

from adbench_harness.metrics.groups import Groups

from .agreement import Calls, Estimate, Pairwise, cohen, cohen_of, cohen_values, fleiss, flips
from .hard import Hard, Uniform, hard, uniform
from .view import Image, View

POPULATIONS: Final = ("all", "abnormal", "normal")
"""Of which images agreement is stated."""
SHOWN_PAIRS: Final = 24
"""Pairs of models that stand in the page, half of them those that agree least; the shard has all."""
WIDE: Final = 5
"""Up to so many models have a column each in the lists."""


@dataclass(frozen=True)
class Pair:
    """Two models of a view, by number, and Cohen's kappa of each population; None where it is not defined."""

    one: int
    other: int
    kappas: Sequence[Estimate | None]


@dataclass(frozen=True)
class Listed:
    """An image of a list, as a row of its table."""

    image: Image
    percentiles: Sequence[float]
    """(M,)"""
    mean: float
    model: int | None
    """The one model that is right; None where none is."""
    picture: str | None
    """Where its picture lies in the site, if it may be shown."""


@dataclass(frozen=True)
class Ruled:
    """What is said of a view at one rule."""

    view: View
    rule: str

    @cached_property
    def lists(self) -> Sequence[Hard]:
        """The images that say most."""
        return hard(self.view, self.rule)

    @cached_property
    def uniform(self) -> Sequence[Uniform]:
        """Models that the lists don't go by, as they call all test images the same."""
        return uniform(self.view, self.rule)

    @cached_property
    def kappas(self) -> Sequence[Pairwise]:
        """Cohen's kappa of all pairs, for each population; empty without a second model."""
        if len(self.view.models) < 2:
            return ()
        return [cohen(calls, groups) for calls, groups in self._calls]

    @property
    def pair_count(self) -> int:
        """How many pairs of models there are."""
        return comb(len(self.view.models), 2)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Pairs that stand in the page, in the order of models: all if they are few, else those that agree least and most."""
        found = list(combinations(range(len(self.view.models)), 2))
        if len(found) > SHOWN_PAIRS:
            # Rounded, since sums of the same numbers differ in their last digits between machines.
            values = np.round(cohen_values(self._calls[0][0]), 9)[*np.transpose(found)].tolist()
            ranked = [pair for _, pair in sorted(one for one in zip(values, found, strict=True) if not isnan(one[0]))]
            found = ranked[: SHOWN_PAIRS // 2] + ranked[SHOWN_PAIRS // 2 :][-SHOWN_PAIRS // 2 :]
        kappas = [cohen_of(calls, groups, found) for calls, groups in self._calls]
        return [Pair(one, other, list(of)) for (one, other), of in zip(found, zip(*kappas, strict=True), strict=True)]

    @cached_property
    def together(self) -> list[Estimate | None] | None:
        """Fleiss' kappa over all models of each population; None for fewer than three models."""
        return [fleiss(calls, groups) for calls, groups in self._calls] if len(self.view.models) > 2 else None

    @cached_property
    def flips(self) -> list[Estimate | None]:
        """How often seeds of a model differ, a figure a model; None for a single seed."""
        verdicts = self.view.verdicts(self.rule)
        return [flips(verdicts[model.rows], self.view.groups) for model in self.view.models]

    @cached_property
    def _calls(self) -> list[tuple[Calls, Groups | None]]:
        """Calls and groups of the images of each population."""
        labels, calls, groups = self.view.labels, self.view.calls(self.rule), self.view.groups
        chosen = (np.arange(len(labels)), np.flatnonzero(labels == 1), np.flatnonzero(labels == 0))
        return [(calls[:, one], groups[one] if groups is not None else None) for one in chosen]


@dataclass(frozen=True)
class Summary:
    """A view at each of its rules."""

    view: View
    pictures: Mapping[str, str]
    """Where pictures lie in the site, by image id; empty where none may be shown."""

    @cached_property
    def ruled(self) -> Sequence[Ruled]:
        """By rule; the first is what the page shows before a reader chooses another.

        Empty if the runs share no rule, and then there are places but no verdicts.
        """
        return [Ruled(self.view, rule) for rule in self.view.rules]

    @property
    def wide(self) -> bool:
        """Whether each model has a column in the lists."""
        return 1 < len(self.view.models) <= WIDE

    def rows(self, found: Hard) -> list[Listed]:
        """The images of a list that stand in the page."""
        view, percentiles = self.view, self.view.percentiles
        return [
            Listed(
                view.images[place],
                percentiles[:, place].tolist(),
                float(percentiles[:, place].mean()),
                model,
                self.pictures.get(view.images[place].id),
            )
            for place, model in found.shown
        ]

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Images of each population."""
        abnormal = int(self.view.labels.sum())
        return dict(zip(POPULATIONS, (len(self.view.images), abnormal, len(self.view.images) - abnormal), strict=True))
