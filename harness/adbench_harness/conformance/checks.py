"""What a check is: a rule with a name, and a function that looks whether a plugin keeps it.

A function returns what it saw, raises BrokenRuleError where the rule is broken, NotApplicableError where it does not apply. Any other error that a
plugin raises is the check's failure too, with the place in the plugin's code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final, Generic, TypeVar

from ..api import AdbenchError, Json
from ..registry import place_of
from .report import Result

SubjectT = TypeVar("SubjectT")

SHOWN: Final = 3
"""How many of many a message names."""


class BrokenRuleError(Exception):
    """The rule is broken; the message says how, and what to do."""


class NotApplicableError(Exception):
    """The check does not apply here; the message says why."""


@dataclass(frozen=True)
class Seen:
    """What a check that passed has seen."""

    message: str
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Check(Generic[SubjectT]):
    """A rule and how it is looked at."""

    name: str
    title: str
    needs: str | None
    """The check without which this one says nothing."""
    look: Callable[[SubjectT], Seen]


class Checks(Generic[SubjectT]):
    """The checks of a kind of plugin, in the order in which they are run."""

    def __init__(self) -> None:
        self.listed: Final[list[Check[SubjectT]]] = []

    def add(
        self, name: str, title: str, needs: str | None = None
    ) -> Callable[[Callable[[SubjectT], Seen]], Callable[[SubjectT], Seen]]:
        """Decorate the function that looks."""

        def added(look: Callable[[SubjectT], Seen]) -> Callable[[SubjectT], Seen]:
            self.listed.append(Check(name, title, needs, look))
            return look

        return added

    def names(self) -> list[str]:
        """Names of all checks, in order."""
        return [check.name for check in self.listed]


def run_checks(
    checks: Sequence[Check[SubjectT]], subject: SubjectT, module: ModuleType | None, earlier: Mapping[str, Result] | None = None
) -> Iterator[Result | Check[SubjectT]]:
    """Look at one after another: yields each check as it begins, and its result when it is done.

    ``earlier`` holds results of checks that were looked at before; what needs a failed one is skipped.
    """
    done = dict(earlier or {})
    for check in checks:
        if check.name in done:
            continue
        yield check
        result = _skipped(check, done) or _look(check, subject, module)
        done[check.name] = result
        yield result


def _skipped(check: Check[SubjectT], done: Mapping[str, Result]) -> Result | None:
    needed = done.get(check.needs) if check.needs is not None else None
    if needed is None or needed.status == "passed":
        return None
    return Result(
        check.name,
        check.title,
        "skipped",
        f"not looked at, since {needed.check} {needed.status if needed.status == 'failed' else 'was not looked at'}",
    )


def _look(check: Check[SubjectT], subject: SubjectT, module: ModuleType | None) -> Result:
    start = time.monotonic()
    facts: Mapping[str, Json] = {}
    try:
        seen = check.look(subject)
        status, message, facts = "passed", seen.message, seen.facts
    except NotApplicableError as reason:
        status, message = "skipped", str(reason)
    except BrokenRuleError as fault:
        status, message = "failed", str(fault)
    except AdbenchError as error:
        status, message = "failed", str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit too
        status, message = "failed", f"{type(error).__name__}: {error}{place_of(error, module)}"
    return Result(check.name, check.title, status, message, round(time.monotonic() - start, 3), facts)  # type: ignore[arg-type]


def some(names: Sequence[str]) -> str:
    """The first few of many names, for a message."""
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
