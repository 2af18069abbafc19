"""What `models check` and `datasets check` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from .show import console, print_json

if TYPE_CHECKING:
    from ..conformance.report import Report, Result

MARKS: Final = {"passed": ("ok", "green"), "failed": ("FAILED", "bold red"), "skipped": ("-", "dim")}


def print_result(result: Result) -> None:
    """One line a check, and a second one with what was seen."""
    mark, style = MARKS[result.status]
    screen = console()
    screen.print(Text(f"{mark:<7}", style), Text(f"{result.check:<14}"), Text(result.title), sep=" ")
    screen.print(Text(" " * 23), Text(result.message, "red" if result.status == "failed" else "dim"), sep="", soft_wrap=True)


def print_heading(name: str, words: Sequence[str]) -> None:
    """What is looked at."""
    screen = console()
    screen.print(Text(name, "bold"))
    for line in words:
        screen.print(Text(line, "dim"), soft_wrap=True)


def finish(reports: Sequence[Report], as_json: bool) -> None:
    """JSON or a last line; the exit status says whether all rules are kept."""
    failed = [(report, result) for report in reports for result in report.results if result.status == "failed"]
    if as_json:
        print_json([report.plain() for report in reports])
    else:
        for report in reports:
            count = sum(result.status == "passed" for result in report.results)
            place = f" on {report.device}" if report.device else ""
            if report.failed:
                click.echo(
                    f"{report.name}{place}: {len(report.failed)} of {len(report.results)} checks failed: {', '.join(report.failed)}"
                )
            else:
                click.echo(f"{report.name}{place}: {count} of {len(report.results)} checks passed, none failed")
    raise SystemExit(1 if failed else 0)
