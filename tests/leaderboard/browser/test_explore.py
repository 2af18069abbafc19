"""SQL in the page: loaded when asked, right, shut off from elsewhere, stopped, shared, taken along."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def loaded(tab: Any, served: Any) -> Any:
    if not served.has_engine:
        pytest.skip(f"the site has no SQL engine: {served.no_engine}")
    tab.page.goto(f"{served.address}explore.html")
    tab.page.click("#load")
    tab.page.wait_for_selector("#run", timeout=60_000)
    return tab


def ask(tab: Any, sql: str) -> list[list[str]]:
    tab.page.fill("#query", sql)
    tab.page.press("#query", "Control+Enter")
    tab.page.wait_for_selector("#stop", state="hidden")
    rows: list[list[str]] = tab.page.evaluate(
        "() => [...document.querySelectorAll('#rows tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return rows


def test_it_answers_as_the_site_says(loaded: Any, served: Any) -> None:
    answer = ask(loaded, loaded.page.locator(".example code").first.text_content())
    place = {name: number for number, name in enumerate(answer[0])}
    assert len(answer) == 1 + 11
    assert all(row[place["roc_auc"]] == row[place["on_the_site"]] for row in answer[1:])
    assert {row[place["variant"]] for row in answer[1:]} == {"pca", "multikd", "<script>alert(1)</script>"}

    for example in loaded.page.locator(".example code").all()[1:]:
        assert len(ask(loaded, example.text_content())) > 1
    assert ask(loaded, "select count(*) as n from score where image like '%\u05d0%'") == [["n"], ["13"]]
    ask(loaded, "select image from score where image like '%\u05d0%' limit 1")
    assert loaded.page.inner_text("#rows td") == "\\u202egnp.\u05d0\u05d1\u05d2.png"

    assert ask(loaded, "selec") == []
    assert "syntax error" in loaded.page.inner_text("#error")
    for hostile in (
        "from 'https://example.org/a.csv'",
        "copy score to 'a.csv'",
        "set enable_external_access = true",
        "load httpfs",
    ):
        assert ask(loaded, hostile) == []
        assert loaded.page.is_visible("#error")
    assert loaded.no_problems("explore") == []


def test_rows_are_capped_taken_along_and_stopped(loaded: Any) -> None:
    assert (
        len(ask(loaded, "select range, if(range = 1, chr(10) || '=2', '=1') as word, null as nothing from range(1500)")) == 1001
    )
    assert "1,500 rows, the first 1,000 of them" in loaded.page.inner_text("#told")
    with loaded.page.expect_download() as taken:
        loaded.page.click("#csv")
    lines = taken.value.path().read_bytes().decode().split("\r\n")
    assert lines[:3] == ["range,word,nothing", "0,'=1,", '1,"\'\n=2",']
    assert len(lines) == 1502

    loaded.page.fill("#query", "select count(*) from range(1000000) a, range(1000000) b where a.range % 7 = b.range % 5")
    loaded.page.click("#run")
    loaded.page.click("#stop")
    assert "Stopped" in loaded.page.inner_text("#status")
    loaded.page.click("#load")
    loaded.page.wait_for_selector("#run", timeout=60_000)
    assert ask(loaded, "select 1 as one") == [["one"], ["1"]]
    assert loaded.no_problems("explore") == []


def test_a_link_brings_a_query_and_runs_nothing(loaded: Any, served: Any) -> None:
    ask(loaded, "select 'a&b#c' as \"d e\"")
    loaded.page.click("#link")
    loaded.page.wait_for_selector("#status:has-text('copied')")
    link = loaded.page.evaluate("() => navigator.clipboard.readText()")
    loaded.page.goto("about:blank")
    loaded.problems.clear()
    loaded.page.goto(link)
    assert loaded.page.input_value("#query") == "select 'a&b#c' as \"d e\""
    assert loaded.page.is_visible("#load")
    assert not loaded.page.is_visible("#result")
    assert loaded.no_problems("explore") == []


def test_from_a_file_it_says_how_to_serve_it(tab: Any, served: Any) -> None:
    if not served.has_engine:
        pytest.skip(f"the site has no SQL engine: {served.no_engine}")
    tab.page.goto((served.folder / "explore.html").as_uri())
    assert "adbench leaderboard serve" in tab.page.inner_text("#from-file")
    assert not tab.page.is_visible("#load")
    assert tab.no_problems("explore") == []
