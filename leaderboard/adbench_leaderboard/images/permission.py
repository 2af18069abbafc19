"""Which datasets' images a publisher lets onto the site."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from adbench_harness.api import AdbenchError, OptionError, UnknownNameError
from adbench_harness.home import Home
from adbench_harness.registry import unknown_name
from adbench_harness.store.database import reading

from ..site import Choices
from .pictures import Source

EVERY: Final = "all"
"""Stands for every dataset that has runs."""
UNKNOWN: Final = re.compile(
    r"\s*$|.*(\bunknown\b|not (established|known|stated)|find out for yourself|user's own to know)", re.I | re.S
)
"""Licences that allow nothing, since nobody knows them."""


@dataclass(frozen=True)
class Permission:
    """A publisher's choices, and what to tell the publisher of them."""

    choices: Choices
    notices: Sequence[str]


def permission(database: Path, asked: Sequence[str], runs: Path, home: Home) -> Permission:
    """Whose images may be shown.

    Args:
        database: of the runs.
        asked: names of datasets, or "all"; who names a dataset has read its licence.
        runs: the folder of run folders.
        home: where the datasets' files lie.

    Raises:
        UnknownNameError: for a dataset that has no run.
        OptionError: if "all" would publish images whose licence nobody knows.
    """
    licences = _licences(database) if asked else {}
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
    notices = [notice for name in chosen for notice in _notices(name, licences[name], home)]
    return Permission(Choices(frozenset(chosen), runs, home), notices)


def _licences(database: Path) -> Mapping[str, str]:
    if not database.is_file():
        return {}
    sql = (files("adbench_leaderboard") / "sql" / "licences.sql").read_text(encoding="utf-8")
    with reading(database) as db:
        return dict(db.execute(sql).fetchall())


def _notices(name: str, licence: str, home: Home) -> list[str]:
    stated = f"images of {name} go onto the site; their licence: {licence or 'unknown'}; you must be allowed to publish them"
    try:
        Source.of(name, home)
    except AdbenchError as error:
        return [stated, f"the files of {name} can't be had here, so its atlas has ids in place of pictures: {error}"]
    return [stated]
