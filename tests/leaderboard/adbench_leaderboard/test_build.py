from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.store.ingest import ingest
from adbench_leaderboard.build import MARKER, build
from adbench_leaderboard.contents import STATIC
from adbench_leaderboard.publishing.check import check

MakeRun = Callable[..., str]
Read = Callable[[Path], Any]
Render = Callable[[], Path]

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def store(results: Results, make_run: MakeRun) -> Results:
    make_run("pca-phantom-1")
    make_run("pca-phantom-2", seed=1, scores=(0.1, 0.2, 0.3, 0.35, 0.4, 0.8, 0.9))
    make_run("pca-mias-1", dataset="mias")
    make_run("evil-1", model="evil", variant='evil (x="../../etc")', title=EVIL)
    make_run("kd-off-1", model="kd", overrides={"epochs": "2"}, scores=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7))
    ingest(results)
    return results


def bare(rows: list[list[str]]) -> list[list[str]]:
    """Rows of a table without the intervals in their cells."""
    return [[re.sub(r" ?\[[\d., ]+\]", "", cell) for cell in row] for row in rows]


def files(site: Path) -> dict[str, bytes]:
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}


def test_newest_run_represents_its_cell(make_run: MakeRun, render: Render, read: Read) -> None:
    make_run("z-old", created="2026-01-01T00:00:00Z", scores=(0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3))
    make_run("a-new", created="2026-01-02T00:00:00Z")
    index = render()
    assert ["pca", "0.917"] in read(index).tables[0].rows
    runs = next(
        table for table in read(index.parent / "dataset/phantom.html").tables if table.caption == "Runs under study version 1"
    )
    assert [(row[0], row[-1]) for row in runs.rows[2:]] == [
        ("split 0, seed 0", "a-new"),
        ("split 0, seed 0 superseded", "z-old"),
    ]
    assert "A newer run" in read(index.parent / "run/z-old.html").text


def test_dataset_page_counts_at_each_rule(store: Results, tmp_path: Path, read: Read) -> None:
    build(store.database, tmp_path / "site")
    page = read(tmp_path / "site/dataset/mias.html")
    table = next(table for table in page.tables if table.caption.startswith("Task all"))
    assert ["pca", "0", "0", "1.000", "0.750", "0.750", "0.857", "3", "0", "1", "3", "0.35"] in bare(table.rows)
    assert ["every image called abnormal", "0", "-", "1.000", "0.000", "0.429", "0.600", "3", "0", "4", "0", "-∞"] in bare(
        table.rows
    )
    assert [table.caption.partition(":")[0] for table in page.tables if table.caption.startswith("Task ")] == [
        "Task all",
        "Task bleed",
        "Task tumour",
    ]


def test_a_built_site_has_no_fault_that_check_finds(store: Results, tmp_path: Path) -> None:
    assert check(build(store.database, tmp_path / "site").parent).findings == []


def test_words_of_plugins_are_text(store: Results, tmp_path: Path) -> None:
    build(store.database, tmp_path / "site")
    written = files(tmp_path / "site")
    assert not [name for name in written if "/etc" in name]
    pages = {name: content.decode() for name, content in written.items() if name.endswith((".html", ".js", ".json", ".svg"))}
    # Scripts of libraries hold such words of their own.
    assert not [name for name, text in pages.items() if EVIL in text]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in pages["run/evil-1.html"]


def test_only_web_addresses_become_links(results: Results, make_run: MakeRun, tmp_path: Path, render: Render, read: Read) -> None:
    make_run("a", url="javascript:alert(1)")
    render()
    page = read(tmp_path / "site/model/pca.html")
    assert "javascript:alert(1)" in page.text
    assert not [link for link in page.links if "javascript" in link]


def test_turned_text_is_spelt_out(results: Results, make_run: MakeRun, tmp_path: Path, render: Render) -> None:
    make_run("a", title="safe\N{RIGHT-TO-LEFT OVERRIDE}lmth")
    render()
    text = (tmp_path / "site/model/pca.html").read_text(encoding="utf-8")
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert "safe\\u202elmth" in text


def test_same_store_gives_same_bytes(store: Results, tmp_path: Path) -> None:
    build(store.database, tmp_path / "one")
    build(store.database, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_unchanged_files_are_not_written_again(store: Results, tmp_path: Path) -> None:
    index = build(store.database, tmp_path / "site")
    before = {path: path.stat().st_ino for path in index.parent.rglob("*.html")}
    build(store.database, tmp_path / "site")
    assert {path: path.stat().st_ino for path in index.parent.rglob("*.html")} == before


def test_another_run_touches_no_page_that_says_nothing_of_it(make_run: MakeRun, render: Render) -> None:
    make_run("a")
    site = render().parent
    before = {path: path.stat().st_ino for path in site.rglob("*.html")}
    make_run("b", model="kd", dataset="mias", created="2026-02-03T04:05:06Z")
    render()
    same = {path.relative_to(site).as_posix() for path, number in before.items() if path.stat().st_ino == number}
    assert {"run/a.html", "dataset/phantom.html", "reproduction.html"} <= same
    assert "index.html" not in same


def test_stale_pages_go_and_foreign_files_stay(store: Results, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build(store.database, site)
    (site / "CNAME").write_text("example.org")
    (site / "run" / "mine.html").write_text("mine")
    build(tmp_path / "none.duckdb", site)
    assert sorted(files(site)) == sorted([MARKER, "CNAME", "index.html", "run/mine.html", *STATIC])


def test_empty_store_says_how_to_make_a_run(tmp_path: Path, read: Read) -> None:
    page = read(build(tmp_path / "none.duckdb", tmp_path / "site"))
    assert "adbench run --model pca --dataset phantom" in page.text


def test_a_folder_of_something_else_is_refused(store: Results, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="not a site of adbench"):
        build(store.database, tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_a_marker_can_not_point_outside(store: Results, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    outside = tmp_path / "outside.html"
    outside.write_text("keep")
    (site / MARKER).write_text(f"../outside.html\n{outside}\n")
    build(store.database, site)
    assert outside.read_text() == "keep"


def test_a_file_in_place_of_the_folder_is_refused(store: Results, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    with pytest.raises(StoreError, match="choose another folder with --out"):
        build(store.database, tmp_path / "site")


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adbench.duckdb").write_text("not a database")
    with pytest.raises(StoreError, match="results rebuild"):
        build(tmp_path / "adbench.duckdb", tmp_path / "site")
