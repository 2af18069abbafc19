"""That the cluster the tests start is one: its jobs are cancelled, requeued, pre-empted and lose their node as in a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm_cluster import NODES, SlurmCluster, slurm_cluster, why_not

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=why_not() or "")]

JOB = """#!/bin/bash
#SBATCH --output={place}/%j.txt
#SBATCH --open-mode=append
srun bash -c 'trap "echo SIGTERM" TERM
echo "start ${{SLURM_RESTART_COUNT:-0}} on $SLURMD_NODENAME"
for turn in $(seq {turns}); do sleep 0.1; done'
echo end
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started


def submitted(cluster: SlurmCluster, place: Path, seconds: float, *options: str) -> str:
    script = place / "job.sh"
    script.write_text(JOB.format(place=place, turns=round(10 * seconds)))
    return cluster.run("sbatch", "--parsable", *options, script)


def said(place: Path, job: str) -> list[str]:
    output = place / f"{job}.txt"
    return output.read_text().splitlines() if output.exists() else []


def runs(cluster: SlurmCluster, place: Path, job: str, restarts: int = 0) -> None:
    """Wait until its step has started, for the n-th time."""
    cluster.wait(lambda: any(line.startswith(f"start {restarts} ") for line in said(place, job)), f"{job}: start {restarts}")


def test_an_array_runs_on_both_nodes(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = submitted(cluster, tmp_path, 1, "--array=0-3")
    for task in range(4):
        cluster.wait_for_state(f"{job}_{task}", "COMPLETED")
    assert {path.read_text() for path in tmp_path.glob("*.txt")} == {f"start 0 on {node}\nend\n" for node in NODES}


def test_an_array_has_an_end(cluster: SlurmCluster, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Invalid job array specification"):
        submitted(cluster, tmp_path, 1, "--array=0-101")


def test_a_job_is_cancelled(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = submitted(cluster, tmp_path, 60)
    runs(cluster, tmp_path, job)
    cluster.run("scancel", job)
    cluster.wait_for_state(job, "CANCELLED")
    assert "end" not in said(tmp_path, job)


def test_a_job_is_requeued(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = submitted(cluster, tmp_path, 5)
    runs(cluster, tmp_path, job)
    cluster.run("scontrol", "requeue", job)
    runs(cluster, tmp_path, job, 1)
    cluster.wait_for_state(job, "COMPLETED")


def test_an_urgent_job_preempts_another_which_runs_again(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = submitted(cluster, tmp_path, 120, "--nodelist=node1", "--exclusive")
    runs(cluster, tmp_path, job)
    urgent = submitted(cluster, tmp_path, 1, "--partition=urgent", "--nodelist=node1", "--exclusive")
    # It is told at once, and taken off the node when the controller next looks at limits of time: every 30 s.
    cluster.wait_for_state(urgent, "COMPLETED")
    assert "SIGTERM" in said(tmp_path, job)
    runs(cluster, tmp_path, job, 1)
    cluster.run("scancel", job)


def test_the_job_of_a_lost_node_runs_again_on_the_other(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = submitted(cluster, tmp_path, 120)
    runs(cluster, tmp_path, job)
    lost = said(tmp_path, job)[0].split()[-1]
    other = next(name for name in NODES if name != lost)
    cluster.kill_node(lost)
    runs(cluster, tmp_path, job, 1)
    assert f"start 1 on {other}" in said(tmp_path, job)
    cluster.run("scancel", job)
    cluster.start_node(lost)
    cluster.wait_for_nodes(*NODES)
