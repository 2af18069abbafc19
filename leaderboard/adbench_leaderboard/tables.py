"""Runs arranged for comparison: what is compared shares protocol, fit digest and evaluation digest; nothing else meets in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from adbench_harness.metrics.thresholds import TRIVIAL
from adbench_harness.status import HERE, STATUSES, Status

from .queries import ALL, NO_RULE, Run


class ProtocolKey(NamedTuple):
    """What runs must share to stand in one table."""

    name: str
    version: int
    fit_digest: str
    evaluation_digest: str


class DatasetKey(NamedTuple):
    """A dataset and the state of its files."""

    name: str
    fingerprint: str


class ModelKey(NamedTuple):
    """A model with its options."""

    variant: str
    options: str
    model: str


CONSTANT: Final = frozenset({(0.0, 1.0), (1.0, 0.0)})
"""Sensitivity and specificity of a run that calls all test images the same."""


@dataclass(frozen=True)
class Spread:
    """A figure of a cell: how sure it is at the split that stands for the dataset, and how far all runs lie apart, which are two things."""

    mean: float
    """Over the seeds of that split."""
    low: float
    """Lowest of all runs, of every split and seed."""
    high: float
    count: int
    """How many runs have it, of every split and seed."""
    interval: tuple[float, float] | None
    """95 % interval for the finite number of test images, the ends averaged over the seeds of that split."""


@dataclass(frozen=True)
class Cell:
    """The runs of one model on one dataset, one for each split and seed."""

    runs: Sequence[Run]
    split: int
    """The one that stands for the dataset."""

    @cached_property
    def shown(self) -> list[Run]:
        """The runs at that split, one a seed; there may be none."""
        return [run for run in self.runs if run.split == self.split]

    def spread(self, name: str, rule: str = NO_RULE, task: str = ALL) -> Spread | None:
        """A figure's mean and interval at the split that stands for the dataset, None without it there, and its range over all runs."""
        values = [value for run in self.shown if (value := run.figure(name, rule, task)) is not None]
        if not values:
            return None
        ends = [found for run in self.shown if (found := run.interval(name, rule, task)) is not None]
        interval = (sum(low for low, _ in ends) / len(ends), sum(high for _, high in ends) / len(ends)) if ends else None
        every = [value for run in self.runs if (value := run.figure(name, rule, task)) is not None]
        return Spread(sum(values) / len(values), min(every), max(every), len(every), interval)

    def constant(self, rule: str) -> int:
        """How many of the shown runs call all test images the same, all abnormal or all normal: a mean with them is no run's."""
        return sum((run.figure("sensitivity", rule), run.figure("specificity", rule)) in CONSTANT for run in self.shown)


@dataclass(frozen=True)
class Board:
    """Models by datasets under one protocol."""

    key: ProtocolKey
    newest: Run
    """Describes the protocol."""
    models: Sequence[ModelKey]
    datasets: Sequence[DatasetKey]
    cells: Mapping[tuple[ModelKey, DatasetKey], Cell]
    splits: Mapping[DatasetKey, int]
    """The split that stands for a dataset wherever there is room for one: of those that most models have the lowest."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Rules of the protocol but the trivial one, which has a row of its own."""
        return tuple(rule for rule in self.newest.rules if rule != TRIVIAL)

    def trivial(self, dataset: DatasetKey) -> Cell:
        """All runs on a dataset, to read off what calling everything abnormal would give."""
        runs = [run for (_, on), cell in self.cells.items() if on == dataset for run in cell.runs]
        return Cell(runs, self.splits[dataset])

    def on(self, name: str) -> list[DatasetKey]:
        """The states of a dataset that the board has."""
        return [key for key in self.datasets if key.name == name]

    def present(self, dataset: DatasetKey) -> list[tuple[ModelKey, Cell]]:
        """Models that have runs on a dataset."""
        return [(model, cell) for model in self.models if (cell := self.cells.get((model, dataset)))]


def protocol_key(run: Run) -> ProtocolKey:
    """What a run's comparisons must share."""
    return ProtocolKey(run.protocol, run.protocol_version, run.fit_digest, run.evaluation_digest)


def dataset_key(run: Run) -> DatasetKey:
    """The data of a run."""
    return DatasetKey(run.dataset, run.fingerprint)


def model_key(run: Run) -> ModelKey:
    """The model of a run."""
    return ModelKey(run.variant, run.options, run.model)


def newest(runs: Iterable[Run]) -> Run:
    """The run that was made last."""
    return max(runs, key=lambda run: (run.created, run.run_id))


def sent(runs: Iterable[Run]) -> list[Status]:
    """How far those of the runs can be believed that others sent, each once, the least first; nothing if all were run here."""
    found = {run.status for run in runs}
    return [status for status in STATUSES if status != HERE and status in found]


def boards(runs: Iterable[Run]) -> list[Board]:
    """One board a protocol, of runs that may be ranked and represent their cell."""
    kept = by_protocol(run for run in runs if run.unranked is None and run.newest)
    return [_board(key, found) for key, found in kept.items()]


def by_protocol(runs: Iterable[Run]) -> dict[ProtocolKey, list[Run]]:
    """Runs that one table may hold, in their order."""
    found: dict[ProtocolKey, list[Run]] = {}
    for run in runs:
        found.setdefault(protocol_key(run), []).append(run)
    return dict(sorted(found.items()))


def by_name(keys: Iterable[ModelKey]) -> list[ModelKey]:
    """Models by name, whatever its case."""
    return sorted(set(keys), key=lambda key: (key.variant.casefold(), key))


def _board(key: ProtocolKey, runs: Sequence[Run]) -> Board:
    cells: dict[tuple[ModelKey, DatasetKey], list[Run]] = {}
    for run in runs:
        cells.setdefault((model_key(run), dataset_key(run)), []).append(run)
    splits = _splits(cells)
    return Board(
        key,
        newest(runs),
        by_name(model for model, _ in cells),
        sorted({dataset for _, dataset in cells}),
        {place: Cell(found, splits[place[1]]) for place, found in cells.items()},
        splits,
    )


def _splits(cells: Mapping[tuple[ModelKey, DatasetKey], Sequence[Run]]) -> dict[DatasetKey, int]:
    models: dict[DatasetKey, Counter[int]] = {}
    for (_, dataset), runs in cells.items():
        models.setdefault(dataset, Counter()).update({run.split for run in runs})
    return {dataset: min(found, key=lambda number: (-found[number], number)) for dataset, found in models.items()}
