from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.manifest import Manifest
from adbench_harness.replicates import replicate_folders, replicates_counted, replicates_of, scores_digest, whole_run
from adbench_harness.result import Scores, write_run

RUN = "pca-made-0001"


@pytest.fixture
def replicate(results: Results, make_manifest: Callable[..., Manifest], scores: Scores) -> Callable[..., None]:
    """Writes a replicate: replicate(name, score by score, ...)."""

    def make(name: str, *score: float, **changes: Any) -> None:
        place = results.replicates / RUN
        write_run(place, make_manifest(RUN, **changes), replace(scores, score=np.array(score)), [], None)
        (place / RUN).rename(place / name)

    return make


def test_the_digest_is_of_what_was_scored_and_not_of_order_or_groups(scores: Scores) -> None:
    turned = Scores(
        scores.image[::-1],
        scores.label[::-1],
        scores.subtype[::-1],
        [None] * 4,
        scores.subset[::-1],
        scores.score[::-1],
    )
    assert scores_digest(turned) == scores_digest(scores)
    zero = np.array([0.0, 0.4, 0.35, 0.8])
    assert scores_digest(replace(scores, score=zero * np.array([-1, 1, 1, 1]))) == scores_digest(replace(scores, score=zero))
    others = [
        replace(scores, score=np.nextafter(scores.score, 1)),
        replace(scores, label=1 - scores.label),
        replace(scores, subset=["held_out", "test", "test", "test"]),
        replace(scores, image=["n1", "n2", "a1", "a3"]),
    ]
    assert len({scores_digest(one) for one in (scores, *others)}) == 5
    with pytest.raises(StoreError, match="only finite scores"):
        scores_digest(replace(scores, score=np.array([0.1, np.nan, 0.2, 0.3])))


def test_replicates_are_told_beside_the_run_the_newest_last(
    results: Results, make_run: Callable[..., Manifest], replicate: Callable[..., None]
) -> None:
    assert replicates_of(results, RUN) == ([], {})
    assert not replicates_counted(results)
    make_run(RUN)
    compute = {"device": "cuda", "device_name": "a GPU", "torch": "2.9.0+cu130"}
    replicate("later", 0.1, 0.4, 0.5, 0.8, created="2026-05-02T03:04:05Z", compute=compute, environment={"adbench": "0.2.0"})
    replicate("earlier", 0.1, 0.4, 0.35, 0.3)
    replicate("equal", 0.1, 0.4, 0.35, 0.8)  # the run was made again since, and gave this
    first, second = replicates_of(results, RUN)[0]
    assert [first.folder.name, second.folder.name] == ["earlier", "later"]
    run, made = second.comparison.run, second.comparison.replicate
    assert (run.device, run.threads, run.adbench, run.torch, run.roc_auc) == ("a CPU", 2, "unknown", "unknown", 0.75)
    assert (made.device, made.threads, made.adbench, made.torch, made.roc_auc) == ("a GPU", None, "0.2.0", "2.9.0+cu130", 1.0)
    assert second.comparison.agreement.max_difference == pytest.approx(0.15)
    assert second.comparison.agreement.spread == pytest.approx(0.2125)
    assert first.comparison.replicate.roc_auc == 0.5
    assert replicates_counted(results) == {RUN: 3}


def test_damaged_replicates_and_those_of_other_images_are_told_with_the_reason(
    results: Results, make_run: Callable[..., Manifest], make_manifest: Any, scores: Scores, replicate: Callable[..., None]
) -> None:
    make_run(RUN)
    for name in ("altered", "cut", "good"):
        replicate(name, 0.1, 0.4, 0.5, 0.8)
    place = results.replicates / RUN
    (place / "altered" / "scores.parquet").write_bytes(b"x")
    (place / "cut" / "manifest.json").unlink()
    write_run(place, make_manifest(RUN), replace(scores, label=1 - scores.label), [], None)
    (place / ".hidden").mkdir()
    (place / "notes.txt").write_text("x")
    assert [path.name for path in replicate_folders(results, RUN)] == ["altered", "cut", "good", RUN]
    found, refused = replicates_of(results, RUN)
    assert [one.folder.name for one in found] == ["good"]
    reasons = {path.name: reason for path, reason in refused.items()}
    assert "is not the file that the run wrote" in reasons["altered"]
    assert "no run here" in reasons["cut"]
    assert "scores other images, labels or subsets than" in reasons[RUN]
    shutil.rmtree(results.runs / RUN)
    with pytest.raises(StoreError, match="no run here"):
        replicates_of(results, RUN)


def test_a_folder_with_another_run_s_name_is_refused(results: Results, make_run: Callable[..., Manifest]) -> None:
    make_run(RUN)
    with pytest.raises(StoreError, match=f"holds run {RUN}; rename the folder back"):
        whole_run(results.runs / RUN, "pca-made-0002")
