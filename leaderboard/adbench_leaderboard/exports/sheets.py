"""The site's tables as CSV, a file a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from adbench_harness.metrics.thresholds import TRIVIAL

from .. import names
from ..queries import NO_RULE, Run
from ..site import File, Site
from ..tables import Spread
from ..views.overview import Overview, overviews
from ..wording import AREAS

if TYPE_CHECKING:
    from adbench_harness.reproduction import Mark

Value = str | int | float | None
STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula."""
RATES: Final = ("sensitivity", "specificity", "precision", "f1", "balanced_accuracy", "mcc")
COUNTS: Final = ("tp", "fn", "fp", "tn", "threshold")


def sheets(site: Site) -> Iterator[tuple[File, str]]:
    """Each table with its title: the runs, the boards of the first page, three a dataset, the reproduction."""
    yield sheet("data/runs.csv", map(_run_row, site.runs)), "All runs: what they are of, and their ROC AUC"
    found = overviews(site)
    for one in found:
        key = one.board.key
        yield sheet(one.csv, _board_rows(one)), f"First page, {key.name} version {key.version}"
    for dataset in site.datasets:
        runs = [run for run in site.runs if run.dataset == dataset]
        rows = list(_standing_rows(found, dataset))
        if rows:
            yield sheet(names.dataset_sheet("standing", dataset), rows), f"{dataset}: who can be told apart, split by split"
        yield (
            sheet(names.dataset_sheet("rules", dataset), _rule_rows(runs)),
            f"{dataset}: what each rule gives in each run, by task",
        )
        yield sheet(names.dataset_sheet("areas", dataset), _area_rows(runs)), f"{dataset}: figures without a threshold, by task"
    if compared := list(_reproduction_rows(site)):
        yield sheet("data/reproduction.csv", compared), "The study's Table 3 beside ours"


def sheet(path: str, rows: Iterable[Mapping[str, Value]]) -> File:
    """Rows of the same columns as a file; no word in it is a formula to a spreadsheet, or turns the text that follows it."""
    out = io.StringIO()
    writer = csv.writer(out)
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow(map(_cell, row.values()))
    return File(path, out.getvalue().encode("utf-8", "backslashreplace"))


def _cell(value: Value) -> str | int | float:
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    return names.printable(f"'{value}" if value.startswith(STARTS) else value)


def _identity(run: Run) -> dict[str, Value]:
    return {
        "run_id": run.run_id,
        "model": run.model,
        "variant": run.variant,
        "dataset": run.dataset,
        "fingerprint": run.fingerprint,
        "protocol": run.protocol,
        "protocol_version": run.protocol_version,
        "fit_digest": run.fit_digest,
        "evaluation_digest": run.evaluation_digest,
        "split": run.split,
        "seed": run.seed,
        "unranked": run.unranked,
        "status": run.status,
        "newest": int(run.newest),
    }


def _estimate(run: Run, name: str, rule: str, task: str) -> dict[str, Value]:
    low, high = run.interval(name, rule, task) or (None, None)
    return {name: run.figure(name, rule, task), f"{name}_low": low, f"{name}_high": high}


def _run_row(run: Run) -> dict[str, Value]:
    facts: dict[str, Value] = {
        "created": run.created,
        "device": run.device,
        "seconds": run.seconds,
        "parameters": run.parameters,
        "n_abnormal": run.figure("n_abnormal"),
        "n_normal": run.figure("n_normal"),
    }
    return {**_identity(run), **facts, **_estimate(run, "roc_auc", NO_RULE, "all")}


def _rule_rows(runs: Iterable[Run]) -> Iterator[dict[str, Value]]:
    for run in runs:
        for task in run.tasks:
            for rule in (*run.rules, *(() if TRIVIAL in run.rules else (TRIVIAL,))):
                if run.figure("sensitivity", rule, task) is None:
                    continue
                rates = {key: value for name in RATES for key, value in _estimate(run, name, rule, task).items()}
                counts: dict[str, Value] = {name: run.figure(name, rule, task) for name in COUNTS}
                yield {**_identity(run), "task": task, "rule": rule, "oracle": int(rule in run.oracles), **rates, **counts}


def _area_rows(runs: Iterable[Run]) -> Iterator[dict[str, Value]]:
    for run in runs:
        for task in run.tasks:
            counts: dict[str, Value] = {name: run.figure(name, task=task) for name in ("n_abnormal", "n_normal")}
            areas = {key: value for name in AREAS for key, value in _estimate(run, name, NO_RULE, task).items()}
            yield {**_identity(run), "task": task, **counts, **areas}


