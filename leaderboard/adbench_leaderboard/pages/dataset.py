"""A page a dataset: what it is, what can be said against it, and how each model does on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from adbench_harness.published import published

from .. import charts, names
from ..charts.of_dataset import Drawn, figures
from ..charts.shown import shown
from ..images.evidence import evidence
from ..site import File, Site
from ..tables import Board, Cell, DatasetKey, ModelKey, dataset_key, newest
from ..templating import Templates
from ..views import soundness
from ..views.beside import Beside, beside
from ..views.soundness import LeakFree, Power
from .reproduction import meanings, published_figure, signed

if TYPE_CHECKING:
    import duckdb

    from adbench_harness.store.contenders import StoredRun


@dataclass(frozen=True)
class Part:
    """How models do on one state of a dataset under one protocol."""

    board: Board
    state: DatasetKey
    drawn: Drawn
    leak_free: Mapping[str, LeakFree]

    @property
    def present(self) -> list[tuple[ModelKey, Cell]]:
        """Models with their runs."""
        return self.board.present(self.state)


@dataclass(frozen=True)
class _Known:
    """What is asked of the database once for all datasets."""

    db: duckdb.DuckDBPyConnection

    @cached_property
    def audits(self) -> soundness.Audits:
        return soundness.audits(self.db)

    @cached_property
    def leaks(self) -> soundness.Leaks:
        return soundness.leaks(self.db)

    @cached_property
    def stored(self) -> list[StoredRun]:
        from adbench_harness.store.contenders import stored_runs

        return stored_runs(self.db)


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page of every dataset that has runs, and the specifications of its figures."""
    if site.db is None:
        return
    known = _Known(site.db)
    before: tuple[str, list[Part]] | None = None
    for name in site.datasets:
        parts = _parts(site, known, name)
        templates.drawings.begin(figure for part in parts for figure in part.drawn.every)
        # Written a dataset late, so that its figures are drawn while the next one's are made.
        if before:
            yield from _page(site, templates, known, *before)
        before = name, parts
    if before:
        yield from _page(site, templates, known, *before)


def _parts(site: Site, known: _Known, name: str) -> list[Part]:
    return [
        Part(board, state, figures(known.db, board, state, site.oracles), soundness.without_leaks(board, state, known.leaks))
        for board in site.boards
        for state in board.on(name)
    ]


def _page(site: Site, templates: Templates, known: _Known, name: str, parts: Sequence[Part]) -> Iterator[File]:
    runs = [run for run in site.runs if run.dataset == name]
    states = sorted({dataset_key(run) for run in runs})
    path = names.dataset_page(name)
    audits = {state: known.audits[state] for state in states if state in known.audits}
    exhibits = {
        state: evidence(known.db, site.choices.audits, state, found, site.sources.get(name)) for state, found in audits.items()
    }
    yield templates.page(
        "dataset.html",
        path,
        name=name,
        card=newest(runs),
        states=states,
        parts=parts,
        boards=[board for board in site.boards if board.on(name)],
        runs=runs,
        unranked=site.unranked(runs),
        partial=site.partial(runs),
        audits=audits,
        evidence={state: shown for state, (shown, _) in exhibits.items()},
        power=_power(known, name, parts),
        assumptions=soundness.assumptions,
        study=_beside(site, name),
        published_figure=published_figure,
        signed=signed,
        meanings=meanings,
        atlas=site.atlases.get(name),
    )
    for _, pictures in exhibits.values():
        yield from pictures
    drawn = [figure for part in parts for figure in part.drawn.every]
    if drawn:
        yield charts.data(path, drawn)


def _beside(site: Site, name: str) -> list[Beside]:
    """The study's figures of a dataset beside ours."""
    cells = [cell for cell in published().study.cells() if cell.dataset == name]
    return beside(site, cells, ("roc_auc", "recall", "specificity"))


def _power(known: _Known, name: str, parts: Sequence[Part]) -> Power:
    """Of ranked runs, on the splits that the page draws: others take as long and say nearly the same.

    Where no run is ranked, nothing is compared, and nothing can be shown.
    """
    drawn = {(part.board.key.name, shown(part.board, part.state).split) for part in parts}
    own = [run for run in known.stored if run.dataset != name or (run.protocol, run.split) in drawn]
    return soundness.power(known.db, own, name) if parts else Power([], "")
