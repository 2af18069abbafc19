from __future__ import annotations

from multiprocessing import Pipe

from adbench_harness.executors.worker import Finished, _Given
from adbench_harness.plan import RunRequest

ONE, TWO = (RunRequest("pca", "phantom", "adbench-v1", seed=seed) for seed in (1, 2))


def test_requests_come_as_one_sequence_and_each_is_said_to_be_finished() -> None:
    driver, worker = Pipe()
    driver.send(ONE)
    driver.send(TWO)
    given = _Given(worker)
    taken = iter(given)
    assert next(taken) == given.now == ONE
    assert not driver.poll()
    assert next(taken) == given.now == TWO
    assert driver.recv() == Finished()
    driver.close()
    with_nobody_left = iter(_Given(worker))
    assert list(with_nobody_left) == []
