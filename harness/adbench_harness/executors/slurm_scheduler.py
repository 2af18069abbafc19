"""What SLURM is asked, by commands and by jobs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

_T = TypeVar("_T")

SCHEDULER_SECONDS: Final = 60.0
"""One that has not answered by then does not answer."""
LARGEST_ARRAY: Final = 1001
"""SLURM's own default for MaxArraySize."""


def scheduler_says(*command: str) -> str | None:
    """What a command of SLURM prints; None if it fails, or takes too long. Ctrl-C, which comes to all that a terminal runs, is not for it."""
    try:
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=SCHEDULER_SECONDS, start_new_session=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None


@dataclass(frozen=True)
class Cluster:
    """What it says of itself."""

    name: str
    largest_array: int = LARGEST_ARRAY

    @classmethod
    def ask(cls) -> Cluster | None:
        """The one that jobs are submitted to; None if it does not answer."""
        if (told := scheduler_says("scontrol", "show", "config")) is None:
            return None
        words = dict(re.findall(r"^\s*(ClusterName|MaxArraySize)\s*=\s*(\S+)", told, re.MULTILINE))
        return cls(words.get("ClusterName", ""), max(1, int(words.get("MaxArraySize", LARGEST_ARRAY))))

    def arrays(self, jobs: Sequence[_T]) -> list[Sequence[_T]]:
        """Jobs in arrays no larger than it takes."""
        return [jobs[start : start + self.largest_array] for start in range(0, len(jobs), self.largest_array)]


def states_of_jobs() -> dict[str, str] | None:
    """The state of each job of the user that the scheduler knows, by id; an array's jobs have ids of the form 12_3. None if it does not answer.

    All are asked for: of a list of ids, one that it has forgotten makes the whole question an error.
    """
    told = scheduler_says("squeue", "--noheader", "--array", "--me", "--states=all", "--format=%i %T")
    if told is None:
        return None
    return {job: state for job, _, state in (line.strip().partition(" ") for line in told.splitlines())}


def exit_status(job: str) -> int | None:
    """What a job's process ended with; None if SLURM does not say."""
    found = re.search(r"\bExitCode=(\d+)", scheduler_says("scontrol", "show", "job", job) or "")
    return int(found[1]) if found else None
