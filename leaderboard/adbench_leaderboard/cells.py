"""Cells of tables, made without a template: a site of many runs has millions of them.

Only numbers and names of ours go into them, so that nothing in them has to be escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup

from .charts import share
from .queries import ALL, NO_RULE, PartRow, Run
from .wording import NOTHING, count, number, rate

COUNTED: Final = ("tp", "fn", "fp", "tn")
RATED: Final = ("sensitivity", "specificity", "precision", "f1")
Ends = tuple[float, float] | None


def bar(value: float | None, kind: str, low: float | None = None, high: float | None = None) -> Markup:
    """A bar of a rate, with a line for its interval; ``kind`` is the class that colours it."""
    return _markup(_bar(value, kind, low, high))


def estimate(run: Run, name: str, rule: str = NO_RULE, task: str = ALL) -> Markup:
    """A figure of a run with its interval."""
    return _markup(_estimate(run, name, rule, task))


def counts(run: Run, rule: str, task: str) -> Markup:
    """What a rule gives: four rates, four counts, the threshold."""
    rates = "".join(f'<td class="num">{_estimate(run, name, rule, task)}</td>' for name in RATED)
    numbers = "".join(f'<td class="num">{count(run.figure(name, rule, task))}</td>' for name in COUNTED)
    return _markup(f'{rates}{numbers}<td class="num">{number(run.figure("threshold", rule, task))}</td>')


def random_counts(run: Run, rule: str, task: str) -> Markup:
    """What random scores give at a rule, in the columns of ``counts``."""
    rates = "".join(f'<td class="num">{_estimate(run, f"random_{name}", rule, task)}</td>' for name in RATED)
    return _markup(f'{rates}<td class="num none" colspan="5">mean and middle 95 % of draws</td>')


def values(found: Iterable[float | None]) -> Markup:
    """Scores, losses or thresholds."""
    return _markup("".join(f'<td class="num">{number(value)}</td>' for value in found))


def part(row: PartRow | None, kind: str = "") -> Markup:
    """A figure of a part of the test images; with a bar of that kind if there is one."""
    if row is None:
        return _markup('<td class="num"></td>')
    ends = (row.low, row.high) if row.low is not None and row.high is not None else None
    drawn = _bar(row.value, kind, row.low, row.high) if kind else ""
    return _markup(
        f'<td class="num{f" rate {kind}" if kind else ""}">{rate(row.value)}{_interval(ends)}{_range(row.runs)}{drawn}</td>'
    )


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
