"""The page of SQL: with an engine, without one, and its policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.pages import explore
from adbench_leaderboard.site import Choices, File, Site
from adbench_leaderboard.templating import Templates

ENGINE = (File("engine/duckdb.js", b"x" * 2_500_000),)


def made(results: Results, engine: Sequence[File]) -> dict[str, str]:
    ingest(results)
    with reading(results.database) as db:
        site = Site(db, queries.runs(db), "0", Choices(engine=engine))
        return {file.path: file.content.decode(errors="replace") for file in explore.files(site, Templates.of(site))}


def test_without_an_engine_it_says_how_to_have_one(results: Results, make_run: Any) -> None:
    make_run("a")
    files = made(results, ())
    assert list(files) == ["explore.html"]
    assert "adbench leaderboard build --sql" in files["explore.html"]
    assert "explore.js" not in files["explore.html"]


def test_with_an_engine_it_lists_tables_and_queries(results: Results, make_run: Any, tmp_path: Path, read: Any) -> None:
    make_run("a")
    make_run("b", dataset='"odd" <i>\u202e')
    files = made(results, ENGINE)
    (tmp_path / "explore.html").write_text(files["explore.html"], encoding="utf-8")
    page = read(tmp_path / "explore.html")
    assert "Load the database (2.5 MB)" in page.text
    assert "Columns of run" in [table.caption for table in page.tables]
    loaded = [link for link in page.links if link.startswith(("data/", "engine/"))]
    assert set(loaded) == set(files) - {"explore.html", "engine/duckdb.js"}
    assert sum(link.startswith("data/explore/score-") for link in loaded) == 2
    assert files["engine/LICENSE.txt"].count("Copyright") == 2
    assert "i" not in page.tags


def test_its_policy_lets_webassembly_run_and_nothing_from_elsewhere(results: Results, make_run: Any) -> None:
    make_run("a")
    policy = made(results, ENGINE)["explore.html"].partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert dict(rule.strip().split(" ", 1) for rule in policy.split(";")) == {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self' 'wasm-unsafe-eval'",
        "worker-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
