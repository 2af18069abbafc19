"""Machines whose clocks are wrong."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime

import pytest

from adbench_harness.result import find_run
from adbench_harness.retention import removable

from .conftest import IN_PROCESS, MATRIX, SINGLE, Place

DAY = 24 * 3600


@pytest.mark.parametrize("days", [pytest.param(1, marks=pytest.mark.slow), -365])
def test_a_clock_that_is_wrong_has_nothing_made_again(place: Place, days: int) -> None:
    fault = f"shift_clock({days * DAY})"
    made = place.run(*SINGLE, fault=fault)
    assert made.returncode == 0, made.stderr
    (run_id,) = place.finished()
    manifest = find_run(place.results.runs, run_id)
    assert manifest is not None
    off = datetime.fromisoformat(manifest.created) - datetime.now(UTC)
    assert abs(off.total_seconds() - days * DAY) < DAY / 2
    assert min(manifest.timings.values()) >= 0
    place.finish(*MATRIX, *IN_PROCESS)
    before = place.finished()
    done = place.run(*MATRIX, *IN_PROCESS, fault=fault)
    assert done.stdout.count("already done") == 3
    place.check(before)
    rows = json.loads(place.run("results", "list", "--json", fault=fault).stdout)
    assert {row["run_id"] for row in rows} == place.undisturbed.keys()
    built = place.run("leaderboard", "build", "--out", "site", fault=fault)
    assert built.returncode == 0, built.stderr
    assert "tiny-autoencoder" in (place.folder / "site" / "index.html").read_text()


@pytest.mark.parametrize("days", [2, -365])
def test_what_another_machine_is_writing_stays(place: Place, days: int) -> None:
    folders = {name: place.results.runs / f".{name}.elsewhere-1.tmp" for name in ("young", "old")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    long_ago = time.time() - 2 * DAY
    os.utime(folders["old"], (long_ago, long_ago))
    pruned = place.run("results", "prune", fault=f"shift_clock({days * DAY})")
    assert pruned.returncode == 0, pruned.stderr
    assert [path.name for path in place.results.runs.iterdir()] == [folders["young"].name]
    assert not removable(place.results, "newest")
