"""Cells and rows of tables, made without a template: a site of many runs has millions of them.

Numbers and names of ours go into them; words of others go through ``_text``, as they do through a template.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from markupsafe import Markup

from adbench_harness.metrics.thresholds import TRIVIAL

from . import names
from .charts import CellValue, Figure, share
from .queries import ALL, NO_RULE, PartRow, Run
from .views.parts import Part, Parts
from .wording import AREAS, NOTHING, count, number, rate, rule_title

COUNTED: Final = ("tp", "fn", "fp", "tn")
RATED: Final = ("sensitivity", "specificity", "precision", "f1")
ORACLE: Final = ' <span class="tag oracle">oracle</span>'
Ends = tuple[float, float] | None


def bar(value: float | None, kind: str, low: float | None = None, high: float | None = None) -> Markup:
    """A bar of a rate, with a line for its interval; ``kind`` is the class that colours it."""
    return _markup(_bar(value, kind, low, high))


def estimate(run: Run, name: str, rule: str = NO_RULE, task: str = ALL) -> Markup:
    """A figure of a run with its interval."""
    return _markup(_estimate(run, name, rule, task))


def counts(run: Run, rule: str, task: str) -> Markup:
    """What a rule gives: four rates, four counts, the threshold."""
    return _markup(_counts(run, rule, task))


def random_counts(run: Run, rule: str, task: str) -> Markup:
    """What random scores give at a rule, in the columns of ``counts``."""
    return _markup(_random_counts(run, rule, task))


def decisions(run: Run, task: str, oracles: frozenset[str]) -> Markup:
    """A row a rule, then what takes no detector."""
    rules = {rule: _rule(rule, oracles) for rule in run.rules if rule != TRIVIAL}
    rows = [f'<tr><th scope="row">{title}</th>{_counts(run, rule, task)}</tr>' for rule, title in rules.items()]
    rows.append(f'<tr class="trivial"><th scope="row">every image called abnormal</th>{_counts(run, TRIVIAL, task)}</tr>')
    rows += [
        f'<tr class="trivial"><th scope="row">random scores, {title}</th>{_random_counts(run, rule, task)}</tr>'
        for rule, title in rules.items()
    ]
    return _markup("\n".join(rows))


def areas(run: Run, task: str) -> Markup:
    """A row a figure that needs no threshold, of those that the run has."""
    return _markup(
        "\n".join(
            f'<tr><th scope="row">{title}</th><td class="num">{_estimate(run, name, NO_RULE, task)}</td></tr>'
            for name, title in AREAS.items()
            if run.figure(name, NO_RULE, task) is not None
        )
    )


def parts(table: Parts) -> Markup:
    """A row a part; with a column for the task if any part has one."""
    tasked = any(one.task for one in table.lines)
    return _markup("\n".join(_part_row(one, table, tasked) for one in table.lines))


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and values of a list of facts."""
    return _markup("\n".join(f"<div><dt>{_text(name)}</dt><dd>{_linked(value)}</dd></div>" for name, value in pairs))


def values(found: Iterable[float | None]) -> Markup:
    """Scores, losses or thresholds."""
    return _markup("".join(f'<td class="num">{number(value)}</td>' for value in found))


def plotted(figure: Figure) -> Markup:
    """A row a row of the table behind a chart; its leading columns name it."""
    return _markup(
        "\n".join(
            "<tr>"
            + "".join(f'<th scope="row">{_plotted(cell)}</th>' for cell in row[: figure.heads])
            + "".join(f'<td class="num">{_plotted(cell)}</td>' for cell in row[figure.heads :])
            + "</tr>"
            for row in figure.rows
        )
    )


def _plotted(cell: CellValue) -> str:
    if isinstance(cell, str):
        return _text(cell)
    return count(cell) if isinstance(cell, int) else number(cell)


def _counts(run: Run, rule: str, task: str) -> str:
    rates = "".join(f'<td class="num">{_estimate(run, name, rule, task)}</td>' for name in RATED)
    numbers = "".join(f'<td class="num">{count(run.figure(name, rule, task))}</td>' for name in COUNTED)
    return f'{rates}{numbers}<td class="num">{number(run.figure("threshold", rule, task))}</td>'


def _random_counts(run: Run, rule: str, task: str) -> str:
    rates = "".join(f'<td class="num">{_estimate(run, f"random_{name}", rule, task)}</td>' for name in RATED)
    return f'{rates}<td class="num none" colspan="5">mean and middle 95 % of draws</td>'


def _rule(rule: str, oracles: frozenset[str]) -> str:
    return f"{_text(rule_title(rule))}{ORACLE if rule in oracles else ''}"


def _part_row(one: Part, table: Parts, tasked: bool) -> str:
    task = f"<td>{_text(one.task)}</td>" if tasked else ""
    kind = table.figure[:4]
    shown = [_part(one.figures.get((rule, table.figure)), kind) for rule in table.rules]
    shown += [_part(one.figures.get((NO_RULE, name)), "") for name in table.whole]
    return f'<tr><th scope="row">{_text(one.name)}</th>{task}<td class="num">{count(one.images)}</td>{"".join(shown)}</tr>'


def _part(row: PartRow | None, kind: str) -> str:
    if row is None:
        return '<td class="num"></td>'
    ends = (row.low, row.high) if row.low is not None and row.high is not None else None
    drawn = _bar(row.value, kind, row.low, row.high) if kind else ""
    return f'<td class="num{f" rate {kind}" if kind else ""}">{rate(row.value)}{_interval(ends)}{_range(row.runs)}{drawn}</td>'


def _text(words: str) -> str:
    """Words of others: no markup, no control characters."""
    return html.escape(names.printable(words))


def _linked(words: str) -> str:
    shown = _text(words)
    return f'<a href="{shown}" rel="noopener noreferrer nofollow">{shown}</a>' if names.web_address(words) else shown


def _estimate(run: Run, name: str, rule: str, task: str) -> str:
    value = run.figure(name, rule, task)
    return NOTHING if value is None else f"{rate(value)}{_interval(run.interval(name, rule, task))}"


def _interval(ends: Ends) -> str:
    return "" if ends is None else f' <span class="span">[{rate(ends[0])}, {rate(ends[1])}]</span>'


def _range(ends: Ends) -> str:
    """The range of several runs, if they differ."""
    return (
        "" if ends is None or ends[0] == ends[1] else f' <span class="span">runs {rate(ends[0])}\N{EN DASH}{rate(ends[1])}</span>'
    )


def _bar(value: float | None, kind: str, low: float | None, high: float | None) -> str:
    inside = ""
    if value is not None:
        inside = f'<rect class="track" width="100" height="6"/><rect class="fill" width="{share(value)}" height="6"/>'
        if low is not None and high is not None and low != high:
            inside += f'<line class="range" x1="{share(low)}" x2="{share(high)}" y1="3" y2="3"/>'
    return f'<svg class="bar {kind}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">{inside}</svg>'


def _markup(made: str) -> Markup:
    return Markup(made)
