"""The page that asks the site's own scores with SQL, in the reader's browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as resources

from ..explore import engine, tables
from ..site import File, Site
from ..templating import Templates


@dataclass(frozen=True)
class Example:
    """A query to begin with."""

    title: str
    sql: str


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page; with an engine, what it loads when the reader asks for it."""
    if site.db is None or not site.runs:
        return
    packed = list(tables.packed(site)) if site.choices.engine else []
    yield templates.page(
        "explore.html",
        "explore.html",
        tables=packed,
        columns=tables.COLUMNS,
        rows={name: sum(part.rows for part in packed if part.table == name) for name in tables.COLUMNS},
        examples=examples(),
        megabytes=(sum(len(file.content) for file in site.choices.engine) + sum(len(part.content) for part in packed)) / 1e6,
        duckdb_version=engine.DUCKDB,
    )
    yield from site.choices.engine
    if site.choices.engine:
        yield File(f"{engine.FOLDER}/LICENSE.txt", (resources("adbench_leaderboard") / "static/duckdb-LICENSE.txt").read_bytes())
    for part in packed:
        yield File(part.path, part.content)


def examples() -> list[Example]:
    """The queries in their order; the first line of each is a comment that says what it answers."""
    folder = resources("adbench_leaderboard") / "sql" / "explore" / "examples"
    texts = [entry.read_text(encoding="utf-8").strip() for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)]
    return [Example(text.partition("\n")[0].removeprefix("-- "), text) for text in texts]
