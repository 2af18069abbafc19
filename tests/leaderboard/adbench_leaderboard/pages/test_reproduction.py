"""The reproduction page: counted from its table, complete, and of use without a run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adbench_harness import registry
from adbench_harness.home import Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.protocol import resolve
from adbench_harness.published import Claim
from adbench_harness.reproduction import PROTOCOL
from adbench_harness.result import Scores, write_run
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.exports.sheets import sheets
from adbench_leaderboard.pages import reproduction
from adbench_leaderboard.pages.reproduction import published_figure, signed
from adbench_leaderboard.site import Site
from adbench_leaderboard.templating import Templates

Page = Callable[[], Any]
Store = Callable[..., None]


@pytest.fixture
def store(results: Results) -> Store:
    """Writes a run under the study's rules: 5 normal and 10 abnormal images, of which the detector finds most."""

    def write(
        model: str,
        dataset: str,
        seed: int,
        variant: str | None = None,
        shift: float = 1.0,
        transductive: str | None = None,
        **dataset_facts: Any,
    ) -> None:
        digest = resolve(registry.protocol(PROTOCOL).spec, {}).fit_digest
        label = np.array([0] * 5 + [1] * 10, dtype=np.int8)
        score = shift * label + np.random.default_rng(seed).normal(size=15)
        protocol = {"name": PROTOCOL, "version": 1, "evaluation": {"thresholds": ["best-f1", "youden"]}}
        manifest = Manifest(
            run_id=f"{model}-{dataset}-{seed}" + ("-other" if variant and transductive else ""),
            cell=Cell(
                model=model, options={"v": variant}, dataset=dataset, protocol=PROTOCOL, fit_digest=digest, split=0, seed=seed
            ),
            variant=variant or model,
            command="adbench run",
            created="2026-01-02T03:04:05Z",
            protocol={**protocol, "evaluation_digest": "e", "overrides": {}},
            dataset={"fingerprint": "d" * 16, "tasks": {}, "partial": None, **dataset_facts},
            model={"parameters": 1, "given": {}, "transductive": transductive},
            plugins={"model": {"name": model, "revision": "1"}},
            compute={"device": "cpu", "device_name": "x86_64", "threads": 2},
            environment={},
            timings={},
            training={},
            files={},
        )
        images = [f"i{number}" for number in range(15)]
        scores = Scores(images, label, ["normal"] * 5 + ["x"] * 10, [None] * 15, ["test"] * 15, score.astype(np.float64))
        write_run(results.runs, manifest, scores, [], None)

    return write


@pytest.fixture
def page(results: Results, tmp_path: Path, read: Callable[[Path], Any]) -> Page:
    """This page alone, of the runs that were written."""

    def make() -> Any:
        ingest(results)
        with reading(results.database) as db:
            site = Site(db, queries.runs(db), "0")
            (file,) = reproduction.files(site, Templates.of(site))
        (tmp_path / "page.html").write_bytes(file.content)
        return read(tmp_path / "page.html")

    return make


def words(page: Any) -> str:
    return " ".join(page.text.split())


def table(page: Any, caption: str) -> list[list[str]]:
    (found,) = [one.rows for one in page.tables if one.caption.startswith(caption)]
    return found  # type: ignore[no-any-return]


def test_the_outcome_is_counted_from_the_table(store: Store, page: Page) -> None:
    for seed in (0, 1):
        store("f-anogan", "head-ct", seed)
        store("ganomaly", "head-ct", seed, shift=-9.0)
        store("multikd", "br35h", seed, variant="multikd (teacher=random)", shift=-9.0)
        store("multikd", "c-nmc", seed, partial="3 missing")
    shown = page()
    cells = [cell for row in table(shown, "ROC AUC at a glance")[1:] for cell in row[1:]]
    count: Mapping[str, int] = {
        word: sum(word in cell for cell in cells) for word in ("inside", "above", "below", "not comp", "no run")
    }
    assert sum(count.values()) == len(cells) == 27
    assert (count["below"], count["not comp"], count["no run"]) == (2, 1, 23)
    said = words(shown)
    assert "27 cells. 4 of them have runs here, 2 with the study's settings, 0 of them with all 5 seeds." in said
    assert f"inside our interval in {count['inside']}" in said
    assert (
        f"above it in {count['above']} and below it in {count['below']}; 1 can't be compared, or is unranked. 23 have no run yet."
        in said
    )


