"""What the page says of a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Final

import numpy as np

from .agreement import Estimate, Pairwise, cohen, fleiss, flips
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
class Summary:
    """A view at the rule that its lists go by."""

    view: View
    pictures: Mapping[str, str]
    """Where pictures lie in the site, by image id; empty where none may be shown."""

    @cached_property
    def rule(self) -> str | None:
        """The rule; None if the runs share none, and then there are places but no verdicts."""
        return self.view.rule

    @cached_property
    def lists(self) -> Sequence[Hard]:
        """The images that say most."""
        return hard(self.view, self.rule) if self.rule is not None else ()

    @cached_property
    def uniform(self) -> Sequence[Uniform]:
        """Models that the lists don't go by, as they call all test images the same."""
        return uniform(self.view, self.rule) if self.rule is not None else ()

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

    @cached_property
    def kappas(self) -> Sequence[Pairwise]:
        """Cohen's kappa of all pairs, for each population; empty without a rule or a second model."""
        if self.rule is None or len(self.view.models) < 2:
            return ()
        calls, groups = self.view.calls(self.rule), self.view.groups
        return [cohen(calls[:, chosen], groups[chosen] if groups is not None else None) for chosen in self._populations]

    @property
    def pair_count(self) -> int:
        """How many pairs of models there are."""
        return comb(len(self.view.models), 2) if self.kappas else 0

    @cached_property
    def pairs(self) -> list[Pair]:
        """Pairs that stand in the page, in the order of models: all if they are few, else those that agree least and most."""
        found = list(combinations(range(len(self.view.models)), 2)) if self.kappas else []
        if len(found) > SHOWN_PAIRS:
            value = self.kappas[0].value
            ranked = sorted((pair for pair in found if not np.isnan(value[pair])), key=lambda pair: (value[pair], pair))
            found = ranked[: SHOWN_PAIRS // 2] + ranked[SHOWN_PAIRS // 2 :][-SHOWN_PAIRS // 2 :]
        return [Pair(*pair, [kappa.of(*pair) for kappa in self.kappas]) for pair in found]

    @cached_property
    def together(self) -> list[Estimate | None] | None:
        """Fleiss' kappa over all models of each population; None for fewer than three models."""
        if self.rule is None or len(self.view.models) < 3:
            return None
        calls, groups = self.view.calls(self.rule), self.view.groups
        return [fleiss(calls[:, chosen], groups[chosen] if groups is not None else None) for chosen in self._populations]

    @cached_property
    def flips(self) -> list[Estimate | None]:
        """How often seeds of a model differ, a figure a model; None for a single seed."""
        if self.rule is None:
            return [None] * len(self.view.models)
        verdicts = self.view.verdicts(self.rule)
        return [flips(verdicts[model.rows], self.view.groups) for model in self.view.models]

    @property
    def _populations(self) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
        labels = self.view.labels
        return [np.arange(len(labels)), np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)]
