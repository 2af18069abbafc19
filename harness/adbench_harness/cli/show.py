"""How commands print: rich tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..api import Options

WIDE: Final = 10_000
"""Columns where there is no terminal: nothing is wrapped or cut, a line is a row."""
NONE: Final = "-"
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86400


def console(stderr: bool = False) -> Console:
    """A console for people on a terminal, plain lines elsewhere."""
    screen = Console(stderr=stderr, highlight=False)
    return screen if screen.is_terminal else Console(stderr=stderr, highlight=False, width=WIDE)


def print_json(value: Any) -> None:
    """JSON on stdout."""
    click.echo(json_text(value), nl=False)


def json_text(value: Any) -> str:
    """JSON with a line end; infinite thresholds as the words "inf" and "-inf", which JSON has no number for."""
    return json.dumps(_plain(value), indent=1, default=str, allow_nan=False) + "\n"


def print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None, right: Sequence[str] = ()
) -> None:
    """A table; columns named in ``right`` are aligned right. Cells are text, never markup."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", pad_edge=False, box=None)
    for place, name in enumerate(columns, 1):
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=place < len(columns))
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row))
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one a line; empty values are left out."""
    shown = {name: value for name, value in facts.items() if value not in (None, "", (), [], {})}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        console().print(Text(f"{name:<{width}}  "), Text(_cell(value)), sep="")


def figure(value: float | None) -> str:
    """A rate or an area, three decimals; a dash where there is none."""
    return NONE if value is None else f"{value:.3f}"


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A figure and its 95 % interval: below it on a terminal, where columns are few, else behind it."""
    if value is None or low is None or high is None:
        return figure(value)
    return f"{value:.3f}{chr(10) if Console().is_terminal else ' '}[{low:.3f}, {high:.3f}]"


def duration(seconds: float) -> str:
    """In the two largest units."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"
    return f"{seconds // DAY:.0f} d {seconds % DAY // HOUR:.0f} h"


def rule_words(rule: str) -> str:
    """A threshold rule's name with the word that tells what it saw."""
    from ..metrics.thresholds import RULES, TRIVIAL  # of no use where no rule is shown, and seconds to import

    if rule == TRIVIAL:
        return "everything abnormal"
    return f"{rule} (oracle)" if RULES[rule].oracle else rule


def _cell(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(part) for part in value)
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def options_schema(options: type[Options]) -> dict[str, Any]:
    """Options for programs: the JSON schema of each."""
    found: dict[str, Any] = options.model_json_schema()["properties"] if options.model_fields else {}
    return found


def print_options(options: type[Options]) -> None:
    """Options for people, with defaults; nothing if there is none."""
    rows = [
        [name, NONE if field.default is None else str(field.default), field.description]
        for name, field in options.model_fields.items()
    ]
    if rows:
        click.echo()
        print_rows(["option", "default", "meaning"], rows)
