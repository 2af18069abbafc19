"""Which models and runs the figures of a dataset show: runs on the same test images, of as many models as a page has room for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from .. import names
from ..queries import Run
from ..tables import Board, DatasetKey, ModelKey

MOST: Final = 12
"""Panels of a figure; more would be neither read nor drawn in time."""
LINE: Final = 24
"""Characters of a line of a label."""


@dataclass(frozen=True)
class Shown:
    """Runs of one split."""

    split: int
    models: Mapping[ModelKey, Sequence[Run]]
    """By name; the runs by seed, at least one each."""
    labels: Mapping[ModelKey, str]
    """No two alike."""
    others: int
    """How many models have runs and no room."""

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return [run for runs in self.models.values() for run in runs]

    @property
    def words(self) -> str:
        """Which runs these are."""
        most = max(len(runs) for runs in self.models.values())
        seeds = "one run each" if most == 1 else f"up to {most} seeds each"
        rest = (
            f"; of {len(self.models) + self.others} models the {len(self.models)} with the highest ROC AUC" if self.others else ""
        )
        return f"Split {self.split}, {seeds}{rest}"


def shown(board: Board, dataset: DatasetKey) -> Shown:
    """The split that stands for the dataset, with the models of the highest ROC AUC there."""
    split = board.splits[dataset]
    own = {model: sorted(cell.shown, key=lambda run: run.seed) for model, cell in board.present(dataset)}
    there = [model for model in own if own[model]]
    best = set(sorted(there, key=lambda model: (-_area(own[model]), model))[:MOST])
    kept = [model for model in there if model in best]
    return Shown(split, {model: own[model] for model in kept}, labels(kept), len(there) - len(kept))


def labels(models: Sequence[ModelKey]) -> Mapping[ModelKey, str]:
    """Models as figures name them; where one variant name stands for several option sets, with a digest of theirs."""
    variants = Counter(model.variant for model in models)
    return {model: _label(model, variants[model.variant] == 1) for model in models}


def wrapped(label: str) -> str:
    """A label in lines, for axes and heads that split them again."""
    return "\n".join(wrap(label, LINE, max_lines=3, placeholder=" …") or [label])


def _label(model: ModelKey, alone: bool) -> str:
    name = " ".join(names.printable(model.variant).split()) or "(no name)"
    return name if alone else f"{name} #{hashlib.sha256(model.options.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


def _area(runs: Sequence[Run]) -> float:
    found = [area for run in runs if (area := run.figure("roc_auc")) is not None]
    return sum(found) / len(found) if found else -1.0
