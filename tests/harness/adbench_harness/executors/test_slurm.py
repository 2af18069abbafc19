from __future__ import annotations

import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from adbench_harness.api import Ended, PluginError, Task, TimeLimitError, TrainingError
from adbench_harness.executors import slurm, slurm_job
from adbench_harness.executors.driving import Command
from adbench_harness.executors.slurm import SlurmOptions, execute, key_of, script
from adbench_harness.executors.slurm_job import begun_file, outcome_file
from adbench_harness.executors.slurm_scheduler import Cluster

from .conftest import TASKS

pytest.importorskip("submitit", reason="needs pip install 'adbench-harness[slurm]'")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a scheduler."""
    for name in ("LOOK_SECONDS", "ASK_SECONDS"):
        monkeypatch.setattr(slurm, name, 0.01)


def submitted(command: Command, jobs: dict[str, list[Task]], cluster: str = "here", user: int = 7) -> Path:
    """A submission of an earlier command."""
    folder = command.folder / f"submission-{cluster}-{user}"
    folder.mkdir(parents=True)
    keys = {job: [key_of(task) for task in tasks] for job, tasks in jobs.items()}
    (folder / slurm.SUBMISSION).write_text(json.dumps({"cluster": cluster, "user": user, "jobs": keys}))
    return folder


def age(folder: Path) -> None:
    """As if all of it had been there for long."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, (0, time.time() - 2 * slurm_job.KEPT_SECONDS))


def queue_of(command: Command) -> slurm._Queue:
    return slurm._Queue(SlurmOptions(), command, Cluster("here"))


