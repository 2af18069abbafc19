"""adbench results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .bundles import export_runs, import_bundles, verify_run
from .comparing import compare, power
from .merging import merge_results, plain_replicate, print_replicates
from .options import json_option, keep_weights_option, results_option
from .reproducing import reproduce
from .stored import must_exist, take_in

if TYPE_CHECKING:
    import duckdb

    from ..home import Results
    from ..manifest import Pixels
    from ..metrics.evaluation import Figure
    from ..metrics.parts import PartFigure
    from ..replicates import Replicate
    from ..retention import KeepWeights, Removable
    from ..store.queries import RunRow


@click.group()
def results() -> None:
    """Stored runs.

    \b
    Example:
      adbench results sql "select count(*) as n from score"
    """


results.add_command(reproduce)
results.add_command(compare)
results.add_command(power)
results.add_command(export_runs)
results.add_command(import_bundles)
results.add_command(verify_run)
results.add_command(merge_results)


@results.command("list")
@click.option(
    "--rule", "wanted", multiple=True, help="A threshold rule to show.  [default: normal-q95, and youden for runs without it]"
)
@results_option
@json_option
def list_results(wanted: tuple[str, ...], results_folder: Path | None, as_json: bool) -> None:
    """Every run: ROC AUC, and sensitivity and specificity at a threshold rule, with 95 % intervals.

    With runs from bundles there is a column for how far each can be believed.

    \b
    Examples:
      adbench results list --json
      adbench results list --rule youden
    """
    from ..home import Results

    list_runs(Results.at(results_folder), as_json, wanted)


def list_runs(folder: Results, as_json: bool = False, wanted: tuple[str, ...] = ()) -> None:
    """Print the table of runs."""
    from dataclasses import asdict, astuple

    from ..api import UnknownNameError
    from ..metrics.thresholds import RULES
    from ..registry import unknown_name
    from ..replicates import replicates_counted
    from ..status import HERE
    from ..store.database import reading
    from ..store.queries import run_rows
    from .show import estimate, print_json, print_rows, rule_words

    for rule in wanted:
        if rule not in RULES:
            raise UnknownNameError(unknown_name("threshold rule", rule, RULES))
    take_in(folder)
    with reading(folder.database) as db:
        rows = run_rows(db)
    unequal = replicates_counted(folder)
    if as_json:
        print_json([{**asdict(row), "replicates": unequal[row.run_id]} for row in rows])
        return
    rules = list(wanted) or _telling(rows)
    names = [(rule, name) for rule in rules for name in ("sensitivity", "specificity")]
    heads = {(rule, name): f"{rule_words(rule)}\n{name[:4]}." for rule, name in names}
    received = any(row.status != HERE for row in rows)
    columns = [
        "model",
        "dataset",
        "protocol",
        "split",
        "seed",
        "ROC AUC",
        *heads.values(),
        *(["status"] if received else []),
        *(["replicates"] if unequal else []),
        "run",
    ]
    shown = []
    for row in rows:
        found = [row.roc_auc, *(row.rates.get(rule, {}).get(name) for rule, name in names)]
        protocol = row.protocol if row.unranked is None else f"{row.protocol} (unranked)"
        estimates = [estimate(*astuple(one)) if one is not None else None for one in found]
        shown.append(
            [
                row.variant,
                row.dataset,
                protocol,
                str(row.split),
                str(row.seed),
                *estimates,
                *([row.status] if received else []),
                *([str(unequal[row.run_id] or "")] if unequal else []),
                row.run_id,
            ]
        )
    print_rows(columns, shown, right=["split", "seed", "ROC AUC", *heads.values()])


def _telling(rows: list[RunRow]) -> list[str]:
    """The honest rule, and Youden's for runs that have no honest one."""
    from ..metrics.thresholds import HONEST

    honest = [HONEST] if any(HONEST in row.rates for row in rows) else []
    return honest if rows and all(HONEST in row.rates for row in rows) else [*honest, "youden"]


