"""A page a model: what it does, how well on each dataset, where it fails, how it learnt, and what that cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import duckdb

from .. import charts, queries, wording
from ..charts.training import training
from ..queries import Run
from ..site import File, Site
from ..tables import Board, DatasetKey, ModelKey, Spread, model_key, newest
from ..templating import Templates
from ..views import parts
from ..views.overview import Overview, overviews

RATES: Final = ("sensitivity", "specificity", "precision", "f1", "balanced_accuracy", "mcc")
FIGURES: Final = 3
"""At most so many training figures on a page."""
ALL_FIGURES: Final = 60
"""And so many on all pages of models, if one each is enough: a quarter of a second goes into drawing one."""
LINES: Final = 6
"""Runs of a training figure."""


class CostKey(NamedTuple):
    """Runs whose cost is comparable."""

    dataset: str
    protocol: str
    unranked: str
    """Empty for runs on protocol."""
    device: str


@dataclass(frozen=True)
class Cost:
    """What runs took; each fact is None where no run states it."""

    key: CostKey
    runs: int
    parameters: tuple[int, int]
    """Fewest and most learnt values."""
    seconds: tuple[float, float, float] | None
    """Of training: mean, least, most."""
    presented: float | None
    """Training images presented, counted each time: mean."""
    per_second: float | None
    """Training images presented a second, over all runs."""
    memory: float | None
    """Most bytes of the device's memory in use at once."""


@dataclass(frozen=True)
class Option:
    """An option as the model's runs set it."""

    name: str
    value: str
    default: str
    meaning: str
    changed: bool


class Origin(NamedTuple):
    """Where the code of a model came from."""

    distribution: str
    version: str
    module: str
    revision: str


