from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.manifest import Manifest, Received
from adbench_harness.status import STATUSES, Check, Checks, doubt, read_checks, status_of, write_checks
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_harness.store.queries import run_rows

RECEIVED = Received(bundle="b" * 64, imported="2026-01-02T03:04:05Z")


def checked(kind: Any, agrees: bool) -> Check:
    return Check(
        kind=kind,
        agrees=agrees,
        date="2026-02-03T04:05:06Z",
        device="a CPU",
        adbench="0.1.0",
        images=4,
        max_difference=0.5,
        spread=2.0,
        tolerance=0.001,
        rank_correlation=None,
    )


@pytest.mark.parametrize(
    ("found", "status", "doubted"),
    [
        ([], "self-reported", False),
        ([("re-scored", True)], "re-scored", False),
        ([("re-trained", True)], "re-trained", False),
        ([("re-trained", True), ("re-scored", True)], "re-trained", False),
        ([("re-scored", False)], "self-reported", True),
        ([("re-scored", True), ("re-scored", False)], "self-reported", True),
        ([("re-scored", False), ("re-scored", True)], "re-scored", False),
        ([("re-scored", True), ("re-trained", False)], "re-scored", False),
    ],
)
def test_the_newest_check_of_each_kind_counts(
    make_manifest: Callable[..., Manifest], found: list[tuple[str, bool]], status: str, doubted: bool
) -> None:
    checks = Checks(run_id="pca-made-0001", checks=tuple(checked(kind, agrees) for kind, agrees in found))
    sent = make_manifest(received=RECEIVED)
    assert status_of(sent, checks) == status
    assert (doubt(sent, checks) is not None) == doubted
    assert (status_of(make_manifest(), checks), doubt(make_manifest(), checks)) == ("run here", None)


def test_checks_come_back_and_another_run_s_are_refused(results: Results, make_run: Callable[..., Manifest]) -> None:
    make_run("pca-made-0001")
    folder = results.runs / "pca-made-0001"
    assert read_checks(folder, "pca-made-0001") == Checks(run_id="pca-made-0001")
    checks = Checks(run_id="pca-made-0001", checks=(checked("re-scored", True),))
    write_checks(folder, checks)
    assert read_checks(folder, "pca-made-0001") == checks
    with pytest.raises(StoreError, match=r"status\.json is that of run pca-made-0001"):
        read_checks(folder, "pca-made-0002")
    (folder / "status.json").write_text('{"format": 99, "run_id": "pca-made-0001"}')
    with pytest.raises(StoreError, match="written by a newer adbench"):
        read_checks(folder, "pca-made-0001")


def test_a_status_that_can_t_be_read_keeps_its_run_out_until_it_is_mended(
    results: Results, make_run: Callable[..., Manifest]
) -> None:
    make_run("pca-made-0001", received=RECEIVED)
    folder = results.runs / "pca-made-0001"
    assert ingest(results).added == ["pca-made-0001"]
    (folder / "status.json").write_text("{}")
    assert "status.json can't be read; remove it, then check the run again" in ingest(results).refused["pca-made-0001"]
    write_checks(folder, Checks(run_id="pca-made-0001", checks=(checked("re-scored", True),)))
    assert ingest(results).added == ["pca-made-0001"]
    assert ingest(results).added == []


def test_a_run_that_is_checked_is_not_evaluated_again(
    results: Results, make_run: Callable[..., Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("pca-made-0001", received=RECEIVED)
    ingest(results)
    monkeypatch.setattr("adbench_harness.store.evaluated.figures", None)
    for agrees, expected in ((True, ("re-scored", None)), (False, ("self-reported", "not what its weights give"))):
        write_checks(results.runs / "pca-made-0001", Checks(run_id="pca-made-0001", checks=(checked("re-scored", agrees),)))
        assert ingest(results).added == []
        with reading(results.database) as db:
            row = run_rows(db)[0]
        assert (row.status, row.unranked and row.unranked.partition(":")[0]) == expected


def test_what_is_known_less_of_never_stands_for_what_is_known_more_of(
    results: Results, make_run: Callable[..., Manifest]
) -> None:
    from adbench_harness.store.contenders import stored_runs

    make_run("pca-made-0001", created="2026-01-01T00:00:00Z")
    make_run("pca-made-0002", created="2026-09-09T00:00:00Z", received=RECEIVED)
    ingest(results)
    with reading(results.database) as db:
        assert {run.run_id: run.newest for run in stored_runs(db)} == {"pca-made-0001": True, "pca-made-0002": False}


def test_words_tell_all_that_was_found() -> None:
    words = checked("re-scored", False).words
    assert words.startswith("re-scored 2026-02-03 on a CPU: does NOT agree; the largest difference of 4 scores is 0.5, 0.25 of")
    assert STATUSES == ("self-reported", "re-scored", "re-trained", "run here")