def test_cells_with_all_seeds_are_those_that_are_not_said_to_miss_any(store: Store, page: Page) -> None:
    for seed in range(5):
        store("f-anogan", "head-ct", seed)
    store("ganomaly", "head-ct", 0)
    said = words(page())
    assert "2 with the study's settings, 1 of them with all 5 seeds." in said
    (lacking,) = re.findall(r"head-ct: runs that are missing with the study's settings, (.*?)These make", said)
    assert "ganomaly (1 of 5 seeds)" in lacking
    assert "f-anogan" not in lacking


def test_unranked_runs_stand_apart_and_no_count_has_them(store: Store, page: Page, results: Results) -> None:
    for seed in (0, 1):
        store("ganomaly", "head-ct", seed, shift=-9.0)
        store("ganomaly", "head-ct", seed, variant="ganomaly (bn_at_test=batch)", transductive="the batch")
        store("f-anogan", "head-ct", seed, transductive="the batch")
    shown = page()
    rows = table(shown, "ROC AUC on head-ct")
    apart = rows.index(["Unranked"])
    assert [row[0] for row in rows[1:apart]] == ["f-anogan", "ganomaly", "multikd"]
    assert [row[2] for row in rows[1:apart] if row[0] == "f-anogan"] == ["no ranked run"]
    assert [row[0] for row in rows[apart + 1 :]] == ["f-anogan", "ganomaly (bn_at_test=batch)"]
    # No verdict, but the reason and the gap.
    for row in rows[apart + 1 :]:
        assert row[3].startswith("\N{EMPTY SET} not comparable transductive ")
        assert row[3].endswith(" the batch")
        assert re.fullmatch(r"[+-]\d\.\d{3}", row[4])
    assert ["Unranked"] in table(shown, "ROC AUC of each seed on head-ct")
    said = words(shown)
    assert "2 of them have runs here" in said
    assert "lies above it in 0 and below it in 1; 1 can't be compared, or is unranked." in said
    (glance,) = [row for row in table(shown, "ROC AUC at a glance") if row[0] == "head-ct"]
    assert ["not comparable unranked" in cell for cell in glance[1:]].count(True) == 1


def test_the_table_as_a_file_says_rule_protocol_and_rank(store: Store, results: Results) -> None:
    for seed in (0, 1):
        store("ganomaly", "head-ct", seed)
        store("f-anogan", "head-ct", seed, partial="3 missing")
    ingest(results)
    with reading(results.database) as db:
        found = {file.path: file.content for file, _ in sheets(Site(db, queries.runs(db), "0"))}
    rows = list(csv.DictReader(io.StringIO(found["data/reproduction.csv"].decode(), newline="")))
    by_cell = {(row["model"], row["figure"]): row for row in rows}
    area, recall, partial = (by_cell[key] for key in (("ganomaly", "roc_auc"), ("ganomaly", "recall"), ("f-anogan", "roc_auc")))
    assert [(row["rule"], row["oracle"]) for row in (area, recall)] == [("none", "0"), ("best-f1", "1")]
    assert (area["protocol"], area["protocol_version"], area["evaluation_digest"]) == (PROTOCOL, "1", "e")
    assert len(area["fit_digest"]) == 16
    assert (area["unranked"], area["not_comparable"]) == ("", "")
    assert area["marks"].startswith("other counts: head-ct: ")
    assert partial["unranked"] == "partial copy of the dataset: 3 missing"
    assert partial["verdict"] == "not comparable"
    assert partial["not_comparable"] == "partial copy: partial copy of head-ct: 3 missing"


def test_what_within_both_errors_means_is_said_where_verdicts_are_explained(store: Store, page: Page) -> None:
    store("f-anogan", "head-ct", 0)
    assert "says that the gap is no larger than the two errors together" in words(page())


