"""The first page: every model on every dataset."""

from __future__ import annotations

from collections.abc import Iterator

from ..site import File, Site
from ..templating import Templates


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page; without runs, one that says how to make some."""
    yield templates.page("index.html", "index.html", unranked=site.unranked(site.runs), partial=site.partial(site.runs))
