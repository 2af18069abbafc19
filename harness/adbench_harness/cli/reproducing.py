"""adbench results reproduce: the study's figures beside ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Device, home_option, json_option, results_option

if TYPE_CHECKING:
    from ..home import Home, Results
    from ..published import Cell, FigureName
    from ..reproduction import Estimate, Mark, Missing, OutsideRow, Row

FIGURES = ("roc_auc", "pr_auc", "f1", "precision", "recall", "specificity")
TITLES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC (average precision)",
    "f1": "F1 at best-f1 (oracle)",
    "precision": "Precision at best-f1 (oracle)",
    "recall": "Recall at best-f1 (oracle)",
    "specificity": "Specificity at best-f1 (oracle); the study's is computed from its Table 3",
}
ALL = "all"


@click.command("reproduce")
@click.option(
    "--figure",
    "figures",
    type=click.Choice([*FIGURES, ALL]),
    multiple=True,
    default=("roc_auc", "f1"),
    show_default=True,
    help="Which figures; may be given several times.",
)
@click.option("--dataset", "-d", "datasets", multiple=True, help="Only this dataset of the study; may be given several times.")
@click.option("--model", "-m", "models", multiple=True, help="Only this model of the study; may be given several times.")
@click.option("--outside", "with_outside", is_flag=True, help="Show what others have measured on the same datasets, too.")
@click.option("--run", "make", is_flag=True, help="First make the missing runs whose dataset is imported.")
@click.option("--device", type=Device(), default="auto", show_default=True, help="For --run: auto, cpu, cuda, cuda:N or mps.")
@home_option
@results_option
@json_option
def reproduce(
    figures: tuple[str, ...],
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    with_outside: bool,
    make: bool,
    device: str,
    home: Path | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """The study's figures beside those of the stored runs of protocol esmaeili2023, and which runs are missing.

    Inside, above, below: where our mean over seeds lies from the study's figure, by an interval that holds the spread over seeds
    and the error of the test images.

    \b
    Examples:
      adbench results reproduce
      adbench results reproduce --figure all --dataset head-ct --outside
      adbench results reproduce --run --device cuda
    """
    from ..home import Home, Results
    from .stored import must_exist

    folder = Results.at(results_folder)
    cells = _cells(datasets, models)
    wanted: Any = FIGURES if ALL in figures else tuple(dict.fromkeys(figures))
    status, skipped = _make(folder, Home.at(home), cells, device, as_json) if make else (0, [])
    report = _report(folder if make else must_exist(folder), cells, wanted, with_outside)
    if as_json:
        _print_json(report, skipped)
    else:
        _print(report)
    raise SystemExit(status)


@dataclass(frozen=True)
class _Report:
    """All that is shown."""

    rows: Sequence[Row]
    missing: Sequence[Missing]
    outside: Sequence[OutsideRow]


def _cells(datasets: tuple[str, ...], models: tuple[str, ...]) -> list[Cell]:
    """Cells of the study that are asked for. Raises UnknownNameError for a name that it lacks."""
    from ..api import UnknownNameError
    from ..published import published
    from ..registry import unknown_name

    cells = list(published().study.cells())
    for what, asked, known in (
        ("dataset of the study", datasets, {cell.dataset for cell in cells}),
        ("model of the study", models, {cell.model for cell in cells}),
    ):
        for name in asked:
            if name not in known:
                raise UnknownNameError(unknown_name(what, name, known))
    return [cell for cell in cells if cell.dataset in (datasets or {cell.dataset}) and cell.model in (models or {cell.model})]


def _report(folder: Results, cells: list[Cell], figures: tuple[FigureName, ...], with_outside: bool) -> _Report:
    """Compare what is stored, after new runs were taken in; an empty store is no error."""
    from .. import registry
    from ..published import published
    from ..reproduction import PROTOCOL, compare, missing, outside, series_of, stored_runs
    from ..store.database import reading
    from .stored import take_in

    take_in(folder)
    runs = []
    if folder.database.is_file():
        with reading(folder.database) as db:
            runs = stored_runs(db)
    numbers, protocol = published(), registry.protocol(PROTOCOL).spec
    series = series_of(runs, protocol, numbers.study)
    pairs = {(cell.dataset, cell.model) for cell in cells}
    return _Report(
        compare(series, numbers.study, cells, figures),
        missing(series, numbers.study, cells, protocol.seeds),
        list(outside(series, numbers, pairs)) if with_outside else [],
    )


def _make(folder: Results, home: Home, cells: list[Cell], device: str, as_json: bool) -> tuple[int, list[tuple[Missing, str]]]:
    """Make what is missing and can be made here: the exit status, and what was skipped and why."""
    from ..api import AdbenchError, InterruptedRunError
    from ..reproduction import obstacle

    lacking = _report(folder, cells, (), with_outside=False).missing
    obstacles = {dataset: obstacle(dataset, home) for dataset in dict.fromkeys(item.dataset for item in lacking)}
    skipped = [(item, reason) for item in lacking if (reason := obstacles[item.dataset]) is not None]
    for dataset, reason in obstacles.items():
        if reason is not None:
            click.echo(f"adbench: skipped {dataset}: {reason}", err=True)
    requests = [request for item in lacking if obstacles[item.dataset] is None for request in item.requests(device)]
    click.echo(f"adbench: {len(requests)} {'run' if len(requests) == 1 else 'runs'} to make", err=True)
    if not requests:
        return 0, skipped
    from .running import make_runs  # with torch: only now

    try:
        with redirect_stdout(sys.stderr if as_json else sys.stdout):  # the one document on stdout is ours
            status = make_runs(requests, home, folder, fresh=False, keep_weights="newest", quiet=as_json, as_json=False)
    except InterruptedRunError:
        raise
    except AdbenchError as error:  # the only run; the table is worth showing all the same
        click.echo(f"adbench: error: {error}", err=True)
        status = error.exit_code
    return status, skipped


def _print(report: _Report) -> None:
    from ..published import published
    from .show import figure, print_rows

    columns = ["dataset", "model", "study", "ours", "95 % interval", "seeds", "gap", "verdict"]
    for name in dict.fromkeys(row.figure for row in report.rows):
        shown = [
            [
                _place(row.cell),
                row.cell.model,
                figure(row.study.value),
                figure(row.ours.value if row.ours else None),
                _interval(row.ours),
                str(len(row.values)),
                "-" if row.gap is None else f"{row.gap:+.3f}",
                _words(row),
            ]
            for row in report.rows
            if row.figure == name
        ]
        print_rows(columns, shown, title=TITLES[name], right=columns[2:7])
        click.echo()
    if not report.rows:
        click.echo("no run of these cells is stored yet\n")
    for line in _notes(report.rows):
        click.echo(line)
    if report.outside:
        _print_outside(report.outside)
    if report.missing:
        click.echo("\nMissing as published; adbench results reproduce --run makes those whose dataset is imported:")
        for item in report.missing:  # as plain lines: a command that a table has wrapped can't be copied
            click.echo(f"{item.state:<12}  {item.command}")
    source = published().sources[published().study.source]
    click.echo(f"\nstudy: {source.reference} {source.url}")


def _print_outside(rows: Sequence[OutsideRow]) -> None:
    from ..published import published
    from .show import figure, print_rows

    shown = [
        [
            _place(row.cell),
            row.cell.model,
            row.figure,
            figure(row.value) if row.spread is None else f"{row.value:.3f} \N{PLUS-MINUS SIGN} {row.spread:.3f}",
            figure(row.study),
            figure(ours.value if ours else None),
            _interval(ours),
            variant,
        ]
        for row in rows
        for variant, ours in row.ours or [("no run", None)]
    ]
    columns = ["dataset", "model", "figure", "theirs", "study", "ours", "95 % interval", "our variant"]
    click.echo()
    print_rows(columns, shown, title="Measured by others", right=columns[3:7])
    sources = published().sources
    said: dict[str, list[str]] = {}
    for row in rows:
        source = sources[row.source]
        line = f"{source.reference} {source.url} ({row.where}). {row.note}"
        said.setdefault(line, []).append(_place(row.cell))
    for line, places in said.items():
        click.echo(f"{', '.join(dict.fromkeys(places))}: {line}")


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """What the words beside the verdicts mean, each once, and where the study's own numbers conflict."""
    from ..published import published

    yield from dict.fromkeys(f"{mark.word}: {mark.text}" for row in rows for mark in (*row.barred, *row.marks))
    conflicts = published().study.conflicts
    yield from dict.fromkeys(
        f"{row.cell.dataset}: {conflicts[row.cell.dataset]}" for row in rows if row.cell.dataset in conflicts
    )