@results.command("show")
@click.argument("run_id")
@results_option
@json_option
def show_result(run_id: str, results_folder: Path | None, as_json: bool) -> None:
    """A run's manifest and figures with 95 % intervals, of all test images and of parts of them.

    The beginning of the run's id is enough.

    \b
    Example:
      adbench results show multikd-mias-patches-1f3a
    """
    from dataclasses import asdict

    from ..home import Results
    from ..manifest import Pixels
    from ..status import MEANINGS
    from ..store.queries import figures_of, find_run_id, manifest_of, part_figures_of, status_of
    from .show import print_facts, print_json

    folder = Results.at(results_folder)
    with _reading(folder) as db:
        found = find_run_id(db, run_id)
        manifest, metrics, parts = manifest_of(db, found), figures_of(db, found), part_figures_of(db, found)
        status, checks = status_of(db, found)
    replicates = _replicates(folder, found)
    if as_json:
        plain = [{"task": task, **asdict(figure)} for task, figure in parts]
        print_json(
            {
                **manifest,
                "status": status,
                "checks": [check.model_dump(mode="json") for check in checks],
                "metrics": [asdict(metric) for metric in metrics],
                "parts": plain,
                "replicates": [plain_replicate(one) for one in replicates],
            }
        )
        return
    pixels = manifest.pop("pixels", None)
    known = {"status": f"{status}: {MEANINGS[status]}", "checked": [check.words for check in checks]}
    print_facts({**known, **manifest, "files": f"{len(manifest['files'])}, with their hashes in manifest.json"})
    click.echo()
    _print_figures(["task"], [([metric.task], metric) for metric in metrics])
    if parts:
        click.echo()
        _print_figures(["part of the test images", "task"], [([figure.part, task], figure) for task, figure in parts])
    if pixels is not None:
        click.echo()
        _print_pixels(Pixels.model_validate(pixels))
    if replicates:
        click.echo()
        print_replicates(replicates)


def _replicates(folder: Results, run_id: str) -> list[Replicate]:
    """Other results of a run; what can't be told of them is a warning."""
    from ..api import StoreError
    from ..replicates import replicates_of

    try:
        found, refused = replicates_of(folder, run_id)
    except StoreError as error:
        found, refused = [], {folder.replicates / run_id: str(error)}
    for reason in refused.values():
        click.echo(f"adbench: warning: replicate left out: {reason}", err=True)
    return found


def _print_pixels(pixels: Pixels) -> None:
    """How well the anomaly maps point."""
    from .show import NONE, print_rows

    found = {"pixel ROC AUC": pixels.pixel_roc_auc, "AUPRO to FPR 0.3": pixels.aupro}
    ends = {name: [NONE if end is None else f"{end:.6g}" for end in (one.low, one.high)] for name, one in found.items()}
    rows = [[name, f"{one.value:.6g}", *ends[name], one.method or "", f"{one.random:g}"] for name, one in found.items()]
    columns = ["figure over pixels", "value", "low", "high", "interval by", "maps of noise"]
    print_rows(columns, rows, right=["value", "low", "high", "maps of noise"])
    click.echo(
        f"all pixels of {pixels.abnormal} abnormal test images with masks ({pixels.regions} regions) and {pixels.normal} normal ones, at "
        f"{pixels.image_size} x {pixels.image_size}; {pixels.left_out} test images left out"
    )


def _print_figures(columns: list[str], rows: Sequence[tuple[list[str], Figure | PartFigure]]) -> None:
    from .show import NONE, print_rows, rule_words

    shown: list[list[object]] = []
    for first, figure in rows:
        low, high, method = (
            (f"{figure.interval.low:.6g}", f"{figure.interval.high:.6g}", figure.interval.method)
            if figure.interval
            else (NONE, NONE, "")
        )
        rule = NONE if figure.rule == "none" else rule_words(figure.rule)
        shown.append([*first, rule, figure.name, f"{figure.value:.6g}", low, high, method])
    print_rows([*columns, "rule", "figure", "value", "low", "high", "interval by"], shown, right=["value", "low", "high"])


@results.command("sql")
@click.argument("query")
@results_option
@json_option
def sql(query: str, results_folder: Path | None, as_json: bool) -> None:
    """Ask the database anything; it is opened read-only. Tables: run, score, curve, metric, part_metric, task, audit, finding.

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
    gone, failed = (found, dict[Path, str]()) if dry_run else _remove(folder, found)
    freed = sum(item.bytes for item in gone)
    if as_json:
        refused = [{"path": path, "error": reason} for path, reason in failed.items()]
        print_json({"dry_run": dry_run, "bytes": freed, "items": [_row(item) for item in gone], "failed": refused})
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


def _row(item: Removable) -> dict[str, object]:
    return {"kind": item.kind, "run_id": item.run_id, "path": item.path, "bytes": item.bytes}


def _remove(folder: Results, found: list[Removable]) -> tuple[list[Removable], dict[Path, str]]:
    """What was removed, and what could not be and why; what had gone already is neither."""
    from ..retention import remove

    gone: list[Removable] = []
    failed: dict[Path, str] = {}
    for item in found:
        try:
            if remove(folder, item):
                gone.append(item)
        except OSError as error:
            failed[item.path] = error.strerror or str(error)
    return gone, failed


@contextmanager
def _reading(folder: Results) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection, opened after new runs were taken in."""
    from ..store.database import reading

    take_in(folder)
    with reading(folder.database) as db:
        yield db
