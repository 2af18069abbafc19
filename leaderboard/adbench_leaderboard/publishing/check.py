"""Look a built site over: links, policy, markup, data and sizes. What needs a browser is not seen here."""

from __future__ import annotations

import gzip
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from adbench_harness.api import StoreError

from ..build import MARKER
from ..exports import document
from . import markup
from .markup import Markup, Reference

INDEX: Final = "index.html"
SQL_PAGE: Final = "explore.html"
"""The one page that may compile WebAssembly."""
LARGEST_INDEX: Final = 300_000
"""Bytes of the index and all that it loads, packed as hosts send it."""
PACKED: Final = frozenset({".html", ".css", ".js", ".json", ".svg"})
"""Of files that hosts pack."""
POLICY: Final[Mapping[str, frozenset[str]]] = {
    "default-src": frozenset({"'none'"}),
    "style-src": frozenset({"'self'"}),
    "script-src": frozenset({"'self'"}),
    "connect-src": frozenset({"'self'"}),
    "img-src": frozenset({"'self'", "data:"}),
    "base-uri": frozenset({"'none'"}),
    "form-action": frozenset({"'none'"}),
}
"""What each page must say, and what it may allow at most."""
SQL_POLICY: Final[Mapping[str, frozenset[str]]] = {
    "script-src": frozenset({"'self'", "'wasm-unsafe-eval'"}),
    "worker-src": frozenset({"'self'"}),
}
"""What the SQL page may allow besides."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something that is wrong with a file of a site."""

    page: str
    """Relative to the site's root."""
    kind: str
    text: str


@dataclass
class Report:
    """All that was found, and how much was looked at."""

    pages: int
    files: int
    findings: list[Finding] = field(default_factory=list)


def check(site: Path) -> Report:
    """Look a site over; the findings sorted by page.

    Raises:
        StoreError: if the folder holds no site, or a file of it can't be read.
    """
    if not (site / INDEX).is_file():
        raise StoreError(f"{site} holds no site, since it has no {INDEX}; make one: adbench leaderboard build --out {site}")
    try:
        return _Checker(site).report()
    except OSError as error:
        raise StoreError(f"cannot read the site {site}: {error.strerror or error}") from None


