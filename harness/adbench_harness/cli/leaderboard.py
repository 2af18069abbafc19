"""adbench leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import home_option, json_option, results_option

if TYPE_CHECKING:
    from adbench_leaderboard.site import File

    from ..home import Home, Results


@click.group()
def leaderboard() -> None:
    """The static site.

    \b
    Examples:
      adbench leaderboard build --out site
      adbench leaderboard serve site
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
    help="Show images of this dataset, which its licence must allow you to publish; once for each dataset, or: all.",
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


site_argument = click.argument("site", type=click.Path(path_type=Path, file_okay=False), default=Path("site"))


@leaderboard.command()
@site_argument
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 for any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Who can reach it: this machine alone; 0.0.0.0 lets others.")
def serve(site: Path, port: int, host: str) -> None:
    """Serve a built site on this machine, to look at it; Ctrl-C ends it. SITE is ./site unless given.

    Any static host publishes it; see docs/publish.md.

    \b
    Example:
      adbench leaderboard serve site --port 8080
    """
    from contextlib import suppress

    from adbench_leaderboard.publishing.serving import server

    with server(site, host, port) as listening, suppress(KeyboardInterrupt):
        click.echo(f"{listening.url}  (Ctrl-C ends it)")
        listening.serve_forever()


@leaderboard.command()
@site_argument
@json_option
def check(site: Path, as_json: bool) -> None:
    """Look a built site over: links and anchors, what it loads, policy, markup, data, sizes. SITE is ./site unless given.

    One line for each finding. The exit status is 0 if there is none, and 1 if there are some.

    \b
    Example:
      adbench leaderboard check site
    """
    from dataclasses import asdict

    from adbench_leaderboard.publishing.check import check as look_over

    from .show import print_json

    report = look_over(site)
    if as_json:
        print_json(asdict(report))
    else:
        for finding in report.findings:
            click.echo(f"{finding.page}: {finding.text} [{finding.kind}]")
        number = len(report.findings)
        found = "nothing found" if not number else f"{number} {'finding' if number == 1 else 'findings'}"
        click.echo(f"{found} in {report.pages} pages, {report.files} files", err=bool(number))
    raise SystemExit(1 if report.findings else 0)


@leaderboard.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@json_option
def diff(old: Path, new: Path, as_json: bool) -> None:
    """What changed from one built site, or its leaderboard.json, to another.

    Models, datasets and runs that came or went, figures that moved and by how much, and standings. The exit status is as diff
    has it: 0 if nothing changed, 1 if something did, 2 if the two can't be compared.

    \b
    Example:
      adbench leaderboard diff published site
    """
    from dataclasses import asdict

    from adbench_leaderboard.publishing.diff import diff as compare
    from adbench_leaderboard.publishing.diff import lines, read

    from .show import print_json

    found = compare(read(old), read(new))
    if as_json:
        print_json(asdict(found))
    else:
        for line in lines(found):
            click.echo(line)
        number = len(found.changes)
        said = f"{number} {'change' if number == 1 else 'changes'}" if number else "no difference"
        click.echo(said, err=bool(number))
    raise SystemExit(1 if found.changes else 0)


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
    from adbench_leaderboard.images.permission import permission

    from ..home import Home
    from .stored import must_exist, take_in

    take_in(must_exist(results))
    home = home or Home.at(None)
    granted = permission(results, with_images, home)
    for notice in granted.notices:
        click.echo(f"adbench: {notice}", err=True)
    return render(results.database, out, replace(granted.choices, engine=_engine(home) if sql else ()))


def _engine(home: Home) -> Sequence[File]:
    from adbench_leaderboard.explore.engine import EngineError, engine

    try:
        return engine(home.sql_engine)
    except EngineError as error:
        click.echo(f"adbench: the site goes without SQL: {error}", err=True)
        return ()