@dataclass(frozen=True)
class Part:
    """A model on a board: its dataset's parts, and its figures."""

    one: Overview
    subgroups: Sequence[tuple[DatasetKey, Sequence[parts.Parts]]]

    @property
    def board(self) -> Board:
        """The comparison."""
        return self.one.board

    def free(self, model: ModelKey, dataset: DatasetKey, name: str) -> Spread | None:
        """A figure that needs no threshold; Somers' D is the area on another scale, and as sure."""
        if name not in ("roc_auc", "somers_d"):
            return self.board.cells[model, dataset].spread(name)
        area = self.one.area(model, dataset)
        if area is None or name == "roc_auc":
            return area
        mean, low, high = (2 * value - 1 for value in (area.mean, area.low, area.high))
        ends = area.interval and (2 * area.interval[0] - 1, 2 * area.interval[1] - 1)
        return Spread(mean, low, high, area.count, ends)

    @property
    def rules(self) -> list[str]:
        """Rules of the protocol, honest ones first."""
        return sorted(self.board.rules, key=self.board.newest.oracles.__contains__)


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page of every model, with its options, that has runs, and the specifications of its figures."""
    if site.db is None:
        return
    found = overviews(site)
    most = min(FIGURES, max(1, ALL_FIGURES // max(1, len(site.model_pages))))
    own = {model: [run for run in site.runs if model_key(run) == model] for model in site.model_pages}
    curves = {model: _figures(site.db, runs, most) for model, runs in own.items()}
    templates.drawings.begin(figure for figures, _ in curves.values() for figure in figures)
    for model, path in site.model_pages.items():
        runs = own[model]
        figures, others = curves[model]
        yield templates.page(
            "model.html",
            path,
            model=model,
            card=newest(runs),
            boards=[_part(site.db, one, model) for one in found if model in one.board.models],
            runs=runs,
            unranked=site.unranked(runs),
            partial=site.partial(runs),
            options=_options(newest(runs)),
            origins=_origins(runs),
            costs=_costs(runs),
            figures=figures,
            others=others,
            rates=RATES,
            areas=wording.AREAS,
        )
        if figures:
            yield charts.data(path, figures)


def _part(db: duckdb.DuckDBPyConnection, one: Overview, model: ModelKey) -> Part:
    cells = [cell for dataset in one.board.datasets if (cell := one.cell(model, dataset))]
    found = queries.model_parts(db, [run for cell in cells for run in cell.shown])
    part = Part(one, [])
    tables = ((dataset, parts.tables(found.get(dataset, ()), part.rules)) for dataset in one.board.datasets)
    return Part(one, [(dataset, made) for dataset, made in tables if made])


def _figures(db: duckdb.DuckDBPyConnection, runs: Sequence[Run], most: int) -> tuple[list[charts.Figure], list[str]]:
    """Training curves on the first datasets by name, and the datasets that are left out.

    Of runs on protocol if there are any, and each cell's newest.
    """
    current = [run for run in runs if run.newest]
    by_dataset: dict[str, list[Run]] = {}
    for run in [run for run in current if run.unranked is None] or current:
        by_dataset.setdefault(run.dataset, []).append(run)
    shown = {dataset: of[:LINES] for dataset, of in list(by_dataset.items())[:most]}
    logged = queries.curves(db, [run for of in shown.values() for run in of])
    figures = [
        training(number, dataset, [(run, logged[run.run_id]) for run in of], len(of) == len(by_dataset[dataset]))
        for number, (dataset, of) in enumerate(shown.items(), 1)
        if any(logged[run.run_id] for run in of)
    ]
    return figures, list(by_dataset)[most:] if figures else []


def _options(card: Run) -> list[Option]:
    """The options, with what the run says of them; nothing is known of those of a run that is older than that."""
    stated = card.mapping("model", "options")
    return [_option(name, value, stated.get(name)) for name, value in card.mapping("cell", "options").items()]


def _option(name: str, value: object, stated: object) -> Option:
    known: Mapping[str, Any] = stated if isinstance(stated, Mapping) else {}
    meaning = known.get("meaning")
    return Option(
        name,
        wording.plain(value),
        wording.plain(known["default"]) if "default" in known else "",
        meaning if isinstance(meaning, str) else "",
        "default" in known and known["default"] != value,
    )


def _origins(runs: Sequence[Run]) -> list[tuple[Origin, int]]:
    """Where the code came from, with how many runs it made."""
    found: dict[Origin, int] = {}
    for run in runs:
        origin = Origin(*(run.text("plugins", "model", name) for name in Origin._fields))
        found[origin] = found.get(origin, 0) + 1
    return sorted(found.items())


def _costs(runs: Sequence[Run]) -> list[Cost]:
    """What the runs took, a row for each dataset, protocol and device."""
    found: dict[CostKey, list[Run]] = {}
    for run in runs:
        device = run.device
        if run.text("compute", "device") == "cpu" and (threads := run.text("compute", "threads")):
            device = f"{device}, {wording.plural(int(threads), 'thread') if threads.isdecimal() else threads}"
        protocol = f"{run.protocol} version {run.protocol_version}"
        found.setdefault(CostKey(run.dataset, protocol, run.unranked or "", device), []).append(run)
    return [_cost(key, found[key]) for key in sorted(found)]


def _cost(key: CostKey, runs: Sequence[Run]) -> Cost:
    seconds = _numbers(runs, "timings", "train")
    presented = _numbers(runs, "training", "images_presented")
    memory = _numbers(runs, "compute", "peak_memory_bytes")
    both = len(seconds) == len(presented) == len(runs) and sum(seconds) > 0
    return Cost(
        key,
        len(runs),
        (min(run.parameters for run in runs), max(run.parameters for run in runs)),
        (sum(seconds) / len(seconds), min(seconds), max(seconds)) if seconds else None,
        sum(presented) / len(presented) if presented else None,
        sum(presented) / sum(seconds) if both else None,
        max(memory) if memory else None,
    )


def _numbers(runs: Sequence[Run], *path: str) -> list[float]:
    """The runs' numbers at a place of the manifest, where it is one."""
    values = (run.mapping(*path[:-1]).get(path[-1]) for run in runs)
    return [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
