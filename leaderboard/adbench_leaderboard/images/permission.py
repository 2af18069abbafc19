"""Which datasets' images a publisher lets onto the site."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from adbench_harness.api import AdbenchError, OptionError, UnknownNameError
from adbench_harness.home import Home, Results
from adbench_harness.registry import unknown_name
from adbench_harness.store.database import reading

from ..site import Choices
from ..wording import plural
from .pictures import Source

if TYPE_CHECKING:
    from adbench_harness.data.listing import Listing

EVERY: Final = "all"
"""Stands for every dataset that has runs."""
UNKNOWN: Final = re.compile(
    r"\s*$|.*(\bunknown\b|not (established|known|stated)|find out for yourself|user's own to know)", re.I | re.S
)
"""Licences that allow nothing, since nobody knows them."""


@dataclass(frozen=True)
class _State:
    """A state of a dataset's files."""

    fingerprint: str
    runs: int
    """On it, and ranked."""
    audited: bool
    kinds: str
    """JSON: its images by kind, empty where there are no runs."""


@dataclass(frozen=True)
class Permission:
    """A publisher's choices, and what to tell the publisher of them."""

    choices: Choices
    notices: Sequence[str]


def permission(results: Results, asked: Sequence[str], home: Home) -> Permission:
    """Whose images may be shown.

    Args:
        results: the runs and audits.
        asked: names of datasets, or "all"; who names a dataset has read its licence.
        home: where the datasets' files lie.

    Raises:
        UnknownNameError: for a dataset that has no run.
        OptionError: if "all" would publish images whose licence nobody knows.
    """
    licences = _licences(results.database) if asked else {}
    for name in asked:
        if name != EVERY and name not in licences:
            raise UnknownNameError(unknown_name("dataset with runs", name, licences))
    unknown = [name for name in licences if name not in asked and UNKNOWN.match(licences[name])]
    if EVERY in asked and unknown:
        raise OptionError(
            f"--with-images all: the licence of {', '.join(unknown)} is not known, so no image goes onto the site; "
            "name each dataset whose images you may publish: --with-images NAME"
        )
    chosen = [name for name in licences if EVERY in asked or name in asked]
    notices = [notice for name in chosen for notice in _notices(name, licences[name], _states(results.database, name), home)]
    return Permission(Choices(frozenset(chosen), results.runs, home, audits=results.audits), notices)


def _licences(database: Path) -> Mapping[str, str]:
    if not database.is_file():
        return {}
    with reading(database) as db:
        return dict(db.execute(_sql("licences")).fetchall())


def _states(database: Path, dataset: str) -> list[_State]:
    if not database.is_file():
        return []
    with reading(database) as db:
        return [_State(*row) for row in db.execute(_sql("picture_states"), {"dataset": dataset}).fetchall()]


def _notices(name: str, licence: str, states: Sequence[_State], home: Home) -> list[str]:
    stated = f"images of {name} go onto the site; their licence: {licence or 'unknown'}; you must be allowed to publish them"
    try:
        listing = Source.of(name, home).listing
    except AdbenchError as error:
        return [stated, f"the files of {name} can't be had here, so atlas and audit have ids in place of pictures: {error}"]
    others = [state for state in states if state.fingerprint != listing.fingerprint]
    return [stated, *([_other_files(name, listing, others, home)] if others else [])]


def _other_files(name: str, listing: Listing, others: Sequence[_State], home: Home) -> str:
    """That the files at hand are not those that were scored or audited, what differs, and what can be done."""
    here = listing.counts()
    differences = [f"fingerprint {listing.fingerprint}, not {', '.join(state.fingerprint for state in others)}"]
    for state in others:
        there: dict[str, int] = json.loads(state.kinds)
        kinds = [kind for kind in sorted({*here, *there}) if here.get(kind, 0) != there.get(kind, 0)] if there else []
        differences += [f"{here.get(kind, 0)} {kind} images, not {there.get(kind, 0)}" for kind in kinds]
    runs = sum(state.runs for state in others)
    whose = " and ".join(filter(None, [plural(runs, "run") if runs else "", "an audit" * any(state.audited for state in others)]))
    return (
        f"the files of {name} in {home.root} are not those of {whose} ({'; '.join(differences)}), which have ids in place of pictures; "
        f"see what is wrong with them (adbench datasets verify {name}), name the home of the other files (--home), or run and audit anew"
    )


def _sql(name: str) -> str:
    return (files("adbench_leaderboard") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
