"""Views from the database: all of a dataset's by three queries, whatever their number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby

import duckdb
import numpy as np
from numpy.typing import NDArray

from ..queries import Run
from ..tables import Board, DatasetKey, ModelKey, newest
from .view import Entrant, Image, View


@dataclass(frozen=True)
class _Part:
    """The runs of a view."""

    board: Board
    state: DatasetKey
    split: int
    models: Sequence[tuple[ModelKey, Sequence[Run]]]

    @property
    def runs(self) -> list[Run]:
        return [run for _, runs in self.models for run in runs]

    @property
    def reference(self) -> str:
        """The run whose test images the view is of."""
        return newest(self.runs).run_id


def views(db: duckdb.DuckDBPyConnection, boards: Sequence[Board], dataset: str) -> list[View]:
    """Every view of a dataset, by board, state of the files and split. Runs that may not be ranked are on no board."""
    parts = [part for board in boards for state in board.on(dataset) for part in _parts(board, state)]
    if not parts:
        return []
    ids = [run.run_id for part in parts for run in part.runs]
    references = [part.reference for part in parts for _ in part.runs]
    found = db.execute(_sql("ranks"), [ids, references, len(ids)]).fetchnumpy()
    order = np.argsort(found["run"], kind="stable")
    ends = np.searchsorted(np.asarray(found["run"])[order], np.arange(len(ids) + 1))
    place, rank = np.asarray(found["place"])[order], np.asarray(found["half_rank"])[order]
    ranked = {run_id: (place[a:b], rank[a:b]) for run_id, a, b in zip(ids, ends[:-1], ends[1:], strict=True)}
    images, cuts = _images(db, sorted(set(references))), _cuts(db, ids)
    return [_view(part, images[part.reference], ranked, cuts) for part in parts if part.reference in images]


def _parts(board: Board, state: DatasetKey) -> Iterator[_Part]:
    present = board.present(state)
    for split in sorted({run.split for _, cell in present for run in cell.runs}):
        models = [(key, [run for run in cell.runs if run.split == split]) for key, cell in present]
        yield _Part(board, state, split, [(key, sorted(runs, key=lambda run: run.seed)) for key, runs in models if runs])


def _view(
    part: _Part,
    images: Sequence[Image],
    ranked: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int32]]],
    cuts: Mapping[str, Mapping[str, int]],
) -> View:
    fitting = {run.run_id for run in part.runs if np.array_equal(np.sort(ranked[run.run_id][0]), np.arange(len(images)))}
    models: list[Entrant] = []
    rows = 0
    for key, runs in part.models:
        kept = [run for run in runs if run.run_id in fitting]
        if kept:
            models.append(Entrant(key, kept, slice(rows, rows + len(kept))))
            rows += len(kept)
    half_ranks = np.empty((rows, len(images)), dtype=np.int32)
    ids = [run.run_id for model in models for run in model.runs]
    for row, run_id in enumerate(ids):
        place, rank = ranked[run_id]
        half_ranks[row, place] = rank
    rules = [rule for rule in part.board.rules if all(rule in cuts.get(run_id, {}) for run_id in ids)]
    return View(
        part.board,
        part.state,
        part.split,
        models,
        images,
        half_ranks,
        {rule: np.asarray([cuts[run_id][rule] for run_id in ids], dtype=np.int32) for rule in rules},
        [run for run in part.runs if run.run_id not in fitting],
    )


def _images(db: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> dict[str, list[Image]]:
    rows = db.execute(_sql("images"), [runs]).fetchall()
    return {
        run_id: [
            Image(image, label, kind, group, json.loads(facts) if facts else {}) for _, image, label, kind, group, facts in of_run
        ]
        for run_id, of_run in groupby(rows, key=lambda row: row[0])
    }


def _cuts(db: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for run_id, rule, count in db.execute(_sql("cuts"), [runs]).fetchall():
        found.setdefault(run_id, {})[rule] = count
    return found


def _sql(name: str) -> str:
    return (files("adbench_leaderboard") / "sql" / f"atlas_{name}.sql").read_text(encoding="utf-8")
