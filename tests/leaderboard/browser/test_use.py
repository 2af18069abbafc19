"""What a reader does on the first page and from there: choose a rule, sort, filter, open a run, take a table and a figure along."""

from __future__ import annotations

from typing import Any

from .conftest import SCRIPT


def column(tab: Any, table: str, place: int) -> list[str]:
    """The first line of each shown cell of a column, of models alone."""
    rows = tab.page.locator(f"{table} tbody tr:visible:not(.head, .trivial)")
    return [row.locator("th, td").nth(place).inner_text().splitlines()[0] for row in rows.all()]


def test_a_rule_is_chosen_with_and_without_script(chromium: Any, served: Any, tab: Any) -> None:
    without = chromium.new_context(java_script_enabled=False).new_page()
    for page in (tab.page, without):
        page.goto(f"{served.address}index.html")
        assert page.locator(".figures-board tbody:visible").count() == 1
        assert "held-out" in page.inner_text(".figures-board tbody:visible .head")
        page.check("input[value=youden]")
        assert page.locator(".figures-board tbody:visible").count() == 1
        assert "oracle" in page.inner_text(".figures-board tbody:visible .head")
    without.context.close()
    tab.page.goto("about:blank")
    tab.page.goto(f"{served.address}index.html#rule=youden")
    assert tab.page.is_checked("input[value=youden]")
    assert tab.no_problems("rule") == []


def test_another_rule_keeps_the_order_and_what_is_filtered_and_changes_rates_alone(tab: Any, served: Any) -> None:
    shown = """() => [...document.querySelectorAll('.figures-board')].flatMap(table => [...table.tBodies])
        .filter(body => body.checkVisibility()).flatMap(body => [...body.rows]).filter(row => row.checkVisibility())
        .map(row => [...row.cells].filter(cell => cell.checkVisibility()).map(cell => cell.textContent))"""
    tab.page.goto(f"{served.address}index.html")
    tab.page.locator(".figures-board th", has_text="ROC AUC").nth(1).get_by_role("button").click()
    tab.page.select_option("select[name=modality]", "synthetic CT")
    before = tab.page.evaluate(shown)
    tab.page.check("input[value=youden]")
    after = tab.page.evaluate(shown)
    assert [len(row) for row in after] == [len(row) for row in before]
    assert [(row[0], *row[3:]) for row in after[1:]] == [(row[0], *row[3:]) for row in before[1:]]
    assert [row[1:3] for row in after[1:4]] != [row[1:3] for row in before[1:4]]
    tab.page.check("input[value=normal-q95]")
    assert tab.page.evaluate(shown) == before
    # What no script had to do is the same.
    without = tab.page.context.browser.new_context(java_script_enabled=False).new_page()
    without.goto(f"{served.address}index.html")
    without.check("input[value=youden]")
    row = without.locator(".figures-board tbody:visible tr", has_text="multikd").first
    assert [words.splitlines()[0] for words in row.locator("td:visible").all_inner_texts()[-2:]] == [
        words.splitlines()[0] for words in next(row for row in after if row[0] == "multikd")[1:3]
    ]
    without.context.close()
    assert tab.no_problems("rules") == []


def test_figures_are_sorted_missing_last(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}index.html")
    models = column(tab, ".figures-board", 0)
    assert models == sorted(models, key=str.casefold)
    head = tab.page.locator(".figures-board th", has_text="ROC AUC").nth(1)
    assert head.get_attribute("aria-sort") is None
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(tab, ".figures-board", 0) == ["multikd", SCRIPT, "pca"]
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(tab, ".figures-board", 0) == ["pca", SCRIPT, "multikd"]
    # One model has no run on the first dataset.
    first = tab.page.locator(".figures-board th", has_text="ROC AUC").nth(0)
    for _ in range(2):
        first.get_by_role("button").click()
        assert column(tab, ".figures-board", 0)[-1] == "multikd"
    assert tab.no_problems("sort") == []


def test_datasets_and_models_are_filtered(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}index.html")
    tab.page.select_option("select[name=modality]", "mammography")
    heads = tab.page.locator(".figures-board thead a:visible")
    assert heads.all_inner_texts() == ["mias"]
    tab.page.select_option("select[name=family]", "features")
    assert column(tab, ".figures-board", 0) == ["multikd"]
    assert "1 of 3 models on 1 of 2 datasets" in tab.page.inner_text("#filters")
    tab.page.reload()
    assert column(tab, ".figures-board", 0) == ["multikd"]
    tab.page.click("#filters button[type=reset]")
    tab.page.locator(".figures-board thead a:visible", has_text="phantom").wait_for()
    assert len(column(tab, ".figures-board", 0)) == 3
    assert tab.no_problems("filter") == []


