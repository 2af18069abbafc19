"""Runs as jobs of a SLURM cluster, submitted by submitit: SLURM places them, and begins those again that it lost or pre-empted.

Jobs go on when the command that submitted them has ended: given again, it finds them in the queue, or what they left.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from pydantic import Field, TypeAdapter, field_validator

from ..api import AdbenchError, Ended, Execution, ExecutorSpec, Options, PluginError, Task, TrainingError, hookimpl
from ..home import put_in_place
from .slurm_job import Job, outcome_file, progress_file, progress_of, scheduler_says

adbench_api = 1

LOOK_SECONDS: Final = 1.0
"""Between two looks for what jobs have left."""
ASK_SECONDS: Final = 10.0
"""Between two questions to the scheduler, which has others to serve."""
GONE_AFTER: Final = 2
"""A job that the scheduler does not know is lost after so many questions: on a network file system its outcome may come late."""
SIGNAL_SECONDS: Final = 90
"""So long before its time is over, or it is pre-empted, a job is told to save a checkpoint."""
SHORTEST: Final = 5
"""Minutes of a job. Of less, too little would be left before it is told to go."""
MOST_TIMES: Final = 100
"""How often a job whose time is over goes on in the next."""
LARGEST_ARRAY: Final = 1001
"""SLURM's own default for MaxArraySize."""
AT_A_TIME: Final = 1_000_000
"""As many jobs of an array as the cluster likes."""
SUBMISSION: Final = "submission.json"
KEPT_SECONDS: Final = 3600
"""So long ended jobs' files stay: another command may be about to read an outcome, and a person a log."""
ENDED: Final = frozenset(
    ["BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"]
)
PYTHON: Final = f"""sh -c 'trap "" TERM USR1 USR2; exec "$@"' sh {shlex.quote(sys.executable)}"""
"""Until Python listens to signals they are ignored: one that came while it starts would end it, and SLURM begins only those again that it
has ended itself."""


class SlurmOptions(Options):
    """What a job asks of the cluster; what is unset is left to its defaults."""

    partition: str | None = Field(None, description="partition")
    account: str | None = Field(None, description="account")
    walltime: int = Field(240, description="time of a job, such as 90m or 4h; a run that needs longer goes on in the next")
    gpus: int = Field(0, ge=0, description="GPUs of a job")
    cpus: int = Field(1, ge=1, description="processor cores of a job; a run has as many threads")
    memory: float | None = Field(None, gt=0, description="GB of memory of a job")
    runs_per_job: int = Field(
        1, ge=1, description="runs that a job makes, one after another; short runs are not worth a job each"
    )
    sbatch: str | None = Field(None, description="other options of sbatch, as NAME=VALUE,NAME=VALUE: constraint=a100,qos=low")

    @field_validator("walltime", mode="before")
    @classmethod
    def _minutes(cls, word: object) -> object:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(word))
        if (
            found is None
            or not (minutes := float(found[1]) * {"s": 1 / 60, "": 1, "m": 1, "h": 60, "d": 1440}[found[2]]) >= SHORTEST
        ):
            raise ValueError(f"not a time of {SHORTEST} minutes or more; use minutes, or 90m, 4h or 2d")
        return int(minutes)

    @field_validator("sbatch")
    @classmethod
    def _pairs(cls, word: str | None) -> str | None:
        if word is not None and not all(re.fullmatch(r"[\w-]+(=[^,]+)?", pair) for pair in word.split(",")):
            raise ValueError("not NAME=VALUE,NAME=VALUE")
        return word


@hookimpl
def register_executors(register: Callable[[ExecutorSpec], None]) -> None:
    """A SLURM cluster."""
    title = "jobs of a SLURM cluster (needs pip install 'adbench-harness[slurm]')"
    register(ExecutorSpec("slurm", title, SlurmOptions, execute, script))


def execute(tasks: Sequence[Task], options: Options, execution: Execution) -> Iterator[Ended]:
    """Carry out tasks as jobs; see ``api.ExecutorSpec``.

    Raises:
        PluginError: if submitit or SLURM is not here, or SLURM refuses the jobs.
    """
    assert isinstance(options, SlurmOptions)
    _check_installed()
    if shutil.which("sbatch") is None:
        raise PluginError("there is no SLURM here (sbatch is not found); give the command on a machine that submits jobs")
    return _Queue(options, execution).execute(tasks)


