"""What to cite, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from .. import names
from ..queries import Run
from ..site import File, Site
from ..tables import model_key, newest

PATH: Final = "data/cite.bib"
OURS: Final[Mapping[str, str]] = {
    "author": "{The adbench authors}",
    "title": "{adbench: an evaluation harness for medical anomaly detection}",
    "year": "2026",
}
"""As CITATION.cff has it."""
ESCAPES: Final[Mapping[str, str]] = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "$&#_%"},
}
"""BibTeX counts braces whatever stands before them, so that a brace behind a backslash would still end a field."""
BRACES: Final = re.compile(r"[{}\\]")
"""What would end an address in BibTeX."""
YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")


def bibliography(site: Site) -> File:
    """An entry for adbench, and one for each dataset and model with runs, as their plugins state it."""
    entries = [own_entry(site.version), *_datasets(site), *_models(site)]
    return File(PATH, "\n".join(entries).encode("utf-8", "backslashreplace"))


def own_entry(version: str) -> str:
    """How to cite adbench itself."""
    return _entry("adbench", {**OURS, "version": escape(version)})


def escape(text: str) -> str:
    """Text for a field of BibTeX: no word of it is a command, and braces stay balanced."""
    return "".join(ESCAPES.get(character, character) for character in names.printable(" ".join(text.split())))


def _datasets(site: Site) -> Iterator[str]:
    for name in site.datasets:
        card = newest(run for run in site.runs if run.dataset == name)
        yield _stated(
            "dataset", name, card.text("dataset", "title") or name, card.text("dataset", "citation"), _address(card, "dataset")
        )


def _models(site: Site) -> Iterator[str]:
    cards = {run.model: run for run in sorted(site.runs, key=lambda run: (run.created, run.run_id))}
    for name, card in sorted(cards.items()):
        yield _stated(
            "model",
            name,
            card.text("model", "title") or model_key(card).model,
            card.text("model", "paper"),
            _address(card, "model"),
        )


def _address(card: Run, part: str) -> str:
    return names.web_address(card.text(part, "url"))


def _stated(kind: str, name: str, title: str, citation: str, address: str) -> str:
    fields = {"title": f"{{{escape(title)}}}"}
    years = set(YEAR.findall(citation))
    if len(years) == 1:
        fields["year"] = years.pop()
    if address:
        fields["howpublished"] = f"\\url{{{BRACES.sub(lambda sign: f'%{ord(sign[0]):02X}', address)}}}"
    if citation:
        fields["note"] = escape(citation)
    return _entry(f"{kind}-{names.slug(name)}", fields)


def _entry(key: str, fields: Mapping[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}}}\n"