def test_without_submitit_or_slurm_it_is_said_what_is_missing(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(PluginError, match="there is no SLURM here"):
        list(execute(TASKS, SlurmOptions(), command))
    monkeypatch.setattr(slurm, "find_spec", lambda name: None)
    for call in (lambda: list(execute(TASKS, SlurmOptions(), command)), lambda: script(TASKS, SlurmOptions(), command)):
        with pytest.raises(PluginError, match=r"type: pip install 'adbench-harness\[slurm\]'"):
            call()


def test_what_slurm_refuses_is_said_once_and_leaves_nothing(
    command: Command, program: Callable[[str, str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    program("srun", "")
    program("sbatch", "echo \"sbatch: unrecognized option '--bogus=3'\nTry sbatch --help\" >&2; exit 1")
    with pytest.raises(PluginError, match=r"^SLURM refuses the jobs: unrecognized option '--bogus=3'; Try sbatch --help$"):
        list(execute(TASKS, SlurmOptions(), command))
    assert not list(command.folder.iterdir())
    assert capfd.readouterr() == ("", "")


def test_jobs_that_were_submitted_before_slurm_refuses_go_on(
    command: Command, program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    program("srun", "")
    program("scontrol", "echo 'MaxArraySize = 2'")
    program("sbatch", f"[ $(wc -l < {tmp_path}/sbatch.calls) = 1 ] && echo Submitted batch job 9 || exit 1")
    with pytest.raises(PluginError, match=r"; 2 jobs submitted before go on$"):
        list(execute(TASKS, SlurmOptions(), command))
    (found,) = command.folder.glob(f"*/{slurm.SUBMISSION}")
    assert json.loads(found.read_text())["jobs"] == {f"9_{place}": [key_of(TASKS[place])] for place in (0, 1)}


STATES = """cat <<END
7 RUNNING
8_0 PENDING
8_10 CANCELLED
END"""


def test_a_scheduler_that_does_not_answer_loses_nothing(
    command: Command, program: Callable[[str, str], Path], quick: None, tmp_path: Path
) -> None:
    heard: list[tuple[int, str]] = []
    command.show = lambda number, phase, done, total: heard.append((number, phase))
    folder = submitted(command, {"7": TASKS[:2]})
    outcome_file(folder, key_of(TASKS[0])).write_bytes(b"first")
    late = shlex.quote(str(outcome_file(folder, key_of(TASKS[1]))))
    first = f"[ $(wc -l < {tmp_path}/squeue.calls) = 1 ] && {{ {STATES}\n}} && exit"
    last = f"[ $(wc -l < {tmp_path}/squeue.calls) = 6 ] && printf second > {late}.new && mv {late}.new {late}"
    calls = program("squeue", f"{first}\n{last}\nexit 1")
    program("sbatch", "exit 1")
    assert list(execute(TASKS[:2], SlurmOptions(), command)) == [Ended(TASKS[0], b"first"), Ended(TASKS[1], b"second")]
    assert len(calls.read_text().splitlines()) >= 6
    assert heard == [(1, "")]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("CANCELLED", "was cancelled"),
        ("TIMEOUT", r"was ended at its time limit \(--walltime\)"),
        ("OUT_OF_MEMORY", r"was ended for want of memory \(--executor-option memory=GB\)"),
        ("NODE_FAIL", "was lost with its machine"),
        ("PREEMPTED", "had to make way for another"),
        ("FAILED", "ended and left no result"),
        ("", "ended and left no result"),
    ],
)
def test_why_a_run_is_lost(
    command: Command, program: Callable[[str, str], Path], quick: None, tmp_path: Path, state: str, words: str
) -> None:
    folder = submitted(command, {"7": TASKS[:1]})
    log = folder / "7_0_log.out"
    log.touch()
    begun_file(folder, key_of(TASKS[0])).touch()
    program("sbatch", "exit 1")
    calls = program("squeue", f"[ $(wc -l < {tmp_path}/squeue.calls) = 1 ] && echo 7 RUNNING || echo {state and f'7 {state}'}")
    (ended,) = execute(TASKS[:1], SlurmOptions(), command)
    assert ended.outcome is None
    with pytest.raises(TrainingError, match=f"^its SLURM job 7 {words}; its log is {log}; the same command makes it again"):
        raise ended.error or AssertionError
    assert len(calls.read_text().splitlines()) == 1 + slurm.GONE_AFTER


def test_jobs_that_have_ended_are_not_waited_for_and_their_files_go_in_time(
    command: Command, program: Callable[[str, str], Path]
) -> None:
    folder = submitted(command, {"8_10": TASKS[:1], "9": TASKS[1:2]})
    program("squeue", STATES)
    known = {key_of(task): task for task in TASKS}
    queue = queue_of(command)
    queue._find_again(known)
    assert folder.exists()
    age(folder)
    queue._find_again(known)
    assert not folder.exists()
    assert queue._jobs == []


def test_a_job_is_found_again_for_what_is_asked_for(command: Command, program: Callable[[str, str], Path]) -> None:
    submitted(command, {"7": TASKS[:2], "8_0": TASKS[1:3], "8_10": TASKS[3:]})
    program("squeue", STATES)
    queue = queue_of(command)
    queue._find_again({key_of(task): task for task in TASKS[1:]})
    assert [(job.job_id, [*job.tasks.values()]) for job in queue._jobs] == [("7", [TASKS[1]]), ("8_0", [TASKS[2]])]


def test_where_earlier_jobs_may_be_and_nobody_says_none_are_submitted(
    command: Command, program: Callable[[str, str], Path]
) -> None:
    submitted(command, {"7": TASKS[:1]})
    program("squeue", "exit 1")
    calls = program("sbatch", "exit 1")
    with pytest.raises(PluginError, match=r"SLURM does not answer \(squeue\)"):
        list(execute(TASKS, SlurmOptions(), command))
    assert not calls.exists()


def test_a_stop_cancels_all_jobs(command: Command, program: Callable[[str, str], Path], quick: None, tmp_path: Path) -> None:
    submitted(command, {"7": TASKS[:1], "8_0": TASKS[1:2]})
    program("sbatch", "exit 1")
    calls = program("scancel", "")
    program("squeue", f"[ -e {calls} ] && echo 7 CANCELLED || {{ {STATES}\n}}")
    command.asked_to_stop = lambda: True
    assert list(execute(TASKS[:2], SlurmOptions(), command)) == []
    assert calls.read_text() == "7 8_0\n"


def test_submissions_of_another_cluster_or_user_are_neither_watched_nor_removed(
    command: Command, program: Callable[[str, str], Path]
) -> None:
    folders = [
        submitted(command, {"7": TASKS[:1]}, cluster="there"),
        submitted(command, {"7": TASKS[:1], "99": TASKS[1:2]}, user=8),
        submitted(command, {}, user=9),
    ]
    (folders[2] / slurm.SUBMISSION).write_text(json.dumps({"7": [key_of(TASKS[0])]}))  # it does not say whose it is
    for folder in folders:
        age(folder)
    mine = submitted(command, {"99": TASKS[:1]})
    age(mine)
    program("squeue", STATES)
    queue = queue_of(command)
    queue._find_again({key_of(task): task for task in TASKS})
    assert queue._jobs == []
    assert [folder.exists() for folder in folders] == [True] * 3
    assert not mine.exists()


def test_what_another_command_removes_meanwhile_is_left_to_it(
    command: Command, program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = submitted(command, {"99": TASKS[:1]})
    program("squeue", STATES)
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: listed(path / "gone" if path == folder else path))
    queue_of(command)._find_again({})
    assert not slurm_job.left_alone(folder)


def test_submitted_jobs_say_of_which_cluster_and_user_they_are(
    command: Command, program: Callable[[str, str], Path], quick: None
) -> None:
    program("srun", "")
    program("sbatch", "echo Submitted batch job 9")
    program("squeue", "echo 9 RUNNING")
    queue = queue_of(command)
    queue._submit([TASKS[:1]])
    (found,) = command.folder.glob(f"*/{slurm.SUBMISSION}")
    assert json.loads(found.read_text()) == {"cluster": "here", "user": 7, "jobs": {"9": [key_of(TASKS[0])]}}
    again = queue_of(command)
    again._find_again({key_of(TASKS[0]): TASKS[0]})
    assert [job.job_id for job in again._jobs] == ["9"]


def test_without_the_name_of_the_cluster_nothing_is_submitted(command: Command, program: Callable[[str, str], Path]) -> None:
    program("scontrol", "exit 1")
    calls = program("sbatch", "exit 1")
    with pytest.raises(PluginError, match=r"SLURM does not answer \(scontrol show config\)"):
        list(execute(TASKS, SlurmOptions(), command))
    assert not calls.exists()


def close(endings: Generator[Ended]) -> None:
    """As ``--fail-fast`` does."""
    endings.close()


def interrupt(endings: Generator[Ended]) -> None:
    """As a second Ctrl-C does."""
    with pytest.raises(KeyboardInterrupt):
        endings.throw(KeyboardInterrupt())


def fail(endings: Generator[Ended]) -> None:
    with pytest.raises(ValueError, match="whatever"):
        endings.throw(ValueError("whatever"))


@pytest.mark.parametrize("end", [close, interrupt, fail])
def test_a_command_that_wants_no_more_leaves_no_job(
    command: Command, program: Callable[[str, str], Path], quick: None, end: Callable[[Generator[Ended]], None]
) -> None:
    folder = submitted(command, {"7": TASKS[:1], "8_0": TASKS[1:3]})
    outcome_file(folder, key_of(TASKS[0])).write_bytes(b"first")
    program("sbatch", "exit 1")
    program("squeue", STATES)
    calls = program("scancel", "")
    endings = execute(TASKS[:3], SlurmOptions(), command)
    assert isinstance(endings, Generator)
    assert next(endings) == Ended(TASKS[0], b"first")
    end(endings)
    assert calls.read_text() == "8_0\n"


@pytest.fixture
def said(command: Command, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user is told."""
    words: list[str] = []
    monkeypatch.setattr(command, "say", words.append)
    return words


def test_a_scancel_that_fails_is_repeated_and_the_user_told_once(
    command: Command, program: Callable[[str, str], Path], quick: None, tmp_path: Path, said: list[str]
) -> None:
    submitted(command, {"7": TASKS[:1]})
    program("sbatch", "exit 1")
    calls = program("scancel", f"[ $(wc -l < {tmp_path}/scancel.calls) = 4 ]")
    program("squeue", f"[ $(cat {calls} 2>&1 | wc -l) = 4 ] && echo 7 CANCELLED || echo 7 RUNNING")
    command.asked_to_stop = lambda: True
    assert list(execute(TASKS[:1], SlurmOptions(), command)) == []
    assert calls.read_text() == "7\n" * 4
    (words,) = said
    assert words.startswith("SLURM does not cancel the jobs (scancel): it is asked again until it does")


def test_that_slurm_does_not_answer_is_said_once_until_it_answers(
    command: Command, program: Callable[[str, str], Path], quick: None, tmp_path: Path, said: list[str]
) -> None:
    submitted(command, {"7": TASKS[:1]})
    program("sbatch", "exit 1")
    program(
        "squeue", f"case $(wc -l < {tmp_path}/squeue.calls) in 1 | 4) echo 7 RUNNING;; [2-6]) exit 1;; *) echo 7 FAILED;; esac"
    )
    (ended,) = execute(TASKS[:1], SlurmOptions(), command)
    assert ended.outcome is None
    assert said == ["SLURM does not answer (squeue): it is asked again until it does; its jobs go on"] * 2


def test_ctrl_c_while_jobs_are_submitted_cancels_those_that_are(
    command: Command, program: Callable[[str, str], Path], quick: None
) -> None:
    """All that a terminal runs gets it: sbatch as well, which is not to end before it has said which jobs there are."""
    asked: list[int] = []
    command.asked_to_stop = lambda: bool(asked)
    program("srun", "")
    program("scontrol", "echo 'MaxArraySize = 2'")
    program("sbatch", 'kill -INT $PPID; kill -INT $$; echo "Submitted batch job 9"')
    calls = program("scancel", "")
    program("squeue", f"[ -e {calls} ] || echo 9_0 RUNNING")
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        assert list(execute(TASKS, SlurmOptions(), command)) == []
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls.read_text() == "9_0 9_1\n"


def test_a_submission_that_fails_when_the_user_has_asked_to_stop_is_no_refusal(
    command: Command, program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    program("srun", "")
    program("sbatch", "exit 1")
    command.asked_to_stop = (tmp_path / "sbatch.calls").exists
    assert list(execute(TASKS, SlurmOptions(), command)) == []
    assert list(command.folder.iterdir()) == []


def test_a_run_over_its_time_limit_that_ends_its_job_and_those_after_it(
    command: Command, program: Callable[[str, str], Path], quick: None, tmp_path: Path
) -> None:
    folder = submitted(command, {"7": TASKS[:3]})
    outcome_file(folder, key_of(TASKS[0])).write_bytes(b"first")
    for task in TASKS[:2]:
        begun_file(folder, key_of(task)).touch()
    program("sbatch", "exit 1")
    config = "echo ClusterName=here"
    program("scontrol", f'[ "$*" = "show job 7" ] && echo "   DerivedExitCode=0:0 ExitCode=124:0" || {config}')
    program("squeue", f"[ $(wc -l < {tmp_path}/squeue.calls) = 1 ] && echo 7 RUNNING || echo 7 FAILED")
    first, over, after = execute(TASKS[:3], SlurmOptions(), command)
    assert first == Ended(TASKS[0], b"first")
    assert isinstance(over.error, TimeLimitError)
    assert str(over.error).startswith("the time limit is over (--time-limit), and its SLURM job 7 had to be ended; ")
    assert str(after.error) == (
        "it was not begun: its SLURM job 7 ended at the time limit (--time-limit) of a run before it; the same command makes it"
    )


def test_a_run_that_was_not_begun_is_said_to_be_so(
    command: Command, program: Callable[[str, str], Path], quick: None, tmp_path: Path
) -> None:
    folder = submitted(command, {"7": TASKS[:2]})
    begun_file(folder, key_of(TASKS[0])).touch()
    program("sbatch", "exit 1")
    program("squeue", f"[ $(wc -l < {tmp_path}/squeue.calls) = 1 ] && echo 7 RUNNING || echo 7 OUT_OF_MEMORY")
    first, second = execute(TASKS[:2], SlurmOptions(), command)
    assert str(first.error).startswith("its SLURM job 7 was ended for want of memory")
    assert str(second.error).startswith("it was not begun: its SLURM job 7 was ended for want of memory")
