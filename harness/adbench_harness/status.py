"""How far a run can be believed: it was run here, or it came in a bundle and was or was not scored or trained again here.

That a run came in a bundle stands in its manifest. What was found since lies beside it in ``status.json``, which no figure depends
on: a list of checks, the newest last.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .api import StoreError
from .home import put_in_place
from .manifest import Manifest

Lifted = Literal["re-scored", "re-trained"]
"""What a check can make of a run."""
Status = Literal["self-reported", "re-scored", "re-trained", "run here"]

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
"""From the least to the most that is known here."""
HERE: Final[Status] = "run here"
MEANINGS: Final[dict[Status, str]] = {
    "self-reported": "the scores are as somebody else sent them; every figure was computed here from them, on our labels and split",
    "re-scored": "the sent weights were loaded here, and give the sent scores",
    "re-trained": "the same run was trained here, and gives the sent scores",
    "run here": "trained and scored by whoever publishes this",
}
FILE: Final = "status.json"
FORMAT: Final = 1
LARGEST: Final = 1 << 20
"""Bytes."""


class Agreement(BaseModel):
    """Scores of a run beside others of the same run, image by image."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    images: int
    """Test and held-out images."""
    max_difference: float = Field(ge=0)
    """The largest absolute difference of two scores of one image."""
    spread: float = Field(ge=0)
    """What it is measured by: the interquartile range of the scores that are compared with."""
    rank_correlation: float | None
    """Spearman's, over the test images; None where one side has equal scores only."""

    @property
    def share(self) -> float:
        """The largest difference as a share of the spread."""
        return self.max_difference / self.spread if self.spread > 0 else float(self.max_difference > 0)

    @property
    def largest(self) -> str:
        """The largest difference, for people."""
        return (
            f"the largest difference of {self.images} scores is {self.max_difference:.3g}, {self.share:.3g} of their "
            "interquartile range"
        )

    @property
    def correlation(self) -> str:
        """The rank correlation, for people; empty if there is none."""
        return "" if self.rank_correlation is None else f", rank correlation of test images {self.rank_correlation:.6f}"


class Check(Agreement):
    """Scores that were sent beside scores that were made here."""

    kind: Lifted
    agrees: bool
    """Whether no score differs by more than the tolerance."""
    date: str
    """UTC, ISO 8601."""
    device: str
    """What the scores were made on here."""
    adbench: str
    tolerance: float = Field(gt=0)
    """The largest difference that agrees, as a share of the spread."""

    @property
    def words(self) -> str:
        """What was found, for people."""
        verdict = "agrees" if self.agrees else "does NOT agree"
        return f"{self.kind} {self.date[:10]} on {self.device}: {verdict}; {self.largest} (tolerance {self.tolerance:g}){self.correlation}"


class Checks(BaseModel):
    """What ``status.json`` holds."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    run_id: str
    checks: tuple[Check, ...] = ()

    def latest(self, kind: Lifted) -> Check | None:
        """The newest check of a kind."""
        return next((check for check in reversed(self.checks) if check.kind == kind), None)


def checks_text(folder: Path) -> str | None:
    """The content of a run folder's ``status.json`` as it is; None if there is none, or it can't be read."""
    path = folder / FILE
    try:
        return path.read_text(encoding="utf-8") if path.is_file() and path.stat().st_size <= LARGEST else None
    except (OSError, UnicodeDecodeError):
        return None


def read_checks(folder: Path, run_id: str) -> Checks:
    """What was checked of a run; nothing if there is no file.

    Raises:
        StoreError: if the file can't be read, is another run's, or was written by a newer adbench.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return Checks(run_id=run_id)
    text = checks_text(folder)
    try:
        found = Checks.model_validate_json(text or "")
    except ValidationError:
        raise StoreError(f"{path} can't be read; remove it, then check the run again: adbench results verify {run_id}") from None
    if found.format > FORMAT:
        raise StoreError(f"{path} was written by a newer adbench; upgrade: pip install --upgrade adbench-harness")
    if found.run_id != run_id:
        raise StoreError(f"{path} is that of run {found.run_id}; remove it, or put it back")
    return found


def checks_of(text: str | None) -> tuple[Check, ...]:
    """What was checked, from the content of a ``status.json`` that was read before."""
    return Checks.model_validate_json(text).checks if text else ()


def write_checks(folder: Path, checks: Checks) -> None:
    """Put ``status.json`` in place, whole or not at all. Raises StoreError if it can't be written."""
    path = folder / FILE
    try:
        with put_in_place(path) as unfinished:
            unfinished.write_text(checks.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from None


def status_of(manifest: Manifest, checks: Checks) -> Status:
    """The highest that a run's newest checks allow."""
    if manifest.received is None:
        return HERE
    agreed: Sequence[Status] = [kind for kind in get_args(Lifted) if (found := checks.latest(kind)) and found.agrees]
    return agreed[-1] if agreed else STATUSES[0]


def doubt(manifest: Manifest, checks: Checks) -> str | None:
    """Why a received run must not be ranked whatever its manifest says; None if nothing speaks against it.

    Weights that give other scores do. Training again does not: on other hardware it may end elsewhere without anybody's fault.
    """
    found = checks.latest("re-scored")
    if manifest.received is None or found is None or found.agrees:
        return None
    return (
        f"not what its weights give: scored again here, a score differs by {found.share:.3g} of the scores' interquartile range"
    )


def rank_sql(column: str) -> str:
    """SQL for the place of a status on the ladder, higher = more is known here."""
    return f"list_position([{', '.join(repr(status) for status in STATUSES)}], {column})"