def script(tasks: Sequence[Task], options: Options, execution: Execution) -> str:
    """The batch script of the first job array that would be submitted, with how many there would be. Raises PluginError without submitit."""
    assert isinstance(options, SlurmOptions)
    _check_installed()
    from submitit.slurm.slurm import _make_sbatch_string  # what it submits is made by nothing else

    arrays = _arrays(_chunks(tasks, options.runs_per_job))
    folder = execution.folder / "SUBMISSION"
    command = f"{PYTHON} -u -m submitit.core._submit {shlex.quote(str(folder))}"
    text = _make_sbatch_string(
        command=command,
        folder=folder,
        map_count=len(arrays[0]) if len(arrays[0]) > 1 else None,
        **_submitit_words(options, execution),
    )
    runs, jobs = _count(len(tasks), "run"), _count(sum(map(len, arrays)), "job")
    like = "one submission, this one" if len(arrays) == 1 else f"{len(arrays)} submissions like this one"
    return f"{text}\n# {runs} as {jobs}, in {like}\n"


@dataclass
class _Watched:
    """A job, and the tasks that it has not yet answered for."""

    job_id: str
    folder: Path
    tasks: dict[str, Task]
    """By key."""
    unknown: int = 0
    """How many times in a row the scheduler did not know it."""
    state: str = "PENDING"


