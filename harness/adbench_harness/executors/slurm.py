"""Runs as jobs of a SLURM cluster, submitted by submitit: SLURM places them, and begins those again that it lost or pre-empted.

Jobs go on when the command that submitted them is killed: given again, it finds them in the queue, or what they left.
"""

from __future__ import annotations

import logging
import os
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

from pydantic import BaseModel, Field, field_validator

from ..api import (
    AdbenchError,
    Ended,
    Execution,
    ExecutorSpec,
    Options,
    PluginError,
    Task,
    TimeLimitError,
    TrainingError,
    hookimpl,
)
from ..home import put_in_place
from .slurm_job import Job, begun_file, left_alone, names_in, outcome_file, progress_file, progress_of
from .slurm_scheduler import Cluster, exit_status, scheduler_says, states_of_jobs
from .worker import uninterrupted

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
AT_A_TIME: Final = 1_000_000
"""As many jobs of an array as the cluster likes."""
SUBMISSION: Final = "submission.json"
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
        PluginError: if submitit or SLURM is not here, or SLURM does not answer or refuses the jobs.
    """
    assert isinstance(options, SlurmOptions)
    _check_installed()
    if shutil.which("sbatch") is None:
        raise PluginError("there is no SLURM here (sbatch is not found); give the command on a machine that submits jobs")
    if (cluster := Cluster.ask()) is None:
        raise PluginError("SLURM does not answer (scontrol show config); try again when it does")
    return _Queue(options, execution, cluster).execute(tasks)


def script(tasks: Sequence[Task], options: Options, execution: Execution) -> str:
    """The batch script of the first job array that would be submitted, with how many there would be. Raises PluginError without submitit."""
    assert isinstance(options, SlurmOptions)
    _check_installed()
    from submitit.slurm.slurm import _make_sbatch_string  # what it submits is made by nothing else

    arrays = (Cluster.ask() or Cluster("")).arrays(_chunks(tasks, options.runs_per_job))
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


class _Submission(BaseModel):
    """What a later command has to know. A results folder may be shared, and another cluster or user has jobs of the same ids."""

    cluster: str
    user: int
    """By number: in a container it may have no name."""
    jobs: dict[str, list[str]]
    """Keys of each job's tasks."""


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
    cluster: Cluster
    _jobs: list[_Watched] = field(default_factory=list)
    _begun: set[str] = field(default_factory=set)
    """Tasks of which the user knows that they have begun, by key."""
    _cancelled: bool = False
    _silent: set[str] = field(default_factory=set)
    """Programs of SLURM of which the user knows that they don't answer."""

    def execute(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Carry out each. Jobs that nobody waits for any more are cancelled, those of a command that is killed alone go on."""
        try:
            self._submit_all({key_of(task): task for task in tasks})
            yield from self._watch()
        except PluginError:  # SLURM refuses more jobs: as that says, those that it has go on
            raise
        except BaseException:  # the command wants no more of them, or can't go on
            self._stop("they go on, and the same command finds them")
            raise

    def _submit_all(self, known: Mapping[str, Task]) -> None:
        """Submit what no job of an earlier command makes; nothing more once the user asks to stop."""
        self._find_again(known)
        there = {key for job in self._jobs for key in job.tasks}
        new = [task for key, task in known.items() if key not in there]
        for array in self.cluster.arrays(_chunks(new, self.options.runs_per_job)):
            if self.execution.stop():
                return
            self._submit(array)

    def _watch(self) -> Iterator[Ended]:
        """What comes of the jobs, until there is none left."""
        stopped, asked = False, 0.0
        while self._jobs:
            due = time.monotonic() - asked >= (LOOK_SECONDS if stopped else ASK_SECONDS)
            if not stopped and self.execution.stop():
                stopped = due = True
            if stopped and due:
                self._stop("it is asked again until it does; another Ctrl-C ends the command, and the jobs go on")
            names = {folder: names_in(folder) for folder in {job.folder for job in self._jobs}}
            for job in self._jobs:
                yield from self._answers(job, names[job.folder])
            if due:
                asked = time.monotonic()
                yield from self._ask(stopped)
            self._jobs = [job for job in self._jobs if job.tasks]
            time.sleep(LOOK_SECONDS)

    def _find_again(self, known: Mapping[str, Task]) -> None:
        """Watch jobs that an earlier command submitted and that have not ended; what the others have left is removed after a while.

        Of submissions to another cluster, or of another user, nothing is known here: they are left alone.
        """
        submissions: dict[Path, dict[str, list[str]]] = {}
        for path in sorted(self.execution.folder.glob(f"*/{SUBMISSION}")):
            with suppress(OSError, ValueError):
                one = _Submission.model_validate_json(path.read_bytes())
                if (one.cluster, one.user) == (self.cluster.name, os.geteuid()):
                    submissions[path.parent] = one.jobs
        if not submissions:
            return
        if (states := states_of_jobs()) is None:
            raise PluginError("SLURM does not answer (squeue), and may have jobs of an earlier command; try again when it does")
        found: set[str] = set()
        for folder, jobs in submissions.items():
            going = {job: keys for job, keys in jobs.items() if states.get(job, "COMPLETED") not in ENDED}
            for job_id, keys in going.items():
                if ours := {key: known[key] for key in keys if key in known and key not in found}:
                    found |= ours.keys()
                    self._jobs.append(_Watched(job_id, folder, ours, state=states[job_id]))
            if not going and left_alone(folder):
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
            # It prints what it also raises. Ctrl-C comes to sbatch as well, and would end it perhaps before it says which jobs there are.
            with redirect_stderr(StringIO()), uninterrupted():
                submitted = executor.map_array(job, contents)
                watched = [
                    _Watched(one.job_id, folder, {key_of(task): task for task in tasks})
                    for one, tasks in zip(submitted, array, strict=True)
                ]
                self._jobs += watched
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            if self.execution.stop():  # whatever has ended it, nobody wants these any more
                return
            rest = f"; {_count(len(self._jobs), 'job')} submitted before go on" if self._jobs else ""
            raise PluginError(f"SLURM refuses the jobs: {_complaint(error)}{rest}") from None
        left = _Submission(cluster=self.cluster.name, user=os.geteuid(), jobs={one.job_id: [*one.tasks] for one in watched})
        with put_in_place(folder / SUBMISSION) as unfinished:
            unfinished.write_text(left.model_dump_json(), encoding="utf-8")

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
        states = states_of_jobs()
        words = "SLURM does not answer (squeue): it is asked again until it does; its jobs go on"
        self._notice("squeue", states is not None, words)
        if states is None:
            return
        for job in self._jobs:
            job.state = states.get(job.job_id, "")
            job.unknown = 0 if job.state and job.state not in ENDED else job.unknown + 1
            if job.unknown < (1 if stopped else GONE_AFTER):
                continue
            names = names_in(job.folder)
            yield from self._answers(job, names)
            lost, job.tasks = job.tasks, {}
            if lost and not stopped:
                overdue = job.state == "FAILED" and exit_status(job.job_id) == TimeLimitError.exit_code
                for key, task in lost.items():
                    yield Ended(task, None, _reason(job, begun_file(job.folder, key).name in names, overdue))

    def _stop(self, otherwise: str) -> None:
        """Cancel the jobs, unless that is done: those that run are told so first, and save a checkpoint."""
        left = [job.job_id for job in self._jobs if job.tasks]
        if left and not self._cancelled:
            self._cancelled = scheduler_says("scancel", *left) is not None
            self._notice("scancel", self._cancelled, f"SLURM does not cancel the jobs (scancel): {otherwise}")

    def _notice(self, program: str, answers: bool, words: str) -> None:
        """Tell the user once that a program does not answer, and again only when it has answered since."""
        if answers:
            self._silent.discard(program)
        elif program not in self._silent:
            self._silent.add(program)
            self.execution.say(words)


def key_of(task: Task) -> str:
    """What a task is known by, also to a later command: the same content is the same work."""
    return sha256(task.content).hexdigest()[:24]


def _chunks(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


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


def _reason(job: _Watched, begun: bool, overdue: bool) -> AdbenchError:
    """Why one of a job's runs is lost. That a run which can't be interrupted is over its time limit ends the whole job."""
    log = job.folder / f"{job.job_id}_0_log.out"
    where = f"; its log is {log}" if log.exists() else ""
    words = {
        "CANCELLED": "was cancelled",
        "TIMEOUT": "was ended at its time limit (--walltime)",
        "OUT_OF_MEMORY": "was ended for want of memory (--executor-option memory=GB)",
        "NODE_FAIL": "was lost with its machine",
        "PREEMPTED": "had to make way for another",
    }
    why = words.get(job.state, "ended and left no result")
    if not begun:
        why = "ended at the time limit (--time-limit) of a run before it" if overdue else why
        return TrainingError(f"it was not begun: its SLURM job {job.job_id} {why}{where}; the same command makes it")
    rest = f"{where}; the same command makes it again, from its checkpoint if there is one"
    if overdue:
        return TimeLimitError(f"the time limit is over (--time-limit), and its SLURM job {job.job_id} had to be ended{rest}")
    return TrainingError(f"its SLURM job {job.job_id} {why}{rest}")


def _check_installed() -> None:
    if find_spec("submitit") is None:
        raise PluginError("submitit is not installed here; type: pip install 'adbench-harness[slurm]'")


def _complaint(error: Exception) -> str:
    """What sbatch says, in one line."""
    lines = [re.sub(r"^sbatch: (error: )?", "", line.strip()) for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines) or type(error).__name__


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
