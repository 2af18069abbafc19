"""Which stored runs stand beside the study's, and what is known of their seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from adbench_harness import registry
from adbench_harness.home import Results
from adbench_harness.manifest import Cell as RunCell
from adbench_harness.manifest import Manifest, Received
from adbench_harness.metrics.comparison import mean_interval, seed_means
from adbench_harness.metrics.delong import paired_areas
from adbench_harness.protocol import resolve
from adbench_harness.published import Cell, published
from adbench_harness.reproduction import PROTOCOL, Row, Series, compare, missing, series_of, stored_runs
from adbench_harness.result import Scores, write_run
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest

SPEC = registry.protocol(PROTOCOL).spec
STUDY = published().study
HEAD = Cell("head-ct", "all", "f-anogan")
LABELS = np.repeat(np.array([0, 1], dtype=np.int8), [20, 30])

Write = Callable[..., None]


def scores_of(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What a detector of that seed gives the images."""
    shared = np.random.default_rng(99).normal(size=len(LABELS))
    return np.asarray(shared + LABELS + np.random.default_rng(seed).normal(size=len(LABELS)))


@pytest.fixture
def write(results: Results, make_manifest: Callable[..., Manifest]) -> Write:
    """Writes a run as published of f-AnoGAN on Head-CT: 20 normal and 30 abnormal images in pairs."""

    def make(
        seed: int,
        *,
        trained_on: str | None = None,
        created: str = "2026-01-01T00:00:00Z",
        prefix: str = "i",
        received: Received | None = None,
    ) -> None:
        cell = RunCell(
            model=HEAD.model,
            options={},
            dataset=HEAD.dataset,
            protocol=PROTOCOL,
            fit_digest=resolve(SPEC, {}).fit_digest,
            split=0,
            seed=seed,
            trained_on=trained_on,
        )
        evaluation = {"thresholds": ["best-f1"]}
        manifest = make_manifest(
            f"run-{seed}-{trained_on or ('native' if received is None else 'sent')}",
            cell=cell,
            variant=HEAD.model,
            created=created,
            protocol={"name": PROTOCOL, "version": 1, "evaluation": evaluation, "evaluation_digest": "e", "overrides": {}},
            dataset={"fingerprint": "d" * 16, "tasks": {}, "partial": None},
            model={"parameters": 1, "given": {}, "transductive": None},
            received=received,
        )
        names = [f"{prefix}{number}" for number in range(len(LABELS))]
        groups = [f"g{number // 2}" for number in range(len(LABELS))]
        kinds = ["normal" if label == 0 else "bleed" for label in LABELS]
        scores = Scores(names, LABELS, kinds, list(groups), ["test"] * len(LABELS), scores_of(seed))
        write_run(results.runs, manifest, scores, [], None)

    return make


def series(results: Results) -> list[Series]:
    ingest(results)
    with reading(results.database) as db:
        return series_of(stored_runs(db), SPEC, STUDY)


def row(results: Results) -> Row:
    (found,) = compare(series(results), STUDY, [HEAD], ["roc_auc"])
    return found


def test_a_newer_run_of_a_detector_trained_elsewhere_takes_no_native_one_s_place(results: Results, write: Write) -> None:
    write(0)
    write(0, trained_on="brain-tumor-mri", created="2026-02-01T00:00:00Z")
    write(1, trained_on="brain-tumor-mri")
    assert row(results).runs == {0: "run-0-native"}
    (lacking,) = missing(series(results), STUDY, [HEAD], (0, 1, 2))
    assert (lacking.seeds, lacking.state) == ((1, 2), "1 of 3 seeds")


def test_a_cell_with_nothing_but_detectors_trained_elsewhere_has_no_run(results: Results, write: Write) -> None:
    write(0, trained_on="brain-tumor-mri")
    found = series(results)
    assert compare(found, STUDY, [HEAD], ["roc_auc"]) == []
    assert missing(found, STUDY, [HEAD], (0,))[0].state == "no run"


def test_the_area_s_interval_is_by_the_seeds_own_variance_and_by_groups(results: Results, write: Write) -> None:
    for seed in (0, 1, 2):
        write(seed)
    found = row(results).ours
    areas = paired_areas(LABELS, np.array([scores_of(seed) for seed in (0, 1, 2)]), np.arange(len(LABELS)) // 2)
    known = mean_interval(seed_means(areas, [np.arange(3)]), 0)
    assert found is not None
    assert [found.value, found.low, found.high] == pytest.approx([areas.values.mean(), known.low, known.high])
    assert found.basis == "seeds and images"


def test_seeds_that_were_tested_on_other_images_have_the_joined_interval(results: Results, write: Write) -> None:
    write(0)
    write(1, prefix="j")
    (found,) = series(results)
    assert found.areas("all") is None
    ours = row(results).ours
    assert ours is not None
    assert ours.basis == "seeds and images"


def test_a_run_that_others_sent_is_marked_and_never_takes_the_place_of_our_own(results: Results, write: Write) -> None:
    sent = Received(bundle="b" * 64, imported="2026-02-03T04:05:06Z")
    write(0, created="2026-01-01T00:00:00Z")
    write(0, created="2026-09-09T00:00:00Z", received=sent)
    (ours,) = series(results)
    assert ([run.run_id for run in ours.runs], ours.marks) == (["run-0-native"], ())
    write(1, received=sent)
    (both,) = series(results)
    assert [run.run_id for run in both.runs] == ["run-0-native", "run-1-sent"]
    assert both.marks[0].word == "self-reported"
    assert "the scores are as somebody else sent them" in both.marks[0].text
