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
from adbench_leaderboard.pages import index
from adbench_leaderboard.site import Site
from adbench_leaderboard.templating import Templates

MakeRun = Callable[..., str]
Page = Callable[[], Any]

OTHER = (0.1, 0.2, 0.3, 0.35, 0.4, 0.8, 0.9)
"""An area of 1, where the scores that a run has by itself give one of 11/12."""


@pytest.fixture
def page(results: Results, tmp_path: Path, read: Callable[[Path], Any]) -> Page:
    """Takes in the runs and parses their first page."""

    def made() -> Any:
        ingest(results)
        with reading(results.database) as db:
            site = Site(db, queries.runs(db), "0.1.0")
            switch, file = index.files(site, Templates.of(site))
        (tmp_path / file.path).write_bytes(file.content)
        found = read(tmp_path / file.path)
        found.markup = file.content.decode()
        found.switch = switch.content.decode()
        return found

    return made


def bare(row: list[str]) -> list[str]:
    """A row without intervals."""
    return [re.sub(r" ?\[[\d., ]+\] ?", " ", cell).strip() for cell in row]


def rows(table: Any) -> list[list[str]]:
    return [bare(row) for row in table.rows]


def test_a_row_a_model_and_a_body_a_rule(make_run: MakeRun, page: Page) -> None:
    make_run("pca-phantom-1")
    make_run("pca-phantom-2", seed=1, scores=OTHER, created="2026-01-03T00:00:00Z")
    make_run("pca-mias-1", dataset="mias")
    make_run("kd-mias-1", model="kd", dataset="mias")
    found = page()
    heat, board, others = found.tables
    assert rows(heat) == [
        ["Model", "mias", "phantom"],
        ["kd", "• 0.917", "no run"],
        ["pca", "• 0.917", "0.958"],
        ["random scores", *[cell for cell in rows(heat)[-1][1:] if re.fullmatch(r"0\.\d{3}", cell)]],
    ]
    assert [cell.split(" ")[0] for cell in board.rows[0]] == ["Model", "mias", "phantom", "Runs", "Newest"]
    assert board.rows[0][1] == "mias 3 abnormal, 4 normal · split 0"
    # Above 0.35 lie all abnormal images and one of four normal ones; above 0.75 two of three and none.
    heads = [[row[0].partition(" highest")[0] for row in table.rows if len(row) == 1] for table in (board, others)]
    assert heads == [["best F1 oracle"], ["Youden oracle"]]
    assert rows(board)[3:6] == [
        ["kd", "1.000", "0.750", "0.917 a", "no run", "1", "2026-01-02"],
        ["pca", "1.000", "0.750", "0.917 a", "1.000", "0.875 runs 0.750-1.000", "0.958 runs 0.917-1.000", "3", "2026-01-03"],
        ["every image called abnormal", "1.000", "0.000", "-", "1.000", "0.000", "-", "", ""],
    ]
    # The other rules are without what no rule changes.
    assert rows(others)[3:6] == [
        ["kd", "1.000", "0.750", "no run"],
        ["pca", "1.000", "0.750", "1.000", "0.875 runs 0.750-1.000"],
        ["every image called abnormal", "1.000", "0.000", "1.000", "0.000"],
    ]
    assert [[row[0] for row in table.rows].count("random scores") for table in (board, others)] == [1, 1]
    for cell in [cell for row in [*board.rows, *others.rows] for cell in row if re.match(r"\d\.\d{3}", cell)]:
        value, low, high = (float(number) for number in re.findall(r"\d\.\d{3}", cell)[:3])
        assert low <= value <= high, cell


