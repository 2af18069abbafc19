"""A dataset is shown by the same split wherever it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import charts, queries
from adbench_leaderboard.charts.rates import rates
from adbench_leaderboard.pages.model import RATES
from adbench_leaderboard.site import Site
from adbench_leaderboard.views import soundness

MakeRun = Callable[..., str]

SEEDS: Sequence[Sequence[float]] = ((0.1, 0.2, 0.3, 0.7, 0.4, 0.8, 0.9), (0.1, 0.2, 0.6, 0.7, 0.5, 0.65, 0.9))
"""ROC AUC 11/12 and 9/12; specificity at Youden's threshold 3/4 and 2/4."""
OTHER: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 0.9)
"""Of another split: everything is right."""
BACKWARDS: Sequence[float] = (0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1)
"""Best called abnormal all of them, or none."""


@pytest.fixture
def store(results: Results, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> Results:
    """Two splits with different figures; charts are made, and not drawn."""
    monkeypatch.setattr(charts, "svg", lambda figure: f"drawn: {figure.id}")
    for seed, scores in enumerate(SEEDS):
        make_run(f"a-{seed}", seed=seed, scores=scores)
        make_run(f"b-{seed}", model="kd", seed=seed, scores=BACKWARDS if seed else SEEDS[0])
    make_run("a-other", split=1, scores=OTHER)
    make_run("c-other", model="late", split=1, scores=OTHER)
    return results


def _row(page: Any, caption: str, first: str) -> list[str]:
    rows = next(table.rows for table in page.tables if caption in table.caption)
    found: list[str] = next(row for row in rows if row[0].startswith(first))
    return found


def test_index_dataset_model_and_document_say_the_same_of_a_split(
    store: Results, render: Callable[[], Path], read: Callable[[Path], Any]
) -> None:
    index = render()
    dataset, model = (read(index.parent / path) for path in ("dataset/phantom.html", "model/pca.html"))
    document = json.loads((index.parent / "data" / "leaderboard.json").read_text())
    (board,) = document["boards"]
    cell = next(cell for cell in board["cells"] if cell["model"] == "pca")
    rate, area = cell["rules"]["youden"]["specificity"], cell["roc_auc"]
    assert (cell["split"], rate["value"], rate["lowest_run"], rate["highest_run"], rate["runs"]) == (0, 0.625, 0.5, 1, 3)
    assert area["value"] == pytest.approx(10 / 12)
    said = f"0.625 [{rate['low']:.3f}, {rate['high']:.3f}] runs 0.500-1.000"
    every = f"[{area['low']:.3f}, {area['high']:.3f}]"
    rows = [row for table in read(index).tables if "Sensitivity:" in table.caption for row in table.rows if row[0] == "pca"]
    youden = board["rules"].index(next(rule for rule in board["rules"] if rule["name"] == "youden"))
    assert rows[youden][2] == said
    # ROC AUC, which no rule changes, stands beside the first one.
    assert rows[0][3] == f"0.833 a {every} runs 0.750-1.000"
    assert _row(dataset, "Youden oracle, split 0", "pca")[2] == said
    assert _row(model, "Youden", "phantom split 0")[2] == said
    assert _row(model, "At each threshold", "Youden")[1 + RATES.index("specificity")] == said
    assert _row(model, "Without a threshold", "phantom split 0")[1] == f"0.833 {every} runs 0.750-1.000"
    assert _row(dataset, "ROC AUC, all abnormal", "pca")[1].startswith(f"0.833 {every}")
    chart = next(table for table in dataset.tables if table.rows[0][0] == "Threshold rule")
    (drawn,) = [row for row in chart.rows if row[:3] == ["Youden (oracle)", "pca", "Specificity"]]
    ends = [f"{rate[end]:.3f}" for end in ("low", "high")]
    assert drawn[3:] == ["0.625", *ends, "0.500", "1.000", "3"]
    # One that has no run on the split has no figure, rather than one of another split.
    assert _row(dataset, "Youden oracle, split 0", "late")[1:] == ["not on split 0"]
    assert _row(read(index.parent / "model" / "late.html"), "Youden", "phantom split 0")[1:] == ["not on split 0"]


def test_runs_that_call_all_images_the_same_are_named_beside_their_mean(
    store: Results, render: Callable[[], Path], read: Callable[[Path], Any]
) -> None:
    index = render()
    words = [row[1] for table in read(index).tables if "Sensitivity:" in table.caption for row in table.rows if row[0] == "kd"]
    assert [word.endswith("1 of 2 seeds: all alike") for word in words] == [True, True]
    assert _row(read(index.parent / "model" / "kd.html"), "Youden", "phantom")[0].endswith(
        "1 of 2 seeds call all images the same"
    )
    with reading(store.database) as db:
        site = Site(db, queries.runs(db), "0")
        (board,) = site.boards
        figure = rates("x", board, board.datasets[0], site.oracles)
    for said in (figure.note, figure.description):
        assert "Seeds that call all test images the same at Youden (oracle), which a mean may hide: kd (1 of 2)." in said
    (point,) = [
        row
        for row in figure.spec["datasets"]["points"]
        if (row["k"], row["r"], row["m"], row["f"]) == ("model", "Youden (oracle)", "pca", "Specificity")
    ]
    assert (point["x"], point["least"], point["most"]) == (0.625, 0.5, 1)


def test_areas_without_leaks_are_of_the_split_too(store: Results) -> None:
    ingest(store)
    with duckdb.connect(str(store.database)) as db:
        for run, value in (("a-0", 0.5), ("a-1", 0.7), ("a-other", 1)):
            row = [run, "without duplicates of training images", "all", "none", False, "roc_auc", value, value, value, "by test"]
            db.execute("insert into part_metric values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        (board,) = Site(db, queries.runs(db), "0").boards
        found = soundness.without_leaks(board, board.datasets[0], soundness.leaks(db))["pca"]
    assert (found.without, found.every) == pytest.approx((0.6, 10 / 12))
    assert found.runs == 2