def _words(row: Row) -> str:
    """The verdict, and what must be known before it is believed."""
    marks = ", ".join(mark.word for mark in row.marks)
    verdict = f"not comparable: {', '.join(mark.word for mark in row.barred)}" if row.barred else row.verdict
    return f"{verdict} ({marks})" if marks else verdict


def _place(cell: Cell) -> str:
    return cell.dataset if cell.task == ALL else f"{cell.dataset} {cell.task}"


def _interval(ours: Estimate | None) -> str:
    return "-" if ours is None or ours.low is None or ours.high is None else f"{ours.low:.3f}-{ours.high:.3f}"


def _print_json(report: _Report, skipped: list[tuple[Missing, str]]) -> None:
    from ..published import published
    from ..reproduction import PROTOCOL
    from .show import print_json

    study = published().study
    print_json(
        {
            "protocol": PROTOCOL,
            "study": published().sources[study.source].model_dump(),
            "conflicts": study.conflicts,
            "rows": [_plain_row(row) for row in report.rows],
            "missing": [vars(item) for item in report.missing],
            "skipped": [{"model": item.model, "dataset": item.dataset, "reason": reason} for item, reason in skipped],
            "outside": [_plain_outside(row) for row in report.outside],
        }
    )


def _plain_row(row: Row) -> dict[str, Any]:
    def plain(marks: Sequence[Mark]) -> list[dict[str, str]]:
        return [vars(mark) for mark in marks]

    return {
        **row.cell._asdict(),
        "variant": row.variant,
        "figure": row.figure,
        "study": row.study._asdict(),
        "ours": row.ours and vars(row.ours),
        "values": row.values,
        "runs": row.runs,
        "gap": row.gap,
        "verdict": row.verdict,
        "why_not": plain(row.barred),
        "marks": plain(row.marks),
    }


def _plain_outside(row: OutsideRow) -> dict[str, Any]:
    from ..published import published

    ours = [{"variant": variant, **vars(found)} for variant, found in row.ours]
    rest = {name: value for name, value in vars(row).items() if name not in ("cell", "ours", "source")}
    return {**row.cell._asdict(), **rest, "source": published().sources[row.source].model_dump(), "ours": ours}
