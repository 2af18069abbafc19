"""Options that several commands share, and the forms of their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

ALL: Final = "all"
MOST = 10_000
LONGEST = 10_000 * 3600
"""Seconds; more than a year, and no more than every timer takes."""
KEEP_WEIGHTS = ("newest", "all", "none")
DEFAULT_PROTOCOL = "adbench-v1"


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """``0``, ``0,2``, ``0..4`` or ``all``; converts to a tuple of integers, or "all"."""

    name = "NUMBERS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...] | str:
        """Parse, or fail with what is allowed."""
        if isinstance(value, tuple):
            return value
        if value == ALL:
            return ALL
        numbers: list[int] = []
        for word in str(value).split(","):
            first, dots, last = word.partition("..")
            try:
                numbers += range(int(first), min(int(last), int(first) + MOST) + 1) if dots else [int(first)]
            except ValueError:
                self.fail(f"{word!r} is not an integer; use 0, 0,2, 0..4 or all", param, ctx)
        if len(numbers) > MOST:
            self.fail(f"{value!r} are more than {MOST} numbers", param, ctx)
        if not numbers or min(numbers) < 0:
            self.fail(f"{value!r} names no number from 0 on; use 0, 0,2, 0..4 or all", param, ctx)
        return tuple(dict.fromkeys(numbers))


class Names(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """``a``, ``a,b`` or ``all``; converts to a tuple. What holds a colon, as ``folder:PATH`` does, is one name, commas and all."""

    name = "NAMES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split at commas."""
        if isinstance(value, tuple):
            return value
        names = (str(value),) if ":" in str(value) else tuple(word.strip() for word in str(value).split(","))
        if not all(names):
            self.fail(f"{value!r} has an empty name; use a, a,b or all", param, ctx)
        return names


def named(given: Sequence[Sequence[str]]) -> tuple[str, ...] | Literal["all"]:
    """All that one option named, each time it was given."""
    names = tuple(name for several in given for name in several)
    return ALL if ALL in names else names


class Setting(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """``name=value``; converts to a pair."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the first "="."""
        if isinstance(value, tuple):
            return value
        name, equals, word = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name.strip(), word


class Device(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A word for a device; whether the machine has it is found out when it is needed."""

    name = "DEVICE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no machine has."""
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", str(value)):
            self.fail(f"{value!r} is no device; use auto, cpu, cuda, cuda:N or mps", param, ctx)
        return str(value)


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """``90``, ``90s``, ``15m`` or ``2h``; converts to seconds, at least 1."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse, or fail with what is allowed."""
        if isinstance(value, int | float):
            return float(value)
        if (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())) is None:
            self.fail(f"{value!r} is no duration; use seconds, or 90s, 15m or 2h", param, ctx)
        seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
        if not 1 <= seconds <= LONGEST:
            self.fail(f"{value!r} is not between 1 s and {LONGEST // 3600} h", param, ctx)
        return seconds


def check_limit_option(command: CommandT) -> CommandT:
    """``--time-limit`` of each check."""
    return click.option("--time-limit", type=Duration(), default="10m", show_default=True, help="For one check: 90s, 15m, 2h.")(
        command
    )


def home_option(command: CommandT) -> CommandT:
    """``--home``."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        help="Datasets and caches [ADBENCH_HOME, else the user's data folder].",
    )(command)


def results_option(command: CommandT) -> CommandT:
    """``--results``."""
    return click.option(
        "--results",
        "results_folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Runs and database [ADBENCH_RESULTS, else ./adbench-results].",
    )(command)


def protocol_option(what: str) -> Callable[[CommandT], CommandT]:
    """``--protocol``; ``what`` it decides."""
    return click.option("--protocol", default=DEFAULT_PROTOCOL, show_default=True, help=what)


def keep_weights_option(command: CommandT) -> CommandT:
    """``--keep-weights``."""
    return click.option(
        "--keep-weights",
        type=click.Choice(KEEP_WEIGHTS),
        default=KEEP_WEIGHTS[0],
        show_default=True,
        help="Whose weights stay, of the runs of one model and its options on one dataset, whatever split and seed.",
    )(command)


def json_option(command: CommandT) -> CommandT:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
