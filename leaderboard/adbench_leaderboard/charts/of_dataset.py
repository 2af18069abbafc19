"""All figures of a dataset under one protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import duckdb

from adbench_harness.api import StoreError
from adbench_harness.store.scored import ScoredTogether, scored_together, tasks_of

from .. import names
from ..tables import Board, DatasetKey
from .curves import PR, ROC, curves
from .distributions import distributions, scores
from .figure import Figure
from .rates import rates
from .shown import Shown, shown

TASKS: Final = 4
"""Of how many tasks curves are drawn, all abnormal images being the first: a page has to be read, and made in time."""


@dataclass(frozen=True)
class Drawn:
    """The figures, and why there are no more."""

    rates: Figure
    scores: Figure | None
    curves: Sequence[Figure]
    """ROC and precision-recall by turns, a pair a task."""
    undrawn: Sequence[str]
    """Tasks for which there was no room."""
    reason: str
    """Why there is nothing but rates; empty if there is."""

    @property
    def every(self) -> list[Figure]:
        """All figures."""
        return [self.rates, *([self.scores] if self.scores else []), *self.curves]


def figures(db: duckdb.DuckDBPyConnection, board: Board, dataset: DatasetKey, oracles: frozenset[str]) -> Drawn:
    """Draw what the runs of a board on a dataset gave.

    Args:
        db: the stored runs.
        board: the comparison.
        dataset: one of its datasets.
        oracles: rules that saw test labels.

    """
    name = f"{names.board_anchor(board.key)}-{dataset.fingerprint[:8]}"
    over_runs = rates(name, board, dataset, oracles)
    own = shown(board, dataset)
    try:
        images = scored_together(db, [run.run_id for run in own.runs])
    except StoreError as error:
        return Drawn(over_runs, None, [], [], str(error))
    tasks = {task: of for task, of in _tasks(db, own, images) if all(of.counts)}
    if not tasks:
        return Drawn(over_runs, None, [], [], "the test images are of one class")
    spread = scores(own, images, _held_out(db, own))
    return Drawn(
        over_runs,
        distributions(name, own, spread, board.rules, oracles),
        [
            curves(kind, f"{names.slug(task)}-{name}", task, own, of)
            for task, of in list(tasks.items())[:TASKS]
            for kind in (ROC, PR)
        ],
        list(tasks)[TASKS:],
        "",
    )


def _tasks(db: duckdb.DuckDBPyConnection, own: Shown, images: ScoredTogether) -> Iterator[tuple[str, ScoredTogether]]:
    """Tasks with their images; one that has the same as an earlier one says nothing new."""
    seen: set[tuple[str, ...]] = set()
    for task, subtypes in tasks_of(db, own.runs[0].run_id).items():
        of = images.of_task(subtypes)
        if tuple(of.images) not in seen:
            seen.add(tuple(of.images))
            yield task, of


def _held_out(db: duckdb.DuckDBPyConnection, own: Shown) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    sql = files("adbench_leaderboard") / "sql" / "held_out.sql"
    for run, score in db.execute(sql.read_text(encoding="utf-8"), [[run.run_id for run in own.runs]]).fetchall():
        found.setdefault(run, []).append(score)
    return found
