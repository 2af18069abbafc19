from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench_harness.executors.slurm_scheduler import Cluster, exit_status, states_of_jobs


def test_what_the_scheduler_knows(program: Callable[[str, str], Path]) -> None:
    program("squeue", "printf '7 RUNNING\\n8_0 PENDING\\n8_10 CANCELLED\\n'")
    assert states_of_jobs() == {"7": "RUNNING", "8_0": "PENDING", "8_10": "CANCELLED"}
    program("squeue", "exit 1")
    assert states_of_jobs() is None


def test_what_a_cluster_says_of_itself(program: Callable[[str, str], Path]) -> None:
    program("scontrol", "printf 'ClusterName = here\\nMaxArraySize = 3\\n'")
    assert (cluster := Cluster.ask()) == Cluster("here", 3)
    assert cluster.arrays(range(7)) == [range(3), range(3, 6), range(6, 7)]
    program("scontrol", "exit 1")
    assert Cluster.ask() is None


def test_what_a_process_ended_with(program: Callable[[str, str], Path]) -> None:
    program("scontrol", "echo 'DerivedExitCode=0:0 ExitCode=124:0'")
    assert exit_status("7") == 124
    program("scontrol", "exit 1")
    assert exit_status("7") is None
