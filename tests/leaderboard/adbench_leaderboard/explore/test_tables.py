"""The tables that readers ask with SQL are those of the store, in the same bytes, and say what their columns are."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import ipc

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.explore import tables
from adbench_leaderboard.explore.tables import COLUMNS, Packed
from adbench_leaderboard.pages.explore import examples
from adbench_leaderboard.site import Site

MakeRun = Callable[..., str]


@contextmanager
def site_of(results: Results) -> Iterator[Site]:
    ingest(results)
    with reading(results.database) as db:
        yield Site(db, queries.runs(db), "0")


def packed(results: Results) -> list[Packed]:
    with site_of(results) as site:
        return list(tables.packed(site))


def unpacked(part: Packed) -> Any:
    with ipc.open_stream(gzip.decompress(part.content)) as stream:
        return stream.read_all()


def database(parts: list[Packed]) -> duckdb.DuckDBPyConnection:
    """As the page makes it."""
    db = duckdb.connect()
    for table in COLUMNS:
        arrow = pa.concat_tables([unpacked(part) for part in parts if part.table == table], promote_options="permissive")
        db.register("arrow", arrow)
        db.execute(f"create table {table} as from arrow")
        db.unregister("arrow")
    return db


def test_columns_are_those_that_are_described(results: Results, make_run: MakeRun) -> None:
    make_run("a")
    make_run("b", dataset="mias", overrides={"epochs": "2"})
    parts = packed(results)
    assert {part.table for part in parts} == set(COLUMNS)
    for part in parts:
        found = unpacked(part)
        assert found.column_names == list(COLUMNS[part.table])
        assert found.num_rows == part.rows
    runs = unpacked(parts[0]).to_pylist()
    assert {run["run_id"]: (run["ranked"], run["unranked"] is None) for run in runs} == {"a": (True, True), "b": (False, False)}


def test_same_store_gives_same_bytes_and_a_new_run_changes_its_datasets_scores_only(results: Results, make_run: MakeRun) -> None:
    make_run("a")
    make_run("b", dataset="mias")
    before = {part.path: part.content for part in packed(results)}
    assert before == {part.path: part.content for part in packed(results)}
    make_run("c", model="knn")
    changed = {part.path for part in packed(results) if before.get(part.path) != part.content}
    assert "data/explore/score-phantom.arrow.gz" in changed
    assert "data/explore/score-mias.arrow.gz" not in changed


def test_examples_have_answers_and_the_first_finds_the_areas_of_the_site(results: Results, make_run: MakeRun) -> None:
    make_run("a")
    make_run("b", model="knn", scores=(0.5, 0.5, 0.1, 0.2, 0.5, 0.9, 0.3))
    make_run("c", dataset="mias", scores=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0 + 1e-12))
    db = database(packed(results))
    for example in examples():
        assert example.sql.startswith(f"-- {example.title}\n")
        assert db.execute(example.sql).fetchall(), example.title
    rows = db.execute(examples()[0].sql).fetchall()
    place = {column[0]: number for number, column in enumerate(db.description or ())}
    assert len(rows) == 3
    for row in rows:
        assert row[place["roc_auc"]] == pytest.approx(row[place["on_the_site"]], abs=1e-12)
