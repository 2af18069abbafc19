"""What `adbench run --dry-run` shows: a line for all runs of one model on one dataset, and what they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from .show import NONE, duration, print_json, print_rows

if TYPE_CHECKING:
    from ..executors.driving import Driver
    from ..forecast import Forecast, State
    from ..home import Home, Results
    from ..plan import RunRequest

WORDS: Final[dict[State, str]] = {
    "done": "done",
    "goes on": "go on from a checkpoint",
    "to do": "to do",
    "fails": "can't be made",
}


def show(
    requests: Sequence[RunRequest], home: Home, results: Results, device: str, as_json: bool, driver: Driver | None = None
) -> int:
    """Print the plan, and what would be handed to a scheduler; the exit status is that of the worst run that can't be made."""
    from ..forecast import forecast
    from ..runner import Conditions

    found = list(forecast(requests, home, results, device))
    if as_json:
        print_json([_plain(one) for one in found])
    else:
        _print(found)
        todo = [one.request for one in found if one.state in ("to do", "goes on")]
        if todo and driver is not None and (script := driver.script(todo, Conditions(home, results))) is not None:
            click.echo(f"\n{script.rstrip()}")
    return max((one.error.exit_code for one in found if one.error is not None), default=0)


def _print(found: Sequence[Forecast]) -> None:
    lines: dict[tuple[str, str, str], list[Forecast]] = {}
    for one in found:
        lines.setdefault((one.request.protocol, one.request.dataset, one.variant), []).append(one)
    rows = []
    for (protocol, dataset, variant), runs in lines.items():
        states = Counter(one.state for one in runs)
        open_ = [one for one in runs if one.state in ("to do", "goes on")]
        each = next((one for one in open_ if one.seconds is not None), None)
        about = f"{'~ ' if each.alike else ''}{duration(each.seconds)}" if each is not None and each.seconds is not None else NONE
        rows.append(
            [
                variant,
                dataset,
                protocol,
                len(runs),
                *(states[state] or NONE for state in WORDS),
                about,
            ]
        )
    numbers = ["runs", "done", "go on", "to do", "can't", "each takes"]
    print_rows(["model", "dataset", "protocol", *numbers], rows, right=numbers)
    click.echo(_total(found))
    for error in dict.fromkeys(
        f"{one.request.model} on {one.request.dataset}: {one.error}" for one in found if one.error is not None
    ):
        click.echo(f"adbench: error: {error}", err=True)


def _total(found: Sequence[Forecast]) -> str:
    states = Counter(one.state for one in found)
    counts = ", ".join(f"{states[state]} {words}" for state, words in WORDS.items() if states[state])
    lines = [f"{len(found)} {'run' if len(found) == 1 else 'runs'}: {counts}"]
    known = [one.seconds for one in found if one.seconds is not None]
    unknown = states["to do"] + states["goes on"] - len(known)
    if known:
        lines.append(f"about {duration(sum(known))} one after another, as past runs on this device took")
    if unknown:
        lines.append(f"no past run tells how long {'the other ' if known else ''}{unknown} would take")
    return "; ".join(lines)


def _plain(one: Forecast) -> dict[str, Any]:
    return {
        "run_id": one.run_id,
        "model": one.variant,
        "dataset": one.request.dataset,
        "protocol": one.request.protocol,
        "split": one.request.split,
        "seed": one.request.seed,
        "state": one.state,
        "seconds": one.seconds,
        "by_runs_on_other_datasets": one.alike,
        "error": str(one.error) if one.error is not None else None,
        "command": one.request.command,
    }
