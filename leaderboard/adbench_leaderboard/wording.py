"""Numbers and plain data as words for people."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from string import ascii_letters
from typing import Any, Final

from adbench_harness.metrics.thresholds import HONEST, RULES, TRIVIAL

NOTHING: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
TITLES: Final = {
    HONEST: "95 % of held-out normals",
    "best-f1": "best F1",
    "youden": "Youden",
    "sens-at-spec-95": "sensitivity at specificity 0.95",
    "spec-at-sens-95": "specificity at sensitivity 0.95",
    TRIVIAL: "everything abnormal",
}
LETTER: Final = re.compile(r"[a-zA-Z]|\(\d+\)")
"""Groups beyond the alphabet are numbers in brackets."""
ENDS: Final = "for the finite number of test images; its ends are means over the seeds, whose own spread it leaves out"
"""Of the 95 % interval of a figure that is a mean over seeds."""
AREAS: Final[Mapping[str, str]] = {
    "roc_auc": "ROC AUC",
    "partial_auc": "partial ROC AUC, false positive rate to 0.1, standardised",
    "fpr_at_95_tpr": "false positive rate at sensitivity 0.95",
    "pr_auc": "PR AUC, average precision",
    "random_pr_auc": "PR AUC of random scores",
    "pr_auc_trapezoid": "PR AUC, trapezoid rule",
    "somers_d": f"Somers' D (2 AUC {MINUS} 1)",
    "ks": "Kolmogorov-Smirnov distance",
}
"""Figures that need no threshold, in the order in which they are shown."""
PART_FIGURES: Final = ("n_abnormal", "n_normal", "roc_auc", "pr_auc", "sensitivity", "specificity", "f1")
"""What is shown of a part of the test images."""
NAMES: Final[Mapping[str, str]] = {
    **AREAS,
    "n_abnormal": "abnormal images",
    "n_normal": "normal images",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
}


def rate(value: float | None) -> str:
    """A rate, an area or a kappa, three decimals; one that rounds to nothing has no sign."""
    return NOTHING if value is None else f"{value:z.3f}"


def count(value: float | None) -> str:
    """A whole number with thin spaces between thousands."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def number(value: float | None) -> str:
    """A score or a threshold, four significant digits."""
    if value is None:
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return f"{value:.4g}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 0.1 or seconds == 0 else f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def moment(created: str) -> str:
    """A time stamp without its letters."""
    return created.replace("T", " ").removesuffix("Z")[:16]


def plural(number: int, word: str) -> str:
    """A number of things."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def lettering(letters: str) -> str:
    """Letters of models that can't be told apart, three or more neighbours as a range: "abcde" is "a-e"."""
    runs: list[list[str]] = []
    for name in LETTER.findall(letters):
        if runs and len(name) == 1 and (runs[-1][-1] + name) in ascii_letters:
            runs[-1].append(name)
        else:
            runs.append([name])
    return "\N{NARROW NO-BREAK SPACE}".join(f"{run[0]}\N{EN DASH}{run[-1]}" if len(run) > 2 else "".join(run) for run in runs)


def area_title(name: str) -> str:
    """A figure's name in words."""
    return NAMES.get(name, name)


def rule_title(rule: str) -> str:
    """A rule's name in words."""
    return TITLES.get(rule, rule)


def rule_description(rule: str) -> str:
    """What a rule does; empty for a rule that this adbench does not know."""
    return RULES[rule].description if rule in RULES else ""


def facts(value: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Nested plain data as rows of name and value, the names joined by dots."""
    for name, part in value.items():
        path = f"{within}.{name}" if within else str(name)
        if isinstance(part, Mapping) and part:
            yield from facts(part, path)
        else:
            yield path, plain(part)


def plain(value: object) -> str:
    """A piece of plain data: text as it is, lists of text separated by commas, the rest as JSON."""
    if isinstance(value, str):
        return value or NOTHING
    if value is None or value in ([], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