@dataclass
class _Queue:
    """Tasks as jobs, and what is heard of them."""

    options: SlurmOptions
    execution: Execution
    _jobs: list[_Watched] = field(default_factory=list)
    _begun: set[str] = field(default_factory=set)
    """Tasks of which the user knows that they have begun, by key."""

    def execute(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        known = {key_of(task): task for task in tasks}
        self._find_again(known)
        there = {key for job in self._jobs for key in job.tasks}
        for array in _arrays(_chunks([task for key, task in known.items() if key not in there], self.options.runs_per_job)):
            self._submit(array)
        stopped, asked = False, 0.0
        while self._jobs:
            if self.execution.stop() and not stopped:
                stopped = True
                self._stop()
            names = {folder: _names(folder) for folder in {job.folder for job in self._jobs}}
            for job in self._jobs:
                yield from self._answers(job, names[job.folder])
            if time.monotonic() - asked >= (LOOK_SECONDS if stopped else ASK_SECONDS):
                asked = time.monotonic()
                yield from self._ask(stopped)
            self._jobs = [job for job in self._jobs if job.tasks]
            time.sleep(LOOK_SECONDS)

    def _find_again(self, known: Mapping[str, Task]) -> None:
        """Watch jobs that an earlier command submitted and that have not ended; what the others have left is removed after a while."""
        submissions: dict[Path, dict[str, list[str]]] = {}
        for path in sorted(self.execution.folder.glob(f"*/{SUBMISSION}")):
            with suppress(OSError, ValueError):
                submissions[path.parent] = TypeAdapter(dict[str, list[str]]).validate_json(path.read_bytes())
        if not submissions:
            return
        if (states := _states()) is None:
            raise PluginError("SLURM does not answer (squeue), and may have jobs of an earlier command; try again when it does")
        found: set[str] = set()
        for folder, jobs in submissions.items():
            going = {job: keys for job, keys in jobs.items() if states.get(job, "COMPLETED") not in ENDED}
            for job_id, keys in going.items():
                if ours := {key: known[key] for key in keys if key in known and key not in found}:
                    found |= ours.keys()
                    self._jobs.append(_Watched(job_id, folder, ours, state=states[job_id]))
            if not going and _left_alone(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def _submit(self, array: Sequence[Sequence[Task]]) -> None:
        from submitit import SlurmExecutor

        logging.getLogger("submitit").setLevel(logging.CRITICAL)  # it writes to the user's terminal
        folder = self.execution.folder / uuid4().hex[:12]
        folder.mkdir(parents=True)
        executor = SlurmExecutor(folder, max_num_timeout=MOST_TIMES, python=PYTHON)
        executor.update_parameters(**_submitit_words(self.options, self.execution))
        contents = [{key_of(task): task.content for task in tasks} for tasks in array]
        job = Job(self.execution.make, folder)
        try:
            with redirect_stderr(StringIO()):  # it prints what it also raises
                submitted = executor.map_array(job, contents)
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            rest = f"; {_count(len(self._jobs), 'job')} submitted before go on" if self._jobs else ""
            raise PluginError(f"SLURM refuses the jobs: {_complaint(error)}{rest}") from None
        watched = [
            _Watched(one.job_id, folder, {key_of(task): task for task in tasks})
            for one, tasks in zip(submitted, array, strict=True)
        ]
        with put_in_place(folder / SUBMISSION) as unfinished:
            unfinished.write_text(json.dumps({one.job_id: [*one.tasks] for one in watched}), encoding="utf-8")
        self._jobs += watched

    def _answers(self, job: _Watched, names: Collection[str]) -> Iterator[Ended]:
        """What a job has left since, of the files in its folder; how far it is."""
        for key, task in list(job.tasks.items()):
            path = outcome_file(job.folder, key)
            if path.name in names:
                del job.tasks[key]
                yield Ended(task, path.read_bytes())
        if job.state == "RUNNING" and job.tasks:
            key, task = next(iter(job.tasks.items()))  # one after another
            if key not in self._begun:
                self._begun.add(key)
                self.execution.heard(task, "", 0, 0)
            if progress_file(job.folder, key).name in names and (moment := progress_of(job.folder, key)) is not None:
                self.execution.heard(task, *moment)

    def _ask(self, stopped: bool) -> Iterator[Ended]:
        """What the scheduler knows of each job; of those that have ended, what they have left, or why it is nothing."""
        if (states := _states()) is None:
            return
        for job in self._jobs:
            job.state = states.get(job.job_id, "")
            job.unknown = 0 if job.state and job.state not in ENDED else job.unknown + 1
            if job.unknown < (1 if stopped else GONE_AFTER):
                continue
            yield from self._answers(job, _names(job.folder))
            lost, job.tasks = job.tasks, {}
            if not stopped:
                for task in lost.values():
                    yield Ended(task, None, _reason(job))

    def _stop(self) -> None:
        """Cancel the jobs: those that run are told so first, and save a checkpoint."""
        scheduler_says("scancel", *(job.job_id for job in self._jobs))


def key_of(task: Task) -> str:
    """What a task is known by, also to a later command: the same content is the same work."""
    return sha256(task.content).hexdigest()[:24]


def _chunks(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def _arrays(jobs: Sequence[Sequence[Task]]) -> list[Sequence[Sequence[Task]]]:
    """Jobs in arrays no larger than the cluster takes."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", scheduler_says("scontrol", "show", "config") or "")
    size = max(1, int(found[1])) if found else LARGEST_ARRAY
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def _submitit_words(options: SlurmOptions, execution: Execution) -> dict[str, Any]:
    """submitit's names of what a job asks for."""
    more: dict[str, str | bool] = {"requeue": True}
    for pair in options.sbatch.split(",") if options.sbatch else ():
        name, equals, value = pair.partition("=")
        more[name] = value if equals else True
    words = {
        "job_name": "adbench",
        "partition": options.partition,
        "account": options.account,
        "time": options.walltime,
        "gpus_per_node": options.gpus or None,
        "cpus_per_task": options.cpus,
        "mem": f"{int(options.memory * 1024)}MB" if options.memory is not None else None,
        "signal_delay_s": SIGNAL_SECONDS,
        "array_parallelism": execution.jobs or AT_A_TIME,
        "stderr_to_stdout": True,
        "setup": [f"export OMP_NUM_THREADS={options.cpus} OMP_WAIT_POLICY=PASSIVE"],
        "additional_parameters": more,
    }
    return {name: word for name, word in words.items() if word is not None}


def _states() -> dict[str, str] | None:
    """The state of each job of the user that the scheduler knows, by id; an array's jobs have ids of the form 12_3. None if it does not answer.

    All are asked for: of a list of ids, one that it has forgotten makes the whole question an error.
    """
    told = scheduler_says("squeue", "--noheader", "--array", "--me", "--states=all", "--format=%i %T")
    if told is None:
        return None
    return {job: state for job, _, state in (line.strip().partition(" ") for line in told.splitlines())}


def _names(folder: Path) -> set[str]:
    """Files in a folder. A look at the folder finds what is new in it, where a network file system still remembers that a file is not there."""
    with suppress(OSError):
        return {path.name for path in folder.iterdir()}
    return set()


def _left_alone(folder: Path) -> bool:
    """Whether nothing has been written there for a while."""
    times = []
    for path in (folder, *folder.iterdir()):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return time.time() - max(times, default=0) > KEPT_SECONDS


def _reason(job: _Watched) -> AdbenchError:
    """Why a job's runs are lost."""
    log = job.folder / f"{job.job_id}_0_log.out"
    where = f"; its log is {log}" if log.exists() else ""
    rest = f"{where}; the same command makes it again, from its checkpoint if there is one"
    words = {
        "CANCELLED": "was cancelled",
        "TIMEOUT": "was ended at its time limit (--walltime)",
        "OUT_OF_MEMORY": "was ended for want of memory (--executor-option memory=GB)",
        "NODE_FAIL": "was lost with its machine",
        "PREEMPTED": "had to make way for another",
    }
    return TrainingError(f"its SLURM job {job.job_id} {words.get(job.state, 'ended and left no result')}{rest}")


def _check_installed() -> None:
    if find_spec("submitit") is None:
        raise PluginError("submitit is not installed here; type: pip install 'adbench-harness[slurm]'")


def _complaint(error: Exception) -> str:
    """What sbatch says, in one line."""
    lines = [re.sub(r"^sbatch: (error: )?", "", line.strip()) for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines) or type(error).__name__


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
