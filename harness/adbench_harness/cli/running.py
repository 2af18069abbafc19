"""Make runs for a command: progress, signals, the database, and what is printed at the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from ..api import AdbenchError, StoreError
from ..executors.local import Attempt, execute
from ..home import Home, Results
from ..metrics.evaluation import NO_RULE, Figure
from ..metrics.thresholds import RULES, TRIVIAL
from ..plan import RunRequest
from ..result import read_scores
from ..retention import KeepWeights
from ..runner import Conditions, Outcome
from ..store.ingest import figures, ingest
from .progress import RunProgress
from .show import figure, print_json, print_rows


def make_runs(
    requests: list[RunRequest],
    home: Home,
    results: Results,
    *,
    fresh: bool,
    keep_weights: KeepWeights,
    quiet: bool,
    as_json: bool,
) -> int:
    """Make runs one after another, take each into the database, print what came out; the exit status.

    Raises:
        AdbenchError: if the only run fails. Of several, each failure is said and the others go on.
    """
    progress = RunProgress(quiet)
    attempts: list[Attempt] = []
    with progress, _stop_on_signal() as stop:
        conditions = Conditions(home, results, fresh, keep_weights, progress, stop.asked)
        for attempt in execute(_announced(requests, progress), conditions):
            progress.stop()
            if attempt.error is not None and len(requests) == 1:
                raise attempt.error
            attempts.append(attempt)
            _take_in(attempt, conditions)
            for warning in attempt.outcome.warnings if attempt.outcome is not None else ():
                click.echo(f"adbench: warning: {warning}", err=True)
            if not as_json:
                _print(attempt)
    if as_json:
        print_json([_plain(attempt) for attempt in attempts])
    failed = [attempt.error for attempt in attempts if attempt.error is not None]
    if failed and not as_json:
        click.echo(f"adbench: {len(failed)} of {len(attempts)} runs failed", err=True)
    return max((error.exit_code for error in failed), default=0)


def _announced(requests: list[RunRequest], progress: RunProgress) -> Iterator[RunRequest]:
    """The requests, one by one; the bar goes up for each."""
    for request in requests:
        progress.start(_title(request))
        yield request


class _Stop:
    """Set by the first Ctrl-C or SIGTERM: the run saves a checkpoint and ends. The second ends it at once."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        return self._asked

    def signal(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        click.echo("adbench: stopping at the next step (again to stop at once)", err=True)


@contextmanager
def _stop_on_signal() -> Iterator[_Stop]:
    stop = _Stop()
    before = {number: signal.signal(number, stop.signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _take_in(attempt: Attempt, conditions: Conditions) -> None:
    """The run is safe in its folder; a database that can't be written now is a warning, not a failure."""
    if attempt.outcome is None:
        return
    try:
        done = attempt.outcome.already_done
        ingest(conditions.results, again=None if done else attempt.outcome.manifest.run_id)
    except StoreError as error:
        click.echo(f"adbench: warning: {error}", err=True)


def _title(request: RunRequest) -> str:
    return f"{request.model} on {request.dataset}, {request.protocol}, split {request.split}, seed {request.seed}"


def _print(attempt: Attempt) -> None:
    if attempt.error is not None:
        click.echo(f"adbench: error: {_title(attempt.request)}: {attempt.error}", err=True)
    elif attempt.outcome is not None:
        _print_outcome(attempt.outcome)


def _print_outcome(outcome: Outcome) -> None:
    manifest = outcome.manifest
    found = figures(manifest, read_scores(outcome.folder))
    columns = ["task", "threshold rule", "sens.", "spec.", "prec.", "F1", "ROC AUC", "PR AUC", "normal", "abnormal"]
    print_rows(columns, _figure_rows(found), title=f"{manifest.variant} on {manifest.cell.dataset}", right=columns[2:])
    if manifest.unranked is not None:
        click.echo(f"stored and shown, never ranked ({manifest.unranked})")
    if outcome.already_done:
        click.echo(f"already done {manifest.created}, nothing to do: {outcome.folder}")
    else:
        click.echo(f"stored in {outcome.folder}")


def _figure_rows(found: list[Figure]) -> Iterator[list[object]]:
    """A row for each task and rule; what does not depend on the rule stands in the task's first row."""
    at = {(f.task, f.rule, f.name): f.value for f in found}
    for task in dict.fromkeys(f.task for f in found):
        areas = [figure(at.get((task, NO_RULE, name))) for name in ("roc_auc", "pr_auc")]
        counts = [str(int(at[task, NO_RULE, name])) for name in ("n_normal", "n_abnormal")]
        first = [task, *areas, *counts]
        for rule in dict.fromkeys(f.rule for f in found if f.task == task and f.rule != NO_RULE):
            rates = [figure(at.get((task, rule, name))) for name in ("sensitivity", "specificity", "precision", "f1")]
            yield [first[0], rule_words(rule), *rates, *first[1:]]
            first = [""] * len(first)


def rule_words(rule: str) -> str:
    """A rule's name with the word that tells what it saw."""
    if rule == TRIVIAL:
        return "everything abnormal"
    return f"{rule} (oracle)" if RULES[rule].oracle else rule


def _plain(attempt: Attempt) -> dict[str, Any]:
    if attempt.outcome is None:
        error = attempt.error or AdbenchError("not run")
        return {"request": attempt.request.command, "error": str(error)}
    outcome = attempt.outcome
    return {
        "run_id": outcome.manifest.run_id,
        "already_done": outcome.already_done,
        "folder": str(outcome.folder),
        "unranked": outcome.manifest.unranked,
        "warnings": list(outcome.warnings),
        "metrics": [vars(f) for f in figures(outcome.manifest, read_scores(outcome.folder))],
    }