def test_what_an_address_points_to_is_unfolded(tab: Any, served: Any) -> None:
    tab.page.goto("about:blank")
    tab.page.goto(f"{served.address}reproduction.html#on-c-nmc")
    fold = tab.page.locator("#on-c-nmc")
    tab.expect(fold).to_have_attribute("open", "")
    tab.page.locator(".glance a", has_text="br35h").click()
    tab.expect(tab.page.locator("#on-br35h")).to_have_attribute("open", "")
    # Closed by hand, and asked for again.
    fold = tab.page.locator("#on-br35h")
    fold.locator("summary").click()
    tab.expect(fold).not_to_have_attribute("open", "")
    tab.page.locator(".glance a", has_text="br35h").click()
    tab.expect(fold).to_have_attribute("open", "")
    tab.expect(fold).to_be_in_viewport()
    assert tab.no_problems("fold") == []


def test_a_run_is_opened_from_the_first_page(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}index.html")
    tab.page.locator(".figures-board tbody:visible th a", has_text=SCRIPT).click()
    assert SCRIPT in tab.page.inner_text("main")
    tab.page.locator("section:has(#runs) tr", has_text="script-mias").locator("th a").first.click()
    assert tab.page.url.endswith("run/script-mias.html")
    assert SCRIPT in tab.page.inner_text("h1")
    picture = tab.page.locator("main img").first
    picture.scroll_into_view_if_needed()
    tab.expect(picture).to_have_js_property("naturalWidth", 128)
    assert f"adbench run --model '{SCRIPT}'" in tab.page.inner_text("main")
    assert tab.no_problems("run") == []


RUN = [
    "-1+cmd|' /C calc'!A0",
    "\u22121+cmd|' /C calc'!A0",
    "-0.5 [1]+cmd|' /C calc'!A0",
    "-cmd",
    "+cmd",
    "+1+cmd|' /C calc'!A0",
    "=1",
    "@SUM(A1)",
]
PLAIN = ["-0.5", "+0.030", "\u22120.5 [\u22120.7, 0.1]", "\u2212\u221e", "0.5 [0.4, 0.6]", "a-b=c"]


def test_what_a_spreadsheet_would_run_is_copied_as_text(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}index.html")
    button = tab.page.locator("[data-copy-table^=figures-]").first
    tab.page.evaluate(
        """([id, words]) => {
            const table = document.getElementById(id);
            table.replaceChildren();
            for (const word of words) table.insertRow().insertCell().textContent = word;
        }""",
        [button.get_attribute("data-copy-table"), RUN + PLAIN],
    )
    button.click()
    tab.page.locator("[role=status]", has_text="Table copied").wait_for()
    copied = tab.page.evaluate("() => navigator.clipboard.readText()")
    assert copied.split("\n") == [f"'{word}" for word in RUN] + PLAIN


def test_a_table_and_its_link_are_copied(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}index.html")
    table = tab.page.locator("[data-copy-table^=figures-]").first
    table.click()
    tab.page.locator("[role=status]", has_text="Table copied").wait_for()
    lines = tab.page.evaluate("() => navigator.clipboard.readText()").split("\n")
    assert lines[0].startswith("Model\tmias")
    assert any(line.startswith(SCRIPT) for line in lines)
    assert len({line.count("\t") for line in lines}) == 1
    link = tab.page.locator("[data-copy-link^=figures-]").first
    link.click()
    tab.page.locator("[role=status]", has_text="Link copied").wait_for()
    address = tab.page.evaluate("() => navigator.clipboard.readText()")
    tab.page.goto("about:blank")
    tab.page.goto(address)
    assert tab.page.locator(f"[id='{address.partition('#')[2]}']").count() == 1
    assert tab.no_problems("copy") == []


def test_a_figure_is_explored_and_taken_along(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}dataset/phantom.html")
    figure = tab.page.locator("figure.figure").first
    with tab.page.expect_download() as taken:
        figure.get_by_role("button", name="Download SVG").click()
    drawn = taken.value.path().read_text(encoding="utf-8")
    assert drawn.startswith("<?xml")
    assert "var(--" not in drawn
    figure.get_by_role("button", name="Explore").click()
    figure.locator(".live svg").wait_for()
    assert tab.no_problems("figure") == []