class _Checker:
    """The files of one site."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self.files = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*")) if path.is_file()}
        self.pages: dict[str, Markup] = {}
        self.unreadable: set[str] = set()
        for name, path in self.files.items():
            if path.suffix == ".html":
                try:
                    self.pages[name] = markup.read(path.read_text(encoding="utf-8"))
                except UnicodeDecodeError:
                    self.unreadable.add(name)

    def report(self) -> Report:
        """Everything at once."""
        found = [*self._unreadable(), *self._leftovers(), *self._data(), *self._styles(), *self._size()]
        for name, page in self.pages.items():
            found += [Finding(name, kind, words) for kind, words in page.faults]
            found += [*self._policy(name, page), *self._references(name, page), *self._idrefs(name, page)]
        return Report(len(self.pages), len(self.files), sorted(set(found)))

    def _unreadable(self) -> Iterator[Finding]:
        for name in self.unreadable:
            yield Finding(name, "document", "it is not UTF-8")

    def _leftovers(self) -> Iterator[Finding]:
        for name in self.files:
            if name.endswith((".tmp", ".part", "~")):
                yield Finding(name, "leftover", "a temporary file")
        if MARKER not in self.files:
            yield Finding(MARKER, "leftover", "the list of files is missing, so the next build refuses the folder")
            return
        for name in self.files[MARKER].read_text(encoding="utf-8", errors="replace").splitlines():
            if name not in self.files:
                yield Finding(name, "leftover", "it is listed and not there; build again")

    def _data(self) -> Iterator[Finding]:
        for name, path in self.files.items():
            if path.suffix == ".json":
                try:
                    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
                except ValueError as error:
                    yield Finding(name, "data", f"it is no JSON: {error}")
                else:
                    if name in (document.PATH, document.BOARDS) and (wrong := _not_of_its_form(content)):
                        yield Finding(name, "data", wrong)

    def _styles(self) -> Iterator[Finding]:
        for name, path in self.files.items():
            if path.suffix == ".css":
                text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8", errors="replace"), flags=re.DOTALL)
                for address in re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", text):
                    yield from self._target(name, Reference("style", "url", address))

    def _size(self) -> Iterator[Finding]:
        page = self.pages.get(INDEX)
        loaded = {_resolved(INDEX, one.address) for one in page.references if not one.is_link} if page else set()
        size = sum(_packed(self.files[name]) for name in {INDEX, *loaded} & set(self.files))
        if size > LARGEST_INDEX:
            yield Finding(INDEX, "size", f"with what it loads it is {size} bytes, packed; {LARGEST_INDEX} is the most")

    def _policy(self, name: str, page: Markup) -> Iterator[Finding]:
        if len(page.policies) != 1:
            number = len(page.policies) or "no"
            yield Finding(name, "policy", f"it states {number} Content-Security-Policy instead of one")
            return
        stated = _directives(page.policies[0])
        allowed = {**POLICY, **(SQL_POLICY if name == SQL_PAGE else {})}
        for directive in POLICY:
            if directive not in stated:
                yield Finding(name, "policy", f"its policy lacks {directive}")
        for directive, sources in stated.items():
            if strange := sources - allowed.get(directive, frozenset()):
                yield Finding(name, "policy", f"its policy allows {directive} {' '.join(sorted(strange))}")

    def _references(self, name: str, page: Markup) -> Iterator[Finding]:
        for reference in page.references:
            yield from self._target(name, reference)

    def _target(self, name: str, reference: Reference) -> Iterator[Finding]:
        address, what = reference.address, f"<{reference.element} {reference.attribute}>"
        try:
            parts = urlsplit(address)
        except ValueError:
            yield Finding(name, "link", f"{what} is no address: {address}")
            return
        if parts.scheme or parts.netloc or address.startswith("/"):
            outside = parts.scheme in ("http", "https", "mailto") and bool(parts.netloc or parts.path)
            picture = parts.scheme == "data" and reference.element in ("icon", "image", "img", "style")
            if not picture and not (reference.is_link and outside):
                yield Finding(name, "outside", f"{what} leaves the site: {address[:200]}")
            return
        target = _resolved(name, address)
        if target not in self.files:
            yield Finding(name, "link", f"{what} leads nowhere: {address}")
        elif parts.fragment and not self._has(target, unquote(parts.fragment)):
            yield Finding(name, "link", f"{what} leads to no such place in {target}: #{parts.fragment}")

    def _has(self, target: str, fragment: str) -> bool:
        """Whether a page has a place; what has an equals sign is a word for a script of the page, and no place."""
        return target not in self.pages or "=" in fragment or fragment in self.pages[target].ids

    def _idrefs(self, name: str, page: Markup) -> Iterator[Finding]:
        for word in page.idrefs:
            if word not in page.ids:
                yield Finding(name, "id", f"something refers to the id {word!r}, which is not there")


def _resolved(name: str, address: str) -> str:
    """The file that an address on a page means, relative to the site; one above the site begins with ".."."""
    path = unquote(urlsplit(address).path)
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name


def _directives(policy: str) -> dict[str, frozenset[str]]:
    found = [part.split() for part in policy.split(";")]
    return {words[0].lower(): frozenset(words[1:]) for words in found if words}


def _packed(path: Path) -> int:
    content = path.read_bytes()
    return len(gzip.compress(content, 6, mtime=0)) if path.suffix in PACKED else len(content)


def _not_of_its_form(content: Any) -> str:
    """What is wrong with a document of the site's figures; empty if nothing is."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(json.loads(document.schema().content)).iter_errors(content))
    return "" if error is None else f"{error.json_path} is not of the schema: {error.message[:200]}"


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
