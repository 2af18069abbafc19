"""One image in all models: opened by its address, by a list, by the keyboard, from a server and from a file."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from .conftest import ODD_IMAGES

TITLE = "#sheet-title"


def titled(tab: Any, text: str) -> None:
    """Wait until the sheet is of an image."""
    tab.expect(tab.page.locator(TITLE)).to_have_text(text)


@pytest.mark.parametrize("served_from", ["server", "file"])
def test_an_image_opens_by_its_address_and_keys_turn_the_pages(tab: Any, served: Any, served_from: str) -> None:
    base = served.address if served_from == "server" else served.folder.as_uri() + "/"
    tab.page.goto(f"{base}dataset/phantom.html#image={quote('phantom/44.png', safe='')}")
    titled(tab, "phantom/44.png")
    assert tab.page.locator(".sheet tbody tr").count() == 3
    assert "abnormal" in tab.page.inner_text(".sheet .who")
    tab.page.keyboard.press("ArrowRight")
    titled(tab, "phantom/45.png")
    tab.page.go_back()
    titled(tab, "phantom/44.png")
    tab.page.locator(".sheet [data-step=on]").focus()
    tab.page.keyboard.press("Enter")
    titled(tab, "phantom/45.png")
    tab.expect(tab.page.locator(".sheet [data-step=on]")).to_be_focused()
    tab.expect(tab.page.locator(".desk .say")).to_contain_text("phantom/45.png: Caught by")
    tab.page.locator(".sheet .away").click()
    tab.expect(tab.page.locator(".sheet")).to_be_hidden()
    assert tab.no_problems(served_from) == []


def test_images_are_found_by_a_part_of_their_name(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}dataset/phantom.html")
    tab.page.locator("input[name=words]").fill("ONERROR")
    tab.page.locator(".found a").first.click()
    titled(tab, "<img src=x onerror=alert(1)>.png")
    tab.page.locator("select[name=view]").select_option(index=1)
    tab.page.locator("select[name=list]").select_option("all")
    tab.expect(tab.page.locator(".tell")).to_have_text("1 image.")
    assert tab.no_problems("search") == []


def test_every_image_of_a_list_leads_to_its_own_sheet(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}dataset/phantom.html")
    links = tab.page.locator(".hard").first.locator("th a").all()
    assert links
    for link in links:
        link.click()
        titled(tab, link.text_content())


@pytest.mark.parametrize("name", ODD_IMAGES)
def test_strange_names_are_text(tab: Any, served: Any, name: str) -> None:
    name = name.replace("\u202e", "\\u202e")  # as pages print it
    tab.page.goto(f"{served.address}dataset/phantom.html#image={quote(name, safe='')}")
    titled(tab, name)
    assert tab.page.locator(".sheet img, .sheet script").count() == 0
    assert tab.no_problems(name) == []


def test_an_image_that_is_not_there(tab: Any, served: Any) -> None:
    tab.page.goto(f"{served.address}dataset/phantom.html#image=nobody&view=none")
    tab.expect(tab.page.locator(".tell")).to_contain_text("no image called nobody")
    assert tab.page.locator(".sheet").is_hidden()


@pytest.mark.parametrize("served_from", ["server", "file"])
def test_lists_at_another_rule(tab: Any, served: Any, served_from: str) -> None:
    base = served.address if served_from == "server" else served.folder.as_uri() + "/"
    tab.page.goto(f"{base}dataset/phantom.html")
    view = tab.page.locator("details.view").first
    parts = view.locator(".verdicts")
    before = parts.inner_html()
    rules = view.locator(".by input")
    assert [rule.get_attribute("value") for rule in rules.all()] == ["normal-q95", "youden", "best-f1"]
    rules.first.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.expect(view.locator(".at")).to_have_text("Verdicts at the threshold Youden oracle.")
    after = parts.inner_html()
    assert after != before
    assert parts.locator("h3").count() == 5
    assert [len(table.locator("thead th").all()) for table in parts.locator("table").all()] == [
        len(table.locator("tbody tr").first.locator("th, td").all()) for table in parts.locator("table").all()
    ]
    # The sheet goes by the rule of the list that led to it, and by another one as soon as that is chosen.
    link = parts.locator(".hard a").first
    name = link.text_content()
    link.click()
    titled(tab, name)
    assert "rule=youden" in tab.page.url
    tab.expect(tab.page.locator(".sheet .sum")).to_contain_text("at Youden (oracle)")
    rules.nth(2).click()
    tab.expect(tab.page.locator(".sheet .sum")).to_contain_text("at best F1 (oracle)")
    assert "rule=best-f1" in tab.page.url
    address = tab.page.url
    tab.page.locator(".sheet").focus()
    tab.page.keyboard.press("Escape")
    tab.expect(tab.page.locator(".sheet")).to_be_hidden()
    rules.first.click()
    tab.expect(view.locator(".at")).not_to_contain_text("oracle")
    assert parts.inner_html() == before
    tab.page.goto("about:blank")
    tab.page.goto(address)
    titled(tab, name)
    tab.expect(rules.nth(2)).to_be_checked()
    assert tab.no_problems(served_from) == []


def test_a_list_at_a_rule_is_what_the_page_of_that_rule_would_say(tab: Any, served: Any) -> None:
    # The script writes what the template does: at the first rule both have the same words.
    tab.page.goto(f"{served.address}dataset/phantom.html")
    parts = tab.page.locator("details.view").first.locator(".verdicts")
    made = parts.evaluate("part => part.textContent.replace(/\\s+/g, ' ')")
    written = parts.evaluate(
        """async part => {
          const code = part.dataset.view;
          const shard = await adbenchAtlas.load(code);
          const [first, ...others] = shard.rules;
          shard.rules = [others[0], first, ...others.slice(1)];
          await adbenchAtlas.choose(code, others[1].name);
          await adbenchAtlas.choose(code, first.name);
          return part.textContent.replace(/\\s+/g, ' ');
        }"""
    )
    assert written.replace(" ", "") == made.replace(" ", "")
