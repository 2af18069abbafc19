"""A dataset's page: what two protocols say of it stands apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.pages import dataset
from adbench_leaderboard.site import Site
from adbench_leaderboard.templating import Templates

MakeRun = Callable[..., str]


@pytest.fixture
def page(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any]) -> Callable[[], Any]:
    """The page of the phantom, with its source as ``source``; its charts are not drawn."""

    def make() -> Any:
        monkeypatch.setattr("adbench_leaderboard.charts.drawing.svg", lambda figure: f"drawn: {figure.id}")
        ingest(results)
        with reading(results.database) as db:
            site = Site(db, queries.runs(db), "1")
            (content,) = [one.content for one in dataset.files(site, Templates.of(site)) if one.path == "dataset/phantom.html"]
        (tmp_path / "page.html").write_bytes(content)
        found = read(tmp_path / "page.html")
        found.source = content.decode()
        return found

    return make


def test_runs_of_two_protocols_share_no_table(make_run: MakeRun, page: Callable[[], Any]) -> None:
    make_run("a")
    make_run("b", fit_digest="0" * 16)
    make_run("c", model="kd", overrides={"epochs": "2"})
    shown = page()
    runs = {
        table.caption: [row[-1] for row in table.rows[2:]] for table in shown.tables if "uns" in table.caption.partition(" ")[0]
    }
    found = {caption.partition(" and ")[0]: ids for caption, ids in runs.items()}
    assert found == {f"Runs under study version 1, digests {digit * 16}": [run] for digit, run in (("0", "b"), ("f", "a"))}
    assert [[row[-1] for row in table.rows[2:]] for table in shown.tables if table.caption == "Unranked runs"] == [["c"]]


def test_what_two_protocols_give_has_names_of_its_own(make_run: MakeRun, page: Callable[[], Any]) -> None:
    make_run("a")
    make_run("b", fit_digest="0" * 16)
    shown = page()
    labels = re.findall(r'role="region" aria-label="([^"]+)"', shown.source)
    assert len(labels) == len(set(labels))
    assert len(labels) > 10
    # Every entry of the table of contents leads to a place of the page.
    (contents,) = re.findall(r'<nav class="contents".*?</nav>', shown.source, re.DOTALL)
    places = re.findall(r'href="#([^"]+)"', contents)
    assert set(places) <= set(shown.ids)
    assert len([place for place in places if place.startswith("results-")]) == 2