def test_the_switch_begins_with_the_honest_rule_and_needs_no_script(make_run: MakeRun, page: Page) -> None:
    make_run("a", thresholds=("youden", "normal-q95"))
    found = page()
    inputs = re.findall(r"<label><input ([^>]+)> ([^<]+)(.*)</label>", found.markup)
    assert [(words.strip(), "checked" in attributes, "oracle" in mark) for attributes, words, mark in inputs] == [
        ("95 % of held-out normals", True, False),
        ("Youden", False, True),
    ]
    # With no held-out images the honest rule is refused; random scores have no threshold either.
    assert ["pca", "-", "-", "0.917", "1", "2026-01-02"] in rows(found.tables[1])
    for place in (1, 2):
        assert f'class="pick-{place}"' in found.markup
        assert f'<tbody class="rule rule-{place}">' in found.markup
        assert f".rules:has(.pick-{place}:checked) ~ * .rule:not(.rule-{place})," in found.switch
    assert "pick-3" not in found.switch
    assert "No honest rule" not in found.text


def test_a_board_without_an_honest_rule_says_so(make_run: MakeRun, page: Page) -> None:
    make_run("a", thresholds=("youden", "best-f1"))
    found = page()
    assert "No honest rule here." in found.text
    assert "upper bounds" in found.text
    assert "published study" not in found.text


def test_figures_are_of_one_split_and_ranges_of_all(make_run: MakeRun, page: Page) -> None:
    make_run("a-1", split=1)
    make_run("a-2", split=2, scores=OTHER)
    make_run("b-2", model="kd", split=2, scores=OTHER)
    make_run("c-1", model="ae", split=1)
    heat, board, _ = page().tables
    assert "split 1" in board.rows[0][1]
    assert ["pca", "1.000", "0.750 runs 0.750-1.000", "0.917 a runs 0.917-1.000", "2", "2026-01-02"] in rows(board)
    assert ["kd", "not on split 1", "1", "2026-01-02"] in rows(board)
    assert ["kd", "not on split 1"] in heat.rows


def test_what_sorting_and_filtering_go_by(make_run: MakeRun, page: Page) -> None:
    make_run("a", dataset="mias")
    make_run("b", model="kd")
    found = page()
    heads = re.findall(r'data-sort="(\d+)"(?: data-as="(\w+)")?', found.markup)
    assert heads == [
        *(("0", "text"), ("1", ""), ("2", "")),
        *(("0", "text"), ("7", ""), ("8", "text"), *((str(place), "") for place in range(1, 7))),
    ]
    for name in ("data-dataset", "data-modality", "data-organ", "data-family", "data-protocol"):
        assert f"{name}=" in found.markup
    # Nothing to choose from: no filter. What needs a script is hidden without one.
    assert 'id="filters"' not in found.markup
    assert found.markup.count("<button") == len(re.findall(r"<button[^>]* hidden>", found.markup))


def test_runs_that_may_not_meet_stand_apart(make_run: MakeRun, page: Page) -> None:
    make_run("a")
    make_run("b", fingerprint="0123456789abcdef")
    make_run("c", model="kd", fit_digest="0" * 16)
    make_run("d", model="off", overrides={"epochs": "2"})
    make_run("e", model="part", fingerprint="e" * 16, partial="3 missing")
    found = page()
    digests, heat, other = found.tables[0], found.tables[3], found.tables[6:]
    assert heat.rows[0] == ["Model", "phantom 01234567", "phantom dddddddd"]
    assert [[row[0] for row in table.rows[1:-1]] for table in (digests, heat)] == [["kd"], ["pca"]]
    assert [table.caption for table in other] == ["Unranked runs", "Runs on partial copies"]
    assert other[0].rows[2][:4] == ["split 0, seed 0 unranked", "off", "phantom", "off protocol: epochs=2"]
    assert other[1].rows[2][:4] == ["split 0, seed 0 unranked", "part", "phantom", "partial copy of the dataset: 3 missing"]


def test_one_class_only_has_no_figures_and_says_why(make_run: MakeRun, page: Page) -> None:
    make_run("a", subtypes=(), counts={"test_normal": 7})
    found = page()
    assert ["pca", "-", "-", "-", "1", "2026-01-02"] in rows(found.tables[1])
    assert "the test set has normal images only" in found.text


def test_steps_of_the_heat_map() -> None:
    assert [index.step(area) for area in (0.0, 0.35, 0.5, 0.949, 0.95, 1.0)] == [1, 2, 3, 8, 9, 9]
