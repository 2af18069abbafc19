"""Every page, as a reader meets it: no error, nothing from elsewhere, no word taken for markup, sound HTML, links that lead somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from adbench_leaderboard.explore.engine import FOLDER

ALIKE = """() => {
  document.querySelectorAll('details').forEach(part => { part.open = true; });
  document.querySelectorAll('tbody > tr:nth-child(n+4), option:nth-child(n+4), figure svg > *:not(title, desc)').forEach(part => part.remove());
}"""
"""Rows of a table are alike: three of them show axe what all would, in a tenth of the time. Nor does it look into pictures."""


def test_no_page_complains_or_asks_elsewhere(visits: Mapping[str, Any]) -> None:
    assert [problem for visit in visits.values() for problem in visit.problems] == []


def test_no_page_is_wider_than_its_window(visits: Mapping[str, Any]) -> None:
    assert [problem for visit in visits.values() for problem in visit.too_wide] == []


def test_what_plugins_say_is_text(visits: Mapping[str, Any]) -> None:
    assert [page for page, visit in visits.items() if visit.markup] == []
    assert [page for page, visit in visits.items() if "\u202e" in visit.source] == []
    everything = "".join(visit.text for visit in visits.values())
    for said in ("<script>alert(1)</script>", '<b onclick="alert(1)">', "<em>everything</em>", "<u>breast</u>", "<s>others</s>"):
        assert said in everything
    assert "javascript:" not in {urlsplit(link).scheme for visit in visits.values() for link in visit.links}


def test_no_page_complains_when_opened_from_a_file(tab: Any, served: Any) -> None:
    problems = []
    for page in served.pages:
        tab.page.goto((served.folder / page).as_uri())
        problems += tab.no_problems(page)
    assert problems == []


@pytest.fixture(scope="module")
def trees(served: Any) -> Mapping[str, tuple[list[str], list[str]]]:
    """Errors of each page's HTML and its ids, by the parser of the standard."""
    html5lib = pytest.importorskip("html5lib", reason="html5lib is not installed")
    found = {}
    for page in served.pages:
        parser = html5lib.HTMLParser(namespaceHTMLElements=False)
        tree = parser.parse((served.folder / page).read_text(encoding="utf-8"))
        errors = [f"{page}, line {place[0]}: {error} {facts}" for place, error, facts in parser.errors]
        found[page] = errors, [part.attrib["id"] for part in tree.iter() if "id" in part.attrib]
    return found


def test_html_is_sound(trees: Mapping[str, tuple[list[str], list[str]]]) -> None:
    assert [error for errors, _ in trees.values() for error in errors] == []
    twice = {page: sorted({name for name in ids if ids.count(name) > 1}) for page, (_, ids) in trees.items()}
    assert {page: names for page, names in twice.items() if names} == {}


def test_every_link_leads_somewhere(
    served: Any, visits: Mapping[str, Any], trees: Mapping[str, tuple[list[str], list[str]]]
) -> None:
    problems = []
    for page, visit in visits.items():
        for link in sorted(set(visit.links)):
            problems += [f"{page}: {link}: {wrong}" for wrong in broken(served.folder, page, link, trees)]
    assert problems == []


def broken(folder: Path, page: str, link: str, trees: Mapping[str, tuple[list[str], list[str]]]) -> list[str]:
    """What is wrong with a link; those to other sites are not followed."""
    parts = urlsplit(link)
    if parts.scheme:
        return [] if parts.scheme in ("http", "https", "data") else ["of a strange kind"]
    target = ((folder / page).parent / unquote(parts.path) if parts.path else folder / page).resolve()
    if not target.is_file():
        return ["no such file"]
    # "#name=value" is for the page's script.
    _, ids = trees.get(target.relative_to(folder.resolve()).as_posix(), ([], []))
    if parts.fragment and "=" not in parts.fragment and unquote(parts.fragment) not in ids:
        return ["no such place"]
    return []


def test_every_file_is_linked(served: Any, visits: Mapping[str, Any]) -> None:
    linked = {
        ((served.folder / page).parent / unquote(urlsplit(link).path)).resolve()
        for page, visit in visits.items()
        for link in visit.links
        if urlsplit(link).path and not urlsplit(link).scheme
    }
    pages = {(served.folder / page).resolve() for page in served.pages}
    assert pages - linked - {(served.folder / "index.html").resolve()} == set()
    assert not served.has_engine or (served.folder / FOLDER / "LICENSE.txt").resolve() in linked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(tab: Any, served: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe()
    # In the dark only colours are other ones.
    options = {"resultTypes": ["violations"], **({"runOnly": ["color-contrast"]} if scheme == "dark" else {})}
    tab.page.emulate_media(color_scheme=scheme)
    problems = []
    for page in served.kinds():
        tab.page.goto(served.address + page)
        tab.page.evaluate(ALIKE)
        for violation in axe.run(tab.page, options=options).response["violations"]:
            first = violation["nodes"][0]
            problems.append(
                f"{page}: {violation['id']}, {len(violation['nodes'])} times: {first['html'][:200]}: {first['failureSummary'][:200]}"
            )
    assert problems == []
