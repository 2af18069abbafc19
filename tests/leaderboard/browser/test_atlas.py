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