def _spread(name: str, found: Spread | None) -> dict[str, Value]:
    low, high = found.interval if found and found.interval else (None, None)
    ends = (found.low, found.high) if found else (None, None)
    mean = found.mean if found else None
    return {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_lowest_run": ends[0], f"{name}_highest_run": ends[1]}


def _board_rows(one: Overview) -> Iterator[dict[str, Value]]:
    """A row a model, dataset and rule; where nothing was run there is no row."""
    for model in one.board.models:
        for dataset in one.board.datasets:
            if not one.cell(model, dataset):
                continue
            place = one.place(model, dataset)
            for rule in one.rules or [NO_RULE]:
                yield {
                    "protocol": one.board.key.name,
                    "protocol_version": one.board.key.version,
                    "fit_digest": one.board.key.fit_digest,
                    "evaluation_digest": one.board.key.evaluation_digest,
                    "model": model.model,
                    "variant": model.variant,
                    "options": model.options,
                    "dataset": dataset.name,
                    "fingerprint": dataset.fingerprint,
                    "split": one.split(dataset).number,
                    "rule": rule,
                    "oracle": int(rule in one.oracles),
                    **_spread("sensitivity", one.rate(model, dataset, "sensitivity", rule)),
                    **_spread("specificity", one.rate(model, dataset, "specificity", rule)),
                    **_spread("roc_auc", one.area(model, dataset)),
                    "letters": place.letters if place else None,
                    "lowest_rank": place.ranks[0] if place else None,
                    "highest_rank": place.ranks[1] if place else None,
                    "runs": len(one.board.cells[model, dataset].runs),
                }


def _standing_rows(found: Sequence[Overview], dataset: str) -> Iterator[dict[str, Value]]:
    for one in found:
        for state in one.board.on(dataset):
            for split in one.standing.splits[state]:
                for model, place in split.places.items():
                    yield {
                        "protocol": one.board.key.name,
                        "protocol_version": one.board.key.version,
                        "fit_digest": one.board.key.fit_digest,
                        "evaluation_digest": one.board.key.evaluation_digest,
                        "fingerprint": state.fingerprint,
                        "split": split.number,
                        "abnormal": split.abnormal,
                        "normal": split.normal,
                        "groups": split.groups,
                        "model": model.model,
                        "variant": model.variant,
                        "options": model.options,
                        "roc_auc": place.area,
                        "roc_auc_low": place.interval[0],
                        "roc_auc_high": place.interval[1],
                        "letters": place.letters,
                        "lowest_rank": place.ranks[0],
                        "highest_rank": place.ranks[1],
                        "seeds": " ".join(map(str, place.seeds)),
                    }


def _reproduction_rows(site: Site) -> Iterator[dict[str, Value]]:
    from adbench_harness.published import published
    from adbench_harness.reproduction import FIGURES

    from ..views.beside import beside

    for one in beside(site, published().study.cells(), FIGURES):
        row, ours, manifest = one.row, one.row.ours, one.series.manifest
        version, evaluation = manifest.protocol.get("version"), manifest.protocol.get("evaluation_digest")
        yield {
            "dataset": row.cell.dataset,
            "fingerprint": one.series.runs[0].fingerprint,
            "task": row.cell.task,
            "model": row.cell.model,
            "variant": row.variant,
            "protocol": manifest.cell.protocol,
            "protocol_version": version if isinstance(version, int) else None,
            "fit_digest": manifest.cell.fit_digest,
            "evaluation_digest": evaluation if isinstance(evaluation, str) else None,
            "split": manifest.cell.split,
            "seeds": " ".join(map(str, sorted(row.values))),
            "unranked": one.unranked or None,
            "figure": row.figure,
            "rule": one.rule,
            "oracle": int(one.rule in site.oracles),
            "study": row.study.value,
            "study_low": row.study.low,
            "study_high": row.study.high,
            "ours": ours.value if ours else None,
            "ours_low": ours.low if ours else None,
            "ours_high": ours.high if ours else None,
            "gap": row.gap,
            "verdict": one.verdict,
            "not_comparable": _marks(row.barred),
            "marks": _marks(row.marks),
        }


def _marks(marks: Sequence[Mark]) -> str:
    """What must be known of a row, each mark as "word: what it means"."""
    return "; ".join(f"{mark.word}: {mark.text}" for mark in marks)
