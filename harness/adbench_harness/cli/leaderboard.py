"""adbench leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import home_option, results_option

if TYPE_CHECKING:
    from adbench_leaderboard.site import File

    from ..home import Home, Results


@click.group()
def leaderboard() -> None:
    """The static site.

    \b
    Example:
      adbench leaderboard build --out site
    """


@leaderboard.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("site"), show_default=True, help="Folder of the site."
)
@click.option(
    "--with-images",
    "with_images",
    multiple=True,
    metavar="NAME",
    help="Show test images of this dataset, which its licence must allow you to publish; once for each dataset, or: all.",
)
@click.option(
    "--sql/--no-sql",
    default=False,
    show_default=True,
    help="Let readers ask the scores with SQL: 9 MB more, whose engine npm brings the first time (38 MB).",
)
@home_option
@results_option
def build(out: Path, with_images: tuple[str, ...], sql: bool, home: Path | None, results_folder: Path | None) -> None:
    """Render the site from the stored runs; open its index.html in any browser.

    \b
    Example:
      adbench leaderboard build --out site --with-images phantom
    """
    from ..home import Home, Results

    click.echo(build_site(Results.at(results_folder), out, with_images, Home.at(home), sql))


def build_site(results: Results, out: Path, with_images: Sequence[str] = (), home: Home | None = None, sql: bool = False) -> Path:
    """Take in new runs and render the site; path of its index page.

    Args:
        results: the folder of runs.
        out: folder of the site.
        with_images: datasets whose images may be shown.
        home: where the datasets' files and the caches lie.
        sql: whether readers get the database engine; without npm the site goes without, and a notice says so.
    """
    from adbench_leaderboard.build import build as render
    from adbench_leaderboard.permission import permission

    from ..home import Home
    from .results import must_exist, take_in

    take_in(must_exist(results))
    home = home or Home.at(None)
    granted = permission(results.database, with_images, results.runs, home)
    for notice in granted.notices:
        click.echo(f"adbench: {notice}", err=True)
    return render(results.database, out, replace(granted.choices, engine=_engine(home) if sql else ()))


def _engine(home: Home) -> Sequence[File]:
    from adbench_leaderboard.wasm import EngineError, engine

    try:
        return engine(home.sql_engine)
    except EngineError as error:
        click.echo(f"adbench: the site goes without SQL: {error}", err=True)
        return ()
