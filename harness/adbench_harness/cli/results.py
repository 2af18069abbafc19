"""adbench results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import json_option, keep_weights_option, results_option

if TYPE_CHECKING:
    import duckdb

    from ..home import Results
    from ..retention import KeepWeights, Removable


@click.group()
def results() -> None:
    """Stored runs.

    \b
    Example:
      adbench results sql "select count(*) as n from score"
    """


@results.command("list")
@results_option
@json_option
def list_results(results_folder: Path | None, as_json: bool) -> None:
    """Every run: sensitivity and specificity at each rule, and ROC AUC.

    \b
    Example:
      adbench results list --json
    """
    from ..home import Results

    list_runs(Results.at(results_folder), as_json)


def list_runs(folder: Results, as_json: bool = False) -> None:
    """Print the table of runs."""
    from ..metrics.thresholds import RULES, TRIVIAL
    from ..store.database import reading
    from ..store.queries import run_rows
    from .running import rule_words
    from .show import figure, print_json, print_rows

    take_in(folder)
    with reading(folder.database) as db:
        rows = run_rows(db)
    if as_json:
        print_json([vars(row) for row in rows])
        return
    rules = [rule for rule in RULES if rule != TRIVIAL and any(rule in row.rates for row in rows)]
    columns = [
        "model",
        "dataset",
        "protocol",
        "split",
        "seed",
        "ROC AUC",
        *(f"{rule_words(rule)}\nsens. / spec." for rule in rules),
        "run",
    ]
    shown = [
        [
            row.variant,
            row.dataset,
            row.protocol if row.unranked is None else f"{row.protocol} (unranked)",
            str(row.split),
            str(row.seed),
            figure(row.roc_auc),
            *(" / ".join(figure(rate) for rate in row.rates.get(rule, (None, None))) for rule in rules),
            row.run_id,
        ]
        for row in rows
    ]
    print_rows(columns, shown, right=["split", "seed", "ROC AUC"])


@results.command("show")
@click.argument("run_id")
@results_option
@json_option
def show_result(run_id: str, results_folder: Path | None, as_json: bool) -> None:
    """A run's manifest and figures; the beginning of its id is enough.

    \b
    Example:
      adbench results show multikd-mias-patches-1f3a
    """
    from ..home import Results
    from ..store.queries import figures_of, find_run_id, manifest_of
    from .running import rule_words
    from .show import NONE, print_facts, print_json, print_rows

    with _reading(Results.at(results_folder)) as db:
        found = find_run_id(db, run_id)
        manifest, metrics = manifest_of(db, found), figures_of(db, found)
    if as_json:
        print_json({**manifest, "metrics": [vars(metric) for metric in metrics]})
        return
    print_facts({**manifest, "files": f"{len(manifest['files'])}, with their hashes in manifest.json"})
    click.echo()
    rows = [[f.task, NONE if f.rule == "none" else rule_words(f.rule), f.name, f"{f.value:.6g}"] for f in metrics]
    print_rows(["task", "rule", "figure", "value"], rows, right=["value"])


@results.command("sql")
@click.argument("query")
@results_option
@json_option
def sql(query: str, results_folder: Path | None, as_json: bool) -> None:
    """Ask the database anything; it is opened read-only. Tables: run, score, curve, metric, task.

    \b
    Example:
      adbench results sql "select image, score from score order by score desc limit 5"
    """
    import duckdb

    from ..api import OptionError
    from ..home import Results
    from .show import print_json, print_rows

    with _reading(Results.at(results_folder)) as db:
        try:
            answer: duckdb.DuckDBPyConnection | None = db.execute(query)  # None for an empty query
            columns = [str(column[0]) for column in answer.description or ()] if answer is not None else []
            rows = answer.fetchall() if answer is not None else []
        except duckdb.Error as error:
            raise OptionError(f"the database says: {str(error).splitlines()[0]}") from None
    if as_json and len(set(columns)) < len(columns):
        raise OptionError(f"two columns have one name ({', '.join(columns)}); name them with AS")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_rows(columns, rows)


@results.command("rebuild")
@results_option
def rebuild_database(results_folder: Path | None) -> None:
    """Make the database anew from the run folders, which are the truth.

    \b
    Example:
      adbench results rebuild
    """
    from ..home import Results
    from ..store.ingest import rebuild

    folder = must_exist(Results.at(results_folder))
    done = rebuild(folder)
    for run_id, reason in done.refused.items():
        click.echo(f"adbench: warning: {run_id} left out: {reason}", err=True)
    click.echo(f"{len(done.added)} runs in {folder.database}")
    if done.refused:
        raise SystemExit(1)


@results.command("prune")
@keep_weights_option
@click.option("--examples", is_flag=True, help="Remove the example pictures of all runs as well.")
@click.option("--checkpoints", is_flag=True, help="Remove checkpoints of unfinished runs as well; they start over then.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@results_option
@json_option
def prune(
    keep_weights: KeepWeights,
    examples: bool,
    checkpoints: bool,
    dry_run: bool,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Remove weights that newer ones replace, and what killed processes have left behind; no score, curve or manifest.

    \b
    Examples:
      adbench results prune --dry-run
      adbench results prune --keep-weights none --examples
    """
    from ..home import Results
    from ..retention import removable
    from .show import print_json, print_rows

    folder = must_exist(Results.at(results_folder))
    found = removable(folder, keep_weights, examples=examples, checkpoints=checkpoints)
    gone, failed = (found, dict[Path, str]()) if dry_run else _remove(found)
    freed = sum(item.bytes for item in gone)
    if as_json:
        refused = [{"path": path, "error": reason} for path, reason in failed.items()]
        print_json({"dry_run": dry_run, "bytes": freed, "items": [vars(item) for item in gone], "failed": refused})
    elif gone:
        rows = [[item.kind, item.run_id, f"{item.bytes:,}", item.path] for item in gone]
        print_rows(["what", "run", "bytes", "path"], rows, right=["bytes"])
        click.echo(f"{'would free' if dry_run else 'freed'} {freed:,} bytes")
    elif not failed:
        click.echo(f"nothing to remove in {folder.root}")
    for path, reason in failed.items():
        click.echo(f"adbench: error: cannot remove {path}: {reason}", err=True)
    if failed:
        raise SystemExit(1)


def _remove(found: list[Removable]) -> tuple[list[Removable], dict[Path, str]]:
    """What was removed, and what could not be and why; what had gone already is neither."""
    from ..retention import remove

    gone: list[Removable] = []
    failed: dict[Path, str] = {}
    for item in found:
        try:
            if remove(item):
                gone.append(item)
        except OSError as error:
            failed[item.path] = error.strerror or str(error)
    return gone, failed


def must_exist(folder: Results) -> Results:
    """The results folder, if there is one. Raises StoreError: a mistyped path must not make an empty store."""
    from ..api import StoreError

    if not folder.root.is_dir():
        raise StoreError(f"there is no results folder {folder.root}; make a run first, or name another with --results")
    return folder


def take_in(folder: Results) -> None:
    """Ingest what other processes left; what can't be taken in is said, and the rest is shown."""
    from ..api import StoreError
    from ..store.ingest import ingest

    try:
        done = ingest(folder)
    except StoreError as error:
        click.echo(f"adbench: warning: {error}", err=True)
    else:
        for run_id, reason in done.refused.items():
            click.echo(f"adbench: warning: {run_id} left out: {reason}", err=True)


@contextmanager
def _reading(folder: Results) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection, opened after new runs were taken in."""
    from ..store.database import reading

    take_in(folder)
    with reading(folder.database) as db:
        yield db
