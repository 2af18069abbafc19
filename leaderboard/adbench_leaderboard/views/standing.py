"""Who can be told apart: each model's mean ROC AUC on each dataset and split, with letters and rank intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import duckdb

from adbench_harness.api import StoreError
from adbench_harness.store.contenders import Meeting, Setting, StoredRun

from ..queries import ALL, Run
from ..tables import Board, DatasetKey, ModelKey

if TYPE_CHECKING:
    from adbench_harness.store.pairwise import Bout


@dataclass(frozen=True)
class Place:
    """Where a model stands among those that were tested on the same images."""

    area: float
    """Mean ROC AUC over its seeds."""
    interval: tuple[float, float]
    """95 %, for the finite number of images and of seeds."""
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    """Ids of the runs, by seed."""
    letters: str
    """Models that share one can't be told apart; empty where there is nobody to be told apart from."""
    ranks: tuple[int, int]
    """Lowest and highest rank that it may have, 1 being the best."""


@dataclass(frozen=True)
class Split:
    """All models on the test images of one split of a dataset."""

    number: int
    places: Mapping[ModelKey, Place]
    """The best first; empty if nothing can be said."""
    abnormal: int
    normal: int
    groups: int | None
    """How many groups the images come from; None if no two are known to share one."""
    note: str
    """Why nothing can be said; empty if something can."""

    @cached_property
    def leaders(self) -> frozenset[ModelKey]:
        """Models that none is significantly better than; empty where there is nobody to compare with."""
        return frozenset(model for model, place in self.places.items() if place.letters and place.ranks[0] == 1)


@dataclass(frozen=True)
class Standing:
    """What the tests of a board allow to say about an order."""

    splits: Mapping[DatasetKey, Sequence[Split]]
    """By number."""
    shown: Mapping[DatasetKey, int]
    """The split that stands for a dataset, as its board says."""
    tests: int
    """How many pairs were tested, which all p-values are corrected for."""

    def at(self, dataset: DatasetKey) -> Split:
        """The split that stands for a dataset."""
        return next(split for split in self.splits[dataset] if split.number == self.shown[dataset])

    def order(self, dataset: DatasetKey) -> list[ModelKey]:
        """Models with an area on a dataset: the best first at the split that stands for it, then those that lack it."""
        places = [self.at(dataset).places, *(split.places for split in self.splits[dataset])]
        return list(dict.fromkeys(model for found in places for model in found))


def standing(db: duckdb.DuckDBPyConnection, board: Board) -> Standing:
    """Compare the models of a board, all abnormal images against all normal ones, within each split of each dataset.

    P-values are corrected by Holm's procedure over every pair of every split and dataset of the board, as
    ``adbench results compare`` does for models that were all run everywhere: a model has the same letters on each page.
    """
    from adbench_harness.store.pairwise import bouts_of, placed  # with it comes scipy: half a second

    found: list[Bout] = []
    where: list[tuple[DatasetKey, int]] = []
    notes: dict[tuple[DatasetKey, int], str] = {}
    for dataset, number, models in _meetings(board):
        said: list[str] = []
        try:
            met = list(bouts_of(db, _meeting(dataset, number, models), [ALL], said))
        except StoreError as error:
            met, said = [], [str(error)]
        found += met
        where += [(dataset, number)] * len(met)
        notes[dataset, number] = "; ".join(said)
    bouts = dict(zip(where, placed(found), strict=True))
    splits: dict[DatasetKey, list[Split]] = {}
    for dataset, number, models in _meetings(board):
        splits.setdefault(dataset, []).append(_split(number, list(models), bouts.get((dataset, number)), notes[dataset, number]))
    return Standing(splits, board.splits, sum(len(bout.pairs) for bout in found))


def _meetings(board: Board) -> Iterator[tuple[DatasetKey, int, Mapping[ModelKey, Sequence[Run]]]]:
    for dataset in board.datasets:
        for number in sorted({run.split for _, cell in board.present(dataset) for run in cell.runs}):
            own = {model: [run for run in cell.runs if run.split == number] for model, cell in board.present(dataset)}
            yield dataset, number, {model: sorted(runs, key=lambda run: run.seed) for model, runs in own.items() if runs}


def _meeting(dataset: DatasetKey, number: int, models: Mapping[ModelKey, Sequence[Run]]) -> Meeting:
    first = next(iter(models.values()))[0]
    setting = Setting(dataset.name, first.protocol, first.fit_digest, dataset.fingerprint)
    return Meeting(setting, number, [[_stored(run) for run in runs] for runs in models.values()])


def _stored(run: Run) -> StoredRun:
    return StoredRun(**{field.name: getattr(run, field.name) for field in fields(StoredRun)})


def _split(number: int, models: Sequence[ModelKey], bout: Bout | None, note: str) -> Split:
    if bout is None:
        return Split(number, {}, 0, 0, None, note)
    alone = len(models) == 1
    places = {
        model: Place(
            area.value,
            (area.interval.low, area.interval.high),
            tuple(area.seeds),
            tuple(area.runs),
            "" if alone else area.letters,
            area.ranks,
        )
        for model, area in zip(models, bout.areas, strict=True)
    }
    # Sorting is stable: of equal areas the order of the board stays.
    best_first = dict(sorted(places.items(), key=lambda item: -item[1].area))
    return Split(number, best_first, bout.abnormal, bout.normal, bout.groups, note)
