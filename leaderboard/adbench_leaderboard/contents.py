"""Everything that a site consists of."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files as resources
from typing import Final

import duckdb

from . import charts, queries
from .pages import checklist, dataset, downloads, explore, index, model, reproduction, run, shards
from .site import Choices, File, Site
from .templating import Templates

STATIC: Final = (
    "static/style.css",
    "static/site.js",
    "static/atlas.css",
    "static/atlas.js",
    "static/atlas-desk.js",
    "static/chart.css",
    "static/chart.js",
    "static/checklist.css",
    "static/downloads.css",
    "static/explore.css",
    "static/explore.js",
    "static/fold.js",
    "static/index.css",
    "static/reproduction.css",
    "static/model.css",
    "static/parts.css",
    "static/run.css",
    "static/run.js",
    "static/soundness.css",
)
PAGES: Final = (index, dataset, model, run, reproduction, checklist, explore, shards, downloads)
"""What makes the files of a site: each takes the site and its templates."""


def files(db: duckdb.DuckDBPyConnection | None, version: str, choices: Choices) -> Iterator[File]:
    """Every file of the site; without a database, the page that says how to make a run."""
    for name in STATIC:
        yield File(name, (resources(__package__) / name).read_bytes())
    site = Site(db, queries.runs(db) if db else [], version, choices)
    with charts.Drawings(len(site.runs)) as drawings:
        templates = Templates.of(site, drawings)
        for page in PAGES:
            yield from page.files(site, templates)
        if site.runs:
            yield File("static/vega.js", drawings.vega())
