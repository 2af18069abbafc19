"""The checklist page: reporting guidelines item by item, and who answers each."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources
from typing import Final, Literal

from .. import names
from ..checklist import answers
from ..site import File, Site
from ..templating import Templates

PATH: Final = "checklist.html"

Status = Literal["automatic", "partly", "author"]
STATUSES: Final[Mapping[Status, str]] = {"automatic": "adbench", "partly": "in part", "author": "the author"}
"""Who answers an item, in words."""


@dataclass(frozen=True)
class Item:
    """An item of a guideline, in words of our own."""

    number: str
    section: str
    """The part of the guideline that it belongs to."""
    text: str
    status: Status
    answer: str
    where: Sequence[str] = ()
    """Pages of the site that answer it, by the names in ``places``."""
    command: str = ""
    fact: str = ""
    """What the stored runs answer, by a name in ``answers.ANSWERS``."""


@dataclass(frozen=True)
class Guideline:
    """A reporting guideline."""

    id: str
    title: str
    about: str
    reference: str
    url: str
    note: str
    items: Sequence[Item]

    @property
    def sections(self) -> Mapping[str, Sequence[Item]]:
        """Its items by the part that they belong to."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            found.setdefault(item.section, []).append(item)
        return found

    def count(self, status: Status) -> int:
        """How many items have a status."""
        return sum(item.status == status for item in self.items)


@cache
def guidelines() -> Sequence[Guideline]:
    """The guidelines that ship with adbench, in the order in which they are shown."""
    text = (resources("adbench_leaderboard") / "checklist/items.toml").read_text(encoding="utf-8")
    return [
        Guideline(items=[Item(**facts) for facts in entry.pop("item")], **entry) for entry in tomllib.loads(text)["guideline"]
    ]


def places(site: Site) -> Mapping[str, tuple[str, str]]:
    """Pages that answer items: what a link says, and its path; pages of a kind by an example. The site must have a run."""
    run = site.newest
    assert run is not None
    return {
        "index": ("The comparison", "index.html"),
        "dataset": (f"Each dataset's page, {run.dataset} for instance", names.dataset_page(run.dataset)),
        "model": (f"Each model's page, {run.variant} for instance", site.model_page(run)),
        "run": (f"Each run's page, {run.run_id} for instance", names.run_page(run)),
        "downloads": ("Downloads", "downloads.html"),
    }


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page; a site without any run has none."""
    if not site.runs:
        return
    shown = guidelines()
    wanted = {item.fact for guideline in shown for item in guideline.items if item.fact}
    yield templates.page(
        "checklist.html",
        PATH,
        guidelines=shown,
        facts={fact: answers.lines(site, fact) for fact in sorted(wanted)},
        places=places(site),
        statuses=STATUSES,
    )
