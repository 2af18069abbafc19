"""How a comparison is printed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import click

from ..metrics.across import FEW_SOURCES
from ..metrics.comparison import Discordance
from ..metrics.groups import FEW
from ..metrics.intervals import Interval
from ..store.pairwise import Bout, Overall, Report
from ..store.planning import Planning
from .show import NONE, estimate, figure, print_rows

WHERE = ("dataset", "task", "split")


def print_report(report: Report, notes: Sequence[str]) -> None:
    """Every table of a comparison, and what has to be said beside it."""
    columns = [*WHERE, "normal", "abnormal", "groups", "model", "seeds", "ROC AUC [95 %]", "interval by"]
    columns += ["letters", "rank"] if len(report.labels) > 2 else []
    print_rows(columns, _area_rows(report), title="Areas", right=["split", "normal", "abnormal", "groups", "seeds"])
    rows = list(_difference_rows(report))
    corrected = f"p (Holm, {len(rows)})"
    columns = [*WHERE, "first", "second", "difference [95 %]", "p", corrected, "d.f."]
    click.echo()
    print_rows(columns, rows, title="Differences of ROC AUC, first minus second", right=["split", "p", corrected, "d.f."])
    _print_decisions(report)
    _print_splits(report)
    for overall in report.overall:
        _print_overall(report, overall)
    if notes:
        click.echo()
    for note in notes:
        click.echo(f"note: {note}")


def _area_rows(report: Report) -> Iterator[list[object]]:
    for bout in report.bouts:
        for label, area in zip(report.labels, bout.areas, strict=True):
            shown = estimate(area.value, area.interval.low, area.interval.high)
            place = [area.letters, _ranks(area.ranks)] if len(report.labels) > 2 else []
            images = [bout.normal, bout.abnormal, bout.groups]
            yield [*_where(bout), *images, label, len(area.seeds), shown, area.interval.method, *place]


def _difference_rows(report: Report) -> Iterator[list[object]]:
    for bout in report.bouts:
        for pair in bout.pairs:
            found = pair.contrast
            freedom = NONE if math.isinf(found.freedom) else f"{found.freedom:.0f}"
            names = report.labels[pair.first], report.labels[pair.second]
            yield [*_where(bout), *names, _signed(found.value, found.interval), _p(found.p), _p(pair.adjusted), freedom]


def _print_decisions(report: Report) -> None:
    made = [(bout, pair.decisions) for bout in report.bouts for pair in bout.pairs if pair.decisions is not None]
    if not made:
        return
    rows = [
        [*_where(bout), *found.runs, name, _counts(tested), f"{tested.difference:+.3f}", _p(tested.p), _p(adjusted)]
        for bout, found in made
        for name, tested, adjusted in zip(
            ("sensitivity", "specificity"), (found.sensitivity, found.specificity), found.adjusted, strict=True
        )
    ]
    columns = [*WHERE, "first", "second", "figure", "right: first only / second only / of", "difference", "p"]
    columns += [f"p (Holm, {len(rows)})"]
    click.echo()
    title = f"Decisions at {made[0][1].rule}, one detector each: McNemar's exact test"
    print_rows(columns, rows, title=title, right=["split", *columns[-3:]])


def _print_splits(report: Report) -> None:
    rows = [
        [dataset, task, report.labels[i], report.labels[j], len(d), f"{sum(d) / len(d):+.3f}", f"{min(d):+.3f} to {max(d):+.3f}"]
        for (dataset, task, i, j), d in over_splits(report).items()
    ]
    if rows:
        columns = ["dataset", "task", "first", "second", "splits", "mean difference", "range"]
        click.echo()
        print_rows(columns, rows, title="Over splits, which share images: no test", right=["splits", "mean difference"])


def over_splits(report: Report) -> dict[tuple[str, str, int, int], list[float]]:
    """Differences on each split by dataset, task, first and second model; only what was tested on several."""
    found: dict[tuple[str, str, int, int], list[float]] = {}
    for bout in report.bouts:
        for pair in bout.pairs:
            key = (bout.meeting.setting.dataset, bout.task, pair.first, pair.second)
            found.setdefault(key, []).append(pair.contrast.value)
    return {key: values for key, values in found.items() if len(values) > 1}


def _print_overall(report: Report, overall: Overall) -> None:
    by_source, sources = overall.found.by_source, overall.found.sources
    rows: list[list[object]] = []
    for pair in overall.pairs:
        ahead = int((by_source[:, pair.first] > by_source[:, pair.second]).sum())
        shown = _signed(pair.difference, pair.interval)
        names = report.labels[pair.first], report.labels[pair.second]
        means = " / ".join(figure(float(overall.found.means[place])) for place in (pair.first, pair.second))
        rows.append([*names, means, shown, _p(pair.p), _p(pair.adjusted), f"{ahead} of {len(sources)}"])
    corrected = f"p (Holm, {sum(len(one.pairs) for one in report.overall)})"
    columns = ["first", "second", "means", "difference [95 %]", "p", corrected, "first ahead on"]
    title = f"Mean ROC AUC over sources ({', '.join(sources)}), {overall.protocol}, split {overall.split}: paired bootstrap"
    click.echo()
    print_rows(columns, rows, title=title, right=["p", corrected])


def general_notes(report: Report) -> Iterator[str]:
    """What may not be concluded, as far as the data decide it."""
    grouped = sorted({bout.meeting.setting.dataset for bout in report.bouts if bout.groups is not None})
    if grouped:
        yield f"images of one group do not count as independent on {', '.join(grouped)} (Obuchowski 1997)"
    if few := sorted({bout.meeting.setting.dataset for bout in report.bouts if bout.has_few_groups}):
        yield f"fewer than {FEW} groups in a class on {', '.join(few)}: intervals there are too narrow, and p-values too small"
    unknown = sorted({bout.meeting.setting.dataset for bout in report.bouts if bout.groups is None})
    if unknown:
        yield f"no groups are known on {', '.join(unknown)}: where images share patients, intervals are too narrow"
    areas = [(label, area) for bout in report.bouts for label, area in zip(report.labels, bout.areas, strict=True)]
    if single := sorted({label for label, area in areas if len(area.seeds) == 1}):
        yield f"one seed of {', '.join(single)}: this is about the detectors as trained, not about training them again"
    sources = [len(overall.found.sources) for overall in report.overall if len(overall.found.sources) < FEW_SOURCES]
    if sources:
        words = "1 independent source" if min(sources) == 1 else f"{min(sources)} independent sources"
        yield f"{words}: the mean is that of these datasets, and says nothing about datasets not seen"


def print_plannings(found: Sequence[Planning]) -> None:
    """What test sets can show, and on which assumptions."""
    columns = ["dataset", "task", "protocol", "split", "normal", "abnormal", "groups", "AUC", "correlation"]
    columns += ["smallest difference", f"images for {found[0].wanted} (normal + abnormal)"]
    print_rows(columns, map(_planning_row, found), title="At 80 % power, two-sided, alpha 0.05", right=columns[3:])
    for one in found:
        click.echo(f"note: {one.dataset}, {one.task}, split {one.split}: {_assumptions(one)}")
        if one.inverted:
            models = "1 model" if one.inverted == 1 else f"{one.inverted} models"
            click.echo(f"note: left out there: {models} with an AUC below 0.5; name models with --model to choose others")


def _planning_row(one: Planning) -> list[object]:
    design = one.design
    figures = [figure(design.area), figure(design.correlation), figure(one.smallest)]
    place = [one.dataset, one.task, one.protocol, one.split, design.normal, design.abnormal, one.groups]
    return [*place, *figures, f"{one.needed.normal} + {one.needed.abnormal}"]


def _assumptions(one: Planning) -> str:
    if one.design.variance is None:
        return f"AUC {one.design.area} and correlation {one.design.correlation} are assumed"
    by = "by groups" if one.groups is not None else "as if images were independent"
    models = "1 stored model" if one.models == 1 else f"{one.models} stored models"
    area = f"AUC and its standard error ({math.sqrt(one.design.variance):.3f}, {by}) are medians of {models}"
    if not one.pairs:
        return f"{area}; the correlation {one.design.correlation} of two models' AUCs is assumed"
    pairs = "1 pair" if one.pairs == 1 else f"{one.pairs} pairs"
    return f"{area}, the correlation is that of {pairs}, one seed each"


def _where(bout: Bout) -> list[object]:
    return [bout.meeting.setting.dataset, bout.task, bout.meeting.split]


def _signed(value: float, interval: Interval) -> str:
    return f"{value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _counts(tested: Discordance) -> str:
    return f"{tested.first_only} / {tested.second_only} / {tested.images}"


def _ranks(ranks: tuple[int, int]) -> str:
    low, high = ranks
    return str(low) if low == high else f"{low} to {high}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
