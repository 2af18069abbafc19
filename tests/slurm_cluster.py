"""A real SLURM cluster on this machine: munged, slurmctld and two nodes, with all that they write below one folder.

It needs root, and the packages slurm-wlm and munge of Debian. Two clusters can run at once.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NODES = ("node1", "node2")

CONFIGURATION = """
ClusterName=adbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
# A requeued job waits until the credential of its last start has expired: two minutes, if we don't say.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
MailProg=/bin/true
MpiDefault=none
# No cgroups and no accounting: neither sacct nor a limit on memory.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
# Seconds: from SIGTERM to SIGKILL, until an ended job is forgotten, until a silent node is given up.
KillWait=3
MinJobAge={min_job_age}
SlurmdTimeout=10
ReturnToService=2
MaxArraySize=101
# The nodes have the CPUs and the memory that are written here, not those of the machine.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=node1 NodeHostname=node1 NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=64000 Gres=gpu:2
NodeName=node2 NodeHostname=node2 NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=64000 Gres=gpu:2
PartitionName=normal Nodes=node[1-2] Default=YES PriorityTier=1 GraceTime=3
PartitionName=urgent Nodes=node[1-2] PriorityTier=10 PreemptMode=OFF
"""


def why_not() -> str | None:
    """Why no cluster can be started here, and what to do; None if one can."""
    absent = [name for name in ("munged", "slurmctld", "slurmd", "slurmstepd") if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)}: not installed; `apt-get install slurm-wlm munge`"
    return None if os.geteuid() == 0 else "slurmd starts jobs only as root"


@dataclass
class SlurmCluster:
    """Two nodes of 2 CPUs and 2 pretended GPUs, and two partitions over both: ``normal``, whose jobs ``urgent`` has requeued."""

    folder: Path
    environment: Mapping[str, str]
    """What a process needs, on top of its own environment, to speak to this cluster."""
    _nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, *command: str | Path) -> str:
        """Run squeue, sbatch, ... and return what it prints, stripped; AssertionError with its complaint if it fails."""
        done = self._call(*command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def _call(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=60)

    def state(self, job: str) -> str:
        """What squeue calls the state of one job or task of an array; "" when it knows of none, or no more."""
        told = self.run("squeue", "--noheader", "--array", "--states=all", "--format=%i %T")
        return dict(line.split() for line in told.splitlines()).get(job, "")

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 90) -> None:
        """Wait until a condition holds; AssertionError, with the queue, when that takes longer."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"Not in {seconds:.0f} s: {what}\n{self._call('squeue', '--states=all', '--array')}"
            time.sleep(0.2)

    def wait_for_state(self, job: str, state: str, seconds: float = 90) -> None:
        """Wait until squeue says so of a job."""
        self.wait(lambda: self.state(job) == state, f"job {job} is {state}", seconds)

    def kill_node(self, name: str) -> None:
        """``kill -9`` slurmd and all that it has started; the controller notices after about 15 seconds."""
        node = self._nodes.pop(name)
        node.kill()
        node.wait()
        # A step or a process may have been started while we looked.
        while processes := self._processes(name):
            for process in processes:
                _kill(process)
            time.sleep(0.05)

    def _kill_nodes(self) -> None:
        for name in list(self._nodes):
            self.kill_node(name)

    def start_node(self, name: str) -> None:
        """Start a node, the first time or again, without waiting for it."""
        # A copy of its own, so that one sees from a step's process on which node it runs.
        step = self.folder / f"{name}-slurmstepd"
        if not step.exists():
            shutil.copy2(_program("slurmstepd"), step)
        self._nodes[name] = _start([_program("slurmd"), "-D", "-N", name, "-d", str(step)], self.folder, self.environment)

    def wait_for_nodes(self, *names: str, seconds: float = 60) -> None:
        """Wait until nodes are up and idle."""
        self.wait(lambda: all(self._idle(name) for name in names), f"{', '.join(names)}: idle", seconds)

    def _idle(self, name: str) -> bool:
        return self.run("sinfo", "--noheader", "--nodes", name, "--format=%T").split()[:1] == ["idle"]

    def _processes(self, name: str) -> list[int]:
        """The steps of a node and the processes of its jobs."""
        step = str(self.folder / f"{name}-slurmstepd")
        marks = {f"SLURMD_NODENAME={name}".encode(), f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()}
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                mine = marks <= set((place / "environ").read_bytes().split(b"\0")) or str((place / "exe").readlink()) == step
            except OSError:  # it has ended, or is one of the kernel's
                continue
            if mine:
                found.append(int(place.name))
        return found


@contextmanager
def slurm_cluster(folder: Path, min_job_age: int = 60) -> Iterator[SlurmCluster]:
    """Start a cluster whose nodes are idle; on the way out every process of it ends, those of its jobs included.

    ``folder`` has to have a short path, for the sockets in it; ``min_job_age`` is after how many seconds an ended job is forgotten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    cluster = SlurmCluster(folder, environment)
    text = CONFIGURATION.format(folder=folder, host=socket.gethostname(), ports=_free_ports(3), min_job_age=min_job_age)
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text("AutoDetect=off\nName=gpu File=/dev/zero\nName=gpu File=/dev/full\n")
    (folder / "state").mkdir(exist_ok=True)
    for name in NODES:
        (folder / name).mkdir(exist_ok=True)
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    with ExitStack() as stack:
        # --force: munged else minds who may read a folder of root.
        places = [
            f"--{name}={folder}/munge.{end}" for name, end in [("socket", "socket"), ("key-file", "key"), ("pid-file", "pid")]
        ]
        files = [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"]
        munged = [_program("munged"), "--foreground", "--force", "--num-threads=4", *places, *files]
        stack.callback(_end, _start(munged, folder, environment))
        cluster.wait((folder / "munge.socket").exists, "munged listens", 20)
        stack.callback(_end, _start([_program("slurmctld"), "-D", "-i"], folder, environment))
        stack.callback(cluster._kill_nodes)
        cluster.wait(lambda: cluster._call("scontrol", "ping").returncode == 0, "slurmctld answers", 30)
        for name in NODES:
            cluster.start_node(name)
        cluster.wait_for_nodes(*NODES)
        yield cluster


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, why_not()
    return found


def _start(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a daemon that ends with us, even if we are killed, and that Ctrl-C does not reach."""
    with (folder / "daemons.log").open("ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
