from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adbench_harness.api import OptionError, Task
from adbench_harness.executors.driving import Command
from adbench_harness.executors.slurm import SlurmOptions, script

from .conftest import TASKS, driver

pytest.importorskip("submitit", reason="needs pip install 'adbench-harness[slurm]'")


@pytest.mark.parametrize(("word", "minutes"), [("90", 90), ("90m", 90), ("4h", 240), ("1.5h", 90), ("2d", 2880), ("450s", 7)])
def test_the_time_of_a_job(word: str, minutes: int) -> None:
    assert SlurmOptions.parse({"walltime": word}).walltime == minutes


@pytest.mark.parametrize(
    ("name", "word", "reason"),
    [
        ("walltime", "soon", "use minutes, or 90m, 4h or 2d"),
        ("walltime", "4m", "not a time of 5 minutes or more"),
        ("walltime", "1-12:00", "use minutes"),
        ("sbatch", "qos=low,=7", "not NAME=VALUE,NAME=VALUE"),
        ("gpus", "-1", "gpus"),
        ("memory", "0", "memory"),
        ("memory", "lots", "memory"),
        ("runs_per_job", "0", "runs_per_job"),
        ("address", "auto", "address"),
    ],
)
def test_options_are_looked_at(name: str, word: str, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        driver("slurm", None, **{name: word})


def flags(text: str) -> dict[str, str]:
    """What a script asks of sbatch."""
    words = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def test_the_script_of_one_run(command: Command, program: Callable[[str, str], Path]) -> None:
    program("scontrol", "exit 1")
    text = script(TASKS[:1], SlurmOptions(), command)
    asked = flags(text)
    assert asked["time"] == "240"
    assert asked["cpus-per-task"] == "1"
    assert asked["signal"] == "USR2@90"
    assert "requeue" in asked
    assert asked["output"] == f"{command.folder}/SUBMISSION/%j_0_log.out"
    assert not {"array", "partition", "account", "gpus-per-node", "mem", "error"} & set(asked)
    assert "export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE" in text
    assert text.endswith("# 1 run as 1 job, in one submission, this one\n")
    assert not command.folder.exists()


def test_the_script_of_an_array_and_all_that_can_be_asked_for(command: Command, program: Callable[[str, str], Path]) -> None:
    program("scontrol", "echo 'MaxArraySize            = 2'")
    words = {"partition": "gpu", "account": "lab", "walltime": "4h", "gpus": "1", "cpus": "8", "memory": "1.5"}
    command.jobs = 3
    options = SlurmOptions.parse({**words, "sbatch": "constraint=a100,exclusive", "runs_per_job": "2"})
    text = script(TASKS, options, command)
    asked = flags(text)
    for name, word in {
        "partition": "gpu",
        "account": "lab",
        "time": "240",
        "gpus-per-node": "1",
        "cpus-per-task": "8",
        "mem": "1536MB",
        "constraint": "a100",
        "exclusive": "",
        "array": "0-1%2",
    }.items():
        assert asked[name] == word
    assert "export OMP_NUM_THREADS=8 " in text
    assert text.endswith("# 5 runs as 3 jobs, in 2 submissions like this one\n")


def test_arrays_are_no_larger_than_the_cluster_takes(command: Command, program: Callable[[str, str], Path]) -> None:
    program("scontrol", "echo 'MaxArraySize            = 101'")
    many = [Task(number, "", str(number).encode()) for number in range(250)]
    text = script(many, SlurmOptions(), command)
    assert flags(text)["array"] == "0-100%101"
    assert text.endswith("# 250 runs as 250 jobs, in 3 submissions like this one\n")
