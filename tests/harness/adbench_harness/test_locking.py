from __future__ import annotations

import errno
from pathlib import Path

import pytest
from filelock import Timeout

from adbench_harness.api import BusyRunError, InterruptedRunError
from adbench_harness.home import Results
from adbench_harness.locking import NO_LOCKS, claimed, held


def test_what_another_holds_is_not_to_be_had(tmp_path: Path) -> None:
    with held(tmp_path / "lock"), pytest.raises(Timeout), held(tmp_path / "lock"):
        pass
    with held(tmp_path / "lock"):
        pass


def test_a_run_has_one_maker(results: Results) -> None:
    with claimed("r1", results):
        with claimed("r2", results):
            pass
        with pytest.raises(BusyRunError, match="run r1 is being made by another process; wait for it"), claimed("r1", results):
            pass
    with claimed("r1", results):
        pass


def test_whoever_waits_has_it_in_the_end_or_is_stopped(results: Results) -> None:
    other = claimed("r1", results)
    other.__enter__()
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        if len(asked) == 2:
            other.__exit__(None, None, None)
        return False

    with claimed("r1", results, stop):
        assert len(asked) == 2
        with (
            pytest.raises(InterruptedRunError, match="stopped while another process made run r1"),
            claimed("r1", results, lambda: True),
        ):
            pass


@pytest.mark.parametrize("number", sorted(NO_LOCKS), ids=errno.errorcode.get)
def test_where_there_are_no_locks_work_goes_on_unless_one_is_needed(
    results: Results, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="locks of Unix")

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with claimed("r1", results), claimed("r1", results):
        pass
    with pytest.raises(OSError, match="no locks"), held(results.lock("r1"), needed=True):
        pass
