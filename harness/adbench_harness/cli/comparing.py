"""adbench results compare, adbench results power."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import json_option, results_option

if TYPE_CHECKING:
    from ..metrics.comparison import Discordance
    from ..metrics.intervals import Interval
    from ..store.pairwise import Bout, Decisions, Overall, Pair, Report
    from ..store.planning import Planning

ALL_TASK = "all"


@click.command("compare")
@click.argument("models", nargs=-1, required=True)
@click.option("--dataset", help="Only this dataset.  [default: all that the models have in common]")
@click.option(
    "--task", "tasks", multiple=True, default=(ALL_TASK,), show_default=True, help="Abnormal images to test on; repeatable."
)
@click.option("--split", type=click.IntRange(min=0), help="Only this split.  [default: all that the models have in common]")
@click.option("--rule", help="Honest threshold rule for the test of decisions.  [default: normal-q95, where runs have it]")
@click.option("--protocol", help="Only runs under this protocol.")
@results_option
@json_option
def compare(
    models: tuple[str, ...],
    dataset: str | None,
    tasks: tuple[str, ...],
    split: int | None,
    rule: str | None,
    protocol: str | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Test which of two or more models is better, on the same images.

    MODELS are models or variants as in "results list", or run ids or their beginnings. Compared are areas under the ROC curve
    (DeLong; by groups where they are known), decisions at an honest threshold (McNemar), and the mean area over datasets (paired
    bootstrap). p-values are corrected by Holm over the table. What the tests mean: docs/comparing.md.

    \b
    Examples:
      adbench results compare f-anogan multikd
      adbench results compare f-anogan ganomaly multikd --dataset head-ct --json
    """
    from ..api import OptionError
    from ..home import Results
    from ..store.contenders import by_id_notes, contender, meetings, stored_runs
    from ..store.database import reading
    from ..store.pairwise import compare as compare_stored
    from .comparison_tables import general_notes, print_report
    from .show import print_json
    from .stored import take_in

    if len(models) < 2:
        raise OptionError("a comparison needs two models; see: adbench results list")
    folder = Results.at(results_folder)
    take_in(folder)
    with reading(folder.database) as db:
        stored = stored_runs(db)
        contenders = [contender(word, stored) for word in models]
        met = meetings(contenders, dataset, split, protocol)
        report = compare_stored(db, contenders, met.found, tuple(dict.fromkeys(tasks)), rule)
    notes = [*by_id_notes(contenders), *met.notes, *report.notes, *general_notes(report)]
    if as_json:
        print_json(_report_json(report, notes))
    else:
        print_report(report, notes)


@click.command("power")
@click.argument("dataset")
@click.option(
    "--model", "models", multiple=True, help="Only runs of this model, variant or id; repeatable.  [default: all that are ranked]"
)
@click.option("--task", help="Only this task.  [default: every task]")
@results_option
@json_option
def power(dataset: str, models: tuple[str, ...], task: str | None, results_folder: Path | None, as_json: bool) -> None:
    """The smallest difference of two ROC AUCs that a dataset's test images can show, and how many would show 0.05.

    At 80 % power, two-sided, alpha 0.05. How well models do and how alike they err is taken from the runs that are stored.

    \b
    Example:
      adbench results power head-ct
    """
    from ..home import Results
    from ..store.contenders import contender, stored_runs
    from ..store.database import reading
    from ..store.planning import plannings
    from .comparison_tables import print_plannings
    from .show import print_json
    from .stored import take_in

    folder = Results.at(results_folder)
    take_in(folder)
    with reading(folder.database) as db:
        stored = stored_runs(db)
        found = plannings(db, stored, dataset, [contender(word, stored) for word in models], task)
    if as_json:
        print_json([_planning_json(one) for one in found])
    else:
        print_plannings(found)


def _report_json(report: Report, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "models": list(report.labels),
        "test_sets": [_bout_json(report, bout) for bout in report.bouts],
        "over_splits": _splits_json(report),
        "over_datasets": [_overall_json(report, overall) for overall in report.overall],
        "notes": list(notes),
    }


def _bout_json(report: Report, bout: Bout) -> dict[str, Any]:
    areas = [
        {"model": label, "roc_auc": area.value, **_interval_json(area.interval), "seeds": area.seeds, "runs": area.runs}
        | {"letters": area.letters, "ranks": area.ranks}
        for label, area in zip(report.labels, bout.areas, strict=True)
    ]
    return {
        **bout.meeting.setting._asdict(),
        "split": bout.meeting.split,
        "task": bout.task,
        "independent_source": bout.source,
        "normal": bout.normal,
        "abnormal": bout.abnormal,
        "groups": bout.groups,
        "areas": areas,
        "differences": [_pair_json(report, pair) for pair in bout.pairs],
    }


def _pair_json(report: Report, pair: Pair) -> dict[str, Any]:
    found = pair.contrast
    return {
        "first": report.labels[pair.first],
        "second": report.labels[pair.second],
        "difference": found.value,
        **_interval_json(found.interval),
        "p": found.p,
        "p_holm": pair.adjusted,
        "degrees_of_freedom": found.freedom,
        "decisions": None if pair.decisions is None else _decisions_json(pair.decisions),
    }


def _decisions_json(decisions: Decisions) -> dict[str, Any]:
    def plain(tested: Discordance, adjusted: float) -> dict[str, Any]:
        return {**vars(tested), "difference": tested.difference, "p_holm": adjusted}

    return {
        "rule": decisions.rule,
        "runs": decisions.runs,
        "sensitivity": plain(decisions.sensitivity, decisions.adjusted[0]),
        "specificity": plain(decisions.specificity, decisions.adjusted[1]),
    }


def _splits_json(report: Report) -> list[dict[str, Any]]:
    from .comparison_tables import over_splits

    return [
        {"dataset": dataset, "task": task, "first": report.labels[first], "second": report.labels[second], "differences": values}
        for (dataset, task, first, second), values in over_splits(report).items()
    ]


def _overall_json(report: Report, overall: Overall) -> dict[str, Any]:
    return {
        "protocol": overall.protocol,
        "split": overall.split,
        "test_sets": [{"dataset": dataset, "task": task} for dataset, task in overall.tasks],
        "sources": [
            {"source": source, "roc_auc": dict(zip(report.labels, values, strict=True))}
            for source, values in zip(overall.found.sources, overall.found.by_source.tolist(), strict=True)
        ],
        "differences": [
            {"first": report.labels[pair.first], "second": report.labels[pair.second], "difference": pair.difference}
            | {**_interval_json(pair.interval), "p": pair.p, "p_holm": pair.adjusted, "degrees_of_freedom": pair.freedom}
            for pair in overall.pairs
        ],
    }


def _planning_json(one: Planning) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "task": one.task,
        "protocol": one.protocol,
        "split": one.split,
        "normal": one.design.normal,
        "abnormal": one.design.abnormal,
        "groups": one.groups,
        "roc_auc": one.design.area,
        "correlation": one.design.correlation,
        "standard_error_of_difference": one.design.standard_error(),
        "models": one.models,
        "pairs": one.pairs,
        "left_out_below_half": one.inverted,
        "smallest_difference": one.smallest,
        "needed": {"difference": one.wanted, "normal": one.needed.normal, "abnormal": one.needed.abnormal},
    }


def _interval_json(interval: Interval) -> dict[str, Any]:
    return {"low": interval.low, "high": interval.high, "interval": interval.method}
