"""The page of files for programs, and these files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from ..exports import exports
from ..exports.bibliography import own_entry
from ..exports.document import MINOR, VERSION
from ..exports.scores import COLUMNS
from ..site import File, Site
from ..templating import Templates

PATH: Final = "downloads.html"


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The files, then the page that lists them; a site without any run has none."""
    if site.db is None or not site.runs:
        return
    found = exports(site)
    yield from (one.file for one in found)
    groups = [(kind, list(own)) for kind, own in groupby(found, key=lambda one: one.kind)]
    yield templates.page(
        "downloads.html", PATH, groups=groups, columns=COLUMNS, entry=own_entry(site.version), version=VERSION, minor=MINOR
    )
