from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.charts import shown as module
from adbench_leaderboard.charts.of_dataset import Drawn, figures
from adbench_leaderboard.charts.shown import shown
from adbench_leaderboard.site import Site
from adbench_leaderboard.tables import Board

MakeRun = Callable[..., str]
HOSTILE = '<script>alert(1)</script> "q"'


def points(spec: Any, **wanted: str) -> list[dict[str, Any]]:
    return [row for row in spec["datasets"]["points"] if all(row.get(field) == value for field, value in wanted.items())]


def board(db: duckdb.DuckDBPyConnection) -> tuple[Board, Site]:
    site = Site(db, queries.runs(db), "0")
    return site.boards[0], site


@pytest.fixture
def drawn(results: Results, make_run: MakeRun) -> Drawn:
    make_run("a", seed=0)
    make_run("b", seed=1, scores=(0.1, 0.2, 0.2, 0.3, 0.2, 0.8, 0.9))
    make_run("c", model="other", variant=HOSTILE, seed=0)
    ingest(results)
    with reading(results.database) as db:
        own, site = board(db)
        return figures(db, own, own.datasets[0], site.oracles)


def test_the_scores_of_a_run_are_drawn_with_the_thresholds_that_are_stored(results: Results, drawn: Drawn) -> None:
    assert drawn.scores is not None
    found = {row["r"]: row["x"] for row in points(drawn.scores.spec, k="threshold", m="pca")}
    with reading(results.database) as db:
        stored = dict(
            db.execute("select rule, value from metric where run_id = 'a' and task = 'all' and name = 'threshold'").fetchall()
        )
    assert found == {"best F1 (oracle)": stored["best-f1"], "Youden (oracle)": stored["youden"]}
    bars = points(drawn.scores.spec, m="pca", k="normal")
    assert sum(bar["n"] for bar in bars) == 4
    rows = [row for row in drawn.scores.rows if row[:2] == ("pca", "scores")]
    assert [sum(number for row in rows if isinstance(number := row[column], int)) for column in (4, 5, 6)] == [4, 3, 0]
    assert {(bar["x"], bar["x2"]) for bar in bars} <= {(row[2], row[3]) for row in rows}


def test_tables_hold_what_is_drawn(drawn: Drawn) -> None:
    roc = drawn.curves[0]
    column = list(roc.columns).index("pca")
    for kind, place in (("mean", column), ("lowest", column + 3)):
        line = {f"{row['x']:.2f}": f"{row['y']:.3f}" for row in points(roc.spec, m="pca", k=kind)}
        assert {row[0]: row[place] for row in roc.rows} == line
    assert HOSTILE in roc.columns
    table = {(row[0], row[1], row[2]): row[3] for row in drawn.rates.rows}
    for row in points(drawn.rates.spec, k="model", m="pca"):
        assert table[row["r"], "pca", row["f"]] == f"{row['x']:.3f}"
    assert {rule for rule, *_ in table} == {"best F1 (oracle)", "Youden (oracle)"}
    titles = [f"{task}" for task in ("all abnormal images", "task bleed", "task tumour")]
    assert [figure.title.partition(", ")[2] for figure in drawn.curves] == [title for title in titles for _ in range(2)]
    assert len({figure.id for figure in drawn.every}) == len(drawn.every)


def test_held_out_normals_are_drawn_apart(results: Results, make_run: MakeRun) -> None:
    make_run("a")
    ingest(results)
    with duckdb.connect(str(results.database)) as db:
        db.execute(
            "insert into score select run_id, 'h' || image, label, subtype, group_id, 'held_out', score, attributes from score where label = 0"
        )
        own, site = board(db)
        found = figures(db, own, own.datasets[0], site.oracles).scores
    assert found is not None
    assert (
        sum(row["n"] for row in points(found.spec, k="held out")) == sum(row["n"] for row in points(found.spec, k="normal")) == 4
    )
    assert "Outlined" in found.note


def test_runs_on_other_images_are_not_drawn_together(results: Results, make_run: MakeRun) -> None:
    make_run("a")
    make_run("b", model="other")
    ingest(results)
    with duckdb.connect(str(results.database)) as db:
        db.execute("update score set image = 'another' where run_id = 'b' and image = 'image-0'")
        own, site = board(db)
        found = figures(db, own, own.datasets[0], site.oracles)
    assert (found.scores, found.curves) == (None, [])
    assert "did not score the same test images" in found.reason


def test_of_more_models_than_there_is_room_for_those_with_the_highest_area_are_shown(
    results: Results, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    make_run("a", model="aa", scores=(0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1))
    make_run("b", model="bb", scores=(0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9))
    make_run("c", model="cc")
    make_run("d", model="cc", split=1)
    ingest(results)
    with reading(results.database) as db:
        own, _ = board(db)
        found = shown(own, own.datasets[0])
    assert (list(found.labels.values()), found.split, found.others) == (["bb", "cc"], 0, 1)
    assert "of 3 models the 2 with the highest ROC AUC" in found.words


def test_pages_hold_hostile_names_as_text_and_load_figures_on_demand(make_run: MakeRun, render: Callable[[], Path]) -> None:
    make_run("a", variant=HOSTILE)
    site = render().parent
    page = (site / "dataset" / "phantom.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert " style=" not in page
    assert 'data-figures="../data/dataset/phantom.figures.js"' in page
    text = (site / "data" / "dataset" / "phantom.figures.js").read_text(encoding="ascii")
    explored = set(re.findall(r'data-interactive="([^"]*)"', page))
    assert explored == set(json.loads(text.partition(" = ")[2].removesuffix(";\n")))
    assert all(f'<svg id="{one}-svg"' in page for one in explored)
    assert b"vegaEmbed" in (site / "static" / "vega.js").read_bytes()
