"""adbench leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import results_option

if TYPE_CHECKING:
    from ..home import Results


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
@results_option
def build(out: Path, results_folder: Path | None) -> None:
    """Render the site from the stored runs; open its index.html in any browser.

    \b
    Example:
      adbench leaderboard build --out site
    """
    from ..home import Results

    click.echo(build_site(Results.at(results_folder), out))


def build_site(results: Results, out: Path) -> Path:
    """Take in new runs and render the site; path of its index page."""
    from adbench_leaderboard.build import build as render

    from .results import must_exist, take_in

    take_in(must_exist(results))
    return render(results.database, out)
