"""An executor: one run after another, in the process of the command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from adbench_harness.api import Ended, Execution, ExecutorSpec, Options, Task, hookimpl

adbench_api = 1


class QueueOptions(Options):
    """What the executor is told."""

    backwards: bool = False


@hookimpl
def register_executors(register: Callable[[ExecutorSpec], None]) -> None:
    register(ExecutorSpec("tiny-queue", "one after another, in this process", QueueOptions, execute))


def execute(tasks: Sequence[Task], options: Options, execution: Execution) -> Iterator[Ended]:
    assert isinstance(options, QueueOptions)
    for task in reversed(tasks) if options.backwards else tasks:
        if execution.stop():
            return
        execution.heard(task, "", 0, 0)
        yield Ended(task, execution.make(task.content, partial(execution.heard, task), execution.stop))
