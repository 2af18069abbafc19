"""A site without a fault, and one for each fault that can be seen without a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adbench_harness.api import StoreError
from adbench_leaderboard.build import MARKER
from adbench_leaderboard.publishing.check import Finding, check

CSP = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{CSP}">
<title>A page</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static/style.css">
<script src="static/site.js" defer></script>
</head>
<body>
<main id="main" aria-labelledby="head">
<h1 id="head">A page</h1>
<p><a href="page.html#head">There</a> <a href="https://example.org/a?b#c">away</a> <a href="page.html#image=3">a view</a></p>
<img src="data:image/png;base64,AA" alt="">
<table><caption>Numbers</caption><tr><td>1</td></tr></table>
<svg viewBox="0 0 1 1"><rect width="1" height="1"/></svg>
<script type="application/json">{{"a": 1}}</script>
</main>
</body>
</html>
"""

DATA = "data/leaderboard.json"
DOCUMENT = {
    "schema_version": 1,
    "schema_minor": 1,
    "adbench": "0.1.0",
    "newest_run": None,
    "rules": {},
    "datasets": [],
    "models": [],
    "boards": [],
    "runs": [],
}

Fault = Callable[[Path], None]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two pages that have no fault."""
    root = tmp_path / "site"
    files = {
        "index.html": PAGE,
        "page.html": PAGE,
        "static/style.css": "/* url(https://not.a.reference/) */ a { color: red; }",
        "static/site.js": '"use strict";',
        DATA: json.dumps(DOCUMENT),
        "data/other.json": '{"a": [1.5, null]}',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / MARKER).write_text("".join(f"{name}\n" for name in files), encoding="utf-8")
    return root


def changed(old: str, new: str, name: str = "page.html") -> Fault:
    def change(site: Path) -> None:
        text = (site / name).read_text(encoding="utf-8")
        assert old in text
        (site / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def put(name: str, content: bytes) -> Fault:
    return lambda site: void((site / name).write_bytes(content))


def void(_: object) -> None:
    pass


def added(html: str) -> Fault:
    return changed("</main>", f"{html}</main>")


def test_a_site_without_a_fault_has_no_finding(site: Path) -> None:
    report = check(site)
    assert report.findings == []
    assert (report.pages, report.files) == (2, 7)


@pytest.mark.parametrize(
    ("fault", "page", "kind", "words"),
    [
        (added('<a href="gone.html">x</a>'), "page.html", "link", "leads nowhere: gone.html"),
        (added('<a href="../site2/x.html">x</a>'), "page.html", "link", "leads nowhere"),
        (added('<a href="static/">x</a>'), "page.html", "link", "leads nowhere: static/"),
        (added('<a href="index.html#gone">x</a>'), "page.html", "link", "no such place in index.html: #gone"),
        (added('<a href="#gone">x</a>'), "page.html", "link", "no such place in page.html"),
        (added('<a href="http://[x">x</a>'), "page.html", "link", "no address"),
        (added('<script src="https://cdn.example/x.js"></script>'), "page.html", "outside", "leaves the site"),
        (added('<script src="//cdn.example/x.js"></script>'), "page.html", "outside", "leaves the site"),
        (added('<img src="https://a.example/x.png" alt="">'), "page.html", "outside", "leaves the site"),
        (added('<img srcset="page.html 1x, https://a.example/x.png 2x" alt="">'), "page.html", "outside", "<img srcset>"),
        (added('<a href="page.html" ping="https://a.example/">x</a>'), "page.html", "outside", "<a ping>"),
        (added('<a href="/index.html">x</a>'), "page.html", "outside", "leaves the site: /index.html"),
        (added('<a href="javascript:alert(1)">x</a>'), "page.html", "outside", "javascript:"),
        (added('<a href="data:text/html,x">x</a>'), "page.html", "outside", "data:"),
        (changed("<title>", '<base href="x/"><title>'), "page.html", "outside", "<base>"),
        (changed("<title>", '<meta http-equiv="refresh" content="0"><title>'), "page.html", "outside", "refresh"),
        (changed("a {", "@import 'https://a.example/x.css'; a {", "static/style.css"), "static/style.css", "outside", "leaves"),
        (changed("a {", "b { background: url(gone.png) } a {", "static/style.css"), "static/style.css", "link", "gone.png"),
        (changed("Content-Security-Policy", "X"), "page.html", "policy", "no Content-Security-Policy"),
        (changed("script-src 'self'", "script-src 'self' 'unsafe-inline'"), "page.html", "policy", "script-src 'unsafe-inline'"),
        (changed("script-src 'self'", "script-src 'wasm-unsafe-eval'"), "page.html", "policy", "'wasm-unsafe-eval'"),
        (changed("connect-src 'self'", "connect-src https://a.example"), "page.html", "policy", "connect-src https://a.example"),
        (changed("form-action 'none'", "font-src 'self'"), "page.html", "policy", "lacks form-action"),
        (changed('<meta charset="utf-8">', '<script src="static/site.js"></script>'), "page.html", "policy", "stands behind"),
        (added('<p style="color: red">x</p>'), "page.html", "inline", "<p style>"),
        (added("<style>a {}</style>"), "page.html", "inline", "a <style>"),
        (added("<script>alert(1)</script>"), "page.html", "inline", "a script without src"),
        (added('<p onclick="x()">x</p>'), "page.html", "inline", "<p onclick>"),
        (added("<h1>Another</h1>"), "page.html", "heading", "2 h1"),
        (changed("<h1", "<h2"), "page.html", "heading", "0 h1"),
        (changed('"head">A page<', '"head"> <'), "page.html", "heading", "empty"),
        (added('<p id="main">x</p>'), "page.html", "id", "'main'"),
        (changed('labelledby="head"', 'labelledby="heed"'), "page.html", "id", "'heed'"),
        (changed("<caption>Numbers</caption>", ""), "page.html", "table", "without a caption"),
        (changed("<caption>Numbers<", "<caption> <"), "page.html", "table", "without a caption"),
        (changed(' lang="en"', ""), "page.html", "language", "no lang"),
        (changed('rel="icon"', 'rel="preload"'), "page.html", "outside", "<link href>"),
        (changed(' alt=""', ""), "page.html", "image", "no alt"),
        (changed("<title>A page", "<title>"), "page.html", "title", "no title"),
        (changed("<!doctype html>\n", ""), "page.html", "document", "doctype"),
        (put("page.html", PAGE.encode() + b"\xff"), "page.html", "document", "UTF-8"),
        (changed("</p>", "</div>"), "page.html", "nesting", "</div> inside <p>"),
        (changed("</html>", ""), "page.html", "nesting", "<html> is never closed"),
        (put(DATA, b"{"), DATA, "data", "no JSON"),
        (put("data/other.json", b"[NaN]"), "data/other.json", "data", "NaN"),
        (changed('"models": []', '"models": [{}]', DATA), DATA, "data", "$.models[0] is not of the schema"),
        (changed('"schema_version": 1', '"schema_version": 2', DATA), DATA, "data", "$.schema_version is not of the schema"),
        (put(".index.html.42.tmp", b""), ".index.html.42.tmp", "leftover", "temporary"),
        (lambda site: (site / "static/site.js").rename(site / "x.js"), "static/site.js", "leftover", "not there"),
        (lambda site: (site / MARKER).unlink(), MARKER, "leftover", "list of files"),
    ],
)
def test_a_fault_is_found_where_it_is(site: Path, fault: Fault, page: str, kind: str, words: str) -> None:
    fault(site)
    found = [one for one in check(site).findings if (one.page, one.kind) == (page, kind) and words in one.text]
    assert found, check(site).findings


def test_an_index_that_loads_too_much_is_found(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "static/site.js").write_bytes(bytes(value * value % 251 for value in range(200_000)))
    assert check(site).findings == []  # hosts pack it
    monkeypatch.setattr("adbench_leaderboard.publishing.check.LARGEST_INDEX", 1_000)
    (found,) = check(site).findings
    assert (found.page, found.kind) == ("index.html", "size")


def test_only_the_sql_page_may_compile(site: Path) -> None:
    compiling = PAGE.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'")
    (site / "explore.html").write_text(compiling)
    assert check(site).findings == []


def test_findings_come_by_page(site: Path) -> None:
    added('<a href="gone.html">x</a>')(site)
    changed(' lang="en"', "", "index.html")(site)
    assert [one.page for one in check(site).findings] == ["index.html", "page.html"]
    assert isinstance(check(site).findings[0], Finding)


def test_a_folder_without_a_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="leaderboard build --out"):
        check(tmp_path)
