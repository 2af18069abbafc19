"""Runs that others sent are told apart from runs that were made here, wherever they stand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.home import Results
from adbench_harness.status import Check, Checks, write_checks
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.exports.document import documents
from adbench_leaderboard.exports.sheets import sheets
from adbench_leaderboard.pages import index, run
from adbench_leaderboard.publishing.diff import diff
from adbench_leaderboard.publishing.diff import read as read_document
from adbench_leaderboard.site import Site
from adbench_leaderboard.tables import sent
from adbench_leaderboard.templating import Templates

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def send(results: Results, make_run: Callable[..., str]) -> Callable[..., None]:
    """Writes a run as an import does, and what was checked of it."""

    def make(run_id: str, *agrees: bool, signer: str | None = None, **facts: Any) -> None:
        folder = results.runs / make_run(run_id, **facts)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["received"] = {"bundle": "b" * 64, "imported": "2026-02-03T04:05:06Z", "signer": signer, "key": None}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        if agrees:
            write_checks(folder, Checks(run_id=run_id, checks=tuple(_check(one) for one in agrees)))

    return make


def _check(agrees: bool) -> Check:
    return Check(
        kind="re-scored",
        agrees=agrees,
        date="2026-02-03T04:05:06Z",
        device=EVIL,
        adbench="0.1.0",
        images=7,
        max_difference=0.5,
        spread=2.0,
        tolerance=0.001,
        rank_correlation=0.5,
    )


@pytest.fixture
def document(results: Results) -> Callable[[], Any]:
    """leaderboard.json, with no page drawn."""

    def make() -> Any:
        ingest(results)
        with reading(results.database) as db:
            content = documents(Site(db, queries.runs(db), "0.1.0"))[0].content
        (results.root / "leaderboard.json").write_bytes(content)
        return json.loads(content)

    return make


def test_a_mark_beside_the_model_and_a_legend(send: Any, make_run: Any, results: Results, read: Any, tmp_path: Path) -> None:
    make_run("a", model="pca")
    send("b", model="other", signer=EVIL)
    send("c", True, model="checked")
    send("d", True, created="2026-09-09T00:00:00Z")
    ingest(results)
    with reading(results.database) as db:
        site = Site(db, queries.runs(db), "0.1.0")
        pages = {file.path: file.content.decode() for page in (index, run) for file in page.files(site, Templates.of(site))}
        rows = list(csv.DictReader(io.StringIO(next(sheets(site))[0].content.decode(), newline="")))

    def read_page(name: str) -> Any:
        (tmp_path / "page.html").write_text(pages[name])
        return read(tmp_path / "page.html")

    heat, figures = read_page("index.html").tables[:2]
    assert [row[0] for row in heat.rows[1:4]] == ["checked re-scored", "other self-reported", "pca"]
    assert {"checked re-scored", "other self-reported", "pca"} <= {row[0] for row in figures.rows if row}
    assert "some of its runs were sent in by others" in pages["index.html"]
    page = pages["run/b.html"]
    assert "This run came in a bundle: the scores are as somebody else sent them" in page
    assert f"The bundle was signed by {EVIL.replace('<', '&lt;').replace('>', '&gt;')}." in page
    checked = read_page("run/c.html")
    assert "Nobody is known to have signed it" in checked.text
    assert "Checked: re-scored 2026-02-03 on" in checked.text
    assert "Another run" in pages["run/d.html"]  # one of our own, though it is older
    assert not any(EVIL in text for text in pages.values())
    assert {row["run_id"]: row["status"] for row in rows} == {
        "a": "run here",
        "b": "self-reported",
        "c": "re-scored",
        "d": "re-scored",
    }


def test_a_run_of_our_own_stands_for_its_cell_whatever_is_sent(send: Any, make_run: Any, document: Any) -> None:
    make_run("a", created="2026-01-01T00:00:00Z")
    send("b", True, created="2026-09-09T00:00:00Z")
    assert {run["run_id"]: (run["status"], run["newest"]) for run in document()["runs"]} == {
        "a": ("run here", True),
        "b": ("re-scored", False),
    }


def test_a_run_whose_weights_give_other_scores_is_not_ranked(send: Any, document: Any) -> None:
    send("b", False)
    (found,) = document()["runs"]
    assert (found["status"], found["board"]) == ("self-reported", None)
    assert found["unranked"].startswith("not what its weights give: scored again here, a score differs by 0.25 of")


def test_what_a_check_changed_is_told(send: Any, results: Results, document: Any) -> None:
    send("a")
    document()
    before = read_document(results.root / "leaderboard.json")
    write_checks(results.runs / "a", Checks(run_id="a", checks=(_check(True),)))
    document()
    changes = diff(before, read_document(results.root / "leaderboard.json")).changes
    assert [(one.name, one.before, one.after) for one in changes] == [("a", "self-reported", "re-scored")]


def test_a_site_of_our_own_runs_has_no_legend_of_it(make_run: Any, results: Results) -> None:
    make_run("a")
    ingest(results)
    with reading(results.database) as db:
        site = Site(db, queries.runs(db), "0.1.0")
        assert sent(site.runs) == []
        text = next(iter(index.files(site, Templates.of(site)))).content.decode()
    assert "sent in by others" not in text
