"""adbench leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import home_option, results_option

if TYPE_CHECKING:
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
@home_option
@results_option
def build(out: Path, with_images: tuple[str, ...], home: Path | None, results_folder: Path | None) -> None:
    """Render the site from the stored runs; open its index.html in any browser.

    \b
    Example:
      adbench leaderboard build --out site --with-images phantom
    """
    from ..home import Home, Results

    click.echo(build_site(Results.at(results_folder), out, with_images, Home.at(home)))


def build_site(results: Results, out: Path, with_images: Sequence[str] = (), home: Home | None = None) -> Path:
    """Take in new runs and render the site, with images of the datasets whose names are given; path of its index page."""
    from adbench_leaderboard.build import build as render
    from adbench_leaderboard.permission import permission

    from ..home import Home
    from .results import must_exist, take_in

    take_in(must_exist(results))
    granted = permission(results.database, with_images, results.runs, home or Home.at(None))
    for notice in granted.notices:
        click.echo(f"adbench: {notice}", err=True)
    return render(results.database, out, granted.choices)
