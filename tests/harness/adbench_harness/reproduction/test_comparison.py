"""What is compared with the study, what is only shown, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adbench_harness import registry
from adbench_harness.data.record import ImportRecord, write_record
from adbench_harness.home import Home
from adbench_harness.manifest import Cell as RunCell
from adbench_harness.manifest import Manifest
from adbench_harness.protocol import resolve
from adbench_harness.published import Cell, published
from adbench_harness.reproduction import FIGURES, PROTOCOL, Row, Series, compare, missing, obstacle, outside, series_of
from adbench_harness.reproduction.series import Measured, StoredRun

NUMBERS = published()
STUDY = NUMBERS.study
SPEC = registry.protocol(PROTOCOL).spec
DIGEST = resolve(SPEC, {}).fit_digest
HEAD = Cell("head-ct", "all", "f-anogan")
AREA = Measured(0.75, 0.65, 0.85)

Stored = Callable[..., StoredRun]


@pytest.fixture
def stored(make_manifest: Callable[..., Manifest]) -> Stored:
    """A run as published of f-AnoGAN on Head-CT; everything but what a test is about has a plain value."""

    def make(
        seed: int = 0,
        cell: Cell = HEAD,
        *,
        area: Measured = AREA,
        run_id: str | None = None,
        options: str = "{}",
        fingerprint: str = "d" * 16,
        variant: str | None = None,
        digest: str = DIGEST,
        overrides: Mapping[str, str] | None = None,
        partial: str | None = None,
        model: Mapping[str, Any] | None = None,
        revision: str = "1",
        counts: tuple[int, int, int] = (80, 20, 100),
        rates: tuple[float, float] = (0.95, 0.4),
    ) -> StoredRun:
        manifest = make_manifest(
            run_id or f"{cell.model}-{cell.dataset}-{seed}",
            cell=RunCell(
                model=cell.model, options={}, dataset=cell.dataset, protocol=PROTOCOL, fit_digest=digest, split=0, seed=seed
            ),
            variant=variant or cell.model,
            protocol={"name": PROTOCOL, "version": 1, "overrides": dict(overrides or {})},
            dataset={"partial": partial, "counts": {"train_normal": counts[0]}},
            model={"given": {}, "transductive": None, **(model or {})},
            plugins={"model": {"revision": revision}},
        )
        figures = {
            (cell.task, "none", "roc_auc"): area,
            (cell.task, "none", "n_normal"): Measured(counts[1], None, None),
            (cell.task, "none", "n_abnormal"): Measured(counts[2], None, None),
            (cell.task, "best-f1", "sensitivity"): Measured(rates[0], None, None),
            (cell.task, "best-f1", "specificity"): Measured(rates[1], None, None),
        }
        return StoredRun(manifest.run_id, options, fingerprint, manifest, figures)

    return make


def series(*runs: StoredRun) -> list[Series]:
    return series_of(runs, SPEC, STUDY)


def areas(*runs: StoredRun, cell: Cell = HEAD) -> list[Row]:
    return compare(series(*runs), STUDY, [cell], ["roc_auc"])


def words(row: Row) -> list[str]:
    return [mark.word for mark in row.marks]


def test_seeds_make_one_row_and_the_study_s_figure_lies_inside(stored: Stored) -> None:
    (row,) = areas(*(stored(seed, area=Measured(0.7 + seed / 50, 0.6, 0.9)) for seed in range(5)))
    assert row.ours is not None
    assert row.ours.value == pytest.approx(0.74)
    assert row.ours.basis == "seeds and images"
    assert (row.verdict, row.study.value) == ("inside", 0.761)
    assert row.gap == pytest.approx(0.74 - 0.761)
    assert sorted(row.values) == [0, 1, 2, 3, 4]
    assert row.runs[3] == "f-anogan-head-ct-3"
    assert row.marks == row.barred == ()


def test_of_two_runs_of_a_seed_the_newest_counts_and_a_mixture_of_revisions_is_said(stored: Stored) -> None:
    old, new = stored(0, run_id="old", area=Measured(0.1, 0.0, 0.2)), stored(0, run_id="new", revision="2")
    (row,) = areas(old, new, stored(1))
    assert row.values == {0: 0.75, 1: 0.75}
    assert row.runs[0] == "new"
    assert words(row) == ["several revisions"]


def test_one_seed_has_the_interval_of_its_images_and_says_so(stored: Stored) -> None:
    (row,) = areas(stored())
    assert (row.verdict, words(row)) == ("inside", ["one seed"])
    (row,) = areas(stored(area=Measured(0.75, None, None)))
    assert (row.verdict, [bar.word for bar in row.barred], row.gap) == ("not comparable", ["one seed"], None)
    (row,) = areas(stored(0, area=Measured(0.75, None, None)), stored(1, area=Measured(0.77, None, None)))
    assert (row.verdict, words(row)) == ("inside", ["seeds only"])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"partial": "12 files of 200 are missing"}, "partial copy"),
        ({"overrides": {"epochs": "2"}, "digest": "0" * 16}, "off protocol"),
        ({"overrides": {"gan_epochs": "2"}}, "off protocol"),
        ({"digest": "0" * 16}, "other rules"),
    ],
)
def test_what_is_not_the_study_s_experiment_is_shown_and_not_compared(stored: Stored, changes: dict[str, Any], word: str) -> None:
    (row,) = areas(*(stored(seed, **changes) for seed in range(5)))
    assert row.ours is not None
    assert (row.verdict, row.gap) == ("not comparable", None)
    assert [bar.word for bar in row.barred] == [word]
    assert missing(series(stored(**changes)), STUDY, [HEAD], (0, 1))[0].state == "0 of 2 seeds"


def test_transductive_runs_are_a_row_of_their_own_that_says_so(stored: Stored) -> None:
    cell = Cell("head-ct", "all", "ganomaly")
    changes = {"options": '{"bn_at_test": "batch"}', "variant": "ganomaly (bn_at_test=batch)"}
    reason = {"transductive": "batch normalisation by the statistics of the test batch"}
    plain, batch = areas(
        *(stored(s, cell) for s in (0, 1)), *(stored(s, cell, **changes, model=reason) for s in (0, 1)), cell=cell
    )
    assert (plain.variant, words(plain)) == ("ganomaly", [])
    assert (batch.variant, words(batch)) == ("ganomaly (bn_at_test=batch)", ["transductive"])
    assert batch.verdict != "not comparable"
    assert "never ranked" in batch.marks[0].text
    assert "the public code" in batch.marks[0].text


def test_another_teacher_is_told_beside_the_verdict_and_its_runs_leave_the_published_ones_missing(stored: Stored) -> None:
    cell = Cell("head-ct", "all", "multikd")
    given = {"given": {"teacher": {"kind": "imagenet-features", "input": "RGB 0-255", "as_in_the_study": False}}}
    runs = [stored(seed, cell, variant="multikd (teacher=x)", options='{"teacher": "x"}', model=given) for seed in range(5)]
    (row,) = areas(*runs, cell=cell)
    assert words(row) == ["other teacher"]
    assert "imagenet-features" in row.marks[0].text
    assert "IMAGENET1K_V1" in row.marks[0].text
    assert row.gap is not None
    (lacking,) = missing(series(*runs), STUDY, [cell], (0, 1, 2, 3, 4))
    assert (lacking.state, lacking.seeds) == ("0 of 5 seeds", (0, 1, 2, 3, 4))
    same = {"given": {"teacher": {"kind": "imagenet", "as_in_the_study": True}}}
    assert words(areas(stored(0, cell, model=same), stored(1, cell, model=same), cell=cell)[0]) == []


def test_options_that_are_not_the_defaults_are_told(stored: Stored) -> None:
    (row,) = areas(*(stored(seed, variant="f-anogan (latent=64)", options="{}x") for seed in (0, 1)))
    assert words(row) == ["other options"]


def test_119_patches_for_117_are_told(stored: Stored) -> None:
    cell = Cell("mias-patches", "all", "ganomaly")
    (row,) = areas(*(stored(seed, cell, counts=(167, 40, 119)) for seed in (0, 1)), cell=cell)
    assert "119 for 117" in words(row)
    assert any("119 abnormal test images, the study 117" in mark.text for mark in row.marks)
    (row,) = areas(*(stored(seed, cell, counts=(160, 40, 119)) for seed in (0, 1)), cell=cell)
    assert "other counts" in words(row)


def test_two_copies_of_a_dataset_are_two_rows_that_are_told_apart(stored: Stored) -> None:
    rows = areas(stored(0), stored(1), stored(0, run_id="x", fingerprint="a" * 16), stored(1, run_id="y", fingerprint="a" * 16))
    assert sorted(words(row)[0] for row in rows) == ["data aaaaaa", "data dddddd"]


def test_a_gap_that_the_study_s_own_error_explains_is_told(stored: Stored) -> None:
    def at(value: float) -> Row:
        return areas(*(stored(seed, area=Measured(value, value - 0.05, value + 0.05)) for seed in (0, 1)))[0]

    assert (at(0.84).verdict, words(at(0.84))) == ("above", ["within both errors"])
    assert (at(0.95).verdict, words(at(0.95))) == ("above", [])
    assert (at(0.3).verdict, words(at(0.3))) == ("below", [])


def test_figures_of_no_detector_are_told_whosever_they_are(stored: Stored) -> None:
    cell = Cell("brain-tumor-mri", "all", "ganomaly")
    runs = [stored(seed, cell, counts=(80, 18, 155), rates=(1.0, 0.0)) for seed in (0, 1)]
    (row,) = compare(series(*runs), STUDY, [cell], ["recall"])
    assert {"study trivial", "ours trivial"} <= set(words(row))
    assert (row.verdict, row.study.value) == ("inside", 1.0)
    (row,) = compare(series(*runs), STUDY, [cell], ["roc_auc"])
    assert words(row) == []


def test_a_task_that_the_runs_lack_is_no_figure(stored: Stored) -> None:
    cell = Cell("retinal-oct", "cnv", "f-anogan")
    run = stored(0, cell, counts=(26315, 242, 242))
    (row,) = areas(replace(run, figures={}), cell=cell)
    assert (row.ours, row.verdict, [bar.word for bar in row.barred]) == (None, "not comparable", ["no figure"])


def test_missing_runs_come_with_the_command_and_small_datasets_first(stored: Stored) -> None:
    cells = [
        Cell("c-nmc", "all", "f-anogan"),
        HEAD,
        *(Cell("retinal-oct", task, "f-anogan") for task in ("cnv", "dme", "drusen")),
    ]
    found = missing(series(stored(0), stored(2)), STUDY, cells, (0, 1, 2, 3, 4))
    assert [(item.dataset, item.state) for item in found] == [
        ("head-ct", "2 of 5 seeds"),
        ("c-nmc", "no run"),
        ("retinal-oct", "no run"),
    ]
    assert found[0].command == "adbench run --model f-anogan --dataset head-ct --protocol esmaeili2023 --seed 1,3,4"
    assert found[1].command.endswith("--dataset c-nmc --protocol esmaeili2023 --seed all")
    assert [(request.seed, request.device) for request in found[0].requests("cpu")] == [(1, "cpu"), (3, "cpu"), (4, "cpu")]
    assert missing(series(*(stored(seed) for seed in range(5))), STUDY, [HEAD], (0, 1, 2, 3, 4)) == []


def test_figures_of_others_stand_beside_the_study_s_and_ours(stored: Stored) -> None:
    cell = Cell("head-ct", "all", "multikd")
    rows = list(outside(series(stored(0, cell), stored(1, cell)), NUMBERS, {("head-ct", "multikd"), ("retinal-oct", "ganomaly")}))
    oct_row, head = rows
    assert (oct_row.value, oct_row.spread, oct_row.ours) == (0.686, 0.096, ())
    assert oct_row.study == pytest.approx(0.8273, abs=1e-4)
    assert (head.value, head.spread, head.study) == (0.608, None, 0.698)
    assert [(variant, found.value) for variant, found in head.ours] == [("multikd", 0.75)]


def test_every_figure_of_the_study_is_one_that_the_store_has() -> None:
    for figure in FIGURES:
        for cell in STUDY.cells():
            assert 0 <= STUDY.claim(cell, figure).value <= 1


def test_a_dataset_that_is_not_here_or_not_whole_is_an_obstacle(home: Home, tmp_path: Path) -> None:
    assert "adbench datasets import head-ct PATH" in (obstacle("head-ct", home) or "")
    spec = registry.dataset("head-ct").spec
    home.dataset("head-ct").mkdir(parents=True)
    record = ImportRecord(
        dataset="head-ct",
        how="copied",
        folder=home.dataset("head-ct"),
        source=tmp_path,
        imported="2026-01-01T00:00:00Z",
        edition=None,
        files=1,
        bytes=1,
    )
    write_record(record, spec, home)
    assert "partial copy" in (obstacle("head-ct", home) or "")
    write_record(record.model_copy(update={"edition": "original"}), spec, home)
    assert obstacle("head-ct", home) is None
