from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adbench_harness.api import OptionError
from adbench_harness.forecast import Forecast, forecast
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.runner import Conditions, run_one
from adbench_harness.store.ingest import ingest

TINY = RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", device="cpu")
PHANTOM = replace(TINY, dataset="phantom")


def seen(requests: list[RunRequest], home: Home, results: Results) -> list[Forecast]:
    return list(forecast(requests, home, results, "cpu"))


def test_without_any_run_all_is_to_do_and_nothing_is_known_or_written(tiny: Path, home: Home, results: Results) -> None:
    (found,) = seen([TINY], home, results)
    assert (found.state, found.seconds, found.error) == ("to do", None, None)
    assert found.run_id == plan(TINY, home).run_id
    assert not results.root.exists()


def test_what_is_done_what_goes_on_and_how_long_the_rest_takes(tiny: Path, home: Home, results: Results) -> None:
    done = run_one(plan(TINY, home), Conditions(home, results)).manifest
    ingest(results)
    second, missing = replace(TINY, seed=1), replace(TINY, dataset="head-ct")
    place = results.checkpoint(plan(second, home).run_id)
    place.parent.mkdir(parents=True)
    place.touch()
    first, going, to_do, elsewhere, impossible = seen([TINY, second, replace(TINY, seed=2), PHANTOM, missing], home, results)
    assert [one.state for one in (first, going, to_do, elsewhere, impossible)] == ["done", "goes on", "to do", "to do", "fails"]
    assert [one.alike for one in (going, to_do, elsewhere)] == [False, False, True]
    took = sum(done.timings.values())
    for one in (going, to_do, elsewhere):
        assert one.seconds == pytest.approx(took)
    assert first.seconds is None
    assert "adbench datasets import head-ct" in str(impossible.error)


def test_a_device_that_is_not_there(home: Home, results: Results) -> None:
    with pytest.raises(OptionError):
        list(forecast([TINY], home, results, "cuda:99"))