def test_a_row_has_figure_interval_gap_verdict_and_marks(store: Store, page: Page) -> None:
    for seed in (0, 1):
        store("ganomaly", "mias-patches", seed, shift=-9.0)
    rows = table(page(), "ROC AUC on mias-patches")
    assert rows[0] == ["Model", "Study", "Ours", "Verdict", "Gap", "From 0 to 1"]
    _, study, ours, verdict, gap, _ = next(row for row in rows if row[0] == "ganomaly")
    value, low, high = (float(number) for number in re.findall(r"\d\.\d{3}", ours))
    assert low <= value <= high < 0.585
    assert float(gap) == pytest.approx(value - float(study), abs=0.0011)
    assert verdict.split()[1] == "below"
    assert "other counts" in verdict
    assert ["f-anogan", "0.490", "no run"] in rows


def test_what_can_not_be_compared_has_no_gap_and_says_why(store: Store, page: Page) -> None:
    store("f-anogan", "head-ct", 0, partial="3 of 200 missing")
    shown = page()
    rows = table(shown, "ROC AUC on head-ct")
    row = rows[rows.index(["Unranked"]) + 1]
    assert row[0] == "f-anogan"
    assert "not comparable partial copy" in row[3]
    assert row[4] == "-"
    assert "partial copy of head-ct: 3 of 200 missing" in words(shown)


def test_missing_runs_have_the_command_that_makes_them(store: Store, page: Page) -> None:
    store("f-anogan", "head-ct", 0)
    said = words(page())
    assert "f-anogan (1 of 5 seeds)" in said
    assert "adbench run --model f-anogan --dataset head-ct --protocol esmaeili2023 --seed 1,2,3,4" in said
    assert "adbench run --model multikd --dataset c-nmc --protocol esmaeili2023 --seed all" in said


def test_each_seed_leads_to_its_run(store: Store, page: Page) -> None:
    for seed in (0, 3):
        store("f-anogan", "head-ct", seed)
    shown = page()
    assert table(shown, "ROC AUC of each seed on head-ct")[0] == ["Model", "Seed 0", "Seed 3"]
    assert [link for link in shown.links if link.startswith("run/f-anogan-head-ct-3")]


def test_figures_of_others_have_their_source(store: Store, page: Page) -> None:
    store("multikd", "head-ct", 0)
    shown = page()
    rows = table(shown, "Figures of other publications")
    (row,) = [row for row in rows if row[0] == "head-ct"]
    assert row[1:5] == ["multikd", "ROC AUC", "0.608", "0.698"]
    assert row[6].startswith("https://github.com/")
    assert "https://arxiv.org/abs/2306.11876" in shown.links


def test_without_a_run_of_the_protocol_it_says_how_to_make_them(make_run: Callable[..., str], page: Page) -> None:
    make_run("pca-1")
    shown = page()
    assert "all 27 cells of Table 3 are missing" in words(shown)
    assert "adbench results reproduce --run" in words(shown)
    assert [row[:2] for row in table(shown, "The study's figures on head-ct")][1:] == [
        ["f-anogan", "0.761"],
        ["ganomaly", "0.739"],
        ["multikd", "0.698"],
    ]
    assert not [one for one in shown.tables if one.caption.startswith("ROC AUC on")]


def test_words_of_a_manifest_are_text(store: Store, page: Page) -> None:
    store("f-anogan", "head-ct", 0, variant="<b>bold</b>", partial="<script>alert(1)</script>")
    shown = page()
    assert "<b>bold</b>" in shown.text
    assert "<script>alert(1)</script>" in shown.text


def test_a_site_without_runs_has_no_page() -> None:
    site = Site(None, [], "0")
    assert list(reproduction.files(site, Templates.of(site))) == []


def test_figures_are_written_as_they_are_known() -> None:
    assert published_figure(Claim(0.761, 0.7605, 0.7615)) == "0.761"
    assert published_figure(Claim(0.7985, 0.797, 0.8)) == "0.797\N{EN DASH}0.800"
    assert [signed(gap) for gap in (0.1234, -0.1234, 0.0004, -0.0004)] == ["+0.123", "\N{MINUS SIGN}0.123", "0.000", "0.000"]
