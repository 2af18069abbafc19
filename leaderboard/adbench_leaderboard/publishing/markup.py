"""What a page of a site refers to and is made of, as far as it can be judged without a browser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

Attributes = Mapping[str, str]

VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
"""Elements without an end tag."""
SOURCES: Final = ("href", "src", "action", "formaction", "data", "poster", "ping", "xlink:href", "srcset", "background", "cite")
"""Attributes that hold addresses."""
IDREFS: Final = ("aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "aria-details", "headers", "for", "list")
"""Attributes that hold ids of the same page."""
DATA_BLOCKS: Final = frozenset({"application/json", "application/ld+json"})
"""Types of scripts that a browser never runs."""


@dataclass(frozen=True)
class Reference:
    """An address that a page holds."""

    element: str
    """Its name; of a link to an icon, "icon"."""
    attribute: str
    address: str

    @property
    def is_link(self) -> bool:
        """Whether nothing is loaded until a reader follows it."""
        return (self.element, self.attribute) in (("a", "href"), ("area", "href"))


@dataclass
class Markup:
    """What was read of a page."""

    references: list[Reference] = field(default_factory=list)
    ids: Counter[str] = field(default_factory=Counter)
    idrefs: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    """Content-Security-Policies that it states itself, where they hold for all that follows."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Kinds and words of what is wrong with the page alone."""


def read(text: str) -> Markup:
    """Reads a page."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.finish()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Markup()
        self.counts: Counter[str] = Counter()
        self.open: list[str] = []
        self.captions: list[bool] = []
        """For each open table, whether it has a caption with words."""
        self.words: dict[str, str] = {"title": "", "caption": "", "h1": ""}
        self.language = ""
        self.doctype = False

    def handle_decl(self, decl: str) -> None:
        self.doctype |= decl.lower() == "doctype html"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._element(tag, {name: value or "" for name, value in attrs}, [name for name, _ in attrs])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag == "table":
            self.captions.append(False)
        if tag in self.words:
            self.words[tag] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            inside = f"inside <{self.open[-1]}>" if self.open else "outside of everything"
            self._fault("nesting", f"</{tag}> {inside}, line {self.getpos()[0]}")
            if tag not in self.open:
                return
        while self.open.pop() != tag:
            pass
        if tag == "caption" and self.captions:
            self.captions[-1] |= bool(self.words["caption"].strip())
        elif tag == "table" and self.captions and not self.captions.pop():
            self._fault("table", f"a table without a caption ends in line {self.getpos()[0]}")
        elif tag == "h1" and not self.words["h1"].strip():
            self._fault("heading", "the h1 is empty")

    def handle_data(self, data: str) -> None:
        for tag in self.words:
            if tag in self.open:
                self.words[tag] += data

    def finish(self) -> Markup:
        """The page, with what can be said only at its end."""
        if self.open:
            self._fault("nesting", f"<{self.open[-1]}> is never closed")
        if not self.doctype:
            self._fault("document", "it does not begin with <!doctype html>")
        if not self.language:
            self._fault("language", "html has no lang")
        if not self.words["title"].strip():
            self._fault("title", "it has no title")
        if self.counts["h1"] != 1:
            self._fault("heading", f"it has {self.counts['h1']} h1 instead of one")
        for name, number in self.found.ids.items():
            if number > 1:
                self._fault("id", f"{number} elements have the id {name!r}")
        return self.found

    def _element(self, tag: str, attributes: Attributes, given: Sequence[str]) -> None:
        self.counts[tag] += 1
        if tag == "html":
            self.language = attributes.get("lang", "").strip()
        if "id" in attributes:
            self.found.ids[attributes["id"]] += 1
        for name in IDREFS:
            self.found.idrefs += attributes.get(name, "").split()
        kind = "icon" if tag == "link" and "icon" in attributes.get("rel", "").split() else tag
        for name in SOURCES:
            if name in attributes:
                self.found.references += [Reference(kind, name, one) for one in _addresses(name, attributes[name])]
        self._check_inline(tag, attributes, given)
        if tag == "meta":
            self._meta(attributes)
        elif tag == "img" and "alt" not in attributes:
            self._fault("image", f"an image has no alt: {attributes.get('src', '')}")
        elif tag == "base":
            self._fault("outside", "<base> moves every address of the page")

    def _meta(self, attributes: Attributes) -> None:
        kind = attributes.get("http-equiv", "").lower()
        if kind == "content-security-policy":
            self.found.policies.append(attributes.get("content", ""))
            if self.counts["script"] or self.counts["link"] or self.counts["style"]:
                self._fault("policy", "the policy stands behind what it should rule")
        elif kind == "refresh":
            self._fault("outside", "<meta http-equiv=refresh> leads away")

    def _check_inline(self, tag: str, attributes: Attributes, given: Sequence[str]) -> None:
        line = self.getpos()[0]
        if tag == "style":
            self._fault("inline", f"a <style> in line {line}")
        if tag == "script" and "src" not in attributes and attributes.get("type", "") not in DATA_BLOCKS:
            self._fault("inline", f"a script without src in line {line}")
        for name in given:
            if name == "style" or re.fullmatch("on[a-z]+", name):
                self._fault("inline", f"<{tag} {name}> in line {line}")

    def _fault(self, kind: str, words: str) -> None:
        self.found.faults.append((kind, words))


def _addresses(name: str, value: str) -> Iterator[str]:
    if name == "srcset":
        yield from (candidate.split()[0] for candidate in value.split(",") if candidate.strip())
    elif name == "ping":
        yield from value.split()
    else:
        yield value.strip()
