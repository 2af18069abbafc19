"""Runs on a Ray cluster: Ray places them, makes those again that are lost with a machine, and brings back what came of each."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from ..api import (
    AdbenchError,
    Ended,
    Execution,
    ExecutorSpec,
    Make,
    OptionError,
    Options,
    PluginError,
    Task,
    TrainingError,
    hookimpl,
)

if TYPE_CHECKING:
    import ray

adbench_api = 1

TOLD_SECONDS: Final = 1.0
"""Where a run is made, how far it is goes to the command, and whether to stop comes back, so often."""
ANSWER_SECONDS: Final = 10.0
BATCH: Final = 1000
"""So many tasks wait at Ray at a time: more would show it no more of what is needed."""
TELLER: Final = "adbench progress"


class RayOptions(Options):
    """What a run asks of the cluster."""

    address: str | None = Field(
        None, description="of a cluster: auto, HOST:PORT or ray://HOST:PORT; unset = a new one on this machine"
    )
    gpus: float | None = Field(None, ge=0, description="GPUs for each run, or a part of one; unset = 1 where the cluster has any")
    cpus: float = Field(1, gt=0, description="processor cores for each run; it has as many threads")
    retries: int = Field(3, ge=0, description="how often a run that was lost with its process or machine is made again")


@hookimpl
def register_executors(register: Callable[[ExecutorSpec], None]) -> None:
    """A Ray cluster, new or there."""
    register(ExecutorSpec("ray", "a Ray cluster (needs pip install 'adbench-harness[ray]')", RayOptions, execute))


def execute(tasks: Sequence[Task], options: Options, execution: Execution) -> Iterator[Ended]:
    """Carry out tasks on a cluster; see ``api.ExecutorSpec``.

    Raises:
        PluginError: if Ray is not installed.
        OptionError: if there is no cluster at the address, or it has nowhere the room that a run asks for.
    """
    assert isinstance(options, RayOptions)
    with _connected(options, execution.jobs):
        gpus = _gpus(options, execution.device)
        _check_room(options, gpus, execution)
        yield from _Cluster(options, gpus, execution).execute(tasks)


@dataclass
class _Cluster:
    """Tasks that Ray has, and how far they are."""

    options: RayOptions
    gpus: float
    execution: Execution
    _there: dict[ray.ObjectRef[bytes], Task] = field(default_factory=dict)

    def execute(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        teller: Any = (
            ray.remote(num_cpus=0)(_Teller).options(scheduling_strategy=here).remote()
        )  # beside us: no other machine takes it with it
        remote = ray.remote(
            num_cpus=self.options.cpus, num_gpus=self.gpus, max_retries=self.options.retries, retry_exceptions=False
        )(_make)
        waiting = list(reversed(tasks))
        most = min(self.execution.jobs or BATCH, BATCH)
        stopped = False
        while waiting or self._there:
            if self.execution.stop() and not stopped:
                stopped = True
                waiting.clear()
                ray.get(teller.stop.remote())
                self._cancel_unbegun(ray.get(teller.begun.remote()))
            while waiting and len(self._there) < most:
                task = waiting.pop()
                self._there[remote.remote(self.execution.make, teller, task.number, task.content)] = task
            done, _ = ray.wait([*self._there], num_returns=min(len(self._there), 100), timeout=0)
            if not done:
                done, _ = ray.wait([*self._there], timeout=TOLD_SECONDS / 2)
            for reference in done:
                yield from self._ended(reference)
            if not done:
                self._hear(ray.get(teller.news.remote()))

    def _ended(self, reference: ray.ObjectRef[bytes]) -> Iterator[Ended]:
        import ray

        task = self._there.pop(reference)
        try:
            yield Ended(task, ray.get(reference))
        except ray.exceptions.TaskCancelledError:
            return
        except ray.exceptions.RayError as error:
            yield Ended(task, None, reason_of(error))

    def _cancel_unbegun(self, begun: set[int]) -> None:
        import ray

        for reference, task in self._there.items():
            if task.number not in begun:
                ray.cancel(reference)

    def _hear(self, news: dict[int, tuple[str, int, int]]) -> None:
        tasks = {task.number: task for task in self._there.values()}
        for number, moment in news.items():
            if number in tasks:
                self.execution.heard(tasks[number], *moment)


def reason_of(error: Exception) -> AdbenchError:
    """Why a run is lost, from what Ray says."""
    from ray import exceptions

    rest = "the same command makes it again, from its checkpoint if there is one"
    if isinstance(error, exceptions.OutOfMemoryError):
        return TrainingError(
            f"its machine ran out of memory, and Ray ended its process; give it more with --cpus, or lower batch_size; {rest}"
        )
    if isinstance(error, exceptions.NodeDiedError | exceptions.WorkerCrashedError | exceptions.ObjectLostError):
        return TrainingError(f"it was lost with its process or machine, each time that it was tried (--retries); {rest}")
    if isinstance(error, exceptions.RayTaskError):
        return PluginError(f"it failed where it was made: {str(error.cause).strip() or type(error.cause).__name__}; {rest}")
    return TrainingError(f"Ray lost it ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]}); {rest}")


class _Teller:
    """Lives beside the command: runs tell it how far they are, and learn from it whether to stop."""

    def __init__(self) -> None:
        self._news: dict[int, tuple[str, int, int]] = {}
        self._begun: set[int] = set()
        self._stopped = False

    def tell(self, number: int, moment: tuple[str, int, int]) -> bool:
        """How far a run is; whether it is to stop."""
        self._news[number] = moment
        self._begun.add(number)
        return self._stopped

    def news(self) -> dict[int, tuple[str, int, int]]:
        """What was told since."""
        news, self._news = self._news, {}
        return news

    def begun(self) -> set[int]:
        """Every run that was begun, however it ended."""
        return self._begun

    def stop(self) -> None:
        """Have all runs stop."""
        self._stopped = True


def _make(make: Make, teller: Any, number: int, content: bytes) -> bytes:
    """What Ray calls, where the run is made."""
    link = _Link(teller, number)
    with link.kept_up():
        return make(content, link.tell, lambda: link.stopped)


@dataclass
class _Link:
    """From where a run is made to the command: once a second, beside the run, which it never holds up."""

    teller: Any
    number: int
    moment: tuple[str, int, int] = ("", 0, 0)
    stopped: bool = False

    def tell(self, phase: str, done: int, total: int) -> None:
        """How far the run is."""
        self.moment = (phase, done, total)

    @contextmanager
    def kept_up(self) -> Iterator[None]:
        """While a run is made."""
        ended = threading.Event()
        thread = threading.Thread(target=self._keep_up, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _keep_up(self, ended: threading.Event) -> None:
        import ray

        while True:
            with suppress(ray.exceptions.RayError):  # the command has gone, and Ray ends this process too
                self.stopped = ray.get(self.teller.tell.remote(self.number, self.moment))
            if ended.wait(TOLD_SECONDS):
                return


@contextmanager
def _connected(options: RayOptions, jobs: int | None) -> Iterator[None]:
    """Be of a cluster, while it lasts; a new one on this machine ends with it."""
    if find_spec("ray") is None:
        raise PluginError("Ray is not installed here; type: pip install 'adbench-harness[ray]'")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray asks to be told, and warns else
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    os.environ.setdefault(
        "RAY_worker_niceness", "0"
    )  # of a new cluster: its runs are what the machine is for, and Ray would put them last
    import ray

    known: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "namespace": "adbench"}
    if options.address is None:
        cpus = max(os.cpu_count() or 1, options.cpus * (jobs or 1))
        known |= {"include_dashboard": False, "num_cpus": int(cpus)}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _check_answers(options.address)
        # Without a word Ray would join a cluster that is here already, which is what "auto" is for.
        ray.init(options.address or "local", runtime_env={"env_vars": {"OMP_WAIT_POLICY": "PASSIVE"}}, **known)
    except (OSError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())
        if options.address is None:
            raise OptionError(f"no Ray cluster can be started on this machine ({words})") from None
        start = "have the same versions on both sides" if "ersion mismatch" in words else "start one: ray start --head"
        raise OptionError(f"the Ray cluster at {options.address} can't be joined ({words}); {start}") from None
    try:
        for number, handler in handlers.items():  # Ray takes SIGTERM for itself
            signal.signal(number, handler)
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str | None) -> None:
    """Raise OSError if nobody listens there: Ray would try for minutes."""
    found = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address or "")
    if found:
        socket.create_connection((found[1], int(found[2])), ANSWER_SECONDS).close()


def _gpus(options: RayOptions, device: str) -> float:
    if options.gpus is not None:
        return options.gpus
    return 1.0 if device != "cpu" and any(one.get("GPU", 0) for one in _machines()) else 0.0


def _check_room(options: RayOptions, gpus: float, execution: Execution) -> None:
    """Whether a machine has what a run asks for; Ray would wait for one for ever, or, where it can, start one.

    Raises:
        OptionError: if there is none, and the cluster is this machine alone.
    """
    there = _machines()
    if any(one.get("CPU", 0) >= options.cpus and one.get("GPU", 0) >= gpus for one in there):
        return
    cpus, most = max(((one.get("CPU", 0), one.get("GPU", 0)) for one in there), default=(0, 0))
    words = (
        f"a run asks for {options.cpus:g} cores and {gpus:g} GPUs (--cpus, --gpus), and no machine of the cluster has as much; the largest "
        f"has {cpus:g} and {most:g}"
    )
    if options.address is None:
        raise OptionError(words)
    execution.say(f"{words}; runs wait for one")


def _machines() -> list[dict[str, float]]:
    """What each machine of the cluster has."""
    import ray

    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    return [node["Resources"] for node in nodes() if node["Alive"]]
